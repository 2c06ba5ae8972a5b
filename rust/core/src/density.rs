//! Density of each row among the rows of a pool or a reference set: always larger where it is denser.
//!
//! * [`linear`]: the mean of a similarity that is linear in each row (cosine, dot product, squared distance) needs the mean
//!   row only: O(n d), two reads, never a pair.
//! * [`sparse`]: the same for CSR, O(nnz).
//! * [`pairwise`]: the mean of a kernel of the distance, over all pairs, tile by tile; each pair once.
//! * [`nearest`]: 1 / the mean distance to the k nearest.

pub mod linear;
pub mod nearest;
mod order;
pub mod pairwise;
pub mod sparse;

use crate::error::Error;

/// Fails unless both have as many columns, at least one.
fn same_width(d: usize, reference: usize) -> Result<(), Error> {
    if d == 0 {
        return Err(Error::shape("features", &"at least one column", &d));
    }
    if reference != d {
        return Err(Error::shape("reference", &format_args!("{d} columns, as features"), &reference));
    }
    Ok(())
}

/// Whether γ d² is right if d² is a float32: its digits that vanished, below 2^-149, do not count, and γ itself is
/// there.
#[must_use]
pub fn suits_single(gamma: f64) -> bool {
    (1e-30..=1e30).contains(&gamma)
}

/// Elements' worth of work in n × m pairs: a pair costs about d / 8 of what reading an element does.
#[must_use]
pub fn work(n: usize, m: usize, d: usize) -> usize {
    n.saturating_mul(m).saturating_mul(d / 8 + 1)
}
