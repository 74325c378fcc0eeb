//! The macros of Plywood: `sequential!`, `Shape!` and `tensor!`.
//!
//! Each goes through parse, check and emit: the text becomes plain data, every mistake in it is collected and reported
//! on the token where it was made, and the code comes last.

#![deny(missing_docs)]

mod check;
mod emit;
mod expr;
mod fragments;
mod layers;
mod literal;
mod mistakes;
mod parse;
mod shape;
mod size;
mod spelling;
mod tokens;

use proc_macro::TokenStream;
use quote::quote;
use syn::parse_macro_input;

/// The type of a shape: `Shape![5, 6]` is `(D<5>, D<6>)`, `Shape![_, 784]` is `(Dyn, D<784>)`.
///
/// A size is a literal up to 1,000,000,000, a constant (`Shape![_, HIDDEN]`, `Shape![{ 2 * HIDDEN }]`), or `_` for one
/// that is known only at run time. `Shape![]` is the shape of a single number.
///
/// ```
/// use plywood::prelude::*;
///
/// const HIDDEN: usize = 1_568;
///
/// let x: Tensor<Shape![2, HIDDEN]> = Tensor::zeros();
/// assert_eq!(x.sizes(), [2, 1568]);
/// let y: Tensor<(D<2>, D<1, 568>)> = x; // the same type: 1,568 in thousands
/// let z: Tensor<Shape![_, 6]> = Tensor::zeros_of((Dyn(32), D));
/// assert_eq!(z.sizes(), [32, 6]);
/// ```
///
/// In a generic function a size is a type, so the tuple is written out:
///
/// ```
/// use plywood::prelude::*;
///
/// fn ones<N: StaticDim>() -> Tensor<(Dyn, N)> {
///     Tensor::full_of((Dyn(2), N::default()), 1.0)
/// }
/// assert_eq!(ones::<D<3>>().sizes(), [2, 3]);
/// ```
#[allow(non_snake_case)]
#[proc_macro]
pub fn Shape(input: TokenStream) -> TokenStream {
    let input = fragments::visible(input.into()).into();
    let shape = parse_macro_input!(input as size::ShapeLiteral);
    quote!(#shape).into()
}

/// The type of one size: `Size![784]` is `D<784>`, `Size![1500]` is `D<1, 500>`, `Size![_]` is `Dyn`.
///
/// ```
/// use plywood::prelude::*;
///
/// const HIDDEN: usize = 1_500;
///
/// sequential! { struct Net<H: StaticDim> { Linear(4, H), ReLU } }
/// let model = Net::<Size![HIDDEN]>::init(&mut Generator::manual_seed(0));
/// assert_eq!(model.parameters().len(), 5 * HIDDEN);
/// ```
#[allow(non_snake_case)]
#[proc_macro]
pub fn Size(input: TokenStream) -> TokenStream {
    let input = fragments::visible(input.into()).into();
    let size = parse_macro_input!(input as size::SizeLiteral);
    quote!(#size).into()
}

/// A tensor from nested literals: `tensor![[1.0, 2.0], [3.0, 4.0]]` has the shape `Shape![2, 2]`.
///
/// Rows of different lengths do not compile. The entries are any expressions of one element type, which follows from
/// the context as for all Rust literals (`f64` if nothing says otherwise; write `1.0f32`, or the type of the variable).
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let labels: Tensor<Shape![4], i64> = tensor![0, 2, 1, 1];
/// let number: Tensor<Shape![]> = Tensor::full(0.5); // one number without a dimension
/// ```
#[proc_macro]
pub fn tensor(input: TokenStream) -> TokenStream {
    let input = fragments::visible(input.into()).into();
    let literal = parse_macro_input!(input as literal::Literal);
    quote!(#literal).into()
}

/// A network from a list of layers, checked at compile time.
///
/// As an item it declares a struct, as an expression it gives a value whose `init` makes the network:
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     /// Mammal, bird, reptile, … from sixteen traits.
///     #[derive(Clone, Debug)]
///     pub struct ZooNet {
///         Linear(16, 32),
///         ReLU,
///         out: Linear(_, 7),
///     }
/// }
///
/// let mut rng = Generator::manual_seed(0);
/// let zoo = ZooNet::init(&mut rng);
/// let small = sequential![Linear(6, 4), Linear(4, 1), Sigmoid].init(&mut rng);
/// assert_eq!(ZooNet::PARAMS, 16 * 32 + 32 + 32 * 7 + 7);
/// assert_eq!(small.forward(&Tensor::<Shape![5, 6]>::zeros()).sizes(), [5, 1]);
/// ```
///
/// # Layers
///
/// | Layer | Arguments and their defaults |
/// |---|---|
/// | `Linear` | `in_features, out_features, bias = true` |
/// | `Conv2d` | `in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, bias = true` |
/// | `MaxPool2d` | `kernel_size, stride = kernel_size, padding = 0` |
/// | `ReLU`, `SiLU`, `Sigmoid`, `Tanh` | |
/// | `LeakyReLU` | `negative_slope = 0.01` |
/// | `ELU` | `alpha = 1.0` |
/// | `GELU` | `approximate = "none"` (or `"tanh"`) |
/// | `Softplus` | `beta = 1.0, threshold = 20.0` |
/// | `Hardtanh` | `min_val = -1.0, max_val = 1.0` |
/// | `Softmax`, `LogSoftmax` | `dim = -1`, the last dimension |
/// | `Identity`, `Flatten` | |
///
/// Arguments are given by position or by name. A size is a literal, a constant, a type parameter of the struct, or `_`
/// for what the layer before gives. `name: Layer` names a layer; its parameters are `model.name()`, and every layer's
/// are `model.at::<0>()` by position.
///
/// Kernel, stride, padding and dilation are one number for height and width, or two: `Conv2d(3, 16, (3, 5))`; `kernel`
/// is short for `kernel_size`, and `padding = "same"` keeps height and width. Images are channels × height × width, and
/// a network that begins with them states how large they are:
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     pub struct LeNet: (1, 28, 28) => 10 {
///         Conv2d(1, 16, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
///         Conv2d(16, 32, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
///         Flatten,
///         Linear(1568, 10),
///     }
/// }
/// let images: Tensor<Shape![_, 1, 28, 28]> = Tensor::zeros_of((Dyn(2), D, D, D));
/// assert_eq!(LeNet::init(&mut Generator::manual_seed(0)).forward(&images).sizes(), [2, 10]);
/// ```
///
/// Any other name is a type in scope that implements `plywood::nn::Layer`: a layer of your own (`Scale(16)` is
/// `Scale<D<16>>`, `Scale(_)` takes the last size of what the layer before gives, `Scale(..)` its whole shape) or another
/// network (`encoder: Encoder`). A name close to one of the table is taken for a misspelling; `self::Linaer(3)` is not.
///
/// # Shapes
///
/// The input is what the first layer takes. Where that is not one size, or to have both ends checked, state them:
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     struct Digits: (28, 28) => 10 {
///         Flatten,
///         Linear(_, 128),
///         ReLU,
///         Linear(128, 10),
///     }
/// }
/// let x: Tensor<Shape![_, 28, 28]> = Tensor::zeros_of((Dyn(3), D, D));
/// let y: Tensor<Shape![_, 10]> = Digits::init(&mut Generator::manual_seed(0)).forward(&x);
/// ```
///
/// # Generic networks
///
/// Sizes that the user of the network chooses are type parameters:
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     struct Autoencoder<N: StaticDim, Code: StaticDim> {
///         Linear(N, Code),
///         Tanh,
///         Linear(Code, N),
///     }
/// }
/// let model = Autoencoder::<D<64>, D<8>>::init(&mut Generator::manual_seed(0));
/// assert_eq!(model.forward(&Tensor::<Shape![1, 64]>::zeros()).sizes(), [1, 64]);
/// ```
///
/// # What it expands to
///
/// A struct over one block of parameters, `f32` unless said otherwise (`ZooNet<f64>`), that implements
/// `plywood::nn::Model` and `plywood::nn::Layer`: `forward` and `backward` are straight-line calls, layer after layer,
/// on parts of that block and of one workspace; a `Linear` or `Conv2d` takes its bias and the activation after it in one call.
#[proc_macro]
pub fn sequential(input: TokenStream) -> TokenStream {
    let input = fragments::visible(input.into()).into();
    let network = parse_macro_input!(input as parse::Network);
    let mut mistakes = mistakes::Mistakes::new();
    let plan = check::check(network, &mut mistakes);
    let errors = mistakes.into_compile_errors();
    match plan {
        Some(plan) => emit::emit(&plan, &errors),
        None => errors,
    }
    .into()
}
