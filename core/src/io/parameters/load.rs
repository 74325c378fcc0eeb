use super::format::{Found, Parsed, dtype_of, swap_bytes};
use crate::backend::{Buffer, Device};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::nn::{Model, StateTensor};
use crate::shape::Sizes;
use std::collections::HashSet;
use std::path::Path;

/// Reads the parameters of a network from a safetensors file, by PyTorch's names.
///
/// The file has every tensor of the network and no other, each with its shape and element type, as
/// `safetensors.torch.save_file(model.state_dict(), file)` and [`save`](crate::io::save) write it.
///
/// # Errors
/// If the file cannot be read, is damaged or does not fit; the message lists every tensor that does not. The network is
/// then as it was.
///
/// ```
/// use plywood::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("small.safetensors");
/// let mut rng = Generator::manual_seed(0);
/// plywood::io::save(&sequential![Linear(2, 3), out: Linear(3, 1)].init(&mut rng), &file)?;
///
/// let mut larger = sequential![Linear(2, 4), out: Linear(4, 1)].init(&mut rng);
/// let wrong = plywood::io::load(&mut larger, &file).unwrap_err().to_string();
/// assert!(wrong.ends_with(
///     "small.safetensors: 3 tensors do not fit the model:
///   `0.weight` has shape [3, 2] in the file, but [4, 2] in the model
///   `0.bias` has shape [3] in the file, but [4] in the model
///   `out.weight` has shape [1, 3] in the file, but [1, 4] in the model"
/// ));
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn load<M: Model>(model: &mut M, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|source| Error::Io { file: path.to_owned(), source })?;
    decode(model, &bytes, path)
}

/// [`load`] from the bytes of a file: what [`to_bytes`](crate::io::to_bytes) gives, or a file that is part of the
/// program (`include_bytes!`).
///
/// # Errors
/// If the bytes are damaged or do not fit, as [`load`].
///
/// ```
/// use plywood::prelude::*;
///
/// let mut model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
/// let before = model.parameters().to_vec();
/// let wrong = plywood::io::load_bytes(&mut model, &[]).unwrap_err();
/// assert_eq!(wrong.to_string(), "bytes in memory: empty, where a safetensors file is expected");
/// assert_eq!(model.parameters(), before);
/// ```
pub fn load_bytes<M: Model>(model: &mut M, bytes: &[u8]) -> Result<()> {
    decode(model, bytes, crate::io::IN_MEMORY.as_ref())
}

fn decode<M: Model>(model: &mut M, bytes: &[u8], file: &Path) -> Result<()> {
    let device = model.device();
    if device != Device::Cpu {
        let mut here = M::from_buffer(Buffer::zeros(M::PARAMS));
        decode(&mut here, bytes, file)?;
        *model = here.to(&device)?;
        return Ok(());
    }
    let wrong = |message| Error::Parameters { file: file.to_owned(), message };
    let parsed = Parsed::of(bytes).map_err(wrong)?;
    let places = places(model, &parsed).map_err(wrong)?;
    // Everything fits: from here on, nothing can fail.
    for (offset, bytes) in places {
        let len = bytes.len() / size_of::<M::Elem>();
        let parameters = bytemuck::cast_slice_mut(&mut model.parameters_mut()[offset..][..len]);
        parameters.copy_from_slice(bytes);
        swap_bytes::<M::Elem>(parameters);
    }
    Ok(())
}

/// Where each tensor of the file goes; the error lists all that does not fit.
fn places<'a, M: Model>(model: &M, parsed: &'a Parsed<'_>) -> Result<Vec<(usize, &'a [u8])>, String> {
    let known: HashSet<String> = model.state_dict().map(|tensor| tensor.name).collect();
    let unexpected: Vec<&str> = parsed.names().filter(|name| !known.contains(*name)).collect();
    let mut places = Vec::with_capacity(known.len());
    let mut problems = Vec::new();
    for tensor in model.state_dict() {
        match parsed.tensor(&tensor.name) {
            None => problems.push(missing(&tensor, parsed, &unexpected)),
            Some(found) => match mismatch(&tensor, &found) {
                Some(problem) => problems.push(problem),
                None => places.push((tensor.offset, found.bytes)),
            },
        }
    }
    problems.extend(
        unexpected.iter().map(|name| format!("`{}` is in the file, but not in the model", name.escape_debug())),
    );
    match &problems[..] {
        [] => Ok(places),
        [problem] => Err(problem.clone()),
        _ => Err(format!("{} tensors do not fit the model:\n  {}", problems.len(), problems.join("\n  "))),
    }
}

fn mismatch<E: Float>(tensor: &StateTensor<'_, E>, found: &Found<'_>) -> Option<String> {
    let (given, expected) = (found.dtype, dtype_of::<E>());
    let mut problems = Vec::new();
    if found.shape != tensor.shape {
        let (given, expected) = (Sizes(found.shape), Sizes(tensor.shape));
        problems.push(format!("has shape {given} in the file, but {expected} in the model"));
    }
    if given != expected {
        let (given, expected) = (given.to_lowercase(), expected.to_lowercase());
        problems.push(format!("holds {} in the file, but {expected} in the model", given.escape_debug()));
    }
    (!problems.is_empty()).then(|| format!("`{}` {}", tensor.name, problems.join(", and ")))
}

fn missing<E: Float>(tensor: &StateTensor<'_, E>, parsed: &Parsed<'_>, unexpected: &[&str]) -> String {
    let StateTensor { name, shape, .. } = tensor;
    let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    let near = unexpected
        .iter()
        .filter(|other| parsed.tensor(other).is_some_and(|found| found.shape == *shape))
        .filter(|other| last(other) == last(name) || distance(other) <= 3)
        .min_by_key(|other| distance(other));
    match near {
        Some(near) => format!("`{name}` is missing; is it `{}`, which has the same shape?", near.escape_debug()),
        None => format!("`{name}` {} is missing", Sizes(*shape)),
    }
}
