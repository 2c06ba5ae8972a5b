//! What pairs of rows are ordered by where the tile's squared distances do not tell: those whose squares vanish in the
//! element type, and those between directions of float32 that are near each other.

use crate::distance::{slack, sum_of_squares};
use crate::error::Error;
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;

/// Below this a squared distance over d numbers may be off by more than a part in 10^5, as squares vanish.
pub(super) fn faint<T: Real>(d: usize) -> T {
    T::from_f64(1e6 * (d as f64 + 160.0) * T::TINY.to_f64() * T::EPSILON.to_f64())
}

/// A number in place of a [faint](faint) squared distance, below all others and in their order: computed in float64, where
/// the squares of float32 do not vanish, and as −1 / x, as the type has no room for what is so small.
#[cold]
#[inline(never)]
pub(super) fn order_of_faint<T: Real>(x: &[T], y: &[T]) -> T {
    in_faint_order(sum_of_squares(x, y, |x, y| x.to_f64() - y.to_f64()))
}

fn in_faint_order<T: Real>(squared: f64) -> T {
    T::from_f64(-1.0 / (squared * SCALE_OF_FAINT))
}

/// Rows of which the directions are compared in float64: of those of float32 little may be left between two that are
/// near each other.
pub(super) struct Directions<'a, T> {
    rows: &'a Rows<'a, T>,
    /// 1 / ‖x‖, 0 for rows of zeros.
    inverse: Vec<f64>,
    faint: T,
}

impl<'a, T: Real> Directions<'a, T> {
    pub(super) fn of(rows: &'a Rows<'a, T>, par: Par<'_>) -> Result<Self, Error> {
        let (mut inverse, step) = (vec![0.0; rows.len()], 256);
        par.run(
            inverse.chunks_mut(step).enumerate(),
            rows.len() * rows.width(),
            Vec::new,
            |one, (at, out)| {
                for (row, out) in (at * step..).zip(out) {
                    let row = rows.read(row..row + 1, one);
                    let squared: f64 = sum_of_squares(row, row, |x, _| x.to_f64());
                    *out = if squared > 0.0 { 1.0 / squared.sqrt() } else { 0.0 };
                }
                Ok(())
            },
        )?;
        Ok(Self { rows, inverse, faint: faint(rows.width()) })
    }

    /// What a pair is ordered by: |x̂ − ŷ|², or where that is faint a number in place of it.
    pub(super) fn order(&self, x: usize, y: usize, room: &mut [Vec<T>; 2]) -> T {
        let (of_x, of_y) = (self.inverse[x], self.inverse[y]);
        if of_x == 0.0 || of_y == 0.0 {
            return T::from_f64(2.0);
        }
        let [first, second] = room;
        let (x, y) = (self.rows.read(x..x + 1, first), self.rows.read(y..y + 1, second));
        let squared = sum_of_squares(x, y, |x, y| x.to_f64() * of_x - y.to_f64() * of_y);
        let rounded = T::from_f64(squared);
        if rounded > self.faint { rounded } else { in_faint_order(squared) }
    }

    /// What the tile tells of a pair that is no farther apart than this, at most. Those that it computes from differences
    /// are right to the rounding of the two rows.
    pub(super) fn reach(&self, squared: T) -> T {
        let (squared, d, epsilon) = (squared.to_f64().max(0.0), self.rows.width(), T::EPSILON.to_f64());
        let near = (squared.sqrt() + 32.0 * epsilon).powi(2) * (1.0 + (d as f64 / 4.0 + 32.0) * epsilon);
        let far = squared + slack::<T>(d, 2.0);
        let reach = if far < 2.0 * T::NEAR.to_f64() { near } else { near.max(far) };
        let reach = T::from_f64(reach * (1.0 + epsilon));
        if reach > self.faint { reach } else { self.faint }
    }
}

/// 2^200: from squares of the smallest float32 up to what is faint, the quotients are float32 numbers.
const SCALE_OF_FAINT: f64 = 1.606_938_044_258_990_3e60;
