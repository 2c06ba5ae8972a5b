//! A borrowed matrix of integers of any width and layout: the votes of a committee.

use std::marker::PhantomData;
use std::ops::Range;

use fearless_simd::Simd;

use crate::simd::{Kernel, Level, dispatch};

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
        let offset = self.offset(i, range.start);
        // SAFETY: row i and the whole range are inside, and the bytes of the range lie side by side.
        Some(unsafe { std::slice::from_raw_parts(self.start.offset(offset), range.len()) })
    }

    /// One integer; `None` if there is none at this place.
    #[inline]
    pub(crate) fn get(&self, i: usize, j: usize) -> Option<i128> {
        if i >= self.shape.0 || j >= self.shape.1 {
            return None;
        }
        let (start, swapped) = (self.start.wrapping_offset(self.offset(i, j)), self.swapped());
        // SAFETY: i < m and j < n: inside the memory that the caller of `new` vouched for, which holds integers of
        // this width.
        let (bits, size) = unsafe {
            match self.width.bytes {
                1 => (i64::from(start.read()), 8),
                2 => (i64::from_le_bytes(widened::<2>(start, swapped)), 16),
                4 => (i64::from_le_bytes(widened::<4>(start, swapped)), 32),
                _ => (i64::from_le_bytes(widened::<8>(start, swapped)), 64),
            }
        };
        let unused = 64 - size;
        Some(if self.width.signed {
            i128::from(bits << unused >> unused)
        } else {
            i128::from(bits.cast_unsigned())
        })
    }

    fn offset(&self, i: usize, j: usize) -> isize {
        i.cast_signed() * self.strides.0 + j.cast_signed() * self.strides.1
    }

    /// Whether the lowest byte comes last.
    fn swapped(&self) -> bool {
        cfg!(target_endian = "little") == self.width.swapped
    }

    /// Makes bytes of some integers of row i, from j on: what is `missing` becomes the second number beside it.
    /// False if one is neither missing nor from 0 to `classes` less 1.
    pub(crate) fn narrow(
        &self,
        (i, j): (usize, usize),
        classes: u8,
        (missing, none): (i64, u8),
        out: &mut [u8],
        level: Level,
    ) -> bool {
        if i >= self.shape.0 || j + out.len() > self.shape.1 {
            return false;
        }
        // As unsigned ones are read, a negative number is a large one.
        let missing = (self.width.signed || missing >= 0).then_some(missing);
        let start = self.start.wrapping_offset(self.offset(i, j));
        let (stride, swapped, signed) = (self.strides.1, self.swapped(), self.width.signed);
        match self.width.bytes {
            1 => dispatch(level, Narrow::<1> { start, stride, swapped, signed, classes, missing, none, out }),
            2 => dispatch(level, Narrow::<2> { start, stride, swapped, signed, classes, missing, none, out }),
            4 => dispatch(level, Narrow::<4> { start, stride, swapped, signed, classes, missing, none, out }),
            _ => dispatch(level, Narrow::<8> { start, stride, swapped, signed, classes, missing, none, out }),
        }
    }
}

/// The kernel that makes bytes of integers of one width. Number by number it took six to ten times as long.
struct Narrow<'a, const BYTES: usize> {
    start: *const u8,
    stride: isize,
    swapped: bool,
    signed: bool,
    classes: u8,
    missing: Option<i64>,
    none: u8,
    out: &'a mut [u8],
}

impl<const BYTES: usize> Kernel for Narrow<'_, BYTES> {
    type Output = bool;
    const WIDE: bool = false;

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) -> bool {
        // Side by side and in this machine's order, as they mostly are, they are read in vectors.
        let size = BYTES.cast_signed();
        match (self.stride == size, self.swapped) {
            (true, false) => self.each(size, false),
            (_, swapped) => self.each(self.stride, swapped),
        }
    }
}

impl<const BYTES: usize> Narrow<'_, BYTES> {
    #[inline(always)]
    fn each(&mut self, stride: isize, swapped: bool) -> bool {
        let unused = if self.signed { 64 - 8 * BYTES } else { 0 };
        let (any, missing) = (self.missing.is_some(), self.missing.unwrap_or_default());
        let mut right = true;
        for (number, out) in self.out.iter_mut().enumerate() {
            let start = self.start.wrapping_offset(number.cast_signed() * stride);
            // SAFETY: the caller of `dispatch` saw that all these integers are inside.
            let bytes = unsafe { widened::<BYTES>(start, swapped) };
            let vote = i64::from_le_bytes(bytes) << unused >> unused;
            let is_missing = any && vote == missing;
            let is_class = vote.cast_unsigned() < u64::from(self.classes);
            *out = if is_missing { self.none } else { bytes[0] };
            right &= is_missing | is_class;
        }
        right
    }
}

/// The bytes of an integer, the lowest first, and zeros behind them.
///
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn widened<const BYTES: usize>(start: *const u8, swapped: bool) -> [u8; 8] {
    // SAFETY: what the caller vouches for.
    let mut bytes = unsafe { start.cast::<[u8; BYTES]>().read_unaligned() };
    if swapped {
        bytes.reverse();
    }
    let mut widened = [0; 8];
    widened[..BYTES].copy_from_slice(&bytes);
    widened
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<const BYTES: usize>(bytes: &[[u8; BYTES]], signed: bool, swapped: bool) -> Vec<i128> {
        let width = Width { bytes: BYTES, signed, swapped };
        let start = bytes.as_ptr().cast();
        // SAFETY: they lie side by side.
        let integers = unsafe { Integers::new(start, (1, bytes.len()), (0, BYTES.cast_signed()), width) };
        (0..bytes.len()).map(|j| integers.get(0, j).unwrap()).collect()
    }

    #[test]
    fn integers_of_every_width_are_what_they_are() {
        assert_eq!(all(&[[0], [200], [255]], false, false), [0, 200, 255]);
        assert_eq!(all(&[[0], [200], [255]], true, false), [0, -56, -1]);
        assert_eq!(all(&[(-2_i16).to_be_bytes(), 3_i16.to_be_bytes()], true, true), [-2, 3]);
        assert_eq!(all(&[u32::MAX.to_le_bytes()], false, false), [4_294_967_295]);
        assert_eq!(all(&[u64::MAX.to_le_bytes()], false, false), [18_446_744_073_709_551_615]);
        assert_eq!(all(&[i64::MIN.to_be_bytes()], true, true), [-9_223_372_036_854_775_808]);
    }

    #[test]
    fn what_is_made_bytes_of_is_missing_or_a_class() {
        let narrow = |votes: &[i64], missing, signed| {
            let width = Width { bytes: 8, signed, swapped: false };
            // SAFETY: they lie side by side.
            let integers = unsafe { Integers::new(votes.as_ptr().cast(), (1, votes.len()), (0, 8), width) };
            let mut out = vec![0; votes.len()];
            integers.narrow((0, 0), 10, (missing, 255), &mut out, Level::best()).then_some(out)
        };
        assert_eq!(narrow(&[0, 9, -1], -1, true), Some(vec![0, 9, 255]));
        assert_eq!(narrow(&[0, 9, 300], 300, true), Some(vec![0, 9, 255]));
        assert_eq!(narrow(&[0, 10], -1, true), None);
        assert_eq!(narrow(&[0, 256], -1, true), None);
        // 2^64 − 1 is not −1, and 255 is no class of ten.
        assert_eq!(narrow(&[0, -1], -1, false), None);
        assert_eq!(narrow(&[0, 255], -1, false), None);
        assert_eq!(narrow(&[0, 3], 3, false), Some(vec![0, 255]));
    }
}
