//! What fuzzing runs: each target turns bytes into a call of the core, and its answer is compared with a plain one.
//!
//! A target is a function of bytes that panics if something is wrong. `targets/` hands them to libFuzzer,
//! `tests/short.rs` calls them from a plain test. Memory is laid out to be exactly as long as the elements
//! reach, so that the address sanitizer sees the first byte outside.

mod close;
mod committee;
mod input;
mod layout;
mod picks;
mod scores;
mod sparse;
mod strided;
mod votes;

pub use committee::committee;
pub use picks::picks;
pub use scores::scores;
pub use sparse::sparse;
pub use strided::strided;
pub use votes::votes;
