//! Distances to the nearest of a growing list of centres, known lazily and decided in float64.
//!
//! Each row has an upper bound on its squared distance to the nearest centre: the true one among the centres up to some
//! place in the list. More centres only bring it down, so that a bound that is already too low to matter need never be
//! refreshed. A refresh goes by tile: the product form, in the element type, rules out almost all centres; the few whose
//! distance might be smaller than the bound are computed exactly, in the one order that querist documents,
//! that of `exact.rs`. So the tile's rounding costs candidates, never the answer.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::distance::{Block, Space, fault_of, normalise, squared_distances};
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::{Kernel, Level};
use crate::tile::{Epilogue, side};

/// A growing list of centres.
#[derive(Debug, Clone, Default)]
pub struct Centres<T> {
    /// As they were given.
    rows: Vec<T>,
    /// As they are compared.
    exact: Vec<f64>,
    d: usize,
    count: usize,
}

impl<T: Real> Centres<T> {
    pub(crate) fn new(d: usize) -> Self {
        Self { rows: Vec::new(), exact: Vec::new(), d, count: 0 }
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
    ) -> Result<Self, Error> {
        let mut centres = Self::new(rows.width());
        centres.extend(rows, which, metric, argument)?;
        Ok(centres)
    }

    /// Adds some rows of a matrix of the same width.
    ///
    /// # Errors
    /// [`Error::Row`] for a row that is not finite, or whose distances might not be; then none is added.
    pub fn extend(
        &mut self,
        rows: &Rows<'_, T>,
        which: impl IntoIterator<Item = usize>,
        metric: Metric,
        argument: &'static str,
    ) -> Result<(), Error> {
        let before = self.count;
        let mut block = Vec::new();
        for row in which {
            let given = rows.read(row..row + 1, &mut block);
            let squared: f64 = given.iter().map(|x| x.to_f64()).map(|x| x * x).sum();
            // Rows are centred before they are compared, which may double them.
            if squared.is_nan() || squared > T::LARGEST / 16.0 {
                self.truncate(before);
                return Err(Error::Row { argument, row, member: None, fault: fault_of(given) });
            }
            self.push(given, metric);
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

    fn push(&mut self, row: &[T], metric: Metric) {
        let mut exact = Vec::new();
        exact_row(row, metric, &mut exact);
        self.rows.extend_from_slice(row);
        self.exact.extend_from_slice(&exact);
        self.count += 1;
    }

    pub(crate) fn truncate(&mut self, count: usize) {
        self.rows.truncate(count * self.d);
        self.exact.truncate(count * self.d);
        self.count = self.count.min(count);
    }

    pub(crate) fn exact(&self, j: usize) -> &[f64] {
        &self.exact[j * self.d..][..self.d]
    }
}

/// A row, its bound, and the number of centres that this is true of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) row: usize,
    /// The squared distance to the nearest of the first `seen` centres.
    pub(crate) squared: f64,
    /// Which of these that is.
    pub(crate) nearest: usize,
    pub(crate) seen: usize,
}

impl Bound {
    /// Of a row that has seen no centre.
    pub(crate) fn new(row: usize) -> Self {
        Self { row, squared: f64::INFINITY, nearest: usize::MAX, seen: 0 }
    }
}

/// Brings bounds up to date with all centres, but gives a row up once its bound does not matter any more. Returns how many
/// distances the tiles have computed.
pub(crate) fn refresh<T: Real>(
    rows: &Rows<'_, T>,
    centres: &Centres<T>,
    metric: Metric,
    space: &Space<T>,
    bounds: &mut [Bound],
    matters: impl Fn(usize, f64) -> bool + Sync,
    par: Par<'_>,
) -> Result<usize, Error> {
    let d = rows.width();
    if centres.is_empty() || bounds.is_empty() {
        return Ok(0);
    }
    let side = side::<T>(d);
    // Those that have seen as many stand together.
    bounds.sort_unstable_by_key(|bound| (bound.seen, bound.row));
    let size = bounds.len().saturating_mul(centres.len() * (d / 8 + 1));
    let start = || Worker::<T> {
        gathered: Vec::new(),
        left: Block::default(),
        right: Block::default(),
        strip: Vec::new(),
        evaluated: 0,
    };
    let all = Rows::of(&centres.rows, d);
    let states = par.run(bounds.chunks_mut(side), size, start, |worker, bounds| {
        let first = bounds.iter().map(|bound| bound.seen).min().unwrap_or(0);
        let mut from = first;
        while from < centres.len() {
            let to = (from + side).min(centres.len());
            let (open, _) = partition(bounds, |bound| matters(bound.row, bound.squared));
            if open.is_empty() {
                break;
            }
            worker.fold(rows, &all, centres, metric, space, open, from..to, par)?;
            from = to;
        }
        Ok(())
    })?;
    Ok(states.iter().map(|worker| worker.evaluated).sum())
}

/// Puts those for which it holds first.
fn partition(bounds: &mut [Bound], holds: impl Fn(&Bound) -> bool) -> (&mut [Bound], &mut [Bound]) {
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
struct Worker<T> {
    gathered: Vec<T>,
    left: Block<T>,
    right: Block<T>,
    strip: Vec<T>,
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
        metric: Metric,
        space: &Space<T>,
        bounds: &mut [Bound],
        range: std::ops::Range<usize>,
        par: Par<'_>,
    ) -> Result<(), Error> {
        let d = rows.width();
        let mut one = Vec::new();
        self.gathered.clear();
        for bound in &*bounds {
            self.gathered.extend_from_slice(rows.read(bound.row..bound.row + 1, &mut one));
        }
        let count = bounds.len();
        let left = self.left.load(&Rows::of(&self.gathered, d), 0..count, space, "features", par.level);
        left.map_err(|error| in_the_pool(error, bounds))?;
        self.right.load(all, range.clone(), space, "features", par.level)?;
        self.right.pack(par.level);
        self.evaluated += count * range.len();
        let slack = slack::<T>(d, self.left.largest_norm() + self.right.largest_norm());
        let mut epilogue = Nearest {
            bounds,
            centres,
            gathered: &self.gathered,
            metric,
            first: range.start,
            count: range.len(),
            slack,
            row: Vec::new(),
            level: par.level,
        };
        squared_distances(&self.left, &self.right, &mut epilogue, &mut self.strip, par.level);
        for bound in bounds {
            bound.seen = bound.seen.max(range.end);
        }
        Ok(())
    }
}

/// An error about a row of a block, as one about the row of the pool that it is.
fn in_the_pool(error: Error, bounds: &[Bound]) -> Error {
    match error {
        Error::Row { argument, row, member, fault } => {
            Error::Row { argument, row: bounds[row].row, member, fault }
        }
        other => other,
    }
}

/// How far a squared distance of `distance.rs` can be from the true one, given the sum of the largest squared norms. Of
/// a product: (128 + d / 128) roundings of Σ |x y| ≤ ½ (‖x‖² + ‖y‖²); of the norms, the centring and the rest, some more.
fn slack<T: Real>(d: usize, norms: f64) -> f64 {
    (160.0 + d as f64 / 64.0) * T::EPSILON.to_f64() * norms + vanishing::<T>(d)
}

/// How far a sum over d squares can be off because squares vanish: d times the smallest number, and a few.
fn vanishing<T: Real>(d: usize) -> f64 {
    8.0 * (d as f64 + 160.0) * T::TINY.to_f64() * T::EPSILON.to_f64()
}

/// The epilogue: exact distances where the bound might come down.
struct Nearest<'a, T> {
    bounds: &'a mut [Bound],
    centres: &'a Centres<T>,
    gathered: &'a [T],
    metric: Metric,
    first: usize,
    count: usize,
    slack: f64,
    /// The row in hand, as it is compared.
    row: Vec<f64>,
    level: Level,
}

