//! Every loss, its mean and its sum, with targets here and on the GPU; and how many predictions are right.

use crate::parity::{self, Inputs, Outputs, net, one_step, parameters};
use crate::report::{Report, ensure};
use plywood::loss::Loss;
use plywood::prelude::*;
use plywood::shape::InputOf;

// With layers that do nothing, as `net!` says.
sequential! { struct Logits<N: StaticDim> { Linear(5, N), Identity, Identity, Identity, Identity, Identity, Identity, Identity, Identity } }
sequential! { struct Chances<N: StaticDim> { Linear(5, N), Sigmoid, Identity, Identity, Identity, Identity, Identity, Identity, Identity, Identity } }

/// `moved` gives the target for the GPU: itself, or there already.
fn loss<M, T, U, L>(
    report: &mut Report,
    name: &str,
    batch: usize,
    target: impl Fn(&mut Generator) -> T,
    moved: impl Fn(T, &Device) -> plywood::Result<U>,
    loss: &L,
) where
    M: Model,
    T: Clone,
    Inputs<M>: InputOf<M, Inputs<M>, Of<M::Output> = Outputs<M>>,
    L: Loss<Outputs<M>, T, M::Elem> + Loss<Outputs<M>, U, M::Elem>,
{
    let name = format!("losses: {name}, batch {batch}, {}", M::Elem::DTYPE);
    report.check(&name, one_step::<M::Elem>(), |device, worst| {
        let mut rng = Generator::manual_seed(3);
        let model = M::init(&mut rng);
        let x = Tensor::randn_of(M::Input::default().batched(Dyn(batch)), &mut rng);
        let target = target(&mut rng);
        parity::compare(device, worst, &model, &x, &target, loss)?;
        let there = M::from_parameters(model.parameters())?.to(device)?;
        let target_there = moved(target.clone(), device)?;
        let (value, gradients) = model.gradients(&x, &target, loss)?;
        let (value_there, gradients_there) = there.gradients(&x.to(device)?, &target_there, loss)?;
        worst.compare("the loss with the target on the GPU", &[value_there], &[value])?;
        worst.compare("the gradient", &parameters(&*gradients_there)?, gradients.parameters())
    });
}

/// Targets of every element.
macro_rules! pointwise {
    ($report:expr, $E:ty, $batch:expr) => {{
        let normal = |rng: &mut Generator| Tensor::<Shape![_, 7], $E>::randn_of((Dyn($batch), D), rng);
        let chance = |rng: &mut Generator| Tensor::<Shape![_, 7], $E>::rand_of((Dyn($batch), D), rng);
        let to = |target: Tensor<Shape![_, 7], $E>, device: &Device| Ok(target.to(device)?);
        type P = Logits<D<7>, $E>;
        type C = Chances<D<7>, $E>;
        loss::<P, _, _, _>($report, "MSELoss", $batch, normal, to, &MSELoss);
        loss::<P, _, _, _>($report, "MSELoss.sum()", $batch, normal, to, &MSELoss.sum());
        loss::<P, _, _, _>($report, "BCEWithLogitsLoss", $batch, chance, to, &BCEWithLogitsLoss);
        loss::<P, _, _, _>($report, "BCEWithLogitsLoss.sum()", $batch, chance, to, &BCEWithLogitsLoss.sum());
        loss::<C, _, _, _>($report, "BCELoss", $batch, chance, to, &BCELoss);
        loss::<C, _, _, _>($report, "BCELoss.sum()", $batch, chance, to, &BCELoss.sum());
    }};
}

/// Classes, as labels and as probabilities.
macro_rules! classes {
    ($report:expr, $E:ty, $batch:expr, $classes:literal) => {{
        let labels = |rng: &mut Generator| {
            let labels = (0..$batch).map(|_| rng.below($classes) as i32).collect();
            Tensor::<Shape![_], i32>::from_vec(labels).expect("any number of labels")
        };
        let shares = |rng: &mut Generator| Tensor::<Shape![_, $classes], $E>::rand_of((Dyn($batch), D), rng);
        let labels_to = |target: Tensor<Shape![_], i32>, device: &Device| Ok(target.to(device)?);
        let shares_to = |target: Tensor<Shape![_, $classes], $E>, device: &Device| Ok(target.to(device)?);
        type L = Logits<D<$classes>, $E>;
        let name = |loss: &str| format!("{loss} of {} classes", $classes);
        loss::<L, _, _, _>($report, &name("CrossEntropyLoss"), $batch, labels, labels_to, &CrossEntropyLoss);
        loss::<L, _, _, _>(
            $report,
            &name("CrossEntropyLoss.sum()"),
            $batch,
            labels,
            labels_to,
            &CrossEntropyLoss.sum(),
        );
        let soft = name("CrossEntropyLoss of probabilities");
        loss::<L, _, _, _>($report, &soft, $batch, shares, shares_to, &CrossEntropyLoss);
        let soft = name("CrossEntropyLoss.sum() of probabilities");
        loss::<L, _, _, _>($report, &soft, $batch, shares, shares_to, &CrossEntropyLoss.sum());
    }};
}

pub(crate) fn check(report: &mut Report) {
    let batches: &[usize] = if report.quick { &[1, 5] } else { &[1, 5, 700, 40_000] };
    for batch in batches.iter().copied() {
        pointwise!(report, f32, batch);
        pointwise!(report, f64, batch);
        classes!(report, f32, batch, 1);
        classes!(report, f64, batch, 1);
        classes!(report, f32, batch, 7);
        classes!(report, f64, batch, 7);
        if batch < 1000 {
            classes!(report, f32, batch, 999);
            classes!(report, f64, batch, 999);
        }
    }
    right_predictions(report);
}

fn right_predictions(report: &mut Report) {
    report.check("losses: right predictions are counted as on the CPU", 1e-5, |device, worst| {
        let mut rng = Generator::manual_seed(6);
        let x: Tensor<Shape![_, 5]> = Tensor::randn_of((Dyn(3000), D), &mut rng);
        let labels = Tensor::<Shape![_], i64>::from_vec((0..3000).map(|_| rng.below(7) as i64).collect())?;
        let halves = x.map(|x| f32::from(*x > 0.0));
        let classes: TensorDataset<Shape![5]> = TensorDataset::new(x.clone(), labels)?;
        let chances: TensorDataset<Shape![5], Shape![5], f32, f32> = TensorDataset::new(x, halves)?;
        let on = |device: &Device| {
            let net = net![Linear(5, 7)].init(&mut Generator::manual_seed(1));
            let of_classes = Trainer::new(net, CrossEntropyLoss, SGD::new(0.0)).on(device)?.evaluate(&classes)?;
            let net = net![Linear(5, 5), Sigmoid].init(&mut Generator::manual_seed(1));
            let of_chances = Trainer::new(net, BCELoss, SGD::new(0.0)).on(device)?.evaluate(&chances)?;
            let net = net![Linear(5, 5)].init(&mut Generator::manual_seed(1));
            let of_logits = Trainer::new(net, BCEWithLogitsLoss, SGD::new(0.0)).on(device)?.evaluate(&chances)?;
            Ok::<_, plywood::Error>([of_classes, of_chances, of_logits])
        };
        for (there, here) in on(device)?.into_iter().zip(on(&Device::Cpu)?) {
            worst.compare("the loss", &[there.loss as f32], &[here.loss as f32])?;
            ensure(there.accuracy == here.accuracy, || format!("{there} instead of {here}"))?;
        }
        Ok(())
    });
}
