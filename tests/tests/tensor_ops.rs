//! Operations on tensors: PyTorch's and NumPy's numbers, and broadcasting against a model at run time.

use plywood::prelude::*;
use plywood::tensor::{Broadcast, FromNumel, TryBroadcast};
use plywood_tests::compare::{assert_close, floor_of};
use plywood_tests::fixture::Fixture;

const F64: f64 = 1e-12;
const F32: f64 = 2e-5;

struct Numbers(Fixture);

impl Numbers {
    fn open() -> Self {
        Numbers(Fixture::open("tensors"))
    }

    fn get<S: FromNumel, E: Element>(&self, name: &str) -> Tensor<S, E> {
        self.0.tensor(name)
    }

    fn check<S: Shape, E: Float>(&self, name: &str, got: &Tensor<S, E>) {
        let expected = self.0.numbers(name);
        let tolerance = if size_of::<E>() == 8 { F64 } else { F32 };
        assert_close(name, got.as_slice(), &expected, floor_of(&expected), tolerance);
    }

    /// Of functions of one number: nothing cancels, so that small numbers are compared as exactly as large ones.
    fn check_each<S: Shape, E: Float>(&self, name: &str, got: &Tensor<S, E>) {
        let tolerance = if size_of::<E>() == 8 { F64 } else { F32 };
        assert_close(name, got.as_slice(), &self.0.numbers(name), 1e-6, tolerance);
    }

    fn check_integers<S: Shape, E: Element>(&self, name: &str, got: &Tensor<S, E>) {
        assert_eq!(got.cast::<f64>().expect(name).to_vec(), self.0.numbers(name), "{name}");
    }
}

macro_rules! broadcasts {
    ($($name:literal $left:ty, $right:ty => $out:ty;)*) => {
        #[test]
        fn broadcasting_gives_numpys_numbers() {
            fn check<E: Float>() {
                let numbers = Numbers::open();
                $({
                    let name = |part: &str| format!("broadcast/{}/{part}", $name);
                    let x: Tensor<$left, E> = numbers.get(&name("x"));
                    let y: Tensor<$right, E> = numbers.get(&name("y"));
                    let sum: Tensor<$out, E> = &x + &y;
                    numbers.check(&name("add"), &sum);
                    numbers.check(&name("sub"), &(&x - &y));
                    numbers.check(&name("mul"), &(x.clone() * &y));
                    numbers.check(&name("div"), &(x.clone() / y.clone()));
                    numbers.check(&name("maximum"), &x.maximum(&y));
                    numbers.check(&name("minimum"), &x.minimum(&y));
                    numbers.check_integers(&name("gt"), &x.gt_elem(&y));
                })*
            }
            check::<f32>();
            check::<f64>();
        }
    };
}

broadcasts! {
    "1x3_3x1" Shape![1, 3], Shape![3, 1] => Shape![3, 3];
    "10x5_1x5" Shape![10, 5], Shape![1, 5] => Shape![10, 5];
    "10x5_5" Shape![10, 5], Shape![5] => Shape![10, 5];
    "2x1x4_3x1" Shape![2, 1, 4], Shape![3, 1] => Shape![2, 3, 4];
    "0_2x3" Shape![], Shape![2, 3] => Shape![2, 3];
}

#[test]
fn functions_give_pytorchs_numbers() {
    fn check<E: Float>() {
        let numbers = Numbers::open();
        let x: Tensor<Shape![16], E> = numbers.get("function/x");
        macro_rules! functions {
            ($($name:ident)*) => {$(numbers.check_each(concat!("function/", stringify!($name)), &x.$name());)*};
        }
        functions!(exp exp2 expm1 ln log1p log2 log10 sqrt rsqrt recip square abs sign floor ceil round trunc frac);
        functions!(sin cos tan asin acos atan tanh asinh acosh atanh erf sigmoid relu softplus);
        // At −100 they are more than an f32 can hold.
        if size_of::<E>() == 8 {
            functions!(sinh cosh);
        }
        numbers.check_each("function/powi", &x.powi(3));
        numbers.check_each("function/powf", &x.powf(E::of(1.5)));
        numbers.check_each("function/clamp", &x.clamp(E::of(-1.0), E::of(2.0)));
        let x: Tensor<Shape![3, 1], E> = numbers.get("pow/x");
        let y: Tensor<Shape![4], E> = numbers.get("pow/y");
        let power: Tensor<Shape![3, 4], E> = x.pow(&y);
        numbers.check_each("pow/xy", &power);
    }
    check::<f64>();
    check::<f32>();
}

