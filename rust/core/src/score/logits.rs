//! One reading of LANES rows of logits.
//!
//! The largest logit is found first, while the row comes into the cache; the second look sums over all the others
//! y = z − z₁ ≤ 0, e = exp y: S = Σ e, T = Σ e y, Q = Σ e². With p₁ = 1 / (1 + S) every score follows without a
//! softmax, and without cancellation as the largest is left out rather than subtracted:
//! H = ln(1 + S) − T / (1 + S), relatively right even at 10^-20, where the softmax of float64 says 0. "All but one
//! largest" is each logit's min with the largest before it, as in `probabilities.rs`.
//!
//! Of two numbers, min and max here return the second if either is NaN (x86), or NaN (aarch64). A new logit is always
//! the second, so that NaN comes through to S, and needs no look at each logit.
//!
//! Road not taken: four groups of rows at a time, for a machine that looks ahead to have more in hand: 1.02 to 1.05 times as
//! fast on a Xeon with AVX-512, and 0.7 with AVX2.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::real::{Real, all_lanes};
use crate::simd::transpose::turn;
use crate::simd::{AHEAD, FIRST, Kernel, Level, dispatch, prefetch};
use crate::sum::{BLOCK, Sum, tree_sum};

/// What a reading leaves, a row in each lane.
pub(super) struct Logits<T: Real, S: Simd> {
    /// S = Σ e over all but the largest.
    pub(super) sum: T::Lanes<S>,
    /// T = Σ e y over all but the largest; never positive.
    pub(super) weighted: T::Lanes<S>,
    /// Q = Σ e² over all but the largest, if that is wanted.
    pub(super) squares: T::Lanes<S>,
    /// e of the second largest, if that is wanted.
    pub(super) second: T::Lanes<S>,
    /// The lanes that must be looked at exactly, a bit each.
    pub(super) suspects: u64,
}

impl<T: Real, S: Simd> Logits<T, S> {
    /// Reads the first LANES rows of c logits, or fewer if there are fewer. `ALL`: Q and the second are wanted.
    #[inline(always)]
    pub(super) fn read<const TURNED: bool, const ALL: bool>(
        simd: S,
        ahead: &[T],
        c: usize,
        columns: &mut [T],
    ) -> Self {
        let size = T::LANES * c;
        if !TURNED {
            let zero = T::splat(simd, T::ZERO);
            let mut read = Self { sum: zero, weighted: zero, squares: zero, second: zero, suspects: 0 };
            for (lane, row) in ahead[..ahead.len().min(size)].chunks_exact(c).enumerate() {
                read.read_long::<ALL>(simd, row, lane);
            }
            return read;
        }
        prefetch::<FIRST, _>(ahead, AHEAD..AHEAD + size);
        turn(simd, ahead, c, columns);
        let columns = &columns[..size];
        let z1 = largest(simd, columns, T::splat(simd, T::MINUS_INFINITY));
        let sums = Sums::of::<ALL>(simd, z1, columns);
        let sum = sums.sum.lanes();
        let mut read = Self {
            sum,
            weighted: sums.weighted.lanes(),
            squares: sums.squares,
            second: if ALL { exp::<T, S>(simd, sums.second - z1) } else { sums.second },
            suspects: suspects::<T, S>(simd, z1, sum),
        };
        if sum.simd_lt(T::splat(simd, T::SMALL)).any_true() {
            read.mend_underflow(simd, z1, columns);
        }
        read
    }

    /// Where S is below 2^-80 or so, every score is a plain sum of e and e y, and these may be subnormal or have
    /// vanished: such rows are summed again relative to the second largest logit, and Q is nothing beside S.
    #[inline(always)]
    fn mend_underflow(&mut self, simd: S, z1: T::Lanes<S>, columns: &[T]) {
        let small = self.sum.simd_lt(T::splat(simd, T::SMALL));
        let [_, z2] = two_largest(simd, columns);
        let [z2, gap, half] = from_second::<T, S>(simd, z1, z2);
        let sums = Sums::<T, S>::of::<false>(simd, z2, columns);
        let (sum, weighted) = (sums.sum.lanes(), sums.weighted.lanes());
        let zero = T::splat(simd, T::ZERO);
        // In two steps, so that only the last one can round to a subnormal.
        self.sum = small.select(sum * half * half, self.sum);
        self.weighted = small.select(sum.mul_add(gap, weighted) * half * half, self.weighted);
        self.squares = small.select(zero, self.squares);
        self.second = small.select(half * half, self.second);
    }

