//! One reading of LANES rows of probabilities.
//!
//! Short rows are turned, so that each lane walks down its own row; long rows are read 64 bytes at a time and the
//! lanes folded at the end. Both run the same [`Sums`].
//!
//! The largest two are kept by min and max alone: of a new p and the largest so far, the smaller is "another".
//! The others are thus each p but one largest, exactly, with no mask and no subtraction, and gini's Σ others p²
//! needs no second pass.
//!
//! Validity costs an addition and an OR: every p ≥ 0 with Σ p ≤ 1 + tol implies p ≤ 1 + tol, and NaN or an
//! infinity spoils the sum.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::real::{Real, all_lanes};
use crate::simd::transpose::turn;
use crate::simd::{AHEAD, FIRST, Kernel, Level, SECOND, dispatch, prefetch};
use crate::sum::{BLOCK, Sum};

/// Rows of up to this many numbers are turned; folding the lanes of a longer row costs less than turning it.
pub(super) const SHORT: usize = 64;

/// Sums of a long row that are kept until they are folded.
const KEPT: usize = 7;

/// Room that a reading of rows of c numbers needs.
pub(super) fn room<T: Real>(c: usize) -> usize {
    if c <= SHORT { T::LANES * c.next_multiple_of(4) } else { (KEPT + 1) * T::LANES * T::LANES }
}

/// What a reading leaves, a row in each lane; what was not asked for is zero.
pub(super) struct Probabilities<T: Real, S: Simd> {
    /// The largest p.
    pub(super) p1: T::Lanes<S>,
    /// The second largest, 0 if there is none.
    pub(super) p2: T::Lanes<S>,
    /// Σ (p · [`SCALE`](Real::SCALE))² over all but the largest.
    pub(super) others_scaled: T::Lanes<S>,
    /// Σ p log2 p in the units of [`Real::log2`].
    pub(super) p_log_p: T::Lanes<S>,
    /// What rounding that sum left.
    pub(super) p_log_p_low: T::Lanes<S>,
    /// Σ p.
    total: T::Lanes<S>,
    /// The sign is set if that of any p is.
    signs: T::Lanes<S>,
}

impl<T: Real, S: Simd> Probabilities<T, S> {
    /// Reads the first LANES rows of c numbers, or fewer if there are fewer.
    #[inline(always)]
    pub(super) fn read<const TURNED: bool, const LOGARITHM: bool, const LARGEST: bool>(
        simd: S,
        ahead: &[T],
        c: usize,
        columns: &mut [T],
    ) -> Self {
        let rows = &ahead[..ahead.len().min(T::LANES * c)];
        let mut read = if TURNED {
            prefetch::<FIRST, _>(ahead, AHEAD..AHEAD + T::LANES * c);
            turn(simd, ahead, c, columns);
            let mut sums = Sums::<T, S>::new(simd);
            for block in columns[..T::LANES * c].chunks(T::LANES * BLOCK) {
                for p in block.chunks_exact(T::LANES) {
                    sums.add::<LOGARITHM, LARGEST>(simd, T::load(simd, p));
                }
                sums.close_block::<LOGARITHM, LARGEST>(simd);
            }
            sums.as_read()
        } else {
            for lane in 0..rows.len() / c {
                Sums::<T, S>::of_row::<LOGARITHM, LARGEST>(simd, &ahead[lane * c..], c)
                    .keep::<LOGARITHM, LARGEST>(lane, columns);
            }
            Sums::folded::<LOGARITHM, LARGEST>(simd, rows.len() / c, columns).as_read()
        };
        if LOGARITHM {
            read.mend_subnormals(simd, rows, c);
        }
        read
    }

    /// Σ p² over all but the largest.
    #[inline(always)]
    pub(super) fn others_squared(&self, simd: S) -> T::Lanes<S> {
        let unscale = T::splat(simd, T::from_f64(1.0 / T::SCALE.to_f64()));
        self.others_scaled * unscale * unscale
    }

    /// The lanes that must be looked at exactly, a bit each: Σ p is not within half the tolerance of 1, or
    /// something has a sign.
    #[inline(always)]
    pub(super) fn suspects(&self, simd: S, half_tolerance: T::Lanes<S>) -> u64 {
        let good = (self.total - T::splat(simd, T::ONE)).abs().simd_le(half_tolerance).to_bitmask();
        (!good | self.signs.is_sign_negative().to_bitmask()) & all_lanes::<T>()
    }

