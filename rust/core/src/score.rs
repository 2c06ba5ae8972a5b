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
use fearless_simd::prelude::*;

use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::{Kernel, aligned, dispatch};

mod committee;
mod entropy;
mod gini;
mod gradient;
mod least_confidence;
mod logits;
mod margin;
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
    /// Puts the scores of a group of rows where they belong.
    #[inline(always)]
    fn put<T: Real, S: Simd>(&self, simd: S, largest: f64, c: usize, mut value: T::Lanes<S>, out: &mut [T]) {
        if self.normalize {
            // One class leaves nothing to ask.
            let largest = if c == 1 { f64::INFINITY } else { largest };
            value /= T::splat(simd, T::from_f64(largest));
        }
        if out.len() == T::LANES {
            value.store_slice(out);
        } else {
            out.copy_from_slice(&value.as_slice()[..out.len()]);
        }
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
        if out.len() != n {
            return Err(Error::Shape {
                argument: "out",
                expected: format!("{n} elements"),
                got: format!("{}", out.len()),
            });
        }
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
    if c == 0 {
        let (expected, got) = ("at least one class (column)".to_owned(), "none".to_owned());
        return Err(Error::Shape { argument: request.argument, expected, got });
    }
    Ok(())
}

/// A whole number of lane groups, about [`BLOCK`] elements.
fn rows_in_a_block<T: Real>(c: usize) -> usize {
    (BLOCK / c.max(1)).next_multiple_of(T::LANES).max(T::LANES)
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
        let logarithm = self.request.scores.iter().any(|s| s.needs_logarithm());
        let largest = self.request.scores.iter().any(|s| !s.needs_logarithm());
        match (self.request.from_logits, logarithm, largest, self.c <= probabilities::SHORT) {
            (true, _, _, true) => self.fill::<S, Any, true, true, true, true>(simd),
            (true, _, _, false) => self.fill::<S, Any, true, false, true, true>(simd),
            (false, true, false, true) => match self.request.scores {
                [_] => self.fill::<S, Only<entropy::Entropy>, false, true, true, false>(simd),
                _ => self.fill::<S, Any, false, true, true, false>(simd),
            },
            (false, true, false, false) => self.fill::<S, Any, false, false, true, false>(simd),
            (false, false, _, true) => match self.request.scores {
                [Score::Margin] => self.fill::<S, Only<margin::Margin>, false, true, false, true>(simd),
                [Score::LeastConfidence] => {
                    self.fill::<S, Only<least_confidence::LeastConfidence>, false, true, false, true>(simd)
                }
                _ => self.fill::<S, Any, false, true, false, true>(simd),
            },
            (false, false, _, false) => self.fill::<S, Any, false, false, false, true>(simd),
            (false, true, true, true) => self.fill::<S, Any, false, true, true, true>(simd),
            (false, true, true, false) => self.fill::<S, Any, false, false, true, true>(simd),
        }
    }
}

impl<T: Real> Scoring<'_, '_, T> {
    #[inline(always)]
    fn fill<
        S: Simd,
        A: Apply,
        const LOGITS: bool,
        const TURNED: bool,
        const LOGARITHM: bool,
        const LARGEST: bool,
    >(
        self,
        simd: S,
    ) -> Vec<(usize, Fault)> {
        let Self { rows, n, c, request, out } = self;
        let mut columns = vec![T::ZERO; probabilities::room::<T>(c) + T::LANES];
        let columns = aligned(&mut columns);
        let mut faulty = Vec::new();
        let half_tolerance = T::splat(simd, T::from_f64(request.tolerance / 2.0));
        for first in (0..n).step_by(T::LANES) {
            let count = T::LANES.min(n - first);
            // The rows behind the group are there to be read over its end, not to be scored.
            let ahead = &rows[first * c..];
            let suspects = if LOGITS {
                let read = Logits::read::<TURNED>(simd, ahead, c, columns);
                for (score, out) in request.scores.iter().zip(&mut *out) {
                    let value = score.of_logits(simd, &read);
                    request.put(simd, score.largest(c), c, value, &mut out[first..first + count]);
                }
                read.suspects
            } else {
                let read = Probabilities::read::<TURNED, LOGARITHM, LARGEST>(simd, ahead, c, columns);
                A::apply(simd, &read, request, c, first..first + count, out);
                read.suspects(simd, half_tolerance)
            };
            if suspects != 0 {
                let rows = &ahead[..count * c];
                look_closely::<T, LOGITS>(rows, c, suspects, request.tolerance, first, &mut faulty, out);
            }
        }
        faulty
    }
}

/// How the scores of a request are computed from a reading of probabilities.
trait Apply {
    fn apply<T: Real, S: Simd>(
        simd: S,
        read: &Probabilities<T, S>,
        request: &Request<'_>,
        c: usize,
        rows: Range<usize>,
        out: &mut [&mut [T]],
    );
}

/// Any scores, chosen for each group of rows.
struct Any;

impl Apply for Any {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(
        simd: S,
        read: &Probabilities<T, S>,
        request: &Request<'_>,
        c: usize,
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) {
        for (score, out) in request.scores.iter().zip(out) {
            request.put(
                simd,
                score.largest(c),
                c,
                score.of_probabilities(simd, read),
                &mut out[rows.clone()],
            );
        }
    }
}

/// One score that the compiler knows: for short rows, where choosing would cost more than computing.
struct Only<F>(PhantomData<F>);

impl<F: Formula> Apply for Only<F> {
    #[inline(always)]
    fn apply<T: Real, S: Simd>(
        simd: S,
        read: &Probabilities<T, S>,
        request: &Request<'_>,
        c: usize,
        rows: Range<usize>,
        out: &mut [&mut [T]],
    ) {
        if let [out] = out {
            request.put(simd, F::largest(c), c, F::of_probabilities(simd, read), &mut out[rows]);
        }
    }
}

/// Looks exactly at the rows that the quick test, which is a little strict, has stopped: those that are not valid
/// score NaN and are listed.
#[cold]
#[inline(never)]
fn look_closely<T: Real, const LOGITS: bool>(
    rows: &[T],
    c: usize,
    suspects: u64,
    tolerance: f64,
    first: usize,
    faulty: &mut Vec<(usize, Fault)>,
    out: &mut [&mut [T]],
) {
    for (lane, row) in rows.chunks_exact(c).enumerate().filter(|(lane, _)| suspects >> lane & 1 == 1) {
        let fault = if LOGITS { validity::logits(row) } else { validity::probabilities(row, tolerance) };
        if let Some(fault) = fault {
            faulty.push((first + lane, fault));
            for out in &mut *out {
                out[first + lane] = T::NAN;
            }
        }
    }
}
