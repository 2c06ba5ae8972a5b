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

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::{Kernel, dispatch};

mod entropy;
mod gini;
mod least_confidence;
mod logits;
mod margin;
mod probabilities;
mod top;
mod validity;

pub use top::top_scores;

use logits::Logits;
use probabilities::Probabilities;

/// Elements in a block of rows: what a thread takes at a time.
const BLOCK: usize = 1 << 14;

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
    let jobs = Pieces { rest: out, first: 0, step, n };
    let level = par.level;
    par.run(jobs, n * c, Vec::new, |block, (first, mut out)| {
        let rows = rows.read(first..first + step, block);
        let scoring = Scoring { rows, c, request, out: &mut out };
        let faulty = dispatch(level, scoring);
        if let (Some(&(row, fault)), false) = (faulty.first(), request.nan_if_invalid) {
            return Err(Error::Row { argument: request.argument, row: first + row, fault });
        }
        Ok(())
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
    rows: &'a [T],
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
        match (self.request.from_logits, logarithm, largest) {
            (true, _, _) => self.fill::<S, true, true, true>(simd),
            (false, true, false) => self.fill::<S, false, true, false>(simd),
            (false, false, _) => self.fill::<S, false, false, true>(simd),
            (false, true, true) => self.fill::<S, false, true, true>(simd),
        }
    }
}

impl<T: Real> Scoring<'_, '_, T> {
    #[inline(always)]
    fn fill<S: Simd, const LOGITS: bool, const LOGARITHM: bool, const LARGEST: bool>(
        self,
        simd: S,
    ) -> Vec<(usize, Fault)> {
        let Self { rows, c, request, out } = self;
        // Room for LANES short rows, turned.
        let mut columns = vec![T::ZERO; T::LANES * c.min(probabilities::SHORT).next_multiple_of(4)];
        let mut faulty = Vec::new();
        for (group, rows) in rows.chunks(T::LANES * c).enumerate() {
            let first = group * T::LANES;
            let count = rows.len() / c;
            let mut values = [T::splat(simd, T::ZERO); 4];
            let suspects;
            if LOGITS {
                let read = Logits::read(simd, rows, c, &mut columns);
                for (value, score) in values.iter_mut().zip(request.scores) {
                    *value = score.of_logits(simd, &read);
                }
                suspects = read.suspects;
            } else {
                let read = Probabilities::read::<LOGARITHM, LARGEST>(simd, rows, c, &mut columns);
                for (value, score) in values.iter_mut().zip(request.scores) {
                    *value = score.of_probabilities(simd, &read);
                }
                suspects = read.suspects(simd, request.tolerance);
            }
            for ((value, score), out) in values.iter_mut().zip(request.scores).zip(out.iter_mut()) {
                if request.normalize {
                    // One class leaves nothing to ask.
                    *value = if c == 1 {
                        T::splat(simd, T::ZERO)
                    } else {
                        *value / T::splat(simd, T::from_f64(score.largest(c)))
                    };
                }
                let out = &mut out[first..first + count];
                if count == T::LANES {
                    value.store_slice(out);
                } else {
                    out.copy_from_slice(&value.as_slice()[..count]);
                }
            }
            if suspects != 0 {
                // The quick test is a little strict: what it stops is looked at exactly.
                for (lane, row) in
                    rows.chunks_exact(c).enumerate().filter(|(lane, _)| suspects >> lane & 1 == 1)
                {
                    let fault = if LOGITS {
                        validity::logits(row)
                    } else {
                        validity::probabilities(row, request.tolerance)
                    };
                    if let Some(fault) = fault {
                        faulty.push((first + lane, fault));
                        for out in out.iter_mut() {
                            out[first + lane] = T::NAN;
                        }
                    }
                }
            }
        }
        faulty
    }
}
