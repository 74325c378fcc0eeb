#[cfg(feature = "cuda")]
use super::{DeviceLoss, LossKind, Target};
use super::{Loss, Result, check_sizes, here};
#[cfg(feature = "cuda")]
use crate::backend::Device;
use crate::backend::cpu::math;
use crate::backend::cpu::small::LANES;
use crate::dim::{Dim, SameSize};
use crate::element::{Float, Label};
use crate::error::Error;
use crate::nn::log_sum_exp;
#[cfg(feature = "cuda")]
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor, TensorView, argmax};

/// Cross-entropy of logits: the mean over the batch of −Σ tᶜ · ln softmax(z)ᶜ, as `torch.nn.CrossEntropyLoss`.
///
/// Predictions are logits `[batch, classes]`, without a `Softmax` before. Targets are class indices, an integer tensor
/// `[batch]`, or probabilities `[batch, classes]` of the logits' type. Exact for logits of any size.
///
/// ```
/// use plywood::prelude::*;
///
/// let z: Tensor<Shape![1, 2], f64> = tensor![[-0.1211, 0.1059]];
/// let loss = CrossEntropyLoss.forward(&z, &tensor![0])?;
/// assert!((loss - 0.8131).abs() < 1e-4);
///
/// let no_class = CrossEntropyLoss.forward(&z, &tensor![2]).unwrap_err();
/// assert_eq!(no_class.to_string(), "the label of sample 0 is 2, but the network has 2 classes (0 to 1)");
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrossEntropyLoss;

/// Batches of labels for a batch of predictions: one label a sample. See [`CrossEntropyLoss`].
#[diagnostic::on_unimplemented(
    message = "there are labels for {Self} samples, but predictions for {Batch}",
    label = "{Self} labels against {Batch} predictions"
)]
pub trait LabelsFor<Batch: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<Batch: Dim, N: SameSize<Batch>> LabelsFor<Batch> for N {}

/// One label for each sample of the batch, each of them a class.
pub(crate) fn check_labels<N: Dim, L: Label, St: Storage<L>>(
    batch: usize,
    classes: usize,
    labels: &Tensor<(N,), L, St>,
) -> Result<()> {
    check_sizes("predictions and labels differ in the size of the batch", &[batch], &labels.sizes())?;
    let class = |label: &L| label.to_usize().filter(|class| *class < classes);
    let labels = labels.read();
    match labels.iter().position(|label| class(label).is_none()) {
        Some(sample) => Err(Error::Label { sample, label: labels[sample].to_string(), classes }),
        None => Ok(()),
    }
}

/// The term of each row, and its gradient where there is a place for it.
#[inline(always)]
fn rows<E: Float>(
    z: &[E],
    classes: usize,
    scale: E,
    mut dy: Option<&mut [E]>,
    target: impl Fn(usize, usize) -> E,
    mut term: impl FnMut(E),
) {
    for (block, z) in z.chunks(LANES * classes.max(1)).enumerate() {
        let (mut max, mut log) = ([E::zero(); LANES], [E::zero(); LANES]);
        // ln softmax(z)ᶜ of all rows, and softmax(z)ᶜ: both as far as the rows are short.
        let mut softmax = [[E::zero(); LANES]; LANES];
        if classes < LANES {
            (max, log) = log_sum_exp_of_rows(z, classes);
            if dy.is_some() {
                for (c, softmax) in softmax[..classes].iter_mut().enumerate() {
                    for i in 0..LANES {
                        softmax[i] = math::exp(of(z, i, c, classes) - max[i] - log[i]);
                    }
                }
            }
        } else {
            for (i, z) in z.chunks_exact(classes).enumerate() {
                (max[i], log[i]) = log_sum_exp(z);
            }
        }
        for (i, z) in z.chunks_exact(classes.max(1)).enumerate() {
            let row = block * LANES + i;
            let (mut loss, mut total) = (E::zero(), E::zero());
            for (c, z) in z.iter().enumerate() {
                let t = target(row, c);
                total += t;
                // A class of probability 0 costs nothing, even where its logarithm is −∞.
                loss -= if t == E::zero() { E::zero() } else { t * (*z - max[i] - log[i]) };
            }
            term(loss);
            if let Some(dy) = dy.as_deref_mut() {
                let dy = &mut dy[row * classes..][..classes];
                if classes >= LANES {
                    for (dy, z) in dy.iter_mut().zip(z) {
                        *dy = math::exp(*z - max[i] - log[i]);
                    }
                } else {
                    dy.iter_mut().zip(&softmax).for_each(|(dy, softmax)| *dy = softmax[i]);
                }
                for (c, dy) in dy.iter_mut().enumerate() {
                    *dy = scale * (*dy * total - target(row, c));
                }
            }
        }
    }
}

