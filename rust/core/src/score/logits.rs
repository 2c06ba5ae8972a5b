//! One reading of LANES rows of logits.
//!
//! The largest logit is found first, while the row comes into the cache; the second look sums over all the others
//! y = z − z₁ ≤ 0, e = exp y: S = Σ e, T = Σ e y, Q = Σ e². With p₁ = 1 / (1 + S) every score follows without a
//! softmax, and without cancellation as the largest is left out rather than subtracted:
//! H = ln(1 + S) − T / (1 + S), relatively right even at 10^-20, where the softmax of float64 says 0. "All but one
//! largest" is each logit's min with the largest before it, as in `probabilities.rs`.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::real::{Real, all_lanes};
use crate::simd::transpose::turn;
use crate::simd::{AHEAD, FIRST, prefetch};
use crate::sum::{BLOCK, Sum, tree_sum};

/// What a reading leaves, a row in each lane.
pub(super) struct Logits<T: Real, S: Simd> {
    /// S = Σ e over all but the largest.
    pub(super) sum: T::Lanes<S>,
    /// T = Σ e y over all but the largest; never positive.
    pub(super) weighted: T::Lanes<S>,
    /// Q = Σ e² over all but the largest.
    pub(super) squares: T::Lanes<S>,
    /// e of the second largest.
    pub(super) second: T::Lanes<S>,
    /// The lanes that must be looked at exactly, a bit each.
    pub(super) suspects: u64,
}

impl<T: Real, S: Simd> Logits<T, S> {
    /// Reads the first LANES rows of c logits, or fewer if there are fewer.
    #[inline(always)]
    pub(super) fn read<const TURNED: bool>(simd: S, ahead: &[T], c: usize, columns: &mut [T]) -> Self {
        let rows = &ahead[..ahead.len().min(T::LANES * c)];
        let zero = T::splat(simd, T::ZERO);
        let mut read = Self { sum: zero, weighted: zero, squares: zero, second: zero, suspects: 0 };
        if TURNED {
            prefetch::<FIRST, _>(ahead, AHEAD..AHEAD + T::LANES * c);
            turn(simd, ahead, c, columns, T::ZERO);
            let columns = &columns[..T::LANES * c];
            let (z1, bad) = largest(simd, columns, T::splat(simd, T::MINUS_INFINITY));
            let none = !z1.simd_gt(T::splat(simd, T::MINUS_INFINITY)).to_bitmask();
            let suspects = (bad | none) & all_lanes::<T>();
            let mut sums = Sums::<T, S>::new(simd, z1);
            for block in columns.chunks(T::LANES * BLOCK) {
                for z in block.chunks_exact(T::LANES) {
                    sums.add(simd, T::load(simd, z));
                }
                sums.close_block(simd);
            }
            let second = sums.exp(simd, sums.second);
            read = Self {
                sum: sums.sum.lanes(),
                weighted: sums.weighted.lanes(),
                squares: sums.squares,
                second,
                suspects,
            };
        } else {
            for (lane, row) in rows.chunks_exact(c).enumerate() {
                read.read_long(simd, row, lane);
            }
        }
        read.mend_underflow(simd, rows, c);
        read
    }

    /// Reads a long row, its classes in the lanes, into one lane of this reading.
    #[inline(always)]
    fn read_long(&mut self, simd: S, row: &[T], lane: usize) {
        let whole = row.len() / T::LANES * T::LANES;
        let mut tail = T::splat(simd, T::MINUS_INFINITY);
        tail.as_mut_slice()[..row.len() - whole].copy_from_slice(&row[whole..]);
        let (z1, bad) = largest(simd, &row[..whole], tail);
        let z1 = highest(z1.as_slice());
        if bad != 0 || z1 == T::MINUS_INFINITY {
            self.suspects |= 1 << lane;
        }
        let mut sums = Sums::<T, S>::new(simd, T::splat(simd, z1));
        for block in row[..whole].chunks(T::LANES * BLOCK) {
            for z in block.chunks_exact(T::LANES) {
                sums.add(simd, T::load(simd, z));
            }
            sums.close_block(simd);
        }
        sums.add(simd, tail);
        // Each lane left its own largest out; all of these but one largest of the row are others too.
        let mut rest = sums.first;
        if let Some(first) = rest.as_slice().iter().position(|&z| z == z1) {
            rest[first] = T::MINUS_INFINITY;
        }
        sums.add_other(simd, rest);
        sums.close_block(simd);
        self.sum[lane] = T::from_f64(sums.sum.fold());
        self.weighted[lane] = T::from_f64(sums.weighted.fold());
        self.squares[lane] = T::from_f64(tree_sum(sums.squares.as_slice(), &[]));
        let second = T::splat(simd, highest(sums.second.as_slice()));
        self.second[lane] = sums.exp(simd, second)[0];
    }

