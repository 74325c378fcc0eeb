//! Tiles of AMX: registers of 16 rows of 16 words, and an instruction that multiplies two of them.
//!
//! Its words are pairs of bf16. A row of the first operand holds words of a row of a, and a row of the second one word of
//! each of 16 columns of b. Two by two tiles of y are under way at once, so that an operand is loaded for two products.
//!
//! Intel, "Architectures Software Developer's Manual", volume 1, chapter 18, and TDPBF16PS in volume 2.
//!
//! The tests of `reduced` passed on the Sapphire Rapids that Bochs emulates, below Linux 6.1: its source of August 2026, which
//! had to learn XFD and to save tiles, and to follow the manual in details. No processor of Intel's has run them yet. Where
//! there is no AMX, they run in `trapped`.

#[cfg(test)]
pub(super) mod software;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
pub(super) mod trapped;

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
pub(super) use hardware::{configuration, processor_has_tiles};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use hardware::{is_available, product};

use super::reduced::Tiles;
use plywood_kernels::gemm::kernel::Job;

/// The rows of a tile, and the words of a row.
pub(super) const SIDE: usize = 16;

/// The tile registers, of which `T` is one of eight.
///
/// # Safety
///
/// Of every method: the machine has the instructions, and the rows of a tile, `row` words apart, can be read or written.
pub(super) trait Registers {
    unsafe fn zero<const T: usize>(&mut self);
    unsafe fn load<const T: usize>(&mut self, from: *const f32, row: usize);
    unsafe fn store<const T: usize>(&mut self, to: *mut f32, row: usize);
    /// `C[i, j] += Σ A[i, w] · B[w, j]`, where a word's product is that of its first terms plus that of its second.
    unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self);
}

/// Products of operands in bf16, or of operands split into two of bf16, without the products of both second parts.
pub(super) struct Amx<R, const PARTS: usize>(pub R);

impl<R: Registers, const PARTS: usize> Tiles for Amx<R, PARTS> {
    const TERMS: usize = 2;
    const PARTS: usize = PARTS;
    const STEP: usize = SIDE;
    const ROWS: usize = SIDE;
    const ALONG: bool = true;

    fn size(&self) -> (usize, usize) {
        (2 * SIDE, 2 * SIDE)
    }

    unsafe fn tile(&mut self, job: &Job<f32>, rows: usize, (a_part, b_part): (usize, usize)) {
        let Job { k, a, a_row, b, b_step, y, y_row, columns, adds, .. } = *job;
        let y = |i: usize, j: usize| Place {
            y: y.wrapping_add(i * SIDE * y_row + j * SIDE),
            y_row,
            rows: rows.saturating_sub(i * SIDE).min(SIDE),
            columns: columns.saturating_sub(j * SIDE).min(SIDE),
        };
        let (y00, y01, y10, y11) = (y(0, 0), y(0, 1), y(1, 0), y(1, 1));
        // SAFETY: the caller's contract: whole tiles of words, and the places of y.
        unsafe {
            self.begin::<0>(y00, adds);
            self.begin::<1>(y01, adds);
            self.begin::<2>(y10, adds);
            self.begin::<3>(y11, adds);
            let sizes = (rows, columns);
            for w in (0..k).step_by(SIDE) {
                let (a, b) = (a.wrapping_add(w), b.wrapping_add(w * b_step));
                self.step((a, a_row), (b, b_step), sizes);
                if PARTS == 2 {
                    self.step((a, a_row), (b.wrapping_add(b_part), b_step), sizes);
                    self.step((a.wrapping_add(a_part), a_row), (b, b_step), sizes);
                }
            }
            self.finish::<0>(y00);
            self.finish::<1>(y01);
            self.finish::<2>(y10);
            self.finish::<3>(y11);
        }
    }
}

/// A tile of y, of which some rows and columns, or none, are inside.
#[derive(Clone, Copy)]
struct Place {
    y: *mut f32,
    y_row: usize,
    rows: usize,
    columns: usize,
}

