//! The handwritten digits of lessons 13 and 14.

use crate::data;
use plywood::data::read_idx;
use plywood::prelude::*;

/// Images [images, 28, 28] with pixels in [0, 1], and the digits that they are.
///
/// # Errors
/// If a file cannot be read.
pub fn read(part: &str) -> plywood::Result<TensorDataset<Shape![28, 28]>> {
    let images: Tensor<Shape![_, 28, 28], u8> = read_idx(data(&format!("{part}-images-idx3-ubyte.gz")))?;
    let labels: Tensor<Shape![_], u8> = read_idx(data(&format!("{part}-labels-idx1-ubyte.gz")))?;
    TensorDataset::new(images.map(|pixel| f32::from(*pixel) / 255.0), labels.cast()?)
}

/// The images, and each of them again, shifted by a pixel to each of four sides: the digit stays what it is.
///
/// # Errors
/// If there are not as many digits as images.
pub fn augmented(data: &TensorDataset<Shape![28, 28]>) -> plywood::Result<TensorDataset<Shape![28, 28]>> {
    let (mut pixels, mut labels) = (data.inputs().to_vec(), data.targets().to_vec());
    for shift in [1, 28, 28 * 28 - 1, 28 * 28 - 28] {
        for image in data.inputs().rows() {
            let mut image = image.to_vec();
            // Digits stand in the middle, so what leaves on one side and comes back on the other is paper.
            image.rotate_right(shift);
            pixels.extend(image);
        }
        labels.extend(data.targets());
    }
    TensorDataset::new(Tensor::<Shape![_, 28, 28]>::from_vec(pixels)?, Tensor::<Shape![_], i64>::from_vec(labels)?)
}

/// The images, each shifted by up to two pixels down or up and across, by chance.
///
/// # Errors
/// If there are not as many digits as images.
pub fn shifted(
    data: &TensorDataset<Shape![28, 28]>,
    rng: &mut Generator,
) -> plywood::Result<TensorDataset<Shape![28, 28]>> {
    let mut pixels = Vec::with_capacity(data.len() * 28 * 28);
    for image in data.inputs().rows() {
        let mut image = image.to_vec();
        let (down, across) = (rng.below(5), rng.below(5));
        image.rotate_right(28 * down + across);
        image.rotate_left(28 * 2 + 2);
        pixels.extend(image);
    }
    TensorDataset::new(Tensor::<Shape![_, 28, 28]>::from_vec(pixels)?, data.targets().clone())
}
