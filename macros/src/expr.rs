//! Expressions, read only as far as the macros look into them.
//!
//! What is more than a token or two stays as it is written, and the compiler reads it where it is emitted. syn would read
//! all of it, and take two seconds longer to compile: time that every user waits.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{End, Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Lit, Result, Token, token};

/// An expression.
#[derive(Clone)]
pub(crate) enum Expr {
    /// `_`
    Infer(Token![_]),
    /// `5`
    Lit(Lit),
    /// `-5`, `-x`
    Negative { tokens: TokenStream, lit: Option<Lit> },
    /// `HIDDEN`
    Name(Ident),
    /// `(3, 5)`
    Tuple(Group, Vec<Expr>),
    /// `[3, 5]`
    Array(Group, Vec<Expr>),
    /// `(3)`
    Paren(Group, Box<Expr>),
    /// `{ 2 * HIDDEN }`
    Block(Group),
    /// `..`
    Range(Token![..]),
    /// Anything else.
    Other(TokenStream),
}

impl Expr {
    /// The literal of `5`, `-5`; `None` for any other expression.
    pub(crate) fn literal(&self) -> Option<&Lit> {
        match self {
            Expr::Lit(lit) | Expr::Negative { lit: Some(lit), .. } => Some(lit),
            _ => None,
        }
    }
}

impl ToTokens for Expr {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Expr::Infer(token) => token.to_tokens(tokens),
            Expr::Lit(lit) => lit.to_tokens(tokens),
            Expr::Name(name) => name.to_tokens(tokens),
            Expr::Tuple(group, _) | Expr::Array(group, _) | Expr::Paren(group, _) | Expr::Block(group) => {
                group.to_tokens(tokens);
            }
            Expr::Range(token) => token.to_tokens(tokens),
            Expr::Negative { tokens: all, .. } | Expr::Other(all) => tokens.extend(all.clone()),
        }
    }
}

impl Parse for Expr {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek2(Token![,]) || input.peek2(End) {
            if input.peek(Token![_]) {
                return Ok(Expr::Infer(input.parse()?));
            } else if input.peek(Lit) {
                return Ok(Expr::Lit(input.parse()?));
            } else if input.peek(syn::Ident) {
                return Ok(Expr::Name(input.parse()?));
            } else if input.peek(token::Brace) {
                return Ok(Expr::Block(input.parse()?));
            } else if input.peek(token::Bracket) {
                let group: Group = input.parse()?;
                if has_semicolon(&group) {
                    return Ok(Expr::Other(group.into_token_stream()));
                }
                let items = list(&group)?;
                return Ok(Expr::Array(group, items.into_iter().collect()));
            } else if input.peek(token::Paren) {
                let group: Group = input.parse()?;
                let items = list(&group)?;
                if items.len() != 1 || items.trailing_punct() {
                    return Ok(Expr::Tuple(group, items.into_iter().collect()));
                }
                return match items.into_iter().next() {
                    Some(only) => Ok(Expr::Paren(group, Box::new(only))),
                    None => Ok(Expr::Other(group.into_token_stream())),
                };
            }
        } else if input.peek(Token![-]) && (input.peek3(Token![,]) || input.peek3(End)) {
            return negative(input);
        } else if input.peek(Token![..]) && (input.peek3(Token![,]) || input.peek3(End)) {
            return Ok(Expr::Range(input.parse()?));
        }
        other(input).map(Expr::Other)
    }
}

/// Whether a `;` stands in a group: in `[x; 3]`, or in a block of several statements.
pub(crate) fn has_semicolon(group: &Group) -> bool {
    group.stream().into_iter().any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'))
}

fn list(group: &Group) -> Result<Punctuated<Expr, Token![,]>> {
    Punctuated::parse_terminated.parse2(group.stream())
}

/// `-5`, also where more than a comma follows.
pub(crate) fn negative(input: ParseStream<'_>) -> Result<Expr> {
    let minus: Token![-] = input.parse()?;
    let lit: Option<Lit> = if input.peek(Lit) { Some(input.parse()?) } else { None };
    let mut tokens = minus.into_token_stream();
    match &lit {
        Some(lit) => lit.to_tokens(&mut tokens),
        None => tokens.extend([input.parse::<TokenTree>()?]),
    }
    Ok(Expr::Negative { tokens, lit })
}

/// The tokens up to the end of an expression: a comma, or what cannot belong to it.
fn other(input: ParseStream<'_>) -> Result<TokenStream> {
    let begins = input.peek(Lit)
        || input.peek(syn::Ident::peek_any)
        || (input.peek(token::Paren) || input.peek(token::Bracket) || input.peek(token::Brace))
        || (input.peek(Token![-]) || input.peek(Token![!]) || input.peek(Token![*]) || input.peek(Token![&]))
        || (input.peek(Token![|]) || input.peek(Token![<]) || input.peek(Token![::]) || input.peek(Token![..]))
        || input.peek(syn::Lifetime);
    if !begins || input.peek(Token![_]) && !input.peek2(token::Paren) {
        return Err(input.error("expected an expression"));
    }
    let mut tokens = TokenStream::new();
    // Whether what comes before is a value, and inside of how many `<` it is.
    let (mut value, mut depth) = (false, 0_usize);
    while !input.is_empty() && (depth > 0 || !input.peek(Token![,])) {
        let assigns = input.peek(Token![=]) && !input.peek(Token![==]);
        let ends = input.peek(Lit) || input.peek(syn::Ident) || input.peek(Token![;]) || assigns;
        if value && depth == 0 && ends {
            break;
        }
        let opens = depth > 0 || !value;
        if input.peek(Token![->]) {
            input.parse::<Token![->]>()?.to_tokens(&mut tokens);
            continue;
        }
        if input.peek(Token![::]) && input.peek3(Token![<]) {
            input.parse::<Token![::]>()?.to_tokens(&mut tokens);
            input.parse::<Token![<]>()?.to_tokens(&mut tokens);
            depth += 1;
            continue;
        }
        let keyword = !input.peek(syn::Ident);
        let token: TokenTree = input.parse()?;
        value = match &token {
            TokenTree::Group(_) | TokenTree::Literal(_) => true,
            TokenTree::Ident(name) => !keyword || ["self", "Self", "true", "false"].iter().any(|word| name == word),
            TokenTree::Punct(punct) => match punct.as_char() {
                '<' if opens => {
                    depth += 1;
                    false
                }
                '>' if depth > 0 => {
                    depth -= 1;
                    true
                }
                '?' => true,
                // `1..` ends with a range.
                '.' => value && input.peek(Token![.]) || input.is_empty(),
                _ => false,
            },
        };
        tokens.extend([token]);
    }
    if value { Ok(tokens) } else { Err(input.error("expected an expression")) }
}
