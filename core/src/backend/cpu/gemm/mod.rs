//! The matrix product: `y[m, n] += a[m, k] · b[k, n]`.
//!
//! A product takes one of five ways, by its sizes and by how its operands lie in memory:
//!
//! - plain loops, where anything else takes longer to start than they take to run;
//! - dot products, where both operands lie along the sums and `y` has too few rows or columns for tiles;
//! - combinations of the rows of `b`, for a single row of `y` or a few terms;
//! - the transpose of the product, in tiles, where `b` is much larger than `a`: the weights of a forward pass, or of the
//!   gradient of its inputs, which stay where they are while `a` is packed. If the sums run down the rows of `b`, as in
//!   that gradient, in two halves that are then added: so a thread reads those rows that are its own in other products;
//! - tiles of `y`, sums of outer products held in registers, for everything else.
//!
//! The last four exist for AVX-512, for AVX2, for NEON, and in plain code. Which of them runs is the processor's affair, and the
//! numbers differ in the last bits from one to another; on one machine they depend on the operands and sizes alone.
//! Instead of the tiles of `f32`, large products may take those of [`reduced`], if the program asked for it.
//! Nothing is allocated but the memory of a thread's panels, when a product first needs more than any before.
//!
//! A large product is cut into parts of `y`, one a thread: by its columns, so that a column of `b` is packed once, and by
//! its rows where that leaves a part fewer columns than a tile has. A part has all terms of its sums, in the order in which
//! the whole product adds them, and the way is chosen for the whole: so the bits do not depend on the number of threads.
//! Each thread goes over its part once more, in pieces that are still in a near cache, for a bias and an activation or for
//! the update of weights by their gradient ([`Gemm::gemm_then`]).

#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux")))]
mod amx;
mod blocked;
mod halves;
mod isa;
mod pack;
mod reduced;
#[cfg(test)]
mod reduced_tests;
mod small;
#[cfg(test)]
mod tests;
mod then;
mod turned;

use super::{is_inside, is_product, pool};
pub(super) use isa::Isa;
pub use then::{Beside, Piece};

use isa::{COMBINED, Kernel, Kernels};
use plywood_kernels::end_streams;
use plywood_kernels::gemm::kernel::Job;
use then::Then;

/// A matrix inside a slice: element (i, j) is `data[i · row + j · col]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, E> {
    /// The elements.
    pub data: &'a [E],
    /// The distance between two rows.
    pub row: usize,
    /// The distance between two columns.
    pub col: usize,
}

impl<'a, E> Matrix<'a, E> {
    /// A row-major matrix of `cols` columns.
    #[must_use]
    pub fn new(data: &'a [E], cols: usize) -> Self {
        Matrix { data, row: cols, col: 1 }
    }

    /// The transpose of a row-major matrix of `cols` columns.
    #[must_use]
    pub fn transposed(data: &'a [E], cols: usize) -> Self {
        Matrix { data, row: 1, col: cols }
    }

    /// Its transpose.
    fn turned(self) -> Self {
        Matrix { data: self.data, row: self.col, col: self.row }
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        is_inside(self.data.len(), (rows, cols), (self.row, self.col))
    }
}

/// Element types with a matrix product.
pub trait Gemm: Sized {
    /// `y[m, n] += a[m, k] · b[k, n]`, with `y` row-major.
    fn gemm(y: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>, sizes: (usize, usize, usize));

