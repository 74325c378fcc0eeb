//! Lesson 1: tensors. Making them, what their types say, arithmetic, broadcasting, reductions, indexing.
//!
//! Prints each tensor with its shape. What does not fit does not compile, so the shapes on the left are claims that the
//! compiler has checked; the numbers are asserted.

use plywood::prelude::*;

fn main() -> plywood::Result<()> {
    // A shape is a type. `D<3>` is a size that the compiler knows, `Dyn` one that only the running program knows.
    let a: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let batch: Tensor<Shape![_, 3]> = Tensor::from_vec(vec![0.0; 12])?;
    println!("a, {:?}:\n{a}\n", a.sizes());
    println!("a batch of {} rows of 3\n", batch.sizes()[0]);

    // Random numbers come from a generator that you see, so they can be had again.
    let mut rng = Generator::manual_seed(0);
    let noise: Tensor<Shape![2, 3]> = Tensor::randn(&mut rng);
    assert_eq!(noise, Tensor::randn(&mut Generator::manual_seed(0)));
    println!("random numbers:\n{noise}\n");

    // Element types: f32 unless said otherwise.
    let counts: Tensor<Shape![2, 3], i64> = a.cast()?;
    println!("as integers:\n{counts}\n");

    // Arithmetic by element and with numbers.
    let scaled = &a * 2.0 + 1.0;
    assert_eq!(scaled.to_vec(), [3.0, 5.0, 7.0, 9.0, 11.0, 13.0]);

    // Broadcasting: a size of 1, or one that is missing, is repeated. The types say what comes out.
    let column: Tensor<Shape![3, 1]> = tensor![[0.0], [10.0], [20.0]];
    let row: Tensor<Shape![1, 3]> = tensor![[1.0, 2.0, 3.0]];
    let table: Tensor<Shape![3, 3]> = &column + &row;
    println!("a column and a row, added:\n{table}\n");
    assert_eq!(table.row(2).map(|row| row.to_vec()), Some(vec![21.0, 22.0, 23.0]));

    // The matrix product: [2, 3] · [3, 3] = [2, 3].
    let product: Tensor<Shape![2, 3]> = a.matmul(&table);
    println!("a · table:\n{product}\n");

    // Over everything, or over one axis.
    let of_columns: Tensor<Shape![3]> = a.sum_axis::<0>();
    println!("sum {}, mean {}, of the columns {of_columns}", a.sum(), a.mean());
    assert_eq!((a.sum(), of_columns.to_vec()), (21.0, vec![5.0, 7.0, 9.0]));

    // One element, one row, one column; outside there is nothing.
    assert_eq!(a.get([1, 2]), Some(6.0));
    assert_eq!(a.get([2, 0]), None);
    println!("the last column {}", a.column(2).expect("a third column"));

    // The same numbers in another shape, where the count is the same.
    let tall: Tensor<Shape![3, 2]> = a.reshape();
    let turned: Tensor<Shape![3, 2]> = a.transpose();
    println!("reshaped:\n{tall}\ntransposed:\n{turned}");
    assert_ne!(tall, turned);
    Ok(())
}
