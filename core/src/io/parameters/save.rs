use super::format::file_of;
use crate::backend::Device;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::nn::Model;
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
    if model.device() != Device::Cpu {
        return encode(&M::from_buffer(model.buffer().copied_to(&Device::Cpu)?), file);
    }
    file_of(model.state_dict().collect()).ok_or_else(|| {
        let message = "the names of the parameters fill more than the 100 MB that safetensors allows".to_owned();
        Error::Parameters { file: file.to_owned(), message }
    })
}
