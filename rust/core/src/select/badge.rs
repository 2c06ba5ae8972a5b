//! BADGE (Ash et al. 2020): D² sampling by the gradients that labels would cause.
//!
//! A gradient is an outer product a ⊗ h, a = p − e with e the unit vector of the likeliest class, and is never formed:
//! ‖a ⊗ h − b ⊗ g‖² = ‖a‖² ‖h‖² + ‖b‖² ‖g‖² − 2 (a·b)(h·g), O(c + d) for what is c d long. Where that cancels, it is
//! computed again from differences.

use std::ops::Range;

use fearless_simd::Simd;

use super::d2_sampling::{Chances, Targets};
use super::{Open, Picks, Work};
use crate::distance::fault_of;
use crate::error::Error;
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::row_sums::{Dot, dot};
use crate::rows::Rows;
use crate::score::row_fault;
use crate::simd::{Kernel, Level, dispatch};

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 15;

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
