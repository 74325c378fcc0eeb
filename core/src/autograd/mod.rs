//! Reverse mode for free-form expressions.

mod along;
mod arithmetic;
mod broadcast;
mod elementwise;
mod index;
mod join;
mod lanes;
mod matmul;
mod model;
mod no_grad;
mod node;
mod operand;
mod reduce;
mod reshape;
mod variable;

pub use index::Along;
pub use model::ModelVariable;
pub use no_grad::{is_grad_enabled, no_grad};
pub use operand::Operand;
pub use variable::{OneElement, Variable};