    /// `y[m, n] = a[m, k] · b[k, n]`, with `y` row-major, then `then` on all of it, in pieces, while each is in a near cache.
    /// What it uses `beside` them is asked for ahead. With `Beside::instead` nobody reads y afterwards, and anything is left
    /// in it.
    fn gemm_then(
        y: &mut [Self],
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        sizes: (usize, usize, usize),
        beside: Beside<Self>,
        then: impl Fn(Piece<'_, Self>) + Sync,
    );
}

macro_rules! gemm {
    ($(#[$inline:meta] $E:ident $large:ident;)*) => {$(
        // Not inlined: the plain loops beside it are over before its registers are saved.
        #[$inline]
        fn $large(
            y: &mut [$E],
            a: Matrix<'_, $E>,
            b: Matrix<'_, $E>,
            sizes: (usize, usize, usize),
            adds: bool,
            then: Option<Then<'_, $E>>,
        ) {
            large(Isa::best(), y, a, b, sizes, adds, then);
        }

        impl Gemm for $E {
            #[inline]
            fn gemm(y: &mut [$E], a: Matrix<'_, $E>, b: Matrix<'_, $E>, (m, k, n): (usize, usize, usize)) {
                check(y, a, b, (m, k, n));
                if is_small(b, (m, k, n)) {
                    small::product(y, a, b, (m, k, n));
                } else {
                    $large(y, a, b, (m, k, n), true, None);
                }
            }

            #[inline]
            fn gemm_then(
                y: &mut [$E],
                a: Matrix<'_, $E>,
                b: Matrix<'_, $E>,
                (m, k, n): (usize, usize, usize),
                beside: Beside<$E>,
                then: impl Fn(Piece<'_, $E>) + Sync,
            ) {
                check(y, a, b, (m, k, n));
                if is_small(b, (m, k, n)) {
                    y.fill(0.0);
                    small::product(y, a, b, (m, k, n));
                    then(Piece::whole(y, n));
                } else {
                    $large(y, a, b, (m, k, n), false, Some(Then::new(&then, beside)));
                }
            }
        }
    )*};
}

// As with the kernels, that of f32 is part of this crate, and that of f64 of a program that computes in f64.
gemm! {
    #[inline(never)] f32 large_f32;
    #[inline] f64 large_f64;
}

/// `y[m, n] = a[m, k] · b[k, n]`, all row-major.
pub fn matmul<E: Gemm>(a: &[E], b: &[E], y: &mut [E], (m, k, n): (usize, usize, usize)) {
    E::gemm(y, Matrix::new(a, k), Matrix::new(b, n), (m, k, n));
}

/// Up to this many multiply-adds plain loops beat the start of anything else.
const SMALL: usize = 384;
/// The same where the columns of `b` are apart, which the loops cannot vectorise.
const SMALL_STRIDED: usize = 128;

/// Up to this many rows, or columns, dot products beat the packing of `b`, given a sum this long.
const DOT_ROWS: usize = 8;
const DOT_COLUMNS: usize = 4;
const DOT_SUM: usize = 64;

/// From this size of y on, combinations of a few rows beat tiles: y takes the time, and they pass along its rows. For a
/// single term, rows of this length do.
const COMBINED_AREA: usize = 1 << 15;
const COMBINED_COLUMNS: usize = 64;

/// A y of so many bytes, written once, is stored past the caches.
const STREAMED: usize = 16 << 20;

fn check<E>(y: &[E], a: Matrix<'_, E>, b: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) {
    assert!(is_product(y.len(), [m, n]) && a.holds(m, k) && b.holds(k, n), "matrices of a product are too short");
}

#[inline]
fn is_small<E>(b: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) -> bool {
    m * k * n <= if b.col == 1 { SMALL } else { SMALL_STRIDED }
}

/// The product with the kernels of an instruction set, which this machine must have, on as many threads as pay.
#[inline(never)]
fn large<E: Kernel>(
    isa: Isa,
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
    adds: bool,
    then: Option<Then<'_, E>>,
) {
    // Of one thread: the arithmetic, at 64 multiply-adds of `f32` a nanosecond, and the reading of b, at 48 bytes.
    let nanoseconds = (m * k * n / 64 + k * n / 12) * size_of::<E>() / size_of::<f32>();
    in_parts(isa, pool::threads_for(nanoseconds), y, a, b, (m, k, n), adds, then);
}

/// The product in as many parts, or fewer if they would be too small to be efficient.
#[allow(clippy::too_many_arguments)]
fn in_parts<E: Kernel>(
    isa: Isa,
    parts: usize,
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
    adds: bool,
    then: Option<Then<'_, E>>,
) {
    check(y, a, b, (m, k, n));
    assert!(isa.is_available(), "{isa:?} on a machine without it");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !adds {
            y.fill(E::zero());
        }
        if let Some(then) = then {
            then.whole(y, n);
        }
        return;
    }
    let kernels = E::for_products(isa);
    let way = match (Way::of(kernels, a, b, (m, k, n), adds), E::reduced(isa, (m, k, n))) {
        (way @ (Way::Dots | Way::Combine), _) | (way, None) => way,
        (_, Some(reduced)) => Way::Reduced(reduced),
    };
    let (unit, least) = match way {
        Way::Dots => {
            let (rows, columns) = dots_at_once(kernels, m);
            ((rows, columns), (rows, 4 * columns))
        }
        Way::Combine => ((1, kernels.lanes), (1, COMBINED_COLUMNS)),
        Way::Turned { .. } => ((kernels.lanes, kernels.lanes), (turned::ACROSS, turned::ACROSS)),
        Way::Tiles | Way::Reduced(_) => {
            ((kernels.tiles.len(), kernels.lanes), (4 * kernels.tiles.len(), blocked::width(kernels)))
        }
    };
    // The gradient of weights, whose a is transposed, by its rows: as their update, and as the product with the transposed
    // weights, so that they stay in the caches of a thread.
    let cut = |first: usize, second: usize| {
        let first = parts.min(first).max(1);
        (first, (parts / first).min(second).max(1))
    };
    let (rows, columns) = (m / least.0, n / least.1);
    let (down, across) = if a.row == 1 {
        cut(rows, columns)
    } else {
        let (across, down) = cut(columns, rows);
        (down, across)
    };
    if let Way::Turned { halved: true } = way {
        // SAFETY: this machine has the instructions and the slices hold what the sizes say: both are asserted above.
        return unsafe { halves::product(kernels, across * down, y, a, b, (m, k, n), then) };
    }
    // A smaller batch may turn what a larger one does not.
    let may_turn = a.col == 1 && !adds;
    if may_turn && turned::is_halved(b, k) {
        turned::with_memory(2, (m, k, n), |_: *mut E| ());
    }
    let shared = pool::Shared(y.as_mut_ptr());
    pool::run(across * down, |part| {
        let rows = pool::cut(m, down, unit.0, part / across);
        let columns = pool::cut(n, across, unit.1, part % across);
        let product = Product {
            y: shared.get().wrapping_add(rows.start * n + columns.start),
            y_row: n,
            a: Matrix { data: &a.data[rows.start * a.row..], ..a },
            b: Matrix { data: &b.data[columns.start * b.col..], ..b },
            sizes: (rows.len(), k, columns.len()),
            whole: (m, k, n),
            adds,
            then: then.map(|then| then.at(rows.start, columns.start)),
        };
        if may_turn && matches!(way, Way::Tiles | Way::Reduced(_)) {
            if !turned::is_halved(b, k) {
                turned::with_memory(1, (m, k, n), |_: *mut E| ());
            }
            let rows = blocked::row_memory(kernels, b.turned(), (n, k, *turned::ROWS.end()));
            pack::with_row_memory(rows, |_: *mut E| ());
        }
        // SAFETY: this machine has the instructions and the slices hold what the sizes say: both are asserted above. No
        // two parts have a common element of y.
        unsafe {
            match way {
                Way::Dots => dots(kernels, product),
                Way::Combine => combine(kernels, product),
                Way::Turned { .. } => turned::product(kernels, product),
                Way::Tiles => blocked::product(kernels, product),
                Way::Reduced(reduced) => reduced(isa, product),
            }
        }
    });
}

/// How a product is computed: a matter of the whole product, whatever its parts.
#[derive(Clone, Copy)]
enum Way<E: 'static> {
    Dots,
    Combine,
    /// In two halves of its sums, or not.
    Turned {
        halved: bool,
    },
    Tiles,
    Reduced(reduced::Reduced<E>),
}

