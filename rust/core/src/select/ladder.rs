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

use super::among::{Among, Pool};
use super::centres::{Bound, Bounded, Centres, Worker, refresh, settle};
use super::{Open, Picks, Work};
use crate::distance::Space;
use crate::error::Error;
use crate::exact::Metric;
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;

/// Numbers of the rows of a rung, so that they stay in the second-level cache while picks are made among them.
const NUMBERS: usize = 1 << 16;

/// Rows of the longest rung.
const RUNG: usize = 1 << 16;

/// Rows that are brought up to date at once: all of a large pool would take 32 bytes each.
const AT_ONCE: usize = 1 << 17;

/// Rows that are asked for their keys at once.
const ASKED: usize = 1 << 12;

/// Rows of a sample that are to be above a bar.
const SAMPLED: usize = 64;

/// How rows are ordered.
pub trait Rule: Sync {
    /// Whether a row can be picked at all.
    fn wants(&self, row: usize) -> bool;

    /// What the largest of is picked, once so many are: it never falls as the squared distance to the nearest
    /// centre grows. Of rows and these distances.
    fn keys(&self, rows: &[usize], squared: &[f64], picked: usize, keys: &mut [f64]);

    /// The key of one row.
    fn key(&self, row: usize, squared: f64, picked: usize) -> f64 {
        let mut key = [0.0];
        self.keys(&[row], &[squared], picked, &mut key);
        key[0]
    }

    /// The key while there is nothing to be far from.
    fn alone(&self, row: usize) -> f64;

    /// What is told of a pick; the squared distance is infinite if there was nothing to be far from.
    fn value(&self, row: usize, squared: f64, picked: usize) -> f64 {
        self.key(row, squared, picked)
    }

    /// Whether keys depend on how many are picked.
    fn drifts(&self) -> bool {
        false
    }

