//! The two element types, [`f32`] and [`f64`], with the logarithm and the exponential that every score needs.
//!
//! `f32::ln` is a call into libm, one number at a time. Here both functions are branch-free polynomials on lanes,
//! written once over any SIMD level, with coefficients fitted by weighted least squares on Chebyshev nodes, each
//! coefficient rounded before the next is fitted.
//!
//! **Logarithm.** x = 2^e m with m in [√½, √2); log2 x = e + f P(f), f = m − 1 (exact). Near 1, e is 0 and f P(f)
//! is relatively accurate, which is what entropy needs of a nearly certain row. It is returned in units of
//! 2^-23 (2^-52 in float64): the exponent is then the masked bits themselves converted to a float, one shift
//! less, and the caller multiplies by ln 2 once for a whole sum. P of degree 8 (19) is right to 0.5 (0.5)
//! half-ulps. A table of 16 reciprocals (as in musl) needs four multiply-adds less, but two permutes and an
//! index more: 17 against 20 instructions for 16 lanes, and a table lookup has no good form below AVX-512. A
//! zero gives a finite number, so that 0 · log 0 is 0 without a branch; a subnormal is not normalised (see
//! `score/probabilities.rs`, which recomputes the rows where that could show).
//!
//! **Exponential.** x log2 e = k + f, |f| ≤ ½; 2^f by a polynomial of degree 6 (12), scaled by 2^k. k is rounded by
//! adding 1.5 * 2^23 (2^52), which leaves it in the last bits, where a shift makes 2^k of it. The product is not rounded
//! before k is taken off (below AVX2 it is), so that it costs a ninth of x in half-ulps that log2 e is rounded itself;
//! taking k ln 2 off x in two parts would save that, for an operation and a step of waiting more. There is no gradual
//! underflow: arguments stop at the smallest normal number.
//!
//! **Divergence.** u ln u − u + 1, the term of a Kullback-Leibler divergence, from the same splitting of u = 2^e (1 + f):
//! 2^e f² R(f) + u e ln 2 + (1 − 2^e). Near u = 1, e is 0, the rest vanishes, and f is what the caller knows
//! of u − 1, which u itself has rounded away. R of degree 6 (17) is right to 4.7 (2) half-ulps.

mod float32;
mod float64;

use std::fmt::Debug;
use std::ops::{Mul, Sub};

use fearless_simd::prelude::*;
use fearless_simd::{Simd, SimdFloatElement};
use half::{bf16, f16};

