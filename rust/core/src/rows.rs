//! A borrowed matrix of any memory layout, read as contiguous rows.
//!
//! [`Rows::read`] hands out rows in place where they lie side by side, and otherwise gathers them into a
//! small block of the calling thread: any signed byte strides, misaligned, in the other byte order, float16
//! and bfloat16 widened, sparse rows (CSR) filled up with zeros. So no kernel knows about layout, layout
//! cannot change a bit of a result, and nothing the size of the input is ever copied.

pub mod integers;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use half::{bf16, f16};

use crate::error::Error;
use crate::real::Real;
use crate::simd::{SECOND, prefetch};
use integers::Integers;

/// How the elements of [`Rows`] are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As the element type itself.
    Same,
    /// As float16, to be read as float32 or float64.
    Half,
    /// As bfloat16, to be read as float32 or float64.
    Brain,
    /// As float32, to be read as float64.
    Single,
}

/// n rows of `width` numbers, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    start: *const u8,
    n: usize,
    width: usize,
    row_stride: isize,
    column_stride: isize,
    stored: Stored,
    swapped: bool,
    /// Where numbers belong, if only those that are not 0 are stored: then number j is `j * row_stride` from
    /// the start.
    sparse: Option<Csr<'a>>,
    borrow: PhantomData<&'a [T]>,
}

/// Of row i the numbers from `starts[i]` to `starts[i + 1]`, in the columns `columns`; one row of integers each.
#[derive(Debug, Clone, Copy)]
struct Csr<'a> {
    columns: Integers<'a>,
    starts: Integers<'a>,
    stored: usize,
}

impl Csr<'_> {
    /// The numbers of a row; none where `starts` makes no sense, and no more than are stored.
    fn range(&self, i: usize) -> Range<usize> {
        let start = |i| self.starts.get(0, i).and_then(|start| usize::try_from(start).ok()).unwrap_or(0);
        start(i)..start(i + 1).min(self.stored)
    }
}

// SAFETY: Rows only ever reads, and the constructor's caller vouches for the memory for 'a, as a shared slice would.
unsafe impl<T: Sync> Send for Rows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Rows<'_, T> {}

impl<'a, T: Real> Rows<'a, T> {
    /// The rows of a contiguous slice.
    ///
    /// # Panics
    /// Never: a slice that is not a whole number of rows loses its tail.
    #[must_use]
    pub fn of(slice: &'a [T], width: usize) -> Self {
        let size = size_of::<T>();
        Self {
            start: slice.as_ptr().cast(),
            n: slice.len().checked_div(width).unwrap_or(0),
            width,
            row_stride: (width * size).cast_signed(),
            column_stride: size.cast_signed(),
            stored: Stored::Same,
            swapped: false,
            sparse: None,
            borrow: PhantomData,
        }
    }

