//! Density by the k nearest neighbours: 1 / their mean distance (Loftsgaarden & Quesenberry 1965; typicality
//! of Hacohen et al. 2022).
//!
//! Each pair is computed once and offered to both of its rows. A job takes the bars of its rows (the k-th
//! best distance so far) as they stand when it begins, notes the pairs under a bar, and gives them in when it
//! ends; blocks with themselves go first, so that there is a bar for all others. The k best are those of a
//! total order (distance, then index), and so do not depend on who came when. The distances of these k are
//! then computed in float64. So are distances whose squares might vanish in the element type, at once, and between
//! directions of float32 all that the tile puts under a bar, or so little above it that rounding may have: by the tile
//! alone, the k nearest of rows 10^-6 apart were others.

use std::cmp::Ordering;
use std::iter;
use std::sync::{Mutex, PoisonError};

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::order::{Directions, faint, order_of_faint};
use super::pairwise::{Counted, Worker};
use super::{same_width, work};
use crate::distance::{Block, squared_distances};
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::Par;
use crate::real::{Real, all_lanes};
use crate::rows::Rows;
use crate::tile::{Epilogue, side};

/// 1 / (mean distance to the k nearest other rows), +∞ where that is 0. O(n² d / 2) time, O(n k) memory.
///
/// # Errors
/// [`Error::Row`] for a row that is not finite; [`Error::Shape`] if there are not k other rows; [`Error::Stopped`].
pub fn knn_density<T: Real>(
    rows: &Rows<'_, T>,
    k: usize,
    metric: Metric,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    let (n, d) = (rows.len(), rows.width());
    same_width(d, d)?;
    Error::unless_long(out.len(), n)?;
    if n == 0 {
        return Ok(());
    }
    if k == 0 || k >= n {
        return Err(Error::shape("k", &format_args!("1 to {} (the other rows)", n - 1), &k));
    }
    let space = metric.space(rows);
    let coarse = metric == Metric::Cosine && T::EPSILON.to_f64() > f64::EPSILON;
    let directions = if coarse { Some(Directions::of(rows, par)?) } else { None };
    let side = side::<T>(d);
    let blocks = n.div_ceil(side);
    let best: Vec<Mutex<Best<T>>> =
        (0..n).step_by(side).map(|first| Mutex::new(Best::new(side.min(n - first), k))).collect();
    let lock = |i: usize| best[i].lock().unwrap_or_else(PoisonError::into_inner);
    let others = (0..blocks).flat_map(|i| (i + 1..blocks).map(move |j| (i, j)));
    let jobs = Counted::new((0..blocks).map(|i| (i, i)).chain(others), blocks * (blocks + 1) / 2);
    let start = || (Worker::default(), Noting::default());
    par.run(jobs, work(n, n / 2 + 1, d), start, |(worker, noting), (i, j)| {
        worker.load((rows, "features"), (rows, "features"), (i, j), side, &space, par)?;
        // One lock at a time: i and j may be the same.
        noting.row_bars.clone_from(&lock(i).bars);
        noting.column_bars.clone_from(&lock(j).bars);
        noting.begin(&worker.right, i == j, k, directions.as_ref());
        let (left, right) = (&worker.left, &worker.right);
        let (directions, first) = (directions.as_ref(), (i * side, j * side));
        let mut pairs = Pairs { left, right, first, directions, faint: faint(d), noting };
        squared_distances(left, right, &mut pairs, &mut worker.strip, par.level);
        let mut left = lock(i);
        for &(row, column, d2) in &noting.for_rows {
            left.offer(row, (d2, small(j * side + column)));
        }
        drop(left);
        let mut right = lock(j);
        for &(row, column, d2) in &noting.for_columns {
            right.offer(column, (d2, small(i * side + row)));
        }
        Ok(())
    })?;
    let found: Vec<Best<T>> =
        best.into_iter().map(|best| best.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    let jobs = out.chunks_mut(side).zip(found).enumerate();
    par.run(jobs, work(n, k, d), Exact::default, |held, (i, (out, best))| {
        for (row, out) in out.iter_mut().enumerate() {
            let given = rows.read(i * side + row..i * side + row + 1, &mut held.block);
            exact_row(given, metric, &mut held.row, par.level);
            let mut sum = 0.0;
            let others = best.of(row);
            for (number, &(_, other)) in others.iter().enumerate() {
                if let Some(&(_, next)) = others.get(number + 1) {
                    rows.ask_for(next as usize);
                }
                let other = other as usize;
                let given = rows.read(other..other + 1, &mut held.block);
                exact_row(given, metric, &mut held.other, par.level);
                exact(iter::once(&held.other[..]), &held.row, metric, par.level, |squared| {
                    sum += metric.distance(squared);
                });
            }
            *out = T::from_f64(k as f64 / sum);
        }
        Ok(())
    })?;
    Ok(())
}

/// The number of a row, of which there are fewer than 2^32: n² pairs would take forever. Of float32, half as much
/// memory goes through the cache as with a usize.
#[expect(clippy::cast_possible_truncation, reason = "time ends long before")]
fn small(row: usize) -> u32 {
    row as u32
}

/// Two rows as they are compared in float64, and room to read them.
#[derive(Default)]
struct Exact<T> {
    block: Vec<T>,
    row: Vec<f64>,
    other: Vec<f64>,
}

/// The k nearest of each row of a block.
struct Best<T> {
    k: usize,
    /// For each row up to k candidates, nearest first.
    nearest: Vec<(T, u32)>,
    counts: Vec<usize>,
    /// What a squared distance must not exceed to be among them.
    bars: Vec<T>,
}

impl<T: Real> Best<T> {
    fn new(rows: usize, k: usize) -> Self {
        Self {
            k,
            nearest: vec![(T::INFINITY, 0); rows * k],
            counts: vec![0; rows],
            bars: vec![T::INFINITY; rows],
        }
    }

    fn of(&self, row: usize) -> &[(T, u32)] {
        &self.nearest[row * self.k..][..self.counts[row]]
    }

    fn offer(&mut self, row: usize, candidate: (T, u32)) {
        if candidate.0 > self.bars[row] {
            return;
        }
        let (k, count) = (self.k, self.counts[row]);
        let nearest = &mut self.nearest[row * k..][..k];
        #[expect(clippy::needless_bitwise_bool, reason = "a branch would be guessed wrong every other time")]
        let before =
            |other: &(T, u32)| (other.0 < candidate.0) | (other.0 == candidate.0) & (other.1 < candidate.1);
        let place = nearest[..count].partition_point(before);
        if place == k {
            return;
        }
        nearest[place..(count + 1).min(k)].rotate_right(1);
        nearest[place] = candidate;
        self.counts[row] = (count + 1).min(k);
        if self.counts[row] == k {
            self.bars[row] = nearest[k - 1].0;
        }
    }
}

/// The pairs that are under a bar.
struct Noting<T> {
    row_bars: Vec<T>,
    /// −∞ for columns that are no rows.
    column_bars: Vec<T>,
    /// What the tile tells of pairs under these bars, at most.
    row_reach: Vec<T>,
    column_reach: Vec<T>,
    /// For rows that are not side by side.
    room: [Vec<T>; 2],
    /// A block with itself: offered to rows only, and no row to itself.
    itself: bool,
    k: usize,
    /// Candidates of one row, while there is no bar.
    all: Vec<(T, usize)>,
    /// Row, column and squared distance.
    for_rows: Vec<(usize, usize, T)>,
    for_columns: Vec<(usize, usize, T)>,
}

impl<T: Real> Default for Noting<T> {
    fn default() -> Self {
        Self {
            row_bars: Vec::new(),
            column_bars: Vec::new(),
            row_reach: Vec::new(),
            column_reach: Vec::new(),
            room: [Vec::new(), Vec::new()],
            itself: false,
            k: 0,
            all: Vec::new(),
            for_rows: Vec::new(),
            for_columns: Vec::new(),
        }
    }
}

impl<T: Real> Noting<T> {
    fn begin(&mut self, right: &Block<T>, itself: bool, k: usize, directions: Option<&Directions<'_, T>>) {
        self.k = k;
        for (bars, reach) in
            [(&self.row_bars, &mut self.row_reach), (&self.column_bars, &mut self.column_reach)]
        {
            reach.clear();
            reach.extend(bars.iter().map(|&bar| directions.map_or(bar, |directions| directions.reach(bar))));
        }
        self.column_bars.resize(right.width(), T::MINUS_INFINITY);
        self.column_reach.resize(right.width(), T::MINUS_INFINITY);
        self.itself = itself;
        self.for_rows.clear();
        self.for_columns.clear();
    }
}

/// The epilogue: two blocks and what is noted of their pairs.
struct Pairs<'a, T> {
    left: &'a Block<T>,
    right: &'a Block<T>,
    /// The first rows of both.
    first: (usize, usize),
    /// Where directions are compared in float64.
    directions: Option<&'a Directions<'a, T>>,
    /// Squared distances up to this are put in order by [`order_of_faint`].
    faint: T,
    noting: &'a mut Noting<T>,
}

