//! The layers that `sequential!` knows by name, with their arguments.

use crate::check::Window;
use crate::expr::Expr;
use crate::mistakes::Mistakes;
use crate::parse::{Arg, Layer};
use crate::size::text_of;
use crate::spelling::distance;
use crate::tokens::Path;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::collections::HashMap;
use syn::Lit;
use syn::spanned::Spanned;

/// What an argument is.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    Size,
    Bool(bool),
    Number(f64),
    Text(&'static [&'static str]),
    LastDim,
    /// A size, or one for height and one for width; the text says the default.
    Pair(Option<&'static str>),
    /// An option of PyTorch of which Plywood has this value only.
    Only(&'static str),
}

/// A layer's name and its arguments, in PyTorch's order.
struct Signature {
    name: &'static str,
    args: &'static [(&'static str, Value)],
}

const SIGNATURES: &[Signature] = &[
    Signature {
        name: "Linear",
        args: &[("in_features", Value::Size), ("out_features", Value::Size), ("bias", Value::Bool(true))],
    },
    Signature {
        name: "Conv2d",
        args: &[
            ("in_channels", Value::Size),
            ("out_channels", Value::Size),
            ("kernel_size", Value::Pair(None)),
            ("stride", Value::Pair(Some("1"))),
            ("padding", Value::Pair(Some("0"))),
            ("dilation", Value::Pair(Some("1"))),
            ("groups", Value::Only("1")),
            ("bias", Value::Bool(true)),
            ("padding_mode", Value::Only("\"zeros\"")),
        ],
    },
    Signature {
        name: "MaxPool2d",
        args: &[
            ("kernel_size", Value::Pair(None)),
            ("stride", Value::Pair(Some("kernel_size"))),
            ("padding", Value::Pair(Some("0"))),
            ("dilation", Value::Only("1")),
            ("return_indices", Value::Only("false")),
            ("ceil_mode", Value::Only("false")),
        ],
    },
    Signature { name: "ReLU", args: &[] },
    Signature { name: "LeakyReLU", args: &[("negative_slope", Value::Number(0.01))] },
    Signature { name: "ELU", args: &[("alpha", Value::Number(1.0))] },
    Signature { name: "GELU", args: &[("approximate", Value::Text(&["none", "tanh"]))] },
    Signature { name: "SiLU", args: &[] },
    Signature { name: "Sigmoid", args: &[] },
    Signature { name: "Tanh", args: &[] },
    Signature { name: "Softplus", args: &[("beta", Value::Number(1.0)), ("threshold", Value::Number(20.0))] },
    Signature { name: "Hardtanh", args: &[("min_val", Value::Number(-1.0)), ("max_val", Value::Number(1.0))] },
    Signature { name: "Softmax", args: &[("dim", Value::LastDim)] },
    Signature { name: "LogSoftmax", args: &[("dim", Value::LastDim)] },
    Signature { name: "Flatten", args: &[] },
    Signature { name: "Identity", args: &[] },
];

impl Signature {
    fn text(&self) -> String {
        let args: Vec<_> = self
            .args
            .iter()
            .filter_map(|(name, value)| match value {
                Value::Size | Value::Pair(None) => Some((*name).to_owned()),
                Value::Bool(default) => Some(format!("{name} = {default}")),
                Value::Number(default) => Some(format!("{name} = {default:?}")),
                Value::Text(values) => Some(format!("{name} = {:?}", values[0])),
                Value::LastDim => Some(format!("{name} = -1")),
                Value::Pair(Some(default)) => Some(format!("{name} = {default}")),
                Value::Only(_) => None,
            })
            .collect();
        if args.is_empty() {
            format!("`{}` without arguments", self.name)
        } else {
            format!("`{}({})`", self.name, args.join(", "))
        }
    }
}

/// What a layer is, with its arguments read.
pub(crate) enum Kind {
    /// The expressions of both sizes.
    Linear {
        sizes: Box<[Expr; 2]>,
        bias: bool,
    },
    /// `Conv2d` or `MaxPool2d`.
    Window(Box<Window>),
    /// The type of the activation.
    Activation(TokenStream),
    /// `Softmax` or `LogSoftmax`, over this dimension of the batch.
    Softmax {
        name: &'static str,
        dim: Option<Expr>,
    },
    Flatten,
    Identity,
    /// A type in scope, with what stands in its parentheses.
    Outside(Vec<Expr>),
    /// Something is wrong with it, and that has been said.
    Broken,
}

/// Reads a layer's name and arguments.
pub(crate) fn kind_of(layer: &Layer, place: &str, mistakes: &mut Mistakes) -> Kind {
    let Some(ident) = own_name(&layer.path) else { return outside(layer, place, mistakes) };
    let name = ident.to_string();
    match SIGNATURES.iter().find(|signature| signature.name == name) {
        Some(signature) => known(layer, signature, place, mistakes),
        None => match misspelled(&name) {
            Some(meant) => {
                mistakes.add(ident.span(), format!("{place}: unknown layer `{name}`; did you mean `{}`?", meant.name));
                // Read on as if it were, so that what does not fit is found, too; its arguments may be another layer's.
                let mut further = Mistakes::new();
                let kind = known(layer, meant, place, &mut further);
                if further.into_compile_errors().is_empty() { kind } else { Kind::Broken }
            }
            None => outside(layer, place, mistakes),
        },
    }
}

