//! The exact look at a row that the quick test of a reading has stopped: is anything wrong, and what?

use crate::error::Fault;
use crate::real::Real;

/// What is wrong with a row of probabilities: a number outside [0, 1 + tolerance], or a sum further than the
/// tolerance from 1.
#[cold]
pub(crate) fn probabilities<T: Real>(row: &[T], tolerance: f64) -> Option<Fault> {
    let mut sum = 0.0;
    for (column, p) in row.iter().map(|p| p.to_f64()).enumerate() {
        if !(0.0..=1.0 + tolerance).contains(&p) {
            return Some(Fault::NotAProbability { column, value: p, tolerance });
        }
        sum += p;
    }
    ((sum - 1.0).abs() > tolerance).then_some(Fault::Sum { sum, tolerance })
}

/// What is wrong with a row of logits: NaN or +inf, or nothing but −inf.
#[cold]
pub(super) fn logits<T: Real>(row: &[T]) -> Option<Fault> {
    let mut finite = false;
    for (column, z) in row.iter().map(|z| z.to_f64()).enumerate() {
        if z.is_nan() || z == f64::INFINITY {
            return Some(Fault::NotALogit { column, value: z });
        }
        finite |= z.is_finite();
    }
    (!finite).then_some(Fault::NoFiniteLogit)
}
