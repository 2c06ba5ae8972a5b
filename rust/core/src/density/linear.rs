//! Densities that need the mean row only.
//!
//! A mean over u of something linear in u is that thing of the mean: mean cos(x, u) = x̂ · mean(û), mean x·u
//! = x · mean(u). Squared distances too: mean ‖x − u‖² = ‖x − μ‖² + mean ‖u − μ‖², sums of squares about the
//! mean, with no cancellation wherever the pool lies. So O(n d) and two reads do what O(n² d) does elsewhere.
//!
//! The mean is added up 16 rows at once, then by blocks of rows in their order, in float64. It is rounded to
//! the element type before it is used, and for distances what that left is put back: with a the rounded mean
//! and δ = μ − a, mean ‖x − u‖² = Σ t (t − 2 δ) + mean ‖u − a‖², t = x − a.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::same_width;
use crate::distance::{fault_of, middle, normalise};
use crate::error::{Error, Fault};
use crate::pool::{InOrder, Par};
use crate::real::{Real, all_lanes};
use crate::row_sums::{OverRow, Squares, each_row, padded, room, store};
use crate::rows::Rows;
use crate::simd::{Kernel, Level, aligned, dispatch};
use crate::sum::Sum;

/// A similarity whose mean is a matter of the mean row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Similarity {
    /// cos(x, u), 0 if either is a row of zeros.
    Cosine,
    /// x · u.
    Dot,
    /// ‖x − u‖², of which the density is 1 / (1 + mean).
    SquaredDistance,
}

/// Which rows are neighbours, and what becomes of the mean.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The similarity.
    pub similarity: Similarity,
    /// Whether a row counts as a neighbour of itself, within one set.
    pub include_self: bool,
    /// Whether to make (1 + s) / 2 of the mean cosine s.
    pub shift: bool,
}

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 17;