/// A tile in memory.
#[repr(align(64))]
struct Memory([f32; SIDE * SIDE]);

impl<R: Registers, const PARTS: usize> Amx<R, PARTS> {
    /// What a tile of sums begins with.
    ///
    /// # Safety
    ///
    /// As of those below: the machine has the instructions; what is inside of y can be read and written.
    unsafe fn begin<const T: usize>(&mut self, place: Place, adds: bool) {
        let Place { y, y_row, rows, columns } = place;
        // SAFETY: the caller's contract.
        unsafe {
            if !adds || rows * columns == 0 {
                self.0.zero::<T>();
            } else if rows * columns == SIDE * SIDE {
                self.0.load::<T>(y, y_row);
            } else {
                let mut memory = Memory([0.0; SIDE * SIDE]);
                for (i, row) in memory.0.chunks_exact_mut(SIDE).enumerate().take(rows) {
                    row.as_mut_ptr().copy_from_nonoverlapping(y.add(i * y_row), columns);
                }
                self.0.load::<T>(memory.0.as_ptr(), SIDE);
            }
        }
    }

    /// The products of a tile of words, or two, of a, and one, or two, of b.
    ///
    /// # Safety
    ///
    /// The machine has the instructions, and the tiles can be read.
    #[inline(always)]
    unsafe fn step(
        &mut self,
        (a, a_row): (*const f32, usize),
        (b, b_row): (*const f32, usize),
        (rows, columns): (usize, usize),
    ) {
        let (down, across) = (rows > SIDE, columns > SIDE);
        // SAFETY: the caller's contract.
        unsafe {
            self.0.load::<4>(a, a_row);
            self.0.load::<6>(b, b_row);
            self.0.multiply::<0, 4, 6>();
            if across {
                self.0.load::<7>(b.add(SIDE), b_row);
                self.0.multiply::<1, 4, 7>();
            }
            if down {
                self.0.load::<5>(a.add(SIDE * a_row), a_row);
                self.0.multiply::<2, 5, 6>();
                if across {
                    self.0.multiply::<3, 5, 7>();
                }
            }
        }
    }

