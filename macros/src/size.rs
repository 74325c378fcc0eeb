//! Sizes as they are written, and their types.

use crate::expr::{Expr, has_semicolon};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Lit, Result, Token};

pub(crate) const MAX: u64 = 1_000_000_000;

/// A size as it is written.
#[derive(Clone)]
pub(crate) enum Size {
    /// `784`
    Literal { value: u64, span: Span },
    /// `HIDDEN`, `{ 2 * HIDDEN }`
    Constant(Box<Expr>),
    /// `_`
    Infer(Span),
}

impl Size {
    pub(crate) fn of(expr: &Expr) -> Result<Size> {
        let span = expr.span();
        let text = || text_of(expr);
        match expr {
            Expr::Infer(_) => Ok(Size::Infer(span)),
            Expr::Paren(_, inner) => Size::of(inner),
            Expr::Lit(lit) => match lit {
                Lit::Int(int) if matches!(int.suffix(), "" | "usize") => match int.base10_parse::<u64>() {
                    Ok(value) if value <= MAX => Ok(Size::Literal { value, span }),
                    _ => Err(Error::new(span, format!("a size is at most 1,000,000,000, but this is {}", text()))),
                },
                Lit::Float(_) => Err(Error::new(span, format!("a size is a whole number, but this is {}", text()))),
                _ => Err(Error::new(span, format!("a size is a number, a constant or `_`, but this is {}", text()))),
            },
            Expr::Negative { .. } => {
                Err(Error::new(span, format!("a size cannot be negative, but this is {}", text())))
            }
            Expr::Name(name) if name.to_string().chars().all(|c| !c.is_uppercase()) => Err(Error::new(
                span,
                format!(
                    "a size must be known at compile time, but `{name}` looks like a variable; make it a constant \
                     (`const {}: usize = …`), or write `{{ {name} }}` if it is one",
                    name.to_string().to_uppercase()
                ),
            )),
            Expr::Name(_) | Expr::Block(_) => Ok(Size::Constant(Box::new(expr.clone()))),
            Expr::Other(tokens) if !is_reference(tokens) => Ok(Size::Constant(Box::new(expr.clone()))),
            _ => Err(Error::new(span, "a size is a number, a constant or `_`")),
        }
    }
}

/// Whether tokens are `&x` or a closure.
fn is_reference(tokens: &TokenStream) -> bool {
    matches!(tokens.clone().into_iter().next(), Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), '&' | '|'))
}

/// An expression as its author would write it, on one line.
pub(crate) fn text_of(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    let text = text.strip_prefix("- ").map_or(text.clone(), |rest| format!("-{rest}"));
    [
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" :: ", "::"),
        ("(- ", "(-"),
        (", - ", ", -"),
        ("= - ", "= -"),
        (" < ", "<"),
        (" >", ">"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to))
}

/// `D<50, 257>` for 50,257.
pub(crate) fn literal_type(value: u64, span: Span) -> TokenStream {
    let limb = |n: u64| proc_macro2::Literal::usize_unsuffixed(usize::try_from(n).unwrap_or(usize::MAX));
    let limbs: Vec<_> = match value {
        0..1_000 => vec![limb(value)],
        1_000..1_000_000 => vec![limb(value / 1_000), limb(value % 1_000)],
        _ => vec![limb(value / 1_000_000), limb(value / 1_000 % 1_000), limb(value % 1_000)],
    };
    quote_spanned!(span=> ::plywood::D<#(#limbs),*>)
}

/// `{ 2 * HIDDEN }` without its braces.
pub(crate) fn unbraced(expr: &Expr) -> TokenStream {
    match expr {
        Expr::Block(block) if !block.stream().is_empty() && !has_semicolon(block) => block.stream(),
        _ => expr.to_token_stream(),
    }
}

/// `D` of a constant expression.
pub(crate) fn constant_type(expr: &Expr) -> TokenStream {
    let span = expr.span();
    let expr = unbraced(expr);
    let limb = |k: usize| {
        let k = proc_macro2::Literal::usize_unsuffixed(k);
        quote_spanned!(span=> { ::plywood::__private::limb::<#k>(#expr) })
    };
    let (a, b, c) = (limb(0), limb(1), limb(2));
    quote_spanned!(span=> ::plywood::D<#a, #b, #c>)
}

impl ToTokens for Size {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Size::Literal { value, span } => literal_type(*value, *span),
            Size::Constant(expr) => constant_type(expr),
            Size::Infer(span) => quote_spanned!(*span=> ::plywood::Dyn),
        });
    }
}

/// What stands in `Size![…]`.
pub(crate) struct SizeLiteral(Size);

impl Parse for SizeLiteral {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(SizeLiteral(Size::of(&input.parse()?)?))
    }
}

impl ToTokens for SizeLiteral {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

/// What stands in `Shape![…]`.
pub(crate) struct ShapeLiteral(Vec<Size>);

impl Parse for ShapeLiteral {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let sizes = Punctuated::<Expr, Token![,]>::parse_terminated(input)?;
        if sizes.len() > 6 {
            return Err(Error::new(
                sizes[6].span(),
                format!("a shape has at most 6 sizes, but this one has {}", sizes.len()),
            ));
        }
        Ok(ShapeLiteral(sizes.iter().map(Size::of).collect::<Result<_>>()?))
    }
}

impl ToTokens for ShapeLiteral {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let dims = &self.0;
        tokens.extend(quote!((#(#dims,)*)));
    }
}
