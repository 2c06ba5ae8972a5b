//! Facility location: picks that together stand for the pool. Each item is covered by its most similar pick, and each pick
//! brings the largest gain Σ w max(0, s − coverage) (Nemhauser, Wolsey & Fisher 1978). With the rbf kernel it is the objective
//! of `MaxHerding` (Bae, Noh & Sutherland 2024).
//!
//! Gains only ever fall, so that an old one is an upper bound (Minoux 1978): the rows of the largest bounds are evaluated, some
//! tens at once as one tile against the pool, until one that is evaluated is ahead of all bounds. Similarities are computed
//! on the way and never kept: O(n) memory. Gains are summed in float64 by blocks of rows in their order.

use std::ops::Range;

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::centres::{Bound, Bounded, Centres, refresh, settle};
use super::{Open, Picks, Work};
use crate::distance::{Block, Space, squared_distances};
use crate::error::Error;
use crate::exact::Metric;
use crate::pool::{InOrder, Par, Watch};
use crate::real::Real;
use crate::rows::Rows;
use crate::sum::Sum;
use crate::tile::{Epilogue, STRIP, side};

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

    fn of(self, squared: f64) -> f64 {
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

/// Rows that are evaluated at once, at first: the columns of a tile.
const BATCH: usize = 48;

/// The k picks and their gains. Coverage starts with what is labelled, or at 0. O(n² d) for the first pick, often a few n d for
/// each other; O(n) memory.
///
/// # Errors
/// [`Error::BatchTooLarge`]; [`Error::Row`] for a row that is not finite; [`Error::Stopped`].
pub fn facility_location<T: Real>(
    rows: &Rows<'_, T>,
    k: usize,
    labelled: &Centres<T>,
    weights: Option<&[f64]>,
    similarity: Similarity,
    mut open: Open<'_>,
    par: Par<'_>,
) -> Result<(Picks<f64>, Work), Error> {
    let n = rows.len();
    open.check(k, 0..n)?;
    let mut bounds: Vec<(usize, f64)> =
        (0..n).filter(|&row| open.can(row)).map(|row| (row, f64::INFINITY)).collect();
    let metric = similarity.metric();
    let space = metric.space(rows);
    let mut coverage = vec![T::ZERO; n];
    if !labelled.is_empty() {
        let mut nearest: Vec<Bounded> = (0..n).map(|row| (row, Bound::NOTHING)).collect();
        refresh(rows, labelled, metric, &space, &mut nearest, &|_, _| true, par)?;
        settle(rows, labelled, metric, &mut nearest, par)?;
        for (row, bound) in nearest {
            coverage[row] = T::from_f64(similarity.of(bound.squared));
        }
    }
    let weights = weights.map(|weights| weights.iter().map(|&w| T::from_f64(w)).collect::<Vec<T>>());
    let pool = Pool { rows, space: &space, similarity, weights: weights.as_deref() };
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let (mut watch, mut work) = (Watch::default(), Work::default());
    // The first time every row is evaluated, and so in blocks as large as a tile allows.
    let first = side::<T>(rows.width());
    for chunk in bounds.chunks_mut(first) {
        let candidates: Vec<usize> = chunk.iter().map(|&(row, _)| row).collect();
        for ((_, bound), gain) in chunk.iter_mut().zip(pool.gains(&candidates, &coverage, par)?) {
            *bound = gain;
        }
        work.distances += n * candidates.len();
        work.sweeps += 1;
        watch.ask(par, work.distances as f64 / (2 * n * n) as f64)?;
    }
    let mut fresh = vec![true; bounds.len()];
    let mut batch = BATCH;
    let order = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    while picks.indices.len() < k {
        let ahead = (0..bounds.len())
            .reduce(|best, at| if order(&bounds[at], &bounds[best]).is_lt() { at } else { best });
        let Some(best) = ahead else { break };
        if !fresh[best] {
            let mut stale: Vec<usize> = (0..bounds.len()).filter(|&at| !fresh[at]).collect();
            if stale.len() > batch {
                stale.select_nth_unstable_by(batch - 1, |&a, &b| order(&bounds[a], &bounds[b]));
                stale.truncate(batch);
            }
            // Where bounds tell little, more at once cost less each.
            batch = (2 * batch).min(first);
            let candidates: Vec<usize> = stale.iter().map(|&at| bounds[at].0).collect();
            for (&at, gain) in stale.iter().zip(pool.gains(&candidates, &coverage, par)?) {
                // Rounding must not make a bound rise.
                bounds[at].1 = bounds[at].1.min(gain);
                fresh[at] = true;
            }
            work.distances += n * candidates.len();
            work.sweeps += 1;
            watch.ask(par, 0.5 + 0.5 * picks.indices.len() as f64 / k as f64)?;
            continue;
        }
        batch = BATCH;
        let (row, gain) = bounds.swap_remove(best);
        fresh.swap_remove(best);
        picks.indices.push(row);
        picks.values.push(gain);
        pool.cover(row, &mut coverage, par)?;
        if open.take(row) {
            bounds.retain(|&(row, _)| open.can(row));
            fresh.truncate(bounds.len());
        }
        fresh.fill(false);
    }
    Ok((picks, work))
}

/// The pool, and how it is covered.
struct Pool<'a, 'b, T> {
    rows: &'a Rows<'b, T>,
    space: &'a Space<T>,
    similarity: Similarity,
    weights: Option<&'a [T]>,
}

impl<T: Real> Pool<'_, '_, T> {
    /// Some rows of the pool as the columns of tiles.
    fn columns(&self, candidates: &[usize], par: Par<'_>) -> Result<Block<T>, Error> {
        let mut block = Block::default();
        block.gather(self.rows, candidates.iter().copied(), self.space, "features", par.level)?;
        block.pack(par.level);
        Ok(block)
    }

    /// The gain of each of some rows.
    fn gains(&self, candidates: &[usize], coverage: &[T], par: Par<'_>) -> Result<Vec<f64>, Error> {
        let columns = self.columns(candidates, par)?;
        let (n, d) = (self.rows.len(), self.rows.width());
        let side = side::<T>(d);
        let whole = InOrder::new(vec![0.0; candidates.len()]);
        let size = n.saturating_mul(candidates.len()).saturating_mul(d / 8 + 1);
        let start = || (Block::default(), Vec::new());
        par.run((0..n).step_by(side).enumerate(), size, start, |(block, strip), (number, first)| {
            let range = first..(first + side).min(n);
            block.load(self.rows, range.clone(), self.space, "features", par.level)?;
            let mut gains = Gains {
                similarity: self.similarity,
                coverage: &coverage[range.clone()],
                weights: self.weights.map(|weights| &weights[range]),
                high: vec![T::ZERO; columns.width()],
                low: vec![T::ZERO; columns.width()],
            };
            squared_distances(block, &columns, &mut gains, strip, par.level);
            let sums = gains.high.iter().zip(&gains.low).map(|(high, low)| high.to_f64() + low.to_f64());
            whole.add(number, sums.collect::<Vec<f64>>());
            Ok(())
        })?;
        Ok(whole.into_whole())
    }

    /// Covers the pool with one more row.
    fn cover(&self, row: usize, coverage: &mut [T], par: Par<'_>) -> Result<(), Error> {
        let columns = self.columns(&[row], par)?;
        let (n, d) = (self.rows.len(), self.rows.width());
        let side = side::<T>(d);
        let start = || (Block::default(), Vec::new());
        let jobs = coverage.chunks_mut(side).enumerate();
        par.run(jobs, n * d, start, |(block, strip), (number, coverage)| {
            let range: Range<usize> = number * side..number * side + coverage.len();
            block.load(self.rows, range, self.space, "features", par.level)?;
            let mut cover = Cover { similarity: self.similarity, coverage };
            squared_distances(block, &columns, &mut cover, strip, par.level);
            Ok(())
        })?;
        Ok(())
    }
}

/// The epilogue of gains: Σ w max(0, s − coverage), by columns.
struct Gains<'a, T> {
    similarity: Similarity,
    coverage: &'a [T],
    weights: Option<&'a [T]>,
    high: Vec<T>,
    low: Vec<T>,
}

