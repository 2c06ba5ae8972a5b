//! D² sampling: each row is drawn with a chance ∝ w D², D the distance to what is labelled or drawn already. The engine
//! of k-means++ and BADGE, which say what the distances are.
//!
//! **Stale rejection.** D² of each row is known as of some draw, and only falls. So a row is drawn ∝ w D² as it is known,
//! brought up to date, and kept with the chance of what is left of it; else another is drawn. That is the law
//! itself, and most rows are never brought up to date. All are where more than one row is
//! refused a draw, if the draws to come would else cost more than that, and once refused rows have cost as much. The law
//! holds for whatever is known when a row is drawn, so that what to bring up to date between two trials may depend on all
//! that went before, if not on the row in hand. To do it at the eighth refusal in one draw took up to 40 times as long, by
//! the seed: a refusal costs one row, and this n; to wait for the same cost alone took 4 times as long as it must. The
//! chances are added up in one order and the random numbers are counted, so that a seed gives the same draws for any
//! number of threads.
//!
//! **Sums.** What a draw goes over are the sums of 256 chances each, and then the chances of one: a draw changes few of
//! them. To add up all chances for each draw, one after the other, was half of BADGE.
//!
//! **Any numbers.** w and D² are each a float64, but their product, or the sum of many, may not be one. So chances are in
//! units of a power of two, which rounds nothing: 1, and where the sum of the chances leaves what float64 can hold, that
//! of the largest.

use std::ops::{Range, RangeInclusive};

use super::power::uniform;
use super::{Open, Work};
use crate::error::Error;
use crate::pool::Par;

/// Rows whose chances have a sum of their own.
const TOGETHER: usize = 256;

/// The chances of a draw.
pub(super) struct Chances<'a> {
    /// D² of each row, ∞ while there is nothing to be far from.
    pub(super) squared: Vec<f64>,
    weights: Option<&'a [f64]>,
    /// How many of what was drawn or labelled that counts.
    seen: Vec<usize>,
    /// Whether a row can still be drawn.
    pub(super) open: Vec<bool>,
    /// The chances of each [`TOGETHER`] rows, added up.
    sums: Vec<f64>,
    /// Chances are in units of 2 to this power.
    unit: i32,
    /// Numbers that refused rows have cost since all were brought up to date.
    spent: usize,
    /// How many these are, and how many targets there were then.
    refused: usize,
    swept: usize,
    /// Draws to come.
    left: usize,
    /// The sum of `seen`.
    known: usize,
    /// Whether D² is 0 for every row that can still be drawn, and so does not count. It never rises.
    alike: bool,
    quotas: Open<'a>,
    seed: u64,
    drawn: u64,
    pub(super) work: Work,
}

/// What D² is the distance to.
pub(super) trait Targets {
    /// How many there are.
    fn count(&self) -> usize;
    /// How many numbers a distance goes over.
    fn width(&self) -> usize;
    /// Brings D² of a row down to that to the targets from `seen` on.
    fn update(&mut self, row: usize, squared: f64, seen: usize) -> f64;
    /// The same for all rows.
    fn update_all(&mut self, squared: &mut [f64], seen: &mut [usize], par: Par<'_>) -> Result<(), Error>;
}

/// Refusals beyond one a draw that are many. One a draw tells that the sum of D² has halved, which it does not do often.
const PATIENCE: usize = 8;

/// What a number of a sum over chances takes, in those of a distance, which are added up in lanes.
const CHANCE: usize = 8;

/// Sums of chances that float64 holds with all the chances that matter: those are far from vanishing.
const HELD: RangeInclusive<f64> = 1e-280..=f64::MAX;

impl<'a> Chances<'a> {
    pub(super) fn new(
        n: usize,
        weights: Option<&'a [f64]>,
        quotas: Open<'a>,
        seed: u64,
        k: usize,
    ) -> Result<Self, Error> {
        // A row of weight 0 or NaN has no chance.
        let has_chance = |row: usize| weights.is_none_or(|weights| weights[row] > 0.0);
        quotas.check(k, (0..n).filter(|&row| has_chance(row)))?;
        let open = (0..n).map(|row| quotas.can(row) && has_chance(row)).collect();
        let mut chances = Self {
            squared: vec![f64::INFINITY; n],
            seen: vec![0; n],
            weights,
            open,
            sums: vec![0.0; n.div_ceil(TOGETHER)],
            unit: 0,
            spent: 0,
            refused: 0,
            swept: 0,
            left: k,
            known: 0,
            alike: false,
            quotas,
            seed,
            drawn: 0,
            work: Work::default(),
        };
        chances.add_up(0..n);
        Ok(chances)
    }

