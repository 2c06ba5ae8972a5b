//! The threshold ladder: greedy picks of the row whose key is largest, where keys rise with the distance to
//! the nearest of what is labelled or picked.
//!
//! Take the B rows of the largest bounds, and the bar τ under which all others are. Bring these B up to date;
//! those still at τ or above are the only rows that can be picked while the picks are at τ or above. So pick
//! among them, keeping their distances exact as each pick becomes a centre, until the best falls under τ;
//! then take the next B. The answer is that of the naive greedy to the bit and the tie; what it costs is the
//! rows that come near the top, not n distances a pick.
//!
//! A method is a [`Rule`]: k-center in `k_center.rs`, MMR and ranked batch in `relevance.rs`. Road not taken:
//! to bring single rows up to date, one after the other, until the best is found; MMR then took 10 times as
//! long, as rows near the top are many and each paid for its own normalisation.

use super::centres::{Bound, Bounded, Centres, MightBeNearer, quick_rows, refresh, settle};
use super::{Open, Picks, Work};
use crate::distance::Space;
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::dispatch;

/// Numbers of the rows of a rung, so that they stay in the second-level cache while picks are made among them.
const NUMBERS: usize = 1 << 16;

/// Rows of the longest rung.
const RUNG: usize = 1 << 16;

/// Rows that are brought up to date at once: all of a large pool would take 32 bytes each.
const AT_ONCE: usize = 1 << 17;

/// How rows are ordered.
pub trait Rule: Sync {
    /// Whether a row can be picked at all.
    fn wants(&self, row: usize) -> bool;

    /// What the largest of is picked, once so many are: it never falls as the squared distance to the nearest
    /// centre grows.
    fn key(&self, row: usize, squared: f64, picked: usize) -> f64;

    /// The key while there is nothing to be far from.
    fn alone(&self, row: usize) -> f64;

    /// What is told of a pick; the squared distance is infinite if there was nothing to be far from.
    fn value(&self, row: usize, squared: f64, picked: usize) -> f64 {
        self.key(row, squared, picked)
    }

    /// The most that the key of a row rises as picks go on from one number to another, its distance the same,
    /// with rounding.
    fn rise(&self, _from: usize, _to: usize) -> f64 {
        0.0
    }
}

/// What is known of a pool between picks: the centres so far, and a bound for each row.
#[derive(Debug, Clone)]
pub struct Known<T> {
    metric: Metric,
    centres: Centres<T>,
    space: Space<T>,
    bounds: Vec<Bound>,
}

impl<T: Real> Known<T> {
    /// For a pool without a centre.
    #[must_use]
    pub fn new(rows: &Rows<'_, T>, metric: Metric) -> Self {
        Self::with(rows, metric, Centres::new(rows.width()))
    }

    /// For a pool with these centres.
    #[must_use]
    pub fn with(rows: &Rows<'_, T>, metric: Metric, centres: Centres<T>) -> Self {
        let (n, space) = (rows.len(), metric.space(rows));
        Self { metric, centres, space, bounds: vec![Bound::NOTHING; n] }
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

    /// The next k picks, which are not made centres.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`]; [`Error::Row`] for a row that is not finite; [`Error::Stopped`], which
    /// leaves what is known true.
    pub fn pick(
        &mut self,
        rows: &Rows<'_, T>,
        k: usize,
        rule: &impl Rule,
        open: Open<'_>,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error> {
        open.check(k, (0..rows.len()).filter(|&row| rule.wants(row)))?;
        let settled = self.centres.len();
        let mut ladder = Ladder::new(self, rows, rule, open);
        let climbed = ladder.climb(k, par);
        let (picks, work) = (ladder.picks, ladder.work);
        self.centres.truncate(settled);
        climbed.map(|()| (picks, work))
    }
}

/// One call of [`Known::pick`].
struct Ladder<'a, 'b, T, R> {
    known: &'a mut Known<T>,
    rows: &'a Rows<'b, T>,
    rule: &'a R,
    open: Open<'a>,
    /// How many centres stay.
    settled: usize,
    /// Bounds that count the picks of this call too.
    bounds: Vec<Bound>,
    /// The candidates of a rung, as they are compared.
    quick: Vec<T>,
    picks: Picks<f64>,
    work: Work,
}

impl<'a, 'b, T: Real, R: Rule> Ladder<'a, 'b, T, R> {
    fn new(known: &'a mut Known<T>, rows: &'a Rows<'b, T>, rule: &'a R, open: Open<'a>) -> Self {
        let can = |row: usize| open.can(row) && rule.wants(row);
        let bounds = known.bounds.iter().enumerate();
        let bounds = bounds.map(|(row, &bound)| if can(row) { bound } else { bound.never() }).collect();
        let settled = known.centres.len();
        let picks = Picks { indices: Vec::new(), values: Vec::new() };
        Self { known, rows, rule, open, settled, bounds, quick: Vec::new(), picks, work: Work::default() }
    }

