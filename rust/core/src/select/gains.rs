//! Gains of facility location: what rows bring to the coverage of a pool, Σ w max(0, s − coverage), by tiles of
//! similarities that are never kept.
//!
//! A gain is a sum over all items, block by block of the pool and in that order, so that neither threads nor which
//! rows are evaluated together can show. Blocks of a pool that is small enough are kept ready.

use std::ops::Range;

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::distance::{Block, Space, squared_distances};
use crate::error::Error;
use crate::exact::Metric;
use crate::pool::{InOrder, Par};
use crate::real::Real;
use crate::row_sums::padded;
use crate::rows::Rows;
use crate::sum::{BLOCK, Sum};
use crate::tile::{Epilogue, STRIP, side};

/// Numbers of a pool whose blocks are kept ready, two or three times as many: of a larger one they are made ready
/// each time.
const KEPT: usize = 1 << 21;

/// Rows that a thread takes at a time where it is few items that have changed.
const SHARE: usize = 96;

/// How similar two rows are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Similarity {
    /// exp(−γ d²), d between the rows, or with the cosine metric between the rows scaled to length 1.
    Rbf {
        /// γ.
        gamma: f64,
        /// What d is between.
        metric: Metric,
    },
    /// max(cos, 0).
    Cosine,
}

impl Similarity {
    /// What rows are compared by.
    #[must_use]
    pub fn metric(self) -> Metric {
        match self {
            Self::Rbf { metric, .. } => metric,
            Self::Cosine => Metric::Cosine,
        }
    }

    pub(super) fn of(self, squared: f64) -> f64 {
        match self {
            Self::Rbf { gamma, .. } => (-gamma * squared).exp(),
            Self::Cosine => (1.0 - squared / 2.0).max(0.0),
        }
    }

    #[inline(always)]
    fn of_lanes<T: Real, S: Simd>(self, simd: S, squared: T::Lanes<S>) -> T::Lanes<S> {
        match self {
            Self::Rbf { gamma, .. } => T::decay(simd, squared * T::splat(simd, T::from_f64(-gamma))),
            // Infinitely far, as columns are that only fill the last vector, is −∞ and so 0.
            Self::Cosine => squared
                .mul_add(T::splat(simd, T::from_f64(-0.5)), T::splat(simd, T::ONE))
                .max(T::splat(simd, T::ZERO)),
        }
    }
}

/// The pool.
pub(super) struct Pool<'a, 'b, T> {
    rows: &'a Rows<'b, T>,
    space: &'a Space<T>,
    /// Ready for tiles, or none.
    blocks: Vec<Block<T>>,
    similarity: Similarity,
    pub(super) weights: Option<&'a [T]>,
}

/// Items that are to be covered.
#[derive(Clone, Copy)]
pub(super) struct Items<'a, T> {
    /// How they were covered; then it is what a gain has lost that counts.
    pub(super) before: Option<&'a [T]>,
    /// How they are covered.
    pub(super) coverage: &'a [T],
    pub(super) weights: Option<&'a [T]>,
}

impl<'a, T: Real> Items<'a, T> {
    /// Some neighbouring ones.
    fn only(&self, range: Range<usize>) -> Self {
        let part = |numbers: &'a [T]| &numbers[range.clone()];
        Self { before: self.before.map(part), coverage: part(self.coverage), weights: self.weights.map(part) }
    }

    /// What a row similar to them brings, or has lost. Similarities that only fill the last vector are 0.
    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, similar: &[T]) -> f64 {
        let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
        let mut sum = Sum::<T, S>::new(simd);
        for (number, similar) in similar.chunks_exact(T::LANES).enumerate() {
            let (at, similar) = (number * T::LANES, T::load(simd, similar));
            let mut gain = (similar - padded(simd, &self.coverage[at..])).max(zero);
            if let Some(before) = self.before {
                gain = (similar - padded(simd, &before[at..])).max(zero) - gain;
            }
            let weight = if let Some(weights) = self.weights { padded(simd, &weights[at..]) } else { one };
            sum.block = gain.mul_add(weight, sum.block);
            if number % BLOCK == BLOCK - 1 {
                sum.close(simd);
            }
        }
        sum.close(simd);
        sum.fold()
    }
}

impl<'a, 'b, T: Real> Pool<'a, 'b, T> {
    /// A pool, with a weight for each row.
    pub(super) fn new(
        rows: &'a Rows<'b, T>,
        space: &'a Space<T>,
        similarity: Similarity,
        weights: Option<&'a [T]>,
        par: Par<'_>,
    ) -> Result<Self, Error> {
        let (n, d) = (rows.len(), rows.width());
        let (side, blocks) = (side::<T>(d), InOrder::new(Vec::new()));
        if n.saturating_mul(d) <= KEPT {
            let firsts = (0..n).step_by(side).enumerate();
            par.run(
                firsts,
                n * d,
                || (),
                |(), (number, first)| {
                    let mut block = Block::default();
                    block.load(rows, first..(first + side).min(n), space, "features", par.level)?;
                    block.pack(par.level);
                    blocks.bring(number, block, Vec::push);
                    Ok(())
                },
            )?;
        }
        Ok(Self { rows, space, blocks: blocks.into_whole(), similarity, weights })
    }

