//! D² sampling: each row is drawn with a chance ∝ w D², D the distance to what is labelled or drawn already: k-means++
//! (Arthur & Vassilvitskii 2007), and BADGE (Ash et al. 2020), which does it with the gradients that labels would cause.
//!
//! D² is kept for every row. For k-means++ a draw rules out in the element type almost all rows that it cannot be nearer
//! to, and the others are decided in float64. A BADGE gradient is an outer product a ⊗ h, a = p − e with e the unit vector of the likeliest class, and is never formed:
//! ‖a ⊗ h − b ⊗ g‖² = ‖a‖² ‖h‖² + ‖b‖² ‖g‖² − 2 (a·b)(h·g), O(c + d) for what is c d long. The chances are added up in the
//! order of the rows and the random numbers are counted, so that a seed gives the same draws for any number of threads.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::Picks;
use super::centres::{Centres, Metric, MightBeNearer, exact, exact_row, refresh};
use super::power::uniform;
use crate::distance::{Space, fault_of};
use crate::error::Error;
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;
use crate::score::row_fault;
use crate::simd::{Kernel, dispatch};
use crate::sum::{BLOCK, Sum};

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 15;

/// The chances of a draw.
struct Chances<'a> {
    /// D² of each row, ∞ while there is nothing to be far from.
    squared: Vec<f64>,
    weights: Option<&'a [f64]>,
    /// Whether a row can still be drawn.
    open: Vec<bool>,
    seed: u64,
    drawn: u64,
}

impl<'a> Chances<'a> {
    fn new(
        n: usize,
        weights: Option<&'a [f64]>,
        available: Option<&[u8]>,
        seed: u64,
        k: usize,
    ) -> Result<Self, Error> {
        // A row of weight 0 or NaN has no chance.
        let can = |i: usize| {
            available.is_none_or(|available| available[i] != 0)
                && weights.is_none_or(|weights| weights[i] > 0.0)
        };
        let open: Vec<bool> = (0..n).map(can).collect();
        let count = open.iter().filter(|&&open| open).count();
        if k > count {
            return Err(Error::BatchTooLarge { k, available: count });
        }
        Ok(Self { squared: vec![f64::INFINITY; n], weights, open, seed, drawn: 0 })
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// A row, drawn ∝ w D², or ∝ w where no D² tells rows apart.
    fn draw(&mut self) -> Option<usize> {
        let u = uniform(self.seed, self.drawn);
        self.drawn += 1;
        let chance = |row: usize| if self.open[row] { self.weight(row) * self.squared[row] } else { 0.0 };
        let alike = |row: usize| if self.open[row] { self.weight(row) } else { 0.0 };
        let n = self.squared.len();
        let total: f64 = (0..n).map(chance).sum();
        let row = if total > 0.0 && total.is_finite() {
            reach(u * total, (0..n).map(chance))
        } else {
            reach(u * (0..n).map(alike).sum::<f64>(), (0..n).map(alike))
        }?;
        self.open[row] = false;
        Some(row)
    }
}

/// The first place at which the sum exceeds a number; the last with a chance if rounding leaves none.
fn reach(target: f64, chances: impl Iterator<Item = f64>) -> Option<usize> {
    let (mut sum, mut last) = (0.0, None);
    for (row, chance) in chances.enumerate() {
        if chance > 0.0 {
            sum += chance;
            last = Some(row);
            if sum > target {
                break;
            }
        }
    }
    last
}

/// k rows drawn by k-means++; the values are D² at the draw, ∞ for a first one with nothing labelled, which is drawn ∝ w.
/// O(n k d).
///
/// # Errors
/// [`Error::BatchTooLarge`] if fewer than k rows have a chance; [`Error::Row`] for a row that is not finite;
/// [`Error::Stopped`].
pub fn k_means_pp<T: Real>(
    rows: &Rows<'_, T>,
    k: usize,
    labelled: &Centres<T>,
    weights: Option<&[f64]>,
    available: Option<&[u8]>,
    seed: u64,
    par: Par<'_>,
) -> Result<Picks<f64>, Error> {
    let (n, d, metric) = (rows.len(), rows.width(), Metric::Euclidean);
    let mut chances = Chances::new(n, weights, available, seed, k)?;
    let mut bounds: Vec<_> = (0..n).map(super::centres::Bound::new).collect();
    refresh(rows, labelled, metric, &Space::around(rows), &mut bounds, |_| 0.0, par)?;
    for bound in &bounds {
        chances.squared[bound.row] = bound.squared;
    }
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let (mut block, mut centre) = (Vec::new(), Vec::new());
    let step = (STEP / d.max(1)).max(1);
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let Some(pick) = chances.draw() else { break };
        picks.indices.push(pick);
        picks.values.push(chances.squared[pick]);
        let quick = rows.read(pick..pick + 1, &mut block).to_vec();
        exact_row(&quick, metric, &mut centre);
        let jobs = chances.squared.chunks_mut(step).enumerate();
        par.run(
            jobs,
            n * d,
            || (Vec::new(), Vec::new(), Vec::new()),
            |(block, found, wide), (number, squared)| {
                let first = number * step;
                let rows = rows.read(first..first + squared.len(), block);
                if let Some(row) =
                    rows.chunks_exact(d).position(|row| row.iter().any(|x| !x.to_f64().is_finite()))
                {
                    let fault = fault_of(&rows[row * d..][..d]);
                    return Err(Error::Row { argument: "features", row: first + row, member: None, fault });
                }
                found.clear();
                dispatch(par.level, MightBeNearer { rows, row: &quick, metric, squared, found });
                for &near in &*found {
                    exact_row(&rows[near * d..][..d], metric, wide);
                    let squared = &mut squared[near];
                    exact(std::iter::once(&wide[..]), &centre, metric, par.level, |new| {
                        *squared = squared.min(new);
                    });
                }
                Ok(())
            },
        )?;
    }
    Ok(picks)
}

