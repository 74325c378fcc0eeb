//! Every way to declare a network compiles, also where a crate denies missing documentation and pedantic lints.

#![deny(missing_docs, missing_debug_implementations, unused, clippy::all, clippy::pedantic)]

use core::marker::PhantomData;
use plywood::nn::{Backward, Forward, Then};
use plywood::prelude::*;

/// Units of the hidden layer.
pub const HIDDEN: usize = 12;
/// A constant with a name that the macro would like to use itself.
pub const E: usize = 4;

mod own {
    use super::{Backward, Float, Forward, Layer, PhantomData, StaticDim};

    /// y = 2x, under names that the macro would like to use itself.
    #[derive(Debug)]
    pub(crate) struct B<N>(PhantomData<N>);

    impl<N: StaticDim> Layer for B<N> {
        type Input = (N,);
        type Output = (N,);
        type View<'a, T: Float> = ();
        const KIND: &'static str = "B";

        fn view<T: Float>(_params: &[T]) {}

        fn forward_pass<T: Float>(pass: Forward<'_, T>) {
            pass.y.iter_mut().zip(pass.x).for_each(|(y, x)| *y = *x + *x);
        }

        fn backward_pass<T: Float>(pass: Backward<'_, T>) {
            if let Some(dx) = pass.dx {
                dx.iter_mut().zip(pass.dy.iter()).for_each(|(dx, dy)| *dx = *dy + *dy);
            }
        }
    }
}
use own::B;

sequential! {
    /// Names, constants, options.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Encoder {
        first: Linear(16, HIDDEN),
        GELU(approximate = "tanh"),
        r#type: Linear(in_features = _, out_features = { HIDDEN - E }, bias = false),
    }
}

sequential! {
    /// Type parameters, another network inside.
    #[derive(Clone, Debug)]
    pub struct Whole<N: StaticDim, Code>
    where
        Code: StaticDim,
    {
        Linear(N, 16),
        LeakyReLU(0.2),
        encoder: Encoder,
        Tanh,
        Softmax(dim = -1),
        code: Linear(_, Code),
        Softplus(beta = 2, threshold = 30.0)
    }
}

sequential! {
    /// Shapes stated, a product of constants.
    #[derive(Clone, Debug)]
    pub(crate) struct Images: (1, E, HIDDEN) => 2 {
        Flatten,
        Linear(48, { 2 * E }),
        Identity,
        own::B(_),
        B(8),
        B<D<8>>,
        Linear(_, 2),
    }
}

sequential! {
    /// A sequence: `Linear` acts on the last size.
    #[derive(Debug)]
    struct Sequence: (5, 3) => (5, 2) {
        Linear(3, 4),
        ELU(alpha = 0.5),
        Linear(4, 2),
        LogSoftmax(dim = 2),
    }
}

/// Height and width of the images of [`Planes`].
pub const SIDE: usize = 9;

sequential! {
    /// Windows of literals, constants, pairs and names; sizes that only a constant tells.
    #[derive(Clone, Debug)]
    pub struct Planes: (3, SIDE, 7) => (E, 3, 2) {
        first: Conv2d(in_channels = 3, out_channels = HIDDEN, kernel = (3, 1), padding = "same"),
        SiLU,
        MaxPool2d(kernel_size = 2, padding = 1, ceil_mode = false),
        nn::Conv2d(_, E, { E - 1 }, 1, (1, 0), 1, 1, false, padding_mode = "zeros"),
        MaxPool2d((3, 1), (1, 1)),
    }
}

sequential! {
    /// Channels and sizes that the user of the network chooses: the windows keep them.
    #[derive(Clone, Debug)]
    pub struct Filter<C: StaticDim, N: StaticDim>: (C, N, N) => (2, N, N) {
        Conv2d(C, E, 5, padding = 2),
        ReLU,
        Conv2d(_, 2, 3, padding = "same", dilation = 2),
        MaxPool2d(3, 1, 1),
    }
}

sequential! {
    /// Images out of another network.
    #[derive(Clone, Debug)]
    pub struct Classified {
        planes: Planes,
        Conv2d(4, 2, 2),
        Flatten,
        Linear(_, 5),
    }
}

