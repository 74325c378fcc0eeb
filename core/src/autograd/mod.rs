//! Reverse mode for free-form expressions: what a list of layers cannot say.
//!
//! A [`Variable`] is a tensor that knows how it was computed. It has the operations of [tensors](mod@crate::tensor) that
//! have a derivative, under the same names and with the same checks by types; a plain tensor or a number may stand
//! beside it. Control flow is Rust's. [`backward`](Variable::backward) of one number adds its derivative to the
//! [`grad`](Variable::grad) of every leaf it depends on, a tensor of the leaf's own type.
//!
//! ```
//! use plywood::prelude::*;
//!
//! // z = 2(x + 2)², at x = 1: dz/dx = 4(x + 2) = 12
//! let x = Tensor::<Shape![]>::full(1.0).requires_grad();
//! let z = 2.0 * (&x + 2.0).powi(2);
//! z.backward()?;
//! assert_eq!(z.item(), 18.0);
//! assert_eq!(x.grad().unwrap().item(), 12.0);
//!
//! // mean((Xw − y)²)
//! let inputs: Tensor<Shape![3, 1]> = tensor![[1.0], [2.0], [3.0]];
//! let y: Tensor<Shape![3]> = tensor![2.0, 4.0, 6.0];
//! let w: Variable<Shape![1]> = tensor![1.0].requires_grad();
//! let loss = (Variable::constant(inputs).matmul(&w) - y).square().mean();
//! loss.backward()?;
//! assert!((w.grad().unwrap().to_vec()[0] + 9.3333).abs() < 1e-4);
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! # Training by hand
//!
//! A leaf does not change: each step makes new ones of the tensors, which are yours. An
//! [optimizer](crate::optim) takes any block of numbers with its gradients.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let x: Tensor<Shape![4]> = tensor![0.0, 1.0, 2.0, 3.0];
//! let y: Tensor<Shape![4]> = tensor![1.0, 3.0, 5.0, 7.0];
//! let (mut a, mut b) = (Tensor::<Shape![]>::zeros(), Tensor::<Shape![]>::zeros());
//! for _ in 0..200 {
//!     let (slope, offset) = (a.clone().requires_grad(), b.clone().requires_grad());
//!     let loss = (&slope * &x + &offset - &y).square().mean();
//!     loss.backward()?;
//!     a -= slope.grad().unwrap() * 0.1;
//!     b -= offset.grad().unwrap() * 0.1;
//! }
//! assert!((a.item() - 2.0).abs() < 0.01 && (b.item() - 1.0).abs() < 0.03);
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! # Networks and losses in an expression
//!
//! [`model.requires_grad()`](crate::nn::Model::requires_grad) makes a function of a network from
//! [`sequential!`](../../plywood/macro.sequential.html): forward and backward stay the generated code, in one node. Any
//! [`Loss`](crate::loss::Loss) goes on top with [`loss`](Variable::loss).
//!
//! ```
//! use plywood::prelude::*;
//!
//! let mut rng = Generator::manual_seed(0);
//! let mut encoder = sequential![Linear(4, 8), ReLU].init(&mut rng);
//! let mut head = sequential![Linear(8, 3)].init(&mut rng);
//! let (mut first, mut second) = (Adam::new(1e-2), Adam::new(1e-2));
//! let (left, right) = (Tensor::<Shape![5, 4]>::rand(&mut rng), Tensor::<Shape![5, 4]>::rand(&mut rng));
//! let labels = tensor![0, 1, 2, 1, 0];
//!
//! for _ in 0..3 {
//!     let (f, g) = (encoder.requires_grad(), head.requires_grad());
//!     // Two inputs through one encoder; what they disagree on is classified, and large codes cost something.
//!     let code = (f.forward(&left) - f.forward(&right)).abs();
//!     let loss = g.forward(&code).loss(&labels, &CrossEntropyLoss)? + 0.01 * code.square().mean();
//!     loss.backward()?;
//!     first.step(&mut encoder, &f.grad().unwrap())?;
//!     second.step(&mut head, &g.grad().unwrap())?;
//! }
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! # Several losses, accumulation, and what is spent
//!
//! Gradients of several backward calls add up until [`zero_grad`](Variable::zero_grad). Each call frees what the
//! operations had saved for it, so that a second one over the same part of a graph is an error;
//! [`backward_retain_graph`](Variable::backward_retain_graph) keeps it.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let x = tensor![1.0, 2.0].requires_grad();
//! let y = x.exp();
//! y.sum().backward_retain_graph()?;
//! y.mean().backward()?;
//! assert_eq!(x.grad().unwrap(), x.value().exp() * 1.5);
//! assert!(y.max().backward().is_err());
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! [`detach`](Variable::detach) makes a constant of a value, and within [`no_grad`] every result is one. What has no
//! derivative, as a comparison or `argmax`, is asked of the [`value`](Variable::value).
//!
//! Where a function has a kink, the derivative is PyTorch's: each operation says which. A graph belongs to the thread
//! that made it.

mod along;
mod arithmetic;
mod broadcast;
mod elementwise;
mod graph;
mod index;
mod join;
mod lanes;
mod matmul;
mod model;
mod no_grad;
mod node;
#[cfg(feature = "cuda")]
mod on_gpu;
mod operand;
mod reduce;
mod reshape;
mod variable;

pub use index::Along;
pub use join::SplitInto;
pub use model::ModelVariable;
pub use no_grad::{is_grad_enabled, no_grad};
pub use operand::Operand;
pub use variable::{OneElement, Variable};
