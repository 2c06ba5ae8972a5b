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
//! then took 4.0 n² similarities with the rbf kernel and 8.1 with the cosine, where it is 2.7 and 6.0 now,
//! and 1.4 times as long.

use std::cmp::Ordering;

use super::centres::{Bound, Bounded, Centres, refresh, settle};
use super::gains::{Items, Pool, Similarity};
use super::{Open, Picks, Work};
use crate::error::Error;
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;

/// Rows that are brought up to date at once, at first: the columns of a tile.
const BATCH: usize = 48;

/// Rows that are evaluated over all items at once, to decide; twice as many each time that leaves it open.
const FINALISTS: usize = 16;

/// One candidate in so many, and some, are brought up to date at each pick: of twice or half as many 200
/// picks took as long.
const KEPT_SHARE: usize = 24;

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
    let (mut coverage, mut work) = (vec![T::ZERO; n], Work::default());
    if !labelled.is_empty() {
        let mut nearest: Vec<Bounded> = (0..n).map(|row| (row, Bound::NOTHING)).collect();
        let (compared, all) = ((metric, &space), &|_, _| true);
        work.distances += refresh(rows, labelled, compared, &mut nearest, all, &mut Vec::new(), par)?;
        work.sweeps += 1;
        settle(rows, labelled, metric, &mut nearest, par)?;
        for (row, bound) in nearest {
            coverage[row] = T::from_f64(similarity.of(bound.squared));
        }
    }
    let scale = weights.map_or(1.0, scale_of::<T>);
    let weights = weights.map(|weights| weights.iter().map(|&w| T::from_f64(w * scale)).collect::<Vec<T>>());
    let pool = Pool::new(rows, &space, similarity, weights.as_deref(), par)?;
    let candidate = |row| Candidate { row, gain: f64::INFINITY, kept: false, exact: false };
    let candidates = (0..n).filter(|&row| open.can(row)).map(candidate).collect();
    let mut greedy =
        Greedy { pool, candidates, coverage, batch: BATCH, finalists: FINALISTS, current: false, work };
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
        picks.values.push(gain / scale);
        greedy.cover(row, par)?;
        if !open.take(row).is_empty() {
            greedy.candidates.retain(|candidate| open.can(candidate.row));
        }
    }
    Ok((picks, greedy.work))
}

/// The power of two by which weights fill the range of their type, less the room for a sum over the pool: in float32
/// those would else vanish or overflow that float64 holds. Of others it changes no bit.
fn scale_of<T: Real>(weights: &[f64]) -> f64 {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let most = T::LARGEST / (1_u64 << 32) as f64;
    f64::from_bits((most / largest).min(f64::MAX).to_bits() >> 52 << 52)
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
    finalists: usize,
    /// Whether all bounds are as of now.
    current: bool,
    work: Work,
}

impl<T: Real> Greedy<'_, '_, T> {
    /// Brings gains of the candidates nearer to what they are, those of the largest first.
    fn narrow(&mut self, par: Par<'_>) -> Result<(), Error> {
        let (n, most) = (self.coverage.len(), self.pool.side());
        let kept = self.candidates.iter().filter(|one| one.kept);
        let lead = kept.clone().copied().reduce(|a, b| if b.order(&a).is_lt() { b } else { a });
        let count = kept.count();
        // By the order in which some are let go: of equal gains, others would come back again and again.
        let is_ahead = |one: &Candidate| !one.kept && lead.is_none_or(|lead| one.order(&lead).is_lt());
        let mut ahead: Vec<usize> =
            (0..self.candidates.len()).filter(|&at| is_ahead(&self.candidates[at])).collect();
        if ahead.is_empty() {
            let mut kept: Vec<usize> = (0..self.candidates.len())
                .filter(|&at| self.candidates[at].kept && !self.candidates[at].exact)
                .collect();
            self.first_of(&mut kept, self.finalists);
            self.finalists = (2 * self.finalists).min(most);
            return self.evaluate(&kept, par);
        }
        if ahead.len() > n / 2 {
            if !self.current {
                let gains = self.pool.all(&self.coverage, par)?;
                for one in self.candidates.iter_mut().filter(|one| !one.exact) {
                    one.gain = one.gain.min(loose::<T>(gains[one.row]));
                }
                self.current = true;
                self.work.distances += n * n.div_ceil(2);
                self.work.sweeps += 1;
            }
            self.candidates.iter_mut().for_each(|one| one.kept = true);
            self.let_go();
        } else {
            // Where bounds tell little, more at once cost less each.
            let batch = if count == 0 { most } else { self.batch };
            self.batch = (2 * self.batch).min(most);
            self.first_of(&mut ahead, batch);
            self.evaluate(&ahead, par)?;
            if count + ahead.len() > 2 * self.most_kept() {
                self.let_go();
            }
        }
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

    /// How many are kept up to date, or for a while twice as many.
    fn most_kept(&self) -> usize {
        self.coverage.len() / KEPT_SHARE + 512
    }

    /// Lets all but the first go: their gains stay bounds, only older ones from now on.
    fn let_go(&mut self) {
        let mut kept: Vec<usize> =
            (0..self.candidates.len()).filter(|&at| self.candidates[at].kept).collect();
        let most = self.most_kept();
        if kept.len() > most {
            kept.select_nth_unstable_by(most - 1, |&a, &b| self.candidates[a].order(&self.candidates[b]));
            for &at in &kept[most..] {
                self.candidates[at].kept = false;
            }
        }
    }

    /// Evaluates candidates over all items.
    fn evaluate(&mut self, which: &[usize], par: Par<'_>) -> Result<(), Error> {
        let rows: Vec<usize> = which.iter().map(|&at| self.candidates[at].row).collect();
        for (&at, gain) in which.iter().zip(self.pool.gains(&rows, &self.coverage, par)?) {
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
        let given = Items { before: Some(&before), coverage: &coverage, weights: weights.as_deref() };
        (self.batch, self.finalists, self.current) = (BATCH, FINALISTS, false);
        let many = 2 * items.len() > self.coverage.len();
        for one in &mut self.candidates {
            one.exact = false;
            one.kept &= !many;
        }
        let kept: Vec<usize> = (0..self.candidates.len()).filter(|&at| self.candidates[at].kept).collect();
        let rows: Vec<usize> = kept.iter().map(|&at| self.candidates[at].row).collect();
        for (&at, loss) in kept.iter().zip(self.pool.losses(&rows, &items, &given, par)?) {
            let gain = &mut self.candidates[at].gain;
            // Not lower than the gain by the rounding of either sum.
            *gain = gain.min(loose::<T>(*gain) - loss);
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
