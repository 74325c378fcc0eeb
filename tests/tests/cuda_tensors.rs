//! Operations of tensors on a GPU against the same on the CPU.
#![cfg(feature = "cuda")]

use plywood::element::Element;
use plywood::prelude::*;
use plywood_tests::gpu::gpu;

/// A mask as numbers, too.
fn numbers<E: Element>(x: Vec<E>) -> Vec<f64> {
    x.into_iter().map(|x| if x.to_string() == "true" { 1.0 } else { x.to_string().parse().unwrap_or(0.0) }).collect()
}

/// Equal, up to what the order of a sum and the last bits of a function make.
fn close<E: Element>(what: &str, got: Vec<E>, expected: Vec<E>) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in numbers(got).into_iter().zip(numbers(expected)).enumerate() {
        let error = (got - expected).abs() / expected.abs().max(1e-2);
        let same = got == expected || got.is_nan() && expected.is_nan();
        assert!(same || error < 1e-5, "{what}: element {i} is {got}, not {expected}");
    }
}

/// An expression with its tensors on the CPU, and with them on the GPU.
macro_rules! both {
    ($gpu:ident [$($x:ident),*] $body:expr) => {{
        let expected = $body;
        let got = {
            $(let $x = $x.clone().to(&$gpu).unwrap();)*
            $(let _ = &$x;)*
            $body
        };
        (got, expected)
    }};
}

/// What expressions of tensors give on the CPU is what they give on the GPU, where it stays.
macro_rules! same {
    ($gpu:ident, $names:tt $($body:expr;)*) => {$({
        let (got, expected) = both!($gpu $names $body);
        assert_eq!(got.device(), $gpu, "{}", stringify!($body));
        assert_eq!(got.sizes(), expected.sizes(), "{}", stringify!($body));
        close(stringify!($body), got.to_vec(), expected.to_vec());
    })*};
}

/// The same for numbers.
macro_rules! same_number {
    ($gpu:ident, $names:tt $($body:expr;)*) => {$({
        let (got, expected) = both!($gpu $names $body);
        close_number(stringify!($body), got, expected);
    })*};
}

fn close_number(what: &str, got: impl ToString, expected: impl ToString) {
    let [got, expected] = [got.to_string(), expected.to_string()];
    match (got.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(got), Ok(expected)) => close(what, vec![got], vec![expected]),
        _ => assert_eq!(got, expected, "{what}"),
    }
}

fn random<S: Shape>(shape: S, seed: u64) -> Tensor<S> {
    Tensor::randn_of(shape, &mut Generator::manual_seed(seed))
}

#[test]
fn arithmetic_broadcasts() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 1, 5]> = random(Default::default(), 1);
    let y: Tensor<Shape![4, 1]> = random(Default::default(), 2);
    let z: Tensor<Shape![3, 4, 5]> = random(Default::default(), 3);
    let one: Tensor<Shape![]> = Tensor::full(2.5);
    same!(gpu, [x, y, z, one]
        &x + &y; &x - &y; &x * &y; &x / &y; x.clone() + y.clone(); &z + &one; &one / &z; &z * &z; &z - &x;
        &x + 2.0; &x - 2.0; &x * 2.0; &x / 3.0; 2.0 + &x; 2.0 - &x; 2.0 * &x; 2.0 / &x; -&x; -x.clone();
        { let mut z = z.clone(); z += &x; z };
        { let mut z = z.clone(); z -= &y; z };
        { let mut z = z.clone(); z *= &one; z };
        { let mut z = z.clone(); z /= &x; z };
        { let mut z = z.clone(); z += 1.5; z };
        { let mut z = z.clone(); z *= 1.5; z };
        { let mut z = z.clone(); z /= z.clone(); z };
        x.broadcast_to(<Shape![3, 4, 5]>::default());
        x.maximum(&y); x.minimum(&y); x.abs().pow(&y);
    );
}

