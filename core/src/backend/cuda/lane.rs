//! The way of a batch's numbers to a GPU.

use super::gpu::{Event, Gpu};
use super::memory::{Memory, Pinned};
use crate::error::Result;

/// A place for numbers on the GPU, and the page-locked memory from which they come.
pub(super) struct Lane {
    pub(super) memory: Memory,
    pinned: Option<Pinned>,
    ready: Event,
}

impl Lane {
    fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let lane = Lane { memory: Memory::new(gpu, bytes)?, pinned: None, ready: Event::new(gpu, false)? };
        // Whoever had the memory before may still be read from on the GPU's stream.
        gpu.after(gpu.0.upload, gpu.0.stream, &lane.ready)?;
        Ok(lane)
    }

    /// The numbers on their way to the GPU, behind `read`; what follows on the GPU's stream waits for them.
    pub(super) fn send(
        &mut self,
        gpu: &Gpu,
        bytes: usize,
        read: Option<&Event>,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<()> {
        if self.pinned.as_ref().is_none_or(|pinned| pinned.len() < bytes) {
            self.pinned = Some(Pinned::new(gpu, bytes)?);
        }
        let pinned = self.pinned.as_mut().expect("just made");
        write(&mut pinned.bytes()?[..bytes]);
        if let Some(read) = read {
            read.wait(gpu.0.upload)?;
        }
        pinned.upload(bytes, &self.memory, gpu.0.upload)?;
        gpu.after(gpu.0.stream, gpu.0.upload, &self.ready)
    }
}

/// A lane with room for this many bytes.
pub(super) fn lane<'a>(lane: &'a mut Option<Lane>, gpu: &Gpu, bytes: usize) -> Result<&'a mut Lane> {
    if lane.as_ref().is_none_or(|lane| lane.memory.len() < bytes) {
        *lane = Some(Lane::new(gpu, bytes)?);
    }
    Ok(lane.as_mut().expect("just made"))
}
