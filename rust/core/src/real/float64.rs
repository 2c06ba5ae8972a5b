//! float64: 8 lanes, a logarithm of degree 19, an exponential of degree 12.

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f64x8, i64x8, u64x8};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::{Real, polynomial};
use crate::simd::transpose;

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

    fn from_halves(halves: &[f16], out: &mut [Self]) {
        halves.convert_to_f64_slice(out);
    }

    fn from_brains(brains: &[bf16], out: &mut [Self]) {
        brains.convert_to_f64_slice(out);
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
            std::f64::consts::LN_2,
            0.240_226_506_959_100_72,
            0.055_504_108_664_829_23,
            0.009_618_129_107_629_95,
            0.001_333_355_814_500_225,
            0.000_154_035_303_886_339_2,
            1.525_273_497_391_278_7e-5,
            1.321_549_166_706_214_8e-6,
            1.017_764_266_599_950_4e-7,
            7.052_872_581_196_176e-9,
            4.512_221_395_072_116_4e-10,
            2.873_496_624_538_589_6e-11,
        ];
        const SHIFT: f64 = 6_755_399_441_055_744.0 + 1023.0; // 1.5 * 2^52
        let log2_e = f64x8::splat(simd, std::f64::consts::LOG2_E);
        let shifted = x.mul_add(log2_e, f64x8::splat(simd, SHIFT));
        let k = shifted - f64x8::splat(simd, SHIFT);
        let f = x.mul_sub(log2_e, k);
        let scale: f64x8<S> = (shifted.bitcast::<u64x8<S>>() << 52).bitcast();
        polynomial::<f64, S>(simd, &P, f) * scale
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
        // e u might overflow.
        let rest = (e * f64x8::splat(simd, Self::LN_2.0)).mul_add(u, f64x8::splat(simd, 1.0) - scale);
        (polynomial::<f64, S>(simd, &R, f) * (f * f)).mul_add(scale, rest)
    }
}
