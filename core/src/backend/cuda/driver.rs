//! Calls of the driver, each of which may fail.

use crate::error::{Error, Result};
use core::ffi::CStr;
use core::fmt::Display;
use core::ptr;
use cudarc::driver::sys::{self, CUresult};

/// What a failed call was about.
pub(super) fn check(result: CUresult, device: usize, doing: impl Display) -> Result<()> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(failure(device, doing, described(code))),
    }
}

pub(super) fn failure(device: usize, doing: impl Display, reason: String) -> Error {
    Error::Cuda { device: format!("cuda:{device}"), doing: doing.to_string(), reason }
}

/// The driver's own words: `out of memory (CUDA_ERROR_OUT_OF_MEMORY)`.
pub(super) fn described(code: CUresult) -> String {
    let text = |get: unsafe fn(CUresult, *mut *const core::ffi::c_char) -> CUresult| {
        let mut text = ptr::null();
        // SAFETY: the driver writes a pointer to a text of its own, or null for a code that it does not know.
        unsafe {
            get(code, &mut text);
            if text.is_null() { None } else { Some(CStr::from_ptr(text).to_string_lossy().into_owned()) }
        }
    };
    match (text(sys::cuGetErrorString), text(sys::cuGetErrorName)) {
        (Some(sentence), Some(name)) => format!("{sentence} ({name})"),
        _ => format!("error {}", code as u32),
    }
}
