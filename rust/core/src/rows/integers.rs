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

    /// Whether they can be negative.
    pub(crate) fn signed(&self) -> bool {
        self.width.signed
    }

    /// Some integers of row i, as they lie in memory, if each is a byte.
    pub(crate) fn bytes(&self, i: usize, range: Range<usize>) -> Option<&'a [u8]> {
        let in_place = self.width.bytes == 1 && (self.strides.1 == 1 || range.len() <= 1);
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

    /// Makes bytes of some integers of row i, from j on: eight bits of what is left when `base` is taken away, those
    /// from bit `shift` on; what is `missing` becomes 255. `None` if not all these integers are there.
    pub(crate) fn narrow(
        &self,
        (i, j): (usize, usize),
        missing: i64,
        (base, shift): (i64, u32),
        out: &mut [u8],
        level: Level,
    ) -> Option<Seen> {
        let run = self.run((i, j), out.len(), missing)?;
        Some(match self.width.bytes {
            1 => dispatch(level, Narrow::<1> { run, base, shift, out }),
            2 => dispatch(level, Narrow::<2> { run, base, shift, out }),
            4 => dispatch(level, Narrow::<4> { run, base, shift, out }),
            _ => dispatch(level, Narrow::<8> { run, base, shift, out }),
        })
    }

    /// The smallest and the largest of some integers that are not missing, those of 64 bits without a sign as if they
    /// had one. `None` if not all these integers are there.
    pub(crate) fn span(
        &self,
        place: (usize, usize),
        count: usize,
        missing: i64,
        level: Level,
    ) -> Option<(i64, i64)> {
        let run = self.run(place, count, missing)?;
        Some(match self.width.bytes {
            1 => dispatch(level, Span::<1> { run, count }),
            2 => dispatch(level, Span::<2> { run, count }),
            4 => dispatch(level, Span::<4> { run, count }),
            _ => dispatch(level, Span::<8> { run, count }),
        })
    }

    fn run(&self, (i, j): (usize, usize), count: usize, missing: i64) -> Option<Run> {
        if i >= self.shape.0 || count > self.shape.1.checked_sub(j)? {
            return None;
        }
        let signed = self.width.signed;
        // As unsigned ones are read, a negative number is a large one.
        let (missing, any) = (missing, signed || missing >= 0);
        let start = self.start.wrapping_offset(self.offset(i, j));
        Some(Run { start, stride: self.strides.1, swapped: self.swapped(), signed, missing, any })
    }
}

/// What there is among some integers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The bits of all that are not missing: none of them is larger, if a negative one counts as a large one.
    pub(crate) bits: u64,
    /// Whether any is missing.
    pub(crate) missing: bool,
}

/// Some integers of a row.
#[derive(Clone, Copy)]
struct Run {
    start: *const u8,
    stride: isize,
    swapped: bool,
    signed: bool,
    missing: i64,
    /// Whether any can be missing.
    any: bool,
}

impl Run {
    /// Side by side and in this machine's order, as they mostly are, integers are read in vectors.
    fn is_plain<const BYTES: usize>(&self) -> bool {
        self.stride == BYTES.cast_signed() && !self.swapped
    }

    /// One integer, and all bits if it is missing.
    ///
    /// # Safety
    /// It must be one of these, which must have so many bytes.
    #[inline(always)]
    unsafe fn get<const BYTES: usize>(&self, number: usize, plain: bool) -> (i64, u64) {
        let stride = if plain { BYTES.cast_signed() } else { self.stride };
        let start = self.start.wrapping_offset(number.cast_signed() * stride);
        // SAFETY: what the caller vouches for.
        let bytes = unsafe { widened::<BYTES>(start, !plain && self.swapped) };
        let unused = if self.signed { 64 - 8 * BYTES } else { 0 };
        let vote = i64::from_le_bytes(bytes) << unused >> unused;
        (vote, if self.any && vote == self.missing { u64::MAX } else { 0 })
    }
}

