//! The list of layers as it is written.

use crate::expr::{self, Expr};
use crate::tokens::{Attribute, Generics, Path, visibility};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Ident, Result, Token, braced, parenthesized};

/// What stands in `sequential!`.
pub(crate) struct Network {
    /// `None` for the expression form.
    pub(crate) item: Option<Item>,
    pub(crate) layers: Vec<Layer>,
}

/// The head of the item form.
pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    /// `pub`, `pub(crate)` or nothing.
    pub(crate) vis: TokenStream,
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    pub(crate) shapes: Option<Shapes>,
}

/// `: input => output`
pub(crate) struct Shapes {
    pub(crate) input: Vec<Expr>,
    pub(crate) output: Vec<Expr>,
    pub(crate) output_span: Span,
}

/// `name: Path(args)`
pub(crate) struct Layer {
    /// Its doc comment.
    pub(crate) docs: Vec<Attribute>,
    pub(crate) name: Option<Ident>,
    pub(crate) path: Path,
    pub(crate) args: Vec<Arg>,
}

/// `value` or `key = value`
pub(crate) struct Arg {
    pub(crate) key: Option<Ident>,
    pub(crate) value: Expr,
}

impl Layer {
    /// As its author would write it.
    pub(crate) fn text(&self) -> String {
        let path = crate::size::text_of(&self.path);
        let args: Vec<_> = self
            .args
            .iter()
            .map(|arg| match &arg.key {
                Some(key) => format!("{key} = {}", crate::size::text_of(&arg.value)),
                None => crate::size::text_of(&arg.value),
            })
            .collect();
        let name = self.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        if args.is_empty() { format!("{name}{path}") } else { format!("{name}{path}({})", args.join(", ")) }
    }

    pub(crate) fn span(&self) -> Span {
        self.path.span()
    }
}

impl Parse for Network {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if !is_item(input) {
            return Ok(Network { item: None, layers: layers(input)? });
        }
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.call(visibility)?;
        input.parse::<Token![struct]>()?;
        let name = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let shapes = if input.peek(Token![:]) { Some(shapes(input)?) } else { None };
        generics.parse_where(input)?;
        let body;
        braced!(body in input);
        let layers = layers(&body)?;
        if !input.is_empty() {
            return Err(input.error("`sequential!` declares one network a call; expected nothing after its `}`"));
        }
        Ok(Network { item: Some(Item { attrs, vis, name, generics, shapes }), layers })
    }
}

fn is_item(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let head = ahead.call(Attribute::parse_outer).and_then(|_| ahead.call(visibility));
    head.is_ok() && ahead.peek(Token![struct])
}

fn shapes(input: ParseStream<'_>) -> Result<Shapes> {
    input.parse::<Token![:]>()?;
    let (given, _) = sizes(input)?;
    if !input.peek(Token![=>]) {
        return Err(input.error("expected `=>` and the output's shape, as in `: (28, 28) => 10`"));
    }
    input.parse::<Token![=>]>()?;
    let (output, output_span) = sizes(input)?;
    Ok(Shapes { input: given, output, output_span })
}

/// `10` or `(1, 28, 28)`
fn sizes(input: ParseStream<'_>) -> Result<(Vec<Expr>, Span)> {
    if input.peek(syn::token::Paren) {
        let list;
        let paren = parenthesized!(list in input);
        let sizes = list.parse_terminated(Expr::parse, Token![,])?;
        return Ok((sizes.into_iter().collect(), paren.span.join()));
    }
    // Not a whole expression: `10 { … }` would be read as one.
    let size = if input.peek(syn::token::Brace) {
        Expr::Block(input.parse()?)
    } else if input.peek(syn::Lit) {
        Expr::Lit(input.parse()?)
    } else if input.peek(Token![-]) {
        input.call(expr::negative)?
    } else {
        let path: Path = input.parse()?;
        path.get_ident().cloned().map_or_else(|| Expr::Other(path.to_token_stream()), Expr::Name)
    };
    let span = size.span();
    Ok((vec![size], span))
}

fn layers(input: ParseStream<'_>) -> Result<Vec<Layer>> {
    let mut layers: Vec<Layer> = Vec::new();
    while !input.is_empty() {
        layers.push(input.parse()?);
        if input.is_empty() {
            break;
        }
        if !input.peek(Token![,]) {
            let before = layers[layers.len() - 1].text();
            if input.peek(Token![.]) {
                return Err(
                    input.error(format!("write a layer by its name alone, `Linear(4, 3)`, without `{before}.`"))
                );
            }
            return Err(input.error(format!("missing comma after layer {} `{before}`", layers.len() - 1)));
        }
        input.parse::<Token![,]>()?;
    }
    Ok(layers)
}

impl Parse for Layer {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let docs = input.call(Attribute::parse_outer)?;
        if let Some(other) = docs.iter().find(|attribute| !attribute.is("doc")) {
            return Err(Error::new(other.span(), "a layer takes no attributes but a doc comment"));
        }
        let name = if input.peek(Ident) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
            let name = input.parse()?;
            input.parse::<Token![:]>()?;
            Some(name)
        } else {
            None
        };
        if !input.peek(Ident)
            && !input.peek(Token![::])
            && !input.peek(Token![self])
            && !input.peek(Token![crate])
            && !input.peek(Token![super])
        {
            return Err(input.error("expected a layer, such as `Linear(16, 32)` or `ReLU`"));
        }
        // `Scale<…>` as in a type, but `(…)` are the layer's arguments and not those of `Fn(…)`.
        let path = input.parse()?;
        let mut args = Vec::new();
        if input.peek(syn::token::Paren) {
            let list;
            parenthesized!(list in input);
            args.extend(list.parse_terminated(Arg::parse, Token![,])?);
        }
        Ok(Layer { docs, name, path, args })
    }
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let key = input.parse()?;
            input.parse::<Token![=]>()?;
            return Ok(Arg { key: Some(key), value: input.parse()? });
        }
        let ahead = input.fork();
        match ahead.parse::<Expr>() {
            Ok(value) => {
                input.advance_to(&ahead);
                Ok(Arg { key: None, value })
            }
            Err(error) => Err(Error::new(error.span(), "expected a size, a value, or `option = value`")),
        }
    }
}
