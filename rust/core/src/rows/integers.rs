//! A borrowed matrix of integers of any width and layout: the votes of a committee.

use std::marker::PhantomData;
use std::ops::Range;

/// How an integer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// Bytes: 1, 2, 4 or 8.
    pub bytes: usize,
    /// Whether it can be negative.
    pub signed: bool,
    /// Whether its bytes are in the other order.
    pub swapped: bool,
}

/// m × n integers, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Integers<'a> {
    start: *const u8,
    shape: (usize, usize),
    strides: (isize, isize),
    width: Width,
    borrow: PhantomData<&'a [u8]>,
}

// SAFETY: Integers only ever reads, and the constructor's caller vouches for the memory for 'a, as a shared slice would.
unsafe impl Send for Integers<'_> {}
// SAFETY: as above.
unsafe impl Sync for Integers<'_> {}

impl<'a> Integers<'a> {
    /// Integers anywhere in memory.
    ///
    /// # Safety
    /// For each i < m and j < n, the bytes of an element at `start + i * strides.0 + j * strides.1` must be readable
    /// for `'a`. They need not be aligned.
    #[must_use]
    pub unsafe fn new(
        start: *const u8,
        shape: (usize, usize),
        strides: (isize, isize),
        width: Width,
    ) -> Self {
        Self { start, shape, strides, width, borrow: PhantomData }
    }

    /// m and n.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Some integers of row i, as they lie in memory, if each is a byte that cannot be negative.
    pub(crate) fn bytes(&self, i: usize, range: Range<usize>) -> Option<&'a [u8]> {
        let in_place =
            self.width.bytes == 1 && !self.width.signed && (self.strides.1 == 1 || range.len() <= 1);
        if !in_place || i >= self.shape.0 || range.end > self.shape.1 {
            return None;
        }
        let offset = i.cast_signed() * self.strides.0 + range.start.cast_signed() * self.strides.1;
        // SAFETY: row i and the whole range are inside, and the bytes of the range lie side by side.
        Some(unsafe { std::slice::from_raw_parts(self.start.offset(offset), range.len()) })
    }

    /// One integer; `None` if there is none at this place, or it is more than an i64 holds.
    #[inline]
    pub(crate) fn get(&self, i: usize, j: usize) -> Option<i64> {
        if i >= self.shape.0 || j >= self.shape.1 {
            return None;
        }
        let offset = i.cast_signed() * self.strides.0 + j.cast_signed() * self.strides.1;
        let mut bytes = [0; 8];
        let count = self.width.bytes.min(8);
        // SAFETY: i < m and j < n: inside the memory that the caller of `new` vouched for.
        unsafe { std::ptr::copy_nonoverlapping(self.start.offset(offset), bytes.as_mut_ptr(), count) };
        let little = cfg!(target_endian = "little") != self.width.swapped;
        if !little {
            bytes[..count].reverse();
        }
        let bits = u64::from_le_bytes(bytes);
        if self.width.signed {
            let unused = 64 - 8 * count;
            return Some((bits << unused).cast_signed() >> unused);
        }
        i64::try_from(bits).ok()
    }
}
