//! Distances to the nearest of a growing list of centres, known lazily and decided in float64.
//!
//! Each row has an upper bound on its squared distance to the nearest centre: the true one among the centres
//! up to some place in the list. More centres only bring it down, so that a bound that is already too low to
//! matter need never be refreshed. A refresh goes by tile: the product form, in the element type, tells
//! within a certified slack how far the nearest centre is, and mostly which that is. Distances are exact, in
//! the one order that querist documents, that of `exact.rs`, where the tile cannot tell two centres apart,
//! and once a row is a candidate. So the tile's rounding costs candidates, never the answer. Road not taken:
//! to compute exactly whatever the tile puts under the bound, row by row as it comes; MMR took 1.6 times as
//! long, k-center 1.3 times.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::distance::{Block, Space, fault_of, slack, squared_distances, unit_rows, vanishing};
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::{Par, Watch};
use crate::real::{Real, all_lanes};
use crate::rows::Rows;
use crate::simd::{Kernel, Level};
use crate::sum::tree;
use crate::tile::{Epilogue, side};

/// Rows that become centres before the clock is looked at.
const LOOKED_AT: usize = 1 << 10;

/// A growing list of centres.
#[derive(Debug, Clone, Default)]
pub struct Centres<T> {
    /// As they were given.
    rows: Vec<T>,
    /// As they are compared.
    exact: Vec<f64>,
    /// Of directions: whether a row is all zeros, and so as far from everything as any other such row.
    zeros: Vec<bool>,
    d: usize,
    count: usize,
}

impl<T: Real> Centres<T> {
    pub(crate) fn new(d: usize) -> Self {
        Self { rows: Vec::new(), exact: Vec::new(), zeros: Vec::new(), d, count: 0 }
    }

    /// Some rows of a matrix.
    ///
    /// # Errors
    /// As [`extend`](Centres::extend).
    pub fn of(
        rows: &Rows<'_, T>,
        which: impl IntoIterator<Item = usize>,
        metric: Metric,
        argument: &'static str,
        par: Par<'_>,
    ) -> Result<Self, Error> {
        let mut centres = Self::new(rows.width());
        centres.extend(rows, which, metric, argument, par)?;
        Ok(centres)
    }

    /// Adds some rows of a matrix of the same width.
    ///
    /// # Errors
    /// [`Error::Row`] for a row that is not finite, or whose distances might not be; [`Error::Stopped`]; then none is
    /// added.
    pub fn extend(
        &mut self,
        rows: &Rows<'_, T>,
        which: impl IntoIterator<Item = usize>,
        metric: Metric,
        argument: &'static str,
        par: Par<'_>,
    ) -> Result<(), Error> {
        let (before, which) = (self.count, which.into_iter());
        let more = which.size_hint().0 * self.d;
        self.rows.reserve(more);
        self.exact.reserve(more);
        let (mut block, mut exact, mut watch) = (Vec::new(), Vec::new(), Watch::default());
        for (number, row) in which.enumerate() {
            let given = rows.read(row..row + 1, &mut block);
            let squared: f64 = given.iter().map(|x| x.to_f64()).map(|x| x * x).sum();
            // Rows are centred before they are compared, which may double them.
            let fault = squared.is_nan() || squared > T::LARGEST / 16.0;
            let stopped = if number % LOOKED_AT == LOOKED_AT - 1 { watch.ask(par, 0.0) } else { Ok(()) };
            if fault || stopped.is_err() {
                self.truncate(before);
                stopped?;
                return Err(Error::Row { argument, row, member: None, fault: fault_of(given) });
            }
            exact_row(given, metric, &mut exact, par.level);
            self.rows.extend_from_slice(given);
            self.exact.extend_from_slice(&exact);
            self.zeros.push(metric == Metric::Cosine && is_zero(&exact));
            self.count += 1;
        }
        Ok(())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// As they are compared, row after row in float64: as they were given, or of length 1.
    #[must_use]
    pub fn into_compared(self) -> Vec<f64> {
        self.exact
    }

    pub(crate) fn truncate(&mut self, count: usize) {
        self.rows.truncate(count * self.d);
        self.exact.truncate(count * self.d);
        self.zeros.truncate(count);
        self.count = self.count.min(count);
    }

    pub(crate) fn exact(&self, j: usize) -> &[f64] {
        &self.exact[j * self.d..][..self.d]
    }
}

/// What is known of a row: how near the first `seen` centres come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// The squared distance to the nearest of them; while it is [open](Bound::is_open), the tile's with its
    /// slack for the pair.
    pub(crate) squared: f64,
    /// Which that is, and whether the distance to it is still to be computed exactly.
    nearest: u32,
    seen: u32,
}