    /// Rows in a block, and the most that are evaluated at once.
    pub(super) fn side(&self) -> usize {
        side::<T>(self.rows.width())
    }

    /// Some rows of the pool as the columns of tiles.
    fn columns(&self, candidates: &[usize], par: Par<'_>) -> Result<Block<T>, Error> {
        let mut block = Block::default();
        block.gather(self.rows, candidates.iter().copied(), self.space, "features", par.level)?;
        block.pack(par.level);
        Ok(block)
    }

    /// A block of the pool: as it is kept, or made ready.
    fn block<'c>(
        &'c self,
        number: usize,
        room: &'c mut Block<T>,
        par: Par<'_>,
    ) -> Result<&'c Block<T>, Error> {
        if let Some(block) = self.blocks.get(number) {
            return Ok(block);
        }
        let side = self.side();
        room.load(self.rows, number * side..(number + 1) * side, self.space, "features", par.level)?;
        Ok(room)
    }

    /// The gain of each of some rows.
    pub(super) fn gains(
        &self,
        candidates: &[usize],
        coverage: &[T],
        par: Par<'_>,
    ) -> Result<Vec<f64>, Error> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let columns = self.columns(candidates, par)?;
        let (n, d, side) = (self.rows.len(), self.rows.width(), self.side());
        let items = Items { before: None, coverage, weights: self.weights };
        let whole = InOrder::new(vec![0.0; candidates.len()]);
        let size = n.saturating_mul(candidates.len()).saturating_mul(d / 8 + 1);
        let start = || (Block::default(), Vec::new());
        par.run((0..n).step_by(side).enumerate(), size, start, |(room, strip), (number, first)| {
            let mut gains = Gains {
                similarity: self.similarity,
                items: items.only(first..(first + side).min(n)),
                high: vec![T::ZERO; columns.width()],
                low: vec![T::ZERO; columns.width()],
            };
            squared_distances(self.block(number, room, par)?, &columns, &mut gains, strip, par.level);
            whole.add(number, gains.sums());
            Ok(())
        })?;
        Ok(whole.into_whole())
    }

    /// What the gain of each of some rows has lost by items that were covered `before` and are covered better now. These
    /// are the columns, as they are few, and the rows are shared by the threads.
    pub(super) fn losses(
        &self,
        candidates: &[usize],
        changed: &[usize],
        items: &Items<'_, T>,
        par: Par<'_>,
    ) -> Result<Vec<f64>, Error> {
        let (d, side) = (self.rows.width(), self.side());
        let mut losses = vec![0.0; candidates.len()];
        if candidates.is_empty() {
            return Ok(losses);
        }
        for (number, changed) in changed.chunks(side).enumerate() {
            let columns = self.columns(changed, par)?;
            let items = items.only(number * side..number * side + changed.len());
            let size = changed.len().saturating_mul(candidates.len()).saturating_mul(d / 8 + 1);
            let jobs = candidates.chunks(SHARE).zip(losses.chunks_mut(SHARE));
            let start = || (Block::default(), Vec::new());
            par.run(jobs, size, start, |(block, strip), (rows, losses)| {
                block.gather(self.rows, rows.iter().copied(), self.space, "features", par.level)?;
                let mut losses = Losses { similarity: self.similarity, items, rows: losses };
                squared_distances(block, &columns, &mut losses, strip, par.level);
                Ok(())
            })?;
        }
        Ok(losses)
    }

    /// The gain of every row, each pair computed once.
    pub(super) fn all(&self, coverage: &[T], par: Par<'_>) -> Result<Vec<f64>, Error> {
        let (n, d, side) = (self.rows.len(), self.rows.width(), self.side());
        let count = n.div_ceil(side);
        let sums: Vec<_> =
            (0..n).step_by(side).map(|first| InOrder::new(vec![0.0; side.min(n - first)])).collect();
        let items = Items { before: None, coverage, weights: self.weights };
        let items = |number: usize| items.only(number * side..((number + 1) * side).min(n));
        let jobs = (0..count).flat_map(|i| (i..count).map(move |j| (i, j)));
        let start = || (Block::default(), Block::default(), Vec::new());
        let size = n.saturating_mul(n / 2 + 1).saturating_mul(d / 8 + 1);
        par.run(jobs, size, start, |(left, right, strip), (i, j)| {
            if self.blocks.is_empty() {
                // Packed, which a block that is only made ready is not.
                self.block(j, right, par)?;
                right.pack(par.level);
            }
            let right = self.blocks.get(j).unwrap_or(right);
            let mut both = Both {
                gains: Gains {
                    similarity: self.similarity,
                    items: items(i),
                    high: vec![T::ZERO; right.width()],
                    low: vec![T::ZERO; right.width()],
                },
                across: items(j),
                rows: Vec::new(),
                itself: i == j,
            };
            squared_distances(self.block(i, left, par)?, right, &mut both, strip, par.level);
            sums[j].add(i, both.gains.sums());
            if i != j {
                sums[i].add(j, both.rows);
            }
            Ok(())
        })?;
        Ok(sums.into_iter().flat_map(InOrder::into_whole).collect())
    }

    /// Covers the pool with one more row. Returns the items that changes, and how they were covered.
    pub(super) fn cover(
        &self,
        row: usize,
        coverage: &mut [T],
        par: Par<'_>,
    ) -> Result<(Vec<usize>, Vec<T>), Error> {
        let columns = self.columns(&[row], par)?;
        let (n, d, side) = (self.rows.len(), self.rows.width(), self.side());
        let changes = InOrder::new(Vec::new());
        let start = || (Block::default(), Vec::new());
        let jobs = coverage.chunks_mut(side).enumerate();
        par.run(jobs, n * d, start, |(room, strip), (number, coverage)| {
            let first = number * side;
            let mut cover = Cover { similarity: self.similarity, coverage, first, changes: Vec::new() };
            squared_distances(self.block(number, room, par)?, &columns, &mut cover, strip, par.level);
            changes.bring(number, cover.changes, Vec::extend);
            Ok(())
        })?;
        Ok(changes.into_whole().into_iter().unzip())
    }
}