/// The density of each row among the rows of `reference`, or of its own set: the mean similarity, or 1 / (1 +
/// the mean squared distance). O(n d), two reads, O(d) memory.
///
/// # Errors
/// [`Error::Row`] for the first row that is not finite; [`Error::Shape`]; [`Error::Stopped`].
pub fn density<T: Real>(
    rows: &Rows<'_, T>,
    reference: Option<&Rows<'_, T>>,
    options: Options,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    let (n, d) = (rows.len(), rows.width());
    same_width(d, reference.map_or(d, Rows::width))?;
    Error::unless_long(out.len(), n)?;
    let (others, argument) = reference.map_or((rows, "features"), |reference| (reference, "reference"));
    let alone = reference.is_none() && !options.include_self;
    let mean = mean_row(others, options.similarity, argument, par)?;
    let centre = widened(mean.iter().map(|&(origin, mean)| T::from_f64(origin + mean)).collect());
    // From both parts: their sum is rounded even in float64.
    let rest = mean.iter().zip(&centre);
    let rest = rest.map(|(&(origin, mean), c): (_, &T)| T::from_f64(2.0 * (origin - c.to_f64() + mean)));
    let rest = widened(rest.collect());
    let about = About { options, centre: &centre, rest: &rest, alone: alone.then_some(n) };
    let total = about.all(rows, Some(out), "features", par)?;
    if options.similarity == Similarity::SquaredDistance {
        // mean ‖u − a‖² = mean Σ t (t − 2 δ) + 2 ‖δ‖².
        let total = if reference.is_some() { about.all(others, None, argument, par)? } else { total };
        let spread =
            total / others.len() as f64 + rest.iter().map(|x| x.to_f64()).map(|x| x * x).sum::<f64>() / 2.0;
        // A row is at distance 0 from itself.
        let scale = if alone { n as f64 / (n as f64 - 1.0) } else { 1.0 };
        par.run(
            out.chunks_mut(STEP),
            n,
            || (),
            |(), out| {
                for x in out {
                    *x = T::from_f64(1.0 / (1.0 + (x.to_f64() + spread) * scale));
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// The mean of the rows, each scaled to length 1 for cosines; in two parts, of which the second is small.
fn mean_row<T: Real>(
    rows: &Rows<'_, T>,
    similarity: Similarity,
    argument: &'static str,
    par: Par<'_>,
) -> Result<Vec<(f64, f64)>, Error> {
    let (n, d) = (rows.len(), rows.width());
    let step = (STEP / d).next_multiple_of(T::LANES).max(T::LANES);
    let whole = InOrder::new(vec![0.0; d]);
    // Distances need the mean to the last bit of the pool's width, wherever it lies.
    let origin = (similarity == Similarity::SquaredDistance).then(|| middle(rows));
    let origin = origin.map(widened);
    let origin = origin.as_deref();
    let scaled = similarity == Similarity::Cosine;
    let jobs = (0..n).step_by(step).enumerate();
    par.run(
        jobs,
        n * d,
        || (Vec::new(), Vec::new()),
        |(block, lanes), (number, first)| {
            let rows = rows.read(first..first + step, block);
            let mut sum = dispatch(par.level, SumRows { rows, d, scaled, origin, lanes });
            if sum.iter().any(|x| !x.is_finite()) {
                sum = careful_sum(rows, d, similarity, origin).map_err(|(row, fault)| Error::Row {
                    argument,
                    row: first + row,
                    member: None,
                    fault,
                })?;
            }
            whole.add(number, sum);
            Ok(())
        },
    )?;
    let mean = whole.into_whole().into_iter().map(|sum| sum / n as f64);
    Ok(match origin {
        Some(origin) => mean.zip(origin).map(|(mean, origin)| (origin.to_f64(), mean)).collect(),
        None => mean.map(|mean| (0.0, mean)).collect(),
    })
}

/// The sum of rows where something overflows or is not finite, in float64.
#[cold]
fn careful_sum<T: Real>(
    rows: &[T],
    d: usize,
    similarity: Similarity,
    origin: Option<&[T]>,
) -> Result<Vec<f64>, (usize, Fault)> {
    let mut sum = vec![0.0; d];
    for (number, row) in rows.chunks_exact(d).enumerate() {
        let mut row: Vec<f64> = row.iter().map(|x| x.to_f64()).collect();
        if row.iter().any(|x| !x.is_finite()) {
            return Err((number, fault_of(&row)));
        }
        if similarity == Similarity::Cosine {
            normalise(&mut row, Level::Baseline);
        }
        if let Some(origin) = origin {
            row.iter_mut().zip(origin).for_each(|(x, origin)| *x -= origin.to_f64());
        }
        for (sum, x) in sum.iter_mut().zip(row) {
            *sum += x;
        }
    }
    Ok(sum)
}

/// The kernel of the mean: Σ x, Σ x / ‖x‖, or Σ (x − origin).
struct SumRows<'a, T> {
    rows: &'a [T],
    d: usize,
    scaled: bool,
    origin: Option<&'a [T]>,
    lanes: &'a mut Vec<T>,
}

impl<T: Real> Kernel for SumRows<'_, T> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f64> {
        let Self { rows, d, scaled, origin, lanes } = self;
        let width = d.next_multiple_of(T::LANES);
        lanes.clear();
        lanes.resize(3 * width + room::<T>(1) + T::LANES, T::ZERO);
        let (here, rest) = aligned(lanes).split_at_mut(width);
        let (high, rest) = rest.split_at_mut(width);
        let (low, room) = rest.split_at_mut(width);
        let mut careful = vec![0.0; d];
        for (number, group) in rows.chunks(T::LANES * d).enumerate() {
            let count = group.len() / d;
            let mut scales = T::splat(simd, T::ONE);
            if scaled {
                let [squared] = each_row(simd, &rows[number * T::LANES * d..], d, room, Squares);
                scales = T::splat(simd, T::ONE) / squared.sqrt();
                let bits = unusual::<T, S>(simd, squared) & (u64::MAX >> (64 - count));
                if bits != 0 {
                    add_unusual(group, d, bits, scales.as_mut_slice(), &mut careful);
                }
            }
            // Row by row, as memory is read: column by column it comes at half the speed.
            for (row, &scale) in group.chunks_exact(d).zip(scales.as_slice()) {
                let scale = T::splat(simd, scale);
                for (at, sum) in (0..d).step_by(T::LANES).zip(here.chunks_exact_mut(T::LANES)) {
                    let mut x = padded(simd, &row[at..]);
                    if let Some(origin) = origin {
                        x -= T::load(simd, &origin[at..][..T::LANES]);
                    }
                    x.mul_add(scale, T::load(simd, sum)).store_slice(sum);
                }
            }
            let parts = here.chunks_exact_mut(T::LANES).zip(high.chunks_exact_mut(T::LANES));
            for ((here, high), low) in parts.zip(low.chunks_exact_mut(T::LANES)) {
                let block = T::load(simd, here);
                let mut total = Sum::<T, S> { block, high: T::load(simd, high), low: T::load(simd, low) };
                total.close(simd);
                total.block.store_slice(here);
                total.high.store_slice(high);
                total.low.store_slice(low);
            }
        }
        for (j, sum) in careful.iter_mut().enumerate() {
            *sum += high[j].to_f64() + low[j].to_f64();
        }
        careful
    }
}

/// Rows whose squared norm may have overflowed or vanished, a bit each.
#[inline(always)]
fn unusual<T: Real, S: Simd>(simd: S, squared: T::Lanes<S>) -> u64 {
    let usual = squared.simd_gt(T::splat(simd, T::FAINT)) & squared.simd_lt(T::splat(simd, T::INFINITY));
    !usual.to_bitmask() & all_lanes::<T>()
}

/// Adds the rows whose bit is set, scaled in float64, and takes them out of what the lanes add.
#[cold]
#[inline(never)]
fn add_unusual<T: Real>(group: &[T], d: usize, bits: u64, scales: &mut [T], sum: &mut [f64]) {
    for (lane, row) in group.chunks_exact(d).enumerate().filter(|(lane, _)| bits >> lane & 1 == 1) {
        let mut row: Vec<f64> = row.iter().map(|x| x.to_f64()).collect();
        normalise(&mut row, Level::Baseline);
        // Not finite, then: the sum tells, and all is looked at again.
        let spoilt = row.iter().any(|x| !x.is_finite());
        scales[lane] = if spoilt { T::NAN } else { T::ZERO };
        for (sum, x) in sum.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

/// Zeros behind a row, up to a whole number of lanes.
fn widened<T: Real>(mut row: Vec<T>) -> Vec<T> {
    row.resize(row.len().next_multiple_of(T::LANES), T::ZERO);
    row
}

/// Σ x a and Σ x².
#[derive(Clone, Copy)]
struct Products<'a, T>(&'a [T]);

impl<T: Real> OverRow<T, 2> for Products<'_, T> {
    #[inline(always)]
    fn add<S: Simd>(self, simd: S, x: T::Lanes<S>, at: usize, [product, square]: &mut [Sum<T, S>; 2]) {
        product.block = x.mul_add(T::load(simd, &self.0[at..][..T::LANES]), product.block);
        square.block = x.mul_add(x, square.block);
    }
}

/// Σ t (t − 2 δ), t = x − a.
#[derive(Clone, Copy)]
struct Differences<'a, T>(&'a [T], &'a [T]);

impl<T: Real> OverRow<T, 1> for Differences<'_, T> {
    #[inline(always)]
    fn add<S: Simd>(self, simd: S, x: T::Lanes<S>, at: usize, [sum]: &mut [Sum<T, S>; 1]) {
        let t = x - T::load(simd, &self.0[at..][..T::LANES]);
        sum.block = t.mul_add(t - T::load(simd, &self.1[at..][..T::LANES]), sum.block);
    }
}

/// What rows are compared with.
#[derive(Clone, Copy)]
struct About<'a, T> {
    options: Options,
    /// The mean row, rounded.
    centre: &'a [T],
    /// Twice what rounding left of it.
    rest: &'a [T],
    /// How many rows there are, if none counts as its own neighbour.
    alone: Option<usize>,
}

