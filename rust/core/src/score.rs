//! Scores of rows: one number for each row of probabilities or logits, larger where it should be asked first.
//!
//! ```text
//! rows ──► LANES rows at a time ──► sums over each row ──► formula(s) ──► out
//!          (turned if short)        probabilities.rs       entropy.rs …
//!                                   logits.rs
//! ```
//! Reading is apart from formula. A reading goes over LANES rows once and leaves, a row in each lane, the few sums
//! that all formulas share; a formula is then a line or two of arithmetic on those lanes, one file each. So any
//! set of scores costs one read of the input, and validity falls out of the same sums.

use std::marker::PhantomData;
use std::ops::Range;

use fearless_simd::Simd;

use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::Real;
use crate::row_sums::store;
use crate::rows::Rows;
use crate::simd::{Kernel, aligned, dispatch, is_rare};

mod committee;
mod entropy;
mod gini;
mod gradient;
mod least_confidence;
mod logits;
mod margin;
mod partitions;
mod probabilities;
mod top;
mod validity;
mod variance;
mod votes;

pub use committee::{CommitteeRequest, CommitteeScore, committee_scores, votes};
pub use gradient::{GradientRequest, expected_gradient_length};
pub use top::top_scores;
pub use variance::ensemble_variance;
pub use votes::{VoteRequest, vote_scores};

pub(crate) use validity::probabilities as row_fault;

use logits::Logits;
use probabilities::Probabilities;

/// Elements in a block of rows: what a thread takes at a time.
const BLOCK: usize = 1 << 15;

/// A score by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// −Σ p ln p, in nats.
    Entropy,
    /// 1 − (p₁ − p₂), for the two largest.
    Margin,
    /// 1 − p₁.
    LeastConfidence,
    /// 1 − Σ p².
    Gini,
}

/// A formula over the sums of a row; each has a file of its own.
trait Formula {
    /// Whether it needs Σ p ln p of a row of probabilities; if not, it needs the largest ones.
    const LOGARITHM: bool;
    /// The score of rows of probabilities.
    fn of_probabilities<T: Real, S: Simd>(simd: S, row: &Probabilities<T, S>) -> T::Lanes<S>;
    /// The score of rows of logits.
    fn of_logits<T: Real, S: Simd>(simd: S, row: &Logits<T, S>) -> T::Lanes<S>;
    /// The largest score that c classes allow.
    fn largest(c: usize) -> f64;
}

impl Score {
    /// Its public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::LeastConfidence => "least_confidence",
            Self::Gini => "gini",
        }
    }

    /// The score of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Entropy, Self::Margin, Self::LeastConfidence, Self::Gini]
            .into_iter()
            .find(|s| s.name() == name)
    }

    fn needs_logarithm(self) -> bool {
        match self {
            Self::Entropy => entropy::Entropy::LOGARITHM,
            Self::Margin => margin::Margin::LOGARITHM,
            Self::LeastConfidence => least_confidence::LeastConfidence::LOGARITHM,
            Self::Gini => gini::Gini::LOGARITHM,
        }
    }

    /// The largest score that c classes allow.
    #[must_use]
    pub fn largest(self, c: usize) -> f64 {
        match self {
            Self::Entropy => entropy::Entropy::largest(c),
            Self::Margin => margin::Margin::largest(c),
            Self::LeastConfidence => least_confidence::LeastConfidence::largest(c),
            Self::Gini => gini::Gini::largest(c),
        }
    }

    #[inline(always)]
    fn of_probabilities<T: Real, S: Simd>(self, simd: S, row: &Probabilities<T, S>) -> T::Lanes<S> {
        match self {
            Self::Entropy => entropy::Entropy::of_probabilities(simd, row),
            Self::Margin => margin::Margin::of_probabilities(simd, row),
            Self::LeastConfidence => least_confidence::LeastConfidence::of_probabilities(simd, row),
            Self::Gini => gini::Gini::of_probabilities(simd, row),
        }
    }

    #[inline(always)]
    fn of_logits<T: Real, S: Simd>(self, simd: S, row: &Logits<T, S>) -> T::Lanes<S> {
        match self {
            Self::Entropy => entropy::Entropy::of_logits(simd, row),
            Self::Margin => margin::Margin::of_logits(simd, row),
            Self::LeastConfidence => least_confidence::LeastConfidence::of_logits(simd, row),
            Self::Gini => gini::Gini::of_logits(simd, row),
        }
    }
}