#[test]
fn arithmetic_of_sizes_known_at_run_time() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![_, 3]> = random((Dyn(4), D), 1);
    let y: Tensor<Shape![_, 3]> = random((Dyn(4), D), 2);
    let none: Tensor<Shape![_, 3]> = random((Dyn(0), D), 3);
    same!(gpu, [x, y, none]
        x.try_add(&y).unwrap(); x.try_sub(&y).unwrap(); x.try_mul(&y).unwrap(); x.try_div(&y).unwrap();
        none.try_add(&none).unwrap(); &none * 2.0; -&none; none.exp(); none.sum_axis::<0>(); none.prod_axis::<0>();
        none.max_axis::<1>(); none.softmax::<1>(); none.cumsum::<0>(); none.logsumexp_axis::<0>(); none.norm_axis::<0>();
        none.transpose(); none.sort::<0>().0; none.mean_axis::<0>();
    );
    same_number!(gpu, [none] none.sum(); none.prod(); none.mean(); none.var(); none.norm(); none.logsumexp(););
    let (there, short) = (x.clone().to(&gpu).unwrap(), Tensor::<Shape![_, 3]>::zeros_of((Dyn(3), D)).to(&gpu).unwrap());
    assert_eq!(there.try_add(&short).unwrap_err().to_string(), "shapes do not match: [4, 3] against [3, 3]");
    // Tensors that are apart do not meet.
    let error = there.try_add(&x).unwrap_err();
    assert!(matches!(error, plywood::Error::Devices { .. }), "{error}");
    println!("{error}");
    assert!(x.try_add(&there).is_err());
    assert!((&there, &x).try_concat::<1>().is_err());
    let panicked = std::panic::catch_unwind(|| there.maximum(&Tensor::<Shape![3]>::ones()));
    assert!(panicked.unwrap_err().downcast_ref::<String>().unwrap().contains("is on cuda:0, but"));
}

#[test]
fn whole_numbers() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![6], i32> = tensor![7, -7, 0, 100_000, -3, 1];
    let y: Tensor<Shape![6], i32> = tensor![2, 2, 5, 3, -1, 1];
    let b: Tensor<Shape![4], u8> = tensor![200, 3, 0, 255];
    let c: Tensor<Shape![4], i64> = tensor![i64::MAX, i64::MIN, -5, 1 << 40];
    same!(gpu, [x, y, b, c]
        &x + &y; &x - &y; &x * &y; &x / &y; &x / 3; 1000 / &y; x.maximum(&y); x.clamp(-2, 5); x.cumsum::<0>();
        &b / 7; b.minimum(&(&b / 2)); &c / 3; c.maximum(&(&c / 2)); x.sort::<0>().0; x.sort::<0>().1; c.sort::<0>().0;
        x.lt_elem(&y); b.eq_elem(&b); c.ge_elem(&(&c / 2)); -&y;
    );
    same_number!(gpu, [x, b, c]
        x.sum(); x.prod(); x.max(); x.min(); x.argmax(); x.argmin(); b.max(); b.argmin(); c.max(); c.min();
    );
    let zero = Tensor::<Shape![6], i32>::zeros().to(&gpu).unwrap();
    let there = x.to(&gpu).unwrap();
    assert!(std::panic::catch_unwind(|| &there / &zero).is_err());
    assert!(std::panic::catch_unwind(|| &there / 0).is_err());
}

#[test]
fn functions_of_each_element() {
    let Some(gpu) = gpu() else { return };
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x: Tensor<Shape![15]> =
        tensor![0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0, 30.0, -30.0, 1e-8, inf, -inf, nan];
    macro_rules! all {
        ($($name:ident)*) => {
            same!(gpu, [x] $(x.$name();)* x.cast::<f64>().unwrap().exp(); x.cast::<f64>().unwrap().tanh(););
        };
    }
    all!(exp exp2 expm1 ln log2 log10 log1p sqrt rsqrt recip square abs sign floor ceil round trunc sin cos tan asin acos atan
        sinh cosh tanh asinh acosh atanh erf sigmoid relu softplus is_nan is_finite);
    let y: Tensor<Shape![15]> = x.map(|x| x * 0.3 + 0.1);
    same!(gpu, [x, y]
        y.frac(); x.powi(3); x.powi(-2); x.powi(0); x.powf(0.5); x.powf(2.0); x.pow(&y); x.clamp(-1.0, 2.0); x.maximum(&y); x.minimum(&y);
        x.eq_elem(&y); x.ne_elem(&y); x.lt_elem(&y); x.le_elem(&y); x.gt_elem(&y); x.ge_elem(&y);
        !x.lt_elem(&y); x.lt_elem(&y) & x.is_finite(); x.lt_elem(&y) | x.is_nan(); x.lt_elem(&y) ^ x.is_finite();
        x.gt_elem(&y).where_(&x, &y);
    );
    let column: Tensor<Shape![3, 1]> = tensor![[1.0], [-1.0], [0.0]];
    let zero = Tensor::<Shape![]>::zeros();
    same!(gpu, [column, y, zero] column.gt_elem(&zero).where_(&y, &zero); column.gt_elem(&zero).where_(&column, &y););
    same_number!(gpu, [x, y]
        x.is_finite().all(); x.is_finite().any(); x.is_finite().count(); y.eq_elem(&y).count(); x.is_nan().any();
        x.get([4]).unwrap(); x.get([15]).is_none();
    );
}

