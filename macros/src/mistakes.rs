//! The mistakes found in one macro call, all of them.

use core::fmt::Display;
use proc_macro2::{Span, TokenStream};

/// Collects every mistake, so that one does not hide another.
pub(crate) struct Mistakes {
    found: Vec<syn::Error>,
    taken: bool,
}

impl Mistakes {
    pub(crate) fn new() -> Self {
        Mistakes { found: Vec::new(), taken: false }
    }

    pub(crate) fn add(&mut self, span: Span, message: impl Display) {
        self.found.push(syn::Error::new(span, message));
    }

    pub(crate) fn into_compile_errors(mut self) -> TokenStream {
        self.taken = true;
        self.found.iter().map(syn::Error::to_compile_error).collect()
    }
}

impl Drop for Mistakes {
    fn drop(&mut self) {
        assert!(self.taken || std::thread::panicking(), "mistakes were collected and never reported");
    }
}