#[test]
fn reductions_give_pytorchs_numbers() {
    let numbers = Numbers::open();
    let x: Tensor<Shape![2, 3, 4], f64> = numbers.get("axis/x");
    macro_rules! floats {
        ($($name:ident $axis:ident $keep:ident;)*) => {$({
            let axis = |i: usize| format!("axis/{}/{i}", stringify!($name));
            numbers.check(concat!("all/", stringify!($name)), &Tensor::<Shape![], f64>::full(x.$name()));
            let (a, b, c): (Tensor<Shape![3, 4], f64>, Tensor<Shape![2, 4], f64>, Tensor<Shape![2, 3], f64>) =
                (x.$axis::<0>(), x.$axis::<1>(), x.$axis::<2>());
            numbers.check(&axis(0), &a);
            numbers.check(&axis(1), &b);
            numbers.check(&axis(2), &c);
            let kept: Tensor<Shape![2, 1, 4], f64> = x.$keep::<1>();
            assert_eq!(kept.squeeze::<1>(), b);
        })*};
    }
    floats! {
        sum sum_axis sum_keep;
        prod prod_axis prod_keep;
        mean mean_axis mean_keep;
        var var_axis var_keep;
        std std_axis std_keep;
        var_population var_population_axis var_population_keep;
        std_population std_population_axis std_population_keep;
        norm norm_axis norm_keep;
        logsumexp logsumexp_axis logsumexp_keep;
        max max_axis max_keep;
        min min_axis min_keep;
    }
    assert_eq!(numbers.0.numbers("all/argmax"), [x.argmax() as f64]);
    assert_eq!(numbers.0.numbers("all/argmin"), [x.argmin() as f64]);
    numbers.check_integers("axis/argmax/0", &x.argmax_axis::<0>());
    numbers.check_integers("axis/argmax/2", &x.argmax_axis::<2>());
    numbers.check_integers("axis/argmin/1", &x.argmin_axis::<1>());
}

#[test]
fn what_runs_along_an_axis_gives_pytorchs_numbers() {
    let numbers = Numbers::open();
    let x: Tensor<Shape![2, 3, 4], f64> = numbers.get("axis/x");
    macro_rules! axes {
        ($($i:literal)*) => {$({
            let name = |what: &str| format!("axis/{what}/{}", $i);
            numbers.check(&name("softmax"), &x.softmax::<$i>());
            numbers.check(&name("log_softmax"), &x.log_softmax::<$i>());
            numbers.check(&name("cumsum"), &x.cumsum::<$i>());
            let (values, positions) = x.sort::<$i>();
            numbers.check(&name("sort"), &values);
            numbers.check_integers(&name("sort_positions"), &positions);
            let (values, positions) = x.topk::<$i, D<2>>().expect("two of at least two");
            numbers.check(&name("topk"), &values);
            numbers.check_integers(&name("topk_positions"), &positions);
        })*};
    }
    axes!(0 1 2);
}

#[test]
fn shapes_and_picks_are_pytorchs() {
    let numbers = Numbers::open();
    let x: Tensor<Shape![2, 3, 4], f64> = numbers.get("axis/x");
    let y: Tensor<Shape![2, 5, 4], f64> = numbers.get("shape/y");
    let z: Tensor<Shape![2, 3, 4], f64> = numbers.get("shape/z");
    let permuted: Tensor<Shape![4, 2, 3], f64> = x.permute::<2, 0, 1>();
    numbers.check("shape/permute_2_0_1", &permuted);
    numbers.check("shape/permute_1_0_2", &x.permute::<1, 0, 2>());
    let joined: Tensor<Shape![2, 8, 4], f64> = (&x, &y).concat::<1>();
    numbers.check("shape/concat_1", &joined);
    let (left, right) = joined.split::<1, Shape![3, 5]>();
    assert!(left == x && right == y);
    let three: Tensor<Shape![2, 11, 4], f64> = (&x, &y, &z).concat::<1>();
    numbers.check("shape/concat_xyz_1", &three);
    let (a, b, c) = three.split::<1, Shape![3, 5, 3]>();
    assert!(a == x && b == y && c == z);
    let four: Tensor<Shape![2, 3, 16], f64> = [&x, &z, &x, &z].concat::<2>();
    numbers.check("shape/concat_xz_xz_2", &four);
    assert_eq!((&x, &z, &x, &z).concat::<2>(), four);
    numbers.check("shape/stack_0", &[&x, &z].stack::<0>());
    numbers.check("shape/stack_1", &[&x, &z].stack::<1>());
    let stacked: Tensor<Shape![2, 3, 2, 4], f64> = [&x, &z].stack::<2>();
    numbers.check("shape/stack_2", &stacked);
    numbers.check("shape/stack_3", &[&x, &z].stack::<3>());
    numbers.check("shape/slice_2", &x.slice::<2, D<1>, D<2>>());
    let picked: Tensor<Shape![2, 4, 4], f64> = x.along::<1>().index_select(&tensor![2, 0, 0, 1]).expect("indices");
    numbers.check("pick/index_select_1", &picked);
    let indices: Tensor<Shape![2, 2, 4], i64> = numbers.get("pick/indices");
    numbers.check("pick/gather_1", &x.along::<1>().gather(&indices).expect("indices"));
    numbers.check("rule/linspace", &Tensor::<Shape![7], f64>::linspace(-1.0, 2.0));
}

