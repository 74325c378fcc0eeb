//! What a network declared in `sequential!` can do.

use super::on::{self, OnBatch, OnInput, OnStep};
use super::{Forward, Layer, StateTensor, Summary, Workspace, summary};
#[cfg(feature = "autograd")]
use crate::autograd::ModelVariable;
use crate::backend::{Buffer, Device};
use crate::dim::Dyn;
use crate::element::Float;
use crate::error::{Error, MoveError, Result};
use crate::generator::Generator;
use crate::graph::Graph;
use crate::loss::Loss;
use crate::shape::{Features, InputOf};
use crate::tensor::{Storage, Tensor, TensorView};
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A batch of any size of what the network `M` takes.
pub(crate) type Wanted<M> = <<M as Layer>::Input as Features>::Batched<Dyn>;

/// A network with parameters of its own: one block of numbers in which every tensor has its place at compile time.
///
/// [`sequential!`](../../plywood/macro.sequential.html) implements it; see there for the whole picture.
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     struct Net {
///         Linear(2, 3),
///         ReLU,
///         out: Linear(_, 1),
///     }
/// }
///
/// let model = Net::init(&mut Generator::manual_seed(0));
/// assert_eq!(Net::PARAMS, 2 * 3 + 3 + 3 + 1);
/// assert_eq!(model.parameters().len(), Net::PARAMS);
/// assert_eq!(model.out().weight().as_slice(), &model.parameters()[9..12]);
///
/// let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![0.0; 10])?;
/// let y: Tensor<Shape![_, 1]> = model.forward(&x);
/// assert_eq!(y.sizes(), [5, 1]);
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// A function over any network states the shapes of a sample; sizes can be parameters:
///
/// ```
/// use plywood::prelude::*;
///
/// fn train<M, I, O>(model: M, data: &TensorDataset<(I,)>) -> plywood::Result<M>
/// where
///     M: Model<Elem = f32, Input = (I,), Output = (O,)>,
///     I: StaticDim,
///     O: StaticDim,
/// {
///     let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-2));
///     trainer.fit(data, Fit::epochs(3).quiet())?;
///     Ok(trainer.into_model())
/// }
///
/// let data = TensorDataset::new(Tensor::<Shape![4, 2]>::ones(), tensor![0, 1, 1, 0])?;
/// train(sequential![Linear(2, 2)].init(&mut Generator::manual_seed(0)), &data)?;
/// # Ok::<(), plywood::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a network with parameters of its own",
    label = "not a network with parameters",
    note = "`sequential!` declares one; give it itself and not a reference: a `Trainer` gives it back with `into_model()`"
)]
pub trait Model: Layer + Sized + 'static {
    /// The element type of the parameters.
    type Elem: Float;
    /// The same network with parameters of another element type. See [`Uninit::of`].
    type As<E: Float>: Model<Elem = E>;

    /// The network with this block of parameters, which has [`PARAMS`](Layer::PARAMS) elements.
    #[doc(hidden)]
    fn from_buffer(parameters: Buffer<Self::Elem>) -> Self;

    /// The block of parameters.
    #[doc(hidden)]
    fn buffer(&self) -> &Buffer<Self::Elem>;

    /// The block of parameters.
    #[doc(hidden)]
    fn buffer_mut(&mut self) -> &mut Buffer<Self::Elem>;

    /// All parameters, layer after layer, each as `LAYERS` says.
    ///
    /// # Panics
    /// If they are on a GPU: [`to`](Model::to)`(&Device::Cpu)` brings them back.
    #[inline]
    fn parameters(&self) -> &[Self::Elem] {
        self.buffer().as_slice()
    }

    /// All parameters, layer after layer, each as `LAYERS` says.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut model = sequential![Linear(2, 1)].init(&mut Generator::manual_seed(0));
    /// model.parameters_mut().copy_from_slice(&[3.0, 4.0, 0.5]);
    /// assert_eq!(model.forward(&tensor![1.0, 1.0]), tensor![7.5]);
    /// ```
    ///
    /// # Panics
    /// As [`parameters`](Model::parameters).
    #[inline]
    fn parameters_mut(&mut self) -> &mut [Self::Elem] {
        self.buffer_mut().as_mut_slice()
    }

    /// A network with PyTorch's default initial values. Each layer draws from a sequence of its own.
    #[must_use]
    fn init(rng: &mut Generator) -> Self {
        let mut parameters = Buffer::zeros(Self::PARAMS);
        <Self as Layer>::reset_parameters(parameters.as_mut_slice(), rng);
        Self::from_buffer(parameters)
    }

    /// A network with these parameters, layer after layer as `LAYERS` says.
    ///
    /// # Errors
    /// If there are not [`PARAMS`](Layer::PARAMS) of them.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// sequential! { #[derive(Debug)] struct Logits { Linear(2, 3) } }
    /// sequential! { struct Probabilities { logits: Logits, Softmax } }
    ///
    /// let trained = Logits::init(&mut Generator::manual_seed(0));
    /// let model = Probabilities::from_parameters(trained.parameters())?;
    /// assert_eq!(model.logits().at::<0>().weight(), trained.at::<0>().weight());
    ///
    /// let wrong = Logits::from_parameters(&[0.0; 8]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "8 elements do not fill the parameters of Logits, which has 9");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    fn from_parameters(parameters: &[Self::Elem]) -> Result<Self> {
        if parameters.len() != Self::PARAMS {
            let shape = format!("the parameters of {}", Self::KIND);
            return Err(Error::Length { given: parameters.len(), expected: Self::PARAMS, shape });
        }
        Ok(Self::from_buffer(Buffer::copy_of(parameters)))
    }

    /// The output for a batch (or for one sample): x [batch, input…] gives y [batch, output…].
    ///
    /// A batch of no samples gives an output of no samples.
    ///
    /// # Panics
    /// On a GPU, where [`try_forward`](Model::try_forward) gives an error: if the input is elsewhere, or the GPU fails.
    fn forward<X, B>(&self, x: &Tensor<X, Self::Elem, B>) -> Tensor<X::Of<Self::Output>, Self::Elem>
    where
        X: InputOf<Self, Wanted<Self>>,
        B: Storage<Self::Elem>,
    {
        #[cfg(feature = "cuda")]
        if self.buffer().memory().is_some() {
            return self.try_forward(x).unwrap_or_else(|error| panic!("{error}"));
        }
        let mut y = Tensor::zeros_of(x.shape().of::<Self::Output>());
        let batch = x.shape().batch();
        let mut saved = Buffer::zeros(batch * Self::SAVED);
        let (y_slice, saved) = (y.as_mut_slice(), saved.as_mut_slice());
        let pass = Forward { params: self.parameters(), x: x.as_slice(), y: y_slice, saved, batch };
        on::run::<Self, _>(OnBatch { pass, shape: x.shape(), model: PhantomData::<Self> });
        y
    }

    /// [`forward`](Model::forward), with an error for what can go wrong on a GPU; on the CPU nothing can.
    ///
    /// # Errors
    /// If the input is not where the network is, or the GPU fails.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let device = Device::best()?;
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0)).to(&device)?;
    /// let y = model.try_forward(&Tensor::<Shape![5, 2]>::ones().to(&device)?)?;
    /// assert_eq!(y.sizes(), [5, 3]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::type_complexity)]
    fn try_forward<X, B>(&self, x: &Tensor<X, Self::Elem, B>) -> Result<Tensor<X::Of<Self::Output>, Self::Elem>>
    where
        X: InputOf<Self, Wanted<Self>>,
        B: Storage<Self::Elem>,
    {
        #[cfg(feature = "cuda")]
        if self.buffer().memory().is_some() || x.memory().is_some() {
            return super::on_gpu::forward(self, x);
        }
        Ok(self.forward(x))
    }

    /// [`forward`](Model::forward) in memory that is used again: the output is borrowed from the workspace.
    ///
    /// # Panics
    /// On a GPU, as no slice can borrow what is there: [`forward`](Model::forward) uses its memory again by itself.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3), Softmax].init(&mut Generator::manual_seed(0));
    /// let mut workspace = Workspace::new();
    /// for _ in 0..2 {
    ///     let x: Tensor<Shape![5, 2]> = Tensor::ones();
    ///     let y: TensorView<Shape![5, 3]> = model.forward_with(&mut workspace, &x);
    ///     assert!((y.sum() - 5.0).abs() < 1e-5);
    /// }
    /// ```
    fn forward_with<'w, X, B>(
        &self,
        workspace: &'w mut Workspace<Self>,
        x: &Tensor<X, Self::Elem, B>,
    ) -> TensorView<'w, X::Of<Self::Output>, Self::Elem>
    where
        X: InputOf<Self, Wanted<Self>>,
        B: Storage<Self::Elem>,
    {
        #[cfg(feature = "cuda")]
        if let Some(memory) = self.buffer().memory().or(x.memory()) {
            panic!("`forward_with` borrows its output, which cannot be on {}; `forward` gives it there", memory.gpu());
        }
        let y = on::run::<Self, _>(OnInput { model: self, x, workspace });
        TensorView::of_slice(x.shape().of::<Self::Output>(), y)
    }

    /// The loss on a batch and its gradient with respect to every parameter.
    ///
    /// # Errors
    /// If the loss cannot be computed: sizes known only at run time that differ, a label that is no class.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut model = sequential![line: Linear(1, 1)].init(&mut Generator::manual_seed(0));
    /// model.parameters_mut().copy_from_slice(&[2.0, 0.0]);
    /// let (x, y): (Tensor<Shape![2, 1]>, Tensor<Shape![2, 1]>) = (tensor![[1.0], [2.0]], tensor![[3.0], [5.0]]);
    /// let (loss, grads) = model.gradients(&x, &y, &MSELoss)?;
    /// assert_eq!(loss, 1.0);
    /// assert_eq!((grads.line().weight(), grads.line().bias()), (tensor![[-3.0]].view(), tensor![-2.0].view()));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    fn gradients<X, B, T, L>(
        &self,
        x: &Tensor<X, Self::Elem, B>,
        target: &T,
        loss: &L,
    ) -> Result<(Self::Elem, Gradients<Self>)>
    where
        X: InputOf<Self, Wanted<Self>>,
        B: Storage<Self::Elem>,
        L: Loss<X::Of<Self::Output>, T, Self::Elem>,
    {
        let mut workspace = Workspace::new();
        let (value, _) = self.gradients_with(&mut workspace, x, target, loss)?;
        Ok((value, workspace.gradients))
    }

    /// [`gradients`](Model::gradients) in memory that is used again: after the first step of the largest batch, nothing
    /// is allocated. See [`Workspace`].
    ///
    /// # Errors
    /// As [`gradients`](Model::gradients).
    fn gradients_with<'w, X, B, T, L>(
        &self,
        workspace: &'w mut Workspace<Self>,
        x: &Tensor<X, Self::Elem, B>,
        target: &T,
        loss: &L,
    ) -> Result<(Self::Elem, &'w mut Gradients<Self>)>
    where
        X: InputOf<Self, Wanted<Self>>,
        B: Storage<Self::Elem>,
        L: Loss<X::Of<Self::Output>, T, Self::Elem>,
    {
        #[cfg(feature = "cuda")]
        if self.buffer().memory().is_some() || x.memory().is_some() {
            return super::on_gpu::gradients(self, workspace, x, target, loss);
        }
        let value = on::run::<Self, _>(OnStep { model: self, x, target, loss, workspace: &mut *workspace })?;
        Ok((value, &mut workspace.gradients))
    }

    /// Where the parameters are, and where the network computes.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
    /// assert_eq!(model.device(), Device::Cpu);
    /// ```
    fn device(&self) -> Device {
        self.buffer().device()
    }

    /// The network on this device; as it is, if it is there already.
    ///
    /// # Errors
    /// If the device's memory does not suffice, or it fails; the network is in the error, see [`MoveError`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0)).to(&Device::best()?)?;
    /// let x = Tensor::<Shape![5, 2]>::zeros().to(&model.device())?;
    /// assert_eq!(model.forward(&x).sizes(), [5, 3]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    fn to(mut self, device: &Device) -> Result<Self, MoveError<Self>> {
        let parameters = core::mem::replace(self.buffer_mut(), Buffer::zeros(0));
        parameters.to(device).map(Self::from_buffer).map_err(|wrong| wrong.map(Self::from_buffer))
    }

    /// The network as a function in expressions of variables; see [`ModelVariable`].
    #[cfg(feature = "autograd")]
    #[must_use]
    fn requires_grad(&self) -> ModelVariable<Self> {
        ModelVariable::new(self)
    }

    /// Every parameter tensor by its PyTorch name, `0.weight` or `out.bias`.
    ///
    /// # Panics
    /// As [`parameters`](Model::parameters); [`io::save`](crate::io::save) and [`io::load`](crate::io::load) take a network
    /// wherever it is.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3), ReLU, Linear(3, 1)].init(&mut Generator::manual_seed(0));
    /// let names: Vec<String> = model.state_dict().map(|t| format!("{} {:?}", t.name, t.shape)).collect();
    /// assert_eq!(names, ["0.weight [3, 2]", "0.bias [3]", "2.weight [1, 3]", "2.bias [1]"]);
    /// ```
    fn state_dict(&self) -> impl Iterator<Item = StateTensor<'_, Self::Elem>> {
        summary::state_dict(Self::LAYERS, self.parameters())
    }

    /// The layers with their output shapes, parameters, multiply-adds and memory; it prints as a table. See
    /// [`Summary`].
    fn summary(&self) -> Summary {
        Summary::of::<Self>()
    }

    /// The layers as a graph, with the shapes between them and what is computed in one call; it prints as text and can be
    /// drawn by Graphviz or Mermaid. See [`mod@crate::graph`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let graph = sequential![Linear(2, 3), ReLU, Linear(3, 1)].init(&mut Generator::manual_seed(0)).graph();
    /// println!("{graph}");
    /// assert_eq!(graph.nodes().len(), 5);
    /// ```
    fn graph(&self) -> Graph {
        Graph::of::<Self>()
    }
}

