//! Lesson 13: handwritten digits, from gzipped IDX files to a network of 784-128-10.
//!
//! Teaches loading by path, `Flatten`, to make more of few images, and to look at what goes wrong. It prints the accuracy
//! on the 1,000 test images and draws the confusion matrix and images that are taken for another digit.

use plywood::plot::{Confusion, ImageGrid};
use plywood::prelude::*;
use plywood_examples::digits::{augmented, read};
use plywood_examples::save;

sequential! {
    /// Ten logits from the pixels of an image.
    struct Digits: (28, 28) => 10 {
        Flatten,
        Linear(784, 128),
        ReLU,
        Linear(128, 10),
    }
}

fn main() -> plywood::Result<()> {
    let (train, test) = (read("train")?, read("t10k")?);
    let more = augmented(&train)?;
    println!("{} images to learn from, {} to be tested on; {} with those shifted", train.len(), test.len(), more.len());
    println!("{}\n", Digits::<f32>::init(&mut Generator::manual_seed(0)).summary());

    let model = Digits::init(&mut Generator::manual_seed(0));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3));
    trainer.fit_validated(&more, &test, Fit::epochs(8).batch(32).shuffle(0))?;

    let logits = trainer.model().forward(test.inputs());
    let matrix = ConfusionMatrix::new(&logits, test.targets())?;
    save(&Confusion::new("1,000 handwritten digits", &matrix), "lesson_13_confusion")?;

    let mut errors = ImageGrid::new("Taken for another digit", 8);
    let mut drawn = 0;
    for ((image, logits), digit) in test.inputs().rows().zip(logits.rows()).zip(test.targets()) {
        let likeliest = (0..10).max_by(|a, b| logits.as_slice()[*a].total_cmp(&logits.as_slice()[*b])).unwrap_or(0);
        if i64::try_from(likeliest) != Ok(*digit) && drawn < 32 {
            errors = errors.image(&format!("{digit}, not {likeliest}"), &image);
            drawn += 1;
        }
    }
    save(&errors, "lesson_13_digits")?;

    println!("\n{matrix}");
    println!("test accuracy: {:.3}", matrix.accuracy());
    assert!(matrix.accuracy() >= 0.93, "at least 93 % of the test images are told");
    Ok(())
}
