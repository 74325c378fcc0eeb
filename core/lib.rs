//! Neural networks whose tensor sizes are types.
//!
//! You list layers in [`sequential!`]; the macro turns the list into a struct with straight-line forward and backward
//! code, and a network that does not fit together does not compile.
//!
//! ```
//! use plywood::prelude::*;
//!
//! sequential! {
//!     /// Mammal, bird, reptile, … from sixteen traits.
//!     pub struct ZooNet {
//!         Linear(16, 32),
//!         ReLU,
//!         out: Linear(_, 7),
//!     }
//! }
//!
//! let mut rng = Generator::manual_seed(0);
//! let mut model = ZooNet::init(&mut rng);
//! let x: Tensor<Shape![5, 16]> = Tensor::rand(&mut rng);
//! let labels = tensor![0, 1, 2, 3, 4];
//!
//! let mut optimizer = Adam::new(1e-2);
//! for _ in 0..10 {
//!     let (_loss, grads) = model.gradients(&x, &labels, &CrossEntropyLoss)?;
//!     optimizer.step(&mut model, &grads)?;
//! }
//! let y: Tensor<Shape![5, 7]> = model.forward(&x);
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! **[From PyTorch to Plywood](guide)** shows each construct of an introduction to PyTorch beside ours.
//!
//! Sizes live in [`dim`] and [`shape`], tensors in [`mod@tensor`], layers in [`nn`], then [`loss`], [`optim`], [`data`],
//! [`train`] and [`io`]; [`mod@graph`] shows a network as text, DOT or Mermaid. With the feature `plot`, `plywood::plot` draws
//! figures.

#![deny(missing_docs)]

#[doc(no_inline)]
pub use backend::{Device, Precision, float32_matmul_precision, set_float32_matmul_precision};
#[doc(no_inline)]
pub use dim::{D, Dim, Dyn, StaticDim};
#[doc(no_inline)]
pub use element::{Element, Float, Numeric};
#[doc(no_inline)]
pub use generator::Generator;
#[doc(hidden)]
pub use plywood_core::__private;
#[cfg(feature = "autograd")]
#[doc(inline)]
pub use plywood_core::autograd;
#[cfg(feature = "nccl")]
#[doc(inline)]
pub use plywood_core::distributed;
#[cfg(feature = "plot")]
#[doc(inline)]
pub use plywood_core::plot;
#[doc(inline)]
pub use plywood_core::{Error, MoveError, Result, math, num_threads, set_num_threads};
#[doc(inline)]
pub use plywood_core::{
    backend, data, dim, element, generator, graph, guide, io, loss, nn, optim, shape, tensor, train,
};
#[doc(inline)]
pub use plywood_macros::{Shape, Size, sequential, tensor};
#[doc(no_inline)]
pub use shape::{Features, Shape, StaticShape};
#[doc(no_inline)]
pub use tensor::{Tensor, TensorView, TensorViewMut};

// Not `prelude` itself: error messages would say `plywood::prelude::MSELoss` and not `plywood::loss::MSELoss`.
mod everything {
    /// Everything a program needs: `use plywood::prelude::*;`
    pub mod prelude {
        pub use plywood_core::prelude::*;
        pub use plywood_macros::{Shape, Size, sequential, tensor};
    }
}

pub use everything::prelude;
