//! Committees against plain float64 formulas.

use querist_core::error::{Error, Fault};
use querist_core::members::Members;
use querist_core::real::Real;
use querist_core::score::{CommitteeRequest, CommitteeScore, committee_scores, ensemble_variance, votes};

use crate::close::near;
use crate::input::{Input, shares};
use crate::layout::{Format, Layout};
use crate::scores::{is_distribution, probabilities};

/// `committee_scores`, `votes` and `ensemble_variance` of members along any axis, in any layout, with weights.
pub fn committee(data: &[u8]) {
    let input = &mut Input::new(data);
    match input.up_to(3) {
        0 => variance::<f32>(input, 4),
        1 => variance::<f64>(input, 8),
        2 => check::<f32>(input, 4),
        _ => check::<f64>(input, 8),
    }
}

fn check<T: Real>(input: &mut Input<'_>, bytes: usize) {
    let m = if input.once_in(16) { input.up_to(70) } else { input.up_to(8) };
    let c = if input.once_in(16) { input.up_to(200) } else { 1 + input.up_to(20) };
    let n = if input.once_in(32) { input.up_to(600) } else { input.up_to(40) };
    let n = n.min(40_000 / (m * c).max(1));
    let format = Format::draw(input, bytes);
    let mut layout = Layout::draw(input, [m, n, c], format.size);
    let (agree, wild) = (input.once_in(4), input.once_in(4));
    for i in 0..n {
        let mut row = Vec::new();
        for member in 0..m {
            if c > 0 && (member == 0 || !agree) {
                row = probabilities(input, c);
            }
            // Few rows that are not valid, so that there are scores to compare.
            if !wild && !is_distribution(&row, 1e-3) {
                row = vec![1.0 / c as f64; c];
            }
            for (j, &p) in row.iter().enumerate() {
                layout.put_float([member, i, j], p, format);
            }
        }
    }
    let weights = input.weights(m);
    let wanted: Vec<CommitteeScore> =
        (0..=input.up_to(6)).map(|_| input.one_of(&CommitteeScore::ALL)).collect();
    let request = CommitteeRequest {
        argument: "member_proba",
        scores: &wanted,
        weights: weights.as_deref(),
        tolerance: format.tolerance(),
        nan_if_invalid: input.once_in(2),
    };
    let members: Members<'_, T> = layout.members(format);
    let mut out = vec![vec![T::ZERO; members.rows()]; wanted.len()];
    let slices = out.iter_mut().map(Vec::as_mut_slice).collect();
    let got = committee_scores(&members, &request, slices, input.par());
    let mut choices = vec![vec![0; members.rows()]; m];
    let slices = choices.iter_mut().map(Vec::as_mut_slice).collect();
    let got_votes = votes(&members, &request, slices, input.par());

    let Some(shares) = shares(weights.as_deref(), m).filter(|_| m > 0 && c > 0) else {
        assert!(matches!(got, Err(Error::Shape { .. })), "{got:?}");
        return assert!(matches!(got_votes, Err(Error::Shape { .. })), "{got_votes:?}");
    };
    let row = |member: usize, i: usize| -> Vec<f64> {
        (0..c).map(|j| layout.float([member, i, j], format)).collect()
    };
    let fault = |member: usize, i: usize| !is_distribution(&row(member, i), request.tolerance);
    let first_fault = |i: usize| (0..m).find(|&member| shares[member] > 0.0 && fault(member, i));
    let any_fault = |i: usize| (0..m).find(|&member| fault(member, i));
    let is_whole = told(&got, n, request.nan_if_invalid, first_fault);
    let are_whole = told(&got_votes, n, request.nan_if_invalid, any_fault);
    for i in 0..n {
        let rows: Vec<Vec<f64>> = (0..m).map(|member| row(member, i)).collect();
        if is_whole {
            for (score, out) in wanted.iter().zip(&out) {
                let expected =
                    if first_fault(i).is_some() { f64::NAN } else { formula(*score, &rows, &shares) };
                let (relative, absolute) = if bytes == 4 { (2e-5, 1e-6) } else { (1e-10, 1e-13) };
                near(out[i], expected, relative * expected.abs() + absolute, score.name());
            }
        }
        for (choices, row) in choices.iter().zip(&rows).filter(|_| are_whole) {
            let expected = if any_fault(i).is_some() { -1 } else { choice(row) as i64 };
            assert_eq!(choices[i], expected);
        }
    }
}

/// Checks what a call told about rows that are not valid; whether there are answers to compare.
fn told(
    got: &Result<(), Error>,
    n: usize,
    nan_if_invalid: bool,
    fault: impl Fn(usize) -> Option<usize>,
) -> bool {
    match ((0..n).find_map(|i| fault(i).map(|member| (i, member))), got) {
        (Some((i, first)), Err(Error::Row { row, member, .. })) if !nan_if_invalid => {
            assert_eq!((*row, *member), (i, Some(first)));
            false
        }
        (first, Ok(())) if nan_if_invalid || first.is_none() => true,
        (first, got) => panic!("the first that is not valid is {first:?}, got {got:?}"),
    }
}

/// The first of the largest.
fn choice(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, j| if row[j] > row[best] { j } else { best })
}

