//! Lesson 14: the digits of lesson 13 by a convolutional network.
//!
//! Teaches `Conv2d` and `MaxPool2d`, images shifted anew in each epoch, and a learning rate that falls. A network that sees
//! neighbouring pixels together is wrong about 24 to 29 of the 1,000 test images (by four seeds) with 20,490 parameters;
//! that of lesson 13, which sees 784 numbers and trains otherwise, about 49 with 101,770. It prints the accuracy and draws
//! the images that are taken for another digit. It trains on a GPU if there is one and it was built with `--features cuda`.

use plywood::plot::ImageGrid;
use plywood::prelude::*;
use plywood_examples::digits::{read, shifted};
use plywood_examples::save;

sequential! {
    /// Ten logits from an image of one channel.
    struct LeNet: (1, 28, 28) => 10 {
        Conv2d(1, 16, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
        Conv2d(16, 32, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
        Flatten,
        Linear(1568, 10),
    }
}

/// Epochs and the learning rate of the first; it falls to zero in a straight line. Chosen by the
/// loss on 800 of the 4,000 images held out from training, twice.
const EPOCHS: u32 = 30;
const RATE: f64 = 2e-3;

/// The same images, each with the one channel that it has.
fn planes(data: &TensorDataset<Shape![28, 28]>) -> plywood::Result<TensorDataset<Shape![1, 28, 28]>> {
    let images = Tensor::<Shape![_, 1, 28, 28]>::from_vec(data.inputs().to_vec())?;
    TensorDataset::new(images, data.targets().clone())
}

fn main() -> plywood::Result<()> {
    let (train, test) = (read("train")?, planes(&read("t10k")?)?);
    let mut rng = Generator::manual_seed(0);
    let model = LeNet::init(&mut rng);
    println!("{}\n", model.summary());

    let device = Device::best()?;
    println!("training on {device:#}");
    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(RATE)).on(&device)?;
    for epoch in 0..EPOCHS {
        trainer.optimizer_mut().set_learning_rate(RATE * (1.0 - f64::from(epoch) / f64::from(EPOCHS)));
        // Other shifts in each epoch: the network never sees an image twice.
        let images = planes(&shifted(&train, &mut rng)?)?;
        let history = trainer.fit(&images, Fit::epochs(1).batch(32).shuffle(0).quiet())?;
        if epoch % 5 == 4 {
            println!("epoch {}/{EPOCHS}: {}", epoch + 1, history.epochs[0]);
        }
    }

    let model = trainer.into_model().to(&Device::Cpu)?;
    let logits = model.forward(test.inputs());
    let matrix = ConfusionMatrix::new(&logits, test.targets())?;
    let mut errors = ImageGrid::new("Taken for another digit", 8);
    for ((image, logits), digit) in test.inputs().rows().zip(logits.rows()).zip(test.targets()) {
        let likeliest = (0..10).max_by(|a, b| logits.as_slice()[*a].total_cmp(&logits.as_slice()[*b])).unwrap_or(0);
        if i64::try_from(likeliest) != Ok(*digit) {
            let image: Tensor<Shape![28, 28]> = Tensor::from_slice(image.as_slice())?;
            errors = errors.image(&format!("{digit}, not {likeliest}"), &image);
        }
    }
    save(&errors, "lesson_14_convolutions")?;

    println!("\n{matrix}");
    println!("test accuracy: {:.3}", matrix.accuracy());
    assert!(matrix.accuracy() >= 0.97, "at least 97 % of the test images are told");
    Ok(())
}
