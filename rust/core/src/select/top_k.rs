//! The k largest of many scores, in one pass.
//!
//! Each thread keeps candidates in a buffer of 2 k. When it is full, a partial sort finds the k best, and the
//! worst of these becomes the bar: from then on 64 bytes of scores are compared with the bar at once, and almost all
//! are dropped there (about k (1 + ln(n / k)) get past, in random order). The order is total, score descending
//! and then index ascending, so that neither threads nor blocks can show. NaN passes no comparison and is never
//! picked. Road not taken: a heap, which pays a sift for each candidate.
//!
//! The first bar is guessed from a sample, so low that of rows in random order fewer than k get past it once in 60,000
//! times at most. What else gets past is about as many as k for 1,000 of a million rows, and twice as many of ten million.
//! So little more than the picks is kept, also where scores rise. Where fewer than k get past, the guess was wrong, and
//! all is done again without one.

use std::cmp::Ordering;
use std::iter::StepBy;
use std::ops::Range;
use std::sync::OnceLock;

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::{Open, Picks};
use crate::error::Error;
use crate::pool::Par;
use crate::real::{Real, all_lanes};
use crate::rows::Rows;
use crate::simd::{Kernel, Level, dispatch};

/// Scores that a thread takes at a time.
const BLOCK: usize = 1 << 13;

/// The k largest scores: ties to the lower index, NaN never. `scores` has one number a row. O(n + k log k)
/// time, O(k) memory for each thread; with quotas as much for as many rows as it takes to fill them.
///
/// # Errors
/// [`Error::BatchTooLarge`] if fewer than k rows can be picked; [`Error::Stopped`].
pub fn top_k<T: Real>(
    scores: &Rows<'_, T>,
    k: usize,
    open: &Open<'_>,
    par: Par<'_>,
) -> Result<Picks<T>, Error> {
    let n = scores.len();
    open.fill(k, |k| {
        best_of((n, BLOCK), k.min(n), par, |firsts, top, par| {
            let start = || (Vec::new(), top());
            let size = n * size_of::<T>() / 16;
            let states = par.run(firsts, size, start, |(block, top), first| {
                top.offer(scores.read(first..first + BLOCK, block), first, open.mask(), par.level);
                Ok(())
            })?;
            Ok(states.into_iter().map(|(_, top)| top).collect())
        })
    })
}

/// How many blocks there must be for a sample, and how many are in it: one in a hundred within limits. A larger one lets
/// less get past the bar for no good (power sampling of 10,000,000 rows took 1.13 times as long with four), but
/// is read by one thread alone.
const ENOUGH: usize = 64;
const SAMPLED: (usize, usize) = (4, 16);