/// What the rows are and how to score them.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The argument that holds the rows, for errors.
    pub argument: &'static str,
    /// Which scores.
    pub scores: &'a [Score],
    /// Whether the rows are logits.
    pub from_logits: bool,
    /// Whether to divide each score by the largest that the classes allow.
    pub normalize: bool,
    /// How far Σp may be from 1, and p from [0, 1].
    pub tolerance: f64,
    /// Whether a row that is not valid scores NaN; otherwise it is an error.
    pub nan_if_invalid: bool,
}

impl Request<'_> {
    fn needs_logarithm(&self) -> bool {
        self.scores.iter().any(|score| score.needs_logarithm())
    }

    fn needs_largest(&self) -> bool {
        self.scores.iter().any(|score| !score.needs_logarithm())
    }
}

/// Scores every row: `out[s][i]` becomes score s of row i. O(n c), no memory but a block for each thread.
///
/// # Errors
/// [`Error::Row`] names the first row that is not valid, unless such rows score NaN; [`Error::Shape`] if there is
/// no class or an output has not n elements; [`Error::Stopped`].
pub fn scores<T: Real>(
    rows: &Rows<'_, T>,
    request: &Request<'_>,
    out: Vec<&mut [T]>,
    par: Par<'_>,
) -> Result<(), Error> {
    let (n, c) = (rows.len(), rows.width());
    check_classes(request, c)?;
    for out in &out {
        Error::unless_long(out.len(), n)?;
    }
    let step = rows_in_a_block::<T>(c);
    let checked = |first, faulty: Vec<(usize, Fault)>| match faulty.first() {
        Some(&(row, fault)) if !request.nan_if_invalid => {
            Err(Error::Row { argument: request.argument, row: first + row, member: None, fault })
        }
        _ => Ok(()),
    };
    if n <= step {
        // A small call is one block.
        let (mut out, mut block) = (out, Vec::new());
        let scoring = Scoring { rows: rows.read(0..n, &mut block), n, c, request, out: &mut out };
        return checked(0, dispatch(par.level, scoring));
    }
    let jobs = Pieces { rest: out, first: 0, step, n };
    let level = par.level;
    par.run(jobs, n * c, Vec::new, |block, (first, mut out)| {
        let count = step.min(n - first);
        let rows = rows.read_ahead(first..first + count, block);
        let scoring = Scoring { rows, n: count, c, request, out: &mut out };
        checked(first, dispatch(level, scoring))
    })?;
    Ok(())
}

fn check_classes(request: &Request<'_>, c: usize) -> Result<(), Error> {
    if c > 0 { Ok(()) } else { Err(Error::shape(request.argument, &"at least one class (column)", &"none")) }
}

/// A whole number of lane groups, about [`BLOCK`] elements; twice as many of long rows, whose first ones nobody has
/// asked for ahead.
fn rows_in_a_block<T: Real>(c: usize) -> usize {
    let block = if c > probabilities::SHORT { 2 * BLOCK } else { BLOCK };
    (block / c.max(1)).next_multiple_of(T::LANES).max(T::LANES)
}

/// The outputs cut into pieces of `step` rows, with the number of their first row.
struct Pieces<'a, T> {
    rest: Vec<&'a mut [T]>,
    first: usize,
    step: usize,
    n: usize,
}

