//! k-means++ (Arthur & Vassilvitskii 2007): D² sampling by the distance to the nearest row that is labelled or drawn.

use super::centres::{Bound, Bounded, Centres, refresh, settle};
use super::d2_sampling::{Chances, Targets};
use super::{Open, Picks, Work};
use crate::distance::Space;
use crate::error::Error;
use crate::exact::{Metric, exact, exact_row};
use crate::pool::{Par, Watch};
use crate::real::Real;
use crate::rows::Rows;
use crate::simd::Level;

/// k rows drawn by k-means++; the values are D² at the draw, ∞ for a first one with nothing labelled, which
/// is drawn ∝ w. O(n k d).
///
/// # Errors
/// [`Error::BatchTooLarge`] if fewer than k rows have a chance; [`Error::Row`] for a row that is not finite;
/// [`Error::Stopped`].
pub fn k_means_pp<T: Real>(
    rows: &Rows<'_, T>,
    k: usize,
    labelled: Centres<T>,
    weights: Option<&[f64]>,
    open: Open<'_>,
    seed: u64,
    par: Par<'_>,
) -> Result<(Picks<f64>, Work), Error> {
    let mut chances = Chances::new(rows.len(), weights, open, seed, k)?;
    let mut targets = Nearby { rows, centres: labelled, space: Space::around(rows), level: par.level };
    chances.update_all(&mut targets, par)?;
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let Some(pick) = chances.draw(&mut targets, par)? else { break };
        picks.indices.push(pick);
        picks.values.push(chances.squared[pick]);
        targets.centres.extend(rows, [pick], Metric::Euclidean, "features", par)?;
    }
    Ok((picks, chances.work))
}

/// Rows as targets.
pub(super) struct Nearby<'a, 'b, T> {
    pub(super) rows: &'a Rows<'b, T>,
    pub(super) centres: Centres<T>,
    pub(super) space: Space<T>,
    pub(super) level: Level,
}

impl<T: Real> Targets for Nearby<'_, '_, T> {
    fn count(&self) -> usize {
        self.centres.len()
    }

    fn width(&self) -> usize {
        self.rows.width()
    }

    fn update(&mut self, row: usize, mut squared: f64, seen: usize) -> f64 {
        let (mut block, mut wide) = (Vec::new(), Vec::new());
        let given = self.rows.read(row..row + 1, &mut block);
        exact_row(given, Metric::Euclidean, &mut wide, self.level);
        let new = (seen..self.centres.len()).map(|j| self.centres.exact(j));
        exact(new, &wide, Metric::Euclidean, self.level, |new| squared = squared.min(new));
        squared
    }

    fn update_all(&mut self, squared: &mut [f64], seen: &mut [usize], par: Par<'_>) -> Result<(), Error> {
        let known = squared.iter().zip(&*seen).enumerate();
        let mut bounds: Vec<Bounded> =
            known.map(|(row, (&squared, &seen))| (row, Bound::exactly(squared, 0, seen))).collect();
        let (rows, centres, metric) = (self.rows, &self.centres, Metric::Euclidean);
        refresh(rows, centres, (metric, &self.space), &mut bounds, &|_, _| true, &mut Vec::new(), par)?;
        settle(rows, centres, metric, &mut bounds, par)?;
        for (row, bound) in bounds {
            (squared[row], seen[row]) = (bound.squared, bound.seen());
        }
        Ok(())
    }
}
