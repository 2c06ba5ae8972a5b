//! k-center, greedily: each pick is the row farthest from all labelled and picked ones (Gonzalez 1985;
//! core-set selection: Sener & Savarese 2018), or of the largest weight × distance.

use super::ladder::Rule;
use crate::exact::Metric;

/// d, or weight × d.
#[derive(Debug, Clone, Copy)]
pub struct Farthest<'a> {
    /// What d is.
    pub metric: Metric,
    /// One a row, not negative; a row of weight NaN is never picked.
    pub weights: Option<&'a [f64]>,
}

impl Rule for Farthest<'_> {
    fn wants(&self, row: usize) -> bool {
        self.weights.is_none_or(|weights| !weights[row].is_nan())
    }

    fn keys(&self, rows: &[usize], squared: &[f64], _picked: usize, keys: &mut [f64]) {
        let Some(weights) = self.weights else { return keys.copy_from_slice(squared) };
        for ((&row, &squared), key) in rows.iter().zip(squared).zip(keys) {
            // 0 · ∞ is 0: without a weight nothing is far.
            *key = if weights[row] == 0.0 { 0.0 } else { weights[row] * self.metric.distance(squared) };
        }
    }

    fn alone(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    fn value(&self, row: usize, squared: f64, picked: usize) -> f64 {
        let key = self.key(row, squared, picked);
        if self.weights.is_none() { self.metric.distance(key) } else { key }
    }
}
