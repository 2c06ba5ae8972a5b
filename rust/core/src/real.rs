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
//! `entropy.rs`, which recomputes the rows where that could show).
//!
//! **Exponential.** x = k ln 2 + r, |r| ≤ ½ ln 2; exp r by a polynomial of degree 6 (12), scaled by 2^k. k is
//! rounded by adding 1.5 * 2^23 (2^52), which leaves it in the last bits, where a shift makes 2^k of it. There is no
//! gradual underflow: arguments stop at the smallest normal number.
//!
//! **Divergence.** u ln u − u + 1, the term of a Kullback-Leibler divergence, from the same splitting of u = 2^e (1 + f):
//! 2^e f² R(f) + u e ln 2 + (1 − 2^e). Near u = 1, e is 0, the rest vanishes, and f is what the caller knows
//! of u − 1, which u itself has rounded away. R of degree 6 (17) is right to 4.7 (2) half-ulps.

use std::fmt::Debug;
use std::ops::{Mul, Sub};

use fearless_simd::prelude::*;
use fearless_simd::{Simd, SimdFloatElement, f32x16, f64x8, i32x16, i64x8, u32x16, u64x8};

use crate::simd::transpose;

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

impl Real for f32 {
    type Lanes<S: Simd> = f32x16<S>;
    const LANES: usize = 16;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NAN: Self = Self::NAN;
    const INFINITY: Self = Self::INFINITY;
    const MINUS_INFINITY: Self = Self::NEG_INFINITY;
    const LARGEST: f64 = Self::MAX as f64;
    const EPSILON: Self = Self::EPSILON;
    const TINY: Self = Self::MIN_POSITIVE;
    const SMALL: Self = 8.271_806e-25; // 2^-80
    const FAINT: Self = 9.313_226e-10; // 2^-30
    const NEAR: Self = 0.003_906_25; // 2^-8
    const SCALE: Self = 1_152_921_504_606_846_976.0; // 2^60
    const LN_2: (Self, Self) = (std::f32::consts::LN_2 / 8_388_608.0, -1.904_654_2e-9 / 8_388_608.0);
    const EXP_MIN: Self = -87.0;

    #[expect(clippy::cast_possible_truncation, reason = "rounding is what it is for")]
    fn from_f64(x: f64) -> Self {
        x as Self
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn swap_bytes(self) -> Self {
        Self::from_bits(self.to_bits().swap_bytes())
    }

    #[inline(always)]
    fn columns<S: Simd>(simd: S, rows: &[f32], c: usize, columns: &mut [f32]) {
        transpose::sixteen_rows(simd, rows, c, columns);
    }

    #[inline(always)]
    fn log2<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
        const UNIT: f32 = 8_388_608.0; // 2^23
        const P: [f32; 9] = [
            std::f32::consts::LOG2_E * UNIT,
            -0.721_347_33 * UNIT,
            0.480_909_05 * UNIT,
            -0.360_704_4 * UNIT,
            0.287_953_7 * UNIT,
            -0.238_942_01 * UNIT,
            0.215_407_42 * UNIT,
            -0.207_217 * UNIT,
            0.126_543_12 * UNIT,
        ];
        let bits: u32x16<S> = x.bitcast();
        // The exponent relative to √½, still in its place: a multiple of 2^23.
        let exponent = (bits - u32x16::splat(simd, 0x3f35_04f3)) & u32x16::splat(simd, 0xff80_0000);
        let f = (bits - exponent).bitcast::<f32x16<S>>() - f32x16::splat(simd, 1.0);
        let e: f32x16<S> = exponent.bitcast::<i32x16<S>>().to_float();
        polynomial::<f32, S>(simd, &P, f).mul_add(f, e)
    }

