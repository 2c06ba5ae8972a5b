//! D² sampling: each row is drawn with a chance ∝ w D², D the distance to what is labelled or drawn already:
//! k-means++ (Arthur & Vassilvitskii 2007), and BADGE (Ash et al. 2020), which does it with the gradients
//! that labels would cause.
//!
//! **Stale rejection.** D² of each row is known as of some draw, and only falls. So a row is drawn ∝ w D² as it is known,
//! brought up to date, and kept with the chance of what is left of it; else another is drawn. That is the law
//! itself, and most rows are never brought up to date. All are where more than one row is
//! refused a draw, if the draws to come would else cost more than that, and once refused rows have cost as much. The law
//! holds for whatever is known when a row is drawn, so that what to bring up to date between two trials may depend on all
//! that went before, if not on the row in hand. To do it at the eighth refusal in one draw took up to 40 times as long, by
//! the seed: a refusal costs one row, and this n; to wait for the same cost alone took 4 times as long as it must. A BADGE
//! gradient is an outer product a ⊗ h, a = p − e with e the unit vector of the likeliest class, and is
//! never formed: ‖a ⊗ h − b ⊗ g‖² = ‖a‖² ‖h‖² + ‖b‖² ‖g‖² − 2 (a·b)(h·g), O(c + d) for what is c d long. The
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

use fearless_simd::Simd;

use super::centres::{Bound, Bounded, Centres, refresh, settle};
use super::power::uniform;
use super::{Open, Picks, Work};
use crate::distance::{Space, fault_of};
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::row_sums::{Dot, dot};
use crate::rows::Rows;
use crate::score::row_fault;
use crate::simd::{Kernel, Level, dispatch};

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 15;

/// Rows whose chances have a sum of their own.
const TOGETHER: usize = 256;

/// The chances of a draw.
struct Chances<'a> {
    /// D² of each row, ∞ while there is nothing to be far from.
    squared: Vec<f64>,
    weights: Option<&'a [f64]>,
    /// How many of what was drawn or labelled that counts.
    seen: Vec<usize>,
    /// Whether a row can still be drawn.
    open: Vec<bool>,
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
    work: Work,
}

