//! Facility location: picks that together stand for the pool. Each item is covered by its most similar pick,
//! and each pick brings the largest gain Σ w max(0, s − coverage) (Nemhauser, Wolsey & Fisher 1978). With the
//! rbf kernel it is the objective of `MaxHerding` (Bae, Noh & Sutherland 2024).
//!
//! Gains only ever fall, so that an old one is an upper bound (Minoux 1978). Three things keep what is
//! computed far from n² a pick. Where most rows are to be evaluated, as for the first two picks, each pair is
//! computed once for both of its rows. The rows of the largest bounds are brought up to date at each pick by
//! the items alone that it covers better, soon a few in a hundred: a gain falls by Σ w (max(0, s − before) −
//! max(0, s − now)). And the few rows that are then ahead are evaluated over all items, always in the same
//! order, so that equal rows have equal gains and values do not depend on the way there; what the first two
//! leave is a bound, a little more than rounding too high. Similarities are computed on the way and never
//! kept: O(n) memory.
//!
//! Road not taken: to evaluate the largest bounds over all items until one is ahead. 200 picks of 20,000 rows
//! then took 4.0 n² similarities with the rbf kernel and 8.1 with the cosine, where it is 2.8 and 5.9 now,
//! and 1.3 times as long.

use std::cmp::Ordering;
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
use crate::row_sums::padded;
use crate::rows::Rows;
use crate::sum::{BLOCK, Sum};
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

/// Rows that are brought up to date at once, at first: the columns of a tile.
const BATCH: usize = 48;

/// Rows that are evaluated over all items at once, to decide.
const FINALISTS: usize = 16;

/// One candidate in so many, and some, are brought up to date at each pick: of twice or half as many 200
/// picks took as long.
const KEPT_SHARE: usize = 16;

/// Numbers of a pool whose blocks are kept ready, three times as many: of a larger one they are made ready each time.
const KEPT: usize = 1 << 21;

/// The k picks and their gains. Coverage starts with what is labelled, or at 0. O(n² d / 2) for the first
/// pick, often a few n d for each other; O(n) memory.
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
    let metric = similarity.metric();
    let space = metric.space(rows);
    let mut coverage = vec![T::ZERO; n];
    if !labelled.is_empty() {
        let mut nearest: Vec<Bounded> = (0..n).map(|row| (row, Bound::NOTHING)).collect();
        refresh(rows, labelled, (metric, &space), &mut nearest, &|_, _| true, &mut Vec::new(), par)?;
        settle(rows, labelled, metric, &mut nearest, par)?;
        for (row, bound) in nearest {
            coverage[row] = T::from_f64(similarity.of(bound.squared));
        }
    }
    let weights = weights.map(|weights| weights.iter().map(|&w| T::from_f64(w)).collect::<Vec<T>>());
    let blocks = ready(rows, &space, par)?;
    let pool = Pool { rows, space: &space, blocks, similarity, weights: weights.as_deref() };
    let candidate = |row| Candidate { row, gain: f64::INFINITY, kept: false, exact: false };
    let candidates = (0..n).filter(|&row| open.can(row)).map(candidate).collect();
    let mut greedy = Greedy { pool, candidates, coverage, batch: BATCH, work: Work::default() };
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let all = 0..greedy.candidates.len();
        let ahead = |a: &Candidate, b: &Candidate| a.order(b).is_lt();
        let best =
            all.reduce(
                |best, at| if ahead(&greedy.candidates[at], &greedy.candidates[best]) { at } else { best },
            );
        let Some(best) = best else { break };
        if !greedy.candidates[best].exact {
            greedy.narrow(par)?;
            continue;
        }
        let Candidate { row, gain, .. } = greedy.candidates.swap_remove(best);
        picks.indices.push(row);
        picks.values.push(gain);
        greedy.cover(row, par)?;
        if open.take(row) {
            greedy.candidates.retain(|candidate| open.can(candidate.row));
        }
    }
    Ok((picks, greedy.work))
}

/// A row that can be picked.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    row: usize,
    /// What it brings, or an upper bound.
    gain: f64,
    /// Whether it is brought up to date at each pick.
    kept: bool,
    /// Whether it is the gain itself, as of now.
    exact: bool,
}

impl Candidate {
    /// The larger gain first, of equal ones the first row.
    fn order(&self, other: &Self) -> Ordering {
        other.gain.total_cmp(&self.gain).then(self.row.cmp(&other.row))
    }
}

/// One call.
struct Greedy<'a, 'b, T> {
    pool: Pool<'a, 'b, T>,
    candidates: Vec<Candidate>,
    coverage: Vec<T>,
    batch: usize,
    work: Work,
}

