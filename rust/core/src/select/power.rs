//! Power sampling: a batch drawn without replacement with chances ∝ s^β, in one pass (Kirsch et al. 2023).
//!
//! The k largest of β ln s + G, G a Gumbel variable for each row, are such a sample. G comes from a counter:
//! row i of seed s always has the same, whatever the threads and the order.
//!
//! The logarithms are taken of few rows. With τ the k-th largest value so far, s^β − τ being exponents, a row
//! can only pass if −ln u < s^β e^−τ, and so only if 1 − u < (max s)^β e^−τ: a comparison of the random bits
//! with one number. The first 16 of these bits decide for most rows, and so one random word serves four; the
//! other 37 are made where they are asked for. With a word for each row, of which the words took most, it was
//! half as fast. Where a block has a score so large that many rows would pass, each 32 rows are compared by their own
//! largest score, and each row by its own, both by the power of two alone: scores with heavy tails took 22 times as long.

use super::top_k::best_of;
use super::{Open, Picks};
use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::Real;
use crate::row_sums::padded;
use crate::rows::Rows;
use crate::simd::{Kernel, Level, dispatch};
use fearless_simd::prelude::*;
use fearless_simd::{Simd, u16x32, u64x8};

/// Rows that a thread takes at a time.
const STEP: usize = 1 << 13;

/// Rows whose bits are compared at once.
const ROWS: usize = 32;

/// The bits of a row that come from a word of its own.
const LOW: u32 = 37;

/// What counts the words of `SplitMix64` (Steele et al. 2014), and its finaliser's factors.
const STEPS: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

/// A random word.
fn word(seed: u64, counter: u64) -> u64 {
    let mut z = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(STEPS));
    z = (z ^ (z >> 30)).wrapping_mul(FACTORS[0]);
    z = (z ^ (z >> 27)).wrapping_mul(FACTORS[1]);
    z ^ (z >> 31)
}

/// Eight words, given what their finaliser starts with.
#[inline(always)]
fn words<S: Simd>(simd: S, mut z: u64x8<S>) -> u64x8<S> {
    z = (z ^ (z >> 30)) * u64x8::splat(simd, FACTORS[0]);
    z = (z ^ (z >> 27)) * u64x8::splat(simd, FACTORS[1]);
    z ^ (z >> 31)
}

/// The 53 random bits of a row. Words of its own are counted from 2^63 on.
fn bits(seed: u64, row: usize) -> u64 {
    let shared = word(seed, row as u64 / 4) >> (row % 4 * 16) & 0xffff;
    shared << LOW | word(seed, 1 << 63 | row as u64) >> (64 - LOW)
}

/// 2^53.
const UNIT: f64 = (1_u64 << 53) as f64;

/// The number in (0, 1) of 53 random bits.
fn unit(bits: u64) -> f64 {
    (bits as f64 + 0.5) / UNIT
}

/// A number in (0, 1) for a seed and a counter.
pub(crate) fn uniform(seed: u64, counter: u64) -> f64 {
    unit(word(seed, counter) >> 11)
}

/// k rows drawn without replacement, chances ∝ score^β; in the order of their perturbed logarithms, which are
/// the values. A row of score 0 or NaN is never drawn. O(n) time, O(k) memory for each thread.
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
        best_of((n, STEP), k.min(n), par, |firsts, top, par| {
            let start = || (Vec::new(), Vec::new(), Vec::new(), top());
            let states = par.run(firsts, n * 4, start, |(block, groups, passed, top), first| {
                let scores = scores.read(first..first + STEP, block);
                let largest = largest(scores, first, par.level)?;
                let bar = top.bar();
                let least = |score: f64| bar.map_or(0, |bar| least(score, beta, bar));
                let of_all = least(largest);
                let levels =
                    Levels::of(largest, if of_all < MANY && bar.is_some() { LEVELS } else { 1 }, least);
                groups.clear();
                if levels.least.len() > 1 {
                    groups
                        .extend(scores.chunks(ROWS).map(|scores| first_bits(levels.of_score(most(scores)))));
                }
                passed.clear();
                let least = first_bits(of_all);
                dispatch(par.level, Pass { seed, first, count: scores.len(), least, groups, passed });
                for &i in &*passed {
                    let (row, score) = (first + i, scores[i].to_f64());
                    if score > 0.0 && open.is_available(row) {
                        let bits = bits(seed, row);
                        if bits < levels.of_score(score) {
                            continue;
                        }
                        let gumbel = -(-unit(bits).ln()).ln();
                        top.push(beta * score.ln() + gumbel, row);
                    }
                }
                Ok(())
            })?;
            Ok(states.into_iter().map(|(.., top)| top).collect())
        })
    })
}

