//! Functions of every element, and their derivatives.

use super::Variable;
use super::node::Record;
use crate::element::{Element, Float};
use crate::nn::{Activation, ReLU, Sigmoid};
use crate::shape::Shape;
use crate::tensor::Tensor;
#[cfg(feature = "cuda")]
use crate::tensor::{on_gpu, sure};
use std::rc::Rc;

/// y = f(x), with the derivative as a function of `saved`: x or y, or nothing. `code` is it in CUDA C++ times the gradient x,
/// from the saved y and the numbers p and q.
#[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
fn pointwise<S: Shape, E: Float, N: Element, const C: usize>(
    record: Record<S, E>,
    x: &Variable<S, E>,
    saved: Rc<Tensor<S, E>>,
    code: &'static str,
    numbers: [N; C],
    derivative: impl Fn(E) -> E + 'static,
) -> Variable<S, E> {
    record
        .of(x, move |dy| {
            #[cfg(feature = "cuda")]
            if let (Some(x), Some(y)) = (dy.array(), saved.array()) {
                return sure(on_gpu::mapped(dy.shape(), &[x, y], code, &numbers));
            }
            let mut dx = dy.clone();
            dx.as_mut_slice().iter_mut().zip(&*saved).for_each(|(dx, v)| *dx *= derivative(*v));
            dx
        })
        .done()
}

/// Of a function of x: its derivative as a function of x, or of the result y where that is cheaper.
macro_rules! functions {
    ($($name:ident $formula:literal $of:ident $derivative:expr, $code:literal;)*) => {
        impl<S: Shape, E: Float> Variable<S, E> {$(
            #[doc = concat!("[`Tensor::", stringify!($name), "`]; its derivative is ", $formula, ".")]
            ///
            /// See [`exp`](Variable::exp) for an example.
            #[must_use]
            pub fn $name(&self) -> Variable<S, E> {
                let record = Record::new(stringify!($name), self.value().$name());
                let saved = functions!(@$of self record);
                pointwise(record, self, saved, $code, [] as [E; 0], $derivative)
            }
        )*}
    };
    (@x $x:ident $record:ident) => { Rc::clone(&$x.value) };
    (@y $x:ident $record:ident) => { $record.value() };
}

functions! {
    exp2 "2ˣ · ln 2" y |y: E| y * E::LN_2(), "x * y * (X)0.69314718055994530942";
    expm1 "eˣ" y |y: E| y + E::one(), "x * (y + 1)";
    ln "1 / x" x |x: E| x.recip(), "x / y";
    log2 "1 / (x · ln 2)" x |x: E| (x * E::LN_2()).recip(), "x / (y * (X)0.69314718055994530942)";
    log10 "1 / (x · ln 10)" x |x: E| (x * E::LN_10()).recip(), "x / (y * (X)2.30258509299404568402)";
    log1p "1 / (1 + x)" x |x: E| (E::one() + x).recip(), "x / (1 + y)";
    sqrt "1 / (2 · √x)" y |y: E| (y + y).recip(), "x / (y + y)";
    rsqrt "−1 / (2 · x · √x)" y |y: E| E::of(-0.5) * y * y * y, "x * (X)-0.5 * y * y * y";
    recip "−1 / x²" y |y: E| -y * y, "-x * y * y";
    square "2 · x" x |x: E| x + x, "x * (y + y)";
    abs "the sign of x, 0 at 0" x |x: E| if x == E::zero() { x } else { x.signum() }, "x * (y > 0 ? (X)1 : y < 0 ? (X)-1 : y)";
    sign "0" x |_| E::zero(), "x * 0";
    floor "0" x |_| E::zero(), "x * 0";
    ceil "0" x |_| E::zero(), "x * 0";
    round "0" x |_| E::zero(), "x * 0";
    trunc "0" x |_| E::zero(), "x * 0";
    frac "1" x |_| E::one(), "x";
    sin "cos x" x E::cos, "x * cos(y)";
    cos "−sin x" x |x: E| -x.sin(), "-x * sin(y)";
    tan "1 + tan² x" y |y: E| E::one() + y * y, "x * (1 + y * y)";
    asin "1 / √(1 − x²)" x |x: E| (E::one() - x * x).sqrt().recip(), "x / sqrt(1 - y * y)";
    acos "−1 / √(1 − x²)" x |x: E| -(E::one() - x * x).sqrt().recip(), "-x / sqrt(1 - y * y)";
    atan "1 / (1 + x²)" x |x: E| (E::one() + x * x).recip(), "x / (1 + y * y)";
    sinh "cosh x" x E::cosh, "x * cosh(y)";
    cosh "sinh x" x E::sinh, "x * sinh(y)";
    asinh "1 / √(x² + 1)" x |x: E| (x * x + E::one()).sqrt().recip(), "x / sqrt(y * y + 1)";
    acosh "1 / √(x² − 1)" x |x: E| (x * x - E::one()).sqrt().recip(), "x / sqrt(y * y - 1)";
    atanh "1 / (1 − x²)" x |x: E| (E::one() - x * x).recip(), "x / (1 - y * y)";
    tanh "1 − tanh² x" y |y: E| E::one() - y * y, "x * (1 - y * y)";
    erf "2 / √π · e^(−x²)" x |x: E| E::FRAC_2_SQRT_PI() * (-x * x).exp(), "x * (X)1.12837916709551257390 * exp(-y * y)";
    sigmoid "σ(x) · (1 − σ(x))" y |y: E| y * (E::one() - y), "x * y * (1 - y)";
    relu "1 where x > 0, and 0 elsewhere" y ReLU::derivative, "x * (y <= 0 ? (X)0 : (X)1)";
    softplus "1 / (1 + e⁻ˣ)" x Sigmoid::forward, "x / (1 + exp(-y))";
}