/// `Linear`, also where it is written `nn::Linear` or `plywood::nn::Linear`.
fn own_name(path: &Path) -> Option<&syn::Ident> {
    let mut names: Vec<String> = path.names.iter().map(ToString::to_string).collect();
    let last = names.pop()?;
    let ours = names == ["nn"] || names == ["plywood", "nn"];
    if ours && SIGNATURES.iter().any(|signature| signature.name == last) {
        return path.names.last();
    }
    path.get_ident()
}

fn misspelled(name: &str) -> Option<&'static Signature> {
    // A layer of PyTorch may have a name close to one of ours: whoever writes it means it.
    if MISSING.contains(&name) {
        return None;
    }
    let lower = name.to_lowercase();
    let far = |known: &str| distance(&lower, &known.to_lowercase());
    let nearest = SIGNATURES.iter().min_by_key(|signature| far(signature.name))?;
    let allowed = if nearest.name.len() < 6 { 1 } else { 2 };
    (far(nearest.name) <= allowed).then_some(nearest)
}

/// Layers of PyTorch that Plywood does not have: an argument that is no size tells that PyTorch's is meant.
const MISSING: &[&str] = &[
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bilinear",
    "CELU",
    "Conv1d",
    "Conv3d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "GLU",
    "GRU",
    "GroupNorm",
    "LSTM",
    "LayerNorm",
    "MaxPool1d",
    "MaxPool3d",
    "PReLU",
    "RNN",
    "RReLU",
    "ReLU6",
    "SELU",
    "Softmin",
    "Softsign",
    "Transformer",
    "Unflatten",
    "Upsample",
];

fn outside(layer: &Layer, place: &str, mistakes: &mut Mistakes) -> Kind {
    let missing = layer.path.get_ident().filter(|name| MISSING.contains(&name.to_string().as_str()));
    let unlike_size = |arg: &Arg| {
        arg.key.is_some() || matches!(arg.value.literal(), Some(Lit::Float(_) | Lit::Bool(_) | Lit::Str(_)))
    };
    if let Some(name) = missing.filter(|_| layer.args.iter().any(unlike_size)) {
        mistakes.add(
            name.span(),
            format!("{place}: Plywood has no `{name}`; a layer of your own implements `plywood::nn::Layer`"),
        );
        return Kind::Broken;
    }
    if let Some(Arg { key: Some(key), .. }) = layer.args.iter().find(|arg| arg.key.is_some()) {
        mistakes.add(
            key.span(),
            format!("{place}: a layer of your own takes sizes only; make `{key}` a part of its type, as in `Layer<…>`"),
        );
        return Kind::Broken;
    }
    if layer.path.arguments && !layer.args.is_empty() {
        mistakes.add(layer.span(), format!("{place}: give the sizes either in `<…>` or in `(…)`, not in both"));
        return Kind::Broken;
    }
    Kind::Outside(layer.args.iter().map(|arg| arg.value.clone()).collect())
}

