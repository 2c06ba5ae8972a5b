//! Gini impurity, 1 − Σ p² (Breiman et al. 1984): the chance that two draws from the row differ. Written
//! (1 − p₁)(1 + p₁) − Σ others p², which keeps its digits on nearly certain rows.

use fearless_simd::Simd;

use super::Formula;
use super::logits::Logits;
use super::probabilities::Probabilities;
use crate::real::Real;

pub(super) struct Gini;

impl Formula for Gini {
    const LOGARITHM: bool = false;

    #[inline(always)]
    fn of_probabilities<T: Real, S: Simd>(simd: S, row: &Probabilities<T, S>) -> T::Lanes<S> {
        let one = T::splat(simd, T::ONE);
        (one - row.p1) * (one + row.p1) - row.others_squared(simd)
    }

    /// 1 − (1 + Q) / (1 + S)², as (2 S + S² − Q) / (1 + S)².
    #[inline(always)]
    fn of_logits<T: Real, S: Simd>(simd: S, row: &Logits<T, S>) -> T::Lanes<S> {
        let s = row.sum;
        let whole = T::splat(simd, T::ONE) + s;
        // S² ≥ Q, and near 0 both are far below 2 S.
        (s + s + (s * s - row.squares)) / (whole * whole)
    }

    fn largest(c: usize) -> f64 {
        1.0 - 1.0 / c as f64
    }
}
