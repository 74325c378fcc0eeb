//! Computing without a graph.

use core::cell::Cell;

thread_local!(static ENABLED: Cell<bool> = const { Cell::new(true) });

/// Runs `f` without recording anything: what it computes from variables are constants, as in `torch.no_grad()`.
///
/// It holds for this thread until `f` returns or panics.
///
/// ```
/// use plywood::autograd::{is_grad_enabled, no_grad};
/// use plywood::prelude::*;
///
/// let x = Tensor::<Shape![3]>::ones().requires_grad();
/// let y = no_grad(|| {
///     assert!(!is_grad_enabled());
///     (&x * 2.0).sum()
/// });
/// assert_eq!(y.item(), 6.0);
/// assert!(!y.requires_grad());
/// ```
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ENABLED.set(self.0);
        }
    }
    let _restore = Restore(ENABLED.replace(false));
    f()
}

/// Whether operations on variables are recorded in this thread; see [`no_grad`].
#[must_use]
pub fn is_grad_enabled() -> bool {
    ENABLED.get()
}
