//! The variance of the predictions of a committee of regressors (Burbidge, Rowland & King 2007).
//!
//! Σ w (y − μ)² about μ = b + s, as in `committee.rs`: y − μ is computed as (y − b) − s, so that predictions
//! that differ in their last digits only have the right variance, and equal ones 0.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::committee::normalised;
use super::{BLOCK, Pieces};
use crate::error::{Error, Fault};
use crate::members::{Block, Members};
use crate::pool::Par;
use crate::real::{Real, all_lanes};
use crate::row_sums::store;
use crate::simd::{Kernel, aligned, dispatch};

/// The variance of the members' predictions for each row (each member has rows of one number). O(n m).
///
/// # Errors
/// [`Error::Row`] for a prediction that is not finite; [`Error::Shape`] for no member, and weights or an
/// output of another size; [`Error::Stopped`].
pub fn ensemble_variance<T: Real>(
    members: &Members<'_, T>,
    weights: Option<&[f64]>,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    let (m, n) = (members.len(), members.rows());
    if m == 0 {
        return Err(Error::shape("values", &"at least one member", &"none"));
    }
    Error::unless_long(out.len(), n)?;
    let weights: Vec<T> = normalised(weights, m)?.into_iter().map(T::from_f64).collect();
    // A member without weight is not there, whatever it predicts.
    let present: Vec<usize> = (0..m).filter(|&i| weights[i] > T::ZERO).collect();
    let members = members.only(|i| weights[i] > T::ZERO);
    let weights: Vec<T> = present.iter().map(|&i| weights[i]).collect();
    let step = (BLOCK / present.len()).next_multiple_of(T::LANES).max(T::LANES);
    let jobs = Pieces { rest: vec![out], first: 0, step, n };
    let start = || (Vec::new(), Vec::new());
    par.run(jobs, n * m, start, |(scratch, lanes), (first, mut out)| {
        let block = members.read(first..first + step, scratch);
        let out = out.pop().unwrap_or_default();
        match dispatch(par.level, Variance { block: &block, weights: &weights, lanes, out }) {
            None => Ok(()),
            Some((row, member, fault)) => {
                let member = member.map(|member| present[member]);
                Err(Error::Row { argument: "values", row: first + row, member, fault })
            }
        }
    })?;
    Ok(())
}

/// The kernel; returns the first prediction that is not finite, or the first row whose variance is not.
struct Variance<'a, T> {
    block: &'a Block<'a, T>,
    weights: &'a [T],
    lanes: &'a mut Vec<T>,
    out: &'a mut [T],
}

impl<T: Real> Kernel for Variance<'_, T> {
    type Output = Option<(usize, Option<usize>, Fault)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Self { block, weights, lanes, out } = self;
        lanes.resize(block.room() + T::LANES, T::ZERO);
        let columns = aligned(lanes);
        let zero = T::splat(simd, T::ZERO);
        for first in (0..block.count).step_by(T::LANES) {
            block.turn(simd, first, 0..1, columns);
            let value = |i: usize| &columns[i * block.steps.0 * T::LANES..][..T::LANES];
            let (mut base, mut rest) = (T::load(simd, value(0)), zero);
            for _ in 0..2 {
                base += rest;
                rest = zero;
                for (i, &weight) in weights.iter().enumerate() {
                    rest = (T::load(simd, value(i)) - base).mul_add(T::splat(simd, weight), rest);
                }
            }
            let mut variance = zero;
            for (i, &weight) in weights.iter().enumerate() {
                let value = T::load(simd, value(i));
                let difference = (value - base) - rest;
                variance = (difference * difference).mul_add(T::splat(simd, weight), variance);
            }
            let rows = first..(first + T::LANES).min(block.count);
            store(variance, &mut out[rows]);
            // What is not finite, and what overflows, leaves ∞ or NaN.
            let spoilt = !variance.simd_lt(T::splat(simd, T::INFINITY)).to_bitmask() & all_lanes::<T>();
            if spoilt != 0 {
                return Some(fault(block, first + spoilt.trailing_zeros() as usize));
            }
        }
        None
    }
}

/// What is wrong with a row whose variance is not finite, and with which member.
#[cold]
#[inline(never)]
fn fault<T: Real>(block: &Block<'_, T>, row: usize) -> (usize, Option<usize>, Fault) {
    let not_finite = (0..block.m).find_map(|member| {
        let value = block.row(member, row).first()?.to_f64();
        (!value.is_finite()).then_some((row, Some(member), Fault::NotFinite { column: None, value }))
    });
    not_finite.unwrap_or((row, None, Fault::Overflow))
}
