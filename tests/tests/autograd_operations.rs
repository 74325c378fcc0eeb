//! Every operation on variables: its value and its gradients are PyTorch's (`parity/autograd.py` made them), and the
//! gradients agree with central differences.
//!
//! An error is relative to the expected number, where a number below a hundredth of the largest of its tensor counts as
//! that large.

use plywood::prelude::*;
use plywood_tests::compare::{assert_close, floor_of};
use plywood_tests::fixture::Fixture;

const F64: f64 = 1e-12;
const F32: f64 = 5e-5;
const DIFFERENCES: f64 = 1e-6;
const STEP: f64 = 1e-5;

/// The operands' numbers and the result's gradient to the result and the operands' gradients.
type Run<'a> = &'a dyn Fn(&[Vec<f64>], &[f64]) -> (Vec<f64>, Vec<Vec<f64>>);

struct Case<'a> {
    fixture: &'a Fixture,
    name: &'a str,
    inputs: Vec<Vec<f64>>,
    dy: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(fixture: &'a Fixture, name: &'a str, inputs: usize) -> Self {
        let inputs = (0..inputs).map(|i| fixture.numbers(&format!("{name}/x{i}"))).collect();
        Case { fixture, name, inputs, dy: fixture.numbers(&format!("{name}/dy")) }
    }

    fn is_pytorchs<E: Float>(&self, run: Run<'_>, tolerance: f64) {
        let (y, gradients) = run(&self.inputs, &self.dy);
        let close = |part: &str, got: &[f64]| {
            let name = format!("{}/{part}", self.name);
            let expected = self.fixture.numbers(&name);
            let finite: Vec<f64> = expected.iter().copied().filter(|x| x.is_finite()).collect();
            assert_close(&format!("{name} in {}", E::DTYPE), got, &expected, floor_of(&finite), tolerance);
        };
        close("y", &y);
        for (i, gradient) in gradients.iter().enumerate() {
            close(&format!("d{i}"), gradient);
        }
    }

    fn is_the_differences(&self, run: Run<'_>) {
        let gradients = run(&self.inputs, &self.dy).1;
        let along =
            |inputs: &[Vec<f64>]| -> f64 { run(inputs, &self.dy).0.iter().zip(&self.dy).map(|(y, dy)| y * dy).sum() };
        for (k, gradient) in gradients.iter().enumerate() {
            let mut moved = self.inputs.clone();
            let mut differences = Vec::new();
            for i in (0..gradient.len()).step_by(gradient.len().div_ceil(60).max(1)) {
                let mut at = |step| {
                    moved[k][i] = self.inputs[k][i] + step;
                    let y = along(&moved);
                    moved[k][i] = self.inputs[k][i];
                    y
                };
                differences.push((i, (at(STEP) - at(-STEP)) / (2.0 * STEP)));
            }
            let got: Vec<f64> = differences.iter().map(|(i, _)| gradient[*i]).collect();
            let expected: Vec<f64> = differences.iter().map(|(_, difference)| *difference).collect();
            let floor = floor_of(&expected).max(1e-3);
            assert_close(&format!("{}: d{k} by differences", self.name), &got, &expected, floor, DIFFERENCES);
        }
    }
}

fn to_f64<E: Float>(numbers: &[E]) -> Vec<f64> {
    numbers.iter().map(|x| x.to_f64().expect("a float")).collect()
}

fn leaf<S: plywood::tensor::FromNumel, E: Float>(numbers: &[f64]) -> Variable<S, E> {
    let numbers: Vec<E> = numbers.iter().map(|x| E::of(*x)).collect();
    Tensor::from_slice(&numbers).expect("the operand's shape").requires_grad()
}

fn outcome<S: Shape, E: Float>(y: &Variable<S, E>, dy: &[f64]) -> Vec<f64> {
    let dy: Vec<E> = dy.iter().map(|dy| E::of(*dy)).collect();
    let dy = Tensor::from_slice_of(y.shape(), &dy).expect("the result's shape");
    y.backward_with(&dy).expect("a graph");
    to_f64(y.value().as_slice())
}