impl Bound {
    /// Of a row that has seen no centre.
    pub(crate) const NOTHING: Self = Self { squared: f64::INFINITY, nearest: 0, seen: 0 };
    /// The bit that says that what the tile said has not been computed again.
    const OPEN: u32 = 1 << 31;

    /// Of a row whose distance is exact.
    pub(crate) fn exactly(squared: f64, nearest: usize, seen: usize) -> Self {
        Self { squared, nearest: small(nearest), seen: small(seen) }
    }

    /// The same for a row that is out of the question.
    pub(crate) fn never(self) -> Self {
        Self { squared: -1.0, ..self }
    }

    pub(crate) fn is_never(self) -> bool {
        self.squared < 0.0
    }

    pub(crate) fn is_open(self) -> bool {
        self.nearest & Self::OPEN != 0
    }

    pub(crate) fn nearest(self) -> usize {
        (self.nearest & !Self::OPEN) as usize
    }

    pub(crate) fn seen(self) -> usize {
        self.seen as usize
    }
}

fn is_zero(row: &[f64]) -> bool {
    row.iter().all(|&x| x == 0.0)
}

/// A number of centres, of which there are fewer than 2^31.
#[expect(clippy::cast_possible_truncation, reason = "memory ends long before")]
fn small(count: usize) -> u32 {
    count as u32
}

/// A row of the pool and what is known of it.
pub(crate) type Bounded = (usize, Bound);

/// Centres that a row is compared with at first, then with as many again: few are enough to give most rows
/// up. Ranked batch with 500 labelled rows took 1.4 times as long with a whole block at first, and the others
/// up to 1.2.
const FIRST: usize = 96;

/// Brings bounds up to date with all centres, but gives a row up once its bound does not matter any more.
/// Distances are left open: [`settle`] makes exact those that are needed. What the threads hold is kept from
/// one call to the next in `workers`. Returns how many distances the tiles have computed. `bounds` come in the order
/// of their rows.
pub(crate) fn refresh<T: Real>(
    rows: &Rows<'_, T>,
    centres: &Centres<T>,
    (metric, space): (Metric, &Space<T>),
    bounds: &mut [Bounded],
    matters: &(dyn Fn(usize, f64) -> bool + Sync),
    workers: &mut Vec<Worker<T>>,
    par: Par<'_>,
) -> Result<usize, Error> {
    let d = rows.width();
    if centres.is_empty() || bounds.is_empty() {
        return Ok(0);
    }
    let side = side::<T>(d);
    // Those that have seen as many stand together, and go through memory in order.
    bounds.sort_by_key(|(_, bound)| bound.seen);
    let size = bounds.len().saturating_mul(centres.len() * (d / 8 + 1));
    let all = Rows::of(&centres.rows, d);
    let idle = Mutex::new(std::mem::take(workers));
    let start = || idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
    let states = par.run(bounds.chunks_mut(side), size, start, |worker, bounds| {
        let first = bounds.iter().map(|(_, bound)| bound.seen()).min().unwrap_or(0);
        let mut from = first;
        while from < centres.len() {
            let to = (from + from.clamp(FIRST.min(side), side)).min(centres.len());
            let (open, _) = partition(bounds, |&(row, bound)| matters(row, bound.squared));
            if open.is_empty() {
                break;
            }
            worker.fold(rows, &all, centres, (metric, space), open, from..to, par)?;
            from = to;
        }
        Ok(())
    })?;
    *workers = states;
    Ok(workers.iter_mut().map(|worker| std::mem::take(&mut worker.evaluated)).sum())
}

