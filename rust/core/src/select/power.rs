//! Power sampling: a batch drawn without replacement with chances ∝ s^β, in one pass (Kirsch et al. 2023).
//!
//! The k largest of β ln s + G, G a Gumbel variable for each row, are such a sample. G comes from a counter: row i of seed s
//! always has the same, whatever the threads and the order.

use super::{Picks, top_k};
use crate::error::Error;
use crate::pool::Par;
use crate::real::Real;
use crate::rows::Rows;

/// Rows that a thread takes at a time.
const STEP: usize = 1 << 14;

/// A number in (0, 1) for a row and a seed: the finaliser of `SplitMix64` (Steele et al. 2014) over a counter.
pub(crate) fn uniform(seed: u64, row: u64) -> f64 {
    let mut z = seed.wrapping_add(row.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    ((z >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// k rows drawn without replacement, chances ∝ score^β; in the order of their perturbed logarithms, which are the values. A
/// row of score 0 or NaN is never drawn. O(n).
///
/// # Errors
/// [`Error::BatchTooLarge`] if fewer than k rows can be drawn; [`Error::Row`] for a negative or infinite score;
/// [`Error::Stopped`].
pub fn power<T: Real>(
    scores: &Rows<'_, T>,
    k: usize,
    beta: f64,
    seed: u64,
    available: Option<&[u8]>,
    par: Par<'_>,
) -> Result<Picks<f64>, Error> {
    let n = scores.len();
    let mut perturbed = vec![f64::NAN; n];
    par.run(perturbed.chunks_mut(STEP).enumerate(), n * 16, Vec::new, |block, (number, out)| {
        let first = number * STEP;
        let scores = scores.read(first..first + out.len(), block);
        for (i, (out, score)) in out.iter_mut().zip(scores).enumerate() {
            let (row, score) = (first + i, score.to_f64());
            if available.is_some_and(|available| available[row] == 0) || score.is_nan() {
                continue;
            }
            if score < 0.0 || score.is_infinite() {
                let fault = crate::error::Fault::NotAScore { value: score };
                return Err(Error::Row { argument: "scores", row, member: None, fault });
            }
            if score > 0.0 {
                *out = beta * score.ln() - (-uniform(seed, row as u64).ln()).ln();
            }
        }
        Ok(())
    })?;
    top_k(&Rows::of(&perturbed, 1), k, available, par)
}
