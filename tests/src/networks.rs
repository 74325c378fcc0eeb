//! Networks of different depth, shape and kind; `parity/networks.py` has the same ones in PyTorch.

use core::marker::PhantomData;
use plywood::nn::{Backward, Forward, TensorInfo};
use plywood::prelude::*;

/// A layer of one's own, not known to the macro: y = w · x, element by element.
///
/// Its name begins like that of a layer that takes in the activation after it; this one does not.
pub struct LinearScale<N>(PhantomData<N>);

impl<N: StaticDim> Layer for LinearScale<N> {
    type Input = (N,);
    type Output = (N,);
    type View<'a, E: Float> = TensorView<'a, (N,), E>;
    const KIND: &'static str = "LinearScale";
    const TENSORS: &'static [TensorInfo] = &[TensorInfo { name: "weight", shape: &[N::SIZE], offset: 0 }];
    const MULTIPLY_ADDS: usize = N::SIZE;

    fn reset_parameters<E: Float>(params: &mut [E], _rng: &mut Generator) {
        params.fill(E::one());
    }

    fn view<E: Float>(params: &[E]) -> TensorView<'_, (N,), E> {
        TensorView::borrow(params).expect("one factor a feature")
    }

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        for (i, (y, x)) in pass.y.iter_mut().zip(pass.x).enumerate() {
            *y = pass.params[i % N::SIZE] * *x;
        }
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        pass.dparams.fill(E::zero());
        for (i, (dy, x)) in pass.dy.iter().zip(pass.x).enumerate() {
            pass.dparams[i % N::SIZE] += *dy * *x;
        }
        if let Some(dx) = pass.dx {
            for (i, (dx, dy)) in dx.iter_mut().zip(pass.dy.iter()).enumerate() {
                *dx = *dy * pass.params[i % N::SIZE];
            }
        }
    }
}

sequential! {
    /// One layer.
    pub struct Shallow {
        Linear(4, 3),
    }
}

sequential! {
    /// One number in, one number out.
    pub struct Single {
        Linear(1, 1),
        Tanh,
        Linear(1, 1),
    }
}

sequential! {
    /// Sixteen traits to seven classes.
    pub struct Zoo {
        Linear(16, 32),
        ReLU,
        out: Linear(_, 7),
    }
}

sequential! {
    /// Five layers of sizes that are no multiple of a vector's width.
    pub struct Deep {
        Linear(7, 13),
        Tanh,
        Linear(13, 17),
        Sigmoid,
        Linear(17, 33),
        SiLU,
        Linear(33, 7),
        GELU,
        Linear(7, 1),
    }
}

sequential! {
    /// A probability.
    pub struct Chance {
        Linear(6, 4),
        Softplus,
        Linear(4, 1),
        Sigmoid,
    }
}

sequential! {
    /// Logits without a bias before.
    pub struct Unbiased {
        Linear(13, 17, bias = false),
        LeakyReLU(0.2),
        Linear(17, 3),
    }
}

sequential! {
    /// A sample with two sizes, flattened.
    pub struct Picture: (3, 5) => 4 {
        Flatten,
        Linear(15, 7),
        ELU(0.5),
        Linear(7, 4),
    }
}

sequential! {
    /// The same map for each of three rows.
    pub struct Rows: (3, 5) => (3, 2) {
        Linear(5, 7),
        Hardtanh(-0.5, 0.5),
        Linear(7, 2),
    }
}

sequential! {
    /// The first half of [`Nested`].
    pub struct Encoder {
        Linear(7, 13),
        GELU(approximate = "tanh"),
        last: Linear(13, 5),
    }
}

sequential! {
    /// The second half of [`Nested`].
    pub struct Decoder {
        Linear(3, 11),
        SiLU,
        Linear(11, 7),
    }
}

sequential! {
    /// Networks in a network.
    pub struct Nested {
        encoder: Encoder,
        Tanh,
        code: Linear(_, 3),
        Softplus(2.0, 5.0),
        decoder: Decoder,
    }
}

