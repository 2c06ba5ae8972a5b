//! Row scores, and the best of them, against plain float64 formulas.

use querist_core::error::Error;
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::score::{Request, Score, scores as core_scores, top_scores};

use crate::close::{near, ulp};
use crate::input::Input;
use crate::layout::{Format, Layout};

/// What is promised of the stored numbers.
const ULPS: f64 = 4.0;

const ALL: [Score; 4] = [Score::Entropy, Score::Margin, Score::LeastConfidence, Score::Gini];

/// `scores` and `top_scores` of rows of any numbers in any layout.
pub fn scores(data: &[u8]) {
    let input = &mut Input::new(data);
    if input.once_in(2) { check::<f32>(input, 4) } else { check::<f64>(input, 8) }
}

fn check<T: Real>(input: &mut Input<'_>, bytes: usize) {
    let c = if input.once_in(16) { 1 + input.up_to(400) } else { 1 + input.up_to(39) };
    let n = if input.once_in(32) { input.up_to(3000) } else { input.up_to(40) };
    let (c, n) = if n * c > 40_000 { (c.min(40), n.min(1000)) } else { (c, n) };
    let format = Format::draw(input, bytes);
    let from_logits = input.once_in(3);
    let mut layout = Layout::draw(input, [1, n, c], format.size);
    for i in 0..n {
        let row = if from_logits { logits(input, c) } else { probabilities(input, c) };
        for (j, x) in row.into_iter().enumerate() {
            layout.put_float([0, i, j], x, format);
        }
    }
    let rows: Rows<'_, T> = layout.rows(0, format);
    let wanted: Vec<Score> = (0..=input.up_to(3)).map(|_| input.one_of(&ALL)).collect();
    let request = Request {
        argument: "proba",
        scores: &wanted,
        from_logits,
        normalize: input.once_in(4),
        tolerance: format.tolerance(),
        nan_if_invalid: input.once_in(2),
    };
    let plain: Vec<Vec<f64>> =
        (0..n).map(|i| (0..c).map(|j| layout.float([0, i, j], format)).collect()).collect();
    let valid: Vec<bool> = plain.iter().map(|row| is_valid(row, &request)).collect();

    let par = input.par();
    let mut out = vec![vec![T::ZERO; n]; wanted.len()];
    let got = core_scores(&rows, &request, out.iter_mut().map(Vec::as_mut_slice).collect(), par);
    match (got, valid.iter().position(|valid| !valid)) {
        (Err(Error::Row { row, .. }), Some(first)) if !request.nan_if_invalid => assert_eq!(row, first),
        (Ok(()), None) => {}
        (Ok(()), Some(_)) if request.nan_if_invalid => {}
        (got, first) => panic!("the first row that is not valid is {first:?}, got {got:?}"),
    }
    let is_error = !request.nan_if_invalid && valid.contains(&false);
    if !is_error {
        for (score, out) in wanted.iter().zip(&out) {
            for ((row, &valid), &got) in plain.iter().zip(&valid).zip(out) {
                let (expected, allowed) =
                    if valid { formula::<T>(*score, row, &request) } else { (f64::NAN, 0.0) };
                near(got, expected, allowed, score.name());
            }
        }
    }
    check_top(input, &rows, &Request { scores: &wanted[..1], ..request }, &valid);
}

/// The picks are those of scoring all rows and sorting them.
fn check_top<T: Real>(input: &mut Input<'_>, rows: &Rows<'_, T>, request: &Request<'_>, valid: &[bool]) {
    let n = rows.len();
    let par = input.par();
    let available: Option<Vec<u8>> = input.once_in(2).then(|| (0..n).map(|_| input.byte() & 3).collect());
    let k = if input.once_in(8) { input.up_to(n + 1) } else { input.up_to(n.min(6)) };
    let got = top_scores(rows, k, request, available.as_deref(), par);

    let mut all = vec![T::ZERO; n];
    let every = Request { nan_if_invalid: true, ..*request };
    core_scores(rows, &every, vec![&mut all], par).expect("rows that are not valid score NaN");
    let can = |i: usize| available.as_ref().is_none_or(|available| available[i] != 0);
    let first = (0..n).find(|&i| can(i) && !valid[i]);
    if let Some(first) = first.filter(|_| !request.nan_if_invalid) {
        return assert!(matches!(got, Err(Error::Row { row, .. }) if row == first), "{first}: {got:?}");
    }
    let mut order: Vec<usize> = (0..n).filter(|&i| can(i) && valid[i]).collect();
    order.sort_by(|&a, &b| all[b].partial_cmp(&all[a]).expect("no NaN").then(a.cmp(&b)));
    if order.len() < k {
        return assert_eq!(got, Err(Error::BatchTooLarge { k, available: order.len() }));
    }
    order.truncate(k);
    let (picks, _) = got.expect("enough rows");
    assert_eq!(picks.values, order.iter().map(|&i| all[i]).collect::<Vec<_>>());
    assert_eq!(picks.indices, order);
}

