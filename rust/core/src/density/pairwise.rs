//! The mean over all pairs of a kernel of their distance (information density: Settles & Craven 2008).
//!
//! Within one set each pair is computed once: a block of pairs adds to its rows and, turned, to its columns.
//! The parts of a row's sum come from blocks on different threads; `InOrder` adds them in the order of the
//! blocks, so that the sum has the same bits for any number of threads.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::{same_width, work};
use crate::distance::{Block, Space, squared_distances};
use crate::error::Error;
use crate::pool::{InOrder, Par};
use crate::real::Real;
use crate::rows::Rows;
use crate::sum::{BLOCK, Sum};
use crate::tile::{Epilogue, side};

/// A similarity of two rows by their distance, 1 where they are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Similarity {
    /// 1 / (1 + d).
    Euclidean,
    /// exp(−γ d²).
    Rbf {
        /// γ.
        gamma: f64,
    },
}

/// Which pairs count, and what is wanted of them.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The similarity.
    pub similarity: Similarity,
    /// Whether a row counts as a neighbour of itself, within one set or where `own` tells itself.
    pub include_self: bool,
    /// For each reference row the row that it is, if the reference is a sample of the rows.
    pub own: Option<&'a [usize]>,
    /// Whether the sums of squares about the mean are wanted too.
    pub spreads: bool,
}

/// The mean similarity of each row to all rows of `reference`, or of its own set. Returns the sums of squares
/// about the mean if they are asked for. O(n² d / 2) or O(n m d) time, O(n) memory. The means are rounded to any float
/// type.
///
/// # Errors
/// [`Error::Row`] for a row that is not finite; [`Error::Shape`]; [`Error::Stopped`].
pub fn density<T: Real, O: Real>(
    rows: &Rows<'_, T>,
    reference: Option<&Rows<'_, T>>,
    request: &Request<'_>,
    out: &mut [O],
    par: Par<'_>,
) -> Result<Vec<f64>, Error> {
    let n = rows.len();
    Error::unless_long(out.len(), n)?;
    let mut counts = vec![reference.map_or(n, Rows::len); n];
    let sums = match reference {
        None if !request.spreads => {
            if !request.include_self {
                counts.fill(n.saturating_sub(1));
            }
            let sum = within(rows, request.similarity, request.include_self, par)?;
            Sums { sum, spreads: Vec::new() }
        }
        _ => {
            let own = request.own.filter(|_| !request.include_self);
            for &row in own.unwrap_or_default() {
                if let Some(count) = counts.get_mut(row) {
                    *count -= 1;
                }
            }
            against(rows, reference.unwrap_or(rows), own, request.similarity, request.spreads, par)?
        }
    };
    for ((out, sum), count) in out.iter_mut().zip(sums.sum).zip(counts) {
        *out = O::from_f64(sum / count as f64);
    }
    Ok(sums.spreads)
}

/// For each row, the sum of its similarities and of their squares about their mean.
struct Sums {
    sum: Vec<f64>,
    /// Empty unless asked for.
    spreads: Vec<f64>,
}

/// Of some similarities: how many, their sum, and the sum of their squares about their mean. Sums of squares about 0
/// would cancel where rows are hardly apart.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    spread: f64,
}

impl Moments {
    /// Adds others (Chan, Golub & `LeVeque` 1983).
    fn join(&mut self, other: Self) {
        if self.count > 0.0 && other.count > 0.0 {
            let apart = self.sum / self.count - other.sum / other.count;
            self.spread += apart * apart * (self.count * other.count / (self.count + other.count));
        }
        self.count += other.count;
        self.sum += other.sum;
        self.spread += other.spread;
    }
}

/// Sums over the pairs within one set; each row's similarity to itself, which is 1, counts if `include_self`.
fn within<T: Real>(
    rows: &Rows<'_, T>,
    similarity: Similarity,
    include_self: bool,
    par: Par<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.len(), rows.width());
    same_width(d, d)?;
    let (side, space) = (side::<T>(d), Space::around(rows));
    let blocks = n.div_ceil(side);
    let sums = wholes(n, side);
    let jobs =
        Counted::new((0..blocks).flat_map(|i| (i..blocks).map(move |j| (i, j))), blocks * (blocks + 1) / 2);
    par.run(jobs, work(n, n / 2 + 1, d), Worker::default, |worker, (i, j)| {
        worker.load((rows, "features"), (rows, "features"), (i, j), side, &space, par)?;
        let mut epilogue = Adding::new(similarity, &worker.left, &worker.right);
        epilogue.by_columns = i != j;
        if i == j && !include_self {
            epilogue.skips = (0..worker.left.len()).map(|row| (row, row)).collect();
        }
        squared_distances(&worker.left, &worker.right, &mut epilogue, &mut worker.strip, par.level);
        if i != j {
            sums[j].add(i, epilogue.column_sums());
        }
        sums[i].add(j, epilogue.rows);
        Ok(())
    })?;
    Ok(sums.into_iter().flat_map(InOrder::into_whole).collect())
}