/// The k best of what `sweep` offers of n rows, or all if there are fewer: it is given the first rows of
/// blocks of `step` rows, and makes what each thread starts with. The first thread to start, which is the caller's while
/// the others are still on their way, guesses the bar by a few blocks.
pub(crate) fn best_of<T: Real>(
    (n, step): (usize, usize),
    k: usize,
    par: Par<'_>,
    sweep: impl Fn(StepBy<Range<usize>>, &(dyn Fn() -> TopK<T> + Sync), Par<'_>) -> Result<Vec<TopK<T>>, Error>
    + Sync,
) -> Result<Picks<T>, Error> {
    let blocks = n / step;
    // Of the k best so many are expected in the sample, and five standard deviations more are as good as never there.
    let sampled = (blocks / 100).clamp(SAMPLED.0, SAMPLED.1);
    let expected = (k * sampled).div_ceil(blocks.max(1));
    let few = expected + 5 * (expected.isqrt() + 1);
    let all = || (0..n).step_by(step);
    if blocks >= ENOUGH && few < sampled * step / 2 {
        let stride = blocks / sampled * step;
        // Where scores rise, none but the rows behind the last of them get past its bar: k are left there.
        let behind = k.div_ceil(step).min(stride / step - 1) * step;
        let first = (blocks - 1) * step - behind - (sampled - 1) * stride;
        let guess = || {
            let alone = Par { threads: 1, stop: &|_| false, ..par };
            // An error is that of a row, and the first of all faulty rows is found by the sweep itself.
            let sample = sweep((first..n).step_by(stride), &|| TopK::new(few), alone).ok()?;
            let last = TopK::merge(sample.into_iter()).values.get(few - 1)?.to_f64();
            // A little under it; under +∞ that is the largest number.
            let below = last - last.abs() * 2.0 * T::EPSILON.to_f64() - T::TINY.to_f64();
            Some(T::from_f64(if last == f64::INFINITY { T::LARGEST } else { below }))
        };
        let bar = OnceLock::new();
        let top = || TopK { bar: *bar.get_or_init(guess), ..TopK::new(k) };
        let best = TopK::merge(sweep(all(), &top, par)?.into_iter());
        if best.indices.len() == k || bar.get().copied().flatten().is_none() {
            return Ok(best);
        }
    }
    Ok(TopK::merge(sweep(all(), &|| TopK::new(k), par)?.into_iter()))
}

/// Candidates for the k largest, offered in the order of their indices.
#[derive(Debug, Clone)]
pub(crate) struct TopK<T> {
    k: usize,
    /// Scores and, beside them, indices, which rise: so that of equal scores the first are kept.
    scores: Vec<T>,
    indices: Vec<usize>,
    /// Room to sort scores in.
    sorted: Vec<T>,
    /// The k-th largest of all that was kept at the last tidying, or a guess: nothing that is not above it is kept.
    bar: Option<T>,
}

impl<T: Real> TopK<T> {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, scores: Vec::new(), indices: Vec::new(), sorted: Vec::new(), bar: None }
    }

    /// What a score must exceed to be kept, if that is known or guessed.
    pub(crate) fn bar(&self) -> Option<T> {
        self.bar
    }

    /// Offers the scores of the rows from `first` on.
    pub(crate) fn offer(&mut self, scores: &[T], first: usize, available: Option<&[u8]>, level: Level) {
        dispatch(level, Offer { top: self, scores, first, available });
    }

    pub(crate) fn push(&mut self, score: T, index: usize) {
        if self.bar.is_some_and(|bar| score <= bar) {
            return;
        }
        self.scores.push(score);
        self.indices.push(index);
        if self.scores.len() >= 2 * self.k.max(512) {
            self.tidy();
        }
    }

    /// Keeps the k best: a partial sort of the scores alone finds the bar, and a sweep keeps what is above it and the
    /// first that are on it.
    fn tidy(&mut self) {
        if self.k == 0 {
            self.scores.clear();
            self.indices.clear();
        } else if self.scores.len() >= self.k {
            self.sorted.clone_from(&self.scores);
            let descending = |a: &T, b: &T| b.partial_cmp(a).unwrap_or(Ordering::Equal);
            let (above, &mut bar, _) = self.sorted.select_nth_unstable_by(self.k - 1, descending);
            let mut on_bar = self.k - above.iter().filter(|&&score| score > bar).count();
            let mut kept = 0;
            for i in 0..self.scores.len() {
                let score = self.scores[i];
                let keep = score > bar || score == bar && on_bar > 0;
                on_bar -= usize::from(keep && score == bar);
                self.scores[kept] = score;
                self.indices[kept] = self.indices[i];
                kept += usize::from(keep);
            }
            self.scores.truncate(kept);
            self.indices.truncate(kept);
            self.bar = Some(bar);
        }
    }

    /// The k best of all threads' candidates, or all if there are fewer.
    pub(crate) fn merge(parts: impl Iterator<Item = Self>) -> Picks<T> {
        let mut k = 0;
        let all = parts.flat_map(|mut part| {
            part.tidy();
            k = part.k;
            part.scores.into_iter().zip(part.indices)
        });
        let mut all: Vec<u128> = all.map(|(score, index)| place(score.to_f64(), index)).collect();
        if all.len() > k {
            all.select_nth_unstable(k);
            all.truncate(k);
        }
        all.sort_unstable();
        let (values, indices) = all.into_iter().map(candidate).map(|(x, i)| (T::from_f64(x), i)).unzip();
        Picks { indices, values }
    }
}

/// A number that rises as the score falls, and of equal scores as the index rises; there is no NaN here. One comparison
/// without a branch is all that a sort then needs: 1,000 candidates take 20 µs where pairs took 55. The last bit keeps
/// the sign of −0, which is as large as 0.
fn place(score: f64, index: usize) -> u128 {
    let bits = (score + 0.0).to_bits();
    let falling = if bits >> 63 == 0 { !bits ^ 1 << 63 } else { bits };
    let sign = score.to_bits() & !bits;
    u128::from(falling) << 64 | (index as u128) << 1 | u128::from(sign >> 63)
}

/// What has this place.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn candidate(place: u128) -> (f64, usize) {
    let (falling, low) = ((place >> 64) as u64, place as u64);
    let bits = if falling >> 63 == 0 { !falling ^ 1 << 63 } else { falling };
    (f64::from_bits(bits | low << 63), (low >> 1) as usize)
}