fn formula(score: CommitteeScore, rows: &[Vec<f64>], shares: &[f64]) -> f64 {
    use CommitteeScore as C;
    let c = rows[0].len();
    let present: Vec<usize> = (0..rows.len()).filter(|&i| shares[i] > 0.0).collect();
    // About the first member, so that members that agree are their consensus to the bit.
    let first = &rows[present[0]];
    let excess = |i: usize, j: usize| rows[i][j] - first[j];
    let rest: Vec<f64> = (0..c).map(|j| present.iter().map(|&i| shares[i] * excess(i, j)).sum()).collect();
    let q: Vec<f64> = (0..c).map(|j| first[j] + rest[j]).collect();
    let divergence = |&i: &usize| -> f64 {
        let term = |j: usize| match (rows[i][j], q[j]) {
            (_, q) if q <= 0.0 => 0.0,
            (p, q) if p <= 0.0 => q,
            (p, q) => q * phi((excess(i, j) - rest[j]) / q, p / q),
        };
        (0..c).map(term).sum::<f64>().max(0.0)
    };
    let mut sorted = q.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let second = sorted.get(1).copied().unwrap_or(0.0);
    let mut by_class = vec![0.0; c];
    present.iter().for_each(|&i| by_class[choice(&rows[i])] += shares[i]);
    let entropy = |p: &[f64]| p.iter().map(|&p| if p > 0.0 { -p * p.ln() } else { 0.0 }).sum::<f64>();
    match score {
        C::Bald => present.iter().map(|i| shares[*i] * divergence(i)).sum(),
        C::MaxDisagreement => present.iter().map(divergence).fold(0.0, f64::max),
        C::ConsensusEntropy => entropy(&q),
        C::ConsensusMargin => (1.0 - sorted[0]) + second,
        C::ConsensusLeastConfidence => 1.0 - sorted[0],
        C::VoteEntropy => entropy(&by_class),
        C::VariationRatio => 1.0 - by_class.iter().copied().fold(0.0, f64::max),
    }
}

/// u ln u − u + 1 for u = 1 + x, by its series where that cancels.
fn phi(x: f64, u: f64) -> f64 {
    if x.abs() > 1e-2 {
        return u * u.ln() - u + 1.0;
    }
    (2..12).map(|k| (-x).powi(k) / f64::from(k * (k - 1))).sum()
}

fn variance<T: Real>(input: &mut Input<'_>, bytes: usize) {
    let (m, n) = (input.up_to(12), input.up_to(60));
    let format = Format::draw(input, bytes);
    let mut layout = Layout::draw(input, [m, n, 1], format.size);
    let (offset, scale) = (input.one_of(&[0.0, 1.0, -1e3]), input.one_of(&[1.0, 1e-3, 0.0]));
    let wild = input.once_in(8);
    for at in layout.places() {
        let any = wild && input.once_in(16);
        let value = if any { input.any_float() } else { offset + scale * input.share() };
        layout.put_float(at, value, format);
    }
    let weights = input.weights(m);
    let mut out = vec![T::ZERO; if m == 0 { 0 } else { n }];
    let got = ensemble_variance(&layout.members(format), weights.as_deref(), &mut out, input.par());

    let Some(shares) = shares(weights.as_deref(), m).filter(|_| m > 0) else {
        return assert!(matches!(got, Err(Error::Shape { .. })), "{got:?}");
    };
    let value = |member: usize, i: usize| layout.float([member, i, 0], format);
    let bad = (0..n).flat_map(|i| (0..m).map(move |member| (i, member)));
    let bad = bad.filter(|&(_, member)| T::from_f64(shares[member]) > T::ZERO);
    let bad = bad.map(|(i, member)| (i, member, value(member, i))).find(|(_, _, value)| !value.is_finite());
    let largest = |i: usize| (0..m).map(|member| value(member, i).abs()).fold(0.0, f64::max);
    if let Err(Error::Row { row, member: None, fault: Fault::Overflow, .. }) = got {
        // The squares of nothing smaller overflow, and no row before it is bad.
        assert!(largest(row) > 1e15, "{row}");
        return assert!(bad.is_none_or(|(first, ..)| first > row), "{row}");
    }
    if let Some((row, member, _)) = bad {
        let right = |error: &Error| matches!(error, Error::Row { row: r, member: Some(i), fault: Fault::NotFinite { .. }, .. } if (*r, *i) == (row, member));
        return assert!(got.as_ref().is_err_and(right), "{got:?}");
    }
    assert_eq!(got, Ok(()));
    for (i, &got) in out.iter().enumerate() {
        let present = || (0..m).map(|member| (value(member, i), shares[member])).filter(|(_, w)| *w > 0.0);
        let base = present().next().map_or(0.0, |(y, _)| y);
        let mean: f64 = present().map(|(y, w)| w * (y - base)).sum();
        let expected: f64 = present().map(|(y, w)| w * ((y - base) - mean).powi(2)).sum();
        // What is near overflowing is another question.
        if largest(i) < 1e15 {
            near(got, expected, 1e3 * T::EPSILON.to_f64() * expected + 1e-40, "variance");
        }
    }
}