    /// Reads a long row, its classes in the lanes, into one lane of this reading.
    #[inline(always)]
    fn read_long<const ALL: bool>(&mut self, simd: S, row: &[T], lane: usize) {
        let (whole, tail) = split(simd, row);
        let z1 = highest(largest(simd, whole, tail).as_slice().iter().copied());
        let sums = sum_row::<T, S, ALL>(simd, z1, z1, whole, tail);
        self.sum[lane] = T::from_f64(sums.sum.fold());
        self.weighted[lane] = T::from_f64(sums.weighted.fold());
        self.squares[lane] = T::from_f64(tree_sum(sums.squares.as_slice(), &[]));
        let suspect = suspects::<T, S>(simd, T::splat(simd, z1), T::splat(simd, self.sum[lane])) & 1;
        self.suspects |= suspect << lane;
        if ALL {
            let second = T::splat(simd, highest(sums.second.as_slice().iter().copied()));
            self.second[lane] = exp::<T, S>(simd, second - T::splat(simd, z1))[0];
        }
        if self.sum[lane] < T::SMALL && suspect == 0 {
            let sums = dispatch(Level::of(simd), CertainRow { row, z1 });
            [self.sum[lane], self.weighted[lane], self.second[lane]] = sums;
            self.squares[lane] = T::ZERO;
        }
    }
}

/// The kernel of S, T and the second e of one long row, as in `mend_underflow`.
struct CertainRow<'a, T> {
    row: &'a [T],
    z1: T,
}

impl<T: Real> Kernel for CertainRow<'_, T> {
    type Output = [T; 3];

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [T; 3] {
        let (whole, tail) = split(simd, self.row);
        let [first, second] = two_largest(simd, whole);
        let all = [first, second, tail];
        let all = all.iter().flat_map(SimdBase::as_slice).copied();
        // All but one that is the largest.
        let z2 = highest(all.clone().take_while(|&z| z != self.z1));
        let z2 = highest(all.skip_while(|&z| z != self.z1).skip(1).chain([z2]));
        let [z2, gap, half] = from_second::<T, S>(simd, T::splat(simd, self.z1), T::splat(simd, z2));
        let (gap, half) = (gap[0].to_f64(), half[0].to_f64());
        let sums = sum_row::<T, S, false>(simd, self.z1, z2[0], whole, tail);
        let sum = sums.sum.fold();
        [sum, sum * gap + sums.weighted.fold(), 1.0].map(|sum| T::from_f64(sum * half * half))
    }
}

/// Whole lanes of a row, and its last numbers.
#[inline(always)]
fn split<T: Real, S: Simd>(simd: S, row: &[T]) -> (&[T], T::Lanes<S>) {
    let (whole, rest) = row.split_at(row.len() / T::LANES * T::LANES);
    let mut tail = T::splat(simd, T::MINUS_INFINITY);
    tail.as_mut_slice()[..rest.len()].copy_from_slice(rest);
    (whole, tail)
}

/// The lanes that must be looked at exactly, a bit each: where z₁ is +inf, or −inf as all are, or S is NaN.
#[inline(always)]
fn suspects<T: Real, S: Simd>(simd: S, z1: T::Lanes<S>, sum: T::Lanes<S>) -> u64 {
    let (lowest, highest) = (T::splat(simd, T::MINUS_INFINITY), T::splat(simd, T::INFINITY));
    let good = z1.simd_gt(lowest) & z1.simd_lt(highest) & sum.simd_lt(highest);
    !good.to_bitmask() & all_lanes::<T>()
}

/// y ≤ 0 or NaN, where −inf, and all that is too far below, becomes a number whose exponential no sum can feel unless
/// nothing else is there (`mend_underflow`): 0 · −inf would be NaN.
#[inline(always)]
fn within_reach<T: Real, S: Simd>(simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
    T::splat(simd, T::EXP_MIN).max(y)
}

/// e^y for such a y.
#[inline(always)]
fn exp<T: Real, S: Simd>(simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
    T::exp(simd, within_reach::<T, S>(simd, y))
}

