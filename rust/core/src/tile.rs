//! All pairs of the rows of two matrices, tile by tile, never stored.
//!
//! The products Σ x y of the rows of two blocks are computed eight rows at a time, and each such strip is
//! handed to an epilogue, which reduces it while it is in the first-level cache. `distance.rs` makes
//! distances of them.
//!
//! **Order.** A sum runs over k = 0, 1, …, by multiply-add, in blocks of 128 that are then added. No blocking of
//! rows changes it, so that the bits depend neither on threads nor on the SIMD level (with fused multiply-add).
//!
//! **Shape.** On AVX-512, 8 rows × 3 vectors of columns fill 24 of 32 registers: 24 multiply-adds for 11 loads. On 16
//! registers it is 4 rows × 1 vector (two registers). The columns are packed once for a block, 64 bytes for
//! each k; rows are read where they are, as rows packed too would gain 4 % at the most. Of many coordinates, a
//! slice that stays in the second-level cache is multiplied with all rows of the left block before the next one
//! is (Xeon, d = 4096: 178 GFlop/s on two cores without, 268 so; OpenBLAS 345). Measured (Zen 4, one core, d =
//! 128): 117 GFlop/s in float32, 98 % of what the multiply-add units can do; the crates `gemm` and
//! `matrixmultiply` give back a stored matrix and leave the order of the sum open, and so were not an
//! alternative. Road not taken: Σ (x − y)² in the tile instead of a product, which would need no care for
//! cancellation; the subtractions share the ports, and it runs at 63 GFlop/s.

use std::ops::Range;

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::error::Error;
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::transpose::turn;
use crate::simd::{Kernel, Level, aligned, dispatch};

/// Rows in a strip.
pub(crate) const STRIP: usize = 8;

/// Coordinates that are summed before the sum is added to what the earlier ones gave.
const DEPTH: usize = 128;

/// What becomes of a strip.
pub(crate) trait Epilogue<T: Real> {
    /// `pairs` holds up to [`STRIP`] rows of `width` numbers, those of the rows from `first` on of the left
    /// block with all rows of the right block. `width` is a multiple of the lanes; what lies beyond the right
    /// block's rows means nothing.
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize);
}

/// Rows in a block: a function of d alone, as sums over pairs are made block by block. Fewer than 480 only where they
/// would take more than 8 MB: packing a row costs as much as ten products with it.
pub(crate) fn side<T: Real>(d: usize) -> usize {
    let columns = 3 * T::LANES;
    let fit = (1 << 23) / (d.max(1) * size_of::<T>()) / columns * columns;
    fit.clamp(columns, 480)
}

/// A right block: rows packed into columns, LANES rows side by side for each coordinate.
#[derive(Debug, Default)]
pub(crate) struct Packed<T> {
    /// Room for `ahead` numbers, so that the others begin on a cache line, and for these.
    room: Vec<T>,
    ahead: usize,
    /// Numbers of LANES rows.
    group: usize,
    d: usize,
    width: usize,
}

impl<T: Real> Packed<T> {
    /// Columns, those that only fill the last vectors included.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Coordinates of a row.
    pub(crate) fn depth(&self) -> usize {
        self.d
    }

    /// Coordinates of all columns that stay in the second-level cache: half a megabyte, rounded up to what is summed at
    /// once, and then up to twice as much.
    fn slice(&self) -> usize {
        let fit = (1 << 19) / (self.width.max(1) * size_of::<T>());
        if fit < self.d { fit.next_multiple_of(DEPTH) } else { self.d }
    }

    /// Packs rows of d coordinates.
    pub(crate) fn pack(&mut self, rows: &[T], d: usize, level: Level) {
        self.d = d;
        self.group = T::LANES * d.next_multiple_of(4);
        let groups = (rows.len() / d).div_ceil(T::LANES);
        self.width = groups * T::LANES;
        self.room.resize(groups * self.group + T::LANES, T::ZERO);
        self.ahead = self.room.len() - aligned(&mut self.room).len();
        dispatch(level, Pack { packed: self, rows });
    }
}

struct Pack<'a, T> {
    packed: &'a mut Packed<T>,
    rows: &'a [T],
}

impl<T: Real> Kernel for Pack<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let d = self.packed.d;
        let mut rows = self.rows.chunks(T::LANES * d);
        for group in self.packed.room[self.packed.ahead..].chunks_exact_mut(self.packed.group) {
            turn(simd, rows.next().unwrap_or_default(), d, group);
        }
    }
}