impl<T: Real> Nearest<'_, T> {
    /// Computes the distances of row r that the tile puts under `bar`, exactly.
    #[inline(never)]
    fn decide(&mut self, r: usize, pairs: &[T], bar: T) {
        let d = self.centres.d;
        exact_row(&self.gathered[r * d..][..d], self.metric, &mut self.row);
        let bound = &mut self.bounds[r];
        let near = pairs.iter().enumerate().filter(|&(_, &d2)| d2 <= bar).map(|(j, _)| self.first + j);
        let mut numbers = near.clone();
        let rows = near.map(|centre| self.centres.exact(centre));
        exact(rows, &self.row, self.metric, self.level, |squared| {
            let centre = numbers.next().unwrap_or(usize::MAX);
            if (squared, centre) < (bound.squared, bound.nearest) {
                (bound.squared, bound.nearest) = (squared, centre);
            }
        });
    }
}

impl<T: Real> Epilogue<T> for Nearest<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let mut least = T::splat(simd, T::INFINITY);
            for d2 in row.chunks_exact(T::LANES) {
                least = least.min(T::load(simd, d2));
            }
            let least = least.as_slice().iter().fold(f64::INFINITY, |least, d2| least.min(d2.to_f64()));
            // The nearest is at most `least` + slack away, and so is seen by the tile at `least` + 2 slack or under it.
            let bar = self.bounds[first + r].squared.min(least + self.slack) + self.slack;
            if least <= bar {
                let bar = T::from_f64(bar * (1.0 + 2.0 * T::EPSILON.to_f64()) + vanishing::<T>(0));
                self.decide(first + r, &row[..self.count], bar);
            }
        }
    }
}