/// An element type: float32 or float64.
pub trait Real:
    Copy
    + PartialOrd
    + Debug
    + Default
    + Send
    + Sync
    + 'static
    + SimdFloatElement
    + Sub<Output = Self>
    + Mul<Output = Self>
{
    /// 64 bytes of them: the unit in which every sum is laid out, whatever the register width.
    type Lanes<S: Simd>: SimdFloat<S, Element = Self>;
    /// How many that is.
    const LANES: usize;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Not a number.
    const NAN: Self;
    /// Plus infinity.
    const INFINITY: Self;
    /// Minus infinity.
    const MINUS_INFINITY: Self;
    /// The largest number, in float64.
    const LARGEST: f64;
    /// The distance from 1 to the next number.
    const EPSILON: Self;
    /// The smallest normal number.
    const TINY: Self;
    /// Where a sum of terms of the order of 1 is so small that its terms may be subnormal.
    const SMALL: Self;
    /// Where a square root of a sum of squares is so small that the squares may be subnormal.
    const FAINT: Self;
    /// A squared distance below this share of the squared norms is computed again (see `distance.rs`).
    const NEAR: Self;
    /// A power of two by which numbers up to 1 can be scaled before they are squared.
    const SCALE: Self;
    /// ln 2 in the units of [`Real::log2`], and what its rounding left.
    const LN_2: (Self, Self);
    /// The least argument of `exp`: there it is near the smallest normal number.
    const EXP_MIN: Self;

    /// Rounds a float64.
    fn from_f64(x: f64) -> Self;
    /// Widens to float64, exactly.
    fn to_f64(self) -> f64;
    /// Whether it is no number.
    fn is_nan(self) -> bool;
    /// The number whose bytes were stored in the other order.
    #[must_use]
    fn swap_bytes(self) -> Self;
    /// Widens float16 numbers, exactly.
    fn from_halves(halves: &[f16], out: &mut [Self]);
    /// Widens bfloat16 numbers, exactly.
    fn from_brains(brains: &[bf16], out: &mut [Self]);
    /// log2 of normal positive numbers, in units of 2^-23 (2^-52 in float64); of 0 a finite number.
    fn log2<S: Simd>(simd: S, x: Self::Lanes<S>) -> Self::Lanes<S>;
    /// e^x for x from [`EXP_MIN`](Real::EXP_MIN) to 0.
    fn exp<S: Simd>(simd: S, x: Self::Lanes<S>) -> Self::Lanes<S>;

    /// u ln u − u + 1 of a ratio u ≥ 0 whose u − 1 is known better than u tells: never negative beyond
    /// rounding, 0 for `excess` 0, relatively accurate near 1.
    fn divergence<S: Simd>(simd: S, u: Self::Lanes<S>, excess: Self::Lanes<S>) -> Self::Lanes<S>;

    /// Turns [`LANES`](Real::LANES) rows of c numbers: those of column j go to `columns[LANES * j..]`, whose length
    /// is for c rounded up to a multiple of 4.
    fn columns<S: Simd>(simd: S, rows: &[Self], c: usize, columns: &mut [Self]);

    /// Natural logarithm of normal positive numbers.
    #[inline(always)]
    fn ln<S: Simd>(simd: S, x: Self::Lanes<S>) -> Self::Lanes<S> {
        let y = Self::log2(simd, x);
        let low = y * Self::splat(simd, Self::LN_2.1);
        y.mul_add(Self::splat(simd, Self::LN_2.0), low)
    }

    /// ln(1 + x) for x ≥ 0, relatively accurate for small x: what 1 + x rounds away is put back to first order.
    #[inline(always)]
    fn ln_1p<S: Simd>(simd: S, x: Self::Lanes<S>) -> Self::Lanes<S> {
        let one = Self::splat(simd, Self::ONE);
        let u = one + x;
        Self::ln(simd, u) + (x - (u - one)) / u
    }

    /// e^x for any x ≤ 0, and 0 where that is not a normal number.
    #[inline(always)]
    fn decay<S: Simd>(simd: S, x: Self::Lanes<S>) -> Self::Lanes<S> {
        let least = Self::splat(simd, Self::EXP_MIN);
        x.simd_lt(least).select(Self::splat(simd, Self::ZERO), Self::exp(simd, x.max(least)))
    }

    /// The same number in every lane.
    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S> {
        Self::Lanes::<S>::simd_from(simd, x)
    }

    /// The lanes of a slice of [`LANES`](Real::LANES) numbers.
    #[inline(always)]
    fn load<S: Simd>(simd: S, x: &[Self]) -> Self::Lanes<S> {
        Self::Lanes::<S>::from_slice(simd, x)
    }
}

/// Coefficients from which on a polynomial takes even and odd powers apart.
const MANY: usize = 10;

/// A polynomial by Horner's rule; of many coefficients, even and odd powers apart, which halves the time that a
/// number waits for itself, for a multiplication more. An out-of-order machine hides much of that time behind other
/// lanes: entropy of float64, 20 coefficients, gains 1.15 on a Xeon, whose scheduler holds few of them; that
/// of float32, 9 coefficients, would lose 1.05 there and 1.06 on Zen 4, where float64 was not measured.
#[inline(always)]
fn polynomial<T: Real, S: Simd>(simd: S, coefficients: &[T], x: T::Lanes<S>) -> T::Lanes<S> {
    if coefficients.len() < MANY {
        return horner(simd, coefficients, (0, 1), x);
    }
    let square = x * x;
    let odd = horner(simd, coefficients, (1, 2), square);
    odd.mul_add(x, horner(simd, coefficients, (0, 2), square))
}

/// Horner's rule over the coefficients from one on, some steps apart.
#[inline(always)]
fn horner<T: Real, S: Simd>(
    simd: S,
    coefficients: &[T],
    (first, step): (usize, usize),
    x: T::Lanes<S>,
) -> T::Lanes<S> {
    let last = (coefficients.len() - 1 - first) / step;
    let mut p = T::splat(simd, coefficients[first + last * step]);
    for i in (0..last).rev() {
        p = p.mul_add(x, T::splat(simd, coefficients[first + i * step]));
    }
    p
}

