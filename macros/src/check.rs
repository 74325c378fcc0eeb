//! Follows the shapes through the list and finds what does not fit.
//!
//! Where both sizes are literals, a mistake is reported here. Where one of them is known only to the compiler (a
//! constant, a type parameter, another network), the plan holds a [`Fit`] that the emitted code lets it check.

mod fit;
mod window;

use crate::expr::Expr;
use crate::layers::{Kind, kind_of};
use crate::mistakes::Mistakes;
use crate::parse::{Item, Layer, Network};
use crate::shape::{Dim, Shape};
use crate::size::{Size, constant_type, text_of};
use crate::tokens::{Attribute, Param};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use std::collections::HashMap;
use syn::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
pub(crate) use window::Window;

/// A layer of the plan.
pub(crate) struct Planned {
    /// Its name or position.
    pub(crate) key: String,
    /// Its name, if it has one.
    pub(crate) name: Option<Ident>,
    pub(crate) ty: TokenStream,
    /// Its doc comment.
    pub(crate) docs: Vec<Attribute>,
    /// Where its type stands in the user's text.
    pub(crate) span: Span,
    pub(crate) text: String,
    /// Whether it can have parameters.
    pub(crate) params: bool,
    /// Whether it can take the activation after it into its own call.
    fuses: bool,
    /// Whether it is a type that only the compiler knows.
    pub(crate) outside: bool,
    /// The activation that the layer before takes into its own call.
    pub(crate) fused: Option<TokenStream>,
    /// Whether it changes only types.
    pub(crate) skipped: bool,
}

/// Something that only the compiler can check: `got` is `want`.
pub(crate) struct Fit {
    pub(crate) got: TokenStream,
    pub(crate) want: TokenStream,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) span: Span,
}

/// Everything that is emitted.
pub(crate) struct Plan {
    pub(crate) item: Option<Item>,
    pub(crate) layers: Vec<Planned>,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    pub(crate) fits: Vec<Fit>,
    pub(crate) constants: Vec<Constant>,
}

/// A constant that must be a size of a layer.
pub(crate) struct Constant {
    /// Its name in the emitted code.
    pub(crate) name: Ident,
    pub(crate) expr: Expr,
    /// The smallest value that it can have.
    pub(crate) least: u64,
    /// What is wrong if it is not.
    pub(crate) what: String,
}

/// Names that a layer cannot have, because a network has a function of that name.
const RESERVED: &[&str] = &[
    "LAYERS",
    "PARAMS",
    "at",
    "backward",
    "backward_pass",
    "clone",
    "default",
    "device",
    "eq",
    "fmt",
    "forward",
    "forward_pass",
    "forward_with",
    "from_buffer",
    "from_parameters",
    "gradients",
    "gradients_with",
    "graph",
    "hash",
    "init",
    "parameters",
    "parameters_mut",
    "reset_parameters",
    "state_dict",
    "summary",
    "to",
    "to_owned",
    "update",
    "view",
];

/// Checks the list; `None` where nothing sensible can be emitted.
pub(crate) fn check(network: Network, mistakes: &mut Mistakes) -> Option<Plan> {
    let mut checker = Checker { params: Vec::new(), constants: Vec::new(), mistakes, fits: Vec::new() };
    let mut declared = None;
    if let Some(item) = &network.item {
        checker.params = type_params(item, checker.mistakes)?;
        if let Some(shapes) = &item.shapes {
            let place = format!("the declared shapes of `{}`", item.name);
            let input = checker.dims(&shapes.input, &place);
            let output = checker.dims(&shapes.output, &place);
            declared = Some((Shape::Known(input?), Shape::Known(output?), shapes.output_span));
        }
    }
    if network.layers.is_empty() {
        let span = network.item.as_ref().map_or_else(Span::call_site, |item| item.name.span());
        checker
            .mistakes
            .add(span, "a network has at least one layer, such as `Linear(16, 32)`, but this list is empty");
        return None;
    }
    let names = checker.names(&network.layers);

    let from = "the declared input".to_owned();
    let mut at = declared.as_ref().map(|(input, ..)| Flow { shape: input.clone(), from, image: false });
    let mut input = at.as_ref().map(|flow| flow.shape.clone());
    let mut layers: Vec<Planned> = Vec::new();
    let mut good = true;
    for ((index, layer), name) in network.layers.iter().enumerate().zip(names) {
        let place = format!("layer {index} `{}`", layer.text());
        let kind = kind_of(layer, &place, checker.mistakes);
        let image = match kind {
            Kind::Window(_) => true,
            Kind::Activation(_) | Kind::Softmax { .. } | Kind::Identity => at.as_ref().is_some_and(|flow| flow.image),
            _ => false,
        };
        let Some((planned, taken, given)) = checker.layer(layer, &place, kind, at.as_ref()) else {
            good = false;
            at = Some(Flow { shape: Shape::Unknown, from: place, image });
            continue;
        };
        input.get_or_insert(taken);
        at = Some(Flow { shape: given, from: place, image });
        let key = name.as_ref().map_or_else(|| index.to_string(), |name| name.unraw().to_string());
        let before = layers.iter().rev().find(|before| !before.skipped);
        let fused = planned.fused.filter(|_| before.is_some_and(|before| before.fuses));
        layers.push(Planned { key, name, fused, ..planned });
    }
    let at = at?;
    if let Some((_, output, span)) = &declared {
        checker.same_shape(&at, output, *span);
    }
    if !good {
        return None;
    }
    Some(Plan {
        item: network.item,
        layers,
        input: input?,
        output: at.shape,
        fits: checker.fits,
        constants: checker.constants,
    })
}