impl<E: Kernel> Way<E> {
    fn of(
        kernels: &Kernels<E>,
        a: Matrix<'_, E>,
        b: Matrix<'_, E>,
        (m, k, n): (usize, usize, usize),
        adds: bool,
    ) -> Self {
        if a.col == 1 && b.row == 1 && (m == 1 || (m <= DOT_ROWS || n <= DOT_COLUMNS) && k >= DOT_SUM) {
            Way::Dots
        } else if b.col == 1
            && (m == 1 || k == 1 && n >= COMBINED_COLUMNS || k <= COMBINED / 2 && m * n >= COMBINED_AREA)
        {
            Way::Combine
        } else if a.col == 1 && !adds && turned::pays(kernels, (m, k, n)) {
            Way::Turned { halved: turned::is_halved(b, k) }
        } else {
            Way::Tiles
        }
    }
}

/// A product, or a part of one: pointers and slices begin at the part.
#[derive(Clone, Copy)]
struct Product<'a, E> {
    y: *mut E,
    y_row: usize,
    a: Matrix<'a, E>,
    b: Matrix<'a, E>,
    /// (m, k, n), each at least 1.
    sizes: (usize, usize, usize),
    /// The sizes of the product that this is a part of.
    whole: (usize, usize, usize),
    /// Whether what is in y belongs to the sums.
    adds: bool,
    /// What follows, as soon as some rows are complete.
    then: Option<Then<'a, E>>,
}