    /// Rows in CSR form, read as if they were dense: `data` has one number a row, and there is one more of
    /// `starts` than rows. A column that is there twice counts as the sum. O(nnz), to see that all numbers
    /// belong somewhere.
    ///
    /// # Errors
    /// [`Error::Shape`] if `starts` does not rise or a column is not below `width`.
    pub fn sparse(
        data: Self,
        columns: Integers<'a>,
        starts: Integers<'a>,
        width: usize,
        argument: &'static str,
    ) -> Result<Self, Error> {
        let n = starts.shape().1.saturating_sub(1);
        // Rows of another width, or sparse ones, are no list of numbers.
        let is_list = data.width == 1 && data.sparse.is_none();
        let stored = if is_list { data.len().min(columns.shape().1) } else { 0 };
        let csr = Csr { columns, starts, stored };
        let wrong = |expected: fmt::Arguments<'_>, row| {
            Err(Error::shape(argument, &expected, &format_args!("row {row} outside")))
        };
        let mut end = 0;
        for i in 0..n {
            let bounds = (starts.get(0, i), starts.get(0, i + 1));
            let rises = matches!(bounds, (Some(from), Some(to)) if from == end && from <= to);
            let fits = bounds.1.and_then(|to| usize::try_from(to).ok()).is_some_and(|to| to <= stored);
            if !rises || !fits {
                return wrong(format_args!("indptr that rises from 0 to {stored}"), i);
            }
            end = bounds.1.unwrap_or(end);
            for at in csr.range(i) {
                let column = columns.get(0, at).and_then(|column| usize::try_from(column).ok());
                if column.is_none_or(|column| column >= width) {
                    return wrong(format_args!("column indices below {width}"), i);
                }
            }
        }
        Ok(Self { n, width, column_stride: 0, sparse: Some(csr), ..data })
    }

    /// Rows anywhere in memory.
    ///
    /// # Safety
    /// For each i < n and j < width, the bytes of an element as `stored` says (2 for `Half` and `Brain`, 4
    /// for `Single`) at `start + i * row_stride + j * column_stride` must be readable for `'a`. They need not
    /// be aligned.
    #[must_use]
    pub unsafe fn new(
        start: *const u8,
        (n, width): (usize, usize),
        (row_stride, column_stride): (isize, isize),
        stored: Stored,
        swapped: bool,
    ) -> Self {
        Self {
            start,
            n,
            width,
            row_stride,
            column_stride,
            stored,
            swapped,
            sparse: None,
            borrow: PhantomData,
        }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Numbers in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether rows lie side by side as `T`, so that reading them costs nothing.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let row = (size_of::<T>() * self.width).cast_signed();
        self.stored == Stored::Same && self.whole_rows::<T>().is_some_and(|step| step == row || self.n <= 1)
    }

    /// Asks for a row to be brought near, if it can be read in place: of rows here and there the hardware foresees none.
    pub(crate) fn ask_for(&self, row: usize) {
        if self.is_contiguous() {
            prefetch::<SECOND, _>(self.read(row..row + 1, &mut Vec::new()), 0..self.width);
        }
    }

    /// As [`read`](Rows::read), and if they are read in place, with some rows behind them, to be read over their end.
    pub(crate) fn read_ahead<'b>(&self, rows: Range<usize>, block: &'b mut Vec<T>) -> &'b [T]
    where
        'a: 'b,
    {
        let behind = if self.is_contiguous() { T::LANES } else { 0 };
        self.read(rows.start..rows.end + behind, block)
    }

    /// The step between rows, if each is an aligned slice of E, the type of what is stored.
    fn whole_rows<E>(&self) -> Option<isize> {
        let (size, align) = (size_of::<E>().cast_signed(), align_of::<E>().cast_signed());
        let whole = self.sparse.is_none()
            && !self.swapped
            && self.start.addr().is_multiple_of(align_of::<E>())
            && (self.column_stride == size || self.width == 1)
            && self.row_stride % align == 0;
        whole.then_some(self.row_stride)
    }

    /// Puts rows that are slices of E into a block, as many at once as lie side by side.
    fn convert<E>(&self, rows: Range<usize>, step: isize, block: &mut [T], convert: impl Fn(&[E], &mut [T])) {
        let side_by_side = step == (self.width * size_of::<E>()).cast_signed();
        let size = if side_by_side { block.len() } else { self.width };
        for (i, out) in rows.zip(block.chunks_exact_mut(size)) {
            // SAFETY: row i < n starts inside the memory of `new`, aligned as whole_rows::<E> has it, and its numbers
            // lie side by side; if the rows do as well, those of the range follow each other.
            let row = unsafe {
                std::slice::from_raw_parts(self.start.offset(i.cast_signed() * step).cast::<E>(), size)
            };
            convert(row, out);
        }
    }

    /// The numbers of these rows, row after row: in place if they can be, else gathered into `block`.
    ///
    /// A range that reaches past the last row is cut there.
    pub fn read<'b>(&self, rows: Range<usize>, block: &'b mut Vec<T>) -> &'b [T]
    where
        'a: 'b,
    {
        let rows = rows.start.min(self.n)..rows.end.min(self.n);
        if rows.is_empty() || self.width == 0 {
            return &[];
        }
        if self.is_contiguous() {
            // SAFETY: the first row of the range is below n, so the offset stays inside the memory of `new`.
            let first = unsafe { self.start.offset(rows.start.cast_signed() * self.row_stride) };
            // SAFETY: contiguous and aligned, checked above: the range's rows are this many readable T in a row.
            return unsafe { std::slice::from_raw_parts(first.cast::<T>(), rows.len() * self.width) };
        }
        block.clear();
        block.resize(rows.len() * self.width, T::ZERO);
        if let Some(csr) = &self.sparse {
            for (i, out) in rows.zip(block.chunks_exact_mut(self.width)) {
                for at in csr.range(i) {
                    let column = csr.columns.get(0, at).and_then(|column| usize::try_from(column).ok());
                    if let Some(x) = column.and_then(|column| out.get_mut(column)) {
                        *x += self.at(at.cast_signed() * self.row_stride);
                    }
                }
            }
            return block;
        }
        // The smaller stride runs inside: whole cache lines are used up, in Fortran order too.
        if self.stored == Stored::Same
            && let Some(step) = self.whole_rows::<T>()
        {
            self.convert(rows, step, block, |row, out| out.copy_from_slice(row));
        } else if self.stored == Stored::Half
            && let Some(step) = self.whole_rows::<f16>()
        {
            self.convert(rows, step, block, T::from_halves);
        } else if self.stored == Stored::Brain
            && let Some(step) = self.whole_rows::<bf16>()
        {
            self.convert(rows, step, block, T::from_brains);
        } else if self.column_stride.unsigned_abs() <= self.row_stride.unsigned_abs() || self.n == 1 {
            for (i, out) in rows.zip(block.chunks_exact_mut(self.width)) {
                for (j, x) in out.iter_mut().enumerate() {
                    *x = self.element(i, j);
                }
            }
        } else {
            for j in 0..self.width {
                for (i, out) in rows.clone().zip(block.chunks_exact_mut(self.width)) {
                    out[j] = self.element(i, j);
                }
            }
        }
        block
    }

    /// One number; i < n and j < width.
    #[inline]
    fn element(&self, i: usize, j: usize) -> T {
        debug_assert!(i < self.n && j < self.width);
        self.at(i.cast_signed() * self.row_stride + j.cast_signed() * self.column_stride)
    }

    /// The number at an offset: that of an element, or of one of the numbers of sparse rows.
    #[inline]
    fn at(&self, offset: isize) -> T {
        // SAFETY: inside the memory that the caller of `new` vouched for.
        let at = unsafe { self.start.offset(offset) };
        match self.stored {
            // SAFETY: size_of::<T>() readable bytes, and read_unaligned asks for no alignment.
            Stored::Same if !self.swapped => unsafe { at.cast::<T>().read_unaligned() },
            // SAFETY: as above.
            Stored::Same => unsafe { at.cast::<T>().read_unaligned() }.swap_bytes(),
            Stored::Single => {
                // SAFETY: four readable bytes.
                let bits = unsafe { at.cast::<u32>().read_unaligned() };
                T::from_f64(f64::from(f32::from_bits(if self.swapped { bits.swap_bytes() } else { bits })))
            }
            Stored::Half | Stored::Brain => {
                // SAFETY: two readable bytes.
                let bits = unsafe { at.cast::<u16>().read_unaligned() };
                let bits = if self.swapped { bits.swap_bytes() } else { bits };
                let wide = if self.stored == Stored::Half {
                    f16::from_bits(bits).to_f32()
                } else {
                    bf16::from_bits(bits).to_f32()
                };
                T::from_f64(f64::from(wide))
            }
        }
    }
}

