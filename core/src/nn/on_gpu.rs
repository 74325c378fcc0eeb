//! A network's passes on a GPU.

use super::model::Wanted;
use super::{Gradients, Model, Workspace};
use crate::backend::Buffer;
use crate::backend::cuda::{Executor, Input, Memory};
use crate::element::{Element, Float};
use crate::error::{Error, Result};
use crate::loss::{DeviceLoss, Loss};
use crate::shape::{InputOf, Shape, StaticShape};
use crate::tensor::{Storage, Tensor};

/// The memory of a network and of its input, which are on the same GPU.
pub(crate) fn operands<'a, M: Model, X: Shape, B: Storage<M::Elem>>(
    model: &'a M,
    x: &'a Tensor<X, M::Elem, B>,
) -> Result<(&'a Memory, &'a Memory)> {
    match (model.buffer().memory(), x.memory()) {
        (Some(parameters), Some(memory)) if parameters.gpu() == memory.gpu() => Ok((parameters, memory)),
        _ => Err(Error::Devices {
            what: "the network",
            left: model.device().to_string(),
            other: "its input",
            right: x.device().to_string(),
        }),
    }
}

/// A batch's numbers, wherever they are.
pub(crate) fn input<S: Shape, E: Element, B: Storage<E>>(x: &Tensor<S, E, B>) -> Input<'_> {
    match x.memory() {
        Some(memory) => Input::There(memory),
        None => Input::Here(bytemuck::cast_slice(x.as_slice())),
    }
}

/// A loss on a batch of the network's inputs, for the GPU.
pub(crate) fn loss_of<'t, M, X, T, L>(loss: &L, x: X, target: &'t T) -> Result<DeviceLoss<'t>>
where
    M: Model,
    X: InputOf<M, Wanted<M>>,
    L: Loss<X::Of<M::Output>, T, M::Elem>,
{
    Ok(DeviceLoss { batch: x.batch(), ..loss.on_device(x.of::<M::Output>(), target)? })
}

impl<M: Model> Workspace<M> {
    /// What runs the network on the GPU of its parameters.
    pub(crate) fn executor(&mut self, parameters: &Memory) -> Result<(&mut Executor, &mut Gradients<M>)> {
        let gpu = parameters.gpu();
        if self.executor.as_ref().is_none_or(|executor| executor.gpu() != gpu) {
            self.executor = Some(Executor::new(gpu, M::LAYERS, <M::Elem as Element>::DTYPE)?);
        }
        if self.gradients.buffer().gpu() != Some(gpu) {
            let memory = Memory::zeros(gpu, M::PARAMS * size_of::<M::Elem>())?;
            *self.gradients.buffer_mut() = Buffer::on_gpu(memory, M::PARAMS);
        }
        Ok((self.executor.as_mut().expect("just made"), &mut self.gradients))
    }
}

/// [`Model::try_forward`].
#[allow(clippy::type_complexity)]
pub(super) fn forward<M, X, B>(model: &M, x: &Tensor<X, M::Elem, B>) -> Result<Tensor<X::Of<M::Output>, M::Elem>>
where
    M: Model,
    X: InputOf<M, Wanted<M>>,
    B: Storage<M::Elem>,
{
    let (parameters, input) = operands(model, x)?;
    let (batch, real) = (x.shape().batch(), <M::Elem as Element>::DTYPE);
    let y = parameters
        .gpu()
        .with_executor(M::LAYERS, real, |executor| executor.forward(parameters, Input::There(input), batch))?;
    Ok(Tensor::from_buffer(x.shape().of::<M::Output>(), Buffer::on_gpu(y, batch * M::Output::NUMEL)))
}

/// [`Model::gradients_with`].
pub(super) fn gradients<'w, M, X, B, T, L>(
    model: &M,
    workspace: &'w mut Workspace<M>,
    x: &Tensor<X, M::Elem, B>,
    target: &T,
    loss: &L,
) -> Result<(M::Elem, &'w mut Gradients<M>)>
where
    M: Model,
    X: InputOf<M, Wanted<M>>,
    B: Storage<M::Elem>,
    L: Loss<X::Of<M::Output>, T, M::Elem>,
{
    let (parameters, input) = operands(model, x)?;
    let loss = loss_of::<M, X, T, L>(loss, x.shape(), target)?;
    let (executor, gradients) = workspace.executor(parameters)?;
    let block = gradients.buffer().memory().expect("on the GPU");
    executor.gradients(parameters, block, Input::There(input), &loss)?;
    let (stats, _) = executor.take_stats()?;
    if let Some(position) = stats.bad {
        return Err(executor.refusal(&loss, position)?);
    }
    Ok((M::Elem::of(stats.loss), gradients))
}