/// A bit for each lane.
#[inline(always)]
pub(crate) fn all_lanes<T: Real>() -> u64 {
    u64::MAX >> (64 - T::LANES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Level, dispatch};

    struct Apply<'a, T>(&'a [T], bool);

    impl<T: Real> Kernel for Apply<'_, T> {
        type Output = Vec<T>;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Vec<T> {
            let mut out = Vec::new();
            for x in self.0.chunks_exact(T::LANES) {
                let x = T::load(simd, x);
                let y = if self.1 { T::exp(simd, x) } else { T::ln(simd, x) };
                out.extend_from_slice(y.as_slice());
            }
            out
        }
    }

    /// The largest relative error in eps, of an exponential less what its argument allows.
    fn worst<T: Real>(x: &[T], exponential: bool, level: Level, eps: f64) -> f64 {
        let y = dispatch(level, Apply(x, exponential));
        let reference = |x: f64| if exponential { x.exp() } else { x.ln() };
        let of_argument = if level == Level::Baseline { 0.65 } else { 0.15 };
        let error = |(x, y): (&T, T)| {
            let (x, y) = (x.to_f64(), y.to_f64());
            let error = (y / reference(x) - 1.0).abs() / eps;
            if exponential { error - of_argument * x.abs() } else { error }
        };
        x.iter().zip(y).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn float32_logarithm_and_exponential_are_within_two_eps_at_every_level() {
        let x: Vec<f32> = (1..160_000)
            .map(|i| i as f32 / 159_999.5)
            .chain((0..16001).map(|i| 1.0 - i as f32 * 1e-7 - 1e-7))
            .collect();
        let y: Vec<f32> = (0..160_000).map(|i| -(i as f32) / 159_999.0 * 87.0).collect();
        for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
            assert!(worst(&x, false, level, f64::from(f32::EPSILON)) < 2.0);
            assert!(worst(&y, true, level, f64::from(f32::EPSILON)) < 2.0);
        }
    }

    #[test]
    fn float64_logarithm_and_exponential_are_within_a_few_eps_at_every_level() {
        let x: Vec<f64> = (1..160_000)
            .map(|i| f64::from(i) / 159_999.5)
            .chain((0..16001).map(|i| 1.0 - f64::from(i) * 1e-13 - 1e-13))
            .collect();
        let y: Vec<f64> = (0..160_000).map(|i| -f64::from(i) / 159_999.0 * 708.0).collect();
        for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
            // The reference rounds too.
            assert!(worst(&x, false, level, f64::EPSILON) < 2.5);
            assert!(worst(&y, true, level, f64::EPSILON) < 2.5);
        }
    }

    struct Diverge<'a, T>(&'a [T]);

    impl<T: Real> Kernel for Diverge<'_, T> {
        type Output = Vec<T>;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Vec<T> {
            let mut out = Vec::new();
            for excess in self.0.chunks_exact(T::LANES) {
                let excess = T::load(simd, excess);
                let u = excess + T::splat(simd, T::ONE);
                out.extend_from_slice(T::divergence(simd, u, excess).as_slice());
            }
            out
        }
    }

    fn worst_divergence<T: Real>(eps: f64) -> f64 {
        // Ratios from 0 to 20, and many near 1.
        let excess = (0..20_000).map(|i| f64::from(i) / 1000.0 - 1.0);
        let tiny = (0..6400).map(|i| (f64::from(i) / 6400.0 - 0.5) * 1e-3);
        let x: Vec<T> = excess.chain(tiny).map(T::from_f64).collect();
        let y = dispatch(Level::best(), Diverge(&x));
        let reference = |excess: f64| {
            if excess.abs() < 0.25 {
                let series =
                    (0..30).rev().fold(0.0, |sum, k| 1.0 / f64::from((k + 1) * (k + 2)) - excess * sum);
                return excess * excess * series;
            }
            let u = 1.0 + excess;
            (if u > 0.0 { u * u.ln() } else { 0.0 }) - u + 1.0
        };
        // An absolute error of some eps (1 + |ln u|) u where nothing is near 1, a relative one there.
        x.iter().zip(y).fold(0.0, |worst, (x, y)| {
            let (x, y) = (x.to_f64(), y.to_f64());
            let allowed = if x.abs() < 0.25 { reference(x) } else { 1.0 + x.abs() };
            if x == 0.0 { worst } else { f64::max(worst, (y - reference(x)).abs() / allowed / eps) }
        })
    }

    #[test]
    fn the_divergence_is_relatively_accurate_near_one() {
        assert!(worst_divergence::<f32>(f64::from(f32::EPSILON)) < 4.0);
        assert!(worst_divergence::<f64>(f64::EPSILON) < 6.0);
        let zero = dispatch(Level::best(), Diverge(&[0.0_f32; 16]));
        assert!(zero.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn the_exponential_is_one_at_zero_and_still_normal_at_its_end() {
        let x: Vec<f32> = [0.0, f32::EXP_MIN].repeat(8);
        let y = dispatch(Level::best(), Apply(&x, true));
        assert_eq!(y[0].to_bits(), 1.0_f32.to_bits());
        assert!((f32::TINY..2.0 * f32::TINY).contains(&y[1]));
        let x: Vec<f64> = [0.0, f64::EXP_MIN].repeat(4);
        let y = dispatch(Level::best(), Apply(&x, true));
        assert_eq!(y[0].to_bits(), 1.0_f64.to_bits());
        assert!((f64::TINY..2.0 * f64::TINY).contains(&y[1]));
    }
}
