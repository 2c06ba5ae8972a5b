//! Margin, 1 − (p₁ − p₂) for the two largest probabilities (Scheffer et al. 2001; turned, so that larger means: ask
//! this one first). Written (1 − p₁) + p₂: the difference of nearly certain rows is off by 7e-4 in float32.

use fearless_simd::Simd;

use super::Formula;
use super::logits::Logits;
use super::probabilities::Probabilities;
use crate::real::Real;

pub(super) struct Margin;

impl Formula for Margin {
    const LOGARITHM: bool = false;

    #[inline(always)]
    fn of_probabilities<T: Real, S: Simd>(simd: S, row: &Probabilities<T, S>) -> T::Lanes<S> {
        (T::splat(simd, T::ONE) - row.p1) + row.p2
    }

    /// (S + e₂) / (1 + S).
    #[inline(always)]
    fn of_logits<T: Real, S: Simd>(simd: S, row: &Logits<T, S>) -> T::Lanes<S> {
        (row.sum + row.second) / (T::splat(simd, T::ONE) + row.sum)
    }

    fn largest(_c: usize) -> f64 {
        1.0
    }
}