impl<E> Product<'_, E> {
    /// What follows, on all of it.
    ///
    /// # Safety
    ///
    /// It is complete, and no other thread has it.
    unsafe fn then(&self) {
        if let Some(then) = self.then {
            // SAFETY: the caller's contract.
            unsafe { then.call(self.y, self.y_row, (self.sizes.0, self.sizes.2)) }
        }
    }
}

/// The rows and columns that dot products take at once. They decide in how many pieces a sum is computed, so a part begins
/// at a multiple of them.
fn dots_at_once<E>(kernels: &Kernels<E>, m: usize) -> (usize, usize) {
    let rows = m.div_ceil(m.div_ceil(kernels.dots.len()));
    (rows, kernels.dots[rows - 1].len())
}

/// The product where both operands lie along the sums: `a.col` and `b.row` are 1.
///
/// # Safety
///
/// As [`blocked::product`].
unsafe fn dots<E: Kernel>(kernels: &Kernels<E>, product: Product<'_, E>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, adds, .. } = product;
    let (rows_at_once, columns_at_once) = dots_at_once(kernels, whole.0);
    for j in (0..n).step_by(columns_at_once) {
        let columns = columns_at_once.min(n - j);
        for i in (0..m).step_by(rows_at_once) {
            let rows = rows_at_once.min(m - i);
            let job = Job {
                k,
                a: a.data[i * a.row..].as_ptr(),
                a_row: a.row,
                a_col: 1,
                b: b.data[j * b.col..].as_ptr(),
                b_step: b.col,
                y: y.wrapping_add(i * y_row + j),
                y_row,
                beside: y,
                columns,
                adds,
            };
            // SAFETY: `rows` rows from i on and `columns` columns from j on are inside the operands and y.
            unsafe { kernels.dots[rows - 1][columns - 1](&job) }
        }
    }
    // SAFETY: complete.
    unsafe { product.then() }
}

/// The product row by row, with row-major `b`.
///
/// # Safety
///
/// As [`blocked::product`].
unsafe fn combine<E: Kernel>(kernels: &Kernels<E>, product: Product<'_, E>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, adds, .. } = product;
    // The gradient of large weights by one sample.
    let streams = k == 1 && !adds && whole.0 * whole.2 * size_of::<E>() >= STREAMED;
    for i in 0..m {
        for p in (0..k).step_by(COMBINED) {
            let at_once = COMBINED.min(k - p);
            let job = Job {
                k: at_once,
                a: a.data[i * a.row + p * a.col..].as_ptr(),
                a_row: a.row,
                a_col: a.col,
                b: b.data[p * b.row..].as_ptr(),
                b_step: b.row,
                y: y.wrapping_add(i * y_row),
                y_row,
                beside: y,
                columns: n,
                adds: adds || p > 0,
            };
            let run = if streams { kernels.stream } else { kernels.combine[at_once - 1] };
            // SAFETY: `at_once` rows of b from p on, as many elements of row i of a, and the whole row i of y.
            unsafe { run(&job) }
        }
    }
    if streams {
        end_streams();
    }
    // SAFETY: complete.
    unsafe { product.then() }
}
