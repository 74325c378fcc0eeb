use super::model::Wanted;
use super::{Gradients, Layer, Model};
use crate::backend::Buffer;
#[cfg(feature = "cuda")]
use crate::backend::cuda::Executor;
use crate::shape::{InputOf, Shape, StaticShape};
use crate::tensor::TensorView;

/// The memory of a training step: activations, their gradients, and the parameters' gradients.
///
/// It grows to the largest batch it has seen and is then reused, so a step allocates nothing.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut model = sequential![Linear(2, 3), Tanh, Linear(3, 1)].init(&mut Generator::manual_seed(0));
/// let (x, y) = (Tensor::<Shape![4, 2]>::ones(), Tensor::<Shape![4, 1]>::zeros());
/// let mut sgd = SGD::new(0.1);
/// let mut workspace = Workspace::new();
/// for _ in 0..10 {
///     let (loss, grads) = model.gradients_with(&mut workspace, &x, &y, &MSELoss)?;
///     sgd.step(&mut model, grads)?;
/// }
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Debug)]
pub struct Workspace<M: Model> {
    memory: Buffer<M::Elem>,
    pub(super) gradients: Gradients<M>,
    #[cfg(feature = "cuda")]
    pub(super) executor: Option<Executor>,
}

/// A workspace cut into its parts for one batch.
pub(super) struct Parts<'a, M: Model> {
    pub(super) saved: &'a mut [M::Elem],
    pub(super) y: &'a mut [M::Elem],
    pub(super) dy: &'a mut [M::Elem],
    pub(super) scratch: &'a mut [M::Elem],
    pub(super) gradients: &'a mut Gradients<M>,
}

impl<M: Model> Workspace<M> {
    /// An empty workspace; the first step gives it its memory.
    #[must_use]
    pub fn new() -> Self {
        Workspace {
            memory: Buffer::zeros(0),
            gradients: Gradients::zeros(),
            #[cfg(feature = "cuda")]
            executor: None,
        }
    }

    /// The output of the last forward pass, which was on a batch of this shape.
    pub(crate) fn output<X: InputOf<M, Wanted<M>>>(&self, input: X) -> TensorView<'_, X::Of<M::Output>, M::Elem> {
        let (batch, shape) = (input.batch(), input.of::<M::Output>());
        TensorView::of_slice(shape, &self.memory.as_slice()[batch * <M as Layer>::SAVED..][..shape.numel()])
    }

    #[inline(always)]
    pub(super) fn parts(&mut self, batch: usize) -> Parts<'_, M> {
        #[cfg(feature = "cuda")]
        if self.gradients.buffer().memory().is_some() {
            self.gradients = Gradients::zeros();
        }
        let output = batch * <M::Output as StaticShape>::NUMEL;
        let [saved, scratch] = [<M as Layer>::SAVED, <M as Layer>::SCRATCH].map(|n| n * batch);
        let needed = saved + 2 * output + scratch;
        if self.memory.as_slice().len() < needed {
            self.grow(needed);
        }
        // Of a length that the compiler knows where it knows the batch.
        let memory = &mut self.memory.as_mut_slice()[..needed];
        let (saved, rest) = memory.split_at_mut(saved);
        let (y, rest) = rest.split_at_mut(output);
        let (dy, rest) = rest.split_at_mut(output);
        Parts { saved, y, dy, scratch: rest, gradients: &mut self.gradients }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.memory.resize(needed);
    }
}

impl<M: Model> Default for Workspace<M> {
    fn default() -> Self {
        Self::new()
    }
}