    /// What rows are ordered by, −∞ for one that cannot be picked.
    fn key(&self, row: usize, squared: f64) -> f64 {
        if squared < 0.0 { f64::NEG_INFINITY } else { self.rule.key(row, squared, self.picks.indices.len()) }
    }

    fn climb(&mut self, k: usize, par: Par<'_>) -> Result<(), Error> {
        let smallest = (NUMBERS / self.rows.width().max(1)).clamp(256, 4096);
        let (mut rung, mut keep) = (smallest, smallest);
        let mut watch = Watch::default();
        while self.picks.indices.len() < k {
            if self.known.centres.is_empty() {
                self.pick_first()?;
                continue;
            }
            let before = self.picks.indices.len();
            self.work.sweeps += 1;
            watch.ask(par, before as f64 / k as f64)?;
            let many = self.step(k, (rung, keep), &mut watch, par)?;
            // Where picks are rare, more rows must be kept up to date among them, or if there are no more, be
            // looked at.
            let rare = self.picks.indices.len() - before < smallest / 16;
            match (rare, many) {
                (true, true) => keep = (keep * 2).min(16 * smallest),
                (true, false) => rung = (rung * 2).min(RUNG),
                (false, _) => rung = (rung / 2).max(smallest),
            }
            rung = rung.max(keep);
        }
        Ok(())
    }

    /// With nothing labelled everything is infinitely far.
    fn pick_first(&mut self) -> Result<(), Error> {
        let open = (0..self.bounds.len()).filter(|&row| !self.bounds[row].is_never());
        let alone = |row: usize| self.rule.alone(row);
        let first = open.reduce(|best, row| if alone(row) > alone(best) { row } else { best });
        first.map_or(Ok(()), |row| self.emit(row, f64::INFINITY).map(|_| ()))
    }

    /// Picks a row. Whether other rows cannot be picked now because of it.
    fn emit(&mut self, row: usize, squared: f64) -> Result<bool, Error> {
        let value = self.rule.value(row, squared, self.picks.indices.len());
        self.known.add(self.rows, [row], "features")?;
        self.picks.indices.push(row);
        self.picks.values.push(value);
        self.bounds[row] = self.bounds[row].never();
        let full = self.open.take(row);
        if full {
            for (row, bound) in self.bounds.iter_mut().enumerate() {
                if !self.open.can(row) {
                    *bound = bound.never();
                }
            }
        }
        Ok(full)
    }

    /// One rung: the rows of the largest keys, brought up to date, and the picks among them. Whether there
    /// were more to pick among than could be kept.
    fn step(
        &mut self,
        k: usize,
        (rung, keep): (usize, usize),
        watch: &mut Watch,
        par: Par<'_>,
    ) -> Result<bool, Error> {
        let mut keys: Vec<f64> =
            self.bounds.iter().enumerate().map(|(row, bound)| self.key(row, bound.squared)).collect();
        let bar = {
            let mut order = keys.clone();
            if rung < order.len() {
                *order.select_nth_unstable_by(rung, |a, b| b.total_cmp(a)).1
            } else {
                f64::NEG_INFINITY
            }
        };
        let rows: Vec<usize> =
            (0..keys.len()).filter(|&row| !self.bounds[row].is_never() && keys[row] >= bar).collect();
        self.refresh(&rows, bar, par)?;
        for &row in &rows {
            keys[row] = self.key(row, self.bounds[row].squared);
        }
        let mut candidates: Vec<usize> = rows.into_iter().filter(|&row| keys[row] >= bar).collect();
        // Of many that are still there the best are taken, of ties the first: each pick goes over all candidates.
        let mut bar = (bar, usize::MAX);
        let many = candidates.len() > keep;
        if many {
            let order = |a: &usize, b: &usize| keys[*b].total_cmp(&keys[*a]).then(a.cmp(b));
            let (_, &mut next, _) = candidates.select_nth_unstable_by(keep, order);
            bar = (keys[next], next);
            candidates.truncate(keep);
        }
        candidates.sort_unstable();
        let mut bounds: Vec<Bounded> = candidates.iter().map(|&row| (row, self.bounds[row])).collect();
        settle(self.rows, &self.known.centres, self.known.metric, &mut bounds, par)?;
        for (row, bound) in bounds {
            self.bounds[row] = bound;
        }
        self.pick_among(&candidates, bar, k, watch, par)?;
        Ok(many)
    }