/// Sums over the pairs of each row with all rows of a reference set, and of their squares about the mean if asked for.
/// Where `own` is given, row `own[j]` is reference row j itself, and the pair is left out.
fn against<T: Real>(
    rows: &Rows<'_, T>,
    reference: &Rows<'_, T>,
    own: Option<&[usize]>,
    similarity: Similarity,
    spreads: bool,
    par: Par<'_>,
) -> Result<Sums, Error> {
    let (n, m, d) = (rows.len(), reference.len(), rows.width());
    same_width(d, reference.width())?;
    let (side, space) = (side::<T>(d), Space::around(reference));
    let (blocks, across) = (n.div_ceil(side), m.div_ceil(side));
    let sums = wholes(n, side);
    let moments: Vec<InOrder<Vec<Moments>, Vec<Moments>>> = (0..n)
        .step_by(side)
        .map(|first| InOrder::new(vec![Moments::default(); side.min(n - first)]))
        .collect();
    let jobs = (0..blocks).flat_map(|i| (0..across).map(move |j| (i, j)));
    let jobs = Counted::new(jobs, blocks * across);
    par.run(jobs, work(n, m, d), Worker::default, |worker, (i, j)| {
        worker.load((rows, "features"), (reference, "reference"), (i, j), side, &space, par)?;
        let mut epilogue = Adding::new(similarity, &worker.left, &worker.right);
        epilogue.by_spreads = spreads;
        if let Some(own) = own {
            let here = own.iter().skip(j * side).take(side).enumerate();
            let inside = here.filter(|&(_, &own)| (i * side..i * side + worker.left.len()).contains(&own));
            epilogue.skips = inside.map(|(column, &own)| (own - i * side, column)).collect();
            epilogue.skips.sort_unstable();
        }
        squared_distances(&worker.left, &worker.right, &mut epilogue, &mut worker.strip, par.level);
        sums[i].add(j, epilogue.rows);
        if spreads {
            moments[i].bring(j, epilogue.moments, |whole, part| {
                whole.iter_mut().zip(part).for_each(|(whole, part)| whole.join(part));
            });
        }
        Ok(())
    })?;
    let sum = sums.into_iter().flat_map(InOrder::into_whole).collect();
    let moments = moments.into_iter().flat_map(InOrder::into_whole);
    let spreads = if spreads { moments.map(|moments| moments.spread).collect() } else { Vec::new() };
    Ok(Sums { sum, spreads })
}

fn wholes(n: usize, side: usize) -> Vec<InOrder<Vec<f64>, Vec<f64>>> {
    (0..n).step_by(side).map(|first| InOrder::new(vec![0.0; side.min(n - first)])).collect()
}

/// Jobs whose number is known, for the progress of a call.
pub(super) struct Counted<I> {
    jobs: I,
    left: usize,
}

