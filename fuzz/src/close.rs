//! How near an answer has to be.

use querist_core::real::Real;

/// The spacing of T at a number, and at least that at its smallest normal one.
pub(crate) fn ulp<T: Real>(x: f64) -> f64 {
    let epsilon = T::EPSILON.to_f64();
    let smallest = T::TINY.to_f64();
    let power = 2.0_f64.powi(x.abs().max(smallest).log2().floor() as i32);
    power * epsilon
}

/// Panics unless the answer is as near as it has to be; NaN only where it is expected.
#[track_caller]
pub(crate) fn near<T: Real>(got: T, expected: f64, allowed: f64, what: &str) {
    let got = got.to_f64();
    let right = got == expected || (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= allowed;
    assert!(right, "{what}: expected {expected:e} within {allowed:e}, got {got:e}");
}
