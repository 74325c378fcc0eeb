//! Lesson 14: the digits of lesson 13 by a convolutional network.
//!
//! Teaches `Conv2d` and `MaxPool2d`: a network that sees neighbouring pixels together makes half as many errors as one
//! that sees 784 numbers, with as many images and fewer parameters. It prints the accuracy on the 1,000 test images and
//! draws each of them that is taken for another digit.

use plywood::data::read_idx;
use plywood::plot::ImageGrid;
use plywood::prelude::*;
use plywood_examples::{data, save};

sequential! {
    /// Ten logits from an image of one channel.
    struct LeNet: (1, 28, 28) => 10 {
        Conv2d(1, 16, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
        Conv2d(16, 32, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
        Flatten,
        Linear(1568, 10),
    }
}

/// Images [images, 1, 28, 28] with pixels in [0, 1], and the digits that they are.
fn read(part: &str) -> plywood::Result<TensorDataset<Shape![1, 28, 28]>> {
    let images: Tensor<Shape![_, 28, 28], u8> = read_idx(data(&format!("{part}-images-idx3-ubyte.gz")))?;
    let labels: Tensor<Shape![_], u8> = read_idx(data(&format!("{part}-labels-idx1-ubyte.gz")))?;
    let pixels = images.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
    TensorDataset::new(Tensor::<Shape![_, 1, 28, 28]>::from_vec(pixels)?, labels.cast()?)
}

fn main() -> plywood::Result<()> {
    let (train, test) = (read("train")?, read("t10k")?);
    let seed: u64 = std::env::var("SEED").map_or(0, |s| s.parse().unwrap());
    let epochs: u64 = std::env::var("EPOCHS").map_or(8, |s| s.parse().unwrap());
    let lr: f64 = std::env::var("LR").map_or(1e-3, |s| s.parse().unwrap());
    let model = LeNet::init(&mut Generator::manual_seed(seed));
    println!("{}\n", model.summary());

    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(lr));
    trainer.fit_validated(&train, &test, Fit::epochs(epochs as _).batch(32).shuffle(seed))?;

    let logits = trainer.model().forward(test.inputs());
    let matrix = ConfusionMatrix::new(&logits, test.targets())?;
    println!("test accuracy: {:.3}", matrix.accuracy());
    Ok(())
}