fn known(layer: &Layer, signature: &Signature, place: &str, mistakes: &mut Mistakes) -> Kind {
    let args = bind(layer, signature, place, mistakes);
    let required = signature.args.iter().filter(|(_, value)| matches!(value, Value::Size | Value::Pair(None)));
    let complete = required.clone().all(|(name, _)| args.contains_key(name));
    if !complete && layer.args.len() < required.count() {
        mistakes.add(layer.span(), format!("{place}: expected {}", signature.text()));
    }
    let name = proc_macro2::Ident::new(signature.name, layer.span());
    let mut read = Reader { args, place, mistakes };
    match signature.name {
        "Linear" => {
            let bias = read.bool("bias", true);
            match (read.args.remove("in_features"), read.args.remove("out_features")) {
                (Some(input), Some(output)) => Kind::Linear { sizes: Box::new([input, output]), bias },
                _ => Kind::Broken,
            }
        }
        "Conv2d" | "MaxPool2d" => {
            let only = signature.args.iter().all(|(key, value)| match value {
                Value::Only(only) => read.only(key, only),
                _ => true,
            });
            let bias = read.bool("bias", true);
            let [input, output, kernel, stride, padding, dilation] =
                ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"]
                    .map(|key| read.args.remove(key));
            match (kernel, input.zip(output)) {
                (Some(kernel), channels) if complete && only => {
                    Kind::Window(Box::new(Window { channels, kernel, stride, padding, dilation, bias }))
                }
                _ => Kind::Broken,
            }
        }
        "ReLU" | "SiLU" | "Sigmoid" | "Tanh" => Kind::Activation(quote!(::plywood::nn::#name)),
        "LeakyReLU" | "ELU" | "Softplus" | "Hardtanh" => {
            if layer.args.is_empty() {
                Kind::Activation(quote!(::plywood::nn::#name))
            } else {
                let numbers: Vec<_> = signature
                    .args
                    .iter()
                    .filter_map(|(key, value)| match value {
                        Value::Number(default) => Some(read.number(key, *default)),
                        _ => None,
                    })
                    .collect();
                Kind::Activation(quote!(::plywood::nn::#name<#(#numbers),*>))
            }
        }
        "GELU" => match read.text("approximate", &["none", "tanh"]) {
            1 => Kind::Activation(quote!(::plywood::nn::GELUTanh)),
            _ => Kind::Activation(quote!(::plywood::nn::GELU)),
        },
        "Softmax" | "LogSoftmax" => Kind::Softmax { name: signature.name, dim: read.args.remove("dim") },
        "Flatten" => Kind::Flatten,
        _ => Kind::Identity,
    }
}

/// Puts each argument to its name.
fn bind(layer: &Layer, signature: &Signature, place: &str, mistakes: &mut Mistakes) -> HashMap<&'static str, Expr> {
    let mut bound = HashMap::new();
    for (i, arg) in layer.args.iter().enumerate() {
        let found = match &arg.key {
            None => signature.args.get(i),
            Some(key) => {
                let key = if key == "kernel" { "kernel_size".to_owned() } else { key.to_string() };
                signature.args.iter().find(|(name, _)| key == *name)
            }
        };
        let Some((name, _)) = found else {
            match &arg.key {
                None => mistakes
                    .add(arg.value.span(), format!("{place}: too many arguments; expected {}", signature.text())),
                Some(key) => {
                    let near = signature
                        .args
                        .iter()
                        .map(|(name, _)| *name)
                        .min_by_key(|name| distance(name, &key.to_string()));
                    let meant = match near {
                        Some(name) if distance(name, &key.to_string()) <= 3 => {
                            format!("did you mean `{name}`?")
                        }
                        _ => format!("expected {}", signature.text()),
                    };
                    mistakes.add(key.span(), format!("{place}: unknown option `{key}`; {meant}"));
                }
            }
            continue;
        };
        if bound.contains_key(name) {
            let span = arg.key.as_ref().map_or_else(|| arg.value.span(), |key| key.span());
            mistakes.add(span, format!("{place}: `{name}` is given twice"));
        } else {
            bound.insert(*name, arg.value.clone());
        }
    }
    bound
}

/// Reads the values of a layer's options.
struct Reader<'a> {
    args: HashMap<&'static str, Expr>,
    place: &'a str,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    fn wrong(&mut self, span: Span, key: &str, expected: &str, given: &Expr) {
        let message = format!("{}: `{key}` is {expected}, but this is `{}`", self.place, text_of(given));
        self.mistakes.add(span, message);
    }

    fn bool(&mut self, key: &str, default: bool) -> bool {
        match self.args.remove(key) {
            None => default,
            Some(Expr::Lit(Lit::Bool(given))) => given.value,
            Some(other) => {
                self.wrong(other.span(), key, "`true` or `false`", &other);
                default
            }
        }
    }

    /// Whether an option is left out or has the only value that there is.
    fn only(&mut self, key: &str, value: &str) -> bool {
        let Some(given) = self.args.remove(key).filter(|given| text_of(given) != value) else { return true };
        let message =
            format!("{}: Plywood has only `{key} = {value}` so far, but this is `{}`", self.place, text_of(&given));
        self.mistakes.add(given.span(), message);
        false
    }

    /// The bits of a number as a const argument.
    fn number(&mut self, key: &str, default: f64) -> TokenStream {
        let value = match self.args.remove(key) {
            None => quote!(#default),
            Some(expr) => {
                let span = expr.span();
                match expr.literal() {
                    Some(Lit::Int(int)) => {
                        let text = int.base10_digits();
                        let minus = matches!(expr, Expr::Negative { .. }).then(|| quote!(-));
                        let float: proc_macro2::Literal = match format!("{text}.0").parse() {
                            Ok(float) => float,
                            Err(_) => proc_macro2::Literal::f64_unsuffixed(0.0),
                        };
                        quote_spanned!(span=> #minus #float)
                    }
                    Some(Lit::Float(_)) => expr.to_token_stream(),
                    Some(_) => {
                        self.wrong(span, key, "a number", &expr);
                        quote!(#default)
                    }
                    None => expr.to_token_stream(),
                }
            }
        };
        quote!({ ::plywood::__private::bits(#value) })
    }

    fn text(&mut self, key: &str, values: &[&str]) -> usize {
        let Some(expr) = self.args.remove(key) else { return 0 };
        let given = match &expr {
            Expr::Lit(Lit::Str(text)) => values.iter().position(|value| *value == text.value()),
            _ => None,
        };
        given.unwrap_or_else(|| {
            let expected: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
            self.wrong(expr.span(), key, &expected.join(" or "), &expr);
            0
        })
    }
}