/// The epilogue of gains: Σ w max(0, s − coverage), by columns.
struct Gains<'a, T> {
    similarity: Similarity,
    items: Items<'a, T>,
    high: Vec<T>,
    low: Vec<T>,
}

impl<T: Real> Gains<'_, T> {
    fn sums(&self) -> Vec<f64> {
        self.high.iter().zip(&self.low).map(|(high, low)| high.to_f64() + low.to_f64()).collect()
    }

    /// Adds similarities, of the items from `first` on.
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, first: usize, similar: &[T], width: usize) {
        let zero = T::splat(simd, T::ZERO);
        let sums = self.high.chunks_exact_mut(T::LANES).zip(self.low.chunks_exact_mut(T::LANES));
        for (at, (high, low)) in sums.enumerate() {
            let mut sum = Sum::<T, S> { block: zero, high: T::load(simd, high), low: T::load(simd, low) };
            for (r, row) in similar.chunks_exact(width).enumerate().take(STRIP) {
                let similarity = T::load(simd, &row[at * T::LANES..][..T::LANES]);
                let gain = (similarity - T::splat(simd, self.items.coverage[first + r])).max(zero);
                let weight = self.items.weights.map_or(T::ONE, |weights| weights[first + r]);
                sum.block = gain.mul_add(T::splat(simd, weight), sum.block);
            }
            sum.close(simd);
            sum.high.store_slice(high);
            sum.low.store_slice(low);
        }
    }
}

/// Similarities in place of squared distances.
#[inline(always)]
fn similarities<T: Real, S: Simd>(simd: S, similarity: Similarity, pairs: &mut [T]) {
    for pair in pairs.chunks_exact_mut(T::LANES) {
        similarity.of_lanes::<T, S>(simd, T::load(simd, pair)).store_slice(pair);
    }
}

impl<T: Real> Epilogue<T> for Gains<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        similarities(simd, self.similarity, pairs);
        self.add(simd, first, pairs, width);
    }
}

/// The epilogue of all gains: those of the columns, and of the rows by the columns' coverage.
struct Both<'a, T> {
    gains: Gains<'a, T>,
    across: Items<'a, T>,
    rows: Vec<f64>,
    /// A block with itself has its pairs twice.
    itself: bool,
}

impl<T: Real> Epilogue<T> for Both<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        similarities(simd, self.gains.similarity, pairs);
        self.gains.add(simd, first, pairs, width);
        if self.itself {
            return;
        }
        for row in pairs.chunks_exact(width) {
            self.rows.push(self.across.sum(simd, row));
        }
    }
}

/// The epilogue of losses, by rows.
struct Losses<'a, T> {
    similarity: Similarity,
    items: Items<'a, T>,
    rows: &'a mut [f64],
}

impl<T: Real> Epilogue<T> for Losses<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        similarities(simd, self.similarity, pairs);
        for (row, loss) in pairs.chunks_exact(width).zip(&mut self.rows[first..]) {
            *loss += self.items.sum(simd, row);
        }
    }
}

/// The epilogue of covering with the row of the first column.
struct Cover<'a, T> {
    similarity: Similarity,
    coverage: &'a mut [T],
    /// The item that the first coverage is of.
    first: usize,
    changes: Vec<(usize, T)>,
}

impl<T: Real> Epilogue<T> for Cover<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let similarity = self.similarity.of_lanes::<T, S>(simd, T::load(simd, &row[..T::LANES]))[0];
            let coverage = &mut self.coverage[first + r];
            if similarity > *coverage {
                self.changes.push((self.first + first + r, *coverage));
                *coverage = similarity;
            }
        }
    }
}