fn gradient<S: Shape, E: Float>(x: &Variable<S, E>) -> Vec<f64> {
    to_f64(x.grad().expect("a gradient").as_slice())
}

macro_rules! run {
    ($E:ty, [$($x:ident: $shape:ty),*] $y:expr) => {
        &|inputs: &[Vec<f64>], dy: &[f64]| {
            #[allow(dead_code)]
            type E = $E;
            let mut inputs = inputs.iter();
            $(let $x: Variable<$shape, $E> = leaf(inputs.next().expect("an operand"));)*
            let y = $y;
            (outcome(&y, dy), vec![$(gradient(&$x)),*])
        }
    };
}

/// `smooth`: the differences are compared, too. `kinked`: only PyTorch's conventions are.
macro_rules! cases {
    ($($test:ident $kind:ident { $($name:expr, [$($x:ident: $shape:ty),*] $y:expr;)* })*) => {$(
        #[test]
        fn $test() {
            let fixture = Fixture::open("autograd");
            $({
                let case = Case::new(&fixture, $name, [$(stringify!($x)),*].len());
                case.is_pytorchs::<f64>(run!(f64, [$($x: $shape),*] $y), F64);
                case.is_pytorchs::<f32>(run!(f32, [$($x: $shape),*] $y), F32);
                if stringify!($kind) == "smooth" {
                    case.is_the_differences(run!(f64, [$($x: $shape),*] $y));
                }
            })*
        }
    )*};
}

/// Each operation of two operands, broadcast in each way.
macro_rules! pairs {
    ($($test:ident $op:literal |$x:ident, $y:ident| $z:expr;)*) => {$(
        #[test]
        fn $test() {
            pairs!(@ $op |$x, $y| $z;
                "2x3_2x3" Shape![2, 3], Shape![2, 3] => Shape![2, 3];
                "2x3_3" Shape![2, 3], Shape![3] => Shape![2, 3];
                "3_2x3" Shape![3], Shape![2, 3] => Shape![2, 3];
                "1x3_3x1" Shape![1, 3], Shape![3, 1] => Shape![3, 3];
                "2x1x4_3x1" Shape![2, 1, 4], Shape![3, 1] => Shape![2, 3, 4];
                "0_2x3" Shape![], Shape![2, 3] => Shape![2, 3];
                "2x3_1" Shape![2, 3], Shape![1] => Shape![2, 3];
            );
        }
    )*};
    (@ $op:literal |$x:ident, $y:ident| $z:expr; $($sizes:literal $left:ty, $right:ty => $out:ty;)*) => {
        let fixture = Fixture::open("autograd");
        $({
            let name = format!("{}/{}", $op, $sizes);
            let case = Case::new(&fixture, &name, 2);
            case.is_pytorchs::<f64>(run!(f64, [$x: $left, $y: $right] { let z: Variable<$out, f64> = $z; z }), F64);
            case.is_pytorchs::<f32>(run!(f32, [$x: $left, $y: $right] { let z: Variable<$out, f32> = $z; z }), F32);
            case.is_the_differences(run!(f64, [$x: $left, $y: $right] $z));
        })*
    };
}

pairs! {
    sums_of_two "add" |x, y| &x + &y;
    differences_of_two "sub" |x, y| &x - y.clone();
    products_of_two "mul" |x, y| x.clone() * &y;
    quotients_of_two "div" |x, y| x.clone() / y.clone();
    larger_of_two "maximum" |x, y| x.maximum(&y);
    smaller_of_two "minimum" |x, y| x.minimum(&y);
}