/// Text as it stands in a message with placeholders.
fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Whether a name stands anywhere in an expression or a type.
fn mentions(text: &impl ToTokens, name: &Ident) -> bool {
    fn within(tokens: TokenStream, name: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == *name,
            TokenTree::Group(group) => within(group.stream(), name),
            _ => false,
        })
    }
    within(text.to_token_stream(), name)
}

/// A shape and the layer that gives it.
struct Flow {
    shape: Shape,
    from: String,
    /// Whether it comes from a layer over images.
    image: bool,
}

struct Checker<'a> {
    /// The type parameters of the struct.
    params: Vec<Ident>,
    constants: Vec<Constant>,
    mistakes: &'a mut Mistakes,
    fits: Vec<Fit>,
}

/// The type parameters, if all of them can be sizes.
fn type_params(item: &Item, mistakes: &mut Mistakes) -> Option<Vec<Ident>> {
    let mut params = Vec::new();
    let mut good = true;
    let mut wrong = |span: Span, message: String| {
        good = false;
        mistakes.add(span, message);
    };
    for param in &item.generics.params {
        match param {
            Param::Type { name, bounds, .. } => {
                let bounds = bounds.to_string();
                let hint = match bounds.split([' ', ':', '+']).any(|bound| bound == "Float" || bound == "Element") {
                    true => "; the element type is a parameter already, as in `Net::<f64>`",
                    false => "",
                };
                let clauses = item.generics.where_clause.to_string();
                let bounded = |text: &str| {
                    text.split(',')
                        .any(|clause| clause.contains("StaticDim") && clause.split([' ', ':']).any(|word| name == word))
                };
                if !bounds.contains("StaticDim") && !bounded(&clauses) {
                    wrong(
                        name.span(),
                        format!("the size parameter `{name}` needs the bound `{name}: StaticDim`{hint}"),
                    );
                }
                params.push(name.clone());
            }
            Param::Const(name) => {
                wrong(
                    name.span(),
                    format!("a size parameter is a type: write `{name}: StaticDim`, not `const {name}: …`"),
                );
            }
            Param::Lifetime(span) => {
                wrong(*span, "a network owns its parameters and takes no lifetime".to_owned());
            }
        }
    }
    good.then_some(params)
}

