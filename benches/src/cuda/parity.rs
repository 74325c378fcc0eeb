//! A network on a GPU against the same one on the CPU: output, loss, and the gradient of every parameter.

use crate::report::{Outcome, Report, Worst};
use plywood::loss::Loss;
use plywood::nn::Uninit;
use plywood::prelude::*;
use plywood::shape::InputOf;
use plywood::tensor::Storage;

/// A batch of any size of a network's inputs, and of its outputs.
pub(crate) type Inputs<M> = <<M as Layer>::Input as Features>::Batched<Dyn>;
pub(crate) type Outputs<M> = <<M as Layer>::Output as Features>::Batched<Dyn>;

/// What one step may be off by.
pub(crate) fn one_step<E: Float>() -> f64 {
    if size_of::<E>() == 4 { 1e-5 } else { 1e-10 }
}

/// The parameters of a network that may be on a GPU.
pub(crate) fn parameters<M: Model>(model: &M) -> Outcome<Vec<M::Elem>> {
    Ok(M::from_buffer(model.buffer().clone()).to(&Device::Cpu)?.parameters().to_vec())
}

/// Compares two blocks of parameters, or of gradients, tensor by tensor.
pub(crate) fn compare_state<M: Model>(worst: &mut Worst, what: &str, got: &[M::Elem], expected: &[M::Elem]) -> Outcome {
    for tensor in M::from_parameters(expected)?.state_dict() {
        let got = &got[tensor.offset..][..tensor.data.len()];
        worst.compare(&format!("{what} of {}", tensor.name), got, tensor.data)?;
    }
    Ok(())
}

/// The output, the loss and the gradients of one batch.
pub(crate) fn compare<M, X, T, L>(
    device: &Device,
    worst: &mut Worst,
    model: &M,
    x: &Tensor<X, M::Elem>,
    target: &T,
    loss: &L,
) -> Outcome
where
    M: Model,
    X: InputOf<M, Inputs<M>>,
    L: Loss<X::Of<M::Output>, T, M::Elem>,
{
    let there = M::from_parameters(model.parameters())?.to(device)?;
    let x_there = x.clone().to(device)?;
    let y = there.try_forward(&x_there)?.to(&Device::Cpu)?;
    worst.compare("the output", y.as_slice(), model.forward(x).as_slice())?;
    let (value, gradients) = model.gradients(x, target, loss)?;
    let (value_there, gradients_there) = there.gradients(&x_there, target, loss)?;
    worst.compare("the loss", &[value_there], &[value])?;
    compare_state::<M>(worst, "the gradient", &parameters(&*gradients_there)?, gradients.parameters())
}

/// A network with `MSELoss` on batches of these sizes.
pub(crate) fn network<M>(report: &mut Report, name: &str, batches: &[usize], _: Uninit<M>)
where
    M: Model,
    Inputs<M>: InputOf<M, Inputs<M>, Of<M::Output> = Outputs<M>>,
    MSELoss: Loss<Outputs<M>, Tensor<Outputs<M>, M::Elem>, M::Elem>,
{
    let name = format!("{name}, {}", M::Elem::DTYPE);
    report.check(&name, one_step::<M::Elem>(), |device, worst| {
        for batch in batches {
            let mut rng = Generator::manual_seed(*batch as u64);
            let model = M::init(&mut rng);
            let x = Tensor::randn_of(M::Input::default().batched(Dyn(*batch)), &mut rng);
            let target = Tensor::randn_of(M::Output::default().batched(Dyn(*batch)), &mut rng);
            compare(device, worst, &model, &x, &target, &MSELoss).map_err(|wrong| format!("batch {batch}: {wrong}"))?;
        }
        Ok(())
    });
}

/// A network's output as a vector on the CPU.
pub(crate) fn output<M, X, B>(model: &M, x: &Tensor<X, M::Elem, B>) -> Outcome<Vec<M::Elem>>
where
    M: Model,
    X: InputOf<M, Inputs<M>>,
    B: Storage<M::Elem>,
{
    Ok(model.try_forward(x)?.to(&Device::Cpu)?.to_vec())
}

/// A network, followed by layers that do nothing: for one of up to eight layers the CPU's code is made for its sizes and for
/// every instruction set, and that of two hundred would take an hour to build.
macro_rules! net {
    ($($layer:tt)*) => {
        sequential![$($layer)*, Identity, Identity, Identity, Identity, Identity, Identity, Identity, Identity]
    };
}
pub(crate) use net;

/// [`network`] in both element types.
macro_rules! both {
    ($report:expr, $name:expr, $batches:expr, $net:expr) => {{
        let net = $net;
        $crate::parity::network($report, $name, $batches, net.of::<f32>());
        $crate::parity::network($report, $name, $batches, net.of::<f64>());
    }};
}
pub(crate) use both;
