//! The expected length of the gradient that a label would cause in a softmax-linear model (Settles, Craven &
//! Ray 2008).
//!
//! With logits W h̃, h̃ = (h, 1), the gradient of the log-loss for label c, e its unit vector, is (p − e)
//! h̃ᵀ, of length ‖p − e‖ ‖h̃‖. So the expectation over c ~ p is ‖h̃‖ Σ p ‖p − e‖, and that of the square
//! ‖h̃‖² (1 − Σ p²): O(c + d) a row, and no gradient. ‖p − e‖² = 1 − 2 p + Σ p² cancels on nearly certain
//! rows (47 % off in float32 at p₁ = 1 − 10^-5). With Q the sum of squares of all but the largest p it is (1
//! − p₁)² + Q for the largest and (1 − p)² + p₁² + (Q − p²) for another.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::probabilities::{self, Probabilities, SHORT};
use super::{BLOCK, Formula, Pieces, gini, validity};
use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::{Real, all_lanes};
use crate::row_sums::{Squares, each_row, room, store};
use crate::rows::Rows;
use crate::simd::{Kernel, aligned, dispatch};
use crate::sum::Sum;

/// What is asked of the gradients.
#[derive(Debug, Clone, Copy)]
pub struct GradientRequest {
    /// Whether the model has a bias: a feature that is always 1.
    pub bias: bool,
    /// Whether to expect the square of the length.
    pub squared: bool,
    /// How far Σp may be from 1, and p from [0, 1].
    pub tolerance: f64,
    /// Whether a row of probabilities that is not valid scores NaN; otherwise it is an error.
    pub nan_if_invalid: bool,
}

/// The expected gradient length of each row of probabilities and features. O(n (c + d)), one read.
///
/// # Errors
/// [`Error::Row`] for the first row that is not valid; [`Error::Shape`] for sizes that do not fit;
/// [`Error::Stopped`].
pub fn expected_gradient_length<T: Real>(
    proba: &Rows<'_, T>,
    features: &Rows<'_, T>,
    request: GradientRequest,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    let (n, c, d) = (proba.len(), proba.width(), features.width());
    if features.len() != n {
        let expected = format_args!("a row for each of the {n} rows of proba");
        return Err(Error::shape("features", &expected, &features.len()));
    }
    if c == 0 {
        return Err(Error::shape("proba", &"at least one class (column)", &0));
    }
    if d == 0 {
        return Err(Error::shape("features", &"at least one column", &0));
    }
    Error::unless_long(out.len(), n)?;
    let step = (BLOCK / (c + d)).next_multiple_of(T::LANES).max(T::LANES);
    let jobs = Pieces { rest: vec![out], first: 0, step, n };
    let start = || (Vec::new(), Vec::new(), Vec::new());
    par.run(jobs, n * (c + d), start, |(proba_block, features_block, lanes), (first, mut out)| {
        let out = out.pop().unwrap_or_default();
        let range = first..first + step;
        let rows = proba.read(range.clone(), proba_block);
        let faulty = dispatch(par.level, Factors { rows, c, request, lanes, out });
        let bad =
            |argument, row: usize, fault| Err(Error::Row { argument, row: first + row, member: None, fault });
        match faulty {
            Some((row, fault)) if !request.nan_if_invalid => return bad("proba", row, fault),
            _ => {}
        }
        let rows = features.read(range, features_block);
        match dispatch(par.level, Lengths { rows, d, request, lanes, out }) {
            Some((row, fault)) => bad("features", row, fault),
            None => Ok(()),
        }
    })?;
    Ok(())
}

/// The kernel over probabilities: Σ p ‖p − e‖, or 1 − Σ p². Rows that are not valid become NaN; returns the first.
struct Factors<'a, T> {
    rows: &'a [T],
    c: usize,
    request: GradientRequest,
    lanes: &'a mut Vec<T>,
    out: &'a mut [T],
}

