//! Where a program computes.

use crate::error::{Error, Result};
use core::fmt::{self, Display};
use core::str::FromStr;
use std::ffi::OsStr;

/// The environment variable that [`Device::best`] obeys.
const VARIABLE: &str = "PLYWOOD_DEVICE";

/// Where tensors and networks are, and where what is done with them is computed.
///
/// A device is a value and not a type, so that one program runs on whatever is there: it asks for
/// [`Device::best`] once and moves its network and its data there with [`Model::to`](crate::nn::Model::to),
/// [`Tensor::to`](crate::Tensor::to) or [`Trainer::on`](crate::train::Trainer::on). NVIDIA GPUs are there with the feature
/// `cuda`, which needs no CUDA to build and none to run; see the module [`backend`](crate::backend).
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2]> = tensor![1.0, 2.0].to(&Device::Cpu)?;
/// assert_eq!(x.device(), Device::Cpu);
///
/// match Device::cuda(0) {
///     Ok(device) => println!("computing on {device:#}"), // with its name, memory and compute capability
///     Err(error) => println!("{error}"),                 // says what is missing, and where it was looked for
/// }
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// It prints, and is read, as PyTorch's: `cpu`, `cuda:0`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// The processor and its memory.
    #[default]
    Cpu,
    /// An NVIDIA GPU: what [`Device::cuda`] gives.
    #[cfg(feature = "cuda")]
    Cuda(super::cuda::Gpu),
}

impl Device {
    /// The CUDA GPU of this number, from 0.
    ///
    /// # Errors
    /// If there is none, the driver or a library is missing, or plywood was built without its feature `cuda`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// match Device::cuda(1) {
    ///     Ok(device) => println!("computing on {device}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    pub fn cuda(index: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return super::cuda::Gpu::new(index).map(Device::Cuda);
        #[cfg(not(feature = "cuda"))]
        Err(Error::Device {
            device: format!("cuda:{index}"),
            reason: "this program was built without plywood's feature `cuda`".to_owned(),
        })
    }

    /// Waits until all that was asked for is computed. The CPU has nothing to wait for.
    ///
    /// # Errors
    /// If something failed on a GPU since the last time.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// Device::best()?.synchronize()?;
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn synchronize(&self) -> Result<()> {
        match self {
            Device::Cpu => Ok(()),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => gpu.synchronize(),
        }
    }

    /// The free and the whole memory of a GPU in bytes, as `torch.cuda.mem_get_info`; `None` for the CPU.
    ///
    /// What plywood keeps to use again does not count as free.
    ///
    /// # Errors
    /// If the GPU fails.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// assert_eq!(Device::Cpu.mem_get_info()?, None);
    /// if let Some((free, total)) = Device::best()?.mem_get_info()? {
    ///     assert!(free <= total);
    /// }
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn mem_get_info(&self) -> Result<Option<(usize, usize)>> {
        match self {
            Device::Cpu => Ok(None),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => gpu.mem_get_info().map(Some),
        }
    }

    /// Whether there is a CUDA GPU that this build of plywood can use: whether [`Device::cuda`]`(0)` would give one.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// assert_eq!(Device::cuda_is_available(), Device::cuda(0).is_ok());
    /// ```
    #[must_use]
    pub fn cuda_is_available() -> bool {
        Self::cuda(0).is_ok()
    }

    /// The device that the environment variable `PLYWOOD_DEVICE` names (`cpu`, `cuda`, `cuda:1`); where it is not set or
    /// empty, the first CUDA GPU if there is one, or else the CPU.
    ///
    /// # Errors
    /// If the variable names no device, or one that cannot be had: a program that was told to run on a GPU does not run
    /// on the CPU instead.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let device = Device::best()?;
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0)).to(&device)?;
    /// assert_eq!(model.device(), device);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn best() -> Result<Self> {
        Self::best_given(std::env::var_os(VARIABLE).as_deref())
    }

    /// [`Device::best`] with the variable's value.
    fn best_given(variable: Option<&OsStr>) -> Result<Self> {
        match variable.filter(|value| !value.is_empty()) {
            Some(value) => {
                let asked = value.to_string_lossy();
                match named(&asked) {
                    Some(device) => device.map_err(|error| match error {
                        Error::Device { device, reason } => {
                            Error::Device { device, reason: format!("{reason}, but {VARIABLE} asks for it") }
                        }
                        other => other,
                    }),
                    None => Err(no_device("the environment variable PLYWOOD_DEVICE", &asked)),
                }
            }
            None if Self::cuda_is_available() => Self::cuda(0),
            None => Ok(Device::Cpu),
        }
    }
}

/// The device of a name; `None` if it is no device's.
fn named(name: &str) -> Option<Result<Device>> {
    match name {
        "cpu" => Some(Ok(Device::Cpu)),
        "cuda" => Some(Device::cuda(0)),
        _ => {
            let index = name.strip_prefix("cuda:")?;
            let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            Some(Device::cuda(index.parse().ok().filter(|_| digits)?))
        }
    }
}

fn no_device(what: &'static str, given: &str) -> Error {
    Error::Setting {
        what,
        given: format!("`{}`", given.escape_debug()),
        expected: "`cpu`, `cuda` or `cuda:` with a number",
    }
}

/// `cpu`, or `cuda:0`; in the alternate form, `{:#}`, a GPU with its name, memory and compute capability, and
/// whether there is cuDNN.
impl Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => Display::fmt(gpu, f),
        }
    }
}

/// The device of a name: `cpu`, `cuda` for the first GPU, `cuda:1` for the second.
///
/// ```
/// use plywood::prelude::*;
///
/// assert_eq!("cpu".parse::<Device>()?, Device::Cpu);
/// let wrong = "gpu".parse::<Device>().unwrap_err();
/// assert_eq!(wrong.to_string(), "the name of a device is `gpu`, but must be `cpu`, `cuda` or `cuda:` with a number");
/// # Ok::<(), plywood::Error>(())
/// ```
impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        named(name).unwrap_or_else(|| Err(no_device("the name of a device", name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(variable: &str) -> Result<Device> {
        Device::best_given(Some(variable.as_ref()))
    }

    #[test]
    fn the_variable_names_the_device() {
        assert_eq!(best("cpu").unwrap(), Device::Cpu);
        for unset in [None, Some("".as_ref())] {
            assert_eq!(Device::best_given(unset).unwrap().to_string(), "cpu");
        }
    }

    #[test]
    fn a_device_that_cannot_be_had_is_not_replaced_by_another() {
        for (asked, device) in [("cuda:17", "cuda:17"), ("cuda:017", "cuda:17")] {
            let Err(Error::Device { reason, .. }) = Device::cuda(17) else { panic!("there is no GPU of this number") };
            assert_eq!(
                best(asked).unwrap_err().to_string(),
                format!("the device `{device}` cannot be used: {reason}, but PLYWOOD_DEVICE asks for it")
            );
            assert_eq!(
                asked.parse::<Device>().unwrap_err().to_string(),
                format!("the device `{device}` cannot be used: {reason}")
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        for nonsense in
            ["gpu", "CPU", " cpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda0", "cuda:99999999999999999999"]
        {
            assert_eq!(
                best(nonsense).unwrap_err().to_string(),
                format!(
                    "the environment variable PLYWOOD_DEVICE is `{nonsense}`, but must be `cpu`, `cuda` or `cuda:` with a number"
                )
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_nonsense_too() {
        use std::os::unix::ffi::OsStrExt;
        assert!(matches!(Device::best_given(Some(OsStr::from_bytes(b"cpu\xff"))), Err(Error::Setting { .. })));
    }
}