impl<'a, T> Iterator for Pieces<'a, T> {
    type Item = (usize, Vec<&'a mut [T]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.first >= self.n {
            return None;
        }
        let first = self.first;
        let step = self.step.min(self.n - first);
        self.first += step;
        let pieces = self.rest.iter_mut().filter_map(|rest| rest.split_off_mut(..step));
        Some((first, pieces.collect()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = (self.n - self.first).div_ceil(self.step);
        (count, Some(count))
    }
}

/// The kernel: scores a block of contiguous rows and lists those that are not valid, which score NaN.
struct Scoring<'a, 'b, T> {
    /// The rows, and perhaps some behind them.
    rows: &'a [T],
    n: usize,
    c: usize,
    request: &'a Request<'a>,
    out: &'a mut [&'b mut [T]],
}

impl<T: Real> Kernel for Scoring<'_, '_, T> {
    type Output = Vec<(usize, Fault)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let short = self.c <= probabilities::SHORT;
        let all = self.request.scores.iter().any(|score| matches!(score, Score::Margin | Score::Gini));
        match (self.request.from_logits, short, self.request.scores) {
            (true, true, _) if all || is_rare(simd) => self.fill::<S, OfLogits<true, true>>(simd),
            (true, true, _) => self.fill::<S, OfLogits<true, false>>(simd),
            (true, false, _) => self.fill::<S, OfLogits<false, true>>(simd),
            (false, false, _) => self.fill::<S, Long>(simd),
            _ if is_rare(simd) => self.fill::<S, Short<true>>(simd),
            (_, _, [Score::Entropy]) => self.fill::<S, Single<entropy::Entropy, true, false>>(simd),
            (_, _, [Score::Margin]) => self.fill::<S, Single<margin::Margin, false, true>>(simd),
            (_, _, [Score::LeastConfidence]) => {
                self.fill::<S, Single<least_confidence::LeastConfidence, false, true>>(simd)
            }
            _ if self.request.needs_logarithm() => self.fill::<S, Short<true>>(simd),
            _ => self.fill::<S, Short<false>>(simd),
        }
    }
}

impl<T: Real> Scoring<'_, '_, T> {
    #[inline(always)]
    fn fill<S: Simd, P: Path>(self, simd: S) -> Vec<(usize, Fault)> {
        let Self { rows, n, c, request, out } = self;
        let mut columns = vec![T::ZERO; probabilities::room::<T>(c) + T::LANES];
        let columns = aligned(&mut columns);
        let mut faulty = Vec::new();
        let half_tolerance = T::splat(simd, T::from_f64(request.tolerance / 2.0));
        let how = How { request, c, half_tolerance };
        for first in (0..n).step_by(T::LANES) {
            let count = T::LANES.min(n - first);
            // The rows behind the group are there to be read over its end, not to be scored.
            let ahead = &rows[first * c..];
            let suspects = P::group(simd, &how, ahead, columns, first..first + count, out);
            if suspects != 0 {
                look_closely(&ahead[..count * c], c, request, suspects, first, &mut faulty, out);
            }
        }
        faulty
    }
}

/// What is the same for all groups of rows.
struct How<'a, T: Real, S: Simd> {
    request: &'a Request<'a>,
    c: usize,
    half_tolerance: T::Lanes<S>,
}

impl<T: Real, S: Simd> How<'_, T, S> {
    /// Puts all scores of a group of rows where they belong.
    #[inline(always)]
    fn put_all(&self, simd: S, read: &Probabilities<T, S>, rows: Range<usize>, out: &mut [&mut [T]]) {
        for (score, out) in self.request.scores.iter().zip(out) {
            let value = score.of_probabilities(simd, read);
            self.put(simd, score.largest(self.c), value, &mut out[rows.clone()]);
        }
    }

    /// Puts one score of a group of rows where it belongs.
    #[inline(always)]
    fn put(&self, simd: S, largest: f64, mut value: T::Lanes<S>, out: &mut [T]) {
        if self.request.normalize {
            // One class leaves nothing to ask.
            let largest = if self.c == 1 { f64::INFINITY } else { largest };
            value /= T::splat(simd, T::from_f64(largest));
        }
        store(value, out);
    }
}

/// One of the ways to score a group of rows: one kernel does each, as choosing for each group would cost
/// short rows more than computing.
trait Path {
    /// Leaves the scores in the places `rows` of `out`; returns the rows that must be looked at exactly, a bit each.
    fn group<T: Real, S: Simd>(
        simd: S,
        how: &How<'_, T, S>,
        ahead: &[T],
        columns: &mut [T],
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) -> u64;
}