/// Computes the products of all rows of a left block with those of a right one. `pairs` is room for them: of a strip,
/// or of the whole left block where there are several slices.
pub(crate) fn products<T: Real, E: Epilogue<T>>(
    left: &[T],
    right: &Packed<T>,
    epilogue: &mut E,
    pairs: &mut Vec<T>,
    level: Level,
) {
    let (d, width) = (right.d, right.width);
    let slice = right.slice();
    // Strip by strip if one slice is all; otherwise a slice serves all strips before the next is read.
    let band = if slice < d { (left.len() / d).max(1) } else { STRIP };
    pairs.resize(band.next_multiple_of(STRIP) * width, T::ZERO);
    for (number, rows) in left.chunks(band * d).enumerate() {
        for start in (0..d).step_by(slice) {
            let slice = start..(start + slice).min(d);
            for (rows, pairs) in rows.chunks(STRIP * d).zip(pairs.chunks_exact_mut(STRIP * width)) {
                strip_of_products(rows, right, slice.clone(), pairs, level);
            }
        }
        let pairs = &mut pairs[..rows.len() / d * width];
        for (strip, pairs) in pairs.chunks_mut(STRIP * width).enumerate() {
            dispatch(level, Finish { epilogue, first: number * band + strip * STRIP, pairs, width });
        }
    }
}

/// Apart from the epilogue, and so compiled once for all of them.
#[inline(never)]
fn strip_of_products<T: Real>(
    rows: &[T],
    right: &Packed<T>,
    slice: Range<usize>,
    strip: &mut [T],
    level: Level,
) {
    dispatch(level, Products { rows, right, slice, strip });
}

/// Adds a slice of the coordinates to the products of a strip.
struct Products<'a, T> {
    rows: &'a [T],
    right: &'a Packed<T>,
    slice: Range<usize>,
    strip: &'a mut [T],
}

impl<T: Real> Kernel for Products<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { rows, right, slice, strip } = self;
        let groups = right.width / T::LANES;
        let threes = groups / 3 * 3;
        for start in slice.clone().step_by(DEPTH) {
            let depth = start..(start + DEPTH).min(slice.end);
            if <S::f32s as SimdBase<S>>::LEN == 16 {
                block::<T, S, 8, 3>(simd, rows, right, depth.clone(), 0, 0..threes, strip);
                block::<T, S, 8, 1>(simd, rows, right, depth, 0, threes..groups, strip);
            } else {
                block::<T, S, 4, 1>(simd, rows, right, depth.clone(), 0, 0..groups, strip);
                block::<T, S, 4, 1>(simd, rows, right, depth, 4, 0..groups, strip);
            }
        }
    }
}

struct Finish<'a, T, E> {
    epilogue: &'a mut E,
    first: usize,
    pairs: &'a mut [T],
    width: usize,
}

impl<T: Real, E: Epilogue<T>> Kernel for Finish<'_, T, E> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.epilogue.strip(simd, self.first, self.pairs, self.width);
    }
}

