//! The literals of Python that a header consists of.

/// How deep lists may lie in each other: the description of a structured type is three deep.
const DEPTH: usize = 16;

/// A string, a truth value, a whole number, a tuple or a list, or a dictionary.
#[derive(Debug, PartialEq)]
pub(super) enum Literal {
    Str(String),
    Bool(bool),
    Int(usize),
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

impl Literal {
    /// The literal that is the whole text, but for white space around it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (literal, rest) = literal(text, DEPTH)?;
        rest.trim().is_empty().then_some(literal)
    }
}

/// The literal at the start of the text, and what follows it.
fn literal(text: &str, depth: usize) -> Option<(Literal, &str)> {
    let text = text.trim_start();
    let depth = depth.checked_sub(1)?;
    match text.chars().next()? {
        quote @ ('\'' | '"') => {
            let (string, rest) = text[1..].split_once(quote)?;
            // NumPy writes no escapes; the names in a structured type may have some, and mean nothing here.
            Some((Literal::Str(string.to_owned()), rest))
        }
        '(' => list(&text[1..], ')', depth, value).map(|(items, rest)| (Literal::List(items), rest)),
        '[' => list(&text[1..], ']', depth, value).map(|(items, rest)| (Literal::List(items), rest)),
        '{' => list(&text[1..], '}', depth, pair).map(|(items, rest)| (Literal::Dict(items), rest)),
        '0'..='9' => {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            // Python 2 wrote long numbers as `3L`.
            let rest = text[end..].strip_prefix('L').unwrap_or(&text[end..]);
            Some((Literal::Int(text[..end].parse().ok()?), rest))
        }
        _ => {
            let word = |word, value| Some((Literal::Bool(value), text.strip_prefix(word)?));
            word("True", true).or_else(|| word("False", false))
        }
    }
}

fn value(text: &str, depth: usize) -> Option<(Literal, &str)> {
    literal(text, depth)
}

fn pair(text: &str, depth: usize) -> Option<((Literal, Literal), &str)> {
    let (key, rest) = literal(text, depth)?;
    let (value, rest) = literal(rest.trim_start().strip_prefix(':')?, depth)?;
    Some(((key, value), rest))
}

/// Items with commas between them, and one behind the last if there is.
fn list<'t, T>(
    mut text: &'t str,
    close: char,
    depth: usize,
    item: impl Fn(&'t str, usize) -> Option<(T, &'t str)>,
) -> Option<(Vec<T>, &'t str)> {
    let mut items = Vec::new();
    loop {
        if let Some(rest) = text.trim_start().strip_prefix(close) {
            return Some((items, rest));
        }
        let (next, rest) = item(text, depth)?;
        items.push(next);
        text = rest.trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with(close) => {}
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_dictionary() {
        let text = "{'descr': '<f4', \"fortran_order\": False, 'shape': (3, 4L), }   \n";
        let Some(Literal::Dict(entries)) = Literal::of(text) else { panic!("a dictionary") };
        let values: Vec<Literal> = entries.into_iter().map(|(_, value)| value).collect();
        let shape = Literal::List(vec![Literal::Int(3), Literal::Int(4)]);
        assert_eq!(values, [Literal::Str("<f4".to_owned()), Literal::Bool(false), shape]);
        assert_eq!(Literal::of("()"), Some(Literal::List(vec![])));
    }

    #[test]
    fn what_is_no_literal_is_nothing() {
        for text in
            ["", "(1 2)", "(,)", "(1,", "{1}", "{1: }", "'a", "-1", "1.5", "(1) 2", "Tru", "99999999999999999999"]
        {
            assert_eq!(Literal::of(text), None, "{text}");
        }
        assert_eq!(Literal::of(&"(".repeat(100_000)), None);
    }
}