/// Any scores of logits; unless `ALL`, of those alone that need neither Q nor the second largest.
struct OfLogits<const TURNED: bool, const ALL: bool>;

impl<const TURNED: bool, const ALL: bool> Path for OfLogits<TURNED, ALL> {
    #[inline(always)]
    fn group<T: Real, S: Simd>(
        simd: S,
        how: &How<'_, T, S>,
        ahead: &[T],
        columns: &mut [T],
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) -> u64 {
        let read = Logits::read::<TURNED, ALL>(simd, ahead, how.c, columns);
        for (score, out) in how.request.scores.iter().zip(out) {
            how.put(simd, score.largest(how.c), score.of_logits(simd, &read), &mut out[rows.clone()]);
        }
        read.suspects
    }
}

/// One score of short rows of probabilities.
struct Single<F, const LOGARITHM: bool, const LARGEST: bool>(PhantomData<F>);

impl<F: Formula, const LOGARITHM: bool, const LARGEST: bool> Path for Single<F, LOGARITHM, LARGEST> {
    #[inline(always)]
    fn group<T: Real, S: Simd>(
        simd: S,
        how: &How<'_, T, S>,
        ahead: &[T],
        columns: &mut [T],
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) -> u64 {
        let read = Probabilities::read::<true, LOGARITHM, LARGEST>(simd, ahead, how.c, columns);
        if let [out] = out {
            how.put(simd, F::largest(how.c), F::of_probabilities(simd, &read), &mut out[rows]);
        }
        read.suspects(simd, how.half_tolerance)
    }
}

/// Any scores of short rows of probabilities, with or without logarithms.
struct Short<const LOGARITHM: bool>;

impl<const LOGARITHM: bool> Path for Short<LOGARITHM> {
    #[inline(always)]
    fn group<T: Real, S: Simd>(
        simd: S,
        how: &How<'_, T, S>,
        ahead: &[T],
        columns: &mut [T],
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) -> u64 {
        let read = Probabilities::read::<true, LOGARITHM, true>(simd, ahead, how.c, columns);
        how.put_all(simd, &read, rows, out);
        read.suspects(simd, how.half_tolerance)
    }
}

/// Any scores of long rows of probabilities: here choosing costs nothing.
struct Long;

impl Path for Long {
    #[inline(always)]
    fn group<T: Real, S: Simd>(
        simd: S,
        how: &How<'_, T, S>,
        ahead: &[T],
        columns: &mut [T],
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) -> u64 {
        let request = how.request;
        let read = if is_rare(simd) || request.needs_logarithm() && request.needs_largest() {
            Probabilities::read::<false, true, true>(simd, ahead, how.c, columns)
        } else if request.needs_logarithm() {
            Probabilities::read::<false, true, false>(simd, ahead, how.c, columns)
        } else {
            Probabilities::read::<false, false, true>(simd, ahead, how.c, columns)
        };
        how.put_all(simd, &read, rows, out);
        read.suspects(simd, how.half_tolerance)
    }
}

/// Looks exactly at the rows that the quick test, which is a little strict, has stopped: those that are not valid
/// score NaN and are listed.
#[cold]
#[inline(never)]
fn look_closely<T: Real>(
    rows: &[T],
    c: usize,
    request: &Request<'_>,
    suspects: u64,
    first: usize,
    faulty: &mut Vec<(usize, Fault)>,
    out: &mut [&mut [T]],
) {
    for (lane, row) in rows.chunks_exact(c).enumerate().filter(|(lane, _)| suspects >> lane & 1 == 1) {
        let fault = if request.from_logits {
            validity::logits(row)
        } else {
            validity::probabilities(row, request.tolerance)
        };
        if let Some(fault) = fault {
            faulty.push((first + lane, fault));
            for out in &mut *out {
                out[first + lane] = T::NAN;
            }
        }
    }
}