    /// [`Real::log2`] takes a subnormal for a number near 2^-126. That is far below the last bit of Σ p ln p, unless
    /// nothing but p = 1, zeros and the smallest numbers stands in the row: such rows are summed again.
    #[inline(always)]
    fn mend_subnormals(&mut self, simd: S, rows: &[T], c: usize) {
        let tiny = self.p_log_p.abs().simd_lt(T::splat(simd, T::SMALL)).to_bitmask();
        if tiny == 0 || !has_subnormal(rows, Level::of(simd)) {
            return;
        }
        let (mut high, mut low) = (self.p_log_p, self.p_log_p_low);
        sum_with_subnormals(rows, c, tiny, high.as_mut_slice(), low.as_mut_slice());
        (self.p_log_p, self.p_log_p_low) = (high, low);
    }
}

/// Whether a subnormal number stands among these. Hard-confident models give many rows of zeros and a one: looking
/// costs them no more than reading did.
#[inline(never)]
fn has_subnormal<T: Real>(p: &[T], level: Level) -> bool {
    dispatch(level, HasSubnormal(p))
}

struct HasSubnormal<'a, T>(&'a [T]);

impl<T: Real> Kernel for HasSubnormal<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let (zero, tiny) = (T::splat(simd, T::ZERO), T::splat(simd, T::TINY));
        let whole = self.0.chunks_exact(T::LANES);
        let rest = whole.remainder().iter().any(|&p| p > T::ZERO && p < T::TINY);
        let mut found = zero.simd_gt(zero);
        for p in whole {
            let p = T::load(simd, p);
            found |= p.simd_gt(zero) & p.simd_lt(tiny);
        }
        rest || found.any_true()
    }
}

/// Σ p log2 p of some lanes in the units of [`Real::log2`], one number at a time.
#[cold]
#[inline(never)]
fn sum_with_subnormals<T: Real>(rows: &[T], c: usize, lanes: u64, high: &mut [T], low: &mut [T]) {
    let unit = std::f64::consts::LN_2 / T::LN_2.0.to_f64();
    for (lane, row) in rows.chunks_exact(c).enumerate().filter(|(lane, _)| lanes >> lane & 1 == 1) {
        let (mut sum, mut rest) = (0.0, 0.0);
        for p in row.iter().map(|p| p.to_f64()).filter(|&p| p > 0.0) {
            // Knuth's two-sum: thousands of equal terms would lose digits.
            let term = p * (unit * p.log2());
            let next = sum + term;
            let added = next - sum;
            rest += (sum - (next - added)) + (term - added);
            sum = next;
        }
        high[lane] = T::from_f64(sum);
        low[lane] = T::from_f64((sum - high[lane].to_f64()) + rest);
    }
}

/// The sums of a reading while it lasts.
struct Sums<T: Real, S: Simd> {
    p1: T::Lanes<S>,
    p2: T::Lanes<S>,
    others_squared: Sum<T, S>,
    p_log_p: Sum<T, S>,
    total: T::Lanes<S>,
    signs: <T::Lanes<S> as SimdFloat<S>>::Bits,
}