impl<'a> Rows<'a, f32> {
    /// The same numbers, read as float64.
    #[must_use]
    pub fn widened(self) -> Rows<'a, f64> {
        let stored = if self.stored == Stored::Same { Stored::Single } else { self.stored };
        let Self { start, n, width, row_stride, column_stride, swapped, sparse, .. } = self;
        Rows { start, n, width, row_stride, column_stride, stored, swapped, sparse, borrow: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all<T: Real>(rows: &Rows<'_, T>, step: usize) -> Vec<T> {
        let mut out = Vec::new();
        let mut block = Vec::new();
        for i in (0..rows.len()).step_by(step) {
            out.extend_from_slice(rows.read(i..i + step, &mut block));
        }
        out
    }

    proptest! {
        #[test]
        fn any_strides_offset_and_byte_order_read_the_same_numbers(
            n in 0_usize..9, width in 0_usize..7, step in 1_usize..5, row in -3_isize..4, column in -3_isize..4, shift in 0_usize..4, swapped: bool
        ) {
            // A memory large enough for any of these strides, in units of three bytes so that most are misaligned.
            let (row, column) = (row * 9, column * 3);
            let middle = 9 * 27 + 7 * 9 + 8;
            let memory: Vec<u8> = (0..2 * middle + 16).map(|i| u8::try_from(i * 37 % 251).unwrap()).collect();
            // SAFETY: |i row + j column| < 9 * 27 + 7 * 9, so that all elements lie inside `memory`.
            let rows: Rows<'_, f32> = unsafe { Rows::new(memory.as_ptr().add(middle + shift), (n, width), (row, column), Stored::Same, swapped) };
            let expected: Vec<u32> = (0..n).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| {
                let at = (middle + shift).checked_add_signed(i.cast_signed() * row + j.cast_signed() * column).unwrap();
                let bytes = memory[at..at + 4].try_into().unwrap();
                if swapped { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            }).collect();
            let got: Vec<u32> = all(&rows, step).into_iter().map(f32::to_bits).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn contiguous_rows_are_read_in_place() {
        let x = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut block = Vec::new();
        let rows = Rows::of(&x, 2);
        assert_eq!(rows.read(1..9, &mut block).as_ptr(), x[2..].as_ptr());
        assert_eq!(block.capacity(), 0);
    }

    #[test]
    fn rows_of_half_precision_are_widened_with_and_without_gaps_between_them() {
        let (n, width) = (5, 11);
        for gap in [0, 3] {
            let count = n * (width + gap);
            // Numbers that bfloat16 and float16 hold both.
            let numbers: Vec<f32> = (0_u8..).take(count).map(|i| f32::from(i) - 64.0).collect();
            let kept =
                numbers.chunks_exact(width + gap).flat_map(|row| &row[..width]).copied().collect::<Vec<_>>();
            let (halves, brains): (Vec<_>, Vec<_>) =
                numbers.iter().map(|&x| (f16::from_f32(x), bf16::from_f32(x))).unzip();
            let strides = ((2 * (width + gap)).cast_signed(), 2);
            for step in [1, 2, 5] {
                // SAFETY: n rows of width + gap numbers, in memory that outlives the call.
                let rows: Rows<'_, f32> =
                    unsafe { Rows::new(halves.as_ptr().cast(), (n, width), strides, Stored::Half, false) };
                assert_eq!(all(&rows, step), kept);
                // SAFETY: as above.
                let rows: Rows<'_, f32> =
                    unsafe { Rows::new(brains.as_ptr().cast(), (n, width), strides, Stored::Brain, false) };
                assert_eq!(
                    all(&rows.widened(), step),
                    kept.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn half_precision_is_widened() {
        let x = [f16::from_f32(0.5), f16::from_f32(-2.0)];
        // SAFETY: the two elements of x.
        let rows: Rows<'_, f32> =
            unsafe { Rows::new(x.as_ptr().cast(), (1, 2), (4, 2), Stored::Half, false) };
        assert_eq!(all(&rows, 1), [0.5, -2.0]);
        let x = [bf16::from_f32(0.5), bf16::from_f32(-2.0)];
        // SAFETY: the two elements of x.
        let rows: Rows<'_, f32> =
            unsafe { Rows::new(x.as_ptr().cast(), (1, 2), (4, 2), Stored::Brain, false) };
        assert_eq!(all(&rows, 1), [0.5, -2.0]);
    }
}
