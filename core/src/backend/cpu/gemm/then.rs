//! What follows a product while it is in a near cache.

use core::marker::PhantomData;

/// Some rows of some columns of a product, complete.
#[derive(Debug)]
pub struct Piece<'a, E> {
    y: *mut E,
    y_row: usize,
    /// Its first row and column in the whole product.
    at: (usize, usize),
    /// Its rows and columns.
    sizes: (usize, usize),
    borrowed: PhantomData<&'a mut [E]>,
}

impl<'a, E> Piece<'a, E> {
    /// All of a product with so many columns.
    #[inline]
    pub(super) fn whole(y: &'a mut [E], columns: usize) -> Self {
        let sizes = (y.len().checked_div(columns).unwrap_or(0), columns);
        Piece { y: y.as_mut_ptr(), y_row: columns, at: (0, 0), sizes, borrowed: PhantomData }
    }

    /// Calls `f` with the row, the first column, and the elements of each of its rows.
    #[inline(always)]
    pub fn for_each_row(self, mut f: impl FnMut(usize, usize, &mut [E])) {
        for i in 0..self.sizes.0 {
            // SAFETY: a row of the piece, which is borrowed.
            let row = unsafe { core::slice::from_raw_parts_mut(self.y.add(i * self.y_row), self.sizes.1) };
            f(self.at.0 + i, self.at.1, row);
        }
    }
}

/// Memory with the layout of a product, of which what follows it uses the same places: an address, and never read.
#[derive(Debug)]
pub struct Beside<E> {
    start: Option<*const E>,
    /// Whether what follows is the last that reads the product.
    takes_all: bool,
}

impl<E> Beside<E> {
    /// None.
    pub const NOTHING: Self = Beside { start: None, takes_all: false };

    /// Memory that begins here, and takes the place of the product: only what follows reads it, so rows of it may be written
    /// over those before, and any of them are left.
    #[inline]
    pub fn instead(start: *const E) -> Self {
        Beside { start: Some(start), takes_all: true }
    }
}

impl<E> Copy for Beside<E> {}

impl<E> Clone for Beside<E> {
    fn clone(&self) -> Self {
        *self
    }
}

// SAFETY: nothing is read or written through it.
unsafe impl<E> Send for Beside<E> {}
// SAFETY: likewise.
unsafe impl<E> Sync for Beside<E> {}

/// What is done with the pieces of a product, and where they are in it: see [`super::Gemm::gemm_then`]. Not generic, so
/// that there is one product an element type, and not one a layer.
pub(super) struct Then<'a, E> {
    then: &'a (dyn Fn(Piece<'_, E>) + Sync),
    beside: Beside<E>,
    at: (usize, usize),
}

impl<E> Copy for Then<'_, E> {}

impl<E> Clone for Then<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, E> Then<'a, E> {
    pub(super) fn new(then: &'a (dyn Fn(Piece<'_, E>) + Sync), beside: Beside<E>) -> Self {
        Then { then, beside, at: (0, 0) }
    }

    /// The same, for a part that begins at this row and column.
    pub(super) fn at(self, row: usize, column: usize) -> Self {
        Then { at: (self.at.0 + row, self.at.1 + column), ..self }
    }

    /// What is beside an element of a product whose rows are so far apart, or the element itself.
    pub(super) fn beside(self, y: *mut E, (i, j): (usize, usize), y_row: usize) -> *const E {
        let place = (self.at.0 + i) * y_row + self.at.1 + j;
        self.beside.start.map_or(y.cast_const(), |start| start.wrapping_add(place))
    }

    /// Whether rows of the product may be written over those before.
    pub(super) fn takes_all(self) -> bool {
        self.beside.takes_all
    }

    pub(super) fn whole(self, y: &mut [E], columns: usize) {
        (self.then)(Piece::whole(y, columns));
    }

    /// Does it with the part that begins here.
    ///
    /// # Safety
    ///
    /// There are so many rows, `y_row` apart, and columns, and no one else has them.
    pub(super) unsafe fn call(self, y: *mut E, y_row: usize, sizes: (usize, usize)) {
        (self.then)(Piece { y, y_row, at: self.at, sizes, borrowed: PhantomData });
    }
}