impl Checker<'_> {
    /// The names, without those that cannot be.
    fn names(&mut self, layers: &[Layer]) -> Vec<Option<Ident>> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut names = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let mut kept = layer.name.clone();
            if let Some(name) = &layer.name {
                if RESERVED.contains(&name.unraw().to_string().as_str()) {
                    let message =
                        format!("layer {index} cannot be named `{name}`: a network has a function of that name");
                    self.mistakes.add(name.span(), message);
                    kept = None;
                } else if let Some(first) = seen.get(&name.unraw().to_string()) {
                    let message = format!("layer {index} `{}` has the name of layer {first}", layer.text());
                    self.mistakes.add(name.span(), message);
                    kept = None;
                } else {
                    seen.insert(name.unraw().to_string(), index);
                }
            }
            names.push(kept);
        }
        names
    }

    fn size(&mut self, expr: &Expr, place: &str) -> Option<Size> {
        match Size::of(expr) {
            Ok(Size::Literal { value: 0, span }) => {
                self.mistakes.add(span, format!("{place}: a size is at least 1, but this is 0"));
                None
            }
            Ok(size) => Some(size),
            Err(error) => {
                self.mistakes.add(error.span(), format!("{place}: {error}"));
                None
            }
        }
    }

    /// The size of an expression; `None` if it is wrong or left to be inferred, which `inferred` gives.
    fn dim(&mut self, expr: &Expr, place: &str, inferred: impl FnOnce(&mut Self, Span) -> Option<Dim>) -> Option<Dim> {
        match self.size(expr, place)? {
            Size::Literal { value, span } => Some(Dim::literal(value, value.to_string(), span)),
            Size::Constant(expr) => self.constant_dim(&expr, place, 1),
            Size::Infer(span) => inferred(self, span),
        }
    }

    /// A size that is not a literal: a type parameter or a constant that is at least this.
    fn constant_dim(&mut self, expr: &Expr, place: &str, least: u64) -> Option<Dim> {
        let text = text_of(expr);
        if let Expr::Name(name) = expr
            && self.params.contains(name)
        {
            return Some(Dim { param: true, ..Dim::opaque(name.to_token_stream(), &text) });
        }
        if self.params.iter().any(|param| mentions(expr, param)) {
            let message = format!(
                "{place}: `{text}` computes with a type parameter, which Rust does not do; make it a parameter of its own"
            );
            self.mistakes.add(expr.span(), message);
            return None;
        }
        let what = format!("{place}: the size `{text}` is not between {least} and 1,000,000,000");
        Some(self.constant(expr, least, what, &text))
    }

    /// A constant, which is evaluated once and by a name of its own, so that what is wrong is said once.
    fn constant(&mut self, expr: &Expr, least: u64, what: String, text: &str) -> Dim {
        let tokens = expr.to_token_stream().to_string();
        let known = self
            .constants
            .iter()
            .position(|constant| constant.least == least && constant.expr.to_token_stream().to_string() == tokens);
        let index = known.unwrap_or(self.constants.len());
        let mut name = quote::format_ident!("PLYWOOD_SIZE_{index}");
        if known.is_none() {
            self.constants.push(Constant { name: name.clone(), expr: expr.clone(), least, what });
        }
        name.set_span(expr.span().resolved_at(Span::call_site()));
        let ty = constant_type(&Expr::Name(name.clone()));
        Dim { expr: Some(name.to_token_stream()), ..Dim::opaque(ty, text) }
    }

    fn dims(&mut self, exprs: &[Expr], place: &str) -> Option<Vec<Dim>> {
        let dims: Vec<_> = exprs
            .iter()
            .map(|expr| {
                self.dim(expr, place, |checker, span| {
                    checker.mistakes.add(span, format!("{place}: state each size; `_` stands only in layers"));
                    None
                })
            })
            .collect();
        if dims.len() > 5 {
            self.mistakes.add(exprs[5].span(), format!("{place}: a sample has at most 5 sizes"));
            return None;
        }
        dims.into_iter().collect()
    }

    /// The last size of what comes in, for `_`.
    fn last_of(&mut self, at: Option<&Flow>, span: Span, place: &str) -> Option<Dim> {
        match at.map(|flow| &flow.shape) {
            Some(Shape::Known(dims)) if !dims.is_empty() => {
                let last = dims.last().cloned();
                if let (Some(Flow { from, image: true, .. }), Some(last)) = (at, &last) {
                    let message = format!(
                        "{place}: `_` after {from} would be its last size, {}, alone; put `Flatten` before this layer",
                        last.text
                    );
                    self.mistakes.add(span, message);
                    return None;
                }
                last
            }
            Some(Shape::Opaque(ty)) => Some(Dim::opaque(quote!(<#ty as ::plywood::__private::EndsWith>::Last), "_")),
            Some(Shape::Unknown) => None,
            _ => {
                self.mistakes.add(
                    span,
                    format!(
                        "{place}: `_` is the size that the layer before gives, and there is none; write the size, or \
                         state the input as in `struct Net: 16 => 7`"
                    ),
                );
                None
            }
        }
    }

    /// What comes in, which a layer without a size of its own needs to know.
    fn known_input(&mut self, at: Option<&Flow>, layer: &Layer, place: &str) -> Option<Shape> {
        let shape = at.map(|flow| flow.shape.clone());
        if matches!(shape, Some(Shape::Unknown)) {
            return None;
        }
        if shape.is_none() {
            self.mistakes.add(
                layer.span(),
                format!("{place} comes first and takes any shape; state the input, as in `struct Net: 16 => 16`"),
            );
        }
        shape
    }

    /// The planned layer, what it takes and what it gives; `None` where nothing after it can be checked.
    fn layer(&mut self, layer: &Layer, place: &str, kind: Kind, at: Option<&Flow>) -> Option<(Planned, Shape, Shape)> {
        let planned = |ty: TokenStream| Planned {
            key: String::new(),
            name: None,
            ty,
            docs: layer.docs.clone(),
            span: layer.span(),
            text: text_of(&layer.path),
            params: false,
            fuses: false,
            outside: false,
            fused: None,
            skipped: false,
        };
        match kind {
            Kind::Linear { sizes, bias } => {
                let [input, output] = *sizes;
                let output = self.dim(&output, place, |checker, span| {
                    checker
                        .mistakes
                        .add(span, format!("{place}: the output's size does not follow from anything; write it"));
                    None
                });
                let wanted = self.dim(&input, place, |checker, span| checker.last_of(at, span, place));
                let (wanted, output) = (wanted?, output?);
                let lead = match at {
                    None => Shape::Known(Vec::new()),
                    // What comes in is unknown; what comes out follows from this layer's own sizes.
                    Some(Flow { shape: Shape::Unknown, .. }) => Shape::Known(Vec::new()),
                    Some(flow) => self.fits_last(flow, &wanted, place, input.span()),
                };
                let (i, o) = (&wanted.ty, &output.ty);
                let ty = match (bias, &lead) {
                    (true, Shape::Known(dims)) if dims.is_empty() => quote!(::plywood::nn::Linear<#i, #o>),
                    (false, Shape::Known(dims)) if dims.is_empty() => quote!(::plywood::nn::Linear<#i, #o, false>),
                    _ => {
                        let lead = lead.ty();
                        quote!(::plywood::nn::Linear<#i, #o, #bias, #lead>)
                    }
                };
                let ends = |last: Dim| match &lead {
                    Shape::Known(dims) => Shape::Known(dims.iter().cloned().chain([last]).collect()),
                    Shape::Opaque(lead) => {
                        let last = last.ty;
                        Shape::Opaque(quote!(<#lead as ::plywood::Features>::Push<#last>))
                    }
                    Shape::Unknown => Shape::Unknown,
                };
                Some((Planned { params: true, fuses: true, ..planned(ty) }, ends(wanted), ends(output)))
            }
            Kind::Window(window) => {
                let fuses = window.channels.is_some();
                let (ty, input, output) = self.window(layer, place, &window, at)?;
                Some((Planned { params: fuses, fuses, ..planned(ty) }, input, output))
            }
            Kind::Activation(activation) => {
                let shape = self.known_input(at, layer, place)?;
                let ty = shape.ty();
                let fused = Some(activation.clone());
                Some((
                    Planned { fused, ..planned(quote!(::plywood::nn::Activate<#activation, #ty>)) },
                    shape.clone(),
                    shape,
                ))
            }
            Kind::Softmax { name, dim } => {
                let shape = self.known_input(at, layer, place)?;
                self.last_dim(dim, &shape, place);
                let (name, ty) = (Ident::new(name, layer.span()), shape.ty());
                Some((planned(quote!(::plywood::nn::#name<#ty>)), shape.clone(), shape))
            }
            Kind::Identity => {
                let shape = self.known_input(at, layer, place)?;
                let ty = shape.ty();
                let planned = Planned { skipped: true, ..planned(quote!(::plywood::nn::Identity<#ty>)) };
                Some((planned, shape.clone(), shape))
            }
            Kind::Flatten => {
                let shape = self.known_input(at, layer, place)?;
                let flat = self.flattened(&shape, layer.span(), place)?;
                let (ty, n) = (shape.ty(), &flat.ty);
                let planned = Planned { skipped: true, ..planned(quote!(::plywood::nn::Flatten<#ty, #n>)) };
                Some((planned, shape, Shape::Known(vec![flat])))
            }
            Kind::Outside(args) => {
                let ty = self.outside(layer, &args, at, place)?;
                let input = Shape::Opaque(quote_spanned!(layer.span()=> <#ty as ::plywood::nn::Layer>::Input));
                if let Some(flow) = at.filter(|flow| !matches!(flow.shape, Shape::Unknown)) {
                    self.fits.push(Fit {
                        got: flow.shape.shown(),
                        want: input.shown(),
                        message: format!(
                            "{} takes {{Want}}, but {} gives {{Self}}",
                            escaped(place),
                            escaped(&flow.from)
                        ),
                        label: "takes {Want}, gets {Self}".to_owned(),
                        span: layer.span(),
                    });
                }
                let output = Shape::Opaque(quote_spanned!(layer.span()=> <#ty as ::plywood::nn::Layer>::Output));
                Some((Planned { params: true, outside: true, ..planned(ty) }, input, output))
            }
            Kind::Broken => None,
        }
    }

    fn outside(&mut self, layer: &Layer, args: &[Expr], at: Option<&Flow>, place: &str) -> Option<TokenStream> {
        let path = &layer.path;
        if args.is_empty() {
            return Some(quote!(#path));
        }
        let mut types = Vec::new();
        for arg in args {
            if matches!(arg, Expr::Range(_)) {
                types.push(self.known_input(at, layer, place)?.ty());
            } else {
                types.push(self.dim(arg, place, |checker, span| checker.last_of(at, span, place))?.ty);
            }
        }
        Some(quote_spanned!(layer.span()=> #path<#(#types),*>))
    }
}
