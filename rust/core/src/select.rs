//! Selection: which rows to ask, given scores or features. Every method returns [`Picks`].

mod among;
pub mod badge;
pub mod centres;
mod d2_sampling;
pub mod facility_location;
mod gains;
pub mod k_center;
pub mod k_means_pp;
pub mod ladder;
mod open;
mod power;
mod quantile_filter;
pub mod relevance;
mod top_k;

pub use gains::Similarity;
pub use open::{Groups, Open};
pub use power::power;
pub use quantile_filter::Stream;
pub use top_k::top_k;
pub(crate) use top_k::{TopK, best_of};

/// Work done by a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Distances evaluated.
    pub distances: usize,
    /// How often the pool was gone through.
    pub sweeps: usize,
}

/// Rows that were picked, in the order of selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Picks<T> {
    /// Row numbers, none twice.
    pub indices: Vec<usize>,
    /// What each row was picked for.
    pub values: Vec<T>,
}
