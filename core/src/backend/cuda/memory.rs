//! Memory of a GPU, which is kept and used again.

use super::gpu::{Event, Gpu, gib, lock};
use crate::error::Result;
use core::ffi::c_void;
use core::fmt::{self, Debug};
use core::ptr;
use cudarc::driver::sys::{self, CUdeviceptr, CUresult, CUstream};
use std::collections::BTreeMap;

/// Blocks that were freed, by their size.
///
/// Everything runs on one stream in order, so a block may be used again as soon as it was given back: what still reads it
/// comes before what then writes it.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: BTreeMap<usize, Vec<CUdeviceptr>>,
}

/// A block of a GPU's memory.
pub struct Memory {
    gpu: Gpu,
    pointer: CUdeviceptr,
    bytes: usize,
    /// What was taken for it: `bytes` rounded up.
    taken: usize,
}

/// Sizes of blocks: eight between two powers of two, so that a block fits the next need of nearly its size.
fn rounded(bytes: usize) -> usize {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 16).max(256);
    bytes.next_multiple_of(step)
}

impl Memory {
    /// A block with whatever is in it.
    pub(crate) fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let taken = rounded(bytes);
        let kept = lock(&gpu.0.pool).free.get_mut(&taken).and_then(Vec::pop);
        let pointer = match kept {
            Some(pointer) => pointer,
            None => allocate(gpu, taken, bytes)?,
        };
        Ok(Memory { gpu: gpu.clone(), pointer, bytes, taken })
    }

    pub(crate) fn zeros(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let memory = Memory::new(gpu, bytes)?;
        memory.clear(gpu.0.stream)?;
        Ok(memory)
    }

    /// A block with these bytes.
    pub(crate) fn of(gpu: &Gpu, bytes: &[u8]) -> Result<Self> {
        let memory = Memory::new(gpu, bytes.len())?;
        memory.write(bytes)?;
        Ok(memory)
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Where it begins, for kernels.
    pub(super) fn pointer(&self) -> CUdeviceptr {
        self.pointer
    }

    /// Zeros, in the order of the stream.
    pub(super) fn clear(&self, stream: CUstream) -> Result<()> {
        self.gpu.enter()?;
        if self.bytes == 0 {
            return Ok(());
        }
        // SAFETY: the block has this many bytes.
        let result = unsafe { sys::cuMemsetD8Async(self.pointer, 0, self.bytes, stream) };
        self.gpu.check(result, "clearing memory")
    }

    /// Copies bytes up; they may be changed as soon as this returns.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len() <= self.bytes, "the bytes do not fit into the memory");
        self.gpu.enter()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let (stream, from) = (self.gpu.0.stream, bytes.as_ptr().cast::<c_void>());
        // SAFETY: both sides have this many bytes, as was checked; the driver has read ordinary memory when the call returns
        // or, if it is page-locked, when the stream was waited for.
        unsafe {
            let result = sys::cuMemcpyHtoDAsync_v2(self.pointer, from, bytes.len(), stream);
            self.gpu.check(result, format_args!("copying {} to the GPU", gib(bytes.len())))?;
            self.gpu.check(sys::cuStreamSynchronize(stream), "waiting for a copy to the GPU")
        }
    }

    /// [`write`](Memory::write) without waiting, from ordinary memory: of that the driver has a copy when the call returns.
    pub(super) fn write_small(&self, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len() <= self.bytes, "the bytes do not fit into the memory");
        self.gpu.enter()?;
        // SAFETY: both sides have this many bytes, as was checked; the source is not page-locked.
        let result =
            unsafe { sys::cuMemcpyHtoDAsync_v2(self.pointer, bytes.as_ptr().cast(), bytes.len(), self.gpu.0.stream) };
        self.gpu.check(result, "copying settings to the GPU")
    }

    /// Copies bytes down, once everything before is computed.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> Result<()> {
        assert!(bytes.len() <= self.bytes, "more bytes than the memory has");
        self.gpu.enter()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let (stream, to) = (self.gpu.0.stream, bytes.as_mut_ptr().cast::<c_void>());
        // SAFETY: both sides have this many bytes, as was checked; the stream is waited for while `bytes` is borrowed.
        unsafe {
            let result = sys::cuMemcpyDtoHAsync_v2(to, self.pointer, bytes.len(), stream);
            self.gpu.check(result, format_args!("copying {} from the GPU", gib(bytes.len())))?;
            self.gpu.check(sys::cuStreamSynchronize(stream), "waiting for the GPU")
        }
    }

    /// A block of its own with the same bytes.
    pub(crate) fn copy(&self) -> Result<Self> {
        let copy = Memory::new(&self.gpu, self.bytes)?;
        copy.write_from(0, self.pointer, self.bytes, self.gpu.0.stream)?;
        Ok(copy)
    }

    /// Copies from other memory of the same GPU to `offset`.
    pub(super) fn write_from(&self, offset: usize, from: CUdeviceptr, bytes: usize, stream: CUstream) -> Result<()> {
        assert!(offset + bytes <= self.bytes, "the copy does not fit into the memory");
        self.gpu.enter()?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the target has these bytes, as was checked; the source is memory of this GPU by the caller's word.
        let result = unsafe { sys::cuMemcpyDtoDAsync_v2(self.pointer + offset as u64, from, bytes, stream) };
        self.gpu.check(result, "copying on the GPU")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        lock(&self.gpu.0.pool).free.entry(self.taken).or_default().push(self.pointer);
    }
}