    /// Puts a tile of sums where it belongs.
    ///
    /// # Safety
    ///
    /// As [`begin`](Amx::begin).
    unsafe fn finish<const T: usize>(&mut self, place: Place) {
        let Place { y, y_row, rows, columns } = place;
        // SAFETY: the caller's contract.
        unsafe {
            if rows * columns == SIDE * SIDE {
                self.0.store::<T>(y, y_row);
            } else if rows * columns > 0 {
                let mut memory = Memory([0.0; SIDE * SIDE]);
                self.0.store::<T>(memory.0.as_mut_ptr(), SIDE);
                for (i, row) in memory.0.chunks_exact(SIDE).enumerate().take(rows) {
                    y.add(i * y_row).copy_from_nonoverlapping(row.as_ptr(), columns);
                }
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod hardware {
    use super::super::Product;
    use super::super::isa::{Compiled, Isa};
    use super::super::reduced;
    use super::{Amx, Registers, SIDE};
    use core::arch::asm;
    use core::arch::x86_64::{__cpuid_count, _xgetbv};
    use std::sync::LazyLock;

    /// Whether AMX belongs to an instruction set of this machine, and the system lets this program use it.
    pub(in super::super) fn is_available(isa: Isa) -> bool {
        static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
            // SAFETY: a processor with AVX-512 has XGETBV.
            Isa::Avx512.is_available() && processor_has_tiles() && unsafe { system_keeps_tiles() } && may_use_tiles()
        });
        isa == Isa::Avx512 && *AVAILABLE
    }

    pub(in super::super) fn processor_has_tiles() -> bool {
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        __cpuid_count(7, 0).edx & (BF16 | TILE) == BF16 | TILE
    }

    /// Whether the system keeps the tiles and their configuration for each thread.
    #[target_feature(enable = "xsave")]
    fn system_keeps_tiles() -> bool {
        const TILES: u64 = 1 << 17 | 1 << 18;
        // SAFETY: register 0 is there wherever the instruction is.
        unsafe { _xgetbv(0) & TILES == TILES }
    }

    /// Asks Linux for the room that the tiles take when a thread is interrupted. It gives it to all threads of a program.
    fn may_use_tiles() -> bool {
        const ARCH_PRCTL: usize = 158;
        const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
        const TILE_DATA: usize = 18;
        let result: usize;
        // SAFETY: the call takes two numbers and changes no memory of the program.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    /// A product of operands in bf16, or split into two of them.
    ///
    /// # Safety
    ///
    /// As [`reduced::Reduced`], where AMX is available.
    pub(in super::super) unsafe fn product<const PARTS: usize>(isa: Isa, part: Product<'_, f32>) {
        // SAFETY: the caller's contract.
        unsafe { reduced::product(f32::for_products(isa), &mut Amx::<_, PARTS>(Tmm::new()), part) }
    }

    /// The registers of this thread, from `ldtilecfg` to `tilerelease`.
    struct Tmm(());

    /// What `ldtilecfg` reads.
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_of_a_row: [u16; 8],
        of_more_registers: [u16; 8],
        rows: [u8; 8],
        rows_of_more: [u8; 8],
    }

    /// All eight registers in full.
    static WHOLE: Configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes_of_a_row: [(SIDE * size_of::<f32>()) as u16; 8],
        of_more_registers: [0; 8],
        rows: [SIDE as u8; 8],
        rows_of_more: [0; 8],
    };

    impl Tmm {
        /// # Safety
        ///
        /// AMX is available, and this thread has no other [`Tmm`].
        unsafe fn new() -> Self {
            const { assert!(size_of::<Configuration>() == 64) };
            // SAFETY: the caller's contract; a configuration as the manual describes it.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, preserves_flags, readonly)) };
            Tmm(())
        }
    }

    impl Drop for Tmm {
        fn drop(&mut self) {
            // SAFETY: there is a `Tmm` only where AMX is available.
            unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
        }
    }

    /// The configuration of this thread, of zeros where there is none.
    ///
    /// # Safety
    ///
    /// AMX is available.
    #[cfg(test)]
    pub(in super::super) unsafe fn configuration() -> [u8; 64] {
        let mut bytes = [0xff; 64];
        // SAFETY: the caller's contract; there is room for a configuration.
        unsafe { asm!("sttilecfg [{}]", in(reg) bytes.as_mut_ptr(), options(nostack, preserves_flags)) };
        bytes
    }

    // The compiler does not use these registers: they are not among those that it may, unless it is told to.
    impl Registers for Tmm {
        #[inline(always)]
        unsafe fn zero<const T: usize>(&mut self) {
            // SAFETY: the caller's contract, as in all of these.
            unsafe { asm!("tilezero tmm{}", const T, options(nostack, preserves_flags, nomem)) };
        }

        #[inline(always)]
        unsafe fn load<const T: usize>(&mut self, from: *const f32, row: usize) {
            // SAFETY: see above.
            unsafe {
                asm!(
                    "tileloadd tmm{}, [{} + {}]",
                    const T, in(reg) from, in(reg) row * size_of::<f32>(),
                    options(nostack, preserves_flags, readonly),
                );
            }
        }

        #[inline(always)]
        unsafe fn store<const T: usize>(&mut self, to: *mut f32, row: usize) {
            // SAFETY: see above.
            unsafe {
                asm!(
                    "tilestored [{} + {}], tmm{}",
                    in(reg) to, in(reg) row * size_of::<f32>(), const T,
                    options(nostack, preserves_flags),
                );
            }
        }

        #[inline(always)]
        unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
            // SAFETY: see above.
            unsafe {
                asm!(
                    "tdpbf16ps tmm{}, tmm{}, tmm{}",
                    const C, const A, const B,
                    options(nostack, preserves_flags, nomem),
                );
            }
        }
    }
}