    /// Takes a row out, and its group if that is full.
    pub(super) fn take(&mut self, row: usize) {
        self.open[row] = false;
        self.left = self.left.saturating_sub(1);
        self.add_up(row..row + 1);
        let closed = self.quotas.take(row).to_vec();
        for &row in &closed {
            self.open[row] = false;
        }
        for rows in closed.chunk_by(|a, b| a / TOGETHER == b / TOGETHER) {
            self.add_up(rows[0]..rows[0] + 1);
        }
    }

    /// w and D², of which a row's chance is the product; 1 for a D² that does not count.
    fn factors(&self, row: usize) -> (f64, f64) {
        let (weight, squared) = (self.weights.map_or(1.0, |weights| weights[row]), self.squared[row]);
        (weight, if self.alike || squared.is_infinite() { 1.0 } else { squared })
    }

    /// What a row is drawn in proportion to.
    fn chance(&self, row: usize) -> f64 {
        if !self.open[row] {
            return 0.0;
        }
        let (weight, squared) = self.factors(row);
        if self.unit == 0 {
            return weight * squared;
        }
        let ((x, of_weight), (y, of_squared)) = (parts(weight), parts(squared));
        x * y * power_of_two(of_weight + of_squared - self.unit)
    }

    /// Rows that have a sum, by its number.
    fn together(&self, number: usize) -> Range<usize> {
        number * TOGETHER..((number + 1) * TOGETHER).min(self.open.len())
    }

    /// Adds up again where chances of some rows have changed.
    fn add_up(&mut self, rows: Range<usize>) {
        for number in rows.start / TOGETHER..rows.end.div_ceil(TOGETHER) {
            self.sums[number] = self.together(number).map(|row| self.chance(row)).sum();
        }
    }