    /// Brings rows up to date, unless their keys fall under the bar.
    fn refresh(&mut self, rows: &[usize], bar: f64, par: Par<'_>) -> Result<(), Error> {
        let total = self.known.centres.len();
        // First with the centres that stay: that is remembered.
        if rows.iter().any(|&row| self.known.bounds[row].seen() < self.settled) {
            let picked = self.take_picks();
            for rows in rows.chunks(AT_ONCE) {
                let known = rows.iter().map(|&row| (row, self.known.bounds[row]));
                let mut bounds: Vec<_> = known.filter(|(_, bound)| bound.seen() < self.settled).collect();
                self.fold(&mut bounds, bar, par)?;
                for (row, bound) in bounds {
                    self.known.bounds[row] = bound;
                    self.bounds[row] = bound;
                }
            }
            self.known.add(self.rows, picked, "features")?;
        }
        for rows in rows.chunks(AT_ONCE) {
            let known = rows.iter().map(|&row| (row, self.bounds[row]));
            let behind = |&(row, bound): &Bounded| {
                (self.settled..total).contains(&bound.seen()) && self.key(row, bound.squared) >= bar
            };
            let mut bounds: Vec<_> = known.filter(behind).collect();
            self.fold(&mut bounds, bar, par)?;
            for (row, bound) in bounds {
                self.bounds[row] = bound;
            }
        }
        Ok(())
    }

    /// Takes the picks of this call out of the centres.
    fn take_picks(&mut self) -> Vec<usize> {
        self.known.centres.truncate(self.settled);
        self.picks.indices.clone()
    }

    fn fold(&mut self, bounds: &mut [Bounded], bar: f64, par: Par<'_>) -> Result<(), Error> {
        let (known, rule, picked) = (&*self.known, self.rule, self.picks.indices.len());
        let matters = |row: usize, squared: f64| rule.key(row, squared, picked) >= bar;
        self.work.distances +=
            refresh(self.rows, &known.centres, known.metric, &known.space, bounds, &matters, par)?;
        Ok(())
    }

    /// Picks among rows that are up to date while the best goes before the first of the others, which has the
    /// key and the number `bar`.
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
        quick_rows(self.rows, candidates, metric, par.level, &mut self.quick);
        let (mut block, mut found, mut row, mut distance) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        let mut squared: Vec<f64> = candidates.iter().map(|&row| self.bounds[row].squared).collect();
        let before = self.picks.indices.len();
        while self.picks.indices.len() < k {
            let now = self.picks.indices.len();
            let rise = if now > before { self.rule.rise(before, now) } else { 0.0 };
            let mut best: Option<(usize, f64)> = None;
            for (at, &row) in candidates.iter().enumerate() {
                let key = self.key(row, squared[at]);
                let tied = key >= bar.0 && row < bar.1 && rise == 0.0;
                let ahead = squared[at] >= 0.0 && (tied || key > bar.0 + rise);
                if ahead && best.is_none_or(|(_, value)| key > value) {
                    best = Some((at, key));
                }
            }
            let Some((at, _)) = best else { break };
            let full = self.emit(candidates[at], squared[at])?;
            squared[at] = -1.0;
            if full {
                for (&row, squared) in candidates.iter().zip(&mut squared) {
                    *squared = if self.bounds[row].is_never() { -1.0 } else { *squared };
                }
            }
            let centre = self.known.centres.exact(self.known.centres.len() - 1);
            let quick = &self.quick[at * d..(at + 1) * d];
            found.clear();
            let (rows, squares) = (&self.quick, &squared);
            dispatch(
                par.level,
                MightBeNearer { rows, row: quick, metric, squared: squares, found: &mut found },
            );
            self.work.distances += candidates.len();
            for &near in &found {
                let candidate = candidates[near];
                let given = self.rows.read(candidate..candidate + 1, &mut block);
                exact_row(given, metric, &mut row, par.level);
                exact(std::iter::once(&row[..]), centre, metric, par.level, |squared| distance = squared);
                squared[near] = squared[near].min(distance);
            }
            watch.ask(par, self.picks.indices.len() as f64 / k as f64)?;
        }
        let seen = self.known.centres.len();
        for (&row, &squared) in candidates.iter().zip(&squared) {
            // Which centre is the nearest is asked of open bounds alone.
            self.bounds[row] = Bound::exactly(squared, 0, seen);
        }
        Ok(())
    }
}