impl<T: Real> Kernel for Factors<'_, T> {
    type Output = Option<(usize, Fault)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Self { rows, c, request, lanes, out } = self;
        lanes.resize(probabilities::room::<T>(c) + T::LANES, T::ZERO);
        let columns = aligned(lanes);
        let half_tolerance = T::splat(simd, T::from_f64(request.tolerance / 2.0));
        let mut first_fault = None;
        for (number, out) in out.chunks_mut(T::LANES).enumerate() {
            let first = number * T::LANES;
            let ahead = &rows[first * c..];
            let read = if c <= SHORT {
                Probabilities::read::<true, false, true>(simd, ahead, c, columns)
            } else {
                Probabilities::read::<false, false, true>(simd, ahead, c, columns)
            };
            let value = if request.squared {
                gini::Gini::of_probabilities(simd, &read)
            } else if c <= SHORT {
                length_of_short(simd, &read, &columns[..c * T::LANES])
            } else {
                length_of_long(simd, &read, &ahead[..out.len() * c], c)
            };
            store(value, out);
            if !request.squared {
                // The squares of what is left of a nearly certain row may have vanished, scaled as they are.
                let tiny = value.simd_lt(T::splat(simd, T::SMALL)) & read.p2.simd_gt(T::splat(simd, T::ZERO));
                lanes_of(tiny.to_bitmask(), out.len(), |lane| {
                    out[lane] = length_of_certain(&ahead[lane * c..][..c]);
                });
            }
            lanes_of(read.suspects(simd, half_tolerance), out.len(), |lane| {
                if let Some(fault) = validity::probabilities(&ahead[lane * c..][..c], request.tolerance) {
                    out[lane] = T::NAN;
                    first_fault = first_fault.or(Some((first + lane, fault)));
                }
            });
        }
        first_fault
    }
}

