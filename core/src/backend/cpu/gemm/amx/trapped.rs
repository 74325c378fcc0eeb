//! The instructions of AMX on a processor that has none: each raises SIGILL, whose handler does in plain code what its
//! bytes say. So the tests run the program's own instructions, with the registers and addresses that the compiler chose.
//!
//! What AMX would refuse, or the program does not use, ends the test as any illegal instruction does.

use super::SIDE;
use super::software::Software;
use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use std::sync::Once;

thread_local! {
    /// The registers of this thread, between `ldtilecfg` and `tilerelease`.
    static TILES: RefCell<Option<Software>> = const { RefCell::new(None) };
}

/// From now on, in all threads.
pub(in super::super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: all zeros are an action with an empty mask; the handler is one for `SA_SIGINFO`.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGILL, &action, core::ptr::null_mut()), 0);
        }
    });
}

extern "C" fn handle(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system's context of the thread; its instruction pointer is at the instruction.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let mut code = Code(registers[libc::REG_RIP as usize] as *const u8);
        match execute(&mut code, registers) {
            Some(()) => registers[libc::REG_RIP as usize] = code.0 as i64,
            // It is met again, and ends the program.
            None => _ = libc::signal(signal, libc::SIG_DFL),
        }
    }
}

/// The bytes from here on.
struct Code(*const u8);

impl Code {
    /// # Safety
    ///
    /// The instruction has another byte.
    unsafe fn next(&mut self) -> u8 {
        // SAFETY: the caller's contract.
        unsafe {
            let byte = *self.0;
            self.0 = self.0.add(1);
            byte
        }
    }

    /// The address of an operand in memory: of its base and displacement, and its scaled index.
    ///
    /// # Safety
    ///
    /// The bytes behind a ModRM byte.
    unsafe fn address(&mut self, modrm: u8, [x, b]: [u8; 2], registers: &[i64]) -> Option<(i64, i64)> {
        /// Where the system keeps register 0, 1 and so on.
        const PLACES: [c_int; 16] = [
            libc::REG_RAX,
            libc::REG_RCX,
            libc::REG_RDX,
            libc::REG_RBX,
            libc::REG_RSP,
            libc::REG_RBP,
            libc::REG_RSI,
            libc::REG_RDI,
            libc::REG_R8,
            libc::REG_R9,
            libc::REG_R10,
            libc::REG_R11,
            libc::REG_R12,
            libc::REG_R13,
            libc::REG_R14,
            libc::REG_R15,
        ];
        let register = |low: u8, high: u8| registers[PLACES[usize::from(low & 7 | high << 3)] as usize];
        let (mode, mut base, mut index) = (modrm >> 6, modrm & 7, 0);
        // SAFETY: the caller's contract, here and below.
        unsafe {
            if base == 4 {
                let sib = self.next();
                base = sib & 7;
                // Register 4 is none.
                if sib >> 3 & 7 != 4 || x == 1 {
                    index = register(sib >> 3, x) << (sib >> 6);
                }
            }
            let displacement = match mode {
                // No base, or the instruction pointer.
                0 if base == 5 => return None,
                0 => 0,
                1 => i64::from(self.next() as i8),
                _ => i64::from(i32::from_le_bytes(core::array::from_fn(|_| self.next()))),
            };
            Some((register(base, b).wrapping_add(displacement), index))
        }
    }
}

/// A configuration of the first palette, by the manual: eight registers of 64 bytes a row, and 16 rows.
fn whole() -> [u8; 64] {
    core::array::from_fn(|i| match i {
        0 => 1,
        16..32 if i % 2 == 0 => 64,
        48..56 => 16,
        _ => 0,
    })
}

/// # Safety
///
/// `code` is where a thread with these registers met an instruction that its processor has not, and so could be executed.
unsafe fn execute(code: &mut Code, registers: &[i64]) -> Option<()> {
    // SAFETY: the caller's contract: of what is not of AMX, no byte is read behind the first that says so.
    unsafe {
        // A prefix VEX of three bytes, for the second map of instructions, W and L zero.
        let mut next = |expected: u8, of: u8| Some(code.next()).filter(|byte| byte & of == expected);
        let (_, first, second) = (next(0xc4, 0xff)?, next(2, 0x1f)?, next(0, 0x84)?);
        let [r, x, b] = [7, 6, 5].map(|bit| !first >> bit & 1);
        let (third, prefix) = (usize::from(!second >> 3 & 15), second & 3);
        let (operation, modrm) = (code.next(), code.next());
        let (t, low) = (usize::from(modrm >> 3 & 7 | r << 3), usize::from(modrm & 7 | b << 3));
        TILES.with_borrow_mut(|tiles| {
            if modrm >> 6 == 3 {
                match (operation, prefix, third) {
                    // TILERELEASE
                    (0x49, 0, 0) if (t, low) == (0, 0) => *tiles = None,
                    // TILEZERO
                    (0x49, 3, 0) if t < 8 && low == 0 => *tiles.as_mut()?.tile(t) = [[0; SIDE]; SIDE],
                    // TDPBF16PS
                    (0x5c, 2, _) if t.max(low).max(third) < 8 && t != low && t != third && low != third => {
                        tiles.as_mut()?.products(t, low, third);
                    }
                    _ => return None,
                }
                return Some(());
            }
            let has_index = low & 7 == 4;
            let (place, stride) = code.address(modrm, [x, b], registers)?;
            let row = usize::try_from(stride).ok().filter(|bytes| bytes % size_of::<u32>() == 0)? / size_of::<u32>();
            let configuration = (place + stride) as *mut [u8; 64];
            match (operation, prefix, third) {
                // LDTILECFG, of a configuration of whole tiles
                (0x49, 0, 0) if t == 0 && *configuration == whole() => *tiles = Some(Software::new()),
                // STTILECFG
                (0x49, 1, 0) if t == 0 => *configuration = if tiles.is_some() { whole() } else { [0; 64] },
                // TILELOADD
                (0x4b, 3, 0) if t < 8 && has_index => tiles.as_mut()?.read(t, place as *const u32, row),
                // TILESTORED
                (0x4b, 2, 0) if t < 8 && has_index => tiles.as_mut()?.write(t, place as *mut u32, row),
                _ => return None,
            }
            Some(())
        })
    }
}