impl<T: Real> Pairs<'_, T> {
    /// What a pair is ordered by, given the squared distance that the tile tells.
    fn key(&mut self, row: usize, column: usize, d2: T) -> T {
        if let Some(directions) = self.directions {
            let (x, y) = (self.first.0 + row, self.first.1 + column);
            return if d2 < T::INFINITY { directions.order(x, y, &mut self.noting.room) } else { d2 };
        }
        if d2 > self.faint { d2 } else { order_of_faint(self.left.row(row), self.right.row(column)) }
    }

    /// Notes the k nearest of a row within its own block.
    #[inline(never)]
    fn note_nearest(&mut self, row: usize, d2: &[T]) {
        let mut all = std::mem::take(&mut self.noting.all);
        let others = d2.iter().copied().zip(0..).filter(|&(d2, column)| d2 < T::INFINITY && column != row);
        let k = self.noting.k;
        let order = |a: &(T, usize), b: &(T, usize)| {
            a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
        };
        all.clear();
        all.extend(others);
        if let Some(directions) = self.directions
            && all.len() > k
        {
            // The k that are nearest by the tile are within this of the row, and so are the k nearest.
            let (_, &mut (last, _), _) = all.select_nth_unstable_by(k - 1, order);
            let reach = directions.reach(directions.reach(last));
            all.retain(|&(d2, _)| d2 <= reach);
        }
        for (d2, column) in &mut all {
            *d2 = self.key(row, *column, *d2);
        }
        if all.len() > k {
            all.select_nth_unstable_by(k, order);
            all.truncate(k);
        }
        self.noting.for_rows.extend(all.iter().map(|&(d2, column)| (row, column, d2)));
        self.noting.all = all;
    }

    #[inline(never)]
    fn note(&mut self, row: usize, at: usize, d2: &[T], mut set: u64) {
        while set != 0 {
            let lane = set.trailing_zeros() as usize;
            let column = at + lane;
            let d2 = self.key(row, column, d2[lane]);
            set &= set - 1;
            if d2 <= self.noting.row_bars[row] && d2 < T::INFINITY {
                self.noting.for_rows.push((row, column, d2));
            }
            if d2 <= self.noting.column_bars[column] {
                self.noting.for_columns.push((row, column, d2));
            }
        }
    }
}

impl<T: Real> Epilogue<T> for Pairs<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            if self.noting.itself {
                self.note_nearest(first + r, row);
                continue;
            }
            // Whatever is faint has to be looked at.
            let bar = self.noting.row_reach[first + r];
            let bar = T::splat(simd, if bar > self.faint { bar } else { self.faint });
            for at in (0..width).step_by(T::LANES) {
                let d2 = T::load(simd, &row[at..][..T::LANES]);
                let bars = bar.max(T::load(simd, &self.noting.column_reach[at..][..T::LANES]));
                let under = d2.simd_le(bars).to_bitmask() & all_lanes::<T>();
                if under != 0 {
                    self.note(first + r, at, &row[at..][..T::LANES], under);
                }
            }
        }
    }
}
