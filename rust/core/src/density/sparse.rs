//! The densities of `linear.rs` for sparse rows (CSR), O(nnz), in float64 throughout.
//!
//! Sparse rows are not centred, which would make them dense: mean ‖x − u‖² is ‖x‖² + mean ‖u‖² − 2 x·μ here,
//! right to some eps of ‖x‖² + mean ‖u‖².

use std::fmt;
use std::ops::Range;

use super::linear::{Options, Similarity};
use crate::distance::normalise;
use crate::error::{Error, Fault};
use crate::pool::{InOrder, Par};
use crate::real::Real;
use crate::rows::Rows;
use crate::rows::integers::Integers;
use crate::simd::Level;

/// Rows in CSR form: of row i the numbers `starts[i]..starts[i + 1]` of `data`, in the columns `columns`.
#[derive(Debug, Clone, Copy)]
pub struct Sparse<'a, T> {
    /// One number each.
    pub data: Rows<'a, T>,
    /// The column of each number: one row of integers.
    pub columns: Integers<'a>,
    /// Where rows begin, and the end: one row of integers.
    pub starts: Integers<'a>,
    /// How many columns there are.
    pub width: usize,
}

/// Rows that a thread takes at a time.
const STEP: usize = 1 << 10;

impl<T: Real> Sparse<'_, T> {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.shape().1.saturating_sub(1)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of a row, by column.
    fn row(&self, i: usize, argument: &'static str, row: &mut Vec<(usize, f64)>) -> Result<(), Error> {
        let start = |i| self.starts.get(0, i).and_then(|start| usize::try_from(start).ok());
        let (stored, width) = (self.data.len().min(self.columns.shape().1), self.width);
        let wrong = |expected: fmt::Arguments<'_>| {
            Err(Error::shape(argument, &expected, &format_args!("row {i} outside")))
        };
        let range = match (start(i), start(i + 1)) {
            (Some(first), Some(end)) if first <= end && end <= stored && (i > 0 || first == 0) => first..end,
            _ => {
                return wrong(format_args!("indptr that rises from 0 to {stored}"));
            }
        };
        row.clear();
        let mut block = Vec::new();
        let numbers = self.data.read(range.clone(), &mut block);
        for (at, x) in range.zip(numbers) {
            let column = self.columns.get(0, at).and_then(|column| usize::try_from(column).ok());
            match column {
                Some(column) if column < width => row.push((column, x.to_f64())),
                _ => {
                    return wrong(format_args!("column indices below {width}"));
                }
            }
            if !x.to_f64().is_finite() {
                let fault =
                    Fault::NotFinite { column: row.last().map(|&(column, _)| column), value: x.to_f64() };
                return Err(Error::Row { argument, row: i, member: None, fault });
            }
        }
        Ok(())
    }
}

/// ‖x‖² of a row. Repeated columns, which CSR allows, are added up first; for cosines, a row whose squares over- or
/// underflow is scaled to length 1.
fn squared(row: &mut Vec<(usize, f64)>, similarity: Similarity) -> f64 {
    if !row.is_sorted_by(|a, b| a.0 < b.0) {
        row.sort_by_key(|&(column, _)| column);
        row.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
    }
    let norm = row.iter().map(|(_, x)| x * x).sum();
    if similarity != Similarity::Cosine || (f64::FAINT < norm && norm < f64::INFINITY) {
        return norm;
    }
    let mut numbers: Vec<f64> = row.iter().map(|&(_, x)| x).collect();
    normalise(&mut numbers, Level::Baseline);
    row.iter_mut().zip(numbers).for_each(|((_, x), number)| *x = number);
    if row.iter().all(|&(_, x)| x == 0.0) { 0.0 } else { 1.0 }
}

/// As [`linear::density`](super::linear::density), for sparse rows.
///
/// # Errors
/// As there.
pub fn density<T: Real>(
    rows: &Sparse<'_, T>,
    reference: Option<&Sparse<'_, T>>,
    options: Options,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    let n = rows.len();
    Error::unless_long(out.len(), n)?;
    let (others, argument) = reference.map_or((rows, "features"), |reference| (reference, "reference"));
    if others.width != rows.width {
        let expected = format_args!("{} columns, as features", rows.width);
        return Err(Error::shape("reference", &expected, &others.width));
    }
    let (mean, mean_squared) = mean_row(others, options.similarity, argument, par)?;
    let alone = (reference.is_none() && !options.include_self).then_some(n as f64);
    let jobs = out.chunks_mut(STEP).enumerate();
    par.run(jobs, rows.data.len() + n, Vec::new, |row, (number, out)| {
        for (i, out) in out.iter_mut().enumerate() {
            let i = number * STEP + i;
            rows.row(i, "features", row)?;
            let norm = squared(row, options.similarity);
            let product: f64 = row.iter().map(|&(column, x)| x * mean[column]).sum();
            let (value, own) = match options.similarity {
                Similarity::Cosine if norm == 0.0 => (0.0, 0.0),
                Similarity::Cosine => (product / norm.sqrt(), 1.0),
                Similarity::Dot => (product, norm),
                Similarity::SquaredDistance => {
                    let squared = norm + mean_squared - 2.0 * product;
                    // Not `max`, which would make 0 of NaN.
                    (if squared < 0.0 { 0.0 } else { squared }, 0.0)
                }
            };
            let mut value = alone.map_or(value, |n| (n * value - own) / (n - 1.0));
            if options.similarity == Similarity::Cosine {
                value = value.clamp(-1.0, 1.0);
            }
            *out = T::from_f64(match options.similarity {
                Similarity::SquaredDistance => 1.0 / (1.0 + value),
                _ if options.shift => f64::midpoint(1.0, value),
                _ => value,
            });
            if !(value.is_finite() && out.to_f64().is_finite()) {
                return Err(Error::Row {
                    argument: "features",
                    row: i,
                    member: None,
                    fault: Fault::Overflow,
                });
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// The mean of the rows, each scaled to length 1 for cosines, and the mean of their squared lengths.
fn mean_row<T: Real>(
    rows: &Sparse<'_, T>,
    similarity: Similarity,
    argument: &'static str,
    par: Par<'_>,
) -> Result<(Vec<f64>, f64), Error> {
    let n = rows.len();
    let whole = InOrder::new((vec![0.0; rows.width], 0.0));
    let blocks: Vec<Range<usize>> = (0..n).step_by(STEP).map(|first| first..(first + STEP).min(n)).collect();
    par.run(blocks.into_iter().enumerate(), rows.data.len() + n, Vec::new, |row, (number, block)| {
        let (mut part, mut squares) = (Vec::new(), 0.0);
        for i in block {
            rows.row(i, argument, row)?;
            let norm = squared(row, similarity);
            if similarity == Similarity::SquaredDistance && norm.is_infinite() {
                return Err(Error::Row { argument, row: i, member: None, fault: Fault::Overflow });
            }
            squares += norm;
            let scale = if similarity == Similarity::Cosine && norm > 0.0 { 1.0 / norm.sqrt() } else { 1.0 };
            part.extend(row.iter().map(|&(column, x)| (column, x * scale)));
        }
        // Only what is there is handed on, so that a part is as long as the block has numbers.
        whole.bring(number, (part, squares), |(sum, total): &mut (Vec<f64>, f64), (part, squares)| {
            for (column, x) in part {
                sum[column] += x;
            }
            *total += squares;
        });
        Ok(())
    })?;
    let (sum, squares) = whole.into_whole();
    Ok((sum.into_iter().map(|x| x / n as f64).collect(), squares / n as f64))
}
