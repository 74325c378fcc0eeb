//! Tensors whose sizes along another axis are known to differ.

use plywood::prelude::*;

fn main() -> plywood::Result<()> {
    let x: Tensor<Shape![_, 3, 2]> = Tensor::from_vec(vec![0.0; 12])?;
    let y: Tensor<Shape![_, 4, 1]> = Tensor::from_vec(vec![0.0; 8])?;
    let _ = (&x, &y).try_concat::<2>()?; //~ D<3>
    Ok(())
}