sequential! {
    /// Sizes that the user of the network chooses.
    pub struct Autoencoder<N: StaticDim, Code: StaticDim> {
        squeeze: Linear(N, Code),
        Tanh,
        Linear(Code, N),
    }
}

sequential! {
    /// Probabilities inside, logarithms of them outside.
    pub struct Attention {
        Linear(5, 7),
        Softmax,
        Linear(7, 3),
        LogSoftmax,
    }
}

sequential! {
    /// Activations where no layer before takes them in.
    pub struct Sandwich: 7 => 7 {
        SiLU,
        Linear(_, 7),
        Identity,
        LeakyReLU(-0.3),
        Tanh,
        ELU,
        Linear(_, 7, bias = false),
        Identity,
    }
}

sequential! {
    /// A layer of one's own.
    pub struct Scaled {
        scale: LinearScale(7),
        Sigmoid,
        Linear(_, 3),
    }
}

sequential! {
    /// Large enough for the blocked matrix product.
    pub struct Wide {
        Linear(33, 65),
        ReLU,
        Linear(65, 33),
        GELU,
        out: Linear(33, 17),
    }
}

sequential! {
    /// Thin and thick by turns: the gradients between layers need two slots of different size.
    pub struct Hourglass {
        Linear(13, 3),
        GELU,
        Linear(3, 33),
        Tanh,
        Linear(33, 5),
        ELU,
        Linear(5, 17),
    }
}

sequential! {
    /// Images of two channels.
    pub struct Images: (2, 9, 7) => 3 {
        Conv2d(2, 5, kernel = 3, padding = 1),
        Tanh,
        MaxPool2d(2),
        last: Conv2d(_, 4, (3, 2), stride = (2, 1), padding = (1, 0), bias = false),
        GELU,
        Flatten,
        Linear(16, 3),
    }
}

sequential! {
    /// Images to images: windows that overlap, that leave gaps, and padding on one side only.
    pub struct Filter: (1, 6, 8) => (2, 2, 2) {
        MaxPool2d(3, stride = (1, 2), padding = 1),
        Conv2d(1, 3, (2, 3), padding = "same", dilation = (2, 1)),
        Sigmoid,
        Conv2d(3, 2, 3, 2),
        MaxPool2d((1, 2), 1, (0, 1)),
    }
}

/// Calls `$each!(name, Network, [input sizes] => [output sizes])` for every network.
#[macro_export]
macro_rules! each_network {
    ($each:ident) => {
        $each!(shallow, $crate::networks::Shallow, [4] => [3]);
        $each!(single, $crate::networks::Single, [1] => [1]);
        $each!(zoo, $crate::networks::Zoo, [16] => [7]);
        $each!(deep, $crate::networks::Deep, [7] => [1]);
        $each!(chance, $crate::networks::Chance, [6] => [1]);
        $each!(unbiased, $crate::networks::Unbiased, [13] => [3]);
        $each!(picture, $crate::networks::Picture, [3, 5] => [4]);
        $each!(rows, $crate::networks::Rows, [3, 5] => [3, 2]);
        $each!(nested, $crate::networks::Nested, [7] => [7]);
        $each!(autoencoder, $crate::networks::Autoencoder<plywood::D<17>, plywood::D<3>>, [17] => [17]);
        $each!(attention, $crate::networks::Attention, [5] => [3]);
        $each!(sandwich, $crate::networks::Sandwich, [7] => [7]);
        $each!(scaled, $crate::networks::Scaled, [7] => [3]);
        $each!(wide, $crate::networks::Wide, [33] => [17]);
        $each!(hourglass, $crate::networks::Hourglass, [13] => [17]);
        $each!(images, $crate::networks::Images, [2, 9, 7] => [3]);
        $each!(filter, $crate::networks::Filter, [1, 6, 8] => [2, 2, 2]);
    };
}
