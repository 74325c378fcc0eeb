//! A network in an expression: what each use computed stays until the gradient comes back.

use super::executor::Executor;
use super::memory::Memory;
use super::network::Space;
use crate::error::Result;

/// One use of a network.
#[derive(Debug)]
pub(crate) struct Pass {
    space: Space,
}

impl Executor {
    /// The output for a batch, and what the gradients will need.
    pub(crate) fn pass(&self, parameters: &Memory, x: &Memory, batch: usize) -> Result<(Memory, Pass)> {
        let (network, stream) = (self.network(), self.gpu().0.stream);
        let space = network.space(batch, true)?.without_masks();
        let bytes = network.bytes_of(batch * network.output);
        let y = Memory::new(self.gpu(), bytes)?;
        if batch > 0 {
            network.forward(&space, parameters.pointer(), x.pointer(), stream)?;
            y.write_from(0, space.output(), bytes, stream)?;
        }
        Ok((y, Pass { space }))
    }

    /// The gradients of the parameters, and of the input where there is a place for it, from that of the output. The pass
    /// may come back again.
    pub(crate) fn pass_back(
        &self,
        pass: &Pass,
        (parameters, x): (&Memory, &Memory),
        dy: &Memory,
        (gradients, dx): (&Memory, Option<&Memory>),
    ) -> Result<()> {
        let (network, stream) = (self.network(), self.gpu().0.stream);
        if pass.space.batch == 0 {
            return gradients.clear(stream);
        }
        pass.space.set_output_gradient(dy, network.bytes_of(pass.space.batch * network.output), stream)?;
        let to = (gradients.pointer(), dx.map(Memory::pointer));
        network.backward(&pass.space, parameters.pointer(), x.pointer(), to, stream)
    }
}