impl<T: Real> Greedy<'_, '_, T> {
    /// Brings gains of the candidates nearer to what they are, those of the largest first.
    fn narrow(&mut self, par: Par<'_>) -> Result<(), Error> {
        let (n, most) = (self.coverage.len(), side::<T>(self.pool.rows.width()));
        let kept = self.candidates.iter().filter(|one| one.kept);
        let lead = kept.fold(f64::NEG_INFINITY, |lead, one| lead.max(one.gain));
        let is_ahead = |one: &Candidate| !one.kept && one.gain >= lead;
        let mut ahead: Vec<usize> =
            (0..self.candidates.len()).filter(|&at| is_ahead(&self.candidates[at])).collect();
        if ahead.is_empty() {
            let mut kept: Vec<usize> = (0..self.candidates.len())
                .filter(|&at| self.candidates[at].kept && !self.candidates[at].exact)
                .collect();
            self.first_of(&mut kept, FINALISTS);
            return self.evaluate(&kept, par);
        }
        if ahead.len() > n / 2 {
            let gains = self.pool.all(&self.coverage, par)?;
            for one in self.candidates.iter_mut().filter(|one| !one.exact) {
                one.gain = one.gain.min(loose::<T>(gains[one.row]));
                one.kept = true;
            }
            self.work.distances += n * n.div_ceil(2);
            self.work.sweeps += 1;
        } else {
            // Where bounds tell little, more at once cost less each.
            let count = if lead == f64::NEG_INFINITY { most } else { self.batch };
            self.batch = (2 * self.batch).min(most);
            self.first_of(&mut ahead, count);
            self.evaluate(&ahead, par)?;
        }
        self.let_go();
        Ok(())
    }

    /// Leaves the first so many, in their order.
    fn first_of(&self, which: &mut Vec<usize>, count: usize) {
        let order = |a: &usize, b: &usize| self.candidates[*a].order(&self.candidates[*b]);
        if which.len() > count {
            which.select_nth_unstable_by(count - 1, order);
            which.truncate(count);
        }
        which.sort_unstable_by(order);
    }

    /// Where many are kept up to date, lets all but the first go: their gains stay bounds, only older ones
    /// from now on.
    fn let_go(&mut self) {
        let most = self.coverage.len() / KEPT_SHARE + 512;
        let mut kept: Vec<usize> =
            (0..self.candidates.len()).filter(|&at| self.candidates[at].kept).collect();
        if kept.len() > 2 * most {
            kept.select_nth_unstable_by(most - 1, |&a, &b| self.candidates[a].order(&self.candidates[b]));
            for &at in &kept[most..] {
                self.candidates[at].kept = false;
            }
        }
    }

    /// Evaluates candidates over all items.
    fn evaluate(&mut self, which: &[usize], par: Par<'_>) -> Result<(), Error> {
        let rows: Vec<usize> = which.iter().map(|&at| self.candidates[at].row).collect();
        let items = Items { rows: None, before: None, coverage: &self.coverage, weights: self.pool.weights };
        for (&at, gain) in which.iter().zip(self.pool.gains(&rows, &items, par)?) {
            let row = self.candidates[at].row;
            self.candidates[at] = Candidate { row, gain, kept: true, exact: true };
        }
        self.work.distances += self.coverage.len() * rows.len();
        self.work.sweeps += 1;
        Ok(())
    }

    /// Covers the items with one more row, and brings what is kept up to date: by the items that are covered
    /// better now.
    fn cover(&mut self, row: usize, par: Par<'_>) -> Result<(), Error> {
        let (items, before) = self.pool.cover(row, &mut self.coverage, par)?;
        let coverage: Vec<T> = items.iter().map(|&item| self.coverage[item]).collect();
        let weights = self.pool.weights;
        let weights: Option<Vec<T>> =
            weights.map(|weights| items.iter().map(|&item| weights[item]).collect());
        let given = Items {
            rows: Some(&items),
            before: Some(&before),
            coverage: &coverage,
            weights: weights.as_deref(),
        };
        self.batch = BATCH;
        let many = 2 * items.len() > self.coverage.len();
        for one in &mut self.candidates {
            one.exact = false;
            one.kept &= !many;
        }
        let kept: Vec<usize> = (0..self.candidates.len()).filter(|&at| self.candidates[at].kept).collect();
        for kept in kept.chunks(side::<T>(self.pool.rows.width())) {
            let rows: Vec<usize> = kept.iter().map(|&at| self.candidates[at].row).collect();
            for (&at, loss) in kept.iter().zip(self.pool.gains(&rows, &given, par)?) {
                let gain = &mut self.candidates[at].gain;
                // Not lower than the gain by the rounding of either sum.
                *gain = gain.min(loose::<T>(*gain) - loss);
            }
        }
        self.work.distances += items.len() * kept.len();
        self.work.sweeps += 1;
        Ok(())
    }
}

/// A gain and more than the rounding of its sum, in which up to 8 terms are added before a sum is closed.
fn loose<T: Real>(gain: f64) -> f64 {
    gain * (1.0 + 32.0 * T::EPSILON.to_f64())
}