/// Rows that a thread settles at once.
const SETTLED: usize = 256;

/// Computes exactly what [`refresh`] has left open.
pub(crate) fn settle<T: Real>(
    rows: &Rows<'_, T>,
    centres: &Centres<T>,
    metric: Metric,
    bounds: &mut [Bounded],
    par: Par<'_>,
) -> Result<(), Error> {
    let size = bounds.len().saturating_mul(4 * rows.width());
    let start = || (Vec::new(), Vec::new());
    par.run(bounds.chunks_mut(SETTLED), size, start, |(one, wide), bounds| {
        for (row, bound) in bounds.iter_mut().filter(|(_, bound)| bound.is_open()) {
            exact_row(rows.read(*row..*row + 1, one), metric, wide, par.level);
            let centre = bound.nearest();
            exact(std::iter::once(centres.exact(centre)), wide, metric, par.level, |squared| {
                *bound = Bound::exactly(squared, centre, bound.seen());
            });
        }
        Ok(())
    })?;
    Ok(())
}

/// Puts those for which it holds first.
fn partition(bounds: &mut [Bounded], holds: impl Fn(&Bounded) -> bool) -> (&mut [Bounded], &mut [Bounded]) {
    let mut count = 0;
    for i in 0..bounds.len() {
        if holds(&bounds[i]) {
            bounds.swap(count, i);
            count += 1;
        }
    }
    bounds.split_at_mut(count)
}

/// What a thread holds.
#[derive(Default)]
pub(crate) struct Worker<T> {
    left: Block<T>,
    right: Block<T>,
    strip: Vec<T>,
    one: Vec<T>,
    row: Vec<f64>,
    near: Vec<usize>,
    evaluated: usize,
}

impl<T: Real> Worker<T> {
    /// Folds some centres into the bounds of up to a block of rows.
    #[expect(clippy::too_many_arguments, reason = "rows, centres, and how they are compared")]
    fn fold(
        &mut self,
        rows: &Rows<'_, T>,
        all: &Rows<'_, T>,
        centres: &Centres<T>,
        (metric, space): (Metric, &Space<T>),
        bounds: &mut [Bounded],
        range: std::ops::Range<usize>,
        par: Par<'_>,
    ) -> Result<(), Error> {
        let d = rows.width();
        self.left.gather(rows, bounds.iter().map(|&(row, _)| row), space, "features", par.level)?;
        self.right.load(all, range.clone(), space, "features", par.level)?;
        self.right.pack(par.level);
        self.evaluated += bounds.len() * range.len();
        let mut epilogue = Nearest {
            bounds,
            norms: self.left.norms(),
            centre_norms: self.right.norms(),
            centres,
            rows,
            metric,
            range,
            slack: slack::<T>(d, self.left.largest_norm() + self.right.largest_norm()),
            one: &mut self.one,
            row: &mut self.row,
            near: &mut self.near,
            level: par.level,
        };
        squared_distances(&self.left, &self.right, &mut epilogue, &mut self.strip, par.level);
        Ok(())
    }
}

/// The epilogue: bounds that come down, and exact distances where the tile cannot tell which centre is the nearest.
struct Nearest<'a, T> {
    bounds: &'a mut [Bounded],
    /// Of the rows as they are multiplied.
    norms: &'a [T],
    /// Of the centres in hand.
    centre_norms: &'a [T],
    centres: &'a Centres<T>,
    rows: &'a Rows<'a, T>,
    metric: Metric,
    /// The centres in hand.
    range: std::ops::Range<usize>,
    slack: f64,
    one: &'a mut Vec<T>,
    /// The row in hand, as it is compared.
    row: &'a mut Vec<f64>,
    /// Centres that may be the nearest.
    near: &'a mut Vec<usize>,
    level: Level,
}

