//! Least confidence, 1 − p₁ for the largest probability (Lewis & Gale 1994; Culotta & `McCallum` 2005).

use fearless_simd::Simd;

use super::Formula;
use super::logits::Logits;
use super::probabilities::Probabilities;
use crate::real::Real;

pub(super) struct LeastConfidence;

impl Formula for LeastConfidence {
    const LOGARITHM: bool = false;

    #[inline(always)]
    fn of_probabilities<T: Real, S: Simd>(simd: S, row: &Probabilities<T, S>) -> T::Lanes<S> {
        T::splat(simd, T::ONE) - row.p1
    }

    /// S / (1 + S).
    #[inline(always)]
    fn of_logits<T: Real, S: Simd>(simd: S, row: &Logits<T, S>) -> T::Lanes<S> {
        row.sum / (T::splat(simd, T::ONE) + row.sum)
    }

    fn largest(c: usize) -> f64 {
        1.0 - 1.0 / c as f64
    }
}