#[test]
fn casts() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![6]> = tensor![0.0, 1.9, 100.5, 127.9, -0.9, 3.0];
    let y: Tensor<Shape![4], i64> = tensor![0, 1, 255, 77];
    same!(gpu, [x, y]
        x.cast::<i8>().unwrap(); x.cast::<u8>().unwrap(); x.cast::<i16>().unwrap(); x.cast::<u64>().unwrap();
        x.cast::<i32>().unwrap(); x.cast::<f64>().unwrap(); x.cast::<bool>().unwrap(); x.cast::<f32>().unwrap();
        y.cast::<u8>().unwrap(); y.cast::<f32>().unwrap(); y.cast::<bool>().unwrap().cast::<i16>().unwrap();
        y.cast::<u32>().unwrap().cast::<i64>().unwrap();
    );
    macro_rules! refused {
        ($x:expr, $($to:ty)*) => {$({
            let x = $x;
            let expected = x.cast::<$to>().unwrap_err().to_string();
            assert_eq!(x.to(&gpu).unwrap().cast::<$to>().unwrap_err().to_string(), expected);
        })*};
    }
    refused!(tensor![1.0f32, 300.0, -1.0, f32::NAN], u8 i8);
    refused!(tensor![1.0f32, f32::NAN], u8 i8 u16 i16 u32 i32 u64 i64);
    refused!(tensor![2.0f64, f64::INFINITY, -1.0], u8 i64 u64);
    refused!(tensor![9_223_372_036_854_775_808.0f64], i64);
    refused!(tensor![1i64, -1], u8 u16 u32 u64);
    refused!(tensor![1i64, 1 << 40], u8 i16 u32 i32);
    refused!(tensor![u64::MAX], i64 i8);
    refused!(tensor![-1i8], u64);
}

#[test]
fn reductions() {
    let Some(gpu) = gpu() else { return };
    macro_rules! all {
        ($x:ident, $($all:ident $axis:ident $keep:ident)*) => {
            same_number!(gpu, [$x] $($x.$all();)*);
            same!(gpu, [$x] $($x.$axis::<0>(); $x.$axis::<1>(); $x.$axis::<2>(); $x.$keep::<1>(); $x.$keep::<2>();)*);
        };
    }
    macro_rules! of {
        ($($x:ident)*) => {$(
            all!($x, sum sum_axis sum_keep prod prod_axis prod_keep max max_axis max_keep min min_axis min_keep
                argmax argmax_axis argmax_keep argmin argmin_axis argmin_keep mean mean_axis mean_keep var var_axis var_keep
                std std_axis std_keep var_population var_population_axis var_population_keep
                std_population std_population_axis std_population_keep norm norm_axis norm_keep
                logsumexp logsumexp_axis logsumexp_keep);
        )*};
    }
    let small: Tensor<Shape![3, 4, 5]> = random(Default::default(), 1);
    let ones: Tensor<Shape![1, 1, 1]> = random(Default::default(), 2);
    let wide: Tensor<Shape![2, 3, 700]> = random(Default::default(), 3).abs();
    of!(small ones wide);
    let long: Tensor<Shape![40000]> = random(Default::default(), 4);
    same_number!(gpu, [long] long.max(); long.argmin(); long.norm(); long.logsumexp(); long.var(););
    let total = long.abs();
    same_number!(gpu, [total] total.sum(); total.mean(););
    let tall: Tensor<Shape![3000, 3]> = random(Default::default(), 5).abs();
    same!(gpu, [tall] tall.sum_axis::<0>(); tall.max_axis::<0>(); tall.argmax_axis::<0>(); tall.std_axis::<0>(););
    let odd: Tensor<Shape![2, 4]> = tensor![[1.0, f32::NAN, 3.0, f32::NAN], [5.0, 7.0, 7.0, f32::INFINITY]];
    same!(gpu, [odd]
        odd.max_axis::<1>(); odd.argmax_axis::<1>(); odd.argmin_axis::<1>(); odd.norm_axis::<1>(); odd.logsumexp_axis::<1>();
        odd.softmax::<1>();
    );
    let none = Tensor::<Shape![_]>::zeros_of((Dyn(0),)).to(&gpu).unwrap();
    assert!(std::panic::catch_unwind(|| none.max()).is_err());
}