/// What D² is the distance to.
trait Targets {
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
    fn new(
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
    fn take(&mut self, row: usize) {
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
    fn update_all(&mut self, targets: &mut impl Targets, par: Par<'_>) -> Result<(), Error> {
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
    fn draw(&mut self, targets: &mut impl Targets, par: Par<'_>) -> Result<Option<usize>, Error> {
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

/// k rows drawn by k-means++; the values are D² at the draw, ∞ for a first one with nothing labelled, which
/// is drawn ∝ w. O(n k d).
///
/// # Errors
/// [`Error::BatchTooLarge`] if fewer than k rows have a chance; [`Error::Row`] for a row that is not finite;
/// [`Error::Stopped`].
pub fn k_means_pp<T: Real>(
    rows: &Rows<'_, T>,
    k: usize,
    labelled: Centres<T>,
    weights: Option<&[f64]>,
    open: Open<'_>,
    seed: u64,
    par: Par<'_>,
) -> Result<(Picks<f64>, Work), Error> {
    let mut chances = Chances::new(rows.len(), weights, open, seed, k)?;
    let mut targets = Nearby { rows, centres: labelled, space: Space::around(rows), level: par.level };
    chances.update_all(&mut targets, par)?;
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let Some(pick) = chances.draw(&mut targets, par)? else { break };
        picks.indices.push(pick);
        picks.values.push(chances.squared[pick]);
        targets.centres.extend(rows, [pick], Metric::Euclidean, "features", par)?;
    }
    Ok((picks, chances.work))
}

/// Rows as targets.
struct Nearby<'a, 'b, T> {
    rows: &'a Rows<'b, T>,
    centres: Centres<T>,
    space: Space<T>,
    level: Level,
}

impl<T: Real> Targets for Nearby<'_, '_, T> {
    fn count(&self) -> usize {
        self.centres.len()
    }

    fn width(&self) -> usize {
        self.rows.width()
    }

    fn update(&mut self, row: usize, mut squared: f64, seen: usize) -> f64 {
        let (mut block, mut wide) = (Vec::new(), Vec::new());
        let given = self.rows.read(row..row + 1, &mut block);
        exact_row(given, Metric::Euclidean, &mut wide, self.level);
        let new = (seen..self.centres.len()).map(|j| self.centres.exact(j));
        exact(new, &wide, Metric::Euclidean, self.level, |new| squared = squared.min(new));
        squared
    }

    fn update_all(&mut self, squared: &mut [f64], seen: &mut [usize], par: Par<'_>) -> Result<(), Error> {
        let known = squared.iter().zip(&*seen).enumerate();
        let mut bounds: Vec<Bounded> =
            known.map(|(row, (&squared, &seen))| (row, Bound::exactly(squared, 0, seen))).collect();
        let (rows, centres, metric) = (self.rows, &self.centres, Metric::Euclidean);
        refresh(rows, centres, (metric, &self.space), &mut bounds, &|_, _| true, &mut Vec::new(), par)?;
        settle(rows, centres, metric, &mut bounds, par)?;
        for (row, bound) in bounds {
            (squared[row], seen[row]) = (bound.squared, bound.seen());
        }
        Ok(())
    }
}

/// k rows drawn by BADGE: the first is that of the longest gradient (its value: the squared length), then ∝
/// D² (the value). O(n k (c + d)) time, O(n + k (c + d)) memory.
///
/// # Errors
/// [`Error::BatchTooLarge`]; [`Error::Row`] for a row that is not valid or not finite; [`Error::Shape`];
/// [`Error::Stopped`].
pub fn badge<T: Real>(
    proba: &Rows<'_, T>,
    features: &Rows<'_, T>,
    k: usize,
    open: Open<'_>,
    (seed, tolerance): (u64, f64),
    par: Par<'_>,
) -> Result<(Picks<f64>, Work), Error> {
    let (n, c, d) = (proba.len(), proba.width(), features.width());
    if features.len() != n || c == 0 || d == 0 {
        return Err(Error::shape(
            "features",
            &format_args!("{n} rows of at least one number, as proba"),
            &format_args!("{} of {d}, proba of {c}", features.len()),
        ));
    }
    let mut chances = Chances::new(n, None, open, seed, k)?;
    let mut rows: Vec<Gradient> = vec![Gradient::default(); n];
    let step = (STEP / (c + d)).max(1);
    par.run(rows.chunks_mut(step).enumerate(), n * (c + d), Blocks::default, |blocks, (number, rows)| {
        let first = number * step;
        blocks.read(proba, features, first..first + rows.len());
        for (i, row) in rows.iter_mut().enumerate() {
            let bad = |argument, fault| Error::Row { argument, row: first + i, member: None, fault };
            let p = &blocks.proba[i * c..][..c];
            if let Some(fault) = row_fault(p, tolerance) {
                return Err(bad("proba", fault));
            }
            let h = &blocks.features[i * d..][..d];
            row.choice = (0..c).fold(0, |best, j| if p[j] > p[best] { j } else { best });
            row.largest = p[row.choice].to_f64();
            blocks.residual.clear();
            blocks.residual.extend_from_slice(p);
            blocks.residual[row.choice] = p[row.choice] - T::ONE;
            let a = &blocks.residual;
            let (of_residual, of_features) = (squared_length(a, par.level), squared_length(h, par.level));
            row.squared = of_residual * of_features;
            // Squared distances are up to four times as large.
            if row.squared.is_nan() || row.squared > f64::MAX / 4.0 {
                return Err(bad("features", fault_of(h)));
            }
            row.near = T::NEAR.to_f64() * row.squared
                + vanished::<T>() * (c as f64 * of_features + d as f64 * of_residual);
        }
        Ok(())
    })?;
    let mut targets = Gradients { proba, features, rows: &rows, drawn: Vec::new(), level: par.level };
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let pick = if picks.indices.is_empty() {
            let open = (0..n).filter(|&i| chances.open[i]);
            let longest = open.reduce(|best, i| if rows[i].squared > rows[best].squared { i } else { best });
            longest.inspect(|&longest| chances.take(longest))
        } else {
            chances.draw(&mut targets, par)?
        };
        let Some(pick) = pick else { break };
        let value = if picks.indices.is_empty() { rows[pick].squared } else { chances.squared[pick] };
        picks.indices.push(pick);
        picks.values.push(value);
        let mut blocks = Blocks::default();
        blocks.read(proba, features, pick..pick + 1);
        blocks.proba[rows[pick].choice] -= T::ONE;
        targets.drawn.push((blocks.proba, blocks.features, rows[pick]));
    }
    Ok((picks, chances.work))
}

/// Gradients as targets: a, h and what is known of each that was drawn.
struct Gradients<'a, 'b, T> {
    proba: &'a Rows<'b, T>,
    features: &'a Rows<'b, T>,
    rows: &'a [Gradient],
    drawn: Vec<(Vec<T>, Vec<T>, Gradient)>,
    level: Level,
}

impl<T: Real> Targets for Gradients<'_, '_, T> {
    fn count(&self) -> usize {
        self.drawn.len()
    }

    fn width(&self) -> usize {
        self.proba.width() + self.features.width()
    }

    fn update(&mut self, row: usize, mut squared: f64, seen: usize) -> f64 {
        let mut blocks = Blocks::default();
        blocks.read(self.proba, self.features, row..row + 1);
        let (rows, squares) = (&self.rows[row..=row], std::slice::from_mut(&mut squared));
        let seen = &[seen][..];
        dispatch(
            self.level,
            Nearer { blocks: &mut blocks, rows, drawn: &self.drawn, squared: squares, seen },
        );
        squared
    }

    fn update_all(&mut self, squared: &mut [f64], seen: &mut [usize], par: Par<'_>) -> Result<(), Error> {
        let (n, width) = (self.rows.len(), self.proba.width() + self.features.width());
        let step = (STEP / width).max(1);
        let jobs = squared.chunks_mut(step).zip(self.rows.chunks(step)).zip(seen.chunks(step)).enumerate();
        par.run(jobs, n * width, Blocks::default, |blocks, (number, ((squared, rows), seen))| {
            let first = number * step;
            blocks.read(self.proba, self.features, first..first + squared.len());
            dispatch(par.level, Nearer { blocks, rows, drawn: &self.drawn, squared, seen });
            Ok(())
        })?;
        seen.fill(self.drawn.len());
        Ok(())
    }
}

/// What is known of a gradient (p − e) ⊗ h.
#[derive(Debug, Clone, Copy, Default)]
struct Gradient {
    /// ŷ.
    choice: usize,
    /// Its probability.
    largest: f64,
    /// The squared length.
    squared: f64,
    /// Two gradients whose squared distance comes out below the sum of these are compared again: it has cancelled, or what
    /// it is made of has vanished.
    near: f64,
}

/// ‖x‖², also of numbers whose squares vanish in their own type.
fn squared_length<T: Real>(x: &[T], level: Level) -> f64 {
    let squared = dispatch(level, Dot(x, x));
    if squared >= T::SMALL.to_f64() { squared } else { x.iter().map(|x| x.to_f64()).map(|x| x * x).sum() }
}

/// 2^18 times as much as rounding can take off a product that vanishes: what is larger is right to a part in 10^5.
fn vanished<T: Real>() -> f64 {
    T::TINY.to_f64() * T::EPSILON.to_f64() * 262_144.0
}

/// Rows of both matrices, copied so that p can become p − e.
#[derive(Debug, Default)]
struct Blocks<T> {
    proba: Vec<T>,
    features: Vec<T>,
    residual: Vec<T>,
}

impl<T: Real> Blocks<T> {
    fn read(&mut self, proba: &Rows<'_, T>, features: &Rows<'_, T>, range: Range<usize>) {
        for (rows, block) in [(proba, &mut self.proba), (features, &mut self.features)] {
            if rows.is_contiguous() {
                block.clear();
                block.extend_from_slice(rows.read(range.clone(), &mut Vec::new()));
            } else {
                let count = rows.read(range.clone(), block).len();
                block.truncate(count);
            }
        }
    }
}

/// The kernel that brings D² of rows down to the distance to what was drawn since.
struct Nearer<'a, T> {
    blocks: &'a mut Blocks<T>,
    rows: &'a [Gradient],
    drawn: &'a [(Vec<T>, Vec<T>, Gradient)],
    squared: &'a mut [f64],
    seen: &'a [usize],
}

impl<T: Real> Kernel for Nearer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { blocks, rows, drawn, squared, seen } = self;
        let Some((a, h, _)) = drawn.first() else { return };
        let pairs = blocks.proba.chunks_exact_mut(a.len()).zip(blocks.features.chunks_exact(h.len()));
        for ((((p, g), row), squared), &seen) in pairs.zip(rows).zip(squared).zip(seen) {
            p[row.choice] -= T::ONE;
            for (a, h, centre) in &drawn[seen..] {
                let near = row.near + centre.near;
                let mut apart = row.squared + centre.squared - 2.0 * (dot(simd, p, a) * dot(simd, g, h));
                if apart < near {
                    // Rounding is far less than that; what is beyond what is known of the row does not matter.
                    if apart > *squared + near / 64.0 {
                        continue;
                    }
                    apart = again((p, g, row), (a, h, centre));
                }
                *squared = squared.min(apart.max(0.0));
            }
        }
    }
}

