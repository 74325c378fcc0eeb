//! Where this program computes, and that it makes no difference: a network trained on the best device there is, and on the
//! CPU.
//!
//! Built with `--features cuda`, the same program runs with and without a GPU. It prints the GPU, or why there is none, and
//! the loss on both devices.

use plywood::prelude::*;

sequential! {
    /// Two classes of points in the plane.
    struct Moons { Linear(2, 32), ReLU, Linear(_, 32), ReLU, Linear(_, 2) }
}

fn main() -> plywood::Result<()> {
    match Device::cuda(0) {
        Ok(gpu) => println!("{gpu:#}"),
        Err(error) => println!("{error}"),
    }
    let best = Device::best()?;
    println!("computing on {best}");

    let mut rng = Generator::manual_seed(0);
    let data: TensorDataset<Shape![2]> = plywood::data::make_moons(500).noise(0.1).generate(&mut rng)?;
    let mut losses = Vec::new();
    for device in [&best, &Device::Cpu] {
        let model = Moons::init(&mut Generator::manual_seed(0));
        let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-2)).on(device)?;
        trainer.fit(&data, Fit::epochs(20).batch(50).shuffle(0).quiet())?;
        let evaluation = trainer.evaluate(&data)?;
        println!("{device}: {evaluation}");
        losses.push(evaluation.loss);
    }
    assert!((losses[0] - losses[1]).abs() < 1e-3, "a device changes no more than roundings");
    Ok(())
}