impl<T: Real> About<'_, T> {
    /// The mean similarity of each row; for squared distances Σ t (t − 2 δ), and the sum of these.
    fn all(
        self,
        rows: &Rows<'_, T>,
        out: Option<&mut [T]>,
        argument: &'static str,
        par: Par<'_>,
    ) -> Result<f64, Error> {
        let (n, d) = (rows.len(), rows.width());
        let step = (STEP / d).next_multiple_of(T::LANES).max(T::LANES);
        let whole = InOrder::new(0.0);
        let mut parts: Vec<Option<&mut [T]>> = Vec::new();
        match out {
            Some(out) => parts.extend(out.chunks_mut(step).map(Some)),
            None => parts.resize_with(n.div_ceil(step), || None),
        }
        let start = || (Vec::new(), Vec::new(), Vec::new());
        par.run(parts.into_iter().enumerate(), n * d, start, |(block, lanes, scratch), (number, out)| {
            let first = number * step;
            let rows = rows.read(first..first + step, block);
            let out = out.unwrap_or_else(|| {
                scratch.resize(rows.len() / d, T::ZERO);
                scratch
            });
            let faulty = dispatch(par.level, Compare { rows, d, about: self, lanes, out });
            if let Some((row, fault)) = faulty {
                return Err(Error::Row { argument, row: first + row, member: None, fault });
            }
            let sum: f64 = out.iter().map(|x| x.to_f64()).sum();
            whole.bring(number, sum, |whole, part| {
                *whole += part;
            });
            Ok(())
        })?;
        Ok(whole.into_whole())
    }
}