/// The kernel that makes bytes of integers of one width. Number by number it took six to ten times as long; to find
/// the smallest and the largest as well, twice as long.
struct Narrow<'a, const BYTES: usize> {
    run: Run,
    base: i64,
    shift: u32,
    out: &'a mut [u8],
}

impl<const BYTES: usize> Kernel for Narrow<'_, BYTES> {
    type Output = Seen;
    const WIDE: bool = false;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Seen {
        if self.run.is_plain::<BYTES>() { self.each(true) } else { self.each(false) }
    }
}

impl<const BYTES: usize> Narrow<'_, BYTES> {
    #[inline(always)]
    fn each(self, plain: bool) -> Seen {
        let (run, base, shift) = (self.run, self.base, self.shift);
        let (mut bits, mut any) = (0, 0);
        for (number, out) in self.out.iter_mut().enumerate() {
            // SAFETY: the caller of `dispatch` saw that all these integers are inside.
            let (vote, missing) = unsafe { run.get::<BYTES>(number, plain) };
            let left = vote.wrapping_sub(base).cast_unsigned() >> shift;
            *out = (left | missing).to_le_bytes()[0];
            bits |= vote.cast_unsigned() & !missing;
            any |= missing;
        }
        Seen { bits, missing: any > 0 }
    }
}

/// The kernel that finds the smallest and the largest.
struct Span<const BYTES: usize> {
    run: Run,
    count: usize,
}

impl<const BYTES: usize> Kernel for Span<BYTES> {
    type Output = (i64, i64);
    const WIDE: bool = false;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> (i64, i64) {
        if self.run.is_plain::<BYTES>() { self.each(true) } else { self.each(false) }
    }
}

impl<const BYTES: usize> Span<BYTES> {
    #[inline(always)]
    fn each(self, plain: bool) -> (i64, i64) {
        let (mut smallest, mut largest) = (i64::MAX, i64::MIN);
        for number in 0..self.count {
            // SAFETY: the caller of `dispatch` saw that all these integers are inside.
            let (vote, missing) = unsafe { self.run.get::<BYTES>(number, plain) };
            smallest = smallest.min(if missing > 0 { i64::MAX } else { vote });
            largest = largest.max(if missing > 0 { i64::MIN } else { vote });
        }
        (smallest, largest)
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
    fn bytes_are_those_of_the_integers_and_their_span_is_known() {
        let narrow = |votes: &[i64], missing, by, signed| {
            let width = Width { bytes: 8, signed, swapped: false };
            // SAFETY: they lie side by side.
            let integers = unsafe { Integers::new(votes.as_ptr().cast(), (1, votes.len()), (0, 8), width) };
            let mut out = vec![0; votes.len()];
            let seen = integers.narrow((0, 0), missing, by, &mut out, Level::best()).unwrap();
            assert_eq!(integers.narrow((0, 1), missing, by, &mut out.clone(), Level::best()), None);
            (out, seen, integers.span((0, 0), votes.len(), missing, Level::best()).unwrap())
        };
        let seen = |bits, missing| Seen { bits, missing };
        assert_eq!(narrow(&[0, 9, -1], -1, (0, 0), true), (vec![0, 9, 255], seen(9, true), (0, 9)));
        assert_eq!(narrow(&[6, 9, 300], 300, (0, 0), true), (vec![6, 9, 255], seen(15, true), (6, 9)));
        assert_eq!(narrow(&[-2, 300], -1, (0, 0), true).0, [254, 44]);
        assert_eq!(narrow(&[-2, 300, -1], -1, (-2, 8), true).0, [0, 1, 255]);
        assert_eq!(narrow(&[-2, 300, -1], -1, (-2, 8), true).2, (-2, 300));
        assert_eq!(narrow(&[i64::MIN, i64::MAX], 0, (i64::MIN, 56), true).0, [0, 255]);
        // 2^64 − 1 is not −1.
        assert_eq!(narrow(&[3, -1], -1, (0, 0), false), (vec![3, 255], seen(u64::MAX, false), (-1, 3)));
        assert_eq!(narrow(&[1, 3], 3, (0, 0), false), (vec![1, 255], seen(1, true), (1, 1)));
    }
}
