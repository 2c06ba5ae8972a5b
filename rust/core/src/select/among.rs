//! The picks among a few rows: lazily, as in the pool itself.
//!
//! What is known of a candidate is exact as of some pick. The first by its key is brought up to date with the
//! picks since; if it stays the first it is the one, and else another is. Each candidate is compared with each
//! pick at most once, most of them with few: 4,096 candidates of 128 numbers no longer pass through the cache
//! at every pick, which took MMR a quarter of its time.

use super::centres::{Centres, MightBeNearer, quick_rows};
use super::ladder::Rule;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::dispatch;

/// Candidates that are brought up to date one by one, before all that might still be the first are.
const TRIES: usize = 8;

/// What picks are made of.
pub(super) struct Pool<'a, 'b, T> {
    pub(super) rows: &'a Rows<'b, T>,
    pub(super) metric: Metric,
    pub(super) rule: &'a dyn Rule,
}

/// The rows, and what is known of each.
pub(super) struct Among<'a, T> {
    candidates: &'a [usize],
    /// As they are compared, in their own type.
    quick: Vec<T>,
    /// Those of the picks.
    picked: Vec<T>,
    picks: usize,
    /// Squared distances to the nearest centre, negative for rows that cannot be picked.
    pub(super) squared: Vec<f64>,
    /// How many picks these know of.
    pub(super) seen: Vec<usize>,
    /// NaN for rows that cannot be picked.
    pub(super) keys: Vec<f64>,
    /// Distances that were computed.
    pub(super) distances: usize,
    scratch: Scratch<T>,
}

#[derive(Default)]
struct Scratch<T> {
    found: Vec<usize>,
    block: Vec<T>,
    row: Vec<f64>,
}

impl<'a, T: Real> Among<'a, T> {
    /// Rows whose squared distances are up to date.
    pub(super) fn new(
        candidates: &'a [usize],
        squared: Vec<f64>,
        pool: &Pool<'_, '_, T>,
        par: Par<'_>,
    ) -> Self {
        let mut quick = Vec::new();
        quick_rows(pool.rows, candidates, pool.metric, par.level, &mut quick);
        let count = candidates.len();
        Self {
            candidates,
            quick,
            picked: Vec::new(),
            picks: 0,
            squared,
            seen: vec![0; count],
            keys: Vec::new(),
            distances: 0,
            scratch: Scratch::default(),
        }
    }

    /// The first of the largest key, once so many are picked in all. `centres` end with the picks made here.
    pub(super) fn best(
        &mut self,
        pool: &Pool<'_, '_, T>,
        centres: &Centres<T>,
        picked: usize,
        par: Par<'_>,
    ) -> Option<usize> {
        if self.keys.is_empty() || pool.rule.drifts() {
            self.keys.resize(self.candidates.len(), 0.0);
            pool.rule.keys(self.candidates, &self.squared, picked, &mut self.keys);
            for (key, _) in self.keys.iter_mut().zip(&self.squared).filter(|(_, squared)| **squared < 0.0) {
                *key = f64::NAN;
            }
        }
        for _ in 0..TRIES {
            let first = first_of_largest(&self.keys)?;
            if self.seen[first] == self.picks {
                return Some(first);
            }
            self.refresh(first, pool, centres, picked, par);
        }
        let mut best: Option<usize> = None;
        let is_ahead = |keys: &[f64], at: usize, best: Option<usize>| {
            best.is_none_or(|best| keys[at] > keys[best] || at < best && keys[at] >= keys[best])
        };
        for at in 0..self.keys.len() {
            if self.seen[at] == self.picks && !self.keys[at].is_nan() && is_ahead(&self.keys, at, best) {
                best = Some(at);
            }
        }
        for at in 0..self.keys.len() {
            if self.seen[at] < self.picks && !self.keys[at].is_nan() && is_ahead(&self.keys, at, best) {
                self.refresh(at, pool, centres, picked, par);
                best = if is_ahead(&self.keys, at, best) { Some(at) } else { best };
            }
        }
        best
    }

    /// Brings one candidate up to date.
    fn refresh(
        &mut self,
        at: usize,
        pool: &Pool<'_, '_, T>,
        centres: &Centres<T>,
        picked: usize,
        par: Par<'_>,
    ) {
        let (d, metric) = (pool.rows.width(), pool.metric);
        let (first, squared) = (self.seen[at], &mut self.squared[at]);
        let Scratch { found, block, row } = &mut self.scratch;
        found.clear();
        let (rows, quick) = (&self.picked[first * d..], &self.quick[at * d..(at + 1) * d]);
        dispatch(par.level, MightBeNearer { rows, row: quick, metric, squared: *squared, found });
        self.distances += self.picks - first;
        self.seen[at] = self.picks;
        if found.is_empty() {
            return;
        }
        let candidate = self.candidates[at];
        exact_row(pool.rows.read(candidate..candidate + 1, block), metric, row, par.level);
        let before = centres.len() - self.picks;
        let near = found.iter().map(|&pick| centres.exact(before + first + pick));
        exact(near, row, metric, par.level, |distance| *squared = squared.min(distance));
        self.keys[at] = pool.rule.key(candidate, *squared, picked);
    }

    /// Makes a candidate a pick.
    pub(super) fn take(&mut self, at: usize, d: usize) {
        self.picked.extend_from_slice(&self.quick[at * d..(at + 1) * d]);
        self.picks += 1;
        self.leave_out(at);
    }

    /// Leaves a candidate out from now on.
    pub(super) fn leave_out(&mut self, at: usize) {
        self.squared[at] = -1.0;
        self.keys[at] = f64::NAN;
    }
}

/// The first of the largest of numbers, NaN left out.
fn first_of_largest(keys: &[f64]) -> Option<usize> {
    let (eights, rest) = keys.as_chunks::<8>();
    let mut largest = [f64::NEG_INFINITY; 8];
    for eight in eights {
        for (largest, &key) in largest.iter_mut().zip(eight) {
            *largest = if key > *largest { key } else { *largest };
        }
    }
    let largest = largest.iter().chain(rest).fold(f64::NEG_INFINITY, |largest, &key| largest.max(key));
    keys.iter().position(|&key| key >= largest)
}
