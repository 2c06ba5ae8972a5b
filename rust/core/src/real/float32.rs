//! float32: 16 lanes, a logarithm of degree 8, an exponential of degree 6.

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f32x16, i32x16, u32x16};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::{Real, polynomial};
use crate::simd::transpose;

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

    fn from_halves(halves: &[f16], out: &mut [Self]) {
        halves.convert_to_f32_slice(out);
    }

    fn from_brains(brains: &[bf16], out: &mut [Self]) {
        brains.convert_to_f32_slice(out);
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
        const P: [f32; 7] = [
            1.0,
            std::f32::consts::LN_2,
            0.240_226_45,
            0.055_503_592,
            0.009_618_841,
            0.001_339_113_7,
            0.000_152_380_06,
        ];
        const SHIFT: f32 = 12_582_912.0 + 127.0; // 1.5 * 2^23: from here on, floats are 1 apart
        let log2_e = f32x16::splat(simd, std::f32::consts::LOG2_E);
        let shifted = x.mul_add(log2_e, f32x16::splat(simd, SHIFT));
        let k = shifted - f32x16::splat(simd, SHIFT);
        let f = x.mul_sub(log2_e, k);
        let scale: f32x16<S> = (shifted.bitcast::<u32x16<S>>() << 23).bitcast();
        polynomial::<f32, S>(simd, &P, f) * scale
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
        // e u might overflow.
        let rest = (e * f32x16::splat(simd, Self::LN_2.0)).mul_add(u, f32x16::splat(simd, 1.0) - scale);
        (polynomial::<f32, S>(simd, &R, f) * (f * f)).mul_add(scale, rest)
    }
}
