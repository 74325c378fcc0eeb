//! What a `macro_rules!` passes on.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The same tokens without the invisible groups around `$a:expr` and its like, which the compiler forgets in what a macro
/// gives back: what may need it gets parentheses, so that `$a * 2` stays `(1 + 2) * 2`; a name, a number or a row does not.
pub(crate) fn visible(tokens: TokenStream) -> TokenStream {
    tokens.into_iter().flat_map(token).collect()
}

fn token(token: TokenTree) -> TokenStream {
    let TokenTree::Group(group) = token else { return token.into() };
    if !invisible(&group) {
        return TokenTree::from(group).into(); // as it is, with the places of its delimiters
    }
    let inner = visible(group.stream());
    let delimiter = match group.delimiter() {
        Delimiter::None if stands_alone(&inner) => return inner,
        Delimiter::None => Delimiter::Parenthesis,
        other => other,
    };
    let mut visible = Group::new(delimiter, inner);
    visible.set_span(group.span());
    TokenTree::from(visible).into()
}

fn invisible(group: &Group) -> bool {
    let within = |token: TokenTree| matches!(&token, TokenTree::Group(group) if invisible(group));
    group.delimiter() == Delimiter::None || group.stream().into_iter().any(within)
}

fn stands_alone(tokens: &TokenStream) -> bool {
    let mut count = tokens.clone().into_iter();
    let single = count.next().is_some() && count.next().is_none();
    single || crate::tokens::is_path(tokens)
}