#[test]
fn products_are_pytorchs() {
    let numbers = Numbers::open();
    let m: Tensor<Shape![3, 4], f64> = numbers.get("matmul/m");
    let n: Tensor<Shape![4, 5], f64> = numbers.get("matmul/n");
    let v: Tensor<Shape![4], f64> = numbers.get("matmul/v");
    let w: Tensor<Shape![3], f64> = numbers.get("matmul/w");
    let b: Tensor<Shape![2, 3, 4], f64> = numbers.get("matmul/b");
    let c: Tensor<Shape![2, 4, 5], f64> = numbers.get("matmul/c");
    let mn: Tensor<Shape![3, 5], f64> = m.matmul(&n);
    let mv: Tensor<Shape![3], f64> = m.matmul(&v);
    let wm: Tensor<Shape![4], f64> = w.matmul(&m);
    let vv: Tensor<Shape![], f64> = v.matmul(&v);
    let bn: Tensor<Shape![2, 3, 5], f64> = b.matmul(&n);
    let bc: Tensor<Shape![2, 3, 5], f64> = b.matmul(&c);
    numbers.check("matmul/mn", &mn);
    numbers.check("matmul/mv", &mv);
    numbers.check("matmul/wm", &wm);
    numbers.check("matmul/vv", &vv);
    numbers.check("matmul/bn", &bn);
    numbers.check("matmul/bc", &bc);
}

/// NumPy's rule, said another way than the crate says it: the index of each element of the result.
fn model(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    while a.len() < b.len() {
        a.insert(0, 1);
    }
    while b.len() < a.len() {
        b.insert(0, 1);
    }
    let fits = a.iter().zip(&b).all(|(a, b)| a == b || *a == 1 || *b == 1);
    fits.then(|| a.iter().zip(&b).map(|(a, b)| if *a == 1 { *b } else { *a }).collect())
}

fn element(x: &[i64], sizes: &[usize], index: &[usize]) -> i64 {
    let index = &index[index.len() - sizes.len()..];
    let flat = index.iter().zip(sizes).fold(0, |flat, (i, size)| flat * size + i % size);
    x[flat]
}

/// Every pair of run-time shapes of rank 0 to 3 with sizes 0 to 3.
#[test]
fn broadcasting_at_run_time_is_that_of_the_model() {
    fn check<S: TryBroadcast<T>, T: Shape>() {
        let (left, right) = (all_sizes(S::RANK), all_sizes(T::RANK));
        for a in &left {
            for b in &right {
                let x = counted::<S>(a, 1);
                let y = counted::<T>(b, 100);
                let got = x.try_sub(&y);
                let Some(sizes) = model(a, b) else {
                    assert!(got.is_err(), "{a:?} and {b:?} broadcast");
                    continue;
                };
                let got = got.unwrap_or_else(|error| panic!("{a:?} and {b:?}: {error}"));
                assert_eq!(got.sizes().as_ref(), sizes, "{a:?} and {b:?}");
                for (place, got) in got.iter().enumerate() {
                    let mut rest = place;
                    let mut index: Vec<usize> = sizes.iter().rev().map(|size| (rest % size, rest /= size).0).collect();
                    index.reverse();
                    let expected = element(x.as_slice(), a, &index) - element(y.as_slice(), b, &index);
                    assert_eq!(*got, expected, "{a:?} and {b:?} at {index:?}");
                }
            }
        }
    }
    macro_rules! pairs {
        ($($left:ty),*; $right:tt) => {$(pairs!(@one $left; $right);)*};
        (@one $left:ty; [$($right:ty),*]) => {$(check::<$left, $right>();)*};
    }
    pairs!((), (Dyn,), (Dyn, Dyn), (Dyn, Dyn, Dyn); [(), (Dyn,), (Dyn, Dyn), (Dyn, Dyn, Dyn)]);
}

