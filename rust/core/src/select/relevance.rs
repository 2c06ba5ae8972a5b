//! Relevant and diverse at once: maximal marginal relevance (Carbonell & Goldstein 1998) and ranked batch
//! (Cardoso et al. 2017). Both pick, one after the other, the row of the largest sum of its own score and of
//! how unlike it is what was picked before. A row scored NaN is never picked.

use super::ladder::Rule;

/// λ s − (1 − λ) max cos; with nothing to compare with there is no second term.
#[derive(Debug, Clone, Copy)]
pub struct Mmr<'a> {
    /// s.
    pub scores: &'a [f64],
    /// λ.
    pub trade_off: f64,
}

impl Rule for Mmr<'_> {
    fn wants(&self, row: usize) -> bool {
        !self.scores[row].is_nan()
    }

    fn keys(&self, rows: &[usize], squared: &[f64], _picked: usize, keys: &mut [f64]) {
        for ((&row, &squared), key) in rows.iter().zip(squared).zip(keys) {
            // cos = 1 − ½ |x̂ − ŷ|², and rows of length 1 are never farther apart than 2, but for some rounding.
            let cosine = 1.0 - squared.min(4.000_001) / 2.0;
            *key = self.trade_off * self.scores[row] - (1.0 - self.trade_off) * cosine;
        }
    }

    fn alone(&self, row: usize) -> f64 {
        self.trade_off * self.scores[row]
    }

    fn value(&self, row: usize, squared: f64, picked: usize) -> f64 {
        if squared.is_infinite() { self.alone(row) } else { self.key(row, squared, picked) }
    }
}

/// α (1 − 1 / (1 + d)) + (1 − α) s, α the share of the pool and what is labelled that is neither labelled nor picked.
#[derive(Debug, Clone, Copy)]
pub struct RankedBatch<'a> {
    scores: &'a [f64],
    /// Rows of the pool that are not labelled.
    open: usize,
    /// Labelled rows, of the pool and from outside it.
    labelled: usize,
    /// The largest score.
    largest: f64,
}

impl<'a> RankedBatch<'a> {
    /// Of so many labelled rows, some are rows of the pool.
    #[must_use]
    pub fn new(scores: &'a [f64], labelled: usize, in_pool: usize) -> Self {
        let largest = scores.iter().fold(f64::NEG_INFINITY, |largest: f64, &score| largest.max(score));
        Self { scores, open: scores.len() - in_pool, labelled, largest }
    }

    fn alpha(&self, picked: usize) -> f64 {
        let left = self.open.saturating_sub(picked) as f64;
        left / (left + (self.labelled + picked) as f64)
    }
}

impl Rule for RankedBatch<'_> {
    fn wants(&self, row: usize) -> bool {
        !self.scores[row].is_nan()
    }

    fn keys(&self, rows: &[usize], squared: &[f64], picked: usize, keys: &mut [f64]) {
        let alpha = self.alpha(picked);
        for ((&row, &squared), key) in rows.iter().zip(squared).zip(keys) {
            *key = alpha * (1.0 - 1.0 / (1.0 + squared.sqrt())) + (1.0 - alpha) * self.scores[row];
        }
    }

    fn alone(&self, row: usize) -> f64 {
        self.scores[row]
    }

    fn drifts(&self) -> bool {
        true
    }

    fn ceiling(&self, bar: f64, from: usize, to: usize) -> f64 {
        // With r = α' / α the key becomes r · key + (1 − r) s: it moves towards the score. And rounding.
        let r = self.alpha(to) / self.alpha(from);
        let rounding = 16.0 * f64::EPSILON * (1.0 + self.largest.abs() + bar.abs());
        r * bar + (1.0 - r) * self.largest + rounding
    }
}