    #[inline(always)]
    fn exp<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
        const P: [f32; 7] = [1.0, 1.0, 0.5, 0.166_665_17, 0.041_666_456, 0.008_369_091, 0.001_393_576];
        const SHIFT: f32 = 12_582_912.0 + 127.0; // 1.5 * 2^23: from here on, floats are 1 apart
        let shifted = x.mul_add(f32x16::splat(simd, std::f32::consts::LOG2_E), f32x16::splat(simd, SHIFT));
        let k = shifted - f32x16::splat(simd, SHIFT);
        let r = k.mul_add(f32x16::splat(simd, -0.693_145_75), x);
        let r = k.mul_add(f32x16::splat(simd, -1.428_606_8e-6), r);
        let scale: f32x16<S> = (shifted.bitcast::<u32x16<S>>() << 23).bitcast();
        polynomial::<f32, S>(simd, &P, r) * scale
    }

    #[inline(always)]
    fn divergence<S: Simd>(simd: S, u: f32x16<S>, excess: f32x16<S>) -> f32x16<S> {
        const R: [f32; 7] = [
            0.500_000_1,
            -0.166_667_68,
            0.083_311_03,
            -0.049_910_665,
            0.033_928_275,
            -0.025_916_722,
            0.014_728_548,
        ];
        let bits: u32x16<S> = u.bitcast();
        let exponent = (bits - u32x16::splat(simd, 0x3f35_04f3)) & u32x16::splat(simd, 0xff80_0000);
        let e: f32x16<S> = exponent.bitcast::<i32x16<S>>().to_float();
        let scale: f32x16<S> = (exponent + u32x16::splat(simd, 0x3f80_0000)).bitcast();
        let mantissa = (bits - exponent).bitcast::<f32x16<S>>() - f32x16::splat(simd, 1.0);
        let f = exponent.simd_eq(u32x16::splat(simd, 0)).select(excess, mantissa);
        let rest = (e * u).mul_add(f32x16::splat(simd, Self::LN_2.0), f32x16::splat(simd, 1.0) - scale);
        (polynomial::<f32, S>(simd, &R, f) * (f * f)).mul_add(scale, rest)
    }
}

impl Real for f64 {
    type Lanes<S: Simd> = f64x8<S>;
    const LANES: usize = 8;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NAN: Self = Self::NAN;
    const INFINITY: Self = Self::INFINITY;
    const MINUS_INFINITY: Self = Self::NEG_INFINITY;
    const LARGEST: f64 = Self::MAX;
    const EPSILON: Self = Self::EPSILON;
    const TINY: Self = Self::MIN_POSITIVE;
    const SMALL: Self = 1.183_052_186_166_774_7e-271; // 2^-900
    const FAINT: Self = 3.872_591_914_849_318_3e-121; // 2^-400
    const NEAR: Self = 1.525_878_906_25e-5; // 2^-16
    const SCALE: Self = 3.121_748_550_315_992_3e144; // 2^480
    const LN_2: (Self, Self) = (
        std::f64::consts::LN_2 / 4_503_599_627_370_496.0,
        2.319_046_813_846_299_6e-17 / 4_503_599_627_370_496.0,
    );
    const EXP_MIN: Self = -708.0;