/// `R` rows from `first` on of a strip with some vectors of columns, `V` at a time, over some of the coordinates.
#[inline(always)]
fn block<T: Real, S: Simd, const R: usize, const V: usize>(
    simd: S,
    rows: &[T],
    right: &Packed<T>,
    depth: Range<usize>,
    first: usize,
    groups: Range<usize>,
    strip: &mut [T],
) {
    let (d, width) = (right.d, right.width);
    let count = rows.len() / d.max(1);
    // A strip of fewer rows computes its first row again and again in place of those that are missing.
    let x: [&[T]; R] = std::array::from_fn(
        #[inline(always)]
        |r| {
            let r = if first + r < count { first + r } else { 0 };
            &rows[r * d..][..d][depth.clone()]
        },
    );
    let (numbers, length) = (&right.room[right.ahead..], depth.len());
    for at in groups.step_by(V) {
        let groups = &numbers[at * right.group..][..V * right.group];
        let y: [&[T]; V] = std::array::from_fn(
            #[inline(always)]
            |v| &groups[v * right.group..][depth.start * T::LANES..depth.end * T::LANES],
        );
        let mut sums = [[T::splat(simd, T::ZERO); V]; R];
        for k in 0..length {
            let mut y_k = [T::splat(simd, T::ZERO); V];
            for v in 0..V {
                y_k[v] = T::load(simd, &y[v][k * T::LANES..][..T::LANES]);
            }
            for r in 0..R {
                let x_k = T::splat(simd, x[r][k]);
                for v in 0..V {
                    sums[r][v] = x_k.mul_add(y_k[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                let out = &mut strip[(first + r) * width + (at + v) * T::LANES..][..T::LANES];
                let sum = if depth.start == 0 { sums[r][v] } else { T::load(simd, out) + sums[r][v] };
                sum.store_slice(out);
            }
        }
    }
}

/// The products of all rows of two matrices, n × m: for tests and benches, as everything else reduces pairs
/// on the way.
///
/// # Errors
/// [`Error::Shape`]; [`Error::Stopped`].
pub fn matrix_product<T: Real>(
    left: &Rows<'_, T>,
    right: &Rows<'_, T>,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    let (n, m, d) = (left.len(), right.len(), left.width());
    if right.width() != d || out.len() != n * m {
        return Err(Error::shape(
            "out",
            &format_args!("{n} x {m} products of rows of {d} numbers"),
            &format_args!("{} of rows of {}", out.len(), right.width()),
        ));
    }
    let side = side::<T>(d);
    // As many for each thread, as no sum depends on which rows are a job's.
    let jobs = n.div_ceil(side).next_multiple_of(par.threads);
    let share = n.div_ceil(jobs.max(1)).next_multiple_of(STRIP);
    let jobs = out.chunks_mut((share * m).max(1)).enumerate();
    let start = || (Vec::new(), Vec::new(), Packed::default(), Vec::new());
    par.run(jobs, n.saturating_mul(m * d), start, |(rows, columns, packed, strip), (number, out)| {
        let rows = left.read(number * share..(number + 1) * share, rows);
        for first in (0..m).step_by(side) {
            packed.pack(right.read(first..first + side, columns), d, par.level);
            let mut store = Store { out: &mut *out, m, first };
            products(rows, packed, &mut store, strip, par.level);
        }
        Ok(())
    })?;
    Ok(())
}

/// Stores products in their columns of some rows of the whole.
struct Store<'a, T> {
    out: &'a mut [T],
    m: usize,
    first: usize,
}

impl<T: Real> Epilogue<T> for Store<'_, T> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, _: S, first: usize, pairs: &mut [T], width: usize) {
        let count = width.min(self.m - self.first);
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let at = (first + r) * self.m + self.first;
            self.out[at..at + count].copy_from_slice(&row[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T: Real>(x: &[T], y: &[T], d: usize, level: Level) -> Vec<Vec<T>> {
        let m = y.len() / d;
        let mut out = vec![T::ZERO; x.len() / d * m];
        let par = Par { level, ..Par::serial() };
        matrix_product(&Rows::of(x, d), &Rows::of(y, d), &mut out, par).unwrap();
        out.chunks_exact(m).map(<[T]>::to_vec).collect()
    }

    fn check<T: Real>(eps: f64) {
        for (n, m, d) in [(1, 1, 1), (8, 16, 3), (9, 49, 4), (23, 50, 17), (16, 100, 300), (3, 5, 600)] {
            let number = |i: usize| T::from_f64((i * 7919 % 1009) as f64 / 1009.0 - 0.5);
            let x: Vec<T> = (0..n * d).map(number).collect();
            let y: Vec<T> = (3..3 + m * d).map(number).collect();
            let got = all(&x, &y, d, Level::best());
            assert_eq!(got, all(&x, &y, d, Level::Avx2));
            for (x, got) in x.chunks(d).zip(got) {
                for (y, got) in y.chunks(d).zip(got) {
                    let exact: f64 = x.iter().zip(y).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
                    // Two sums of at most d / 4 each, rounded DEPTH times at the most.
                    assert!((got.to_f64() - exact).abs() <= eps * d as f64 / 4.0 * DEPTH as f64);
                }
            }
        }
    }

    #[test]
    fn slices_of_the_coordinates_change_no_bit() {
        let (d, m) = (700, 480);
        let x: Vec<f32> = (0..17 * d).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
        let y: Vec<f32> = (0..m * d).map(|i| (i * 7907 % 1013) as f32 / 1013.0 - 0.5).collect();
        let mut packed = Packed::default();
        packed.pack(&y, d, Level::best());
        assert!(packed.slice() < d);
        let many = all(&x, &y, d, Level::best());
        for (at, y) in y.chunks(16 * d).enumerate() {
            packed.pack(y, d, Level::best());
            assert_eq!(packed.slice(), d);
            for (few, many) in all(&x, y, d, Level::best()).iter().zip(&many) {
                assert_eq!(few, &many[at * 16..][..16]);
            }
        }
    }

    #[test]
    fn products_are_right_and_the_same_bits_at_every_fused_level() {
        check::<f32>(f64::from(f32::EPSILON));
        check::<f64>(f64::EPSILON);
    }
}
