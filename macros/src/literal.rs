//! `tensor!`: nested literals with their sizes counted.

use crate::expr::Expr;
use crate::size::literal_type;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Result, Token};

/// The sizes and the entries, row-major.
pub(crate) struct Literal {
    sizes: Vec<usize>,
    entries: Vec<Expr>,
}

impl Parse for Literal {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let items = Punctuated::<Expr, Token![,]>::parse_terminated(input)?;
        let mut literal = Literal { sizes: Vec::new(), entries: Vec::new() };
        literal.sizes = literal.level(items.iter(), Span::call_site(), 1)?;
        Ok(literal)
    }
}

impl Literal {
    /// Takes in the items of one level and gives their sizes, this level's first.
    fn level<'a>(
        &mut self,
        items: impl ExactSizeIterator<Item = &'a Expr>,
        span: Span,
        depth: usize,
    ) -> Result<Vec<usize>> {
        if depth > 6 {
            return Err(Error::new(span, "a tensor has at most 6 dimensions, but this one is nested deeper"));
        }
        let count = items.len();
        let mut first: Option<Vec<usize>> = None;
        for (i, item) in items.enumerate() {
            let sizes = match item {
                Expr::Array(array, items) => self.level(items.iter(), array.span(), depth + 1)?,
                entry => {
                    self.entries.push(entry.clone());
                    Vec::new()
                }
            };
            match &first {
                None => first = Some(sizes),
                Some(expected) if *expected == sizes => {}
                Some(expected) => return Err(Error::new(item.span(), ragged(i, &sizes, expected))),
            }
        }
        Ok(core::iter::once(count).chain(first.unwrap_or_default()).collect())
    }
}

fn ragged(index: usize, sizes: &[usize], expected: &[usize]) -> String {
    let describe = |sizes: &[usize]| match sizes {
        [] => "a single number".to_owned(),
        [1] => "1 entry".to_owned(),
        [n] => format!("{n} entries"),
        _ => format!("shape {sizes:?}"),
    };
    format!(
        "rows of a tensor have the same shape: entry {index} has {}, but entry 0 has {}",
        describe(sizes),
        describe(expected)
    )
}

impl ToTokens for Literal {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let entries = &self.entries;
        let dims = self.sizes.iter().map(|size| literal_type(*size as u64, Span::call_site()));
        tokens.extend(quote!(::plywood::__private::literal::<(#(#dims,)*), _>(&[#(#entries),*])));
    }
}