/// Calls for each bit that is set below `count`.
#[inline(always)]
fn lanes_of(bits: u64, count: usize, mut call: impl FnMut(usize)) {
    let mut bits = bits & (u64::MAX >> (64 - count));
    while bits != 0 {
        call(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// p ‖p − e‖ of all but the largest.
#[inline(always)]
fn term<T: Real, S: Simd>(simd: S, p: T::Lanes<S>, p1: T::Lanes<S>, others: T::Lanes<S>) -> T::Lanes<S> {
    let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
    let rest = p1.mul_add(p1, (others - p * p).max(zero));
    let miss = one - p;
    p * miss.mul_add(miss, rest).sqrt()
}

/// p₁ ‖p − e₁‖ of the largest.
#[inline(always)]
fn largest_term<T: Real, S: Simd>(simd: S, read: &Probabilities<T, S>) -> T::Lanes<S> {
    let (scale, unscale) = (T::splat(simd, T::SCALE), T::splat(simd, T::from_f64(1.0 / T::SCALE.to_f64())));
    let miss = (T::splat(simd, T::ONE) - read.p1) * scale;
    read.p1 * (miss.mul_add(miss, read.others_scaled).sqrt() * unscale)
}

#[inline(always)]
fn length_of_short<T: Real, S: Simd>(simd: S, read: &Probabilities<T, S>, columns: &[T]) -> T::Lanes<S> {
    let (mut sum, mut first) = (Sum::<T, S>::new(simd), T::splat(simd, T::ZERO));
    let others = read.others_squared(simd);
    for (j, p) in columns.chunks_exact(T::LANES).enumerate() {
        let p = T::load(simd, p);
        // Of a new p and the largest so far the smaller is another than the largest.
        let another = first.min(p);
        first = first.max(p);
        sum.block += term::<T, S>(simd, another, read.p1, others);
        if j % 8 == 7 {
            sum.close(simd);
        }
    }
    sum.close(simd);
    sum.lanes() + largest_term(simd, read)
}

#[inline(always)]
fn length_of_long<T: Real, S: Simd>(
    simd: S,
    read: &Probabilities<T, S>,
    rows: &[T],
    c: usize,
) -> T::Lanes<S> {
    let (mut lengths, all_others) = (largest_term(simd, read), read.others_squared(simd));
    for (lane, row) in rows.chunks_exact(c).enumerate() {
        let (p1, others) = (T::splat(simd, read.p1[lane]), T::splat(simd, all_others[lane]));
        let (mut sum, mut first) = (Sum::<T, S>::new(simd), T::splat(simd, T::ZERO));
        let whole = row.chunks_exact(T::LANES);
        let mut padded = T::splat(simd, T::ZERO);
        padded.as_mut_slice()[..whole.remainder().len()].copy_from_slice(whole.remainder());
        for (j, p) in whole.enumerate() {
            let p = T::load(simd, p);
            let another = first.min(p);
            first = first.max(p);
            sum.block += term::<T, S>(simd, another, p1, others);
            if j % 8 == 7 {
                sum.close(simd);
            }
        }
        // Each lane left its largest out; all of these, and the tail, are others too, but one largest of the row.
        let is_largest = |p: &T| *p == read.p1[lane];
        if let Some(largest) = first.as_slice().iter().position(is_largest) {
            first[largest] = T::ZERO;
        } else if let Some(largest) = padded.as_slice().iter().position(is_largest) {
            padded[largest] = T::ZERO;
        }
        sum.block += term::<T, S>(simd, first, p1, others) + term::<T, S>(simd, padded, p1, others);
        sum.close(simd);
        lengths[lane] = T::from_f64(lengths[lane].to_f64() + sum.fold());
    }
    lengths
}

/// A row so certain that squares may vanish, in float64 and scaled so that those of the smallest float64 do not vanish, and
/// those of a float32 at [`SMALL`](Real::SMALL) do not overflow.
#[cold]
#[inline(never)]
fn length_of_certain<T: Real>(row: &[T]) -> T {
    const SCALE: f64 = 3.957_286_423_569_672_5e174; // 2^580
    let largest = row.iter().enumerate().fold(0, |best, (j, &p)| if p > row[best] { j } else { best });
    let p1 = row[largest].to_f64();
    let (before, behind) = (sums(&row[..largest], SCALE), sums(&row[largest + 1..], SCALE));
    let squares = ((1.0 - p1) * SCALE).powi(2) + (before.1 + behind.1);
    // The others are nothing beside 1.
    let length = (before.0 + behind.0) * 1.0_f64.hypot(p1);
    T::from_f64((length + p1 * squares.sqrt()) / SCALE)
}

/// Σ s x and Σ (s x)², eight sums at a time.
fn sums<T: Real>(row: &[T], scale: f64) -> (f64, f64) {
    let (mut sums, mut squares) = ([0.0; 8], [0.0; 8]);
    for part in row.chunks(8) {
        for ((x, sum), square) in part.iter().zip(&mut sums).zip(&mut squares) {
            let x = x.to_f64() * scale;
            *sum += x;
            *square += x * x;
        }
    }
    (sums.iter().sum(), squares.iter().sum())
}

/// The kernel over features: multiplies by ‖h̃‖, or its square. Returns the first row that is not finite.
struct Lengths<'a, T> {
    rows: &'a [T],
    d: usize,
    request: GradientRequest,
    lanes: &'a mut Vec<T>,
    out: &'a mut [T],
}

impl<T: Real> Kernel for Lengths<'_, T> {
    type Output = Option<(usize, Fault)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Self { rows, d, request, lanes, out } = self;
        lanes.resize(room::<T>(1) + T::LANES, T::ZERO);
        let lanes = aligned(lanes);
        let bias = T::splat(simd, if request.bias { T::ONE } else { T::ZERO });
        for (number, out) in out.chunks_mut(T::LANES).enumerate() {
            let first = number * T::LANES;
            let group = &rows[first * d..(first + out.len()) * d];
            let [squares] = each_row(simd, &rows[first * d..], d, lanes, Squares);
            let sum = bias + squares;
            let mut length = if request.squared { sum } else { sum.sqrt() };
            // Squares that overflow or vanish, and numbers that are not finite.
            let normal = sum.simd_gt(T::splat(simd, T::FAINT)) & sum.simd_lt(T::splat(simd, T::INFINITY));
            let mut found = None;
            lanes_of(!normal.to_bitmask() & all_lanes::<T>(), out.len(), |lane| {
                match careful_length(&group[lane * d..][..d], request) {
                    Ok(careful) if [careful, careful * out[lane]].contains(&T::INFINITY) => {
                        found = found.or(Some((first + lane, Fault::Overflow)));
                    }
                    Ok(careful) => length[lane] = careful,
                    Err(fault) => found = found.or(Some((first + lane, fault))),
                }
            });
            if found.is_some() {
                return found;
            }
            for (out, &length) in out.iter_mut().zip(length.as_slice()) {
                *out *= length;
            }
        }
        None
    }
}

/// The length of a row whose squares overflow or vanish, in float64 and scaled where that would not do.
#[cold]
#[inline(never)]
fn careful_length<T: Real>(row: &[T], request: GradientRequest) -> Result<T, Fault> {
    const LARGE: f64 = 2.582_249_878_086_908_6e120; // 2^400
    const SCALE: f64 = 4.149_515_568_880_993e180; // 2^600
    let wrong = row.iter().position(|h| !h.to_f64().is_finite());
    if let Some(column) = wrong {
        return Err(Fault::NotFinite { column: Some(column), value: row[column].to_f64() });
    }
    let largest = row.iter().map(|h| h.to_f64().abs()).fold(0.0, f64::max);
    let scale = match largest {
        largest if largest > LARGE => 1.0 / SCALE,
        largest if largest < 1.0 / LARGE => SCALE,
        _ => 1.0,
    };
    let bias: f64 = if request.bias { 1.0 } else { 0.0 };
    let length = bias.hypot(sums(row, scale).1.sqrt() / scale);
    Ok(T::from_f64(if request.squared { length * length } else { length }))
}