#[test]
fn lanes() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 4, 5]> = random(Default::default(), 1);
    let long: Tensor<Shape![3, 1500]> = random(Default::default(), 2);
    let large: Tensor<Shape![2]> = tensor![10_000.0, 10_000.0];
    let odd: Tensor<Shape![6]> = tensor![2.0, f32::NAN, -1.0, 2.0, f32::NEG_INFINITY, -1.0];
    same!(gpu, [x, long, large, odd]
        x.softmax::<0>(); x.softmax::<1>(); x.softmax::<2>(); x.log_softmax::<0>(); x.log_softmax::<2>(); long.softmax::<1>();
        long.log_softmax::<1>(); large.log_softmax::<0>(); x.cumsum::<0>(); x.cumsum::<1>(); x.cumsum::<2>(); long.abs().cumsum::<1>();
        x.sort::<0>().0; x.sort::<0>().1; x.sort::<1>().1; x.sort::<2>().0; odd.sort::<0>().0; odd.sort::<0>().1;
        x.topk::<1, D<2>>().unwrap().0; x.topk::<1, D<2>>().unwrap().1; odd.topk::<0, D<4>>().unwrap().0;
        odd.topk::<0, D<4>>().unwrap().1; x.topk::<2, D<1>>().unwrap().1; x.topk::<0, D<3>>().unwrap().0;
    );
}

#[test]
fn products() {
    let Some(gpu) = gpu() else { return };
    let a: Tensor<Shape![7, 5]> = random(Default::default(), 1);
    let b: Tensor<Shape![5, 3]> = random(Default::default(), 2);
    let v: Tensor<Shape![5]> = random(Default::default(), 3);
    let many: Tensor<Shape![4, 7, 5]> = random(Default::default(), 4);
    let more: Tensor<Shape![4, 5, 2]> = random(Default::default(), 5);
    let none: Tensor<Shape![_, 5]> = random((Dyn(0), D), 6);
    same!(gpu, [a, b, v, many, more, none]
        a.matmul(&b); a.matmul(&v); v.matmul(&b); v.matmul(&v); many.matmul(&b); many.matmul(&more);
        none.matmul(&b); none.transpose().try_matmul(&none).unwrap();
        a.cast::<f64>().unwrap().matmul(&b.cast::<f64>().unwrap());
    );
    let there = a.to(&gpu).unwrap();
    assert!(matches!(there.transpose().try_matmul(&random((Dyn(7), Dyn(2)), 1)), Err(plywood::Error::Devices { .. })));
}

