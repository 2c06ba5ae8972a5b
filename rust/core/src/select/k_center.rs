//! k-center, greedily: each pick is the row farthest from all labelled and picked ones (Gonzalez 1985; core-set selection:
//! Sener & Savarese 2018), or of the largest weight × distance.
//!
//! **The threshold ladder.** Take the B rows of the largest bounds, and the bar τ under which all others are. Bring these B
//! up to date; those still at τ or above are the only rows that can be picked while the picks are at τ or above. So pick among
//! them, keeping their distances exact as each pick becomes a centre, until the best falls under τ; then take the next B.
//! The answer is that of the naive greedy to the bit and the tie; what it costs is the rows that come near the top, not n
//! distances a pick.

use super::Picks;
use super::centres::{Bound, Centres, MightBeNearer, quick_row, refresh};
use crate::distance::Space;
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::dispatch;

/// Numbers of the rows of a rung, so that they stay in the second-level cache while picks are made among them.
const RUNG: usize = 1 << 16;

/// What is known of a pool between picks: the centres so far, and a bound for each row.
#[derive(Debug, Clone)]
pub struct KCenter<T> {
    metric: Metric,
    centres: Centres<T>,
    space: Space<T>,
    /// For each row the squared distance to the nearest of the first `seen` centres.
    squared: Vec<f64>,
    seen: Vec<u32>,
}

/// Work done by a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Distances evaluated.
    pub distances: usize,
    /// Rungs of the ladder.
    pub rungs: usize,
}

impl<T: Real> KCenter<T> {
    /// For a pool without a centre.
    #[must_use]
    pub fn new(rows: &Rows<'_, T>, metric: Metric) -> Self {
        let space = metric.space(rows);
        let n = rows.len();
        let centres = Centres::new(rows.width());
        Self { metric, centres, space, squared: vec![f64::INFINITY; n], seen: vec![0; n] }
    }

    /// Makes centres of rows, of the pool or not.
    ///
    /// # Errors
    /// [`Error::Row`] for a row that is not finite, or too large for distances.
    pub fn add(
        &mut self,
        rows: &Rows<'_, T>,
        which: impl IntoIterator<Item = usize>,
        argument: &'static str,
    ) -> Result<(), Error> {
        self.centres.extend(rows, which, self.metric, argument)
    }

    /// The next k picks, which are not made centres. `available` has one byte a row, not 0 where it may be picked; a row of
    /// weight NaN is never picked. Values are weight × distance.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`]; [`Error::Row`] for a row that is not finite; [`Error::Stopped`], which leaves what is known true.
    pub fn pick(
        &mut self,
        rows: &Rows<'_, T>,
        k: usize,
        weights: Option<&[f64]>,
        available: Option<&[u8]>,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error> {
        let settled = self.centres.len();
        let result = Ladder::new(self, rows, weights, available, k).and_then(|mut ladder| {
            ladder.climb(k, par)?;
            Ok((ladder.picks, ladder.work))
        });
        self.centres.truncate(settled);
        result
    }
}

/// One call of [`KCenter::pick`].
struct Ladder<'a, 'b, T> {
    known: &'a mut KCenter<T>,
    rows: &'a Rows<'b, T>,
    weights: Option<&'a [f64]>,
    /// How many centres stay.
    settled: usize,
    /// Bounds that count the picks of this call too; −1 for rows that cannot be picked.
    squared: Vec<f64>,
    seen: Vec<u32>,
    picks: Picks<f64>,
    work: Work,
}

impl<'a, 'b, T: Real> Ladder<'a, 'b, T> {
    fn new(
        known: &'a mut KCenter<T>,
        rows: &'a Rows<'b, T>,
        weights: Option<&'a [f64]>,
        available: Option<&[u8]>,
        k: usize,
    ) -> Result<Self, Error> {
        let can = |i: usize| {
            available.is_none_or(|available| available[i] != 0)
                && weights.is_none_or(|weights| !weights[i].is_nan())
        };
        let squared: Vec<f64> = known
            .squared
            .iter()
            .enumerate()
            .map(|(i, &squared)| if can(i) { squared } else { -1.0 })
            .collect();
        let count = squared.iter().filter(|&&squared| squared >= 0.0).count();
        if k > count {
            return Err(Error::BatchTooLarge { k, available: count });
        }
        let settled = known.centres.len();
        let seen = known.seen.clone();
        let picks = Picks { indices: Vec::new(), values: Vec::new() };
        Ok(Self { known, rows, weights, settled, squared, seen, picks, work: Work::default() })
    }

