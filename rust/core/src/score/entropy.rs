//! Shannon entropy, −Σ p ln p with 0 ln 0 = 0, in nats (Shannon 1948; as a query strategy: Settles & Craven 2008).

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::Formula;
use super::logits::Logits;
use super::probabilities::Probabilities;
use crate::real::Real;

pub(super) struct Entropy;

impl Formula for Entropy {
    const LOGARITHM: bool = true;

    #[inline(always)]
    fn of_probabilities<T: Real, S: Simd>(simd: S, row: &Probabilities<T, S>) -> T::Lanes<S> {
        let (zero, ln_2) = (T::splat(simd, T::ZERO), T::splat(simd, T::LN_2.0));
        let (high, low) = (zero - row.p_log_p, zero - row.p_log_p_low);
        // ln 2 in two parts: its rounding would be a fifth of the last bit.
        let small = low.mul_add(ln_2, high * T::splat(simd, T::LN_2.1));
        // 0 + x makes +0 of −0.
        zero + high.mul_add(ln_2, small)
    }

    /// ln(1 + S) − T / (1 + S).
    #[inline(always)]
    fn of_logits<T: Real, S: Simd>(simd: S, row: &Logits<T, S>) -> T::Lanes<S> {
        let one = T::splat(simd, T::ONE);
        T::ln_1p(simd, row.sum) - row.weighted / (one + row.sum)
    }

    fn largest(c: usize) -> f64 {
        (c as f64).ln()
    }
}