impl<T: Real> Nearest<'_, T> {
    /// The least that the squared distance of row r can be to what was its nearest centre before.
    fn least(&self, r: usize) -> f64 {
        let bound = self.bounds[r].1;
        if !bound.is_open() || bound.squared.is_infinite() {
            return bound.squared;
        }
        // Twice the tile's slack for this pair, whose centre is no longer than ‖x‖ + d.
        let norm = self.norms[r].to_f64();
        let centre = norm.sqrt() + bound.squared.sqrt();
        bound.squared - 2.0 * slack::<T>(self.centres.d, norm + centre * centre)
    }

    /// Computes exactly the distances of row r to its nearest centre so far and to those that the tile puts
    /// under `bar`.
    #[inline(never)]
    fn decide(&mut self, r: usize, pairs: &[T], bar: T) {
        let (row, bound) = &mut self.bounds[r];
        exact_row(self.rows.read(*row..*row + 1, self.one), self.metric, self.row, self.level);
        if self.metric == Metric::Cosine && is_zero(self.row) {
            // At the same distance from all, of which the first counts.
            *bound = Bound::exactly(2.0, 0, bound.seen());
            return;
        }
        let near = pairs.iter().enumerate().filter(|&(_, &d2)| d2 <= bar).map(|(j, _)| self.range.start + j);
        // Of centres that are zeros, and of those at no distance, the first is enough.
        let (zero, same) = (Cell::new(false), Cell::new(false));
        let near = near.filter(|&centre| !self.centres.zeros[centre] || !zero.replace(true));
        let before = bound.is_open().then(|| bound.nearest());
        let near = before.into_iter().chain(near);
        if before.is_some() {
            *bound = Bound { squared: f64::INFINITY, ..*bound };
        }
        self.near.clear();
        self.near.extend(near);
        let mut numbers = self.near.iter().copied();
        let rows = self.near.iter().take_while(|_| !same.get()).map(|&centre| self.centres.exact(centre));
        exact(rows, self.row, self.metric, self.level, |squared| {
            let centre = numbers.next().unwrap_or_default();
            same.set(same.get() || squared == 0.0);
            if squared.total_cmp(&bound.squared).then(centre.cmp(&bound.nearest())).is_lt() {
                *bound = Bound::exactly(squared, centre, bound.seen());
            }
        });
    }
}

impl<T: Real> Epilogue<T> for Nearest<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let r = first + r;
            let mut least = T::splat(simd, T::INFINITY);
            for d2 in row.chunks_exact(T::LANES) {
                least = least.min(T::load(simd, d2));
            }
            let least = tree(least.as_slice(), |a, b| if b < a { b } else { a }).to_f64();
            // The nearest of these is at most so far away, and so is seen by the tile at `least` + 2 slack or
            // under it.
            let most = least + self.slack;
            let before = self.bounds[r].1.squared;
            // Nothing goes before the first centre at no distance.
            let settled = before == 0.0 && !self.bounds[r].1.is_open();
            let bar = before.min(most) + self.slack;
            if least <= bar && !settled {
                let bar = T::from_f64(bar * (1.0 + 2.0 * T::EPSILON.to_f64()) + vanishing::<T>(0));
                let bars = T::splat(simd, bar);
                let (mut count, mut at) = (0, 0);
                for (group, d2) in row.chunks_exact(T::LANES).enumerate() {
                    let near = T::load(simd, d2).simd_le(bars).to_bitmask() & all_lanes::<T>();
                    if near != 0 {
                        count += near.count_ones();
                        at = group * T::LANES + near.trailing_zeros() as usize;
                    }
                }
                let norms = self.norms[r].to_f64() + self.centre_norms[at].to_f64();
                let squared = least + slack::<T>(self.centres.d, norms);
                if count == 1 && squared < self.least(r) {
                    let bound = &mut self.bounds[r].1;
                    bound.squared = squared;
                    bound.nearest = small(self.range.start + at) | Bound::OPEN;
                } else {
                    self.decide(r, &row[..self.range.len()], bar);
                }
            }
            let bound = &mut self.bounds[r].1;
            bound.seen = bound.seen.max(small(self.range.end));
        }
    }
}