    /// What rows are ordered by: d², or weight × distance. Negative for rows that cannot be picked.
    fn key(&self, row: usize, squared: f64) -> f64 {
        if squared < 0.0 {
            return -1.0;
        }
        match self.weights {
            None => squared,
            // 0 · ∞ is 0: without a weight nothing is far.
            Some(weights) if weights[row] == 0.0 => 0.0,
            Some(weights) => weights[row] * self.known.metric.distance(squared),
        }
    }

    fn climb(&mut self, k: usize, par: Par<'_>) -> Result<(), Error> {
        let smallest = (RUNG / self.rows.width().max(1)).clamp(256, 4096);
        let mut rung = smallest;
        let mut watch = Watch::default();
        while self.picks.indices.len() < k {
            if self.known.centres.is_empty() {
                self.pick_first()?;
                continue;
            }
            let before = self.picks.indices.len();
            self.work.rungs += 1;
            watch.ask(par, before as f64 / k as f64)?;
            self.step(k, (rung, smallest), &mut watch, par)?;
            // Where picks are rare among the farthest, more must be looked at.
            let rare = self.picks.indices.len() - before < smallest / 16;
            rung = if rare { (rung * 2).min(1 << 16) } else { (rung / 2).max(smallest) };
        }
        Ok(())
    }

    /// With nothing labelled everything is infinitely far: the weight decides, then the lower index.
    fn pick_first(&mut self) -> Result<(), Error> {
        let weight = |row: usize| self.weights.map_or(1.0, |weights| weights[row]);
        let open = (0..self.squared.len()).filter(|&row| self.squared[row] >= 0.0);
        let first = open.reduce(|best, row| if weight(row) > weight(best) { row } else { best });
        if let Some(row) = first {
            let value = if weight(row) == 0.0 { 0.0 } else { f64::INFINITY };
            self.emit(row, value)?;
        }
        Ok(())
    }

    /// Picks a row.
    fn emit(&mut self, row: usize, value: f64) -> Result<(), Error> {
        self.known.add(self.rows, [row], "features")?;
        self.picks.indices.push(row);
        self.picks.values.push(value);
        self.squared[row] = -1.0;
        Ok(())
    }

    /// One rung: the rows of the largest keys, brought up to date, and the picks among them.
    fn step(
        &mut self,
        k: usize,
        (rung, smallest): (usize, usize),
        watch: &mut Watch,
        par: Par<'_>,
    ) -> Result<(), Error> {
        let mut keys: Vec<f64> =
            self.squared.iter().enumerate().map(|(row, &squared)| self.key(row, squared)).collect();
        let bar = {
            let mut order = keys.clone();
            if rung < order.len() {
                *order.select_nth_unstable_by(rung, |a, b| b.total_cmp(a)).1
            } else {
                0.0
            }
        };
        let bar = bar.max(0.0);
        let rows: Vec<usize> = (0..keys.len()).filter(|&row| keys[row] >= bar).collect();
        self.refresh(&rows, bar, par)?;
        for &row in &rows {
            keys[row] = self.key(row, self.squared[row]);
        }
        let mut candidates: Vec<usize> = rows.into_iter().filter(|&row| keys[row] >= bar).collect();
        // Of many that are still there the best are taken, of ties the first: each pick goes over all candidates.
        let mut bar = (bar, usize::MAX);
        if candidates.len() > smallest {
            let order = |a: &usize, b: &usize| keys[*b].total_cmp(&keys[*a]).then(a.cmp(b));
            let (_, &mut next, _) = candidates.select_nth_unstable_by(smallest, order);
            bar = (keys[next], next);
            candidates.truncate(smallest);
        }
        candidates.sort_unstable();
        self.pick_among(&candidates, bar, k, watch, par)
    }

