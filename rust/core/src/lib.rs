//! # querist-core
//!
//! The acquisition scorer for active learning: which unlabelled items are worth a person's time. No Python
//! here: numbers in, numbers out. The Python package `querist` is a thin layer around this crate.
//!
//! ```text
//!             Rows ──► score ──────────► one number a row ──► select ──► Picks
//!   any layout, read    score::scores     larger means:        select::top_k
//!   in place            score::top_scores ask this one first   …
//!          Members ──► score::committee_scores, ensemble_variance
//!         Integers ──► score::vote_scores
//!    Rows and Rows ──► score::expected_gradient_length
//!             Rows ──► change            variance that a label takes away; a greedy batch: Picks
//!   Rows or Sparse ──► density           larger: more typical of the pool
//!            └──────────── Par: threads, SIMD level, when to stop ────────────┘
//! ```
//!
//! * **Formula** ([`score`], [`change`], [`density`], [`spread`], [`select`]): each file is a formula or a method, and reads
//!   like its paper. Scores of a committee are files of [`score`].
//! * **Engine** ([`rows`], [`members`], [`real`], [`simd`], [`pool`]; `sum`, `row_sums`,
//!   [`tile`], `distance`, [`exact`]):
//!   strides, logarithms, lanes, pairs and threads; no formula's name. All `unsafe` is here.
//!
//! The bits of a result depend on nothing but the input: not on threads, blocks or memory layout, nor, among
//! levels with fused multiply-add, on the SIMD level. Sums along a row are laid out in 64-byte lanes whatever
//! the register width, and parts that threads bring are added in the order of their numbers.
//!
//! ```
//! use querist_core::{pool::Par, rows::Rows, score::{Request, Score, scores}};
//!
//! let proba = [0.5_f32, 0.5, 0.0, 1.0, 0.0, 0.0];
//! let request = Request {
//!     argument: "proba",
//!     scores: &[Score::Entropy],
//!     from_logits: false,
//!     normalize: false,
//!     tolerance: 1e-3,
//!     nan_if_invalid: false,
//! };
//! let mut entropy = [0.0; 2];
//! scores(&Rows::of(&proba, 3), &request, vec![&mut entropy[..]], Par::serial())?;
//! assert_eq!(entropy, [std::f32::consts::LN_2, 0.0]);
//! # Ok::<(), querist_core::error::Error>(())
//! ```
//!
//! `examples/pick.rs` goes on from there to a diverse batch.

pub mod change;
pub mod density;
mod distance;
pub mod error;
pub mod exact;
pub mod members;
pub mod pool;
pub mod real;
mod row_sums;
pub mod rows;
pub mod score;
pub mod select;
pub mod simd;
pub mod spread;
mod sum;
pub mod tile;
