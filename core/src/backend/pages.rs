//! Pages of two megabytes for large blocks.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;

/// The size of a huge page. A smaller block holds none, and a page is rarely missed there.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

/// Asks for huge pages behind memory that is not in use yet; it is a wish, and nothing depends on its answer.
///
/// A block of parameters has thousands of the usual pages of 4 kB: more than a processor remembers the places of, and it
/// foresees accesses within a page only. Many distributions of Linux give larger pages to those alone who ask.
pub(super) fn wish_for_huge<T>(memory: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    if size_of_val(memory) >= HUGE {
        use core::ffi::{c_int, c_void};
        const SMALLEST_PAGE: usize = 4096;
        const MADV_HUGEPAGE: c_int = 14;
        unsafe extern "C" {
            fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
        }
        let memory = memory.as_mut_ptr_range();
        let before = memory.start.addr().next_multiple_of(SMALLEST_PAGE) - memory.start.addr();
        // SAFETY: whole pages inside of memory that is borrowed mutably, and this advice changes no byte of them. A page
        // larger than `SMALLEST_PAGE` makes it an error, which has no effect.
        unsafe {
            let start = memory.start.byte_add(before);
            madvise(start.cast(), memory.end.byte_offset_from_unsigned(start), MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
