//! Functions of every element, and their derivatives.

use super::Variable;
use super::node::Record;
use crate::element::Float;
use crate::nn::{Activation, ReLU, Sigmoid};
use crate::shape::Shape;
use crate::tensor::Tensor;
use std::rc::Rc;

/// y = f(x), with the derivative as a function of `saved`: x or y, or nothing.
fn pointwise<S: Shape, E: Float>(
    record: Record<S, E>,
    x: &Variable<S, E>,
    saved: Rc<Tensor<S, E>>,
    derivative: impl Fn(E) -> E + 'static,
) -> Variable<S, E> {
    record
        .of(x, move |dy| {
            let mut dx = dy.clone();
            dx.as_mut_slice().iter_mut().zip(&*saved).for_each(|(dx, v)| *dx *= derivative(*v));
            dx
        })
        .done()
}

/// Of a function of x: its derivative as a function of x, or of the result y where that is cheaper.
macro_rules! functions {
    ($($name:ident $formula:literal $of:ident $derivative:expr;)*) => {
        impl<S: Shape, E: Float> Variable<S, E> {$(
            #[doc = concat!("[`Tensor::", stringify!($name), "`]; its derivative is ", $formula, ".")]
            ///
            /// See [`exp`](Variable::exp) for an example.
            #[must_use]
            pub fn $name(&self) -> Variable<S, E> {
                let record = Record::new(stringify!($name), self.value().$name());
                let saved = functions!(@$of self record);
                pointwise(record, self, saved, $derivative)
            }
        )*}
    };
    (@x $x:ident $record:ident) => { Rc::clone(&$x.value) };
    (@y $x:ident $record:ident) => { $record.value() };
}

functions! {
    exp2 "2ˣ · ln 2" y |y: E| y * E::LN_2();
    expm1 "eˣ" y |y: E| y + E::one();
    ln "1 / x" x |x: E| x.recip();
    log2 "1 / (x · ln 2)" x |x: E| (x * E::LN_2()).recip();
    log10 "1 / (x · ln 10)" x |x: E| (x * E::LN_10()).recip();
    log1p "1 / (1 + x)" x |x: E| (E::one() + x).recip();
    sqrt "1 / (2 · √x)" y |y: E| (y + y).recip();
    rsqrt "−1 / (2 · x · √x)" y |y: E| E::of(-0.5) * y * y * y;
    recip "−1 / x²" y |y: E| -y * y;
    square "2 · x" x |x: E| x + x;
    abs "the sign of x, 0 at 0" x |x: E| if x == E::zero() { x } else { x.signum() };
    sign "0" x |_| E::zero();
    floor "0" x |_| E::zero();
    ceil "0" x |_| E::zero();
    round "0" x |_| E::zero();
    trunc "0" x |_| E::zero();
    frac "1" x |_| E::one();
    sin "cos x" x E::cos;
    cos "−sin x" x |x: E| -x.sin();
    tan "1 + tan² x" y |y: E| E::one() + y * y;
    asin "1 / √(1 − x²)" x |x: E| (E::one() - x * x).sqrt().recip();
    acos "−1 / √(1 − x²)" x |x: E| -(E::one() - x * x).sqrt().recip();
    atan "1 / (1 + x²)" x |x: E| (E::one() + x * x).recip();
    sinh "cosh x" x E::cosh;
    cosh "sinh x" x E::sinh;
    asinh "1 / √(x² + 1)" x |x: E| (x * x + E::one()).sqrt().recip();
    acosh "1 / √(x² − 1)" x |x: E| (x * x - E::one()).sqrt().recip();
    atanh "1 / (1 − x²)" x |x: E| (E::one() - x * x).recip();
    tanh "1 − tanh² x" y |y: E| E::one() - y * y;
    erf "2 / √π · e^(−x²)" x |x: E| E::FRAC_2_SQRT_PI() * (-x * x).exp();
    sigmoid "σ(x) · (1 − σ(x))" y |y: E| y * (E::one() - y);
    relu "1 where x > 0, and 0 elsewhere" y ReLU::derivative;
    softplus "1 / (1 + e⁻ˣ)" x Sigmoid::forward;
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
        pointwise(record, self, saved, |y| y)
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
        pointwise(record, self, Rc::clone(&self.value), slope)
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
        pointwise(record, self, Rc::clone(&self.value), slope)
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
        pointwise(record, self, Rc::clone(&self.value), slope)
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