#[test]
fn shapes_and_places() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 4, 5]> = random(Default::default(), 1);
    let m: Tensor<Shape![3, 4]> = random(Default::default(), 2);
    let w: Tensor<Shape![3, 2]> = random(Default::default(), 3);
    let flags = m.gt_elem(&Tensor::<Shape![]>::zeros());
    let u: Tensor<Shape![1, 6]> = random(Default::default(), 4);
    same!(gpu, [x, m, w, flags, u]
        m.transpose(); x.permute::<2, 0, 1>(); x.permute::<1, 0, 2>(); x.permute::<0, 1, 2>(); flags.transpose();
        x.reshape::<Shape![15, 4]>(); x.try_reshape::<Shape![_, 10]>().unwrap(); x.flatten(); x.flatten_rows();
        u.squeeze::<0>(); m.unsqueeze::<1>(); m.try_shape::<Shape![_, 4]>().unwrap(); x.to_owned(); x.clone();
        (&m, &w).concat::<1>(); (&w, &m, &w).concat::<1>(); [&m, &m].concat::<0>(); [&m, &m, &m].stack::<1>();
        [&m, &m].stack::<2>(); (&m, &w).try_concat::<1>().unwrap(); (&flags, &flags).concat::<0>();
        m.split::<1, Shape![1, 3]>().0; m.split::<1, Shape![1, 3]>().1; x.slice::<1, D<1>, D<2>>();
        x.narrow::<2, D<2>>(3).unwrap(); x.narrow::<0, D<1>>(1).unwrap(); m.column(2).unwrap();
    );
    let there = m.clone().to(&gpu).unwrap();
    assert!(there.column(4).is_none() && there.narrow::<0, D<2>>(2).is_err());
    assert_eq!(there.to_string(), m.to_string());
    assert_eq!(format!("{there:?}"), format!("{m:?}"));
    assert!(there == m && there != &there * 2.0);
    assert_eq!(there.clone().into_vec(), m.to_vec());
    assert_eq!(Tensor::<Shape![]>::full(3.0).to(&gpu).unwrap().item(), 3.0);
}

#[test]
fn picks() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 4, 5]> = random(Default::default(), 1);
    let list: Tensor<Shape![4], i64> = tensor![2, 0, 0, 1];
    let bytes: Tensor<Shape![2], u8> = tensor![3, 1];
    let m: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let one: Tensor<Shape![2, 1], i64> = tensor![[2], [0]];
    let few: Tensor<Shape![2, 2], i32> = tensor![[1, 0], [2, 2]];
    same!(gpu, [x, list, bytes, m, one, few]
        x.along::<0>().index_select(&list).unwrap(); x.along::<1>().index_select(&bytes).unwrap();
        x.along::<2>().index_select(&list).unwrap(); m.along::<1>().gather(&one).unwrap(); m.along::<1>().gather(&few).unwrap();
        list.one_hot::<D<3>, f32>().unwrap(); list.one_hot::<D<4>, i64>().unwrap(); bytes.one_hot::<D<4>, f64>().unwrap();
    );
    macro_rules! refused {
        ($names:tt $($body:expr;)*) => {$({
            let (got, expected) = both!(gpu $names $body.map(|_| ()).unwrap_err().to_string());
            assert_eq!(got, expected);
        })*};
    }
    let wrong: Tensor<Shape![4], i64> = tensor![2, 1, -1, 7];
    let beyond: Tensor<Shape![2, 2], i16> = tensor![[0, 2], [3, -1]];
    refused!([x, wrong, m, beyond]
        x.along::<0>().index_select(&wrong); x.along::<2>().index_select(&wrong); m.along::<1>().gather(&beyond);
        wrong.one_hot::<D<3>, f32>();
    );
}

#[test]
fn what_has_no_kernel_says_so() {
    let Some(gpu) = gpu() else { return };
    let x = Tensor::<Shape![_]>::from_vec(vec![1.0f32]).unwrap().to(&gpu).unwrap();
    let error = x.try_zip(&x, f32::max).unwrap_err();
    println!("{error}");
    assert!(matches!(error, plywood::Error::NoKernel { .. }));
    let panicked = std::panic::catch_unwind(|| x.map(|x| *x)).unwrap_err();
    assert!(panicked.downcast_ref::<String>().unwrap().contains("`map`"), "{panicked:?}");
    assert!(std::panic::catch_unwind(|| x.as_slice().len()).is_err());
}