    fn from_f64(x: f64) -> Self {
        x
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn swap_bytes(self) -> Self {
        Self::from_bits(self.to_bits().swap_bytes())
    }

    #[inline(always)]
    fn columns<S: Simd>(simd: S, rows: &[f64], c: usize, columns: &mut [f64]) {
        transpose::eight_rows(simd, rows, c, columns);
    }

    #[inline(always)]
    fn log2<S: Simd>(simd: S, x: f64x8<S>) -> f64x8<S> {
        const UNIT: f64 = 4_503_599_627_370_496.0; // 2^52
        const P: [f64; 20] = [
            std::f64::consts::LOG2_E * UNIT,
            -0.721_347_520_444_481_1 * UNIT,
            0.480_898_346_962_919_83 * UNIT,
            -0.360_673_760_222_479_4 * UNIT,
            0.288_539_008_201_997_2 * UNIT,
            -0.240_449_173_468_745_95 * UNIT,
            0.206_099_288_742_001_54 * UNIT,
            -0.180_336_878_054_326_85 * UNIT,
            0.160_299_604_953_421_24 * UNIT,
            -0.144_269_753_717_243_43 * UNIT,
            0.131_149_411_032_079_92 * UNIT,
            -0.120_213_553_194_463_34 * UNIT,
            0.111_054_513_263_044_79 * UNIT,
            -0.103_298_189_518_461_52 * UNIT,
            0.095_526_776_468_098_73 * UNIT,
            -0.087_168_579_381_734_46 * UNIT,
            0.086_207_911_366_322_85 * UNIT,
            -0.097_896_204_140_782_46 * UNIT,
            0.091_160_944_417_220_8 * UNIT,
            -0.040_765_878_705_675_67 * UNIT,
        ];
        let bits: u64x8<S> = x.bitcast();
        let exponent =
            (bits - u64x8::splat(simd, 0x3fe6_a09e_667f_3bcd)) & u64x8::splat(simd, 0xfff0_0000_0000_0000);
        let f = (bits - exponent).bitcast::<f64x8<S>>() - f64x8::splat(simd, 1.0);
        let e: f64x8<S> = exponent.bitcast::<i64x8<S>>().to_float();
        polynomial::<f64, S>(simd, &P, f).mul_add(f, e)
    }

    #[inline(always)]
    fn exp<S: Simd>(simd: S, x: f64x8<S>) -> f64x8<S> {
        const P: [f64; 13] = [
            1.0,
            1.0,
            0.5,
            0.166_666_666_666_666_85,
            0.041_666_666_666_666_685,
            0.008_333_333_333_315_953,
            0.001_388_888_888_887_331_8,
            0.000_198_412_698_986_649_48,
            2.480_158_734_906_903e-5,
            2.755_723_286_511_884_6e-6,
            2.755_725_198_190_11e-7,
            2.511_265_862_269_313_3e-8,
            2.092_170_647_663_475_6e-9,
        ];
        const SHIFT: f64 = 6_755_399_441_055_744.0 + 1023.0; // 1.5 * 2^52
        let shifted = x.mul_add(f64x8::splat(simd, std::f64::consts::LOG2_E), f64x8::splat(simd, SHIFT));
        let k = shifted - f64x8::splat(simd, SHIFT);
        let r = k.mul_add(f64x8::splat(simd, -0.693_147_180_369_123_8), x);
        let r = k.mul_add(f64x8::splat(simd, -1.908_214_929_270_587_7e-10), r);
        let scale: f64x8<S> = (shifted.bitcast::<u64x8<S>>() << 52).bitcast();
        polynomial::<f64, S>(simd, &P, r) * scale
    }

    #[inline(always)]
    fn divergence<S: Simd>(simd: S, u: f64x8<S>, excess: f64x8<S>) -> f64x8<S> {
        const R: [f64; 18] = [
            0.499_999_999_999_999_9,
            -0.166_666_666_666_666_24,
            0.083_333_333_333_459_59,
            -0.050_000_000_000_315_264,
            0.033_333_333_306_852_4,
            -0.023_809_523_741_894_583,
            0.017_857_144_994_748_855,
            -0.013_888_895_039_076_678,
            0.011_111_027_624_430_418,
            -0.009_090_629_004_410_485,
            0.007_577_441_817_368_975,
            -0.006_417_134_885_796_135,
            0.005_478_356_201_856_521,
            -0.004_670_513_403_683_652,
            0.004_198_008_543_002_337,
            -0.004_272_211_397_289_52,
            0.003_816_366_285_374_739_8,
            -0.001_730_975_015_609_488,
        ];
        let bits: u64x8<S> = u.bitcast();
        let exponent =
            (bits - u64x8::splat(simd, 0x3fe6_a09e_667f_3bcd)) & u64x8::splat(simd, 0xfff0_0000_0000_0000);
        let e: f64x8<S> = exponent.bitcast::<i64x8<S>>().to_float();
        let scale: f64x8<S> = (exponent + u64x8::splat(simd, 0x3ff0_0000_0000_0000)).bitcast();
        let mantissa = (bits - exponent).bitcast::<f64x8<S>>() - f64x8::splat(simd, 1.0);
        let f = exponent.simd_eq(u64x8::splat(simd, 0)).select(excess, mantissa);
        let rest = (e * u).mul_add(f64x8::splat(simd, Self::LN_2.0), f64x8::splat(simd, 1.0) - scale);
        (polynomial::<f64, S>(simd, &R, f) * (f * f)).mul_add(scale, rest)
    }
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

    fn worst<T: Real>(x: &[T], exponential: bool, level: Level, eps: f64) -> f64 {
        let y = dispatch(level, Apply(x, exponential));
        let reference = |x: f64| if exponential { x.exp() } else { x.ln() };
        x.iter()
            .zip(y)
            .map(|(x, y)| (y.to_f64() / reference(x.to_f64()) - 1.0).abs() / eps)
            .fold(0.0, f64::max)
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
