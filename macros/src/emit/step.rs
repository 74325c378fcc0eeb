//! The layers as steps, each at its place in the user's text, and names that are nobody else's.

use crate::check::{Plan, Planned};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::HashSet;

/// Names that the emitted code introduces, none of which the user's own types have.
pub(super) struct Fresh {
    used: HashSet<String>,
}

impl Fresh {
    pub(super) fn new(tokens: TokenStream) -> Self {
        let mut used = HashSet::new();
        let mut rest = vec![tokens];
        while let Some(tokens) = rest.pop() {
            for token in tokens {
                match token {
                    TokenTree::Ident(ident) => drop(used.insert(ident.to_string())),
                    TokenTree::Group(group) => rest.push(group.stream()),
                    _ => {}
                }
            }
        }
        Fresh { used }
    }

    pub(super) fn name(&self, wanted: &str) -> Ident {
        let mut name = wanted.to_owned();
        while self.used.contains(&name) {
            name.push('_');
        }
        format_ident!("{name}")
    }
}

/// A layer with the activation that it takes in.
pub(super) struct Step {
    /// `<Type as Layer>`.
    layer: TokenStream,
    pub(super) span: Span,
    pub(super) alias: Option<TokenStream>,
}

impl Step {
    /// A layer by itself.
    pub(super) fn of(layer: &Planned) -> Self {
        Step { layer: as_layer(&layer.ty, layer.span), span: layer.span, alias: None }
    }

    /// `<Type as Layer>::what`, all of it at the layer's place in the user's text: if its type is no layer, the compiler
    /// says so there, and once.
    pub(super) fn get(&self, what: &str) -> TokenStream {
        let (layer, what) = (&self.layer, Ident::new(what, self.span));
        quote_spanned!(self.span=> #layer::#what)
    }

    /// `<Type as Layer>::function::<Elem>`, likewise.
    pub(super) fn function(&self, function: &str, elem: &Ident) -> TokenStream {
        let function = self.get(function);
        quote_spanned!(self.span=> #function::<#elem>)
    }

    /// `<Type as Layer>::function::<Elem, Simd>`, likewise.
    pub(super) fn function_on(&self, function: &str, elem: &Ident, simd: &Ident) -> TokenStream {
        let function = self.get(function);
        quote_spanned!(self.span=> #function::<#elem, #simd>)
    }

    /// `<Type as Layer>::View<'lifetime, Elem>`, likewise.
    pub(super) fn view(&self, lifetime: &str, elem: &Ident) -> TokenStream {
        let (view, lifetime) = (self.get("View"), syn::Lifetime::new(lifetime, self.span));
        quote_spanned!(self.span=> #view<#lifetime, #elem>)
    }

    /// Its part of the parameters of `self`, which means the same only where `self` comes from the same place.
    pub(super) fn part(&self, offset: &TokenStream, place: Span) -> TokenStream {
        let params = self.get("PARAMS");
        quote_spanned!(place=> &self.parameters.as_slice()[#offset..][..#params])
    }

    /// The number of elements of its output.
    pub(super) fn numel(&self) -> TokenStream {
        let output = self.get("Output");
        quote_spanned!(self.span=> <#output as ::plywood::StaticShape>::NUMEL)
    }
}

/// `<Type as Layer>` at the layer's place in the user's text, where the compiler then says that it is none.
fn as_layer(ty: &TokenStream, span: Span) -> TokenStream {
    quote_spanned!(span=> <#ty as ::plywood::nn::Layer>)
}

/// The layers that compute, each with the activation that it takes in.
pub(super) fn steps(plan: &Plan, fresh: &Fresh, generic: bool) -> Vec<Step> {
    let layers: Vec<_> = plan.layers.iter().filter(|layer| !layer.skipped).collect();
    // Where nothing computes, something must still carry the input to the output.
    let layers = if layers.is_empty() { plan.layers.iter().rev().take(1).collect() } else { layers };
    let mut steps: Vec<(TokenStream, Span)> = Vec::new();
    for layer in layers {
        match (&layer.fused, steps.last_mut()) {
            (Some(activation), Some((before, _))) => *before = quote!(::plywood::nn::Then<#before, #activation>),
            _ => steps.push((layer.ty.clone(), layer.span)),
        }
    }
    let named = |(i, (ty, span)): (usize, (TokenStream, Span))| {
        if generic {
            return Step { layer: as_layer(&ty, span), span, alias: None };
        }
        let name = fresh.name(&format!("Step{i}"));
        let mut used = name.clone();
        used.set_span(span);
        Step { layer: as_layer(&used.into_token_stream(), span), span, alias: Some(quote!(type #name = #ty;)) }
    };
    steps.into_iter().enumerate().map(named).collect()
}
