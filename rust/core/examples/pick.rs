//! Scores a pool by margin and picks ten uncertain rows that are far from each other, and from one that is labelled.
//!
//! `cargo run --release --example pick`
#![expect(clippy::print_stdout, reason = "a program")]

use std::num::NonZero;
use std::thread::available_parallelism;

use querist_core::error::Error;
use querist_core::exact::Metric;
use querist_core::pool::Par;
use querist_core::rows::Rows;
use querist_core::score::{Request, Score, scores};
use querist_core::select::Open;
use querist_core::select::k_center::Farthest;
use querist_core::select::ladder::Known;

const N: usize = 100_000;
const CLASSES: usize = 3;
const DIM: usize = 8;

fn main() -> Result<(), Error> {
    let (features, proba) = pool();
    let (features, proba) = (Rows::of(&features, DIM), Rows::of(&proba, CLASSES));
    let par = Par { threads: available_parallelism().map_or(1, NonZero::get), ..Par::serial() };

    let mut margin = vec![0.0; N];
    let request = Request {
        argument: "proba",
        scores: &[Score::Margin],
        from_logits: false,
        normalize: false,
        tolerance: 1e-3,
        nan_if_invalid: false,
    };
    scores(&proba, &request, vec![&mut margin], par)?;

    let weights: Vec<f64> = margin.iter().copied().map(f64::from).collect();
    let mut known = Known::new(&features, Metric::Euclidean);
    known.add(&features, [0], "features", par)?;
    let rule = Farthest { metric: Metric::Euclidean, weights: Some(&weights) };
    let (picks, work) = known.pick(&features, 10, &rule, Open::default(), par)?;

    for (row, value) in picks.indices.iter().zip(&picks.values) {
        println!("row {row:>6}: margin {:.3}, margin × distance {value:.3}", margin[*row]);
    }
    println!("{} distances of the {} that the naive way evaluates", work.distances, N * 10);
    Ok(())
}

/// Features from a small generator, and the probabilities of a linear model of them.
fn pool() -> (Vec<f32>, Vec<f32>) {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or(0)) / 32_768.0 - 1.0
    };
    let features: Vec<f32> = (0..N * DIM).map(|_| next()).collect();
    let mut proba = Vec::with_capacity(N * CLASSES);
    for x in features.chunks_exact(DIM) {
        let powers = [x[0], x[1], x[2]].map(|logit| (2.0 * f64::from(logit)).exp());
        let sum: f64 = powers.iter().sum();
        #[expect(clippy::cast_possible_truncation, reason = "a probability is rounded to f32")]
        proba.extend(powers.map(|power| (power / sum) as f32));
    }
    (features, proba)
}