/// The blocks of a pool, packed; none of a large one.
fn ready<T: Real>(rows: &Rows<'_, T>, space: &Space<T>, par: Par<'_>) -> Result<Vec<Block<T>>, Error> {
    let (n, d) = (rows.len(), rows.width());
    if n.saturating_mul(d) > KEPT {
        return Ok(Vec::new());
    }
    let (side, blocks) = (side::<T>(d), InOrder::new(Vec::new()));
    par.run(
        (0..n).step_by(side).enumerate(),
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
    Ok(blocks.into_whole())
}

/// The pool.
struct Pool<'a, 'b, T> {
    rows: &'a Rows<'b, T>,
    space: &'a Space<T>,
    /// Ready for tiles, or none.
    blocks: Vec<Block<T>>,
    similarity: Similarity,
    weights: Option<&'a [T]>,
}

/// Items that are to be covered.
#[derive(Clone, Copy)]
struct Items<'a, T> {
    /// Which, all by default.
    rows: Option<&'a [usize]>,
    /// How they were covered; then it is what a gain has lost that counts.
    before: Option<&'a [T]>,
    /// How they are covered.
    coverage: &'a [T],
    weights: Option<&'a [T]>,
}

impl<'a, T: Real> Items<'a, T> {
    /// Some neighbouring ones.
    fn only(&self, range: Range<usize>) -> Self {
        let part = |numbers: &'a [T]| &numbers[range.clone()];
        Self {
            rows: self.rows.map(|rows| &rows[range.clone()]),
            before: self.before.map(part),
            coverage: part(self.coverage),
            weights: self.weights.map(part),
        }
    }
}

impl<T: Real> Pool<'_, '_, T> {
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
        let side = side::<T>(self.rows.width());
        room.load(self.rows, number * side..(number + 1) * side, self.space, "features", par.level)?;
        Ok(room)
    }

    /// The gain of each of some rows, or what it has lost.
    fn gains(&self, candidates: &[usize], items: &Items<'_, T>, par: Par<'_>) -> Result<Vec<f64>, Error> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let columns = self.columns(candidates, par)?;
        let (n, d) = (items.coverage.len(), self.rows.width());
        let side = side::<T>(d);
        let whole = InOrder::new(vec![0.0; candidates.len()]);
        let size = n.saturating_mul(candidates.len()).saturating_mul(d / 8 + 1);
        let start = || (Block::default(), Vec::new());
        par.run((0..n).step_by(side).enumerate(), size, start, |(room, strip), (number, first)| {
            let items = items.only(first..(first + side).min(n));
            let block = match items.rows {
                Some(rows) => {
                    room.gather(self.rows, rows.iter().copied(), self.space, "features", par.level)?;
                    &*room
                }
                None => self.block(number, room, par)?,
            };
            let mut gains = Gains {
                similarity: self.similarity,
                items,
                high: vec![T::ZERO; columns.width()],
                low: vec![T::ZERO; columns.width()],
            };
            squared_distances(block, &columns, &mut gains, strip, par.level);
            whole.add(number, gains.sums());
            Ok(())
        })?;
        Ok(whole.into_whole())
    }

    /// The gain of every row, each pair computed once.
    fn all(&self, coverage: &[T], par: Par<'_>) -> Result<Vec<f64>, Error> {
        let (n, d) = (self.rows.len(), self.rows.width());
        let side = side::<T>(d);
        let count = n.div_ceil(side);
        let sums: Vec<_> =
            (0..n).step_by(side).map(|first| InOrder::new(vec![0.0; side.min(n - first)])).collect();
        let items = Items { rows: None, before: None, coverage, weights: self.weights };
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
    fn cover(&self, row: usize, coverage: &mut [T], par: Par<'_>) -> Result<(Vec<usize>, Vec<T>), Error> {
        let columns = self.columns(&[row], par)?;
        let (n, d) = (self.rows.len(), self.rows.width());
        let side = side::<T>(d);
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

/// The epilogue of gains: Σ w max(0, s − coverage), by columns; or what these have lost.
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
                let over = |coverage: T| (similarity - T::splat(simd, coverage)).max(zero);
                let mut gain = over(self.items.coverage[first + r]);
                if let Some(before) = self.items.before {
                    gain = over(before[first + r]) - gain;
                }
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
        let zero = T::splat(simd, T::ZERO);
        for row in pairs.chunks_exact(width) {
            let mut sum = Sum::<T, S>::new(simd);
            for (at, similar) in row.chunks_exact(T::LANES).enumerate() {
                let at = at * T::LANES;
                // What only fills the last vector is infinitely far: its similarity is 0, and so is what it gains.
                let part = |numbers: &[T], simd: S| padded(simd, &numbers[at..]);
                let gain = (T::load(simd, similar) - part(self.across.coverage, simd)).max(zero);
                let weight =
                    self.across.weights.map_or(T::splat(simd, T::ONE), |weights| part(weights, simd));
                sum.block = gain.mul_add(weight, sum.block);
                if at / T::LANES % BLOCK == BLOCK - 1 {
                    sum.close(simd);
                }
            }
            sum.close(simd);
            self.rows.push(sum.fold());
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