/// Element (i, c) of up to 16 rows; the first row's where there is no row i.
#[inline(always)]
fn of<E: Float>(z: &[E], i: usize, c: usize, classes: usize) -> E {
    z[if i * classes < z.len() { i } else { 0 } * classes + c]
}

/// [`log_sum_exp`] of up to 16 short rows at once.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn log_sum_exp_of_rows<E: Float>(z: &[E], classes: usize) -> ([E; LANES], [E; LANES]) {
    let (mut max, mut sum) = ([E::neg_infinity(); LANES], [E::zero(); LANES]);
    for c in 0..classes {
        for i in 0..LANES {
            let z = of(z, i, c, classes);
            max[i] = if z > max[i] { z } else { max[i] };
        }
    }
    for c in 0..classes {
        for i in 0..LANES {
            sum[i] += math::exp(of(z, i, c, classes) - max[i]);
        }
    }
    for sum in &mut sum {
        *sum = math::ln(*sum);
    }
    (max, sum)
}

impl<B: Dim, N: Dim, C: Dim, E: Float, L: Label, St: Storage<L>> Loss<(B, C), Tensor<(N,), L, St>, E>
    for CrossEntropyLoss
where
    N: LabelsFor<B>,
{
    type Terms = (B,);

    fn terms_shape(&self, y: (B, C)) -> (B,) {
        (y.0,)
    }

    #[inline(always)]
    fn terms(
        &self,
        y: TensorView<'_, (B, C), E>,
        target: &Tensor<(N,), L, St>,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        let [batch, classes] = y.sizes();
        here(target)?;
        check_labels(batch, classes, target)?;
        let labels = target.as_slice();
        let one_hot = |i: usize, c: usize| if labels[i].to_usize() == Some(c) { E::one() } else { E::zero() };
        rows(y.as_slice(), classes, scale, dy, one_hot, term);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: (B, C), target: &'t Tensor<(N,), L, St>) -> Result<DeviceLoss<'t>> {
        let [batch, classes] = y.sizes();
        if target.device() == Device::Cpu {
            check_labels(batch, classes, target)?;
        } else {
            check_sizes("predictions and labels differ in the size of the batch", &[batch], &target.sizes())?;
        }
        let (kind, target) = (LossKind::CrossEntropy, Target::labels(target)?);
        Ok(DeviceLoss { kind, batch, classes, divisor: batch as f64, predictions: batch, target })
    }

    fn correct(&self, y: TensorView<'_, (B, C), E>, target: &Tensor<(N,), L, St>) -> Option<(usize, usize)> {
        let classes = y.sizes()[1].max(1);
        let labels = target.read();
        let rows = y.as_slice().chunks_exact(classes).zip(&*labels);
        Some((rows.filter(|(z, label)| label.to_usize() == Some(argmax(z))).count(), y.sizes()[0]))
    }
}

impl<B: Dim, N: Dim, C: Dim, K: Dim, E: Float, St: Storage<E>> Loss<(B, C), Tensor<(N, K), E, St>, E>
    for CrossEntropyLoss
where
    (N, K): super::TargetFor<(B, C)>,
{
    type Terms = (B,);

    fn terms_shape(&self, y: (B, C)) -> (B,) {
        (y.0,)
    }

    #[inline(always)]
    fn terms(
        &self,
        y: TensorView<'_, (B, C), E>,
        target: &Tensor<(N, K), E, St>,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        here(target)?;
        check_sizes("predictions and targets differ in shape", y.sizes().as_slice(), target.sizes().as_ref())?;
        let classes = y.sizes()[1];
        let targets = target.as_slice();
        rows(y.as_slice(), classes, scale, dy, |i, c| targets[i * classes + c], term);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: (B, C), target: &'t Tensor<(N, K), E, St>) -> Result<DeviceLoss<'t>> {
        check_sizes("predictions and targets differ in shape", y.sizes().as_slice(), target.sizes().as_ref())?;
        let ([batch, classes], kind) = (y.sizes(), LossKind::CrossEntropyOfProbabilities);
        let target = Target::reals(target);
        Ok(DeviceLoss { kind, batch, classes, divisor: batch as f64, predictions: batch, target })
    }

    fn correct(&self, y: TensorView<'_, (B, C), E>, target: &Tensor<(N, K), E, St>) -> Option<(usize, usize)> {
        let classes = y.sizes()[1].max(1);
        let rows = y.as_slice().chunks_exact(classes).zip(target.as_slice().chunks_exact(classes));
        Some((rows.filter(|(z, t)| argmax(z) == argmax(t)).count(), y.sizes()[0]))
    }
}
