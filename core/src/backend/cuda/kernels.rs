//! Kernels: compiled by NVRTC for the GPU that is there, once, and kept on disk for the next run.

use super::gpu::{Gpu, lock};
use super::network::THREADS;
use crate::element::DType;
use crate::error::Result;
use core::ffi::{CStr, c_char};
use core::ptr;
use cudarc::driver::sys::{self as driver, CUfunction, CUmodule};
use cudarc::nvrtc::sys::{self as nvrtc, nvrtcResult};
use std::collections::HashMap;
use std::ffi::CString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The environment variable with the folder in which compiled kernels are kept.
const VARIABLE: &str = "PLYWOOD_CACHE_DIR";

/// A file of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct File {
    name: &'static str,
    /// The files, by name and text, that stand before it.
    before: &'static [(&'static str, &'static str)],
    text: &'static str,
}

macro_rules! files {
    ($($name:ident = $($before:literal)* => $file:literal),* $(,)?) => {
        $(pub(super) const $name: File = File {
            name: $file,
            before: &[$(($before, include_str!(concat!("kernels/", $before)))),*],
            text: include_str!(concat!("kernels/", $file)),
        };)*
    };
}

files! {
    ACTIVATION = => "activation.cu", CAST = => "cast.cu", CONV = => "conv.cu", EACH = => "each.cu",
    GATHER = => "gather.cu", LOSS = "loss.cuh" => "loss.cu", OPTIMIZER = "optimizer.cuh" => "optimizer.cu",
    POOL = => "pool.cu", REDUCE = => "reduce.cu", ROWS = => "rows.cu",
    SMALL = "loss.cuh" "optimizer.cuh" "layers.cuh" => "small.cu",
}

/// What every file begins with.
const PRELUDE: &str = include_str!("kernels/prelude.cuh");

/// A file compiled for one element type, with definitions that it needs before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Program {
    pub(super) file: File,
    pub(super) real: DType,
    pub(super) definitions: String,
    /// Threads of a block.
    pub(super) threads: u32,
}

impl Program {
    pub(super) fn new(file: File, real: DType) -> Self {
        Program { file, real, definitions: String::new(), threads: THREADS }
    }

    /// All of its text.
    fn text(&self) -> String {
        let own = (self.file.name, self.file.text);
        let files = self.file.before.iter().chain([&own]).map(|(name, text)| format!("#line 1 \"{name}\"\n{text}\n"));
        format!("{PRELUDE}\n{}\n{}", self.definitions, files.collect::<String>())
    }

    fn options(&self, architecture: &str) -> Vec<String> {
        let real = if self.real == DType::F64 { "double" } else { "float" };
        let threads = format!("-DTHREADS={}", self.threads);
        vec![format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned(), format!("-DREAL={real}"), threads]
    }
}

/// The compiled programs of a GPU, and their functions by name.
#[derive(Default)]
pub(super) struct Kernels {
    modules: HashMap<Program, CUmodule>,
    functions: HashMap<(Program, &'static str), CUfunction>,
}

/// A kernel with its name.
pub(super) type Kernel = (CUfunction, &'static str);

impl Gpu {
    /// A kernel of a program.
    pub(super) fn kernel(&self, program: &Program, name: &'static str) -> Result<Kernel> {
        let mut kernels = lock(&self.0.kernels);
        let key = (program.clone(), name);
        if let Some(function) = kernels.functions.get(&key) {
            return Ok((*function, name));
        }
        self.enter()?;
        let module = match kernels.modules.get(program) {
            Some(module) => *module,
            None => {
                let module = self.module(program)?;
                kernels.modules.insert(program.clone(), module);
                module
            }
        };
        let mut function = ptr::null_mut();
        let text = CString::new(name).expect("no zero in a kernel's name");
        // SAFETY: a module that is never unloaded, and a text that ends with a zero.
        let result = unsafe { driver::cuModuleGetFunction(&mut function, module, text.as_ptr()) };
        self.check(result, format_args!("looking for the kernel `{name}`"))?;
        kernels.functions.insert(key, function);
        Ok((function, name))
    }

    fn module(&self, program: &Program) -> Result<CUmodule> {
        let (text, options) = (program.text(), program.options(&self.architecture()));
        let doing = || format!("compiling the kernels of `{}`", program.file.name);
        let kept = cache().map(|folder| folder.join(self.cached_as(&text, &options)));
        if let Some(code) = kept.as_ref().and_then(|file| fs::read(file).ok()) {
            // What another program left there may be damaged: then it is made anew.
            if let Ok(module) = self.load(&code) {
                return Ok(module);
            }
        }
        let (code, _) = compile(&text, program.file.name, &options).map_err(|log| self.failure(doing(), log))?;
        if let Some(file) = kept {
            keep(&file, &code);
        }
        self.load(&code)
    }

    fn load(&self, code: &[u8]) -> Result<CUmodule> {
        let mut module = ptr::null_mut();
        // SAFETY: the code is what NVRTC made for this GPU; the driver copies it.
        let result = unsafe { driver::cuModuleLoadData(&mut module, code.as_ptr().cast()) };
        self.check(result, "loading kernels")?;
        Ok(module)
    }

    /// The name of the file for a compiled program: another text, other options, another compiler or another kind of GPU
    /// have another one.
    fn cached_as(&self, text: &str, options: &[String]) -> String {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: NVRTC writes two numbers.
        unsafe { nvrtc::nvrtcVersion(&mut major, &mut minor) };
        let mut hasher = DefaultHasher::new();
        (env!("CARGO_PKG_VERSION"), self.name(), text, options).hash(&mut hasher);
        format!("{}-{major}.{minor}-{:016x}.cubin", self.architecture(), hasher.finish())
    }
}

/// The folder for compiled kernels; `None` where there is no home for one.
fn cache() -> Option<PathBuf> {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = given(VARIABLE) {
        return Some(folder);
    }
    let home = || given("HOME").map(|home| home.join(".cache"));
    Some(given("XDG_CACHE_HOME").or_else(home).or_else(|| given("LOCALAPPDATA"))?.join("plywood"))
}

/// Writes a file as a whole, or not: without it the next run compiles again, which is no error.
fn keep(file: &Path, code: &[u8]) {
    let Some(folder) = file.parent() else { return };
    let part = file.with_extension(std::process::id().to_string());
    let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&part, code)).and_then(|()| fs::rename(&part, file));
}