/// The least random bits with which a row of such a score might pass a bar, and a few less for the rounding of this.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to 2^53")]
fn least(score: f64, beta: f64, bar: f64) -> u64 {
    let power = beta * score.ln();
    let rounding = 1e-9 + 1e-14 * (power.abs() + bar.abs());
    let least = UNIT - (power - bar + rounding).exp() * UNIT - 2.0;
    // 0 too where the score is 0, or the sum no number.
    if score > 0.0 { least.max(0.0) as u64 } else { 0 }
}

/// Those of them that are compared at once.
#[expect(clippy::cast_possible_truncation, reason = "16 bits are left")]
fn first_bits(bits: u64) -> u16 {
    (bits >> LOW) as u16
}

/// If rows with bits from here on pass, one in 16 does, they are looked at by groups.
const MANY: u64 = 15 << 49;

/// Powers of two that are told apart.
const LEVELS: usize = 64;

/// The least random bits by the power of two of a score, from the largest score down; the last is of all that is less.
struct Levels {
    /// Of the largest score, as [`exponent`] has it.
    first: usize,
    least: Vec<u64>,
}

impl Levels {
    fn of(largest: f64, count: usize, least: impl Fn(f64) -> u64) -> Self {
        let first = exponent(largest);
        // Scores of a power of two are less than the next one.
        let below = |level: usize| f64::from_bits(((first + 1).saturating_sub(level) as u64) << 52);
        let rest = (1..count).map(|level| least(below(level)));
        Self { first, least: std::iter::once(least(largest)).chain(rest).collect() }
    }

    fn of_score(&self, score: f64) -> u64 {
        let level = self.first.saturating_sub(exponent(score));
        self.least[level.min(self.least.len() - 1)]
    }
}

/// e + 1023 of a number 2^e m, m from 1 to 2.
fn exponent(x: f64) -> usize {
    (x.to_bits() >> 52) as usize
}

/// The largest of up to 32 scores, or 0.
fn most<T: Real>(scores: &[T]) -> f64 {
    scores.iter().fold(T::ZERO, |most, &x| if x > most { x } else { most }).to_f64()
}

/// The largest of some scores, the first of which is that of row `first`, or 0.
fn largest<T: Real>(scores: &[T], first: usize, level: Level) -> Result<f64, Error> {
    let (least, largest) = dispatch(level, Extremes { scores });
    let bad = |score: f64| score < 0.0 || score == f64::INFINITY;
    let wrong =
        if bad(least) || bad(largest) { scores.iter().position(|score| bad(score.to_f64())) } else { None };
    wrong.map_or(Ok(largest), |at| {
        let fault = Fault::NotAScore { value: scores[at].to_f64() };
        Err(Error::Row { argument: "scores", row: first + at, member: None, fault })
    })
}

/// The kernel of the least and the largest of some scores and 0. NaN passes no comparison.
struct Extremes<'a, T> {
    scores: &'a [T],
}

impl<T: Real> Kernel for Extremes<'_, T> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f64, f64) {
        let zero = T::splat(simd, T::ZERO);
        let (mut least, mut largest) = (zero, zero);
        for scores in self.scores.chunks(T::LANES) {
            let scores = padded::<T, S>(simd, scores);
            least = scores.simd_lt(least).select(scores, least);
            largest = scores.simd_gt(largest).select(scores, largest);
        }
        let least = least.as_slice().iter().fold(0.0, |least: f64, x| least.min(x.to_f64()));
        (least, largest.as_slice().iter().fold(0.0, |largest: f64, x| largest.max(x.to_f64())))
    }
}

/// The kernel that finds the rows whose first random bits are at least `least`, or what their group has.
struct Pass<'a> {
    seed: u64,
    /// The first row, a multiple of [`ROWS`].
    first: usize,
    count: usize,
    least: u16,
    /// Of each [`ROWS`] rows, or nothing.
    groups: &'a [u16],
    passed: &'a mut Vec<usize>,
}

impl Kernel for Pass<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut least = u16x32::splat(simd, self.least);
        let counter = |i: usize| self.seed.wrapping_add((i as u64 + 1).wrapping_mul(STEPS));
        let mut counters = u64x8::simd_from(simd, std::array::from_fn(|i| counter(self.first / 4 + i)));
        for start in (0..self.count).step_by(ROWS) {
            // In memory the first 16 bits of a word are its lowest.
            let bits: u16x32<S> = words(simd, counters).bitcast();
            counters += u64x8::splat(simd, STEPS.wrapping_mul(ROWS as u64 / 4));
            if let Some(&group) = self.groups.get(start / ROWS) {
                least = u16x32::splat(simd, group);
            }
            let mut above = bits.simd_ge(least).to_bitmask() & u64::MAX >> (64 - ROWS);
            while above != 0 {
                self.passed.push(start + above.trailing_zeros() as usize);
                above &= above - 1;
            }
        }
        while self.passed.last().is_some_and(|&row| row >= self.count) {
            self.passed.pop();
        }
    }
}