fn all_sizes(rank: usize) -> Vec<Vec<usize>> {
    (0..4usize.pow(u32::try_from(rank).expect("a rank")))
        .map(|mut code| (0..rank).map(|_| (code % 4, code /= 4).0).collect())
        .collect()
}

fn counted<S: Shape>(sizes: &[usize], start: i64) -> Tensor<S, i64> {
    let shape = S::from_sizes(sizes).expect("sizes of the rank");
    let numbers: Vec<i64> = (start..).take(shape.numel()).collect();
    Tensor::from_slice_of(shape, &numbers).expect("as many numbers")
}

/// What the types say of sizes would not be what happens.
#[test]
fn types_and_values_broadcast_alike() {
    fn check<S: StaticShape + Broadcast<T, Output: StaticShape>, T: StaticShape>() {
        let (x, y) = (counted::<S>(S::SIZES, 1), counted::<T>(T::SIZES, 100));
        let z = &x - &y;
        assert_eq!(Some(z.sizes().as_ref().to_vec()), model(S::SIZES, T::SIZES));
        assert_eq!(<S::Output as StaticShape>::SIZES, z.sizes().as_ref());
    }
    check::<Shape![2, 3], Shape![2, 3]>();
    check::<Shape![1, 3], Shape![3, 1]>();
    check::<Shape![0], Shape![1]>();
    check::<Shape![], Shape![2, 1, 0]>();
    check::<Shape![1001], Shape![2, 1]>();
    check::<Shape![2, 1, 1000], Shape![3, 1]>();
    check::<Shape![1, 1, 1, 1, 1, 2], Shape![2, 1]>();
    check::<Shape![1], Shape![1, 1]>();
}

#[test]
fn a_batch_known_at_run_time_broadcasts_where_types_prove_it() {
    let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0]).expect("two rows");
    let bias: Tensor<Shape![2]> = tensor![10.0, 20.0];
    let y: Tensor<Shape![_, 2]> = &x + &bias;
    assert_eq!(y.to_vec(), [11.0, 22.0, 13.0, 24.0]);
    let centred: Tensor<Shape![_, 2]> = &x - x.mean_keep::<0>();
    assert_eq!(centred.to_vec(), [-1.0, -1.0, 1.0, 1.0]);
}

#[test]
fn operators_take_tensors_and_numbers_by_reference_and_by_value() {
    let x: Tensor<Shape![2]> = tensor![1.0, 2.0];
    let expected: Tensor<Shape![2]> = tensor![2.0, 4.0];
    for y in [
        &x + &x,
        &x + x.clone(),
        x.clone() + &x,
        x.clone() + x.clone(),
        2.0 * &x,
        2.0 * x.clone(),
        &x * 2.0,
        x.view() * 2.0,
    ] {
        assert_eq!(y, expected);
    }
    assert_eq!(1.0 / &expected, tensor![0.5, 0.25]);
    assert_eq!(3.0 - x.clone(), tensor![2.0, 1.0]);
    let mut y = x.clone();
    y += &x;
    assert_eq!(y, expected);
    y -= x.clone();
    y *= 6.0;
    y /= &expected;
    assert_eq!(y, tensor![3.0, 3.0]);
    assert_eq!(-&x, -x.clone());
    let whole: Tensor<Shape![2], i32> = tensor![7, -7];
    assert_eq!((-whole / 2).to_vec(), [-3, 3]);
}