    /// Brings rows up to date, unless their keys fall under the bar.
    fn refresh(&mut self, rows: &[usize], bar: f64, par: Par<'_>) -> Result<(), Error> {
        let total = self.known.centres.len();
        // First with the centres that stay: that is remembered.
        let mut bounds: Vec<Bound> = Vec::new();
        for &row in rows {
            if (self.known.seen[row] as usize) < self.settled {
                let (squared, seen) = (self.known.squared[row], self.known.seen[row] as usize);
                bounds.push(Bound { row, squared, nearest: usize::MAX, seen });
            }
        }
        let mut picked = Vec::new();
        if !bounds.is_empty() {
            picked = self.take_picks();
            self.fold(&mut bounds, bar, par)?;
            for bound in &bounds {
                self.known.squared[bound.row] = bound.squared;
                self.known.seen[bound.row] = small(bound.seen);
                self.squared[bound.row] = self.squared[bound.row].min(bound.squared);
                self.seen[bound.row] = self.seen[bound.row].max(small(bound.seen));
            }
        }
        self.known.add(self.rows, picked, "features")?;
        let mut bounds: Vec<Bound> = Vec::new();
        for &row in rows {
            let (squared, seen) = (self.squared[row], self.seen[row] as usize);
            if seen >= self.settled && seen < total && self.key(row, squared) >= bar {
                bounds.push(Bound { row, squared, nearest: usize::MAX, seen });
            }
        }
        self.fold(&mut bounds, bar, par)?;
        for bound in &bounds {
            self.squared[bound.row] = bound.squared;
            self.seen[bound.row] = small(bound.seen);
        }
        Ok(())
    }

    /// Takes the picks of this call out of the centres.
    fn take_picks(&mut self) -> Vec<usize> {
        self.known.centres.truncate(self.settled);
        self.picks.indices.clone()
    }

    fn fold(&mut self, bounds: &mut [Bound], bar: f64, par: Par<'_>) -> Result<(), Error> {
        let (known, weights) = (&*self.known, self.weights);
        // The squared distance at which a row's key is the bar, a little less to be safe.
        let enough = |row: usize| match weights {
            _ if bar.is_infinite() => 0.0,
            None => bar,
            Some(weights) => {
                let distance = bar / weights[row].max(f64::MIN_POSITIVE) * (1.0 - 1e-9);
                match known.metric {
                    Metric::Euclidean => distance * distance,
                    Metric::Cosine => 2.0 * distance,
                }
            }
        };
        self.work.distances +=
            refresh(self.rows, &known.centres, known.metric, &known.space, bounds, enough, par)?;
        Ok(())
    }

    /// Picks among rows that are up to date while the best goes before the first of the others, which has the key and the
    /// number `bar`.
    fn pick_among(
        &mut self,
        candidates: &[usize],
        bar: (f64, usize),
        k: usize,
        watch: &mut Watch,
        par: Par<'_>,
    ) -> Result<(), Error> {
        let d = self.rows.width();
        let metric = self.known.metric;
        let mut block = Vec::new();
        let mut quick_rows = Vec::with_capacity(candidates.len() * d);
        for &candidate in candidates {
            quick_row(self.rows.read(candidate..candidate + 1, &mut block), metric, &mut quick_rows);
        }
        let (mut found, mut row, mut distance) = (Vec::new(), Vec::new(), 0.0);
        let mut squared: Vec<f64> = candidates.iter().map(|&row| self.squared[row]).collect();
        while self.picks.indices.len() < k {
            let mut best: Option<(usize, f64)> = None;
            for (at, &row) in candidates.iter().enumerate() {
                let key = self.key(row, squared[at]);
                let ahead = key > bar.0 || key >= bar.0 && row < bar.1;
                if ahead && best.is_none_or(|(_, value)| key > value) {
                    best = Some((at, key));
                }
            }
            let Some((at, key)) = best else { break };
            let value = if self.weights.is_none() { metric.distance(key) } else { key };
            self.emit(candidates[at], value)?;
            squared[at] = -1.0;
            let centre = self.known.centres.exact(self.known.centres.len() - 1);
            let quick = &quick_rows[at * d..(at + 1) * d];
            found.clear();
            let (rows, squares) = (&quick_rows, &squared);
            dispatch(
                par.level,
                MightBeNearer { rows, row: quick, metric, squared: squares, found: &mut found },
            );
            self.work.distances += candidates.len();
            for &near in &found {
                let candidate = candidates[near];
                exact_row(self.rows.read(candidate..candidate + 1, &mut block), metric, &mut row);
                exact(std::iter::once(&row[..]), centre, metric, par.level, |squared| distance = squared);
                squared[near] = squared[near].min(distance);
            }
            watch.ask(par, self.picks.indices.len() as f64 / k as f64)?;
        }
        let seen = small(self.known.centres.len());
        for (&row, &squared) in candidates.iter().zip(&squared) {
            self.squared[row] = squared;
            self.seen[row] = seen;
        }
        Ok(())
    }
}

/// A number of centres, of which there are fewer than 2^32.
#[expect(clippy::cast_possible_truncation, reason = "memory ends long before")]
fn small(count: usize) -> u32 {
    count as u32
}