/// The gradient of a loss with respect to every parameter of `M`, in the layout of `M`. See [`Model::gradients`].
///
/// It reads as the network itself does, so `grads.out().weight()` is the gradient of `model.out().weight()`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<M>(M);

impl<M: Model> Gradients<M> {
    /// All zeros.
    ///
    /// ```
    /// use plywood::nn::Gradients;
    /// use plywood::prelude::*;
    ///
    /// sequential! { struct Net { Linear(2, 1) } }
    ///
    /// let (x, y) = (Tensor::<Shape![3, 2]>::ones(), Tensor::<Shape![3, 1]>::zeros());
    /// let model = Net::init(&mut Generator::manual_seed(0));
    /// let mut sum = Gradients::<Net>::zeros();
    /// for _ in 0..2 {
    ///     let (_, grads) = model.gradients(&x, &y, &MSELoss)?;
    ///     sum.parameters_mut().iter_mut().zip(grads.parameters()).for_each(|(sum, g)| *sum += *g);
    /// }
    /// SGD::new(0.1).step(&mut Net::init(&mut Generator::manual_seed(0)), &sum)?;
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn zeros() -> Self {
        Self::of_buffer(Buffer::zeros(M::PARAMS))
    }

    pub(crate) fn of_buffer(buffer: Buffer<M::Elem>) -> Self {
        Gradients(M::from_buffer(buffer))
    }
}