cases! {
    sums_checked_at_run_time smooth {
        "add/2x3_3", [x: Shape![_, 3], y: Shape![_]] x.try_add(&y).unwrap();
        "sub/2x3_3", [x: Shape![_, 3], y: Shape![_]] x.try_sub(&y).unwrap();
        "mul/2x3_2x3", [x: Shape![_, 3], y: Shape![_, 3]] x.try_mul(&y).unwrap();
        "div/2x1x4_3x1", [x: Shape![_, 1, 4], y: Shape![3, 1]] x.try_div(&y).unwrap();
    }

    powers_of_two_tensors smooth {
        "pow/2x3_3", [x: Shape![2, 3], y: Shape![3]] x.pow(&y);
        "pow/2x1_3", [x: Shape![2, 1], y: Shape![3]] x.pow(&y);
    }

    picks_by_a_mask smooth {
        "where", [x: Shape![3], y: Shape![2, 1]] {
            let mask: Tensor<Shape![2, 1], bool> = tensor![[true], [false]];
            x.where_(&mask, &y)
        };
    }

    numbers_on_either_side smooth {
        "number/add", [x: Shape![2, 3]] &x + 1.5;
        "number/sub", [x: Shape![2, 3]] &x - 1.5;
        "number/mul", [x: Shape![2, 3]] &x * 1.5;
        "number/div", [x: Shape![2, 3]] x.clone() / 1.5;
        "number/add_first", [x: Shape![2, 3]] 1.5 + &x;
        "number/sub_first", [x: Shape![2, 3]] 1.5 - &x;
        "number/mul_first", [x: Shape![2, 3]] 1.5 * &x;
        "number/div_first", [x: Shape![2, 3]] 1.5 / x.clone();
        "number/neg", [x: Shape![2, 3]] -&x;
    }

    functions smooth {
        "function/exp", [x: Shape![2, 3]] x.exp();
        "function/ln", [x: Shape![2, 3]] x.ln();
        "function/log2", [x: Shape![2, 3]] x.log2();
        "function/log10", [x: Shape![2, 3]] x.log10();
        "function/sqrt", [x: Shape![2, 3]] x.sqrt();
        "function/recip", [x: Shape![2, 3]] x.recip();
        "function/square", [x: Shape![2, 3]] x.square();
        "function/abs", [x: Shape![2, 3]] x.abs();
        "function/sign", [x: Shape![2, 3]] x.sign();
        "function/floor", [x: Shape![2, 3]] x.floor();
        "function/ceil", [x: Shape![2, 3]] x.ceil();
        "function/round", [x: Shape![2, 3]] x.round();
        "function/sin", [x: Shape![2, 3]] x.sin();
        "function/cos", [x: Shape![2, 3]] x.cos();
        "function/tan", [x: Shape![2, 3]] x.tan();
        "function/tanh", [x: Shape![2, 3]] x.tanh();
        "function/erf", [x: Shape![2, 3]] x.erf();
        "function/sigmoid", [x: Shape![2, 3]] x.sigmoid();
        "function/relu", [x: Shape![2, 3]] x.relu();
        "function/softplus", [x: Shape![2, 3]] x.softplus();
        "function/exp2", [x: Shape![2, 3]] x.exp2();
        "function/expm1", [x: Shape![2, 3]] x.expm1();
        "function/trunc", [x: Shape![2, 3]] x.trunc();
        "function/frac", [x: Shape![2, 3]] x.frac();
        "function/atan", [x: Shape![2, 3]] x.atan();
        "function/sinh", [x: Shape![2, 3]] x.sinh();
        "function/cosh", [x: Shape![2, 3]] x.cosh();
        "function/asinh", [x: Shape![2, 3]] x.asinh();
        "function/log1p", [x: Shape![2, 3]] x.log1p();
        "function/rsqrt", [x: Shape![2, 3]] x.rsqrt();
        "function/acosh", [x: Shape![2, 3]] x.acosh();
        "function/asin", [x: Shape![2, 3]] x.asin();
        "function/acos", [x: Shape![2, 3]] x.acos();
        "function/atanh", [x: Shape![2, 3]] x.atanh();
        "function/powi_3", [x: Shape![2, 3]] x.powi(3);
        "function/powi_-2", [x: Shape![2, 3]] x.powi(-2);
        "function/powi_1", [x: Shape![2, 3]] x.powi(1);
        "function/powi_0", [x: Shape![2, 3]] x.powi(0);
        "function/powf_1.5", [x: Shape![2, 3]] x.powf(1.5);
        "function/powf_-0.5", [x: Shape![2, 3]] x.powf(-0.5);
        "function/powf_0", [x: Shape![2, 3]] x.powf(0.0);
        "function/clamp", [x: Shape![2, 3]] x.clamp(-0.75, 0.75);
    }

    matrix_products smooth {
        "matmul/matrix_matrix", [x: Shape![2, 3], y: Shape![3, 4]] x.matmul(&y);
        "matmul/matrix_matrix", [x: Shape![_, 3], y: Shape![_, 4]] x.try_matmul(&y).unwrap();
        "matmul/matrix_vector", [x: Shape![2, 3], y: Shape![3]] x.matmul(&y);
        "matmul/vector_matrix", [x: Shape![3], y: Shape![3, 4]] x.matmul(&y);
        "matmul/vector_vector", [x: Shape![3], y: Shape![3]] x.matmul(&y);
        "matmul/batch_matrix", [x: Shape![2, 3, 4], y: Shape![4, 5]] x.matmul(&y);
        "matmul/batch_batch", [x: Shape![2, 3, 4], y: Shape![2, 4, 5]] x.matmul(&y);
        "matmul/large", [x: Shape![33, 40], y: Shape![40, 17]] x.matmul(&y);
    }

    moves smooth {
        "move/reshape", [x: Shape![2, 3, 4]] x.reshape::<Shape![4, 6]>();
        "move/reshape", [x: Shape![_, 3, 4]] x.try_reshape::<Shape![_, 6]>().unwrap();
        "move/reshape", [x: Shape![_, 3, 4]] x.try_shape::<Shape![2, 3, 4]>().unwrap();
        "move/flatten", [x: Shape![2, 3, 4]] x.flatten();
        "move/flatten_rows", [x: Shape![2, 3, 4]] x.flatten_rows();
        "move/unsqueeze", [x: Shape![2, 3, 4]] x.unsqueeze::<1>();
        "move/squeeze", [x: Shape![3, 1, 2]] x.squeeze::<1>();
        "move/broadcast_to", [x: Shape![3, 1]] x.broadcast_to::<Shape![2, 3, 4]>(Default::default());
        "move/transpose", [x: Shape![2, 3]] x.transpose();
        "move/permute", [x: Shape![2, 3, 4]] x.permute::<2, 0, 1>();
        "move/permute_4", [x: Shape![2, 3, 4, 5]] x.permute::<0, 3, 1, 2>();
        "move/get", [x: Shape![2, 3, 4]] x.get([1, 2, 0]).unwrap();
        "move/row", [x: Shape![2, 3, 4]] x.row(1).unwrap();
        "move/row", [x: Shape![_, 3, 4]] x.rows().nth(1).unwrap();
        "move/column", [x: Shape![2, 3]] x.column(2).unwrap();
        "move/slice", [x: Shape![2, 3, 4]] x.slice::<1, D<1>, D<2>>();
        "move/narrow", [x: Shape![2, 3, 4]] x.narrow::<2, D<2>>(1).unwrap();
        "move/split_left", [x: Shape![2, 3, 4]] x.split::<2, Shape![1, 3]>().0;
        "move/split_right", [x: Shape![2, 3, 4]] x.split::<2, Shape![1, 3]>().1;
        "move/split_middle", [x: Shape![2, 3, 4]] x.split::<2, Shape![1, 2, 1]>().1;
        "move/index_select_0", [x: Shape![2, 3, 4]] x.along::<0>().index_select(&tensor![1, 1, 0]).unwrap();
        "move/index_select_2", [x: Shape![2, 3, 4]] x.along::<2>().index_select(&tensor![3, 0]).unwrap();
        "move/gather", [x: Shape![2, 3, 4]] {
            let indices: Tensor<Shape![2, 2, 4], i64> =
                tensor![[[0, 2, 1, 1], [0, 0, 1, 2]], [[2, 2, 2, 2], [0, 1, 2, 0]]];
            x.along::<1>().gather(&indices).unwrap()
        };
    }

    joins smooth {
        "join/concat_0", [x: Shape![2, 3], y: Shape![1, 3]] (&x, &y).concat::<0>();
        "join/concat_0", [x: Shape![_, 3], y: Shape![_, 3]] (&x, &y).concat::<0>();
        "join/concat_1", [x: Shape![2, 3], y: Shape![2, 2]] (&x, &y).concat::<1>();
        "join/concat_3", [x: Shape![2, 3], y: Shape![2, 1], z: Shape![2, 2]] (&x, &y, &z).concat::<1>();
        "join/concat_array", [x: Shape![2, 3], y: Shape![2, 3]] [&x, &y, &x].concat::<1>();
        "join/stack_0", [x: Shape![2, 3], y: Shape![2, 3]] [&x, &y, &x].stack::<0>();
        "join/stack_1", [x: Shape![2, 3], y: Shape![2, 3]] [&x, &y, &x].stack::<1>();
        "join/stack_2", [x: Shape![2, 3], y: Shape![2, 3]] [&x, &y, &x].stack::<2>();
    }

    running_along_an_axis smooth {
        "softmax/0", [x: Shape![2, 3, 4]] x.softmax::<0>();
        "softmax/1", [x: Shape![2, 3, 4]] x.softmax::<1>();
        "softmax/2", [x: Shape![2, 3, 4]] x.softmax::<2>();
        "log_softmax/0", [x: Shape![2, 3, 4]] x.log_softmax::<0>();
        "log_softmax/1", [x: Shape![2, 3, 4]] x.log_softmax::<1>();
        "log_softmax/2", [x: Shape![2, 3, 4]] x.log_softmax::<2>();
        "cumsum/0", [x: Shape![2, 3, 4]] x.cumsum::<0>();
        "cumsum/1", [x: Shape![2, 3, 4]] x.cumsum::<1>();
        "cumsum/2", [x: Shape![2, 3, 4]] x.cumsum::<2>();
        "sort/0", [x: Shape![2, 3, 4]] x.sort::<0>().0;
        "sort/1", [x: Shape![2, 3, 4]] x.sort::<1>().0;
        "sort/2", [x: Shape![2, 3, 4]] x.sort::<2>().0;
        "topk/0", [x: Shape![2, 3, 4]] x.topk::<0, D<2>>().unwrap().0;
        "topk/1", [x: Shape![2, 3, 4]] x.topk::<1, D<2>>().unwrap().0;
        "topk/2", [x: Shape![2, 3, 4]] x.topk::<2, D<2>>().unwrap().0;
    }

    ties_kinks_zeros_and_infinities kinked {
        "kink/maximum", [x: Shape![2, 3], y: Shape![1, 3]] x.maximum(&y);
        "kink/minimum", [x: Shape![2, 3], y: Shape![1, 3]] x.minimum(&y);
        "kink/max", [x: Shape![2, 3]] x.max();
        "kink/min", [x: Shape![2, 3]] x.min();
        "kink/max_axis", [x: Shape![2, 3]] x.max_axis::<1>();
        "kink/min_axis", [x: Shape![2, 3]] x.min_axis::<1>();
        "kink/abs", [x: Shape![2]] x.abs();
        "kink/sign", [x: Shape![2]] x.sign();
        "kink/relu", [x: Shape![2]] x.relu();
        "kink/clamp", [x: Shape![3]] x.clamp(-1.0, 1.0);
        "kink/sqrt", [x: Shape![2]] x.sqrt();
        "kink/powf", [x: Shape![2]] x.powf(0.5);
        "kink/pow", [x: Shape![5], y: Shape![5]] x.pow(&y);
        "kink/powi_0", [x: Shape![2]] x.powi(0);
        "kink/prod", [x: Shape![3]] x.prod();
        "kink/prod_two_zeros", [x: Shape![3]] x.prod();
        "kink/std", [x: Shape![3]] x.std();
        "kink/norm", [x: Shape![2]] x.norm();
        "kink/logsumexp", [x: Shape![2]] x.logsumexp();
        "kink/logsumexp_nothing", [x: Shape![2]] x.logsumexp();
        "kink/nan_max", [x: Shape![3]] x.max();
        "kink/nan_maximum", [x: Shape![3], y: Shape![3]] x.maximum(&y);
    }

    what_people_write smooth {
        "expression/attention", [q: Shape![3, 4], k: Shape![5, 4], v: Shape![5, 2]]
            (q.matmul(&k.transpose()) / 2.0).softmax::<1>().matmul(&v);
        "expression/normalised", [x: Shape![3, 5], g: Shape![5], b: Shape![5]]
            (&x - x.mean_keep::<1>()) / (x.var_keep::<1>() + 1e-5).sqrt() * &g + &b;
        "expression/distances", [x: Shape![3, 4], y: Shape![2, 4]]
            (x.unsqueeze::<1>() - y.unsqueeze::<0>()).powi(2).sum_axis::<2>().sqrt();
        "expression/recurrent", [w: Shape![2, 2], u: Shape![2, 3], x: Shape![4, 3]] {
            let mut h = Variable::constant(Tensor::<Shape![2], E>::zeros());
            for row in x.rows() {
                h = (w.matmul(&h) + u.matmul(&row)).tanh();
            }
            h
        };
    }

    losses smooth {
        "loss/cross_entropy", [z: Shape![3, 4]] z.loss(&tensor![2, 0, 1], &CrossEntropyLoss).unwrap();
        "loss/bce", [z: Shape![3, 4]] z.loss(&chances::<E>(), &BCEWithLogitsLoss).unwrap();
        "loss/mse", [y: Shape![3, 4]] y.loss(&chances::<E>(), &MSELoss.sum()).unwrap();
    }
}