impl<I: Iterator> Counted<I> {
    pub(super) fn new(jobs: I, count: usize) -> Self {
        Self { jobs, left: count }
    }
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.saturating_sub(1);
        self.jobs.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// What a thread holds.
pub(super) struct Worker<T> {
    pub(super) left: Block<T>,
    pub(super) right: Block<T>,
    pub(super) strip: Vec<T>,
    /// The block that `left` holds.
    held: Option<usize>,
}

impl<T: Real> Default for Worker<T> {
    fn default() -> Self {
        Self { left: Block::default(), right: Block::default(), strip: Vec::new(), held: None }
    }
}

impl<T: Real> Worker<T> {
    /// Loads block i of the rows on the left (unless it is there) and block j of those across on the right.
    pub(super) fn load(
        &mut self,
        (rows, argument): (&Rows<'_, T>, &'static str),
        (across, across_argument): (&Rows<'_, T>, &'static str),
        (i, j): (usize, usize),
        side: usize,
        space: &Space<T>,
        par: Par<'_>,
    ) -> Result<(), Error> {
        if self.held != Some(i) {
            self.held = None;
            self.left.load(rows, i * side..(i + 1) * side, space, argument, par.level)?;
            self.held = Some(i);
        }
        self.right.load(across, j * side..(j + 1) * side, space, across_argument, par.level)?;
        self.right.pack(par.level);
        Ok(())
    }
}

/// The epilogue: similarities, added up by rows and, if asked for, by columns.
struct Adding<T> {
    similarity: Similarity,
    rows: Vec<f64>,
    moments: Vec<Moments>,
    columns: Vec<T>,
    columns_low: Vec<T>,
    /// Columns that are rows of the right block.
    across: usize,
    by_columns: bool,
    by_spreads: bool,
    /// Pairs that do not count, a row and a column each, in order.
    skips: Vec<(usize, usize)>,
}

impl<T: Real> Adding<T> {
    fn new(similarity: Similarity, left: &Block<T>, right: &Block<T>) -> Self {
        Self {
            similarity,
            rows: Vec::with_capacity(left.len()),
            moments: Vec::new(),
            columns: vec![T::ZERO; right.width()],
            columns_low: vec![T::ZERO; right.width()],
            across: right.len(),
            by_columns: false,
            by_spreads: false,
            skips: Vec::new(),
        }
    }

    fn column_sums(&self) -> Vec<f64> {
        let columns = self.columns.iter().zip(&self.columns_low);
        columns.map(|(high, low)| high.to_f64() + low.to_f64()).take(self.across).collect()
    }

    /// Similarities in place of squared distances.
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, pairs: &mut [T]) {
        match self.similarity {
            Similarity::Euclidean => {
                let one = T::splat(simd, T::ONE);
                for d2 in pairs.chunks_exact_mut(T::LANES) {
                    (one / (one + T::load(simd, d2).sqrt())).store_slice(d2);
                }
            }
            Similarity::Rbf { gamma } => {
                let gamma = T::splat(simd, T::from_f64(-gamma));
                for d2 in pairs.chunks_exact_mut(T::LANES) {
                    T::decay(simd, T::load(simd, d2) * gamma).store_slice(d2);
                }
            }
        }
    }
}

impl<T: Real> Epilogue<T> for Adding<T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        self.apply(simd, pairs);
        let rows = pairs.len() / width;
        let from = self.skips.partition_point(|&(row, _)| row < first);
        let until = self.skips.partition_point(|&(row, _)| row < first + rows);
        for &(row, column) in &self.skips[from..until] {
            pairs[(row - first) * width + column] = T::ZERO;
        }
        for row in pairs.chunks_exact(width) {
            let mut sum = Sum::<T, S>::new(simd);
            for block in row.chunks(T::LANES * BLOCK) {
                for s in block.chunks_exact(T::LANES) {
                    sum.block += T::load(simd, s);
                }
                sum.close(simd);
            }
            self.rows.push(sum.fold());
        }
        if self.by_spreads {
            for (r, row) in pairs.chunks_exact_mut(width).enumerate() {
                let skipped = self.skips[from..until].iter().filter(|&&(row, _)| row == first + r);
                let count = self.across - skipped.clone().count();
                let sum = self.rows[first + r];
                let mean = T::from_f64(sum / count.max(1) as f64);
                // What does not count is at the mean.
                skipped.for_each(|&(_, column)| row[column] = mean);
                row[self.across..].fill(mean);
                let mut spread = Sum::<T, S>::new(simd);
                for block in row.chunks(T::LANES * BLOCK) {
                    for s in block.chunks_exact(T::LANES) {
                        let s = T::load(simd, s) - T::splat(simd, mean);
                        spread.block = s.mul_add(s, spread.block);
                    }
                    spread.close(simd);
                }
                self.moments.push(Moments { count: count as f64, sum, spread: spread.fold() });
            }
        }
        if self.by_columns {
            let sums =
                self.columns.chunks_exact_mut(T::LANES).zip(self.columns_low.chunks_exact_mut(T::LANES));
            for (at, (high, low)) in sums.enumerate() {
                let mut sum = Sum::<T, S> {
                    block: T::splat(simd, T::ZERO),
                    high: T::load(simd, high),
                    low: T::load(simd, low),
                };
                for row in pairs.chunks_exact(width) {
                    sum.block += T::load(simd, &row[at * T::LANES..][..T::LANES]);
                }
                sum.close(simd);
                sum.high.store_slice(high);
                sum.low.store_slice(low);
            }
        }
    }
}