    /// Below 2^-60 or so every score is a plain sum of e and e y, and these may be subnormal or have
    /// vanished: such rows are summed again relative to the second largest logit.
    #[inline(always)]
    fn mend_underflow(&mut self, simd: S, rows: &[T], c: usize) {
        let small = self.sum.simd_lt(T::splat(simd, T::SMALL)).to_bitmask() & !self.suspects;
        if small == 0 {
            return;
        }
        let (mut sum, mut weighted, mut second) = (self.sum, self.weighted, self.second);
        let sums = &mut [sum.as_mut_slice(), weighted.as_mut_slice(), second.as_mut_slice()];
        sums_of_certain_rows(rows, c, small, sums);
        (self.sum, self.weighted, self.second) = (sum, weighted, second);
    }
}

/// S, T and the second e of the lanes whose largest logit towers over the others, one number at a time in float64.
/// Their Q is far below the last bit of S.
#[cold]
#[inline(never)]
fn sums_of_certain_rows<T: Real>(rows: &[T], c: usize, lanes: u64, sums: &mut [&mut [T]; 3]) {
    for (lane, row) in rows.chunks_exact(c).enumerate().filter(|(lane, _)| lanes >> lane & 1 == 1) {
        let z1 = highest(row).to_f64();
        let mut found = false;
        // All but one 0, which is the largest itself.
        let others =
            row.iter().map(|z| z.to_f64() - z1).filter(|&y| y != 0.0 || std::mem::replace(&mut found, true));
        // So far below, an e is 0, and the sum of what are nearly the largest numbers would overflow: 0 · ∞ is NaN.
        let others: Vec<f64> = others.filter(|&y| y > -1e4).collect();
        let y2 = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut weighted) = (0.0, 0.0);
        for y in others {
            let e = (y - y2).exp();
            sum += e;
            weighted += e * y;
        }
        // In two steps, so that only the last one can round to a subnormal.
        let half = (y2 / 2.0).exp();
        sums[0][lane] = T::from_f64(sum * half * half);
        sums[1][lane] = T::from_f64(weighted * half * half);
        sums[2][lane] = T::from_f64(half * half);
    }
}

/// The largest of each lane, and the lanes that hold NaN or +inf, a bit each.
#[inline(always)]
fn largest<T: Real, S: Simd>(simd: S, z: &[T], start: T::Lanes<S>) -> (T::Lanes<S>, u64) {
    let infinity = T::splat(simd, T::INFINITY);
    let (mut z1, mut good) = (start, start.simd_lt(infinity));
    for z in z.chunks_exact(T::LANES) {
        let z = T::load(simd, z);
        z1 = z1.max(z);
        good &= z.simd_lt(infinity);
    }
    (z1, !good.to_bitmask() & all_lanes::<T>())
}

/// The largest of a few numbers.
#[inline(always)]
fn highest<T: Real>(z: &[T]) -> T {
    z.iter().fold(T::MINUS_INFINITY, |a, &b| if b > a { b } else { a })
}

/// The sums of a reading while it lasts.
struct Sums<T: Real, S: Simd> {
    z1: T::Lanes<S>,
    /// The largest so far.
    first: T::Lanes<S>,
    /// The largest of the others so far.
    second: T::Lanes<S>,
    sum: Sum<T, S>,
    weighted: Sum<T, S>,
    squares: T::Lanes<S>,
}

impl<T: Real, S: Simd> Sums<T, S> {
    #[inline(always)]
    fn new(simd: S, z1: T::Lanes<S>) -> Self {
        let (zero, none) = (T::splat(simd, T::ZERO), T::splat(simd, T::MINUS_INFINITY));
        Self { z1, first: none, second: none, sum: Sum::new(simd), weighted: Sum::new(simd), squares: zero }
    }

    #[inline(always)]
    fn add(&mut self, simd: S, z: T::Lanes<S>) {
        let another = self.first.min(z);
        self.first = self.first.max(z);
        self.add_other(simd, another);
    }

    #[inline(always)]
    fn add_other(&mut self, simd: S, z: T::Lanes<S>) {
        self.second = self.second.max(z);
        // −inf, and all that is too far below, becomes a number whose exponential no sum can feel unless nothing else
        // is there (`mend_underflow`): 0 · −inf would be NaN.
        let y = (z - self.z1).max(T::splat(simd, T::EXP_MIN));
        let e = T::exp(simd, y);
        self.sum.block += e;
        self.weighted.block = e.mul_add(y, self.weighted.block);
        self.squares = e.mul_add(e, self.squares);
    }

    #[inline(always)]
    fn close_block(&mut self, simd: S) {
        self.sum.close(simd);
        self.weighted.close(simd);
    }

    /// e of a logit.
    #[inline(always)]
    fn exp(&self, simd: S, z: T::Lanes<S>) -> T::Lanes<S> {
        T::exp(simd, (z - self.z1).max(T::splat(simd, T::EXP_MIN)))
    }
}