/// The gradients of an expression of variables on the GPU are those on the CPU, and are on the GPU.
macro_rules! same_gradients {
    ($gpu:ident, $names:tt $($body:expr;)*) => {$(same_gradients!(@one $gpu $names $body);)*};
    (@one $gpu:ident [$($x:ident),*] $body:expr) => {{
        let expected = {
            $(let $x = $x.clone().requires_grad();)*
            $(let _ = &$x;)*
            let y = $body;
            (&y * &random(y.shape(), 77)).sum().backward().unwrap();
            (y.value().clone(), [$($x.grad().map(|dx| dx.to_vec())),*])
        };
        let got = {
            $(let $x = $x.clone().to(&$gpu).unwrap().requires_grad();)*
            $(let _ = &$x;)*
            let y = $body;
            (&y * &random(y.shape(), 77).to(&$gpu).unwrap()).sum().backward().unwrap();
            $(assert!($x.grad().is_none_or(|dx| dx.device() == $gpu));)*
            (y.value().clone(), [$($x.grad().map(|dx| dx.to_vec())),*])
        };
        close(stringify!($body), got.0.to_vec(), expected.0.to_vec());
        for (got, expected) in got.1.into_iter().zip(expected.1) {
            assert_eq!(got.is_some(), expected.is_some(), "{}", stringify!($body));
            close(concat!("the gradient of ", stringify!($body)), got.unwrap_or_default(), expected.unwrap_or_default());
        }
    }};
}

#[test]
fn gradients_of_arithmetic() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 1, 4]> = random(Default::default(), 1).abs() + 0.1;
    let y: Tensor<Shape![2, 1]> = random(Default::default(), 2).abs() + 0.5;
    let z: Tensor<Shape![3, 2, 4]> = random(Default::default(), 3);
    same_gradients!(gpu, [x, y, z]
        &x + &y; &x - &y; &x * &y; &x / &y; &z * &z; &z * &x + &y; 2.0 / &x; 2.0 * &x - 1.0; -&x; x.maximum(&z); z.minimum(&y);
        x.pow(&y); x.broadcast_to(<Shape![3, 2, 4]>::default());
        { let mask = x.value().gt_elem(y.value()); x.where_(&mask, &y) };
    );
}

#[test]
fn gradients_of_functions() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![6]> = tensor![0.1, 0.5, 0.9, 0.25, 0.7, 0.33];
    macro_rules! all {
        ($($name:ident)*) => { same_gradients!(gpu, [x] $(x.$name();)*) };
    }
    all!(exp exp2 expm1 ln log2 log10 log1p sqrt rsqrt recip square abs sign floor ceil round trunc frac sin cos tan asin acos
        atan sinh cosh tanh asinh atanh erf sigmoid relu softplus);
    same_gradients!(gpu, [x] (&x + 1.0).acosh(); x.powi(3); x.powi(0); x.powi(-2); x.powf(2.5); x.clamp(0.2, 0.8););
}

#[test]
fn gradients_along_axes() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 4, 2]> = random(Default::default(), 1);
    let equal: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 2.0], [3.0, 3.0, 0.0]];
    macro_rules! all {
        ($($all:ident $axis:ident $keep:ident)*) => {
            same_gradients!(gpu, [x, equal] $(x.$all(); x.$axis::<1>(); x.$keep::<0>(); x.$axis::<2>(); equal.$axis::<1>();)*);
        };
    }
    all!(sum sum_axis sum_keep mean mean_axis mean_keep prod prod_axis prod_keep max max_axis max_keep min min_axis min_keep
        var var_axis var_keep std std_axis std_keep var_population var_population_axis var_population_keep
        std_population std_population_axis std_population_keep norm norm_axis norm_keep logsumexp logsumexp_axis logsumexp_keep);
    same_gradients!(gpu, [x, equal]
        equal.max(); equal.min(); x.softmax::<0>(); x.softmax::<1>(); x.softmax::<2>(); x.log_softmax::<1>(); x.log_softmax::<2>();
        x.cumsum::<0>(); x.cumsum::<1>(); x.cumsum::<2>(); x.sort::<1>().0; x.topk::<1, D<2>>().unwrap().0; equal.sort::<1>().0;
    );
}