    /// The most that keys of up to `bar` become as picks go on from one number to another, the distances the same, with
    /// rounding. No number if nothing is known.
    fn ceiling(&self, bar: f64, _from: usize, _to: usize) -> f64 {
        bar
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
    /// [`Error::Row`] for a row that is not finite, or too large for distances; [`Error::Stopped`]. Then none is added.
    pub fn add(
        &mut self,
        rows: &Rows<'_, T>,
        which: impl IntoIterator<Item = usize>,
        argument: &'static str,
        par: Par<'_>,
    ) -> Result<(), Error> {
        self.centres.extend(rows, which, self.metric, argument, par)
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
        rule: &dyn Rule,
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
struct Ladder<'a, 'b, T> {
    known: &'a mut Known<T>,
    rows: &'a Rows<'b, T>,
    rule: &'a dyn Rule,
    open: Open<'a>,
    /// How many centres stay.
    settled: usize,
    /// Bounds that count the picks of this call too.
    bounds: Vec<Bound>,
    workers: Vec<Worker<T>>,
    picks: Picks<f64>,
    work: Work,
}

impl<'a, 'b, T: Real> Ladder<'a, 'b, T> {
    fn new(known: &'a mut Known<T>, rows: &'a Rows<'b, T>, rule: &'a dyn Rule, open: Open<'a>) -> Self {
        let can = |row: usize| open.can(row) && rule.wants(row);
        let bounds = known.bounds.iter().enumerate();
        let bounds = bounds.map(|(row, &bound)| if can(row) { bound } else { bound.never() }).collect();
        let settled = known.centres.len();
        let picks = Picks { indices: Vec::new(), values: Vec::new() };
        let (workers, work) = (Vec::new(), Work::default());
        Self { known, rows, rule, open, settled, bounds, workers, picks, work }
    }

    fn climb(&mut self, k: usize, par: Par<'_>) -> Result<(), Error> {
        let smallest = (NUMBERS / self.rows.width().max(1)).clamp(256, 4096);
        let (mut rung, mut keep) = (smallest, smallest);
        let mut watch = Watch::default();
        while self.picks.indices.len() < k {
            if self.known.centres.is_empty() {
                self.pick_first(par)?;
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
    fn pick_first(&mut self, par: Par<'_>) -> Result<(), Error> {
        let open = (0..self.bounds.len()).filter(|&row| !self.bounds[row].is_never());
        let alone = |row: usize| self.rule.alone(row);
        let first = open.reduce(|best, row| if alone(row) > alone(best) { row } else { best });
        first.map_or(Ok(()), |row| self.emit(row, f64::INFINITY, par).map(|_| ()))
    }

    /// Picks a row. Gives the rows that cannot be picked now because of it.
    fn emit(&mut self, row: usize, squared: f64, par: Par<'_>) -> Result<&[usize], Error> {
        let value = self.rule.value(row, squared, self.picks.indices.len());
        self.known.add(self.rows, [row], "features", par)?;
        self.picks.indices.push(row);
        self.picks.values.push(value);
        self.bounds[row] = self.bounds[row].never();
        let closed = self.open.take(row);
        for &row in closed {
            self.bounds[row] = self.bounds[row].never();
        }
        Ok(closed)
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
        let mut keys = self.keys(&(0..self.bounds.len()), par)?;
        let bar = bar(&keys, rung);
        let rows: Vec<usize> =
            (0..keys.len()).filter(|&row| keys[row] >= bar && !self.bounds[row].is_never()).collect();
        self.refresh(&rows, bar, par)?;
        for (&row, key) in rows.iter().zip(self.keys(&rows.iter().copied(), par)?) {
            keys[row] = key;
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

    /// What rows are ordered by, −∞ for one that cannot be picked.
    fn keys(
        &self,
        which: &(impl ExactSizeIterator<Item = usize> + Clone + Sync),
        par: Par<'_>,
    ) -> Result<Vec<f64>, Error> {
        let (mut keys, size) = (vec![0.0; which.len()], 4 * which.len());
        let jobs = keys.chunks_mut(ASKED).enumerate();
        par.run(
            jobs,
            size,
            || (Vec::new(), Vec::new()),
            |(rows, squared), (at, keys)| {
                rows.clear();
                rows.extend(which.clone().skip(at * ASKED).take(keys.len()));
                squared.clear();
                squared.extend(rows.iter().map(|&row: &usize| self.bounds[row].squared));
                self.rule.keys(rows, squared, self.picks.indices.len(), keys);
                // 0 for −0, which would go after it where keys are put in order.
                for (key, &squared) in keys.iter_mut().zip(&*squared) {
                    *key = if squared < 0.0 { f64::NEG_INFINITY } else { *key + 0.0 };
                }
                Ok(())
            },
        )?;
        Ok(keys)
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
            self.known.add(self.rows, picked, "features", par)?;
        }
        for rows in rows.chunks(AT_ONCE) {
            let known = rows.iter().map(|&row| (row, self.bounds[row]));
            let behind = |&(_, bound): &Bounded| (self.settled..total).contains(&bound.seen());
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
        let (space, workers) = ((known.metric, &known.space), &mut self.workers);
        self.work.distances += refresh(self.rows, &known.centres, space, bounds, &matters, workers, par)?;
        Ok(())
    }

    /// The largest key of a row that is none of the candidates, and the first row that has it.
    fn best_of_others(&self, candidates: &[usize], par: Par<'_>) -> Result<(f64, usize), Error> {
        let (mut best, mut candidates) = ((f64::NEG_INFINITY, usize::MAX), candidates.iter().peekable());
        for (row, key) in self.keys(&(0..self.bounds.len()), par)?.into_iter().enumerate() {
            if candidates.next_if_eq(&&row).is_none() && key > best.0 {
                best = (key, row);
            }
        }
        Ok(best)
    }

    /// Picks among rows that are up to date while the best goes before the first of the others, which has the
    /// key and the number `bar`. Where keys drift, that is looked for again once the ceiling of the bar is no help: where
    /// keys are as good as equal, there would be one pick a rung otherwise.
    fn pick_among(
        &mut self,
        candidates: &[usize],
        mut bar: (f64, usize),
        k: usize,
        watch: &mut Watch,
        par: Par<'_>,
    ) -> Result<(), Error> {
        let (before, d) = (self.picks.indices.len(), self.rows.width());
        let pool = Pool { rows: self.rows, metric: self.known.metric, rule: self.rule };
        let squared = candidates.iter().map(|&row| self.bounds[row].squared).collect();
        let mut among = Among::new(candidates, squared, &pool, par);
        // How many were picked when the bar was as it is.
        let mut since = before;
        while self.picks.indices.len() < k {
            let now = self.picks.indices.len();
            let Some(at) = among.best(&pool, &self.known.centres, now, par) else { break };
            let (row, squared, key) = (candidates[at], among.squared[at], among.keys[at]);
            let ahead = |bar: (f64, usize)| key > bar.0 || key >= bar.0 && row < bar.1;
            let drifts = self.rule.drifts() && now > since;
            let clear = if drifts { key > self.rule.ceiling(bar.0, since, now) } else { ahead(bar) };
            if !clear {
                if !drifts {
                    break;
                }
                (bar, since) = (self.best_of_others(candidates, par)?, now);
                if !ahead(bar) {
                    break;
                }
            }
            among.take(at, d);
            for row in self.emit(row, squared, par)? {
                if let Ok(at) = candidates.binary_search(row) {
                    among.leave_out(at);
                }
            }
            watch.ask(par, self.picks.indices.len() as f64 / k as f64)?;
        }
        self.work.distances += among.distances;
        let before = self.known.centres.len() - (self.picks.indices.len() - before);
        for ((&row, &squared), &seen) in candidates.iter().zip(&among.squared).zip(&among.seen) {
            // Which centre is the nearest is asked of open bounds alone.
            self.bounds[row] = Bound::exactly(squared, 0, before + seen);
        }
        Ok(())
    }
}

/// A number that about so many of the keys are above: of a sample, as any bar will do.
fn bar(keys: &[f64], rung: usize) -> f64 {
    let step = (rung / SAMPLED).max(1);
    let mut sample: Vec<f64> = keys.iter().copied().step_by(step).collect();
    let rung = rung / step;
    if rung < sample.len() {
        *sample.select_nth_unstable_by(rung, |a, b| b.total_cmp(a)).1
    } else {
        f64::NEG_INFINITY
    }
}
