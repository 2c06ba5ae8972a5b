//! Power sampling: a batch drawn without replacement with chances ∝ s^β, in one pass (Kirsch et al. 2023).
//!
//! The k largest of β ln s + G, G a Gumbel variable for each row, are such a sample. G comes from a counter: row i of seed s
//! always has the same, whatever the threads and the order.
//!
//! The logarithms are taken of few rows. With τ the k-th largest value so far, s^β − τ being exponents, a row can only pass
//! if −ln u < s^β e^−τ, and so only if 1 − u < (max s)^β e^−τ: a comparison of the random bits with one number.

use super::top_k::TopK;
use super::{Open, Picks};
use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::{Real, all_lanes};
use crate::rows::Rows;
use crate::simd::{Kernel, Level, dispatch};
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// Rows that a thread takes at a time.
const STEP: usize = 1 << 14;

/// Rows whose random bits are compared at once.
const LANES: usize = 32;

/// 53 random bits for a row and a seed: the finaliser of `SplitMix64` (Steele et al. 2014) over a counter.
#[inline(always)]
fn bits(seed: u64, row: u64) -> u64 {
    let mut z = seed.wrapping_add(row.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 11
}

/// 2^53.
const UNIT: f64 = (1_u64 << 53) as f64;

/// A number in (0, 1) for a row and a seed.
pub(crate) fn uniform(seed: u64, row: u64) -> f64 {
    (bits(seed, row) as f64 + 0.5) / UNIT
}

/// k rows drawn without replacement, chances ∝ score^β; in the order of their perturbed logarithms, which are the values. A
/// row of score 0 or NaN is never drawn. O(n) time, O(k) memory for each thread.
///
/// # Errors
/// [`Error::BatchTooLarge`] if fewer than k rows can be drawn; [`Error::Row`] for a negative or infinite score;
/// [`Error::Stopped`].
pub fn power<T: Real>(
    scores: &Rows<'_, T>,
    k: usize,
    beta: f64,
    seed: u64,
    open: &Open<'_>,
    par: Par<'_>,
) -> Result<Picks<f64>, Error> {
    let n = scores.len();
    open.fill(k, |k| {
        let start = || (Vec::new(), Vec::new(), TopK::new(k.min(n)));
        let jobs = (0..n).step_by(STEP);
        let states = par.run(jobs, n * 4, start, |(block, passed, top), first| {
            let scores = scores.read(first..first + STEP, block);
            let largest = largest(scores, first, par.level)?;
            // The least random bits of a row that might pass, and a few less for the rounding of this line.
            let reach = top.bar().map_or(f64::INFINITY, |bar: f64| largest.powf(beta) * (-bar).exp());
            let least = UNIT - reach * (1.0 + 1e-9) * UNIT - 2.0;
            passed.clear();
            let (counter, count) = (first as u64, scores.len());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to 2^53")]
            let least = least.max(0.0) as u64;
            dispatch(par.level, Pass { seed, counter, count, least, passed });
            for &i in &*passed {
                let (row, score) = (first + i, scores[i].to_f64());
                if score > 0.0 && open.is_available(row) {
                    let gumbel = -(-uniform(seed, row as u64).ln()).ln();
                    top.push(beta * score.ln() + gumbel, row);
                }
            }
            Ok(())
        })?;
        Ok(TopK::merge(states.into_iter().map(|(_, _, top)| top)))
    })
}

/// The largest of some scores, the first of which is that of row `first`.
fn largest<T: Real>(scores: &[T], first: usize, level: Level) -> Result<f64, Error> {
    let (mut largest, mut any) = dispatch(level, Largest { scores });
    let bad = |score: &T| *score < T::ZERO || *score == T::INFINITY;
    for score in &scores[scores.len() / T::LANES * T::LANES..] {
        any |= bad(score);
        largest = if score.to_f64() > largest { score.to_f64() } else { largest };
    }
    let wrong = if any { scores.iter().position(bad) } else { None };
    wrong.map_or(Ok(largest), |at| {
        let fault = Fault::NotAScore { value: scores[at].to_f64() };
        Err(Error::Row { argument: "scores", row: first + at, member: None, fault })
    })
}

/// The kernel of the largest score of whole vectors, and whether one is negative or infinite.
struct Largest<'a, T> {
    scores: &'a [T],
}

impl<T: Real> Kernel for Largest<'_, T> {
    type Output = (f64, bool);
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f64, bool) {
        let (zero, infinity) = (T::splat(simd, T::ZERO), T::splat(simd, T::INFINITY));
        let (mut largest, mut bad) = (zero, 0);
        for scores in self.scores.chunks_exact(T::LANES) {
            let scores = T::load(simd, scores);
            bad |= scores.simd_lt(zero).to_bitmask() | scores.simd_ge(infinity).to_bitmask();
            largest = scores.simd_gt(largest).select(scores, largest);
        }
        let largest = largest.as_slice().iter().fold(0.0, |largest: f64, x| largest.max(x.to_f64()));
        (largest, bad & all_lanes::<T>() != 0)
    }
}

/// The kernel that finds the rows of at least so many random bits.
struct Pass<'a> {
    seed: u64,
    counter: u64,
    count: usize,
    least: u64,
    passed: &'a mut Vec<usize>,
}

impl Kernel for Pass<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        // Plain numbers, which the compiler turns into lanes where the level has such.
        for first in (0..self.count).step_by(LANES) {
            let mut above = [false; LANES];
            for (i, above) in above.iter_mut().enumerate() {
                *above = bits(self.seed, self.counter + (first + i) as u64) >= self.least;
            }
            if above.iter().any(|&above| above) {
                let found = (first..self.count.min(first + LANES)).filter(|i| above[i - first]);
                self.passed.extend(found);
            }
        }
    }
}