/// ‖a ⊗ h − b ⊗ g‖² of gradients near each other, in float64 and from differences. With a − b = s b + u, u ⊥ b, and
/// h − g = t h + v, v ⊥ h, the difference is (s + t) b ⊗ h + u ⊗ h + b ⊗ v, of which each part is orthogonal to the
/// others: no sum of squares cancels.
#[inline(never)]
fn again<T: Real>((a, h, of_a): (&[T], &[T], &Gradient), (b, g, of_b): (&[T], &[T], &Gradient)) -> f64 {
    // In the element type p − 1 has been rounded.
    let exact = |x: &[T], of: &Gradient, at: usize| {
        if at == of.choice { of.largest - 1.0 } else { x[at].to_f64() }
    };
    let residuals = (0..a.len()).map(|at| {
        let (x, y) = (exact(a, of_a, at), exact(b, of_b, at));
        let both = at == of_a.choice && at == of_b.choice;
        (if both { of_a.largest - of_b.largest } else { x - y }, y)
    });
    let features = h.iter().zip(g).map(|(x, y)| (x.to_f64() - y.to_f64(), x.to_f64()));
    let (b2, s, u2) = along(residuals);
    let (h2, t, v2) = along(features);
    (s + t) * (s + t) * b2 * h2 + u2 * h2 + b2 * v2
}

/// Of differences x and a row y: ‖y‖², s and ‖x − s y‖², s y being the part of x along y.
fn along(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64, f64) {
    let (squared, product) =
        pairs.clone().fold((0.0, 0.0), |(squared, product), (x, y)| (squared + y * y, product + x * y));
    let along = if squared > 0.0 { product / squared } else { 0.0 };
    (squared, along, pairs.map(|(x, y)| x - along * y).map(|x| x * x).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

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