impl<M> Deref for Gradients<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M> DerefMut for Gradients<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.0
    }
}

/// A network of which the type is known and the parameters are not: what `sequential![…]` gives as an expression. See
/// [`Uninit::of`].
#[derive(Debug)]
pub struct Uninit<M>(PhantomData<M>);

impl<M> Copy for Uninit<M> {}

impl<M> Clone for Uninit<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Model> Uninit<M> {
    #[doc(hidden)]
    #[must_use]
    pub fn new() -> Self {
        Uninit(PhantomData)
    }

    /// The network with PyTorch's default initial values.
    #[must_use]
    pub fn init(self, rng: &mut Generator) -> M {
        M::init(rng)
    }

    /// The same network with parameters of another element type.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3)].of::<f64>().init(&mut Generator::manual_seed(0));
    /// assert_eq!(model.forward(&Tensor::<Shape![1, 2], f64>::zeros()).sizes(), [1, 3]);
    /// ```
    #[must_use]
    pub fn of<E: Float>(self) -> Uninit<M::As<E>> {
        Uninit(PhantomData)
    }
}

impl<M: Model> Default for Uninit<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// A network whose layer at position `N` has parameters.
///
/// ```
/// use plywood::prelude::*;
///
/// let model = sequential![Linear(6, 4), ReLU, Linear(4, 1)].init(&mut Generator::manual_seed(0));
/// assert_eq!(model.at::<0>().weight().sizes(), [4, 6]);
/// assert_eq!(model.at::<2>().bias().sizes(), [1]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameters at position {N}",
    label = "no layer with parameters at position {N}",
    note = "positions count every layer of the list from 0, as in PyTorch"
)]
pub trait At<const N: usize> {
    /// The parameters, typed. See [`Linear`](crate::nn::Linear) for what it can be.
    type View<'a>
    where
        Self: 'a;

    /// The parameters of the layer at position `N`.
    fn at(&self) -> Self::View<'_>;
}
