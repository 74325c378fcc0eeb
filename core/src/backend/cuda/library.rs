//! NVIDIA's libraries, which are looked for when the program runs.

use libloading::Library;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The environment variable with folders to look in first.
const VARIABLE: &str = "PLYWOOD_CUDA_LIBS";

/// A library: what it is called in messages, its files by decreasing preference, and whether cudarc finds it then.
struct Wanted {
    what: &'static str,
    files: &'static [&'static str],
    present: unsafe fn() -> bool,
}

#[cfg(not(windows))]
const WANTED: [Wanted; 3] = [
    Wanted { what: "the NVIDIA driver", files: &["libcuda.so.1"], present: cudarc::driver::sys::is_culib_present },
    Wanted {
        what: "the compiler of kernels, NVRTC",
        files: &["libnvrtc.so.13"],
        present: cudarc::nvrtc::sys::is_culib_present,
    },
    Wanted { what: "cuBLASLt", files: &["libcublasLt.so.13"], present: cudarc::cublaslt::sys::is_culib_present },
];
#[cfg(windows)]
const WANTED: [Wanted; 3] = [
    Wanted { what: "the NVIDIA driver", files: &["nvcuda.dll"], present: cudarc::driver::sys::is_culib_present },
    Wanted {
        what: "the compiler of kernels, NVRTC",
        files: &["nvrtc64_130_0.dll"],
        present: cudarc::nvrtc::sys::is_culib_present,
    },
    Wanted { what: "cuBLASLt", files: &["cublasLt64_13.dll"], present: cudarc::cublaslt::sys::is_culib_present },
];

/// Loads everything, once; otherwise says what is missing and where it was looked for.
pub(super) fn load() -> Result<(), &'static str> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    match LOADED.get_or_init(|| load_from(&WANTED, &folders())) {
        Ok(()) => Ok(()),
        Err(missing) => Err(missing),
    }
}

/// The compiler alone, which needs no driver.
#[cfg(test)]
pub(super) fn load_compiler() -> Result<(), String> {
    load_from(&WANTED[1..2], &folders())
}

fn load_from(all: &[Wanted], folders: &[PathBuf]) -> Result<(), String> {
    for wanted in all {
        // NVRTC looks for its own builtins by name: they must be there before.
        if wanted.files[0].contains("nvrtc") {
            folders.iter().any(|folder| builtins(folder).is_some_and(|file| preload(&file)));
        }
        let _found = wanted.files.iter().any(|file| folders.iter().any(|folder| preload(&folder.join(file))));
        // SAFETY: loads NVIDIA's library by its name, which runs its initialisers; nothing of it is called.
        if !unsafe { (wanted.present)() } {
            return Err(missing(wanted.what, wanted.files, folders));
        }
    }
    Ok(())
}

/// NCCL, which adds up over several GPUs.
#[cfg(feature = "nccl")]
pub(super) fn nccl() -> Result<Library, String> {
    optional("NCCL", "libnccl.so.2")
}

/// cuDNN, which opens its other files itself, from beside its own.
pub(super) fn cudnn() -> Result<Library, String> {
    optional("cuDNN", if cfg!(windows) { "cudnn64_9.dll" } else { "libcudnn.so.9" })
}

fn optional(what: &str, file: &str) -> Result<Library, String> {
    let folders = folders();
    let mut places = folders.iter().map(|folder| folder.join(file)).filter(|file| file.is_file());
    // SAFETY: NVIDIA's library by its name, of which the initialisers run.
    let found = places.find_map(|file| unsafe { open(&file) }.ok()).or_else(|| unsafe { open(Path::new(file)) }.ok());
    found.ok_or_else(|| missing(what, &[file], &folders))
}

/// The sentence about a library that is not there.
fn missing(what: &str, files: &[&str], folders: &[PathBuf]) -> String {
    let files = files.join(", ");
    let places: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let places = if places.is_empty() { String::new() } else { format!(" and in {}", places.join(", ")) };
    format!(
        "{what} was not found: {files} was looked for where the system's loader looks{places}; {VARIABLE} can name more folders"
    )
}

/// Keeps a library in the program, under its own name, so that looking it up by name finds it.
fn preload(file: &Path) -> bool {
    if !file.is_file() {
        return false;
    }
    // SAFETY: the file is NVIDIA's library by its name, of which the initialisers run.
    let Ok(library) = (unsafe { open(file) }) else { return false };
    core::mem::forget(library);
    true
}

#[cfg(unix)]
unsafe fn open(file: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::unix::{self, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: as the caller's.
    unsafe { unix::Library::open(Some(file), RTLD_NOW | RTLD_GLOBAL) }.map(Library::from)
}

#[cfg(not(unix))]
unsafe fn open(file: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: as the caller's.
    unsafe { Library::new(file) }
}

/// `libnvrtc-builtins.so.13.x` of a folder.
fn builtins(folder: &Path) -> Option<PathBuf> {
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libnvrtc-builtins.so.13.") || name.starts_with("nvrtc-builtins64_13")
    };
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find(is_it)
}

/// The folders that exist, those of the variable first: toolkits, then what pip installs.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os(VARIABLE).iter().flat_map(env::split_paths).collect();
    for toolkit in ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os) {
        folders.push(Path::new(&toolkit).join("lib64"));
        folders.push(Path::new(&toolkit).join("bin"));
    }
    folders.extend(["/usr/local/cuda/lib64", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib"].map(PathBuf::from));
    folders.extend(matching("/usr/local", "cuda-13").map(|toolkit| toolkit.join("lib64")));
    let mut roots: Vec<PathBuf> =
        ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os).map(PathBuf::from).collect();
    roots.extend(env::var_os("HOME").map(|home| Path::new(&home).join(".local")));
    roots.extend(["/usr/local", "/usr"].map(PathBuf::from));
    for root in roots {
        for python in matching(root.join("lib"), "python3") {
            for packages in ["site-packages/nvidia", "dist-packages/nvidia"] {
                folders
                    .extend(["cu13/lib", "cudnn/lib", "nccl/lib"].map(|library| python.join(packages).join(library)));
            }
        }
    }
    let named = env::var_os(VARIABLE).map_or(0, |names| env::split_paths(&names).count());
    // Those that the user named are kept, so that an error can say that they were looked in.
    let mut place = 0;
    folders.retain(|folder| {
        place += 1;
        !folder.as_os_str().is_empty() && (place <= named || folder.is_dir())
    });
    folders
}

fn matching(folder: impl AsRef<Path>, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let fits = move |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix))
    };
    let mut found: Vec<_> = entries.filter(fits).collect();
    found.sort();
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_places() {
        let places = [PathBuf::from("/nowhere"), PathBuf::from("/neither")];
        assert_eq!(
            missing(WANTED[2].what, WANTED[2].files, &places),
            "cuBLASLt was not found: libcublasLt.so.13 was looked for where the system's loader looks and in /nowhere, /neither; PLYWOOD_CUDA_LIBS can name more folders"
        );
        assert!(!preload(Path::new("/nowhere/libcuda.so.1")));
    }
}