/// A row as it is compared, in the element type.
pub(crate) fn quick_row<T: Real>(row: &[T], metric: Metric, out: &mut Vec<T>) {
    let from = out.len();
    out.extend_from_slice(row);
    if metric == Metric::Cosine {
        normalise(&mut out[from..]);
    }
}

/// The kernel that rules out: which rows might be nearer to one of them than they are known to be to others. Differences
/// in the element type do not cancel; their rounding is a few eps of the squared distance, and for rows that were scaled to
/// length 1 a few eps.
pub(crate) struct MightBeNearer<'a, T> {
    /// Rows of [`quick_row`].
    pub(crate) rows: &'a [T],
    pub(crate) row: &'a [T],
    pub(crate) metric: Metric,
    /// What is known of each row; nothing is nearer than 0.
    pub(crate) squared: &'a [f64],
    /// The rows that it might be so for.
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
        for (at, (x, &squared)) in self.rows.chunks_exact(d).zip(self.squared).enumerate() {
            let mut sum = T::splat(simd, T::ZERO);
            for at in (0..whole).step_by(T::LANES) {
                let difference =
                    T::load(simd, &x[at..at + T::LANES]) - T::load(simd, &self.row[at..at + T::LANES]);
                sum = difference.mul_add(difference, sum);
            }
            let mut total: f64 = sum.as_slice().iter().map(|x| x.to_f64()).sum();
            for (&x, &y) in x[whole..].iter().zip(&self.row[whole..]) {
                let difference = x.to_f64() - y.to_f64();
                total += difference * difference;
            }
            if squared > 0.0 && total <= squared * relative + absolute {
                self.found.push(at);
            }
        }
    }
}

/// For each row the nearest of some rows of the pool, the earlier one of two that are as near, and the distance to it.
/// O(n k d) at most.
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
        let (expected, got) = ("at least one pick".to_owned(), "none".to_owned());
        return Err(Error::Shape { argument: "picks", expected, got });
    }
    let space = metric.space(rows);
    let centres = Centres::of(rows, which.iter().copied(), metric, "features")?;
    let mut bounds: Vec<Bound> = (0..rows.len()).map(Bound::new).collect();
    refresh(rows, &centres, metric, &space, &mut bounds, |_, _| true, par)?;
    bounds.sort_unstable_by_key(|bound| bound.row);
    Ok(bounds.into_iter().map(|bound| (bound.nearest, metric.distance(bound.squared))).unzip())
}