fn chances<E: Float>() -> Tensor<Shape![3, 4], E> {
    Fixture::open("autograd").tensor("loss/chances")
}

/// Over all elements, and along each axis of [2, 3, 4] with and without it.
macro_rules! reductions {
    ($($all:ident $axis:ident $keep:ident;)*) => {
        cases! {$(
            $all smooth {
                concat!(stringify!($all), "/all"), [x: Shape![2, 3, 4]] x.$all();
                concat!(stringify!($all), "/0"), [x: Shape![2, 3, 4]] x.$axis::<0>();
                concat!(stringify!($all), "/1"), [x: Shape![2, 3, 4]] x.$axis::<1>();
                concat!(stringify!($all), "/2"), [x: Shape![_, 3, 4]] x.$axis::<2>();
                concat!(stringify!($all), "/keep/0"), [x: Shape![2, 3, 4]] x.$keep::<0>();
                concat!(stringify!($all), "/keep/1"), [x: Shape![2, 3, 4]] x.$keep::<1>();
                concat!(stringify!($all), "/keep/2"), [x: Shape![2, 3, 4]] x.$keep::<2>();
            }
        )*}
    };
}

reductions! {
    sum sum_axis sum_keep;
    mean mean_axis mean_keep;
    prod prod_axis prod_keep;
    max max_axis max_keep;
    min min_axis min_keep;
    var var_axis var_keep;
    std std_axis std_keep;
    var_population var_population_axis var_population_keep;
    std_population std_population_axis std_population_keep;
    norm norm_axis norm_keep;
    logsumexp logsumexp_axis logsumexp_keep;
}