/// k rows drawn by BADGE: the first is that of the longest gradient (its value: the squared length), then ∝ D² (the value).
/// O(n k (c + d)) time, O(n + k (c + d)) memory.
///
/// # Errors
/// [`Error::BatchTooLarge`]; [`Error::Row`] for a row that is not valid or not finite; [`Error::Shape`]; [`Error::Stopped`].
pub fn badge<T: Real>(
    proba: &Rows<'_, T>,
    features: &Rows<'_, T>,
    k: usize,
    available: Option<&[u8]>,
    (seed, tolerance): (u64, f64),
    par: Par<'_>,
) -> Result<Picks<f64>, Error> {
    let (n, c, d) = (proba.len(), proba.width(), features.width());
    if features.len() != n || c == 0 || d == 0 {
        let expected = format!("{n} rows of at least one number, as proba");
        let got = format!("{} of {d}, proba of {c}", features.len());
        return Err(Error::Shape { argument: "features", expected, got });
    }
    let mut chances = Chances::new(n, None, available, seed, k)?;
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
            blocks.residual.clear();
            blocks.residual.extend_from_slice(p);
            blocks.residual[row.choice] = p[row.choice] - T::ONE;
            let a = &blocks.residual;
            row.squared = dispatch(par.level, Dot(a, a)) * dispatch(par.level, Dot(h, h));
            if !row.squared.is_finite() {
                return Err(bad("features", fault_of(h)));
            }
        }
        Ok(())
    })?;
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut blocks = Blocks::default();
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let pick = if picks.indices.is_empty() {
            let open = (0..n).filter(|&i| chances.open[i]);
            let longest = open.reduce(|best, i| if rows[i].squared > rows[best].squared { i } else { best });
            longest.inspect(|&longest| chances.open[longest] = false)
        } else {
            chances.draw()
        };
        let Some(pick) = pick else { break };
        let value = if picks.indices.is_empty() { rows[pick].squared } else { chances.squared[pick] };
        picks.indices.push(pick);
        picks.values.push(value);
        blocks.read(proba, features, pick..pick + 1);
        let mut a = blocks.proba.clone();
        a[rows[pick].choice] -= T::ONE;
        let (h, length) = (blocks.features.clone(), rows[pick].squared);
        let jobs = chances.squared.chunks_mut(step).zip(rows.chunks(step)).enumerate();
        par.run(jobs, n * (c + d), Blocks::default, |blocks, (number, (squared, rows))| {
            let first = number * step;
            blocks.read(proba, features, first..first + squared.len());
            let (a, h) = (&a[..], &h[..]);
            dispatch(par.level, Nearer { blocks, rows, a, h, length, squared });
            Ok(())
        })?;
    }
    Ok(picks)
}

/// What is known of a gradient (p − e) ⊗ h.
#[derive(Debug, Clone, Copy, Default)]
struct Gradient {
    /// ŷ.
    choice: usize,
    /// Its squared length.
    squared: f64,
}

/// Rows of both matrices, copied so that p can become p − e.
#[derive(Debug, Default)]
struct Blocks<T> {
    proba: Vec<T>,
    features: Vec<T>,
    residual: Vec<T>,
}

impl<T: Real> Blocks<T> {
    fn read(&mut self, proba: &Rows<'_, T>, features: &Rows<'_, T>, range: std::ops::Range<usize>) {
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

/// Σ x y of one pair.
struct Dot<'a, T>(&'a [T], &'a [T]);

impl<T: Real> Kernel for Dot<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        dot(simd, self.0, self.1)
    }
}

#[inline(always)]
fn dot<T: Real, S: Simd>(simd: S, x: &[T], y: &[T]) -> f64 {
    let mut sum = Sum::<T, S>::new(simd);
    let (xs, ys) = (x.chunks_exact(T::LANES), y.chunks_exact(T::LANES));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
    for (at, (x, y)) in xs.zip(ys).enumerate() {
        sum.block = T::load(simd, x).mul_add(T::load(simd, y), sum.block);
        if at % BLOCK == BLOCK - 1 {
            sum.close(simd);
        }
    }
    sum.close(simd);
    sum.fold() + rest
}

/// The kernel of a sweep: brings D² down to the distance to one more gradient.
struct Nearer<'a, T> {
    blocks: &'a mut Blocks<T>,
    rows: &'a [Gradient],
    a: &'a [T],
    h: &'a [T],
    length: f64,
    squared: &'a mut [f64],
}

impl<T: Real> Kernel for Nearer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { blocks, rows, a, h, length, squared } = self;
        let pairs = blocks.proba.chunks_exact_mut(a.len()).zip(blocks.features.chunks_exact(h.len()));
        for (((p, g), row), squared) in pairs.zip(rows).zip(squared) {
            p[row.choice] -= T::ONE;
            let apart = row.squared + length - 2.0 * (dot(simd, p, a) * dot(simd, g, h));
            *squared = squared.min(apart.max(0.0));
        }
    }
}