impl<S: Shape, E: Float> Variable<S, E> {
    /// [`Tensor::exp`]; its derivative is eˣ.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![0.0, 1.0].requires_grad();
    /// let y = x.exp();
    /// y.sum().backward()?;
    /// assert_eq!(x.grad().unwrap(), *y.value());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn exp(&self) -> Variable<S, E> {
        let record = Record::new("exp", self.value().exp());
        let saved = record.value();
        pointwise(record, self, saved, "x * y", [] as [E; 0], |y| y)
    }

    /// [`Tensor::powi`]; its derivative is n · xⁿ⁻¹, and 0 for n = 0.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![3.0, -2.0].requires_grad();
    /// x.powi(3).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![27.0, 12.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn powi(&self, n: i32) -> Variable<S, E> {
        let record = Record::new("powi", self.value().powi(n));
        let slope = move |x: E| if n == 0 { E::zero() } else { E::of(f64::from(n)) * x.powi(n.wrapping_sub(1)) };
        pointwise(
            record,
            self,
            Rc::clone(&self.value),
            "p == 0 ? (X)0 : x * (X)p * number::powi(y, (long long)p - 1)",
            [n],
            slope,
        )
    }

    /// [`Tensor::powf`]; its derivative is p · xᵖ⁻¹, and 0 for p = 0.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![4.0, 1.0].requires_grad();
    /// x.powf(0.5).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![0.25, 0.5]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn powf(&self, p: E) -> Variable<S, E> {
        let record = Record::new("powf", self.value().powf(p));
        let slope = move |x: E| if p == E::zero() { p } else { p * x.powf(p - E::one()) };
        pointwise(record, self, Rc::clone(&self.value), "p == 0 ? p : x * p * pow(y, p - 1)", [p], slope)
    }

    /// [`Tensor::clamp`]; its derivative is 1 between `low` and `high`, and 0 elsewhere and at both.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![-2.0, 0.25, 1.0].requires_grad();
    /// x.clamp(0.0, 1.0).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![0.0, 1.0, 0.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn clamp(&self, low: E, high: E) -> Variable<S, E> {
        let record = Record::new("clamp", self.value().clamp(low, high));
        let slope = move |x: E| if low < x && x < high { E::one() } else { E::zero() };
        pointwise(record, self, Rc::clone(&self.value), "p < y && y < q ? x : x * 0", [low, high], slope)
    }

    /// The same numbers as another type of floats. The gradient comes back in this one.
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let x: Variable<Shape![2], f32> = Tensor::ones().requires_grad();
    /// let y: Variable<Shape![2], f64> = x.cast();
    /// (y * 0.5).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![0.5, 0.5]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn cast<T: Float>(&self) -> Variable<S, T> {
        fn cast<S: Shape, E: Float, T: Float>(x: &Tensor<S, E>) -> Tensor<S, T> {
            x.cast().expect("every float exists in another type of floats")
        }
        Record::new("cast", cast(self.value())).of(self, cast).done()
    }
}
