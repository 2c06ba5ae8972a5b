//! Distances that decide, in float64.
//!
//! What a tile says of a distance is right to some eps; where one row is to be preferred to another, the
//! distance is computed again from the stored numbers, widened, uncentred and in difference form, in one
//! order that `tests/reference_select.py` repeats bit for bit.

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f64x8};

use crate::distance::{Space, normalise};
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::{Kernel, Level, dispatch};

/// What rows are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// ‖x − y‖.
    Euclidean,
    /// 1 − cos = ½ ‖x̂ − ŷ‖²; a row of zeros has cosine 0 to everything.
    Cosine,
}

impl Metric {
    /// Where rows are compared by tile.
    pub(crate) fn space<T: Real>(self, rows: &Rows<'_, T>) -> Space<T> {
        match self {
            Self::Euclidean => Space::around(rows),
            Self::Cosine => Space::Cosine,
        }
    }

    /// The distance of which this is the squared one between the rows as they are compared.
    #[must_use]
    pub fn distance(self, squared: f64) -> f64 {
        match self {
            Self::Euclidean => squared.sqrt(),
            Self::Cosine => squared / 2.0,
        }
    }
}

/// Σ (x − y)² of many rows with one, in float64: d = x − y; s += d · d, each operation rounded and none
/// fused, in 8 sums over every eighth coordinate, which are then added as a tree (the second half to the
/// first, three times). So the bits are the same at every SIMD level, and numpy can repeat them.
struct Exactly<'a, R, F> {
    rows: R,
    row: &'a [f64],
    take: F,
}

impl<'a, R: Iterator<Item = &'a [f64]>, F: FnMut(f64)> Kernel for Exactly<'_, R, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let y = self.row;
        let whole = y.len() / 8 * 8;
        for x in self.rows {
            let mut sums = f64x8::splat(simd, 0.0);
            for at in (0..whole).step_by(8) {
                let d = f64x8::from_slice(simd, &x[at..at + 8]) - f64x8::from_slice(simd, &y[at..at + 8]);
                sums += d * d;
            }
            if whole < y.len() {
                let (mut a, mut b) = ([0.0; 8], [0.0; 8]);
                a[..y.len() - whole].copy_from_slice(&x[whole..]);
                b[..y.len() - whole].copy_from_slice(&y[whole..]);
                let d = f64x8::from_slice(simd, &a) - f64x8::from_slice(simd, &b);
                sums += d * d;
            }
            let [a, b, c, d, e, f, g, h] = *sums;
            (self.take)(((a + e) + (c + g)) + ((b + f) + (d + h)));
        }
    }
}

/// The squared distances of rows of [`exact_row`] to one of them, handed out in order.
pub(crate) fn exact<'a>(
    rows: impl Iterator<Item = &'a [f64]> + Clone,
    row: &[f64],
    metric: Metric,
    level: Level,
    mut take: impl FnMut(f64),
) {
    let zero = |x: &[f64]| x.iter().all(|&x| x == 0.0);
    if metric == Metric::Cosine {
        // Zeros are at the distance of a cosine of 0 to everything.
        let mut apart = rows.clone().map(|x| zero(x) || zero(row));
        let take = |squared| take(if apart.next() == Some(true) { 2.0 } else { squared });
        dispatch(level, Exactly { rows, row, take });
    } else {
        dispatch(level, Exactly { rows, row, take });
    }
}

/// A row as it is compared, in float64.
pub(crate) fn exact_row<T: Real>(row: &[T], metric: Metric, out: &mut Vec<f64>, level: Level) {
    out.clear();
    out.extend(row.iter().map(|x| x.to_f64()));
    if metric == Metric::Cosine {
        normalise(out, level);
    }
}