/// A row that sums to 1 or nearly so, of one of the kinds that are hard; seldom of any numbers.
pub(crate) fn probabilities(input: &mut Input<'_>, c: usize) -> Vec<f64> {
    let place = input.up_to(c - 1);
    match input.up_to(31) {
        0 => return (0..c).map(|_| input.any_float()).collect(),
        1 => return (0..c).map(|j| if j == place { 1.0 } else { -0.0 }).collect(),
        2 => return vec![1.0 / c as f64; c],
        // Nearly certain, by any amount.
        3..8 => {
            let doubt = 10.0_f64.powf(-46.0 * input.share() * input.share());
            let one = input.once_in(2).then(|| input.up_to(c - 1));
            let other = |j: usize| match one {
                Some(one) => {
                    if one == j {
                        doubt
                    } else {
                        0.0
                    }
                }
                None => doubt / c as f64,
            };
            return (0..c).map(|j| if j == place { 1.0 - doubt } else { other(j) }).collect();
        }
        _ => {}
    }
    let sharpness = input.one_of(&[1, 1, 4, 30]);
    let weights: Vec<f64> = (0..c).map(|_| (input.share() + 1e-3).powi(sharpness)).collect();
    let total: f64 = weights.iter().sum();
    // Sometimes at the edge of what is accepted.
    let scale =
        if input.once_in(16) { 1.0 + input.one_of(&[0.999e-3, 1.001e-3, -0.9e-3, 4e-3, 1e-4]) } else { 1.0 };
    weights.iter().map(|w| w / total * scale).collect()
}

/// A row of logits; seldom of any numbers.
fn logits(input: &mut Input<'_>, c: usize) -> Vec<f64> {
    if input.once_in(32) {
        return (0..c).map(|_| input.any_float()).collect();
    }
    let (scale, offset) = (input.one_of(&[0.0, 1.0, 10.0, 100.0, 1e4]), input.one_of(&[0.0, 0.0, -1e4, 1e6]));
    let none = input.once_in(4);
    (0..c)
        .map(|_| {
            let z = offset + scale * (input.share() - 0.5);
            if none && input.once_in(2) { f64::NEG_INFINITY } else { z }
        })
        .collect()
}

fn is_valid(row: &[f64], request: &Request<'_>) -> bool {
    if request.from_logits {
        return row.iter().all(|&z| z < f64::INFINITY) && row.iter().any(|z| z.is_finite());
    }
    is_distribution(row, request.tolerance)
}

/// Whether these are probabilities that sum to 1.
pub(crate) fn is_distribution(row: &[f64], tolerance: f64) -> bool {
    row.iter().all(|p| (0.0..=1.0 + tolerance).contains(p))
        && (row.iter().sum::<f64>() - 1.0).abs() <= tolerance
}

/// The score of a valid row in float64, and how far from it the documentation allows an answer to be.
fn formula<T: Real>(score: Score, row: &[f64], request: &Request<'_>) -> (f64, f64) {
    let c = row.len() as f64;
    let (epsilon, smallest) = (T::EPSILON.to_f64(), ulp::<T>(0.0));
    let (value, mut allowed) = if request.from_logits {
        let (value, gap) = of_logits(score, row);
        (value, ((ULPS + gap) * epsilon * value).max(ULPS * ulp::<T>(value)))
    } else {
        let (value, size, is_sharp) = of_probabilities(score, row, epsilon);
        (value, if is_sharp { ULPS * ulp::<T>(value) } else { ULPS * (epsilon * size).max(smallest) })
    };
    // The reference rounds too, and where float64 has no more digits by as much as T; times a gap of up to 745.
    allowed += (16.0 + 2.0 * c) * (f64::EPSILON * value.abs() + 750.0 * f64::from_bits(1));
    if !request.normalize || row.len() == 1 {
        return if request.normalize { (0.0, allowed) } else { (value, allowed) };
    }
    let largest = score.largest(row.len());
    (value / largest, allowed / largest + 2.0 * ulp::<T>(value / largest))
}

/// The score, the sum of its terms' sizes, and whether it is promised to the last digits.
fn of_probabilities(score: Score, row: &[f64], epsilon: f64) -> (f64, f64, bool) {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (p1, p2) = (sorted[0], sorted.get(1).copied().unwrap_or(0.0));
    let total: f64 = row.iter().sum();
    let terms: Vec<f64> = match score {
        Score::Entropy => sorted.iter().map(|&p| if p > 0.0 { -p * p.ln() } else { 0.0 }).collect(),
        Score::Margin => vec![1.0 - p1, p2],
        Score::LeastConfidence => vec![1.0 - p1],
        Score::Gini => {
            std::iter::once((1.0 - p1) * (1.0 + p1)).chain(sorted[1..].iter().map(|p| -p * p)).collect()
        }
    };
    let is_sharp = p1 <= 1.0 && (score != Score::Gini || (total - 1.0).abs() <= epsilon);
    (terms.iter().sum(), terms.iter().map(|x| x.abs()).sum(), is_sharp)
}

/// The score, and the largest gap to the first logit of a weight that counts.
fn of_logits(score: Score, row: &[f64]) -> (f64, f64) {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let y: Vec<f64> = sorted[1..].iter().map(|z| z - sorted[0]).filter(|y| y.is_finite()).collect();
    let e: Vec<f64> = y.iter().map(|y| y.exp()).collect();
    let sum: f64 = e.iter().sum();
    let weighted: f64 = y.iter().zip(&e).map(|(y, e)| y * e).sum();
    let second = e.first().copied().unwrap_or(0.0);
    let gaps = y.iter().zip(&e).filter(|(_, e)| **e >= f64::EPSILON * sum).map(|(y, _)| -y);
    let squares: f64 = e.iter().map(|e| e * e).sum();
    let value = match score {
        Score::Entropy => sum.ln_1p() - weighted / (1.0 + sum),
        Score::Margin => (sum + second) / (1.0 + sum),
        Score::LeastConfidence => sum / (1.0 + sum),
        // 1 − Σ p², with (1 + S)² − 1 − Q = 2 S + S² − Q.
        Score::Gini => (2.0 * sum + (sum * sum - squares)) / ((1.0 + sum) * (1.0 + sum)),
    };
    (value, gaps.fold(0.0, f64::max))
}