#[test]
fn gradients_of_places() {
    let Some(gpu) = gpu() else { return };
    let x: Tensor<Shape![3, 4]> = random(Default::default(), 1);
    let w: Tensor<Shape![3, 2]> = random(Default::default(), 2);
    let m: Tensor<Shape![4, 3, 5]> = random(Default::default(), 3);
    let n: Tensor<Shape![4, 5, 2]> = random(Default::default(), 4);
    let v: Tensor<Shape![5]> = random(Default::default(), 5);
    let k: Tensor<Shape![5, 3]> = random(Default::default(), 6);
    same_gradients!(gpu, [x, w, m, n, v, k]
        x.transpose(); m.permute::<2, 0, 1>(); x.reshape::<Shape![6, 2]>(); x.flatten(); x.row(1).unwrap(); x.column(2).unwrap();
        x.get([1, 2]).unwrap(); x.slice::<1, D<1>, D<2>>(); x.narrow::<0, D<2>>(1).unwrap(); x.split::<1, Shape![1, 3]>().1;
        (&x, &w).concat::<1>(); [&x, &x].stack::<1>(); x.unsqueeze::<1>(); x.cast::<f32>();
        m.matmul(&n); m.matmul(&k); k.matmul(&w); x.transpose().matmul(&w); k.transpose().matmul(&v); v.matmul(&k); v.matmul(&v);
    );
    let list: Tensor<Shape![5], i64> = tensor![2, 0, 0, 1, 2];
    let places: Tensor<Shape![2, 4], i64> = tensor![[1, 2, 2, 0], [1, 0, 2, 2]];
    let labels: Tensor<Shape![3, 1], i64> = tensor![[3], [0], [3]];
    let gradient = |x: Tensor<Shape![3, 4]>, device: &Device| {
        let x = x.to(device).unwrap().requires_grad();
        let (list, places) = (list.clone().to(device).unwrap(), places.clone().to(device).unwrap());
        let labels = labels.clone().to(device).unwrap();
        let y = x.along::<0>().index_select(&list).unwrap().square().sum()
            + x.along::<0>().gather(&places).unwrap().exp().sum()
            + x.along::<1>().gather(&labels).unwrap().square().sum();
        y.backward().unwrap();
        (y.item(), x.grad().unwrap().to_vec())
    };
    let (expected, got) = (gradient(x.clone(), &Device::Cpu), gradient(x, &gpu));
    close_number("picks", got.0, expected.0);
    close("the gradient of picks", got.1, expected.1);
}

#[test]
fn losses() {
    let Some(gpu) = gpu() else { return };
    let y: Tensor<Shape![5, 3]> = random(Default::default(), 1);
    let t: Tensor<Shape![5, 3]> = random(Default::default(), 2).sigmoid();
    let p = y.sigmoid();
    let labels: Tensor<Shape![5], i32> = tensor![2, 0, 1, 1, 0];
    same_number!(gpu, [y, t, p, labels]
        MSELoss.forward(&y, &t).unwrap(); MSELoss.sum().forward(&y, &t).unwrap(); BCELoss.forward(&p, &t).unwrap();
        BCEWithLogitsLoss.forward(&y, &t).unwrap(); BCEWithLogitsLoss.sum().forward(&y, &t).unwrap();
        CrossEntropyLoss.forward(&y, &labels).unwrap(); CrossEntropyLoss.forward(&y, &t).unwrap();
        CrossEntropyLoss.sum().forward(&y, &labels).unwrap(); MSELoss.forward(&y.cast::<f64>().unwrap(), &t.cast::<f64>().unwrap()).unwrap();
    );
    same!(gpu, [y, t, p, labels]
        MSELoss.none().forward(&y, &t).unwrap(); CrossEntropyLoss.none().forward(&y, &labels).unwrap();
        BCELoss.none().forward(&p, &t).unwrap();
    );
    same_gradients!(gpu, [y]
        y.loss(&t, &MSELoss).unwrap(); y.loss(&labels, &CrossEntropyLoss).unwrap() * 2.0; y.loss(&t, &BCEWithLogitsLoss.sum()).unwrap();
    );
    let wrong: Tensor<Shape![5], i32> = tensor![2, 0, 3, 1, -1];
    let error = |y: &Tensor<Shape![5, 3]>, wrong: &Tensor<Shape![5], i32>| {
        CrossEntropyLoss.forward(y, wrong).unwrap_err().to_string()
    };
    assert_eq!(error(&y.clone().to(&gpu).unwrap(), &wrong.clone().to(&gpu).unwrap()), error(&y, &wrong));
    let (there, target) = (y.clone().to(&gpu).unwrap(), t.clone().to(&gpu).unwrap());
    assert_eq!(
        BCELoss.forward(&there, &target).unwrap_err().to_string(),
        BCELoss.forward(&y, &t).unwrap_err().to_string()
    );
}

