//! What can go wrong at run time, in sentences: what was given, what was expected, where.

use crate::element::DType;
use core::fmt;
use std::path::PathBuf;

/// The result of everything that can fail.
///
/// ```
/// use plywood::prelude::*;
///
/// fn first(numbers: &[f32]) -> plywood::Result<f32> {
///     let row: Tensor<Shape![3]> = Tensor::from_slice(numbers)?;
///     Ok(row.as_slice()[0])
/// }
/// assert_eq!(first(&[7.0, 8.0, 9.0])?, 7.0);
/// assert!(first(&[7.0]).is_err());
/// # Ok::<(), plywood::Error>(())
/// ```
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// The enum, and the sentence of each variant, as with the derive of the crate thiserror: that would be a procedural macro.
macro_rules! errors {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {$(
            $(#[doc = $doc:literal])*
            #[error($format:literal $(, $argument:expr)* $(,)?)]
            $variant:ident $({$($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*})?,
        )*}
    ) => {
        $(#[$attribute])*
        pub enum $name {$(
            $(#[doc = $doc])*
            $variant $({$($(#[doc = $field_doc])* $field: $type,)*})?,
        )*}

        impl fmt::Display for $name {
            #[allow(unused_variables)] // a sentence need not name every field
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {$(
                    Self::$variant $({$($field),*})? => write!(f, $format $(, $argument)*),
                )*}
            }
        }
    };
}

errors! {
    /// Everything that can go wrong at run time.
    #[non_exhaustive]
    pub enum Error {
        /// A slice or vector does not have as many elements as the shape.
        #[error("{given} elements do not fill {shape}, which has {expected}")]
        Length {
            /// The number of elements given.
            given: usize,
            /// The number of elements of the shape.
            expected: usize,
            /// What they are to fill: `a tensor of shape [2, 3]`.
            shape: String,
        },
        /// A slice or vector does not have a whole number of rows.
        #[error("{given} elements do not fill whole rows of a tensor of shape {shape}, which have {row} each")]
        Rows {
            /// The number of elements given.
            given: usize,
            /// The number of elements of a row.
            row: usize,
            /// The shape.
            shape: String,
        },
        /// Two tensors do not have the same size where they must.
        #[error("{what}: {left} against {right}")]
        Shape {
            /// What was done.
            what: &'static str,
            /// The first shape.
            left: String,
            /// The second shape.
            right: String,
        },
        /// Tensors that were to be joined differ in another size.
        #[error("to be joined along axis {axis}, all other sizes must be equal: {left} and {right}")]
        Join {
            /// The axis.
            axis: usize,
            /// The first tensor's shape.
            left: String,
            /// The other tensor's shape.
            right: String,
        },
        /// A number does not exist in the element type it is to become.
        #[error("element {index} of a cast to {to} is {value}, but must be a number of that type")]
        Cast {
            /// The position of the number.
            index: usize,
            /// The element type.
            to: DType,
            /// The number.
            value: String,
        },
        /// A class label is not one of the classes.
        #[error("the label of sample {sample} is {label}, but the network has {classes} classes (0 to {})", classes.saturating_sub(1))]
        Label {
            /// The position in the batch.
            sample: usize,
            /// The label given.
            label: String,
            /// The number of classes.
            classes: usize,
        },
        /// A value lies outside the range in which a loss is defined.
        #[error("{what} {index} is {value}, which is not in [{low}, {high}]{hint}")]
        Range {
            /// Which values.
            what: &'static str,
            /// The position of the value.
            index: usize,
            /// The value.
            value: f64,
            /// The smallest value that is taken.
            low: f64,
            /// The largest value that is taken.
            high: f64,
            /// What to do, with its leading punctuation.
            hint: &'static str,
        },
        /// A row that a data set does not have.
        #[error("row {row} was asked for (at position {position}), but the data set has {rows} rows, numbered from 0")]
        Row {
            /// Where in the list of rows it stands.
            position: usize,
            /// The row.
            row: usize,
            /// The number of rows.
            rows: usize,
        },
        /// A position that an axis does not have.
        #[error("index {position} is {index}, but axis {axis} has {size} positions, numbered from 0")]
        Index {
            /// Where in the list of indices it stands.
            position: usize,
            /// The index.
            index: String,
            /// The axis.
            axis: usize,
            /// The size of the axis.
            size: usize,
        },
        /// A range of positions that an axis does not have.
        #[error("the range {start}..{end} does not lie in axis {axis}, which has {size} positions")]
        Slice {
            /// The first position.
            start: usize,
            /// One after the last position.
            end: usize,
            /// The axis.
            axis: usize,
            /// The size of the axis.
            size: usize,
        },
        /// A NaN or an infinity where only numbers help.
        #[error("{what}: row {row}, column {column} is {value}, which is not a finite number")]
        NotFinite {
            /// What was done.
            what: &'static str,
            /// The row, from 0.
            row: usize,
            /// The column, from 0.
            column: usize,
            /// The value.
            value: f64,
        },
        /// A setting that makes no sense.
        #[error("{what} is {given}, but must be {expected}")]
        Setting {
            /// The setting's name, with where it belongs.
            what: &'static str,
            /// The value given.
            given: String,
            /// What is taken.
            expected: &'static str,
        },
        /// A device that cannot be had.
        #[error("the device `{device}` cannot be used: {reason}")]
        Device {
            /// The device asked for.
            device: String,
            /// Why not.
            reason: String,
        },
        /// Something failed on a GPU: its memory is used up, it is lost, a kernel failed.
        #[error("{device}: {doing} failed: {reason}")]
        Cuda {
            /// The device.
            device: String,
            /// What was done, with the sizes that it was asked for.
            doing: String,
            /// What the driver or the library said.
            reason: String,
        },
        /// Processes that train together do not agree, or one of them cannot go on.
        #[error("rank {rank} of {world_size}: {reason}")]
        Distributed {
            /// The number of this process.
            rank: usize,
            /// How many there are.
            world_size: usize,
            /// What is wrong.
            reason: String,
        },
        /// What is not on the same device was to be used together.
        #[error("{what} is on {left}, but {other} on {right}; `.to(&device)` moves either")]
        Devices {
            /// The first.
            what: &'static str,
            /// Where it is.
            left: String,
            /// The other.
            other: &'static str,
            /// Where that is.
            right: String,
        },
        /// A device cannot compute this: it has no kernel for it.
        #[error("{what} has no kernel on {device}{hint}")]
        NoKernel {
            /// What was to be computed.
            what: String,
            /// The device.
            device: String,
            /// What to do, with its leading punctuation.
            hint: &'static str,
        },
        /// An optimizer was used for another model than before.
        #[error(
        "this {optimizer} has moments for {expected} parameters, but the model has {given}; use one optimizer per model"
        )]
        Optimizer {
            /// The optimizer's name.
            optimizer: &'static str,
            /// The parameters of the model given.
            given: usize,
            /// The parameters of the first model.
            expected: usize,
        },
        /// Backward was called on what no gradient flows to.
        #[error(
        "backward was called on a value that depends on no leaf; `tensor.requires_grad()` makes one, and nothing is recorded within `no_grad`"
        )]
        NoGradient,
        /// Backward was called a second time.
        #[error(
        "an earlier backward has used up the graph, here the `{operation}` that gave {shape}, and freed what it had saved; compute the value anew, or let the earlier one be `backward_retain_graph`"
        )]
        SpentGraph {
            /// The operation whose memory is gone.
            operation: &'static str,
            /// The shape of its result.
            shape: String,
        },
        /// The loss of a training is no longer a finite number.
        #[error(
        "the loss became {loss} in epoch {epoch}; a smaller learning rate or scaled inputs may help, and NaN in the data gives NaN at once"
        )]
        Diverged {
            /// The loss.
            loss: f64,
            /// The epoch, from 1.
            epoch: u64,
        },
        /// The gradients that were to be clipped are not all finite numbers.
        #[error(
        "the norm of the gradients is {norm}, which no factor brings down; a smaller learning rate or scaled inputs may help"
        )]
        GradientNorm {
            /// The norm.
            norm: f64,
        },
        /// A table cannot be read as asked.
        #[error("{}: {message}", place(file, *line, column))]
        Table {
            /// The file, or what stands for it.
            file: String,
            /// The line in the file, from 1.
            line: Option<u64>,
            /// The column's name.
            column: Option<String>,
            /// What is wrong.
            message: String,
        },
        /// A file of parameters does not fit the model or is damaged. The model is as it was.
        #[error("{}: {message}", file.display())]
        Parameters {
            /// The file.
            file: PathBuf,
            /// What is wrong, with the tensor's name and both shapes where there are any.
            message: String,
        },
        /// A file is not the IDX file that was asked for, or is damaged.
        #[error("{}: {message}", file.display())]
        Idx {
            /// The file, or what stands for it.
            file: PathBuf,
            /// What is wrong, with both types or shapes where there are any.
            message: String,
        },
        /// A file is not the NumPy file that was asked for, or is damaged.
        #[error("{}: {message}", file.display())]
        Npy {
            /// The file, or what stands for it.
            file: PathBuf,
            /// What is wrong, with the array's name and both types or shapes where there are any.
            message: String,
        },
        /// A figure cannot be drawn from what it was given.
        #[error("the figure `{figure}` cannot be drawn: {message}")]
        Figure {
            /// The figure's title.
            figure: String,
            /// What is wrong, with the series and the position where there are any.
            message: String,
        },
        /// A file cannot be read or written.
        #[error("{}: {source}", file.display())]
        Io {
            /// The file.
            file: PathBuf,
            /// What the operating system said.
            source: std::io::Error,
        },
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The sentence itself, so that `fn main() -> plywood::Result<()>` and `unwrap` show it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something could not be moved to a device, and the thing itself, as it was.
///
/// `?` makes the [`Error`] of it; whoever can do without the device takes the value:
///
/// ```
/// use plywood::MoveError;
/// use plywood::prelude::*;
///
/// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
/// let device = Device::best()?;
/// let model = match model.to(&device) {
///     Ok(there) => there,
///     Err(MoveError { value, error }) => {
///         eprintln!("{error}; it stays on {}", value.device());
///         value
///     }
/// };
/// assert_eq!(model.forward(&Tensor::<Shape![5, 2]>::zeros().to(&model.device())?).sizes(), [5, 3]);
/// # Ok::<(), plywood::Error>(())
/// ```
pub struct MoveError<T> {
    /// What was to be moved, where it was.
    pub value: T,
    /// What went wrong.
    pub error: Error,
}

impl<T> MoveError<T> {
    /// The same error for what the value is a part of.
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> MoveError<U> {
        MoveError { value: f(self.value), error: self.error }
    }
}

impl<T> From<MoveError<T>> for Error {
    fn from(wrong: MoveError<T>) -> Self {
        wrong.error
    }
}

impl<T> fmt::Display for MoveError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// The sentence, as of an [`Error`].
impl<T> fmt::Debug for MoveError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<T> std::error::Error for MoveError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

fn place(file: &str, line: Option<u64>, column: &Option<String>) -> String {
    let mut place = file.to_owned();
    if let Some(line) = line {
        place += &format!(", line {line}");
    }
    if let Some(column) = column {
        place += &format!(", column `{column}`");
    }
    place
}