impl<T: Real, S: Simd> Sums<T, S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        let zero = T::splat(simd, T::ZERO);
        Self {
            p1: zero,
            p2: zero,
            others_squared: Sum::new(simd),
            p_log_p: Sum::new(simd),
            total: zero,
            signs: zero.to_bits(),
        }
    }

    #[inline(always)]
    fn add<const LOGARITHM: bool, const LARGEST: bool>(&mut self, simd: S, p: T::Lanes<S>) {
        self.total += p;
        self.signs |= p.to_bits();
        if LOGARITHM {
            self.p_log_p.block = p.mul_add(T::log2(simd, p), self.p_log_p.block);
        }
        if LARGEST {
            self.add_largest(simd, p);
        }
    }

    #[inline(always)]
    fn add_largest(&mut self, simd: S, p: T::Lanes<S>) {
        let another = self.p1.min(p);
        self.p1 = self.p1.max(p);
        self.p2 = self.p2.max(another);
        // Scaled, so that the square of a small p does not underflow.
        let another = another * T::splat(simd, T::SCALE);
        self.others_squared.block = another.mul_add(another, self.others_squared.block);
    }

    #[inline(always)]
    fn close_block<const LOGARITHM: bool, const LARGEST: bool>(&mut self, simd: S) {
        if LOGARITHM {
            self.p_log_p.close(simd);
        }
        if LARGEST {
            self.others_squared.close(simd);
        }
    }

    /// Reads the first long row of those ahead, its classes in the lanes.
    #[inline(always)]
    fn of_row<const LOGARITHM: bool, const LARGEST: bool>(simd: S, ahead: &[T], c: usize) -> Self {
        let mut sums = Self::new(simd);
        let (whole, rest) = ahead[..c].split_at(c / T::LANES * T::LANES);
        for (number, block) in whole.chunks(T::LANES * BLOCK).enumerate() {
            let asked = number * T::LANES * BLOCK + AHEAD;
            if LOGARITHM {
                prefetch::<FIRST, _>(ahead, asked..asked + block.len());
            } else {
                prefetch::<SECOND, _>(ahead, asked..asked + block.len());
            }
            for p in block.chunks_exact(T::LANES) {
                sums.add::<LOGARITHM, LARGEST>(simd, T::load(simd, p));
            }
            sums.close_block::<LOGARITHM, LARGEST>(simd);
        }
        let mut padded = T::splat(simd, T::ZERO);
        padded.as_mut_slice()[..rest.len()].copy_from_slice(rest);
        sums.add::<LOGARITHM, LARGEST>(simd, padded);
        sums.close_block::<LOGARITHM, LARGEST>(simd);
        sums
    }

    /// Keeps the lanes of a long row's sums, to be folded with those of the other rows.
    #[inline(always)]
    fn keep<const LOGARITHM: bool, const LARGEST: bool>(&self, lane: usize, kept: &mut [T]) {
        let size = T::LANES * T::LANES;
        let mut keep = |number: usize, lanes: T::Lanes<S>| {
            lanes.store_slice(&mut kept[number * size + lane * T::LANES..][..T::LANES]);
        };
        keep(0, self.total);
        keep(1, T::Lanes::<S>::from_bits(self.signs));
        if LARGEST {
            keep(2, self.p1);
            keep(3, self.p2);
            keep(4, self.others_squared.lanes());
        }
        if LOGARITHM {
            keep(5, self.p_log_p.high);
            keep(6, self.p_log_p.low);
        }
    }

    /// The sums of long rows, a row in each lane: what was kept is turned and then added up, 16 rows at once, where
    /// folding each row by itself would go number by number.
    #[inline(always)]
    fn folded<const LOGARITHM: bool, const LARGEST: bool>(simd: S, count: usize, kept: &mut [T]) -> Self {
        let size = T::LANES * T::LANES;
        let (kept, turned) = kept.split_at_mut(KEPT * size);
        let mut sums = Self::new(simd);
        for (number, lanes) in kept.chunks_exact(size).enumerate() {
            if (2..5).contains(&number) && !LARGEST || number >= 5 && !LOGARITHM {
                continue;
            }
            turn(simd, &lanes[..count * T::LANES], T::LANES, turned);
            for column in turned[..size].chunks_exact(T::LANES) {
                let x = T::load(simd, column);
                match number {
                    0 => sums.total += x,
                    1 => sums.signs |= x.to_bits(),
                    2 => {
                        sums.add_largest(simd, x);
                        sums.others_squared.close(simd);
                    }
                    3 => sums.p2 = sums.p2.max(x),
                    4 => {
                        sums.others_squared.block = x;
                        sums.others_squared.close(simd);
                    }
                    5 => {
                        sums.p_log_p.block = x;
                        sums.p_log_p.close(simd);
                    }
                    _ => sums.p_log_p.low += x,
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn as_read(&self) -> Probabilities<T, S> {
        Probabilities {
            p1: self.p1,
            p2: self.p2,
            others_scaled: self.others_squared.lanes(),
            p_log_p: self.p_log_p.high,
            p_log_p_low: self.p_log_p.low,
            total: self.total,
            signs: T::Lanes::<S>::from_bits(self.signs),
        }
    }
}