impl Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", gib(self.bytes), self.gpu)
    }
}

/// Memory from the driver; where there is none left, what the pool keeps is given back to it first.
fn allocate(gpu: &Gpu, taken: usize, wanted: usize) -> Result<CUdeviceptr> {
    gpu.enter()?;
    let mut pointer = 0;
    // SAFETY: the driver writes an address.
    let mut result = unsafe { sys::cuMemAlloc_v2(&mut pointer, taken) };
    if result == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        gpu.synchronize()?;
        drop(core::mem::take(&mut *lock(&gpu.0.executors)));
        for pointer in core::mem::take(&mut lock(&gpu.0.pool).free).into_values().flatten() {
            // SAFETY: came from `cuMemAlloc_v2`, nobody has it, and nothing that uses it is still running.
            unsafe { sys::cuMemFree_v2(pointer) };
        }
        // SAFETY: as above.
        result = unsafe { sys::cuMemAlloc_v2(&mut pointer, taken) };
    }
    if result == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        let (mut free, mut total) = (0, 0);
        // SAFETY: the driver writes two numbers.
        let known = unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) } == CUresult::CUDA_SUCCESS;
        let left = if known { format!("; {} of {} are free", gib(free), gib(total)) } else { String::new() };
        return Err(gpu.failure(format_args!("taking {} of memory", gib(wanted)), format!("out of memory{left}")));
    }
    gpu.check(result, format_args!("taking {} of memory", gib(wanted)))?;
    Ok(pointer)
}

/// Page-locked memory of the CPU, from which copies run while the CPU goes on.
pub(super) struct Pinned {
    gpu: Gpu,
    pointer: *mut u8,
    bytes: usize,
    /// Behind the last copy that reads it.
    read: Event,
}

// SAFETY: the memory is owned, and page-locked memory is any thread's.
unsafe impl Send for Pinned {}
// SAFETY: as above; a shared `Pinned` gives nothing away.
unsafe impl Sync for Pinned {}

impl Pinned {
    pub(super) fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        gpu.enter()?;
        let mut pointer = ptr::null_mut();
        let bytes = bytes.max(1);
        // SAFETY: the driver writes an address.
        let result = unsafe { sys::cuMemHostAlloc(&mut pointer, bytes, 0) };
        gpu.check(result, format_args!("taking {} of page-locked memory", gib(bytes)))?;
        // SAFETY: just taken, with this many bytes.
        unsafe { ptr::write_bytes(pointer.cast::<u8>(), 0, bytes) };
        Ok(Pinned { gpu: gpu.clone(), pointer: pointer.cast(), bytes, read: Event::new(gpu, false)? })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// The bytes, once the last copy has read them.
    pub(super) fn bytes(&mut self) -> Result<&mut [u8]> {
        self.read.synchronize()?;
        // SAFETY: owned, initialised, with this many bytes; no copy reads it any more.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.pointer, self.bytes) })
    }

    /// Copies the first bytes to the GPU, in the order of the stream.
    pub(super) fn upload(&mut self, bytes: usize, to: &Memory, stream: CUstream) -> Result<()> {
        assert!(bytes <= self.bytes && bytes <= to.len(), "the copy does not fit");
        if bytes > 0 {
            // SAFETY: both sides have this many bytes; the source is not written before `read` was waited for.
            let result = unsafe { sys::cuMemcpyHtoDAsync_v2(to.pointer(), self.pointer.cast(), bytes, stream) };
            self.gpu.check(result, format_args!("copying {} to the GPU", gib(bytes)))?;
        }
        self.read.record(stream)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.gpu.enter();
        let _ = self.read.synchronize();
        // SAFETY: came from `cuMemHostAlloc`; no copy reads it any more.
        unsafe { sys::cuMemFreeHost(self.pointer.cast()) };
    }
}

impl Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", gib(self.bytes), self.gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_nearly_the_same_size_are_the_same() {
        assert_eq!([0, 1, 256, 257, 4096, 4097].map(rounded), [256, 256, 256, 512, 4096, 4608]);
        for bytes in 1..100_000 {
            assert!(rounded(bytes) >= bytes && rounded(bytes) < bytes + bytes / 8 + 256);
        }
    }
}
