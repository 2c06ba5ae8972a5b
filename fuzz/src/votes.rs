//! Votes of any integers against counting them.

use std::collections::BTreeMap;

use querist_core::error::{Error, Fault};
use querist_core::score::{CommitteeScore, VoteRequest, vote_scores};

use crate::close::near;
use crate::input::{Input, shares};
use crate::layout::Layout;

const SCORES: [CommitteeScore; 2] = [CommitteeScore::VoteEntropy, CommitteeScore::VariationRatio];

/// `vote_scores` of any width, sign, byte order and strides, with missing votes and weights.
pub fn votes(data: &[u8]) {
    let input = &mut Input::new(data);
    let m = if input.once_in(8) { input.up_to(80) } else { input.up_to(8) };
    let n = if input.once_in(64) { 4090 + input.up_to(100) } else { input.up_to(150) };
    let size = input.one_of(&[1, 1, 2, 4, 8]);
    let (swapped, signed) = (input.once_in(4), input.once_in(2));
    let mut layout = Layout::draw(input, [1, m, n], size);
    let classes = input.one_of(&[1, 2, 3, 10, 300]);
    let missing = input.one_of(&[-1, 0, 255, 7, i64::MAX, i64::MIN]);
    let wild = if input.once_in(4) { input.one_of(&[2, 50, 1000]) } else { usize::MAX };
    for at in layout.places() {
        let rare = wild != usize::MAX && input.once_in(wild);
        let vote = match (rare, input.up_to(15)) {
            (true, _) => input.bits() as i64,
            (false, 0) => missing,
            _ => input.up_to(classes - 1) as i64,
        };
        layout.put_integer(at, vote, swapped);
    }
    let n_classes = input.once_in(2).then(|| if input.once_in(8) { 1 + input.up_to(300) } else { classes });
    let weights = input.weights(m);
    let request = VoteRequest { scores: &SCORES, n_classes, missing, weights: weights.as_deref() };
    let (mut entropy, mut ratio) = (vec![0.0; n], vec![0.0; n]);
    let given = layout.integers(swapped, signed);
    let got = vote_scores(&given, &request, vec![&mut entropy, &mut ratio], input.par());

    let Some(shares) = shares(weights.as_deref(), m).filter(|_| m > 0) else {
        return assert!(matches!(got, Err(Error::Shape { .. })), "{got:?}");
    };
    for j in 0..n {
        match count(&layout, (swapped, signed), &request, &shares, j) {
            Err((member, fault)) => {
                return assert_eq!(got, Err(Error::Row { argument: "votes", row: j, member, fault }));
            }
            Ok(counts) if got.is_ok() => {
                let all: f64 = counts.values().sum();
                let most = counts.values().copied().fold(0.0, f64::max);
                let expected: f64 = counts.values().map(|v| -(v / all) * (v / all).ln()).sum();
                near(entropy[j], expected, 1e-13 * (1.0 + expected), "vote entropy");
                near(ratio[j], (all - most) / all, 1e-14, "variation ratio");
                // Unanimous votes are certain to the bit.
                assert!(counts.len() > 1 || (entropy[j].to_bits(), ratio[j].to_bits()) == (0, 0));
            }
            Ok(_) => {}
        }
    }
    assert_eq!(got, Ok(()));
}

/// The weight of each class among the votes for an item, or what is wrong with it.
fn count(
    layout: &Layout,
    (swapped, signed): (bool, bool),
    request: &VoteRequest<'_>,
    shares: &[f64],
    item: usize,
) -> Result<BTreeMap<i128, f64>, (Option<usize>, Fault)> {
    let mut counts = BTreeMap::new();
    for (i, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let vote = layout.integer([0, i, item], swapped, signed);
        if vote == i128::from(request.missing) {
            continue;
        }
        if let Some(n_classes) = request.n_classes
            && !usize::try_from(vote).is_ok_and(|vote| vote < n_classes)
        {
            return Err((Some(i), Fault::NotAClass { vote, n_classes }));
        }
        *counts.entry(vote).or_insert(0.0) += share;
    }
    if counts.is_empty() { Err((None, Fault::NoVote)) } else { Ok(counts) }
}