#[test]
fn literals_are_of_every_element_type() {
    let mask: Tensor<Shape![2, 2], bool> = tensor![[true, false], [false, true]];
    assert_eq!(mask, Tensor::<Shape![2, 2]>::eye().cast::<bool>().expect("0 and 1"));
    assert_eq!(mask.count(), 2);
    fn counted<E: Numeric>(x: Tensor<Shape![3], E>) {
        assert_eq!(x, Tensor::arange().expect("small numbers"));
    }
    counted::<i8>(tensor![0, 1, 2]);
    counted::<i16>(tensor![0, 1, 2]);
    counted::<i32>(tensor![0, 1, 2]);
    counted::<i64>(tensor![0, 1, 2]);
    counted::<u8>(tensor![0, 1, 2]);
    counted::<u16>(tensor![0, 1, 2]);
    counted::<u32>(tensor![0, 1, 2]);
    counted::<u64>(tensor![0, 1, 2]);
    counted::<f64>(tensor![0.0, 1.0, 2.0]);
    let limits: Tensor<Shape![2], i64> = tensor![i64::MIN, i64::MAX];
    assert_eq!(limits.to_vec(), [i64::MIN, i64::MAX]);
    let below: Tensor<Shape![1], i8> = tensor![-128];
    assert_eq!(below.to_vec(), [i8::MIN]);
}

#[test]
fn integers_compute_and_reduce() {
    let x: Tensor<Shape![2, 2], i64> = tensor![[7, -2], [3, 4]];
    assert_eq!(2 * &x - 1, tensor![[13, -5], [5, 7]]);
    assert_eq!(12 / &x, tensor![[1, -6], [4, 3]]);
    assert_eq!((x.sum(), x.prod(), x.max(), x.argmin()), (12, -168, 7, 1));
    assert_eq!(x.max_axis::<0>(), tensor![7, 4]);
    assert_eq!(x.clamp(0, 5), tensor![[5, 0], [3, 4]]);
    assert_eq!(x.cumsum::<1>(), tensor![[7, 5], [3, 7]]);
    assert_eq!(x.sort::<0>().0, tensor![[3, -2], [7, 4]]);
    let large: Tensor<Shape![2], i64> = tensor![(1 << 53) + 1, 0];
    assert_eq!(large.sum(), (1 << 53) + 1, "not by way of a float");
}

#[test]
fn masks_choose_and_combine() {
    let x: Tensor<Shape![2, 3]> = tensor![[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]];
    let zero = Tensor::<Shape![]>::zeros();
    let positive = x.gt_elem(&zero);
    let row: Tensor<Shape![3]> = tensor![10.0, 20.0, 30.0];
    assert_eq!(positive.where_(&x, &row), tensor![[1.0, 20.0, 3.0], [10.0, 5.0, 30.0]]);
    assert_eq!((&positive & &x.lt_elem(&row.maximum(&zero))).count(), 3);
    assert!((&positive | !&positive).all() && (positive.clone() ^ !positive.clone()).all());
    assert!(!(positive.clone() & !&positive).any());
    assert_eq!(positive.to_string(), "tensor([[ true, false,  true],\n        [false,  true, false]])");
    assert_eq!(positive.cast::<f32>().expect("0 and 1").sum(), 3.0);
}

#[test]
fn batches_known_at_run_time_join_and_split() {
    let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 2.0]).expect("a row");
    let y: Tensor<Shape![3, 2]> = Tensor::ones();
    let joined: Tensor<Shape![_, 2]> = (&x, &y).concat::<0>();
    assert_eq!(joined.sizes(), [4, 2]);
    assert_eq!(joined.narrow::<0, D<3>>(1).expect("three rows"), y);
    assert!(joined.narrow::<0, D<3>>(2).is_err() && joined.narrow::<0, D<1>>(usize::MAX).is_err());
    let none: Tensor<Shape![_, 2]> = Tensor::zeros_of((Dyn(0), D));
    assert_eq!((&none, &none).concat::<0>().sizes(), [0, 2]);
    assert_eq!((&none, &x, &none, &y, &x, &x).concat::<0>().sizes(), [6, 2]);
    let twice: Tensor<Shape![_, 2]> = [&joined, &joined].concat::<0>();
    assert_eq!(twice.row(4).expect("the second"), joined.row(0).expect("the first"));
    let wide: Tensor<Shape![3, 3000]> = Tensor::ones();
    let wider: Tensor<Shape![3, 12000]> = [&wide; 4].concat::<1>();
    let (a, b, c, d, e, f) = wider.split::<1, Shape![3000, 1, 2, 3, 4, 8990]>();
    assert_eq!((&a, &b, &c, &d, &e, &f).concat::<1>(), wider);
    assert_eq!(none.sort::<0>().0.sizes(), [0, 2]);
    assert!(none.softmax::<1>().as_slice().is_empty());
    assert_eq!(none.permute::<1, 0>().sizes(), [2, 0]);
}
