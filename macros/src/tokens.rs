//! Rust around a list of layers, read only as far as the macros look into it: see [`crate::expr`].

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Lifetime, Result, Token, token};

/// `#[name …]`
#[derive(Clone)]
pub(crate) struct Attribute {
    /// `None` for a path.
    name: Option<Ident>,
    tokens: TokenStream,
}

impl Attribute {
    pub(crate) fn parse_outer(input: ParseStream<'_>) -> Result<Vec<Attribute>> {
        let mut attributes = Vec::new();
        while input.peek(Token![#]) {
            let mut tokens = input.parse::<Token![#]>()?.into_token_stream();
            if !input.peek(token::Bracket) {
                return Err(input.error("expected square brackets"));
            }
            let group: proc_macro2::Group = input.parse()?;
            let mut content = group.stream().into_iter();
            let name = match (content.next(), content.next()) {
                (Some(TokenTree::Ident(_)), Some(TokenTree::Punct(punct))) if punct.as_char() == ':' => None,
                (Some(TokenTree::Ident(name)), _) => Some(name),
                _ => None,
            };
            group.to_tokens(&mut tokens);
            attributes.push(Attribute { name, tokens });
        }
        Ok(attributes)
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|ident| ident == name)
    }
}

impl ToTokens for Attribute {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.tokens.clone());
    }
}

/// `pub`, `pub(crate)` or nothing.
pub(crate) fn visibility(input: ParseStream<'_>) -> Result<TokenStream> {
    let mut tokens = TokenStream::new();
    if input.peek(Token![pub]) {
        input.parse::<Token![pub]>()?.to_tokens(&mut tokens);
        if input.peek(token::Paren) {
            tokens.extend([input.parse::<TokenTree>()?]);
        }
    }
    Ok(tokens)
}

/// `Linear`, `self::Scale<…>`
pub(crate) struct Path {
    pub(crate) names: Vec<Ident>,
    /// Whether anything stands in `<…>`.
    pub(crate) arguments: bool,
    absolute: bool,
    tokens: TokenStream,
}

impl Path {
    /// The name, if it is nothing else.
    pub(crate) fn get_ident(&self) -> Option<&Ident> {
        self.names.first().filter(|_| self.names.len() == 1 && !self.arguments && !self.absolute)
    }
}

impl Parse for Path {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let leading: Option<Token![::]> = input.parse()?;
        let mut path =
            Path { names: Vec::new(), arguments: false, absolute: leading.is_some(), tokens: quote!(#leading) };
        loop {
            let name = input.call(Ident::parse_any)?;
            name.to_tokens(&mut path.tokens);
            path.names.push(name);
            if !input.peek(Token![::]) || input.peek3(Token![<]) {
                break;
            }
            input.parse::<Token![::]>()?.to_tokens(&mut path.tokens);
        }
        // `Scale<…>` and `Scale::<…>`
        if input.peek(Token![<]) || input.peek(Token![::]) {
            input.parse::<Option<Token![::]>>()?.to_tokens(&mut path.tokens);
            input.parse::<Token![<]>()?.to_tokens(&mut path.tokens);
            path.tokens.extend(types(input, |input| input.peek(Token![>]))?);
            input.parse::<Token![>]>()?.to_tokens(&mut path.tokens);
            path.arguments = true;
        }
        Ok(path)
    }
}

impl ToTokens for Path {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.tokens.clone());
    }
}

/// Whether tokens are a path, such as a type's name.
pub(crate) fn is_path(tokens: &TokenStream) -> bool {
    let path = |input: ParseStream<'_>| loop {
        input.parse::<Path>()?;
        if !input.peek(Token![::]) {
            return Ok(());
        }
    };
    path.parse2(tokens.clone()).is_ok()
}

/// The tokens of types up to one that ends them, outside of all `<…>`.
fn types(input: ParseStream<'_>, ends: impl Fn(ParseStream<'_>) -> bool) -> Result<TokenStream> {
    let (mut tokens, mut depth) = (TokenStream::new(), 0_usize);
    while !input.is_empty() && (depth > 0 || !ends(input)) {
        if input.peek(Token![->]) {
            input.parse::<Token![->]>()?.to_tokens(&mut tokens);
            continue;
        }
        let token: TokenTree = input.parse()?;
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.extend([token]);
    }
    Ok(tokens)
}

/// The parameters of a struct, and its `where`.
#[derive(Clone, Default)]
pub(crate) struct Generics {
    pub(crate) params: Vec<Param>,
    pub(crate) where_clause: TokenStream,
}

#[derive(Clone)]
pub(crate) enum Param {
    Type {
        attrs: Vec<Attribute>,
        name: Ident,
        /// What follows the colon.
        bounds: TokenStream,
        /// With its `=`.
        default: TokenStream,
    },
    Const(Ident),
    Lifetime(Span),
}

impl Generics {
    /// The names of the type parameters.
    pub(crate) fn types(&self) -> impl Iterator<Item = &Ident> {
        self.params.iter().filter_map(|param| match param {
            Param::Type { name, .. } => Some(name),
            Param::Const(_) | Param::Lifetime(_) => None,
        })
    }

    /// Everything after `struct Net`, with more parameters.
    pub(crate) fn declared(&self, more: &TokenStream) -> TokenStream {
        self.list(more, true)
    }

    /// What stands after `impl`, with more parameters.
    pub(crate) fn implemented(&self, more: &TokenStream) -> TokenStream {
        self.list(more, false)
    }

    fn list(&self, more: &TokenStream, defaults: bool) -> TokenStream {
        let params: Vec<_> = self
            .params
            .iter()
            .filter_map(|param| match param {
                Param::Type { attrs, name, bounds, default } => {
                    let default = Some(default).filter(|_| defaults);
                    Some(quote!(#(#attrs)* #name: #bounds #default))
                }
                Param::Const(_) | Param::Lifetime(_) => None,
            })
            .collect();
        if params.is_empty() && more.is_empty() { TokenStream::new() } else { quote!(<#(#params,)* #more>) }
    }

    /// `where` and all that belongs to it, up to the list.
    pub(crate) fn parse_where(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(Token![where]) {
            self.where_clause = types(input, |input| input.peek(token::Brace))?;
        }
        Ok(())
    }
}

impl Parse for Generics {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut generics = Generics::default();
        if !input.peek(Token![<]) {
            return Ok(generics);
        }
        input.parse::<Token![<]>()?;
        while !input.peek(Token![>]) {
            generics.params.push(input.parse()?);
            if !input.peek(Token![>]) {
                input.parse::<Token![,]>()?;
            }
        }
        input.parse::<Token![>]>()?;
        Ok(generics)
    }
}

impl Parse for Param {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = Attribute::parse_outer(input)?;
        let is_const = input.parse::<Option<Token![const]>>()?.is_some();
        let param = if input.peek(Lifetime) {
            Param::Lifetime(input.parse::<Lifetime>()?.span())
        } else if is_const {
            Param::Const(input.parse()?)
        } else {
            Param::Type { attrs, name: input.parse()?, bounds: TokenStream::new(), default: TokenStream::new() }
        };
        let mut given = TokenStream::new();
        if input.parse::<Option<Token![:]>>()?.is_some() {
            given = types(input, |input| input.peek(Token![,]) || input.peek(Token![>]) || input.peek(Token![=]))?;
        }
        let mut value = TokenStream::new();
        if input.peek(Token![=]) {
            value = types(input, |input| input.peek(Token![,]) || input.peek(Token![>]))?;
        }
        Ok(match param {
            Param::Type { attrs, name, .. } => Param::Type { attrs, name, bounds: given, default: value },
            other => other,
        })
    }
}
