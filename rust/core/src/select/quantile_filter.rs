//! Selection from a stream: each item is decided on as it comes, by its score beside those of the last ones, under a
//! budget (balanced incremental quantile filter: Kottke, Krempl & Spiliopoulou 2015).
//!
//! θ is the (1 − b) quantile of the last w scores, b the budget: asked of what scores above it, b of a steady stream are.
//! Where the scores drift they are not, so θ moves with what is left of the budget, b t − asked, by the range of
//! these scores for each `tolerance` items. A score equal to the moved threshold is above it while some budget
//! is left: in the paper it always is, and of a stream of equal scores everything is asked. So, whatever
//! comes, asked differs from b t by less than the tolerance and 1.
//!
//! The window is a ring beside the same scores in order, so that the quantile is an index, and a score is put in and
//! taken out by two searches and a move of what lies between: 70 ns in a window of 100. Road not taken: two heaps, which move
//! less and forget in no order.

use std::collections::VecDeque;

use super::Picks;
use crate::error::{Error, Fault};
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;

/// Scores that are read at a time, before the clock is looked at.
const BLOCK: usize = 1 << 10;

/// What is known of a stream so far.
#[derive(Debug, Clone)]
pub struct Stream {
    budget: f64,
    tolerance: f64,
    size: usize,
    window: VecDeque<f64>,
    sorted: Vec<f64>,
    observed: usize,
    asked: usize,
}

impl Stream {
    /// A stream of which `budget`, from 0 to 1, is to be asked; θ is of the last `size` scores.
    #[must_use]
    pub fn new(budget: f64, size: usize, tolerance: f64) -> Self {
        let (window, sorted) = (VecDeque::new(), Vec::new());
        Self { budget, tolerance, size: size.max(1), window, sorted, observed: 0, asked: 0 }
    }

    /// One that has gone on for a while: its last scores, none NaN, and how many were observed and asked.
    #[must_use]
    pub fn after(mut self, last: &[f64], observed: usize, asked: usize) -> Self {
        self.window = last[last.len().saturating_sub(self.size)..].iter().copied().collect();
        self.sorted = self.window.iter().copied().collect();
        self.sorted.sort_by(f64::total_cmp);
        (self.observed, self.asked) = (observed, asked);
        self
    }

    /// The last scores, the oldest first.
    pub fn window(&self) -> impl Iterator<Item = f64> + '_ {
        self.window.iter().copied()
    }

    /// How many items with a score have come by, and how many of these were asked.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.observed, self.asked)
    }

    /// Decides on the scores of the next items, one after the other: picks are in the order of the stream. A NaN is
    /// not asked, and does not count as an item. O(w) moves of memory for each.
    ///
    /// # Errors
    /// [`Error::Row`] for an infinite score; [`Error::Stopped`]. Some items have then been decided on.
    pub fn pick<T: Real>(&mut self, scores: &Rows<'_, T>, par: Par<'_>) -> Result<Picks<T>, Error> {
        let (n, mut block, mut watch) = (scores.len(), Vec::new(), Watch::default());
        let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
        for first in (0..n).step_by(BLOCK) {
            watch.ask(par, first as f64 / n as f64)?;
            for (i, &score) in scores.read(first..(first + BLOCK).min(n), &mut block).iter().enumerate() {
                let value = score.to_f64();
                if value.is_infinite() {
                    let fault = Fault::NotFinite { column: None, value };
                    return Err(Error::Row { argument: "scores", row: first + i, member: None, fault });
                }
                if !value.is_nan() && self.decide(value) {
                    picks.indices.push(first + i);
                    picks.values.push(score);
                }
            }
        }
        Ok(picks)
    }

    /// Whether the next item is asked.
    fn decide(&mut self, score: f64) -> bool {
        self.observed += 1;
        self.remember(score);
        let left = self.budget * self.observed as f64 - self.asked as f64;
        let pressure = left / self.tolerance;
        let asks = if pressure.abs() >= 1.0 {
            pressure > 0.0 // the threshold is beyond all that is in the window, rounding apart
        } else {
            let range = self.sorted[self.sorted.len() - 1] / 2.0 - self.sorted[0] / 2.0; // halves do not overflow
            let threshold = self.quantile() - range * (2.0 * pressure);
            if left > 0.0 { score >= threshold } else { score > threshold }
        };
        self.asked += usize::from(asks);
        asks
    }

    /// Puts a score into the window, in place of the oldest if it is full.
    fn remember(&mut self, score: f64) {
        let place = |sorted: &[f64], score: f64| sorted.partition_point(|&s| s < score);
        let new = place(&self.sorted, score);
        if self.window.len() < self.size {
            self.sorted.insert(new, score);
        } else if let Some(oldest) = self.window.pop_front() {
            // What lies between the two places moves by one.
            let old = place(&self.sorted, oldest);
            if new > old {
                self.sorted.copy_within(old + 1..new, old);
                self.sorted[new - 1] = score;
            } else {
                self.sorted.copy_within(new..old, new + 1);
                self.sorted[new] = score;
            }
        }
        self.window.push_back(score);
    }

    /// The (1 − budget) quantile of the window, between two scores by linear interpolation.
    fn quantile(&self) -> f64 {
        let place = (self.sorted.len() - 1) as f64 * (1.0 - self.budget);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the length")]
        let below = place as usize;
        let (low, share) = (self.sorted[below], place - below as f64);
        let high = self.sorted[(below + 1).min(self.sorted.len() - 1)];
        (low * (1.0 - share) + high * share).clamp(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picked(stream: &mut Stream, scores: &[f64]) -> Vec<usize> {
        stream.pick(&Rows::of(scores, 1), Par::serial()).unwrap().indices
    }

    proptest! {
        #[test]
        fn the_budget_is_kept_whatever_comes(
            scores in prop::collection::vec(
                prop_oneof![Just(0.0), Just(1.0), -1.0..1.0_f64, -1e308..1e308_f64, Just(f64::NAN)], 0..600
            ),
            rises in any::<bool>(),
            budget in 0.0..=1.0_f64, size in 1_usize..50, tolerance in 0.5..20.0_f64, cut in 0_usize..600,
        ) {
            let mut scores = scores;
            if rises {
                scores.sort_by(f64::total_cmp);
            }
            let mut stream = Stream::new(budget, size, tolerance);
            let (mut asked, mut observed) = (0.0, 0.0);
            for (i, &score) in scores.iter().enumerate() {
                observed += f64::from(u8::from(!score.is_nan()));
                asked += picked(&mut stream, &scores[i..=i]).len() as f64;
                prop_assert!((asked - budget * observed).abs() <= tolerance + 1.0 + 1e-9);
            }
            // In pieces, and from what is kept, as at once.
            let cut = cut.min(scores.len());
            let mut first = Stream::new(budget, size, tolerance);
            let mut indices = picked(&mut first, &scores[..cut]);
            let (observed, asked) = first.counts();
            let last: Vec<f64> = first.window().collect();
            let mut second = Stream::new(budget, size, tolerance).after(&last, observed, asked);
            indices.extend(picked(&mut second, &scores[cut..]).iter().map(|i| i + cut));
            prop_assert_eq!(indices, picked(&mut Stream::new(budget, size, tolerance), &scores));
        }
    }
}
