//! Lesson 14: the digits of lesson 13 by a convolutional network.
//!
//! Teaches `Conv2d` and `MaxPool2d`: a network that sees neighbouring pixels together makes far fewer errors than one that
//! sees 784 numbers, with a fifth of its parameters. It prints the accuracy on the 1,000 test images and draws those that
//! are taken for another digit.

use plywood::plot::ImageGrid;
use plywood::prelude::*;
use plywood_examples::digits::{augmented, read};
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

/// The same images, each with the one channel that it has.
fn planes(data: &TensorDataset<Shape![28, 28]>) -> plywood::Result<TensorDataset<Shape![1, 28, 28]>> {
    let images = Tensor::<Shape![_, 1, 28, 28]>::from_vec(data.inputs().to_vec())?;
    TensorDataset::new(images, data.targets().clone())
}

fn main() -> plywood::Result<()> {
    let (train, test) = (planes(&augmented(&read("train")?)?)?, planes(&read("t10k")?)?);
    let model = LeNet::init(&mut Generator::manual_seed(0));
    println!("{}\n", model.summary());

    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3));
    trainer.fit_validated(&train, &test, Fit::epochs(4).batch(32).shuffle(0))?;

    let logits = trainer.model().forward(test.inputs());
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