sequential! {
    struct Images: (1, 6, 6) => 3 {
        Conv2d(1, 4, kernel = 3, padding = 1), GELU, MaxPool2d(2), Flatten, Linear(36, 8), ReLU, Linear(8, 3), Softmax,
    }
}
sequential! { struct Codes { Linear(5, 7), Tanh, Linear(7, 5) } }

/// A loss in which networks are used more than once, with the gradients of their parameters and inputs.
fn of_networks(
    (images, codes): (&Images, &Codes),
    x: &Tensor<Shape![4, 1, 6, 6]>,
    y: &Tensor<Shape![4, 5]>,
) -> (f32, [Vec<f32>; 4]) {
    let (f, g) = (images.requires_grad(), codes.requires_grad());
    let (x, y) = (x.clone().requires_grad(), y.clone().requires_grad());
    let code = g.forward(&(g.forward(&y) * &y));
    // A part of a batch, and one of none.
    let none = g.forward(&y.narrow::<0, D<0>>(2).unwrap()).sum();
    let loss = (f.forward(&x) - f.forward(&-&x)).square().mean() + code.abs().mean() + none;
    // The passes serve twice, and what they give adds up.
    loss.backward_retain_graph().unwrap();
    loss.backward().unwrap();
    let [df, dg] = [f.grad().unwrap().buffer().clone(), g.grad().unwrap().buffer().clone()]
        .map(|block| block.to(&Device::Cpu).unwrap().into_vec());
    (loss.item(), [df, dg, x.grad().unwrap().to_vec(), y.grad().unwrap().to_vec()])
}

#[test]
fn networks_in_expressions() {
    let Some(gpu) = gpu() else { return };
    let mut rng = Generator::manual_seed(3);
    let (images, mut codes) = (Images::init(&mut rng), Codes::init(&mut rng));
    let (x, y) = (random(Default::default(), 1), random(Default::default(), 2));
    let (expected, gradients) = of_networks((&images, &codes), &x, &y);
    let there = (&images.to(&gpu).unwrap(), &codes.to(&gpu).unwrap());
    let (on, with) = (x.to(&gpu).unwrap(), y.clone().to(&gpu).unwrap());
    let (loss, got) = of_networks(there, &on, &with);
    close_number("a loss of networks", loss, expected);
    for (what, (got, expected)) in ["images", "codes", "x", "y"].into_iter().zip(got.into_iter().zip(gradients)) {
        close(what, got, expected);
    }

    // Trained by hand, on both devices.
    codes = Codes::init(&mut rng);
    let train = |mut model: Codes, y: &Tensor<Shape![4, 5]>| {
        let mut adam = Adam::new(0.01);
        for _ in 0..20 {
            let f = model.requires_grad();
            let loss = (f.forward(y) + f.forward(&-y) - 1.0).square().mean();
            loss.backward().unwrap();
            adam.step(&mut model, &f.grad().unwrap()).unwrap();
        }
        model.to(&Device::Cpu).unwrap().parameters().to_vec()
    };
    let expected = train(Codes::from_parameters(codes.parameters()).unwrap(), &y);
    close("trained by hand", train(codes.to(&gpu).unwrap(), &y.clone().to(&gpu).unwrap()), expected);

    // What is elsewhere is named.
    let here = Codes::init(&mut rng).requires_grad();
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| here.forward(&y.clone().to(&gpu).unwrap())));
    let message = panicked.err().unwrap().downcast_ref::<String>().unwrap().clone();
    assert!(message.contains("the network is on cpu, but its input on cuda:0"), "{message}");
}