/// z₂, z₂ − z₁, and e to the half of that, as numbers also where z₂ is −∞: there the square of the last is 0, and any
/// difference that gives 0 does.
#[inline(always)]
fn from_second<T: Real, S: Simd>(simd: S, z1: T::Lanes<S>, z2: T::Lanes<S>) -> [T::Lanes<S>; 3] {
    let gap = T::splat(simd, T::from_f64(4.0 * T::EXP_MIN.to_f64())).max(z2 - z1);
    let z2 = T::splat(simd, T::from_f64(-T::LARGEST)).max(z2);
    [z2, gap, exp::<T, S>(simd, gap * T::splat(simd, T::from_f64(0.5)))]
}

/// The largest of each lane.
#[inline(always)]
fn largest<T: Real, S: Simd>(simd: S, z: &[T], start: T::Lanes<S>) -> T::Lanes<S> {
    let mut z1 = start;
    for z in z.chunks_exact(T::LANES) {
        z1 = z1.max(T::load(simd, z));
    }
    z1
}

/// The two largest of each lane.
#[inline(always)]
fn two_largest<T: Real, S: Simd>(simd: S, z: &[T]) -> [T::Lanes<S>; 2] {
    let mut largest = [T::splat(simd, T::MINUS_INFINITY); 2];
    for z in z.chunks_exact(T::LANES) {
        let z = T::load(simd, z);
        largest[1] = largest[1].max(largest[0].min(z));
        largest[0] = largest[0].max(z);
    }
    largest
}

/// The largest of a few numbers.
#[inline(always)]
fn highest<T: Real>(z: impl IntoIterator<Item = T>) -> T {
    z.into_iter().fold(T::MINUS_INFINITY, |a, b| if b > a { b } else { a })
}

/// The sums over a long row whose largest logit is z₁, relative to some logit.
#[inline(always)]
fn sum_row<T: Real, S: Simd, const ALL: bool>(
    simd: S,
    z1: T,
    relative_to: T,
    whole: &[T],
    tail: T::Lanes<S>,
) -> Sums<T, S> {
    let mut sums = Sums::of::<ALL>(simd, T::splat(simd, relative_to), whole);
    sums.add::<ALL>(simd, tail);
    // Each lane left its own largest out; all of these but one largest of the row are others too.
    let mut rest = sums.first;
    if let Some(first) = rest.as_slice().iter().position(|&z| z == z1) {
        rest[first] = T::MINUS_INFINITY;
    }
    sums.add_other::<ALL>(simd, rest);
    sums.close_block(simd);
    sums
}

/// The sums of a reading while it lasts.
struct Sums<T: Real, S: Simd> {
    /// The logit that all are relative to: z₁, or z₂.
    relative_to: T::Lanes<S>,
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
    fn of<const ALL: bool>(simd: S, relative_to: T::Lanes<S>, z: &[T]) -> Self {
        let lowest = T::splat(simd, T::MINUS_INFINITY);
        let mut sums = Self {
            relative_to,
            first: lowest,
            second: lowest,
            sum: Sum::new(simd),
            weighted: Sum::new(simd),
            // Nothing beside S, and no square is added to 0: a subnormal sum would take a hundred times as long.
            squares: T::splat(simd, T::TINY),
        };
        for block in z.chunks(T::LANES * BLOCK) {
            for z in block.chunks_exact(T::LANES) {
                sums.add::<ALL>(simd, T::load(simd, z));
            }
            sums.close_block(simd);
        }
        sums
    }

    #[inline(always)]
    fn add<const ALL: bool>(&mut self, simd: S, z: T::Lanes<S>) {
        let another = self.first.min(z);
        self.first = self.first.max(z);
        self.add_other::<ALL>(simd, another);
    }

    #[inline(always)]
    fn add_other<const ALL: bool>(&mut self, simd: S, z: T::Lanes<S>) {
        let y = within_reach::<T, S>(simd, z - self.relative_to);
        let e = T::exp(simd, y);
        self.sum.block += e;
        self.weighted.block = e.mul_add(y, self.weighted.block);
        if ALL {
            self.second = self.second.max(z);
            self.squares = e.mul_add(e, self.squares);
        }
    }

    #[inline(always)]
    fn close_block(&mut self, simd: S) {
        self.sum.close(simd);
        self.weighted.close(simd);
    }
}
