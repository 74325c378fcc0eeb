//! Windows that slide over images: what they take, and what comes out.

use super::{Checker, Fit, Flow, escaped, mentions};
use crate::expr::Expr;
use crate::parse::Layer;
use crate::shape::{Dim, Shape};
use crate::size::{MAX, Size, text_of};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Lit;
use syn::spanned::Spanned;

/// `Conv2d` or `MaxPool2d` as it is written.
pub(crate) struct Window {
    /// The channels that go in and come out, of a convolution.
    pub(crate) channels: Option<(Expr, Expr)>,
    pub(crate) kernel: Expr,
    pub(crate) stride: Option<Expr>,
    pub(crate) padding: Option<Expr>,
    pub(crate) dilation: Option<Expr>,
    pub(crate) bias: bool,
}

/// A number for height and one for width.
type Pair = [Dim; 2];

/// The numbers of a window.
struct Numbers {
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
}

const AXES: [(&str, &str); 2] = [("height", "high"), ("width", "wide")];
/// Positions in a pooling kernel, which a byte numbers.
const POOLED: u64 = 256;

impl Checker<'_> {
    /// The layer's type, what it takes and what it gives.
    pub(super) fn window(
        &mut self,
        layer: &Layer,
        place: &str,
        window: &Window,
        at: Option<&Flow>,
    ) -> Option<(TokenStream, Shape, Shape)> {
        let numbers = self.numbers(window, place);
        let image = self.image(layer, place, window, at);
        let (taken, given) = match &window.channels {
            Some((input, output)) => {
                let given = self.dim(output, place, |checker, span| {
                    let message = format!("{place}: `out_channels` does not follow from anything; write it");
                    checker.mistakes.add(span, message);
                    None
                });
                let taken = self.dim(input, place, |_, _| image.as_ref().map(|[channels, ..]| channels.clone()));
                let fits = match (&image, &taken, at) {
                    (Some(image), Some(taken), Some(flow)) => {
                        self.fits_channels(image, taken, flow, place, input.span())
                    }
                    _ => false,
                };
                (taken.filter(|_| fits), given)
            }
            None => {
                let channels = image.as_ref().map(|[channels, ..]| channels.clone());
                if let (Some(image), Some(channels), Some(flow)) = (&image, &channels, at) {
                    self.fits_channels(image, channels, flow, place, window.kernel.span());
                }
                let pools = numbers.as_ref().is_some_and(|numbers| self.pools(numbers, window, place));
                (channels.clone().filter(|_| pools), channels)
            }
        };
        let (Some(taken), Some(given), Some(numbers), Some(flow)) = (taken, given, numbers, at) else { return None };
        let [_, height, width] = image?;
        let span = window.kernel.span();
        let rows = self.slide(0, &height, &numbers, flow, place, span)?;
        let columns = self.slide(1, &width, &numbers, flow, place, span)?;
        let input = Shape::Known(vec![taken, height, width]);
        let output = Shape::Known(vec![given, rows, columns]);
        let pair = |[height, width]: &Pair| {
            let (height, width) = (&height.ty, &width.ty);
            quote!((#height, #width))
        };
        let Numbers { kernel, stride, padding, dilation } = &numbers;
        let (i, o, k, s, p, d) = (input.ty(), output.ty(), pair(kernel), pair(stride), pair(padding), pair(dilation));
        let bias = (!window.bias).then(|| quote!(, false));
        // At the layer's place: without the feature `conv` there is neither, and rustc says so there.
        let name = |name| syn::Ident::new(name, layer.span());
        let ty = match window.channels {
            Some(_) => {
                let name = name("Conv2d");
                quote!(::plywood::nn::#name<#i, #o, #k, #s, #p, #d #bias>)
            }
            None => {
                let name = name("MaxPool2d");
                quote!(::plywood::nn::#name<#i, #o, #k, #s, #p>)
            }
        };
        Some((ty, input, output))
    }

    /// The channels, the height and the width of what comes in.
    fn image(&mut self, layer: &Layer, place: &str, window: &Window, at: Option<&Flow>) -> Option<[Dim; 3]> {
        let Some(flow) = at else {
            let channels = window.channels.as_ref().map(|(input, _)| text_of(input));
            let channels = channels.filter(|text| text != "_").unwrap_or_else(|| "1".to_owned());
            let message = format!(
                "{place} comes first and takes images of any size; state the input, channels × height × width, as in \
                 `struct Net: ({channels}, 28, 28) => 10`"
            );
            self.mistakes.add(layer.span(), message);
            return None;
        };
        match &flow.shape {
            Shape::Unknown => None,
            Shape::Opaque(ty) => Some(["Channels", "Height", "Width"].map(|name| {
                let name = syn::Ident::new(name, layer.span());
                let ty = quote_spanned!(layer.span()=> <#ty as ::plywood::__private::Image>::#name);
                Dim::opaque(ty, "_")
            })),
            Shape::Known(dims) => {
                let image = <[Dim; 3]>::try_from(dims.clone()).ok();
                if image.is_none() {
                    let sizes = dims.iter().map(|dim| dim.text.as_str()).collect::<Vec<_>>();
                    let gray = match &sizes[..] {
                        [height, width] => format!("; images of one channel are `(1, {height}, {width})`"),
                        _ => String::new(),
                    };
                    let message = format!(
                        "{place} takes images, channels × height × width, but {} gives {}{gray}",
                        flow.from,
                        sizes.join(" × ")
                    );
                    self.mistakes.add(layer.span(), message);
                }
                image
            }
        }
    }

    /// Checks the channels; `false` where the sizes are another thing than a height and a width, too.
    fn fits_channels(&mut self, image: &[Dim; 3], wanted: &Dim, flow: &Flow, place: &str, span: Span) -> bool {
        let [channels, height, width] = image;
        if let Shape::Opaque(ty) = &flow.shape {
            let (want, height, width) = (&wanted.ty, &height.ty, &width.ty);
            let noun = if wanted.value == Some(1) { "channel" } else { "channels" };
            let number = if wanted.hidden() { String::new() } else { format!(" of {} {noun}", wanted.text) };
            self.fits.push(Fit {
                got: quote!(<#ty as ::plywood::Features>::Shown),
                want: quote!((#want, #height, #width)),
                message: format!("{} takes images{number}, but {} gives {{Self}}", escaped(place), escaped(&flow.from)),
                label: "gets {Self}".to_owned(),
                span,
            });
            return true;
        }
        let (Some(got), Some(want)) = (channels.value, wanted.value) else {
            self.fits(channels, wanted, "channels", flow, place, span);
            return true;
        };
        if got == want {
            return true;
        }
        let swapped = width.value == Some(want) && !flow.image;
        let first = match swapped {
            true => format!("; channels come first, as in `({}, {}, {})`", width.text, channels.text, height.text),
            false => String::new(),
        };
        let noun = if want == 1 { "channel" } else { "channels" };
        let message = format!(
            "{place} takes {want} {noun}, but {} gives {got} ({} × {} × {}){first}",
            flow.from, channels.text, height.text, width.text
        );
        self.mistakes.add(span, message);
        !swapped
    }

    fn numbers(&mut self, window: &Window, place: &str) -> Option<Numbers> {
        let kernel = self.pair(&window.kernel, "kernel_size", 1, place);
        let mut option = |expr: &Option<Expr>, key, default: u64| match expr {
            Some(expr) => self.pair(expr, key, default.min(1), place),
            None => Some([0, 1].map(|_| Dim::literal(default, default.to_string(), window.kernel.span()))),
        };
        let stride = match (&window.stride, &window.channels) {
            (None, None) => kernel.clone(),
            (stride, _) => option(stride, "stride", 1),
        };
        let dilation = option(&window.dilation, "dilation", 1);
        let named = match &window.padding {
            Some(Expr::Lit(Lit::Str(text))) => Some((text.value(), text.span())),
            _ => None,
        };
        let Some((name, span)) = named else {
            let padding = option(&window.padding, "padding", 0);
            return Some(Numbers { kernel: kernel?, stride: stride?, padding: padding?, dilation: dilation? });
        };
        let (kernel, stride, dilation) = (kernel?, stride?, dilation?);
        let padding = match (name.as_str(), &window.channels) {
            ("valid", Some(_)) => [Some(0); 2],
            ("same", Some(_)) => [0, 1].map(|axis| {
                let reach = kernel[axis].value?.checked_sub(1)?.checked_mul(dilation[axis].value?)?;
                (stride[axis].value? == 1 && reach % 2 == 0).then_some(reach / 2)
            }),
            (_, Some(_)) => {
                let message =
                    format!("{place}: `padding` is a number, two of them, \"same\" or \"valid\", but this is {name:?}");
                self.mistakes.add(span, message);
                return None;
            }
            (_, None) => {
                self.mistakes.add(span, format!("{place}: `padding` is a number or two of them, but this is {name:?}"));
                return None;
            }
        };
        let [Some(rows), Some(columns)] = padding else {
            let message = format!(
                "{place}: `padding = \"same\"` keeps the size where the stride is 1 and the kernel an odd number, written \
                 out; otherwise give the padding as a number"
            );
            self.mistakes.add(span, message);
            return None;
        };
        let padding = [rows, columns].map(|value| Dim::literal(value, value.to_string(), span));
        Some(Numbers { kernel, stride, padding, dilation })
    }

    /// `3` or `(3, 5)`
    fn pair(&mut self, expr: &Expr, key: &str, least: u64, place: &str) -> Option<Pair> {
        match expr {
            Expr::Tuple(_, sizes) if sizes.len() == 2 => {
                let [height, width] = [0, 1].map(|axis| self.number(&sizes[axis], key, least, place));
                Some([height?, width?])
            }
            Expr::Tuple(..) | Expr::Array(..) => {
                let message = format!(
                    "{place}: `{key}` is a number or two of them, `(height, width)`, but this is `{}`",
                    text_of(expr)
                );
                self.mistakes.add(expr.span(), message);
                None
            }
            _ => self.number(expr, key, least, place).map(|number| [number.clone(), number]),
        }
    }

    fn number(&mut self, expr: &Expr, key: &str, least: u64, place: &str) -> Option<Dim> {
        let (span, message) = match Size::of(expr) {
            Ok(Size::Literal { value, span }) if value >= least => {
                return Some(Dim::literal(value, value.to_string(), span));
            }
            Ok(Size::Constant(expr)) => return self.constant_dim(&expr, place, least),
            Ok(Size::Literal { value, span }) => (span, format!("`{key}` is at least {least}, but this is {value}")),
            Ok(Size::Infer(span)) => (span, format!("`{key}` does not follow from anything; write it")),
            Err(error) => (error.span(), error.to_string()),
        };
        self.mistakes.add(span, format!("{place}: {message}"));
        None
    }

    /// Whether a window pools.
    fn pools(&mut self, numbers: &Numbers, window: &Window, place: &str) -> bool {
        let [height, width] = &numbers.kernel;
        let span = window.kernel.span();
        let limit = format!("{place}: a pooling kernel has at most {POOLED} positions");
        match (height.value, width.value) {
            (Some(h), Some(w)) if h.saturating_mul(w) <= POOLED => {}
            (Some(h), Some(w)) => {
                self.mistakes.add(span, format!("{limit}, but {h} × {w} are {}", h.saturating_mul(w)));
                return false;
            }
            _ => {
                let what = format!("{limit}, but {} × {} are more", height.text, width.text);
                self.holds([height, width], |[h, w]| quote!(#h * #w <= 256), what, span);
            }
        }
        for ((kernel, padding), (name, _)) in numbers.kernel.iter().zip(&numbers.padding).zip(AXES) {
            let span = window.padding.as_ref().map_or(span, Spanned::span);
            let limit = format!("{place}: the padding is at most half of the kernel's {name}");
            match (kernel.value, padding.value) {
                (Some(k), Some(p)) if p <= k / 2 => {}
                (Some(k), Some(p)) => {
                    self.mistakes.add(span, format!("{limit}, {} of {k}, but this is {p}", k / 2));
                    return false;
                }
                (None, Some(0)) => {}
                _ => {
                    let what = format!("{limit}, {}, but this is {}", kernel.text, padding.text);
                    self.holds([kernel, padding], |[k, p]| quote!(2 * #p <= #k), what, span);
                }
            }
        }
        true
    }

    /// Lets the compiler check what it alone can.
    fn holds(
        &mut self,
        dims: [&Dim; 2],
        holds: impl FnOnce([TokenStream; 2]) -> TokenStream,
        what: String,
        span: Span,
    ) {
        let [Some(a), Some(b)] = dims.map(|dim| self.value(dim)) else { return };
        let (holds, span) = (holds([a, b]), span.resolved_at(Span::call_site()));
        let expr = Expr::Other(quote_spanned!(span=> if #holds { 1 } else { 0 }));
        self.constant(&expr, 1, what, "_");
    }

    /// A size as a value to compute with at compile time; `None` where it depends on a type parameter.
    fn value(&self, dim: &Dim) -> Option<TokenStream> {
        if let Some(expr) = &dim.expr {
            return Some(expr.clone());
        }
        let ty = &dim.ty;
        let known = !self.params.iter().any(|param| mentions(ty, param));
        known.then(|| quote!(<#ty as ::plywood::StaticDim>::SIZE))
    }

    /// The size that comes out along one axis.
    fn slide(
        &mut self,
        axis: usize,
        size: &Dim,
        numbers: &Numbers,
        flow: &Flow,
        place: &str,
        span: Span,
    ) -> Option<Dim> {
        let (name, adjective) = AXES[axis];
        let Numbers { kernel, stride, padding, dilation } = numbers;
        let dims = [&kernel[axis], &stride[axis], &padding[axis], &dilation[axis]];
        let values = dims.map(|dim| dim.value);
        if let [Some(k), Some(s), Some(p), Some(d)] = values {
            let reach = (k - 1).saturating_mul(d).saturating_add(1);
            if s == 1 && 2 * p + 1 == reach {
                return Some(size.clone()); // whatever it is
            }
            if let Some(size) = size.value {
                let padded = size + 2 * p;
                if reach > padded {
                    let (dilated, added) =
                        (if d > 1 { "dilated " } else { "" }, if p > 0 { ", with its padding," } else { "" });
                    let message = format!(
                        "{place}: the {dilated}kernel is {reach} {adjective}, but what {} gives{added} is {padded}",
                        flow.from
                    );
                    self.mistakes.add(span, message);
                    return None;
                }
                let value = (padded - reach) / s + 1;
                if value > MAX {
                    self.mistakes.add(span, format!("{place} gives a {name} of {value}, more than 1,000,000,000"));
                    return None;
                }
                return Some(Dim::literal(value, value.to_string(), span));
            }
        }
        let [k, s, p, d] = dims;
        let all = [size, k, s, p, d];
        let numbers: Option<Vec<TokenStream>> = all.iter().map(|dim| self.value(dim)).collect();
        let Some(numbers) = numbers else {
            let unknown = all.iter().find(|dim| self.value(dim).is_none()).map_or("_", |dim| dim.text.as_str());
            let message = format!(
                "{place}: the {name} that comes out cannot be computed from the type parameter `{unknown}`; make it a \
                 number or a constant, or keep the size with stride 1 and `padding = \"same\"`"
            );
            self.mistakes.add(span, message);
            return None;
        };
        let what = format!("{place}: the kernel does not fit into the {name} of what {} gives", flow.from);
        let spot = span.resolved_at(Span::call_site());
        let expr = Expr::Other(quote_spanned!(spot=> ::plywood::__private::window_size(#(#numbers),*)));
        Some(self.constant(&expr, 1, what, "_"))
    }
}
