//! The predictions of a committee: m matrices of n rows, in any layout, read in place.
//!
//! Any array of three axes is m matrices of n rows with the same strides. If all numbers of a row, those of
//! all members, also lie side by side, they are one matrix of long rows, which is read and turned at once;
//! this is faster, and changes no bit.

use std::ops::Range;

use fearless_simd::Simd;

use crate::real::Real;
use crate::rows::Rows;
use crate::simd::transpose::turn;
use crate::simd::{FIRST, prefetch};

/// Numbers of a row, over all members, that are turned at once.
const AT_ONCE: usize = 1024;

/// Classes that are turned at once.
const CLASSES: usize = 64;

/// m matrices of n rows of c numbers.
#[derive(Debug, Clone)]
pub struct Members<'a, T> {
    each: Vec<Rows<'a, T>>,
    flat: Option<Flat<'a, T>>,
}

/// All numbers of a row side by side.
#[derive(Debug, Clone, Copy)]
struct Flat<'a, T> {
    rows: Rows<'a, T>,
    /// From a member to the next, from a class to the next.
    steps: (usize, usize),
}

impl<'a, T: Real> Members<'a, T> {
    /// A committee of these members, all of one shape; others are left out.
    #[must_use]
    pub fn new(mut each: Vec<Rows<'a, T>>) -> Self {
        if let Some(first) = each.first().copied() {
            each.retain(|rows| rows.len() == first.len() && rows.width() == first.width());
        }
        Self { each, flat: None }
    }

    /// The same numbers as one matrix: that of member i and class j stands at i `steps.0` + j `steps.1` of a row.
    /// Without effect if the sizes do not fit, and for a single member, which is such a matrix already.
    #[must_use]
    pub fn with_flat(mut self, rows: Rows<'a, T>, steps: (usize, usize)) -> Self {
        let (m, c) = (self.len(), self.width());
        let fits = rows.len() == self.rows() && rows.width() == m * c && (steps == (c, 1) || steps == (1, m));
        if m > 1 && fits && self.chunk() == c && rows.is_contiguous() {
            self.flat = Some(Flat { rows, steps });
        }
        self
    }

    /// Only the members for which that holds.
    #[must_use]
    pub(crate) fn only(&self, holds: impl Fn(usize) -> bool) -> Self {
        let each: Vec<_> = (0..self.len()).filter(|&i| holds(i)).map(|i| self.each[i]).collect();
        let flat = if each.len() == self.len() { self.flat } else { None };
        Self { each, flat }
    }

    /// How many members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.each.first().map_or(0, Rows::len)
    }

    /// Numbers in a row of a member.
    #[must_use]
    pub fn width(&self) -> usize {
        self.each.first().map_or(0, Rows::width)
    }

    /// Classes that are turned at once: a function of m and c alone, as sums are closed there.
    pub(crate) fn chunk(&self) -> usize {
        (AT_ONCE / self.len().max(1)).max(1).next_multiple_of(8).min(CLASSES).min(self.width())
    }

    /// Reads some rows, in place if they can be.
    pub(crate) fn read<'b>(&self, rows: Range<usize>, scratch: &'b mut Vec<Vec<T>>) -> Block<'b, T>
    where
        'a: 'b,
    {
        let (m, c) = (self.len(), self.width());
        let count = rows.end.min(self.rows()) - rows.start;
        scratch.resize_with(m, Vec::new);
        let (parts, steps) = if let Some(flat) = &self.flat {
            (vec![flat.rows.read_ahead(rows, &mut scratch[0])], flat.steps)
        } else {
            let read =
                self.each.iter().zip(scratch).map(|(each, scratch)| each.read_ahead(rows.clone(), scratch));
            (read.collect(), (self.chunk().next_multiple_of(4), 1))
        };
        Block { parts, steps, count, m, c, chunk: self.chunk() }
    }
}

/// Some rows of all members.
pub(crate) struct Block<'b, T> {
    /// One for each member, or one for all, and some rows behind them.
    parts: Vec<&'b [T]>,
    /// From a member to the next, from a class to the next, in turned columns.
    pub(crate) steps: (usize, usize),
    /// How many rows.
    pub(crate) count: usize,
    pub(crate) m: usize,
    pub(crate) c: usize,
    pub(crate) chunk: usize,
}

/// [`turn`] as a function of its own: of many members it costs nothing, and both paths share it.
#[inline(always)]
fn turn_apart<T: Real, S: Simd>(simd: S, rows: &[T], c: usize, columns: &mut [T]) {
    simd.vectorize(
        #[inline(always)]
        || turn(simd, rows, c, columns),
    );
}

impl<T: Real> Block<'_, T> {
    /// Room for the columns of [`turn`](Block::turn), and behind them for rows on their way there, or for a step from
    /// the last column.
    pub(crate) fn room(&self) -> usize {
        let columns = self.m * self.chunk.next_multiple_of(4);
        (columns + self.chunk.max(self.m)).next_multiple_of(4) * T::LANES
    }

    /// Turns LANES rows from `first` on, the classes of a chunk: the column of member i and class j of the chunk is
    /// number i `steps.0` + j `steps.1`. Missing rows are filled with zeros.
    #[inline(always)]
    pub(crate) fn turn<S: Simd>(&self, simd: S, first: usize, classes: Range<usize>, columns: &mut [T]) {
        let (c, size) = (self.c, T::LANES);
        if self.parts.len() < self.m {
            let width = self.m * c;
            let rows = &self.parts[0][first * width..];
            turn(simd, rows, width, columns);
            return;
        }
        let (columns, passage) = columns.split_at_mut(self.m * self.steps.0 * size);
        for (part, columns) in self.parts.iter().zip(columns.chunks_exact_mut(self.steps.0 * size)) {
            let rows = &part[first * c..];
            if let (1, Some(rows)) = (c, rows.get(..size)) {
                columns[..size].copy_from_slice(rows);
                continue;
            }
            if classes.len() == c {
                turn_apart(simd, rows, c, columns);
                continue;
            }
            let width = classes.len();
            let mut count = 0;
            for (row, passage) in rows.chunks_exact(c).take(size).zip(passage.chunks_exact_mut(width)) {
                passage.copy_from_slice(&row[classes.clone()]);
                count += 1;
            }
            turn_apart(simd, &passage[..count * width], width, columns);
        }
    }

    /// Asks for the share of member i of the LANES rows behind those from `first` on: a share at a time, as a
    /// burst of requests would wait for itself.
    #[inline(always)]
    pub(crate) fn prefetch(&self, first: usize, i: usize) {
        let share = T::LANES * self.c;
        match self.parts.get(i) {
            Some(part) if self.parts.len() == self.m => {
                prefetch::<FIRST, _>(part, (first + T::LANES) * self.c..(first + T::LANES) * self.c + share);
            }
            _ => {
                let next = (first + T::LANES) * self.m * self.c + i * share;
                prefetch::<FIRST, _>(self.parts[0], next..next + share);
            }
        }
    }

    /// One row of one member.
    pub(crate) fn row(&self, member: usize, row: usize) -> Vec<T> {
        let c = self.c;
        if self.parts.len() == self.m {
            return self.parts[member][row * c..][..c].to_vec();
        }
        let row = &self.parts[0][row * self.m * c..];
        (0..c).map(|j| row[member * self.steps.0 + j * self.steps.1]).collect()
    }
}
