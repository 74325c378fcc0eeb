//! Sizes and shapes as the macro knows them: by value, by name, or only by type.

use crate::size::literal_type;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// A size with its type.
#[derive(Clone)]
pub(crate) struct Dim {
    pub(crate) ty: TokenStream,
    /// As it reads in a message.
    pub(crate) text: String,
    /// `None` where only the compiler knows it.
    pub(crate) value: Option<u64>,
    /// The expression, where it can be computed with.
    pub(crate) expr: Option<TokenStream>,
    /// Whether it is a type parameter of the struct, which is like no other size.
    pub(crate) param: bool,
}

impl Dim {
    pub(crate) fn literal(value: u64, text: String, span: Span) -> Self {
        let expr = Some(proc_macro2::Literal::u64_unsuffixed(value).to_token_stream());
        Dim { ty: literal_type(value, span), text, value: Some(value), expr, param: false }
    }

    /// A size that only the compiler knows.
    pub(crate) fn opaque(ty: TokenStream, text: &str) -> Self {
        Dim { ty, text: text.to_owned(), value: None, expr: None, param: false }
    }

    /// Whether it is neither a number, a constant nor a type parameter.
    pub(crate) fn hidden(&self) -> bool {
        self.expr.is_none() && !self.param
    }

    pub(crate) fn is(&self, other: &Dim) -> bool {
        self.ty.to_string() == other.ty.to_string()
    }
}

/// The shape of a sample.
#[derive(Clone)]
pub(crate) enum Shape {
    Known(Vec<Dim>),
    /// A type that only the compiler can look into.
    Opaque(TokenStream),
    /// What comes out of a layer that is wrong in itself; nothing is emitted then.
    Unknown,
}

impl Shape {
    pub(crate) fn ty(&self) -> TokenStream {
        match self {
            Shape::Known(dims) => {
                let dims = dims.iter().map(|dim| &dim.ty);
                quote!((#(#dims,)*))
            }
            Shape::Opaque(ty) => ty.clone(),
            Shape::Unknown => TokenStream::new(),
        }
    }

    /// Its type for messages: a single size without the tuple.
    pub(crate) fn shown(&self) -> TokenStream {
        match self {
            Shape::Known(dims) if dims.len() == 1 => dims[0].ty.clone(),
            Shape::Known(_) => self.ty(),
            Shape::Opaque(ty) => quote!(<#ty as ::plywood::Features>::Shown),
            Shape::Unknown => TokenStream::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Shape::Known(dims) => {
                let product: Option<u64> = dims.iter().try_fold(1, |product: u64, dim| product.checked_mul(dim.value?));
                let sizes: Vec<_> = dims.iter().map(|dim| dim.text.as_str()).collect();
                match product {
                    Some(product) if dims.len() > 1 => format!("{product} ({})", sizes.join(" × ")),
                    _ => sizes.join(" × "),
                }
            }
            Shape::Opaque(_) | Shape::Unknown => "a shape of its own".to_owned(),
        }
    }
}