/// The kernel: pushes the scores that exceed the bar.
struct Offer<'a, T> {
    top: &'a mut TopK<T>,
    scores: &'a [T],
    first: usize,
    available: Option<&'a [u8]>,
}

impl<T: Real> Offer<'_, T> {
    /// Pushes the scores behind `at` whose bit is set.
    #[inline(never)]
    fn push_all(&mut self, at: usize, mut set: u64) {
        while set != 0 {
            self.push(at + set.trailing_zeros() as usize);
            set &= set - 1;
        }
    }

    fn push(&mut self, i: usize) {
        let (score, index) = (self.scores[i], self.first + i);
        if !score.is_nan() && self.available.is_none_or(|available| available[index] != 0) {
            self.top.push(score, index);
        }
    }
}

impl<T: Real> Kernel for Offer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (scores, stride) = (self.scores, AT_ONCE * T::LANES);
        let whole = scores.len() / stride * stride;
        for at in (0..whole).step_by(stride) {
            // One branch for all of them: that none is above the bar is the rule.
            let above = match self.top.bar {
                Some(bar) => above::<T, S>(simd, &scores[at..at + stride], bar),
                None => u64::MAX >> (64 - stride),
            };
            if above != 0 {
                self.push_all(at, above);
            }
        }
        for i in whole..scores.len() {
            self.push(i);
        }
    }
}

/// Lanes of scores that are compared with the bar before the first branch: up to 64 numbers.
const AT_ONCE: usize = 4;

/// The scores above the bar, a bit each.
#[inline(always)]
fn above<T: Real, S: Simd>(simd: S, scores: &[T], bar: T) -> u64 {
    let bar = T::splat(simd, bar);
    let mut above = 0;
    for (i, scores) in scores.chunks_exact(T::LANES).enumerate() {
        above |= (T::load(simd, scores).simd_gt(bar).to_bitmask() & all_lanes::<T>()) << (i * T::LANES);
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(scores: &[f32], k: usize, available: &[u8]) -> Vec<usize> {
        let mut all: Vec<usize> =
            (0..scores.len()).filter(|&i| available[i] != 0 && !scores[i].is_nan()).collect();
        all.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap().then(a.cmp(&b)));
        all.truncate(k);
        all
    }

    proptest! {
        #[test]
        fn picks_are_those_of_a_full_sort(
            raw in prop::collection::vec((0_u8..40, 0_u8..5), 0..5000), k in 0_usize..1500
        ) {
            let scores: Vec<f32> = raw.iter().map(|&(s, _)| if s == 7 { f32::NAN } else { f32::from(s) - 20.0 }).collect();
            let available: Vec<u8> = raw.iter().map(|&(_, a)| a).collect();
            let expected = reference(&scores, k, &available);
            let picks = top_k(&Rows::of(&scores, 1), k, &Open::new(Some(&available), None), Par::serial());
            if expected.len() < k {
                prop_assert_eq!(picks.unwrap_err(), Error::BatchTooLarge { k, available: expected.len() });
            } else {
                let picks = picks.unwrap();
                prop_assert_eq!(picks.values, expected.iter().map(|&i| scores[i]).collect::<Vec<_>>());
                prop_assert_eq!(picks.indices, expected);
            }
        }
    }

    #[test]
    fn ascending_and_constant_scores_are_no_trap() {
        let available = vec![1; 300_000];
        let rising: Vec<f32> = (0..300_000).map(|i| i as f32).collect();
        let par = Par { threads: 3, ..Par::serial() };
        for scores in [rising, vec![2.5; 300_000]] {
            let picks = top_k(&Rows::of(&scores, 1), 700, &Open::default(), par).unwrap();
            assert_eq!(picks.indices, reference(&scores, 700, &available));
        }
    }

    #[test]
    fn a_sample_that_is_not_like_the_rest_is_no_trap() {
        let n = 1_000_000;
        let available = vec![1; n];
        // The sample's best are the only ones above the guess; rows of all kinds; and equal rows, of which
        // the first count.
        let high: Vec<f32> = (0..n).map(|i| if i < n - 500 { (i % 1000) as f32 } else { 1e6 }).collect();
        let mixed: Vec<f32> = (0..n).map(|i| (i * 7919 % 1_000_003) as f32 - 5e5).collect();
        let few: Vec<f32> = (0..n).map(|i| (i % 3) as f32).collect();
        for scores in [high, mixed, few] {
            for threads in [1, 2] {
                let par = Par { threads, ..Par::serial() };
                let picks = top_k(&Rows::of(&scores, 1), 1000, &Open::default(), par).unwrap();
                assert_eq!(picks.indices, reference(&scores, 1000, &available));
            }
        }
    }
}
