//! Sums along rows of any length, many rows at once.
//!
//! A row is read 64 bytes at a time and leaves a sum in each lane. Folding these row by row would go number
//! by number, so the lanes of 16 rows are kept, turned, and added up together.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::real::Real;
use crate::simd::transpose::turn;
use crate::simd::{AHEAD, Kernel, SECOND, prefetch};
use crate::sum::{BLOCK, Sum};

/// The first numbers of a row as lanes, 0 behind its end.
#[inline(always)]
pub(crate) fn padded<T: Real, S: Simd>(simd: S, row: &[T]) -> T::Lanes<S> {
    if row.len() >= T::LANES {
        return T::load(simd, &row[..T::LANES]);
    }
    let mut lanes = T::splat(simd, T::ZERO);
    lanes.as_mut_slice()[..row.len()].copy_from_slice(row);
    lanes
}

/// The other way round: as many lanes as there is room for.
#[inline(always)]
pub(crate) fn store<T: Copy, S: Simd, V: SimdBase<S, Element = T>>(lanes: V, out: &mut [T]) {
    // A whole vector is one instruction, where a copy of any length is a call.
    if out.len() >= V::LEN {
        lanes.store_slice(&mut out[..V::LEN]);
    } else {
        out.copy_from_slice(&lanes.as_slice()[..out.len()]);
    }
}

/// N sums over a row.
pub(crate) trait OverRow<T: Real, const N: usize>: Copy {
    fn add<S: Simd>(self, simd: S, x: T::Lanes<S>, at: usize, sums: &mut [Sum<T, S>; N]);
}

/// Σ x².
#[derive(Clone, Copy)]
pub(crate) struct Squares;

impl<T: Real> OverRow<T, 1> for Squares {
    #[inline(always)]
    fn add<S: Simd>(self, _: S, x: T::Lanes<S>, _: usize, [sum]: &mut [Sum<T, S>; 1]) {
        sum.block = x.mul_add(x, sum.block);
    }
}

/// Sums over each of the first LANES rows, or fewer if there are fewer, a row in each lane.
#[inline(always)]
pub(crate) fn each_row<T: Real, S: Simd, const N: usize>(
    simd: S,
    ahead: &[T],
    d: usize,
    room: &mut [T],
    over: impl OverRow<T, N>,
) -> [T::Lanes<S>; N] {
    let size = T::LANES * T::LANES;
    let (kept, turned) = room.split_at_mut(N * size);
    let count = (ahead.len() / d).min(T::LANES);
    let whole = d / T::LANES * T::LANES;
    for (r, row) in ahead.chunks_exact(d).take(T::LANES).enumerate() {
        let asked = r * d + AHEAD;
        let mut sums: [Sum<T, S>; N] = std::array::from_fn(
            #[inline(always)]
            |_| Sum::new(simd),
        );
        for at in (0..whole).step_by(T::LANES) {
            prefetch::<SECOND, _>(ahead, asked + at..asked + at + T::LANES);
            over.add(simd, T::load(simd, &row[at..at + T::LANES]), at, &mut sums);
            if at / T::LANES % BLOCK == BLOCK - 1 {
                for sum in &mut sums {
                    sum.close(simd);
                }
            }
        }
        if whole < d {
            over.add(simd, padded(simd, &row[whole..]), whole, &mut sums);
        }
        for (number, sum) in sums.iter_mut().enumerate() {
            sum.close(simd);
            sum.lanes().store_slice(&mut kept[number * size + r * T::LANES..][..T::LANES]);
        }
    }
    let mut totals = [T::splat(simd, T::ZERO); N];
    for (kept, total) in kept.chunks_exact(size).zip(&mut totals) {
        turn(simd, &kept[..count * T::LANES], T::LANES, turned);
        for column in turned[..size].chunks_exact(T::LANES) {
            *total += T::load(simd, column);
        }
    }
    totals
}

/// Room that N sums over rows need.
pub(crate) fn room<T: Real>(sums: usize) -> usize {
    (sums + 1) * T::LANES * T::LANES
}

/// Σ x y of one pair of rows.
#[inline(always)]
pub(crate) fn dot<T: Real, S: Simd>(simd: S, x: &[T], y: &[T]) -> f64 {
    let mut sum = Sum::<T, S>::new(simd);
    let (xs, ys) = (x.chunks_exact(T::LANES), y.chunks_exact(T::LANES));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
    for (at, (x, y)) in xs.zip(ys).enumerate() {
        sum.block = T::load(simd, x).mul_add(T::load(simd, y), sum.block);
        if at % BLOCK == BLOCK - 1 {
            sum.close(simd);
        }
    }
    sum.close(simd);
    sum.fold() + rest
}

/// The kernel of [`dot`], where no lanes are in hand.
pub(crate) struct Dot<'a, T>(pub(crate) &'a [T], pub(crate) &'a [T]);

impl<T: Real> Kernel for Dot<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        dot(simd, self.0, self.1)
    }
}