impl<T: Real> Epilogue<T> for Gains<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        let zero = T::splat(simd, T::ZERO);
        let sums = self.high.chunks_exact_mut(T::LANES).zip(self.low.chunks_exact_mut(T::LANES));
        for (at, (high, low)) in sums.enumerate() {
            let mut sum = Sum::<T, S> { block: zero, high: T::load(simd, high), low: T::load(simd, low) };
            for (r, row) in pairs.chunks_exact(width).enumerate().take(STRIP) {
                let squared = T::load(simd, &row[at * T::LANES..][..T::LANES]);
                let similarity = self.similarity.of_lanes::<T, S>(simd, squared);
                let gain = (similarity - T::splat(simd, self.coverage[first + r])).max(zero);
                let weight = self.weights.map_or(T::ONE, |weights| weights[first + r]);
                sum.block = gain.mul_add(T::splat(simd, weight), sum.block);
            }
            sum.close(simd);
            sum.high.store_slice(high);
            sum.low.store_slice(low);
        }
    }
}

/// The epilogue of covering with the row of the first column.
struct Cover<'a, T> {
    similarity: Similarity,
    coverage: &'a mut [T],
}

impl<T: Real> Epilogue<T> for Cover<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let similarity = self.similarity.of_lanes::<T, S>(simd, T::load(simd, &row[..T::LANES]))[0];
            let coverage = &mut self.coverage[first + r];
            if similarity > *coverage {
                *coverage = similarity;
            }
        }
    }
}