/// The code for the GPU, and what the compiler said, or that alone.
fn compile(text: &str, name: &str, options: &[String]) -> Result<(Vec<u8>, String), String> {
    let [text, name] = [text, name].map(|text| CString::new(text).expect("no zero in the text of kernels"));
    let options: Vec<_> =
        options.iter().map(|option| CString::new(option.as_str()).expect("no zero in an option")).collect();
    let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    let count = i32::try_from(pointers.len()).expect("a few options");
    let mut program = ptr::null_mut();
    // SAFETY: texts that end with a zero and outlive the calls; the program is destroyed once, and every buffer has the size
    // that NVRTC named just before.
    unsafe {
        good(nvrtc::nvrtcCreateProgram(&mut program, text.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null()))?;
        let code = (|| {
            let compiled = nvrtc::nvrtcCompileProgram(program, count, pointers.as_ptr());
            let mut size = 0;
            good(nvrtc::nvrtcGetProgramLogSize(program, &mut size))?;
            let mut log = vec![0u8; size];
            good(nvrtc::nvrtcGetProgramLog(program, log.as_mut_ptr().cast()))?;
            let said = String::from_utf8_lossy(&log).trim_end_matches('\0').trim().to_owned();
            if compiled != nvrtcResult::NVRTC_SUCCESS {
                return Err(said);
            }
            let mut size = 0;
            good(nvrtc::nvrtcGetCUBINSize(program, &mut size))?;
            let mut code = vec![0u8; size];
            good(nvrtc::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()))?;
            Ok((code, said))
        })();
        nvrtc::nvrtcDestroyProgram(&mut program);
        code
    }
}

fn good(result: nvrtcResult) -> Result<(), String> {
    if result == nvrtcResult::NVRTC_SUCCESS {
        return Ok(());
    }
    // SAFETY: NVRTC has a text for every result.
    Err(unsafe { CStr::from_ptr(nvrtc::nvrtcGetErrorString(result)) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cuda::library;
    use crate::backend::cuda::network::definitions;
    use crate::backend::cuda::plan;
    use crate::nn::activation::bits;
    use crate::nn::{
        Activation, ELU, Formula, GELU, GELUTanh, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh,
    };

    /// NVIDIA's compiler needs no GPU.
    #[test]
    fn every_kernel_compiles() {
        if let Err(error) = library::load_compiler() {
            assert!(env::var_os("PLYWOOD_REQUIRE_NVRTC").is_none(), "{error}");
            return eprintln!("not checked: {error}");
        }
        let formulas: [Option<Formula>; 14] = [
            None,
            ReLU::CUDA,
            <LeakyReLU>::CUDA,
            <ELU>::CUDA,
            ELU::<{ bits(-1.5) }>::CUDA,
            GELU::CUDA,
            GELUTanh::CUDA,
            SiLU::CUDA,
            Sigmoid::CUDA,
            Tanh::CUDA,
            <Softplus>::CUDA,
            Softplus::<{ bits(0.1) }, { bits(f64::INFINITY) }>::CUDA,
            <Hardtanh>::CUDA,
            Hardtanh::<{ bits(f64::NEG_INFINITY) }, { bits(1e30) }>::CUDA,
        ];
        for real in [DType::F32, DType::F64] {
            let whole = [CAST, CONV, LOSS, OPTIMIZER, POOL, ROWS].map(|file| Program::new(file, real));
            let activations =
                formulas.map(|formula| Program { definitions: definitions(formula), ..Program::new(ACTIVATION, real) });
            for program in whole.into_iter().chain(activations) {
                for architecture in ["sm_80", "sm_90"] {
                    let code = compile(&program.text(), program.file.name, &program.options(architecture));
                    assert!(code.is_ok_and(|(code, _)| !code.is_empty()), "{program:?}");
                }
            }
        }
        // Those of networks have to keep what they compute in registers.
        for program in plan::examples() {
            for architecture in ["sm_80", "sm_90"] {
                let mut options = program.options(architecture);
                options.push("--ptxas-options=-v".to_owned());
                let (code, said) = compile(&program.text(), program.file.name, &options).unwrap();
                assert!(!code.is_empty() && !said.contains("warning"), "{program:?}: {said}");
                let spills =
                    |line: &str| line.contains("spill") && !line.contains(" 0 bytes spill stores, 0 bytes spill loads");
                assert!(program.real == DType::F64 || !said.lines().any(spills), "{program:?}: {said}");
            }
        }
        let wrong = compile("__global__ void f() { wrong }", "wrong.cu", &["--gpu-architecture=sm_90".to_owned()]);
        assert!(wrong.unwrap_err().contains("wrong"));
    }
}
