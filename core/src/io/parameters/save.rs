use super::format::{dtype_of, swap_bytes};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::nn::{Model, StateTensor};
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Writes the parameters of a network to a safetensors file, under PyTorch's names.
///
/// In PyTorch, `model.load_state_dict(safetensors.torch.load_file(file))` reads it. A file of that name is replaced in
/// one step: if anything fails, it is what it was.
///
/// # Errors
/// If the file cannot be written.
///
/// ```
/// use plywood::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("xor.safetensors");
/// let mut rng = Generator::manual_seed(0);
/// let model = sequential![Linear(2, 3), Tanh, Linear(3, 1)].init(&mut rng);
/// plywood::io::save(&model, &file)?;
///
/// let mut other = sequential![Linear(2, 3), Tanh, Linear(3, 1)].init(&mut rng);
/// assert_ne!(other.parameters(), model.parameters());
/// plywood::io::load(&mut other, &file)?;
/// assert_eq!(other.parameters(), model.parameters());
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn save<M: Model>(model: &M, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(model, path)?;
    atomic::write(path, &bytes).map_err(|source| Error::Io { file: path.to_owned(), source })
}

/// The bytes of the file that [`save`] writes.
///
/// # Errors
/// If the names of the parameters fill more than the 100 MB that the format allows.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut rng = Generator::manual_seed(0);
/// let model = sequential![Linear(2, 3)].init(&mut rng);
/// let bytes = plywood::io::to_bytes(&model)?;
///
/// let mut other = sequential![Linear(2, 3)].init(&mut rng);
/// plywood::io::load_bytes(&mut other, &bytes)?;
/// assert_eq!(other.parameters(), model.parameters());
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn to_bytes<M: Model>(model: &M) -> Result<Vec<u8>> {
    encode(model, crate::io::IN_MEMORY.as_ref())
}

fn encode<M: Model>(model: &M, file: &Path) -> Result<Vec<u8>> {
    // What `safetensors.torch.save_file` writes, and what tools look at to know the names for PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let tensors = model.state_dict().map(|tensor| (tensor.name.clone(), Stored(tensor)));
    safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::Parameters { file: file.to_owned(), message: error.to_string() })
}

/// A parameter tensor as the format sees it.
struct Stored<'a, E>(StateTensor<'a, E>);

impl<E: Float> View for Stored<'_, E> {
    fn dtype(&self) -> Dtype {
        dtype_of::<E>()
    }

    fn shape(&self) -> &[usize] {
        self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Cow::Borrowed(bytemuck::cast_slice(self.0.data));
        if cfg!(target_endian = "big") {
            swap_bytes::<E>(bytes.to_mut());
        }
        bytes
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.data)
    }
}
