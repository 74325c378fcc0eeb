//! Reductions: many elements become one, over the whole tensor or along one axis.
//!
//! Sums are pairwise, so that their rounding errors grow with the logarithm of the number of elements.

use super::elementwise::is_nan;
use super::{Axis, Storage, Tensor};
use crate::dim::D;
use crate::element::{Float, Numeric};
use crate::shape::Shape;

/// Up to this many elements are added in lanes.
const BLOCK: usize = 128;
/// Sums side by side: shorter ones, which the compiler can keep in one vector register.
const LANES: usize = 8;

/// The sum of f(x), halved again and again.
fn sum_of<E: Copy, T: Numeric>(x: &[E], f: &impl Fn(E) -> T) -> T {
    if x.len() <= LANES {
        return x.iter().fold(T::zero(), |sum, x| sum + f(*x));
    }
    if x.len() <= BLOCK {
        let mut lanes = [T::zero(); LANES];
        for chunk in x.chunks(LANES) {
            lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane = *lane + f(*x));
        }
        return lanes.iter().fold(T::zero(), |sum, lane| sum + *lane);
    }
    let (left, right) = x.split_at(x.len() / 2);
    sum_of(left, f) + sum_of(right, f)
}

pub(crate) fn sum<E: Numeric>(x: &[E]) -> E {
    sum_of(x, &|x| x)
}

fn prod<E: Numeric>(x: &[E]) -> E {
    x.iter().fold(E::one(), |product, x| product * *x)
}

fn mean<E: Float>(x: &[E]) -> E {
    sum(x) / E::of(x.len() as f64)
}

fn squares<E: Float>(x: &[E]) -> E {
    let mean = mean(x);
    sum_of(x, &|x| (x - mean) * (x - mean))
}

fn var<E: Float>(x: &[E]) -> E {
    if x.len() < 2 { E::nan() } else { squares(x) / E::of((x.len() - 1) as f64) }
}

fn var_population<E: Float>(x: &[E]) -> E {
    squares(x) / E::of(x.len() as f64)
}

fn std<E: Float>(x: &[E]) -> E {
    var(x).sqrt()
}

fn std_population<E: Float>(x: &[E]) -> E {
    var_population(x).sqrt()
}

/// Scaled by the largest, so that no square overflows.
fn norm<E: Float>(x: &[E]) -> E {
    let largest = x.iter().fold(E::zero(), |largest, x| super::elementwise::maximum(x.abs(), largest));
    if largest == E::zero() || !largest.is_finite() {
        return largest;
    }
    largest * sum_of(x, &|x| (x / largest) * (x / largest)).sqrt()
}

pub(super) fn logsumexp<E: Float>(x: &[E]) -> E {
    let largest = x.iter().fold(E::neg_infinity(), |largest, x| super::elementwise::maximum(*x, largest));
    // Nothing to scale by: −∞ if every exponential is zero, ∞ if one is infinite.
    if !largest.is_finite() {
        return largest;
    }
    largest + sum_of(x, &|x| (x - largest).exp()).ln()
}

/// The position of the first element that is before all others, or of the first NaN.
fn best<E: Numeric>(x: &[E], before: impl Fn(E, E) -> bool) -> usize {
    assert!(!x.is_empty(), "there is no largest or smallest of zero elements");
    let better = |i: usize, j: usize| !is_nan(x[j]) && (before(x[i], x[j]) || is_nan(x[i]));
    (1..x.len()).fold(0, |best, i| if better(i, best) { i } else { best })
}

/// The position of the largest element, the first of equal ones; of the first NaN if there is one.
pub(crate) fn argmax<E: Numeric>(x: &[E]) -> usize {
    best(x, |x, y| x > y)
}

fn argmin<E: Numeric>(x: &[E]) -> usize {
    best(x, |x, y| x < y)
}

fn max<E: Numeric>(x: &[E]) -> E {
    x[argmax(x)]
}

fn min<E: Numeric>(x: &[E]) -> E {
    x[argmin(x)]
}

/// A position along an axis as an element of a tensor.
pub(super) fn index(position: usize) -> i64 {
    i64::try_from(position).expect("a position in memory")
}