/// The kernel of the second read; returns the first row that is not finite.
struct Compare<'a, T> {
    rows: &'a [T],
    d: usize,
    about: About<'a, T>,
    lanes: &'a mut Vec<T>,
    out: &'a mut [T],
}

impl<T: Real> Kernel for Compare<'_, T> {
    type Output = Option<(usize, Fault)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Self { rows, d, about, lanes, out } = self;
        lanes.resize(room::<T>(2) + T::LANES, T::ZERO);
        let lanes = aligned(lanes);
        let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
        let half = T::splat(simd, T::from_f64(0.5));
        let similarity = about.options.similarity;
        for (number, (group, out)) in rows.chunks(T::LANES * d).zip(out.chunks_mut(T::LANES)).enumerate() {
            let ahead = &rows[number * T::LANES * d..];
            let mut value;
            if similarity == Similarity::SquaredDistance {
                [value] = each_row(simd, ahead, d, lanes, Differences(about.centre, about.rest));
            } else {
                let mut own;
                [value, own] = each_row(simd, ahead, d, lanes, Products(about.centre));
                if similarity == Similarity::Cosine {
                    value /= own.sqrt();
                    let bits = unusual::<T, S>(simd, own) & (u64::MAX >> (64 - out.len()));
                    own = one;
                    if bits != 0 {
                        careful_cosines(
                            group,
                            d,
                            about.centre,
                            bits,
                            value.as_mut_slice(),
                            own.as_mut_slice(),
                        );
                    }
                }
                if let Some(n) = about.alone {
                    let n = n as f64;
                    let mean = value.mul_add(T::splat(simd, T::from_f64(n)), zero - own);
                    value = mean * T::splat(simd, T::from_f64(1.0 / (n - 1.0)));
                }
                if similarity == Similarity::Cosine {
                    // Rounding aside, which a density must not show; NaN stays.
                    value = value.simd_gt(one).select(one, value);
                    value = value.simd_lt(zero - one).select(zero - one, value);
                }
                if about.options.shift {
                    value = value.mul_add(half, half);
                }
            }
            store(value, out);
            let finite = (value * zero).simd_eq(zero).to_bitmask();
            if !finite & all_lanes::<T>() & (u64::MAX >> (64 - out.len())) != 0
                && let Some(found) = first_fault(group, d, out)
            {
                return Some((number * T::LANES + found.0, found.1));
            }
        }
        None
    }
}

/// Mean cosines of rows whose squared norm over- or underflows, in float64; 0 for zeros, which are not like
/// themselves.
#[cold]
#[inline(never)]
fn careful_cosines<T: Real>(group: &[T], d: usize, mean: &[T], bits: u64, value: &mut [T], own: &mut [T]) {
    for (lane, row) in group.chunks_exact(d).enumerate().filter(|(lane, _)| bits >> lane & 1 == 1) {
        let mut row: Vec<f64> = row.iter().map(|x| x.to_f64()).collect();
        normalise(&mut row, Level::Baseline);
        value[lane] = T::from_f64(row.iter().zip(mean).map(|(x, m)| x * m.to_f64()).sum());
        if row.iter().all(|&x| x == 0.0) {
            own[lane] = T::ZERO;
        }
    }
}

#[cold]
#[inline(never)]
fn first_fault<T: Real>(group: &[T], d: usize, out: &[T]) -> Option<(usize, Fault)> {
    let wrong = |value: &T| !value.to_f64().is_finite();
    let rows = group.chunks_exact(d).zip(out).enumerate();
    rows.filter(|(_, (_, value))| wrong(value)).map(|(row, (x, _))| (row, fault_of(x))).next()
}