/// Images would lose a row, or a window would be another than it says.
#[test]
fn windows_mean_what_they_say() {
    // (3, 9, 7) → (12, 9, 7) → (12, 5, 4) → (4, 5, 2) → (4, 3, 2)
    let sizes: Vec<_> = Planes::LAYERS.iter().map(|layer| layer.output.to_vec()).collect();
    assert_eq!(sizes, [vec![12, 9, 7], vec![12, 9, 7], vec![12, 5, 4], vec![4, 5, 2], vec![4, 3, 2]]);
    let planes = Planes::init(&mut rng());
    assert_eq!(planes.first().weight().sizes(), [12, 3, 3, 1]);
    assert_eq!(planes.at::<3>().weight().sizes(), [4, 12, 3, 3]);
    assert_eq!(Planes::PARAMS, 12 * 3 * 3 + 12 + 4 * 12 * 9);
    let bound = 1.0 / 3.0;
    assert!(planes.first().weight().iter().all(|w| w.abs() <= bound), "1/√(3 · 3 · 1) bounds the weights");
    assert!(planes.first().weight().iter().any(|w| w.abs() > 0.9 * bound));
    assert_eq!(Planes::LAYERS[0].multiply_adds, 12 * 3 * 3 * 9 * 7);
    let names: Vec<String> = planes.state_dict().map(|tensor| tensor.name).collect();
    assert_eq!(names, ["first.weight", "first.bias", "3.weight"]);

    let filter = Filter::<Size![3], Size![11]>::init(&mut rng());
    assert_eq!(filter.forward(&Tensor::<Shape![2, 3, 11, 11]>::zeros()).sizes(), [2, 2, 11, 11]);
    let classified = Classified::init(&mut rng());
    assert_eq!(classified.forward(&Tensor::<Shape![3, 9, 7]>::zeros()).sizes(), [5]);
}

fn rng() -> Generator {
    Generator::manual_seed(0)
}

