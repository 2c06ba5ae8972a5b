//! A score and its top-k in one pass: the scores of a block stay in the cache, and no (n,) array is written.
//!
//! For the entropy of probabilities most logarithms are not needed once k candidates are known. A row whose
//! largest p is 1 − u has an entropy of at most B(u) = −(1 − u) ln(1 − u) + r ln((c − 1) / r), r = u + tolerance:
//! the rest r spread evenly over the other c − 1 classes (Fano's inequality). So a block is first scored by least
//! confidence, which is u and costs no logarithm; only the groups of rows that hold a u with B(u) above the bar are
//! scored by entropy. The picks are those of scoring every row. Where rows are not certain enough for this to
//! pay, it is tried again less and less often.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Request, Score, Scoring, check_classes, rows_in_a_block};
use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;
use crate::select::{Picks, TopK, best_of};
use crate::simd::{Level, aligned, dispatch};

/// Blocks that a thread waits at most after an attempt that did not pay: an attempt costs a third of a block.
const LONGEST_REST: usize = 255;

/// The k rows of the highest score: exactly the picks of scoring every row and then `top_k`. `available`, if given,
/// has one byte a row, not 0 where the row may be picked; other rows are not asked to be valid. O(n c) time,
/// O(k) memory and a block for each thread. The second result is the number of rows that needed no logarithm.
///
/// # Errors
/// As [`scores`](super::scores) and [`top_k`](crate::select::top_k).
pub fn top_scores<T: Real>(
    rows: &Rows<'_, T>,
    k: usize,
    request: &Request<'_>,
    available: Option<&[u8]>,
    par: Par<'_>,
) -> Result<(Picks<T>, usize), Error> {
    let (n, c) = (rows.len(), rows.width());
    check_classes(request, c)?;
    let bound = (request.scores == [Score::Entropy] && !request.from_logits && c > 1).then(|| Bound {
        c,
        tolerance: request.tolerance,
        scale: if request.normalize { (c as f64).ln() } else { 1.0 },
    });
    let step = rows_in_a_block::<T>(c);
    let skipped = AtomicUsize::new(0);
    let picks = best_of((n, step), k, par, |firsts, top, par| {
        let start = || Worker {
            block: Vec::new(),
            scores: Vec::new(),
            top: top(),
            bar: None,
            floor: T::ZERO,
            rest: 0,
            next_rest: 15,
            skipped: 0,
        };
        let workers = par.run(firsts, n * c, start, |worker, first| {
            let mut block = std::mem::take(&mut worker.block);
            let here = first..(first + step).min(n);
            let ahead = rows.read_ahead(here.clone(), &mut block);
            let faulty = worker.take(ahead, c, here, request, bound.as_ref(), available, par.level);
            worker.block = block;
            let watched = |row: usize| available.is_none_or(|available| available[row] != 0);
            match faulty.into_iter().find(|(row, _)| watched(first + row)) {
                Some((row, fault)) if !request.nan_if_invalid => {
                    Err(Error::Row { argument: request.argument, row: first + row, member: None, fault })
                }
                _ => Ok(()),
            }
        })?;
        skipped.store(workers.iter().map(|worker| worker.skipped).sum(), Ordering::Relaxed);
        Ok(workers.into_iter().map(|worker| worker.top).collect())
    })?;
    if picks.indices.len() < k {
        return Err(Error::BatchTooLarge { k, available: picks.indices.len() });
    }
    Ok((picks, skipped.into_inner()))
}

/// B(u), the largest entropy of a row whose largest p is 1 − u, in the units of the score.
struct Bound {
    c: usize,
    tolerance: f64,
    scale: f64,
}

impl Bound {
    fn at(&self, u: f64) -> f64 {
        // Each term up to where it turns, so that B never falls.
        let p = (1.0 - u).max((-1.0_f64).exp());
        let others = self.c as f64 - 1.0;
        let r = (u.max(0.0) + self.tolerance).min(others * (-1.0_f64).exp());
        // A little more than the rounding of a float32 score.
        (r * (others / r).ln() - p * p.ln()) / self.scale * (1.0 + 1e-5)
    }

    /// The largest u at which B is certainly not above the bar; 0 if there is none.
    fn floor(&self, bar: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        if self.at(low) > bar {
            return 0.0;
        }
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if self.at(middle) > bar { high = middle } else { low = middle }
        }
        low * (1.0 - 1e-6)
    }
}

/// A thread's state.
struct Worker<T> {
    block: Vec<T>,
    scores: Vec<T>,
    top: TopK<T>,
    /// The bar for which `floor` was computed.
    bar: Option<T>,
    /// Rows with a least confidence under this need no logarithm.
    floor: T,
    /// Blocks to go before the next attempt to skip.
    rest: usize,
    /// How many that will be after the next one that does not pay.
    next_rest: usize,
    skipped: usize,
}

impl<T: Real> Worker<T> {
    /// Scores a block, behind which there may be more rows, and offers it; returns the rows that are not valid.
    #[expect(clippy::too_many_arguments, reason = "a block and all that is known of it")]
    fn take(
        &mut self,
        rows: &[T],
        c: usize,
        Range { start: first, end }: Range<usize>,
        request: &Request<'_>,
        bound: Option<&Bound>,
        available: Option<&[u8]>,
        level: Level,
    ) -> Vec<(usize, Fault)> {
        let n = end - first;
        let mut kept = std::mem::take(&mut self.scores);
        kept.resize(n + T::LANES, T::ZERO);
        let scores = &mut aligned(&mut kept)[..n];
        let score = |rows: &[T], request: &Request<'_>, out: &mut [T]| {
            dispatch(level, Scoring { rows, n: out.len(), c, request, out: &mut [out] })
        };
        let faulty;
        if bound.is_some_and(|bound| self.should_try(bound)) {
            let certainty = Request { scores: &[Score::LeastConfidence], normalize: false, ..*request };
            faulty = score(rows, &certainty, scores);
            // NaN, a row that is not valid, is not under the floor.
            let under = |u: &[T]| u.iter().all(|&u| u < self.floor);
            let skipped: usize = scores.chunks(T::LANES).filter(|u| under(u)).map(<[T]>::len).sum();
            if skipped * 2 < n {
                self.rest = self.next_rest;
                self.next_rest = (self.next_rest * 2).min(LONGEST_REST);
                score(rows, request, scores);
                self.top.offer(scores, first, available, level);
            } else {
                self.skipped += skipped;
                for (group, u) in scores.chunks_mut(T::LANES).enumerate().filter(|(_, u)| !under(u)) {
                    let at = group * T::LANES;
                    score(&rows[at * c..], request, u);
                    self.top.offer(u, first + at, available, level);
                }
            }
        } else {
            faulty = score(rows, request, scores);
            self.top.offer(scores, first, available, level);
        }
        self.scores = kept;
        faulty
    }

    fn should_try(&mut self, bound: &Bound) -> bool {
        let Some(bar) = self.top.bar() else { return false };
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        if self.bar != Some(bar) {
            self.bar = Some(bar);
            self.floor = T::from_f64(bound.floor(bar.to_f64()));
        }
        self.floor > T::ZERO
    }
}