/// Of `[[1, 2, 6], [4, 5, 0]]`: the whole, along axis 1, and along axis 1 with the axis kept.
macro_rules! reductions {
    ($Bound:ident; $(
        $(#[$doc:meta])*
        $all:ident $axis:ident $keep:ident $Out:ty, $f:expr, $Axis:ty, $g:expr, $whole:literal $rows:literal;
    )*) => {
        impl<S: Shape, E: $Bound, B: Storage<E>> Tensor<S, E, B> {$(
            $(#[$doc])*
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            /// let x: Tensor<Shape![2, 3], f64> = tensor![[1.0, 2.0, 6.0], [4.0, 5.0, 0.0]];
            #[doc = concat!("let expected = ", $whole, ";")]
            #[doc = concat!("assert!((x.", stringify!($all), "() as f64 - expected).abs() < 1e-6);")]
            /// ```
            #[must_use]
            pub fn $all(&self) -> $Out {
                #[cfg(feature = "cuda")]
                if let Some(x) = self.array() {
                    let y: Tensor<(), $Axis> =
                        super::sure(super::on_gpu::reduced((), stringify!($all), &x, (1, x.numel(), 1)));
                    return num_traits::NumCast::from(y.item()).expect("the same number");
                }
                ($f)(self.as_slice())
            }

            #[doc = concat!("[`", stringify!($all), "`](Tensor::", stringify!($all), ") along axis `I`, without the axis: `[2, 3]` becomes `[2]` along axis 1.")]
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            /// let x: Tensor<Shape![2, 3], f64> = tensor![[1.0, 2.0, 6.0], [4.0, 5.0, 0.0]];
            #[doc = concat!("let y: Tensor<Shape![2], _> = x.", stringify!($axis), "::<1>();")]
            #[doc = concat!("let expected: Tensor<Shape![2], f64> = tensor!", $rows, ";")]
            /// assert!((y.cast::<f64>()? - expected).abs().max() < 1e-6);
            /// # Ok::<(), plywood::Error>(())
            /// ```
            #[must_use]
            pub fn $axis<const I: usize>(&self) -> Tensor<S::Removed, $Axis>
            where
                S: Axis<I>,
            {
                self.reduce_by(stringify!($all), $g)
            }

            #[doc = concat!("[`", stringify!($all), "`](Tensor::", stringify!($all), ") along axis `I`, with the axis kept at size 1, as `keepdim` does in PyTorch.")]
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            /// let x: Tensor<Shape![2, 3], f64> = tensor![[1.0, 2.0, 6.0], [4.0, 5.0, 0.0]];
            #[doc = concat!("let y: Tensor<Shape![2, 1], _> = x.", stringify!($keep), "::<1>();")]
            #[doc = concat!("assert_eq!(y.squeeze::<1>(), x.", stringify!($axis), "::<1>());")]
            /// ```
            #[must_use]
            pub fn $keep<const I: usize>(&self) -> Tensor<S::With<D<1>>, $Axis>
            where
                S: Axis<I>,
            {
                self.reduce_keep_by(stringify!($all), $g)
            }
        )*}
    };
}

reductions! { Numeric;
    /// Σ x: the sum of the elements, 0 of none.
    sum sum_axis sum_keep E, sum, E, sum, "18.0" "[9.0, 9.0]";
    /// Π x: the product of the elements, 1 of none.
    prod prod_axis prod_keep E, prod, E, prod, "0.0" "[12.0, 0.0]";
    /// The largest element; NaN if one is.
    ///
    /// # Panics
    /// If there are no elements.
    max max_axis max_keep E, max, E, max, "6.0" "[6.0, 5.0]";
    /// The smallest element; NaN if one is.
    ///
    /// # Panics
    /// If there are no elements.
    min min_axis min_keep E, min, E, min, "0.0" "[1.0, 0.0]";
    /// The position of the largest element, row-major: of the first one, or of the first NaN.
    ///
    /// # Panics
    /// If there are no elements.
    argmax argmax_axis argmax_keep usize, argmax, i64, |x| index(argmax(x)), "2.0" "[2.0, 1.0]";
    /// The position of the smallest element, row-major: of the first one, or of the first NaN.
    ///
    /// # Panics
    /// If there are no elements.
    argmin argmin_axis argmin_keep usize, argmin, i64, |x| index(argmin(x)), "5.0" "[0.0, 2.0]";
}

reductions! { Float;
    /// Σ x / n: the mean of the n elements, NaN of none.
    mean mean_axis mean_keep E, mean, E, mean, "3.0" "[3.0, 3.0]";
    /// Σ (x − mean)² / (n − 1): the variance, unbiased as PyTorch's; NaN of fewer than two elements.
    var var_axis var_keep E, var, E, var, "5.6" "[7.0, 7.0]";
    /// The square root of the variance, unbiased as PyTorch's; NaN of fewer than two elements.
    std std_axis std_keep E, std, E, std, "5.6f64.sqrt()" "[2.6457513, 2.6457513]";
    /// Σ (x − mean)² / n: the variance of these n elements themselves and not of what they are drawn from, as PyTorch's with
    /// `correction=0` and NumPy's; NaN of no elements.
    var_population var_population_axis var_population_keep E, var_population, E, var_population, "28.0 / 6.0" "[4.6666667, 4.6666667]";
    /// The square root of [`var_population`](Tensor::var_population); NaN of no elements.
    std_population std_population_axis std_population_keep E, std_population, E, std_population, "(28.0f64 / 6.0).sqrt()" "[2.1602469, 2.1602469]";
    /// √(Σ x²): the Euclidean norm. It overflows only where the result does.
    norm norm_axis norm_keep E, norm, E, norm, "82f64.sqrt()" "[6.4031242, 6.4031242]";
    /// ln(Σ eˣ), without overflow; −∞ of no elements.
    logsumexp logsumexp_axis logsumexp_keep E, logsumexp, E, logsumexp, "6.4257559" "[6.0247449, 5.3181754]";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::{D, Dyn};

    #[test]
    fn sums_of_many_floats_keep_their_digits() {
        let x: Tensor<(Dyn,)> = Tensor::full_of((Dyn(1 << 20),), 0.1);
        assert!((x.sum() - 104_857.6).abs() < 0.05, "{}", x.sum());
    }

    #[test]
    fn nothing_and_single_numbers_reduce_as_in_pytorch() {
        let none: Tensor<(Dyn,)> = Tensor::zeros_of((Dyn(0),));
        assert_eq!((none.sum(), none.prod(), none.norm(), none.logsumexp()), (0.0, 1.0, 0.0, f32::NEG_INFINITY));
        assert!(none.mean().is_nan() && none.var().is_nan() && none.std().is_nan());
        let one: Tensor<(D<1>,)> = Tensor::ones();
        assert!(one.var().is_nan() && one.mean() == 1.0);
        assert!(one.var_population() == 0.0 && none.std_population().is_nan());
        let rows: Tensor<(Dyn, D<3>)> = Tensor::zeros_of((Dyn(0), D));
        assert_eq!(rows.sum_axis::<0>().to_vec(), [0.0; 3]);
        assert_eq!(rows.max_axis::<1>().numel(), 0);
    }

    #[test]
    fn the_first_of_equals_and_the_first_nan_win() {
        let x = [1.0, 3.0, 3.0, 1.0];
        assert_eq!((argmax(&x), argmin(&x)), (1, 0));
        let x = [1.0, f32::NAN, 3.0, f32::NAN];
        assert_eq!((argmax(&x), argmin(&x)), (1, 1));
        assert!(max(&x).is_nan() && min(&x).is_nan() && norm(&x).is_nan() && logsumexp(&x).is_nan());
    }

    #[test]
    fn norms_and_logsumexps_do_not_overflow() {
        assert_eq!(norm(&[3e30f32, 4e30]), 5e30);
        assert_eq!(norm(&[f32::INFINITY, 1.0]), f32::INFINITY);
        assert!((logsumexp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert_eq!(logsumexp(&[f32::NEG_INFINITY; 2]), f32::NEG_INFINITY);
    }
}