/// Some rows as they are compared, in the element type.
pub(crate) fn quick_rows<T: Real>(
    rows: &Rows<'_, T>,
    which: &[usize],
    metric: Metric,
    level: Level,
    out: &mut Vec<T>,
) {
    out.clear();
    let mut one = Vec::new();
    for &row in which {
        out.extend_from_slice(rows.read(row..row + 1, &mut one));
    }
    if metric == Metric::Cosine {
        unit_rows(out, rows.width(), level);
    }
}

/// The kernel that rules out: which rows might be nearer to one row than others are known to be.
/// Differences in the element type do not cancel; their rounding is a few eps of the squared distance, and
/// for rows that were scaled to length 1 a few eps.
pub(crate) struct MightBeNearer<'a, T> {
    /// [`quick_rows`].
    pub(crate) rows: &'a [T],
    pub(crate) row: &'a [T],
    pub(crate) metric: Metric,
    /// How near these are; nothing is nearer than 0.
    pub(crate) squared: f64,
    /// The rows that might be nearer.
    pub(crate) found: &'a mut Vec<usize>,
}

impl<T: Real> Kernel for MightBeNearer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let d = self.row.len();
        let whole = d / T::LANES * T::LANES;
        let epsilon = T::EPSILON.to_f64();
        let relative = 1.0 + (d as f64 / 4.0 + 32.0) * epsilon;
        let absolute = vanishing::<T>(d) + if self.metric == Metric::Cosine { 64.0 * epsilon } else { 0.0 };
        let bar = self.squared * relative + absolute;
        for (at, x) in self.rows.chunks_exact(d).enumerate() {
            let mut sum = T::splat(simd, T::ZERO);
            for at in (0..whole).step_by(T::LANES) {
                let difference =
                    T::load(simd, &x[at..at + T::LANES]) - T::load(simd, &self.row[at..at + T::LANES]);
                sum = difference.mul_add(difference, sum);
            }
            let mut total = tree(sum.as_slice(), |a, b| a + b).to_f64();
            for (&x, &y) in x[whole..].iter().zip(&self.row[whole..]) {
                let difference = x.to_f64() - y.to_f64();
                total += difference * difference;
            }
            if self.squared > 0.0 && total <= bar {
                self.found.push(at);
            }
        }
    }
}

/// For each row the nearest of some rows of the pool, the earlier one of two that are as near, and the
/// distance to it. O(n k d) at most.
///
/// # Errors
/// [`Error::Shape`] if `which` is empty; [`Error::Row`] for a row that is not finite; [`Error::Stopped`].
pub fn nearest<T: Real>(
    rows: &Rows<'_, T>,
    which: &[usize],
    metric: Metric,
    par: Par<'_>,
) -> Result<(Vec<usize>, Vec<f64>), Error> {
    if which.is_empty() {
        return Err(Error::shape("picks", &"at least one pick", &"none"));
    }
    let space = metric.space(rows);
    let centres = Centres::of(rows, which.iter().copied(), metric, "features", par)?;
    let mut bounds: Vec<Bounded> = (0..rows.len()).map(|row| (row, Bound::NOTHING)).collect();
    refresh(rows, &centres, (metric, &space), &mut bounds, &|_, _| true, &mut Vec::new(), par)?;
    settle(rows, &centres, metric, &mut bounds, par)?;
    bounds.sort_unstable_by_key(|&(row, _)| row);
    Ok(bounds.into_iter().map(|(_, bound)| (bound.nearest(), metric.distance(bound.squared))).unzip())
}
