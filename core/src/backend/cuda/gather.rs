//! Rows of a data set that is on a GPU.

use super::kernels::{self, Program};
use super::memory::Memory;
use super::network::{THREADS, launch};
use crate::element::DType;
use crate::error::Result;
use core::ffi::c_void;

/// Where the rows are, where they go, and the bytes of each.
pub(crate) type Part<'a> = (&'a Memory, &'a Memory, usize);

/// Copies these rows of two blocks, which are on one GPU, in the order of its stream.
pub(crate) fn gather(rows: &[usize], [(x, y, bytes), (x2, y2, bytes2)]: [Part<'_>; 2]) -> Result<()> {
    let (gpu, count) = (x.gpu(), rows.len());
    for (from, to, bytes) in [(x, y, bytes), (x2, y2, bytes2)] {
        let fits =
            |row: &usize| row.checked_add(1).and_then(|rows| rows.checked_mul(bytes)).is_some_and(|n| n <= from.len());
        assert!(rows.iter().all(fits) && count * bytes <= to.len(), "the rows do not fit");
        assert!([from, to].iter().all(|memory| memory.gpu() == gpu), "rows of another GPU");
    }
    if count == 0 {
        return Ok(());
    }
    gpu.enter()?;
    let numbers = Memory::new(gpu, count * size_of::<usize>())?;
    numbers.write_small(bytemuck::cast_slice(rows))?;
    let kernel = gpu.kernel(&Program::new(kernels::GATHER, DType::F32), "gather")?;
    let [at, x, y, x2, y2] = [&numbers, x, y, x2, y2].map(Memory::pointer);
    let words = count * bytes.max(bytes2).div_ceil(16);
    let blocks = words.div_ceil(THREADS as usize).clamp(1, gpu.multiprocessors() as usize * 8) as u32;
    launch!(gpu, gpu.0.stream, kernel, [blocks, 2, 1], at, count, x, y, bytes, x2, y2, bytes2)
}
