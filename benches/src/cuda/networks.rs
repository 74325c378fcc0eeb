//! The networks that PyTorch's numbers are known of, over many steps: here against the CPU, by `torch_check.py` against PyTorch
//! on the same GPU.

use crate::parity::{Inputs, compare_state, parameters};
use crate::report::{Outcome, Report};
use plywood::loss::Loss;
use plywood::prelude::*;
use plywood::shape::InputOf;
use plywood_tests::fixture::Fixture;
use plywood_tests::networks::*;

pub(crate) const STEPS: usize = 100;

/// What rounding makes of 100 steps. A difference in the seventh digit of one step is in every later one; where Adam divides
/// by the root of a small number it grows.
fn bounds<E: Float>() -> f64 {
    if size_of::<E>() == 4 { 2e-3 } else { 1e-7 }
}

/// Trains on one batch; gives every loss, and the parameters after the last step.
#[allow(clippy::type_complexity)]
fn train<M, X, T, L, O>(
    model: M,
    (x, target): (&Tensor<X, M::Elem>, &T),
    loss: L,
    optimizer: O,
    steps: usize,
    device: &Device,
) -> Outcome<(Vec<M::Elem>, Vec<M::Elem>)>
where
    M: Model,
    X: InputOf<M, Inputs<M>>,
    L: Loss<X::Of<M::Output>, T, M::Elem> + 'static,
    O: Optimizer<M::Elem> + 'static,
{
    let mut trainer = Trainer::new(model, loss, optimizer).on(device)?;
    let losses = (0..steps).map(|_| trainer.step(x, target)).collect::<plywood::Result<_>>()?;
    Ok((losses, parameters(trainer.model())?))
}

/// A network, its data of the fixture, its loss and its optimizer, as `tests/parity/networks.py` has them.
macro_rules! networks {
    ($each:ident) => {
        $each!(shallow: Shallow, Shape![5, 4], Shape![5, 3]; MSELoss, SGD::new(0.1));
        $each!(single: Single, Shape![1, 1], Shape![1, 1]; MSELoss, Adam::new(0.05));
        $each!(zoo: Zoo, Shape![5, 16], Shape![5], i64; CrossEntropyLoss, Adam::new(1e-2));
        $each!(deep: Deep, Shape![3, 7], Shape![3, 1]; MSELoss.sum(), SGD::new(0.01).momentum(0.9));
        $each!(chance: Chance, Shape![5, 6], Shape![5, 1]; BCELoss, SGD::new(0.1).momentum(0.8).nesterov(true));
        $each!(unbiased: Unbiased, Shape![7, 13], Shape![7, 3];
            BCEWithLogitsLoss, Adam::new(0.02).betas(0.8, 0.95).eps(1e-6));
        $each!(picture: Picture, Shape![5, 3, 5], Shape![5, 4]; CrossEntropyLoss, SGD::new(0.1).weight_decay(0.1));
        $each!(rows: Rows, Shape![3, 3, 5], Shape![3, 3, 2]; MSELoss, SGD::new(0.1).momentum(0.9).dampening(0.3));
        $each!(nested: Nested, Shape![5, 7], Shape![5, 7]; MSELoss, Adam::new(0.01).weight_decay(0.1));
        $each!(autoencoder: Autoencoder<D<17>, D<3>>, Shape![7, 17], Shape![7, 17];
            MSELoss, SGD::new(0.5).momentum(0.5).weight_decay(0.01));
        $each!(attention: Attention, Shape![3, 5], Shape![3, 3];
            MSELoss, SGD::new(0.1).momentum(0.9).weight_decay(0.05).nesterov(true));
        $each!(sandwich: Sandwich, Shape![5, 7], Shape![5, 7]; MSELoss, AdamW::new(0.01).betas(0.5, 0.9));
        $each!(wide: Wide, Shape![17, 33], Shape![17, 17]; BCEWithLogitsLoss.sum(), Adam::new(1e-3));
        $each!(hourglass: Hourglass, Shape![7, 13], Shape![7], i64;
            CrossEntropyLoss, SGD::new(0.1).momentum(0.8).dampening(0.1).weight_decay(0.02));
        $each!(images: Images, Shape![5, 2, 9, 7], Shape![5], i64; CrossEntropyLoss, Adam::new(0.01));
        $each!(filter: Filter, Shape![3, 1, 6, 8], Shape![3, 2, 2, 2]; MSELoss, SGD::new(0.1).momentum(0.9));
    };
}

fn fixture() -> Fixture {
    Fixture::of("networks", include_bytes!("../../../tests/parity/fixtures/networks.safetensors"))
}

/// `$run!(network's type, element type, x, target, loss, optimizer)` for both element types.
macro_rules! in_both {
    ($run:ident, $name:ident: $Net:ident $(<$($size:ty),*>)?, $x:ty, $target:ty $(, $label:ty)?; $loss:expr, $optimizer:expr) => {
        in_both!(@ $run, $name, $Net<$($($size,)*)? f32>, f32, $x, $target, [$($label,)? f32]; $loss, $optimizer);
        in_both!(@ $run, $name, $Net<$($($size,)*)? f64>, f64, $x, $target, [$($label,)? f64]; $loss, $optimizer);
    };
    (@ $run:ident, $name:ident, $Net:ty, $E:ty, $x:ty, $target:ty, [$T:ty $(, $unused:ty)?]; $loss:expr, $optimizer:expr) => {{
        let (name, fixture) = (stringify!($name), fixture());
        let mut model = <$Net as Model>::init(&mut Generator::manual_seed(0));
        fixture.load(&format!("{name}/initial"), &mut model);
        let x: Tensor<$x, $E> = fixture.tensor(&format!("{name}/x"));
        let target: Tensor<$target, $T> = fixture.tensor(&format!("{name}/target"));
        $run!(name, $Net, $E, model, x, target, $loss, $optimizer);
    }};
}

pub(crate) fn check(report: &mut Report) {
    let steps = if report.quick { 20 } else { STEPS };
    macro_rules! run {
        ($name:ident, $Net:ty, $E:ty, $model:ident, $x:ident, $target:ident, $loss:expr, $optimizer:expr) => {
            let title = format!("training: {}, {steps} steps, {}", $name, <$E>::DTYPE);
            report.check(&title, bounds::<$E>(), |device, worst| {
                let copy = <$Net>::from_parameters($model.parameters())?;
                let (expected, state) = train(copy, (&$x, &$target), $loss, $optimizer, steps, &Device::Cpu)?;
                let copy = <$Net>::from_parameters($model.parameters())?;
                let (got, state_there) = train(copy, (&$x, &$target), $loss, $optimizer, steps, device)?;
                worst.compare("the losses", &got, &expected)?;
                compare_state::<$Net>(worst, "the parameters", &state_there, &state)
            });
        };
    }
    macro_rules! each {
        ($($network:tt)*) => { in_both!(run, $($network)*) };
    }
    networks!(each);
}

/// A line of JSON for each network: the losses of its steps on the device.
pub(crate) fn losses(device: &Device) -> Outcome {
    macro_rules! run {
        ($name:ident, $Net:ty, $E:ty, $model:ident, $x:ident, $target:ident, $loss:expr, $optimizer:expr) => {
            let (losses, _) = train($model, (&$x, &$target), $loss, $optimizer, STEPS, device)?;
            println!("{}", serde_json::json!({ "network": $name, "type": <$E>::DTYPE.to_string(), "losses": losses }));
        };
    }
    macro_rules! each {
        ($($network:tt)*) => { in_both!(run, $($network)*) };
    }
    networks!(each);
    Ok(())
}
