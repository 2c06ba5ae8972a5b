//! Relevant and diverse at once: maximal marginal relevance (Carbonell & Goldstein 1998) and ranked batch (Cardoso et al.
//! 2017). Both pick, one after the other, the row of the largest sum of its own score and of how unlike it is what was
//! picked before; what was picked only ever makes it less so.
//!
//! The similarity to the nearest pick is kept for each row, up to a place in the list of picks. An old one is at most the true
//! one, and so gives an upper bound on the value. The row of the largest bound is brought up to date; then only rows whose
//! bound is not under its value can be the next, and they are brought up to date too. So most rows are compared with few picks.

use super::Picks;
use super::centres::{Bound, Centres, refresh};
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;

/// How scores and similarities are put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// λ s − (1 − λ) max cos, λ the trade-off.
    Mmr {
        /// λ.
        trade_off: f64,
    },
    /// α (1 − 1 / (1 + d)) + (1 − α) s, α the share of the pool and what is labelled that is neither labelled nor picked.
    RankedBatch {
        /// How many of the labelled rows are rows of the pool.
        in_pool: usize,
    },
}

impl Rule {
    /// What rows are compared by.
    #[must_use]
    pub fn metric(self) -> Metric {
        match self {
            Self::Mmr { .. } => Metric::Cosine,
            Self::RankedBatch { .. } => Metric::Euclidean,
        }
    }

    /// λ, or α at pick number t from n rows.
    fn weight(self, n: usize, labelled: usize, t: usize) -> f64 {
        match self {
            Self::Mmr { trade_off } => trade_off,
            Self::RankedBatch { in_pool } => {
                let left = (n - in_pool).saturating_sub(t) as f64;
                left / (left + (labelled + t) as f64)
            }
        }
    }

    /// The value of a row by its score and the squared distance to what is nearest, with which it rises.
    fn value(self, score: f64, squared: f64, weight: f64) -> f64 {
        match self {
            // cos = 1 − ½ |x̂ − ŷ|²; with nothing to compare with there is no second term.
            Self::Mmr { .. } if squared.is_infinite() => weight * score,
            Self::Mmr { .. } => weight * score - (1.0 - weight) * (1.0 - squared / 2.0),
            Self::RankedBatch { .. } => {
                weight * (1.0 - 1.0 / (1.0 + squared.sqrt())) + (1.0 - weight) * score
            }
        }
    }
}

/// The k picks; the values are those at the pick, in float64. `centres` holds what is labelled. A row of score NaN, or of 0 in
/// `available`, is never picked. Returns how many distances were computed.
///
/// # Errors
/// [`Error::BatchTooLarge`]; [`Error::Row`] for a row that is not finite; [`Error::Stopped`].
pub fn greedy<T: Real>(
    rows: &Rows<'_, T>,
    scores: &[f64],
    labelled: &Centres<T>,
    rule: Rule,
    k: usize,
    available: Option<&[u8]>,
    par: Par<'_>,
) -> Result<(Picks<f64>, usize), Error> {
    let (n, d, metric) = (rows.len(), rows.width(), rule.metric());
    let space = metric.space(rows);
    let can = |i: usize| !scores[i].is_nan() && available.is_none_or(|available| available[i] != 0);
    let mut bounds: Vec<Bound> = (0..n).filter(|&i| can(i)).map(Bound::new).collect();
    if k > bounds.len() {
        return Err(Error::BatchTooLarge { k, available: bounds.len() });
    }
    let mut centres = labelled.clone();
    // What is labelled is many: by tile, and for all rows, as each of them is near some of it.
    let mut distances = refresh(rows, &centres, metric, &space, &mut bounds, |_| 0.0, par)?;
    bounds.sort_unstable_by_key(|bound| bound.row);
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let (mut watch, mut block, mut row) = (Watch::default(), Vec::new(), Vec::new());
    let mut values: Vec<f64> = Vec::new();
    while picks.indices.len() < k {
        let weight = rule.weight(n, labelled.len(), picks.indices.len());
        let nothing = centres.is_empty();
        let bound_of = |bound: &Bound| match rule {
            // With nothing to be far from, all are as far: a score is all that there is to go by.
            Rule::RankedBatch { .. } if nothing => scores[bound.row],
            Rule::Mmr { .. } if nothing => rule.value(scores[bound.row], f64::INFINITY, weight),
            // The farthest that a row of length 1 can be from another, and some rounding.
            Rule::Mmr { .. } => rule.value(scores[bound.row], bound.squared.min(4.000_001), weight),
            Rule::RankedBatch { .. } => rule.value(scores[bound.row], bound.squared, weight),
        };
        values.clear();
        values.extend(bounds.iter().map(bound_of));
        let top = (0..values.len()).reduce(|best, at| if values[at] > values[best] { at } else { best });
        let Some(top) = top else { break };
        let mut update = |bound: &mut Bound| {
            if bound.seen < centres.len() {
                exact_row(rows.read(bound.row..bound.row + 1, &mut block), metric, &mut row);
                let new = (bound.seen..centres.len()).map(|j| centres.exact(j));
                distances += centres.len() - bound.seen;
                exact(new, &row, metric, par.level, |squared| bound.squared = bound.squared.min(squared));
                bound.seen = centres.len();
            }
            match rule {
                Rule::RankedBatch { .. } if nothing => scores[bound.row],
                _ => rule.value(scores[bound.row], bound.squared, weight),
            }
        };
        let bar = update(&mut bounds[top]);
        let mut best: Option<(f64, usize)> = None;
        for at in 0..values.len() {
            if values[at] >= bar {
                let value = update(&mut bounds[at]);
                if best.is_none_or(|(most, _)| value > most) {
                    best = Some((value, at));
                }
            }
        }
        let Some((value, at)) = best else { break };
        let Bound { row: pick, squared, .. } = bounds.remove(at);
        let value = if nothing { rule.value(scores[pick], squared, weight) } else { value };
        picks.indices.push(pick);
        picks.values.push(value);
        centres.extend(rows, [pick], metric, "features")?;
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
    }
    debug_assert!(d > 0 || n == 0, "a pool has columns");
    Ok((picks, distances))
}
