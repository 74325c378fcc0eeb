//! Whether what comes in is what a layer takes.

use super::{Checker, Fit, Flow, escaped};
use crate::expr::Expr;
use crate::shape::{Dim, Shape};
use crate::size::text_of;
use proc_macro2::Span;
use quote::quote;
use syn::spanned::Spanned;

impl Checker<'_> {
    /// A softmax goes over the last dimension: −1 or, counted from the batch, the rank of the sample.
    pub(super) fn last_dim(&mut self, dim: Option<Expr>, shape: &Shape, place: &str) {
        let Some(dim) = dim else { return };
        let last = match shape {
            Shape::Known(dims) => format!("-1 or {}", dims.len()),
            _ => "-1".to_owned(),
        };
        let given = text_of(&dim);
        if !last.split(" or ").any(|last| last == given) {
            let message = format!("{place}: `dim` is the last dimension, {last}, but this is {given}");
            self.mistakes.add(dim.span(), message);
        }
    }

    pub(super) fn flattened(&mut self, shape: &Shape, span: Span, place: &str) -> Option<Dim> {
        match shape {
            Shape::Opaque(ty) => Some(Dim::opaque(quote!(<#ty as ::plywood::__private::Flat>::Numel), "_")),
            Shape::Unknown => None,
            Shape::Known(dims) if dims.len() == 1 => dims.first().cloned(),
            Shape::Known(dims) => {
                let values: Option<Vec<u64>> = dims.iter().map(|dim| dim.value).collect();
                if let Some(values) = values {
                    let product = values.iter().try_fold(1, |product: u64, value| product.checked_mul(*value));
                    let Some(value) = product.filter(|product| *product <= crate::size::MAX) else {
                        let sizes = shape.text();
                        self.mistakes.add(span, format!("{place} gives more than 1,000,000,000 features ({sizes})"));
                        return None;
                    };
                    return Some(Dim::literal(value, shape.text(), span));
                }
                let factors: Option<Vec<_>> = dims.iter().map(|dim| dim.expr.clone()).collect();
                let Some(factors) = factors else {
                    self.mistakes.add(
                        span,
                        format!(
                            "{place}: the product of {} is not known here; type parameters cannot be multiplied",
                            shape.text()
                        ),
                    );
                    return None;
                };
                let product = factors.into_iter().reduce(|a, b| quote!(#a * #b)).unwrap_or_else(|| quote!(1));
                let what = format!("{place}: the number of features is not between 1 and 1,000,000,000");
                Some(self.constant(&Expr::Other(product), 1, what, &shape.text()))
            }
        }
    }

    /// Checks the last size of what comes in; gives the sizes before it.
    pub(super) fn fits_last(&mut self, flow: &Flow, wanted: &Dim, place: &str, span: Span) -> Shape {
        let dims = match &flow.shape {
            Shape::Opaque(ty) => {
                let last = Dim::opaque(quote!(<#ty as ::plywood::__private::EndsWith>::Last), "_");
                self.fits(&last, wanted, "features", flow, place, span);
                return Shape::Opaque(quote!(<#ty as ::plywood::__private::EndsWith>::Lead));
            }
            Shape::Known(dims) => dims,
            Shape::Unknown => return Shape::Unknown,
        };
        let Some((last, lead)) = dims.split_last() else {
            self.mistakes
                .add(span, format!("{place} takes {} features, but {} gives a single number", wanted.text, flow.from));
            return Shape::Known(Vec::new());
        };
        match (last.value, wanted.value) {
            (Some(got), Some(want)) if got == want => {}
            (Some(got), Some(want)) => {
                let flat = dims.iter().try_fold(1, |product: u64, dim| product.checked_mul(dim.value?));
                let hint = match flat {
                    Some(flat) if dims.len() > 1 && flat == want => format!(
                        "{}, the last of which is {got}; put `Flatten` before this layer",
                        lead.iter().chain([last]).map(|dim| dim.text.as_str()).collect::<Vec<_>>().join(" × ")
                    ),
                    _ if flow.image => {
                        format!("{got} as the last of {}; `Flatten` gives all of them", flow.shape.text())
                    }
                    _ if dims.len() > 1 => format!("{got} as the last of {}", flow.shape.text()),
                    _ => last.text.clone(),
                };
                let features = if want == 1 { "feature" } else { "features" };
                self.mistakes.add(span, format!("{place} takes {want} {features}, but {} gives {hint}", flow.from));
                // What follows is checked by what this layer says of itself.
                return Shape::Known(if dims.len() > 1 && flat == Some(want) { Vec::new() } else { lead.to_vec() });
            }
            _ => self.fits(last, wanted, "features", flow, place, span),
        }
        Shape::Known(lead.to_vec())
    }

    /// Checks a size of which one side is no literal.
    pub(super) fn fits(&mut self, got: &Dim, wanted: &Dim, noun: &str, flow: &Flow, place: &str, span: Span) {
        if got.is(wanted) {
        } else if (got.param || wanted.param) && !got.hidden() && !wanted.hidden() {
            let message = format!("{place} takes {} {noun}, but {} gives {}", wanted.text, flow.from, got.text);
            self.mistakes.add(span, message);
        } else {
            self.fits.push(Fit {
                got: got.ty.clone(),
                want: wanted.ty.clone(),
                message: format!(
                    "{} takes {{Want}} {noun}, but {} gives {{Self}}",
                    escaped(place),
                    escaped(&flow.from)
                ),
                label: "takes {Want}, gets {Self}".to_owned(),
                span,
            });
        }
    }

    /// Checks what comes out against the declared output.
    pub(super) fn same_shape(&mut self, at: &Flow, declared: &Shape, span: Span) {
        if matches!(at.shape, Shape::Unknown) {
            return;
        }
        let (Shape::Known(got), Shape::Known(want)) = (&at.shape, declared) else {
            self.fit_output(at, declared, span);
            return;
        };
        let differs = got.len() != want.len()
            || got.iter().zip(want).any(|(got, want)| match (got.value, want.value) {
                (Some(got), Some(want)) => got != want,
                _ => (got.param || want.param) && !got.is(want),
            });
        if differs {
            self.mistakes.add(
                span,
                format!("the declared output is {}, but {} gives {}", declared.text(), at.from, at.shape.text()),
            );
        } else if got.iter().zip(want).any(|(got, want)| !got.is(want)) {
            self.fit_output(at, declared, span);
        }
    }

    fn fit_output(&mut self, at: &Flow, declared: &Shape, span: Span) {
        self.fits.push(Fit {
            got: at.shape.shown(),
            want: declared.shown(),
            message: format!("the declared output is {{Want}}, but {} gives {{Self}}", escaped(&at.from)),
            label: "declared {Want}, gets {Self}".to_owned(),
            span,
        });
    }
}