/// A declaration would not mean what it says.
#[test]
fn declarations_mean_what_they_say() {
    let whole = Whole::<D<5>, D<3>>::init(&mut rng());
    assert_eq!(whole.forward(&Tensor::<Shape![2, 5]>::zeros()).sizes(), [2, 3]);
    assert_eq!(whole.encoder().first().weight().sizes(), [12, 16]);
    assert_eq!(whole.encoder().r#type().weight().sizes(), [8, 12]);
    assert_eq!(whole.at::<2>().at::<0>().bias().sizes(), [12]);
    assert_eq!(whole.at::<5>().bias(), whole.code().bias());
    let names: Vec<String> = whole.state_dict().map(|tensor| tensor.name).collect();
    assert_eq!(
        names,
        [
            "0.weight",
            "0.bias",
            "encoder.first.weight",
            "encoder.first.bias",
            "encoder.type.weight",
            "code.weight",
            "code.bias"
        ]
    );

    assert_eq!(Images::PARAMS, 48 * 8 + 8 + 8 * 2 + 2);
    let images = Images::init(&mut rng());
    assert_eq!(images.forward(&Tensor::<Shape![2, 1, 4, 12]>::zeros()).sizes(), [2, 2]);
    let sequence = Sequence::init(&mut rng());
    assert_eq!(sequence.forward(&Tensor::<Shape![_, 5, 3]>::zeros_of((Dyn(2), D, D))).sizes(), [2, 5, 2]);
    assert_eq!(sequence.forward(&Tensor::<Shape![5, 3]>::zeros()).sizes(), [5, 2]);
}

/// A layer would be computed twice, or not at all: y = 2 · 2 · 2 · x between two identities.
#[test]
fn own_layers_take_part() {
    sequential! { struct Eight: 8 => 8 { B(8), B(_), Identity, B(8) } }
    let x: Tensor<Shape![1, 8]> = Tensor::ones();
    let model = Eight::init(&mut rng());
    assert_eq!(model.forward(&x).to_vec(), [8.0; 8]);
    let mut dx = [0.0; 8];
    let (y, mut dy, saved, mut scratch) = ([8.0f32; 8], [1.0; 8], [0.0; 64], [0.0; 64]);
    let batch = 1;
    <Eight as Layer>::backward_pass(Backward {
        params: &[],
        x: x.as_slice(),
        y: &y,
        saved: &saved,
        dy: &mut dy,
        dx: Some(&mut dx),
        dparams: &mut [],
        scratch: &mut scratch,
        batch,
    });
    assert_eq!(dx.to_vec(), [8.0; 8]);
}

/// An expression would not be usable where a value is.
#[test]
fn expressions_are_networks() {
    let small = sequential![Linear(6, E), ReLU, head: Linear(_, 1), Sigmoid].init(&mut rng());
    assert_eq!(small.forward(&Tensor::<Shape![5, 6]>::zeros()).sizes(), [5, 1]);
    assert_eq!(small.head().weight().sizes(), [1, 4]);
    let double = sequential![Linear(6, 4), Tanh].of::<f64>().init(&mut rng());
    assert_eq!(double.forward(&Tensor::<Shape![5, 6], f64>::zeros()).sizes(), [5, 4]);
}

/// A `Linear` would not take the activation after it, or a layer would take one that is not its own.
#[test]
fn fused_layers_are_those_after_a_linear() {
    let fused = |layers: &[plywood::nn::LayerInfo]| layers.iter().map(|layer| layer.fused).collect::<Vec<_>>();
    assert_eq!(fused(Encoder::LAYERS), [false, true, false]);
    assert_eq!(fused(Whole::<D<5>, D<3>>::LAYERS), [false, true, false, false, false, false, true]);
    assert_eq!(fused(Images::LAYERS), [false; 7]);
    assert_eq!(fused(Planes::LAYERS), [false, true, false, false, false]);
    assert_eq!(<Then<plywood::nn::Linear<D<2>, D<3>>, plywood::nn::SiLU> as Layer>::SAVED, 3);
}

/// Tokens that pass through a `macro_rules!` would lose their parentheses or their meaning.
#[test]
fn macros_can_write_networks() {
    macro_rules! network {
        ($name:ident, $layer:ident, $size:expr, $bias:literal, $activation:path) => {
            sequential! {
                struct $name { first: $layer(3, $size * 2, bias = $bias), $activation, Linear(_, 1) }
            }
        };
    }
    network!(Written, Linear, 1 + 2, false, Tanh);
    assert_eq!(Written::PARAMS, 3 * 6 + 6 + 1);
    assert_eq!(Written::init(&mut rng()).first().weight().sizes(), [6, 3]);

    macro_rules! any {
        ($($layer:tt)*) => { sequential![$($layer)*].init(&mut rng()) };
    }
    assert_eq!(any!(Linear(2, 3), B(_), Linear(3, 1)).parameters().len(), 13);

    macro_rules! twice {
        ($a:expr, $($row:expr),*) => {
            (tensor![$a * 2], tensor![$($row),*], Tensor::<Shape![$a * 2]>::zeros().sizes())
        };
    }
    let (doubled, rows, sizes) = twice!(1 + 2, [1, 2], [3, 4]);
    assert_eq!((doubled.to_vec(), rows.to_vec(), sizes), (vec![6], vec![1, 2, 3, 4], [6]));
}

/// Names of the user's would collide with what is emitted.
#[test]
fn names_of_the_users_are_their_own() {
    #[allow(dead_code)]
    type N = D<16>;
    sequential! {
        /// A network.
        #[cfg(all())]
        struct Named {
            /// The first of two.
            nn::Linear(2, 4),
            nn::ReLU,
            B::<D<4>>,
            last: Linear(4, 2),
        }
    }
    assert_eq!(Named::init(&mut rng()).last().bias().sizes(), [2]);
    sequential! {
        #[cfg(any())]
        struct Absent { Linear(2, 3) }
    }
    let uninit = sequential![Linear(2, 2)];
    let (a, b) = (uninit.init(&mut rng()), uninit.init(&mut rng()));
    assert_eq!(a, b.clone());
}