    fn total(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// The row at which the chances exceed a number; the last with a chance if rounding leaves none.
    fn reach(&self, target: f64) -> Option<usize> {
        let (before, number) = first_above(target, 0.0, self.sums.iter().copied())?;
        let rows = self.together(number);
        let first = rows.start;
        first_above(target, before, rows.map(|row| self.chance(row))).map(|(_, at)| first + at)
    }

    fn uniform(&mut self) -> f64 {
        self.drawn += 1;
        uniform(self.seed, self.drawn)
    }

    /// Brings all rows up to date.
    pub(super) fn update_all(&mut self, targets: &mut impl Targets, par: Par<'_>) -> Result<(), Error> {
        self.work.distances += self.seen.iter().map(|&seen| targets.count() - seen).sum::<usize>();
        self.work.sweeps += 1;
        targets.update_all(&mut self.squared, &mut self.seen, par)?;
        (self.spent, self.refused, self.swept) = (0, 0, targets.count());
        self.known = self.seen.len() * targets.count();
        self.add_up(0..self.open.len());
        Ok(())
    }

    /// Whether it is time to bring all rows up to date.
    fn is_behind(&self, targets: &impl Targets) -> bool {
        let behind = self.seen.len() * targets.count() - self.known;
        let (cost, spent) = ((behind * targets.width() + CHANCE * self.seen.len()) as f64, self.spent as f64);
        let draws = targets.count() - self.swept;
        let many = self.refused > PATIENCE + draws;
        spent > cost || many && spent * self.left as f64 > cost * draws as f64
    }

    /// Chooses the unit anew, from the rows that can still be drawn, and whether their D² counts.
    fn measure(&mut self) {
        let open = |row: &usize| self.open[*row];
        self.alike = (0..self.open.len()).filter(open).all(|row| self.squared[row] == 0.0);
        let exponents = (0..self.open.len()).filter(open).filter_map(|row| {
            let (weight, squared) = self.factors(row);
            (squared > 0.0).then(|| parts(weight).1 + parts(squared).1)
        });
        self.unit = exponents.max().unwrap_or(0);
        self.add_up(0..self.open.len());
    }

    /// A row, drawn ∝ w D², or ∝ w where no D² tells rows apart.
    pub(super) fn draw(&mut self, targets: &mut impl Targets, par: Par<'_>) -> Result<Option<usize>, Error> {
        loop {
            // Before the draw: after it, it would favour rows that are up to date.
            if self.is_behind(targets) {
                self.update_all(targets, par)?;
            }
            let u = self.uniform();
            let mut total = self.total();
            if !HELD.contains(&total) {
                self.measure();
                total = self.total();
            }
            let Some(row) = self.reach(u * total) else { return Ok(None) };
            let (before, seen) = (self.squared[row], self.seen[row]);
            if before > 0.0 && self.seen[row] < targets.count() {
                if before.is_infinite() {
                    self.update_all(targets, par)?;
                    continue;
                }
                self.squared[row] = targets.update(row, before, seen);
                self.work.distances += targets.count() - seen;
                self.known += targets.count() - seen;
                self.seen[row] = targets.count();
                self.add_up(row..row + 1);
            }
            if self.squared[row] >= before || self.uniform() * before < self.squared[row] {
                self.take(row);
                return Ok(Some(row));
            }
            let chances = self.sums.len() + 2 * TOGETHER;
            self.refused += 1;
            self.spent += (targets.count() - seen) * targets.width() + CHANCE * chances;
        }
    }
}

/// The m and e of x = m 2^e, m from 1 to 2; of 0 an m of 0.
fn parts(x: f64) -> (f64, i32) {
    if x < f64::MIN_POSITIVE {
        if x == 0.0 {
            return (0.0, 0);
        }
        let (mantissa, exponent) = parts(x * power_of_two(64));
        return (mantissa, exponent - 64);
    }
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    (f64::from_bits(x.to_bits() & (u64::MAX >> 12) | 1023 << 52), exponent)
}

/// 2^e, 0 where that is no normal number; e up to 1023.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1023).unwrap_or(0) << 52)
}

/// The first place at which the sum, from `sum` on, exceeds a number, and the sum of what is before it; the last with a
/// chance if rounding leaves none.
fn first_above(target: f64, mut sum: f64, chances: impl Iterator<Item = f64>) -> Option<(f64, usize)> {
    let mut last = None;
    for (at, chance) in chances.enumerate().filter(|&(_, chance)| chance > 0.0) {
        last = Some((sum, at));
        sum += chance;
        if sum > target {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::k_means_pp::Nearby;
    use super::*;
    use crate::distance::Space;
    use crate::exact::Metric;
    use crate::rows::Rows;
    use crate::select::centres::Centres;

    #[test]
    fn sums_follow_every_draw() {
        let numbers: Vec<f64> = (0..1400_u64).map(|i| uniform(5, i)).collect();
        let rows = Rows::of(&numbers, 2);
        let weights: Vec<f64> = (0..700).map(|i| f64::from(i % 5)).collect();
        let mut chances = Chances::new(700, Some(&weights), Open::default(), 1, 60).unwrap();
        let par = Par::serial();
        let centres = Centres::of(&rows, [3], Metric::Euclidean, "features", Par::serial()).unwrap();
        let mut targets = Nearby { rows: &rows, centres, space: Space::around(&rows), level: par.level };
        chances.update_all(&mut targets, par).unwrap();
        for _ in 0..60 {
            let row = chances.draw(&mut targets, par).unwrap().unwrap();
            targets.centres.extend(&rows, [row], Metric::Euclidean, "features", Par::serial()).unwrap();
            let sums = chances.sums.clone();
            chances.add_up(0..700);
            assert_eq!(chances.sums, sums);
            for share in [0.0, 0.3, 0.77, 1.0] {
                let (target, all) = (share * chances.total(), (0..700).map(|row| chances.chance(row)));
                let plain = first_above(target, 0.0, all);
                assert_eq!(chances.reach(target), plain.map(|(_, row)| row));
            }
        }
    }
}
