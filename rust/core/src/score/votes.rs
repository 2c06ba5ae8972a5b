//! Scores of the votes of a committee: vote entropy −Σ (v/M) ln (v/M) (Dagan & Engelson 1995) and variation ratio
//! 1 − max v / M (Freeman 1965), over the M votes that were given.
//!
//! No table of classes is kept. Of 64 rows, a byte each, the votes of one member are compared with those of
//! all members before it: t, how often the class had already been chosen. A class with v votes gives t = 0,
//! …, v − 1, so that the number of votes with t = v − 1, less those with t = v, is the number of classes with
//! exactly v votes, and the entropy is a sum over v of that number times a constant: no class is counted, and
//! no logarithm taken. 10 members, 10 classes: 400 byte operations for 64 rows, where counting touches 10
//! counters a row.
//!
//! Where rows are many and members few, how often a row's votes had been chosen before is added up to a byte
//! that tells all, and is looked up (`partitions.rs`): 10 members then take two thirds of these operations, and
//! a fifth of the floating-point ones.
//!
//! Votes that are not bytes are first made bytes (`votes/bytes.rs`); where one is no class, or members have weights,
//! or there are more than 254, a row at a time is sorted. Up to 64 members sorting takes 20 times as long or more,
//! and of 254 still four times.

use fearless_simd::prelude::*;
use fearless_simd::{Simd, u8x16, u8x64};

use super::committee::normalised;
use super::partitions::{Agreeing, Partitions};
use super::{CommitteeScore, Pieces};
use crate::error::{Error, Fault};
use crate::pool::Par;
use crate::rows::integers::Integers;
use crate::simd::{Kernel, dispatch};

mod bytes;

use bytes::bytes;

/// Rows that a thread takes at a time, of at most so many votes: the clock is looked at in between.
const STEP: usize = 1 << 12;
const VOTES: usize = 1 << 20;

/// Rows that are compared at once.
const LANES: usize = 64;

/// Members up to which all are compared with all: their numbers are bytes, and one byte is left for no vote.
const FEW: usize = 254;

/// Rows from which on it pays to find bytes for partitions.
const MANY: usize = 1 << 12;

/// What is asked of votes.
#[derive(Debug, Clone, Copy)]
pub struct VoteRequest<'a> {
    /// Which scores: [`CommitteeScore::VoteEntropy`] or [`CommitteeScore::VariationRatio`].
    pub scores: &'a [CommitteeScore],
    /// Votes must be 0 to this less 1, if given.
    pub n_classes: Option<usize>,
    /// The vote that is none.
    pub missing: i64,
    /// One for each member, not negative, not all 0; a member of weight 0 is not there. None: all the same.
    pub weights: Option<&'a [f64]>,
}

/// Scores every row of votes, a row of `votes` for each member: `out[s][i]` becomes score s of item i. O(n m²) byte
/// operations, 64 at once, for up to 254 members; O(n m log m) beyond.
///
/// # Errors
/// [`Error::Row`] for a vote that is no class, and an item without a vote; [`Error::Shape`] for no member and
/// wrong weights or outputs; [`Error::Stopped`].
pub fn vote_scores(
    votes: &Integers<'_>,
    request: &VoteRequest<'_>,
    out: Vec<&mut [f64]>,
    par: Par<'_>,
) -> Result<(), Error> {
    let (m, n) = votes.shape();
    if m == 0 {
        return Err(Error::shape("votes", &"at least one member", &"none"));
    }
    for out in &out {
        Error::unless_long(out.len(), n)?;
    }
    let weights = if request.weights.is_some() { normalised(request.weights, m)? } else { vec![1.0; m] };
    let plain = request.weights.is_none() && m <= FEW;
    let looked_up = if plain && n >= MANY { LookedUp::of(m, request.scores) } else { None };
    let step = STEP.min((VOTES / m).next_multiple_of(LANES).max(LANES));
    let jobs = Pieces { rest: out, first: 0, step, n };
    par.run(jobs, n * m, Vec::new, |scratch, (first, mut out)| {
        let count = step.min(n - first);
        if plain && let Some((rows, missing)) = bytes(votes, request, first, count, scratch, par.level) {
            let bytes = Bytes { rows: &rows, missing, m, count, request, out: &mut out };
            let looked_up = looked_up.as_ref().filter(|known| known.any || missing.is_none());
            let without = match looked_up {
                Some(known) => dispatch(par.level, Looking { bytes, known }),
                None => dispatch(par.level, bytes),
            };
            return match without {
                None => Ok(()),
                Some(row) => Err(bad(first + row, None, Fault::NoVote)),
            };
        }
        let mut room = Default::default();
        (0..count)
            .try_for_each(|row| one_row(votes, request, &weights, (first + row, row), &mut room, &mut out))
    })?;
    Ok(())
}

fn bad(row: usize, member: Option<usize>, fault: Fault) -> Error {
    Error::Row { argument: "votes", row, member, fault }
}

/// One item, its votes sorted.
fn one_row(
    votes: &Integers<'_>,
    request: &VoteRequest<'_>,
    weights: &[f64],
    (item, row): (usize, usize),
    (given, classes): &mut (Vec<(u64, f64)>, Vec<f64>),
    out: &mut [&mut [f64]],
) -> Result<(), Error> {
    given.clear();
    let missing = i128::from(request.missing);
    for (i, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        let Some(vote) = votes.get(i, item).filter(|&vote| vote != missing) else { continue };
        if let Some(n_classes) = request.n_classes
            && !usize::try_from(vote).is_ok_and(|vote| vote < n_classes)
        {
            return Err(bad(item, Some(i), Fault::NotAClass { vote, n_classes }));
        }
        // All are of one width: the low bits tell them apart.
        given.push((low_bits(vote), weight));
    }
    if given.is_empty() {
        return Err(bad(item, None, Fault::NoVote));
    }
    // Stable: of one class, members keep their order, and so the sum its bits.
    given.sort_by_key(|&(vote, _)| vote);
    classes.clear();
    classes.extend(given.chunk_by(|a, b| a.0 == b.0).map(|class| class.iter().map(|&(_, w)| w).sum::<f64>()));
    // By size, and those of one size at once, as the kernels take them: the same bits.
    classes.sort_unstable_by(f64::total_cmp);
    let (all, largest) = (classes.iter().sum::<f64>(), classes[classes.len() - 1]);
    for (score, out) in request.scores.iter().zip(out) {
        out[row] = if *score == CommitteeScore::VariationRatio {
            (all - largest) / all
        } else {
            let alike = classes.chunk_by(|a, b| a.total_cmp(b).is_eq());
            let term = |alike: &[f64]| {
                let share = alike[0] / all;
                alike.len() as f64 * (-share * share.ln())
            };
            alike.map(term).fold(0.0, |sum, term| sum + term)
        };
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low bits are wanted")]
fn low_bits(vote: i128) -> u64 {
    vote as u64
}

/// The kernel: scores a block of bytes; the first row without a vote, if there is one.
struct Bytes<'a, 'b> {
    rows: &'a [&'a [u8]],
    missing: Option<u8>,
    m: usize,
    count: usize,
    request: &'a VoteRequest<'a>,
    out: &'a mut [&'b mut [f64]],
}

impl Kernel for Bytes<'_, '_> {
    type Output = Option<usize>;
    const WIDE: bool = false;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<usize> {
        let terms = Terms::of(self.m, self.missing);
        let mut votes = [u8x64::splat(simd, 0); FEW];
        let (mut earlier, mut exactly) = ([[0_u8; LANES]; FEW], [[0_u8; LANES]; FEW + 1]);
        for first in (0..self.count).step_by(LANES) {
            let lanes = LANES.min(self.count - first);
            let items = first..first + lanes;
            let given = count_earlier(simd, self.rows, self.missing, items, &mut votes, &mut earlier);
            if let Some(lane) = given[..lanes].iter().position(|&given| given == 0) {
                return Some(first + lane);
            }
            let most = count_classes(simd, self.m, &earlier, &mut exactly);
            for (score, out) in self.request.scores.iter().zip(&mut *self.out) {
                let out = &mut out[first..first + lanes];
                match score {
                    CommitteeScore::VariationRatio => variation_ratio(&given, &most, out),
                    _ => terms.entropy(&given, &exactly, out),
                }
            }
        }
        None
    }
}

/// For each member, how many before it chose the same class: 255 if it gave no vote. Returns how many gave one.
#[inline(always)]
fn count_earlier<S: Simd>(
    simd: S,
    rows: &[&[u8]],
    missing: Option<u8>,
    items: std::ops::Range<usize>,
    votes: &mut [u8x64<S>; FEW],
    earlier: &mut [[u8; LANES]; FEW],
) -> [u8; LANES] {
    let (zero, one, none) = (u8x64::splat(simd, 0), u8x64::splat(simd, 1), u8x64::splat(simd, u8::MAX));
    let mut given = zero;
    for (i, row) in rows.iter().enumerate() {
        let (vote, mut count) = one_more(simd, &row[items.clone()], &votes[..i]);
        votes[i] = vote;
        match missing {
            Some(missing) => {
                let no_vote = vote.simd_eq(u8x64::splat(simd, missing));
                count = no_vote.select(none, count);
                given += no_vote.select(zero, one);
            }
            None => given += one,
        }
        count.store_slice(&mut earlier[i]);
    }
    let mut counts = [0; LANES];
    given.store_slice(&mut counts);
    counts
}

/// The votes of one more member, and how many earlier ones each agrees with.
#[inline(always)]
fn one_more<S: Simd>(simd: S, row: &[u8], votes: &[u8x64<S>]) -> (u8x64<S>, u8x64<S>) {
    let vote = if row.len() == LANES {
        u8x64::from_slice(simd, row)
    } else {
        let mut padded = [0; LANES];
        padded[..row.len()].copy_from_slice(row);
        u8x64::from_slice(simd, &padded)
    };
    let (zero, one) = (u8x64::splat(simd, 0), u8x64::splat(simd, 1));
    let mut count = zero;
    for earlier in votes {
        count += vote.simd_eq(*earlier).select(one, zero);
    }
    (vote, count)
}

/// The scores of every partition, at its byte.
struct LookedUp {
    of_vote: [u8; 16],
    scores: Vec<[f64; 256]>,
    /// Whether votes may be missing.
    any: bool,
}

impl LookedUp {
    /// For m members, if so many have bytes.
    fn of(m: usize, scores: &[CommitteeScore]) -> Option<Self> {
        let (any, partitions) =
            [true, false].into_iter().find_map(|any| Some((any, Partitions::of(m, any)?)))?;
        let terms = Terms::of(m, any.then_some(0));
        let score = |score: &CommitteeScore| {
            let mut values = [0.0; 256];
            for partition in &partitions.all {
                values[usize::from(partitions.byte(partition))] = match score {
                    CommitteeScore::VariationRatio => {
                        let most = partition.iter().filter(|&&votes| votes > 0).count();
                        let given = partition.iter().sum();
                        ratio(given, low_byte(most))
                    }
                    _ => terms.of_partition(partition),
                };
            }
            values
        };
        Some(Self { of_vote: partitions.of_vote, scores: scores.iter().map(score).collect(), any })
    }
}

/// The kernel that looks scores up.
struct Looking<'a, 'b> {
    bytes: Bytes<'a, 'b>,
    known: &'a LookedUp,
}

impl Kernel for Looking<'_, '_> {
    type Output = Option<usize>;
    const WIDE: bool = false;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<usize> {
        let Bytes { rows, missing, m, count, out, .. } = self.bytes;
        let (zero, behind) = (u8x64::splat(simd, 0), u8x64::splat(simd, 15));
        let of_vote = u8x64::block_splat(u8x16::from_slice(simd, &self.known.of_vote));
        let mut votes = [zero; FEW];
        for first in (0..count).step_by(LANES) {
            let lanes = LANES.min(count - first);
            let mut sums = zero;
            for i in 0..m {
                let (vote, mut count) = one_more(simd, &rows[i][first..first + lanes], &votes[..i]);
                votes[i] = vote;
                if let Some(missing) = missing {
                    count = vote.simd_eq(u8x64::splat(simd, missing)).select(behind, count);
                }
                sums += of_vote.swizzle_dyn_within_blocks(count);
            }
            let mut partitions = [0; LANES];
            sums.store_slice(&mut partitions);
            if let Some(lane) = partitions[..lanes].iter().position(|&partition| partition == 0) {
                return Some(first + lane);
            }
            for (values, out) in self.known.scores.iter().zip(&mut *out) {
                for (out, &partition) in out[first..first + lanes].iter_mut().zip(&partitions) {
                    *out = values[usize::from(partition)];
                }
            }
        }
        None
    }
}

/// For each v, how many classes have exactly v votes. Returns the votes of the class that has the most.
#[inline(always)]
fn count_classes<S: Simd>(
    simd: S,
    m: usize,
    earlier: &[[u8; LANES]; FEW],
    exactly: &mut [[u8; LANES]; FEW + 1],
) -> [u8; LANES] {
    let (zero, one) = (u8x64::splat(simd, 0), u8x64::splat(simd, 1));
    // From the most votes down: classes with more than v votes are known when those with v are counted.
    let (mut more, mut most) = (zero, zero);
    for v in (1..=m).rev() {
        let mut at_least = zero;
        // A vote with v − 1 before it is not among the first v − 1.
        for t in &earlier[v - 1..m] {
            let same = u8x64::from_slice(simd, t).simd_eq(u8x64::splat(simd, low_byte(v - 1)));
            at_least += same.select(one, zero);
        }
        most = most.max(at_least.simd_gt(zero).select(u8x64::splat(simd, low_byte(v)), zero));
        (at_least - more).store_slice(&mut exactly[v]);
        more = at_least;
    }
    let mut votes = [0; LANES];
    most.store_slice(&mut votes);
    votes
}

/// A number below 256.
#[expect(clippy::cast_possible_truncation, reason = "up to 254 members")]
pub(super) fn low_byte(number: usize) -> u8 {
    number as u8
}

#[inline(always)]
fn variation_ratio(given: &[u8; LANES], most: &[u8; LANES], out: &mut [f64]) {
    for ((out, &given), &most) in out.iter_mut().zip(given).zip(most) {
        *out = ratio(given, most);
    }
}

#[inline(always)]
fn ratio(given: u8, most: u8) -> f64 {
    f64::from(given - most) / f64::from(given)
}

/// −(v/M) ln (v/M) for every number of votes M that a row can have and every v: what a class with v of them adds.
struct Terms {
    of: Vec<f64>,
    m: usize,
    /// Whether every row has m votes.
    complete: bool,
}

impl Terms {
    fn of(m: usize, missing: Option<u8>) -> Self {
        let mut of = vec![0.0; (m + 1) * (m + 1)];
        for given in if missing.is_some() { 1..=m } else { m..=m } {
            for v in 1..given {
                let share = v as f64 / given as f64;
                of[given * (m + 1) + v] = -share * share.ln();
            }
        }
        Self { of, m, complete: missing.is_none() }
    }

    /// Of one row, in the same order.
    fn of_partition(&self, partition: &Agreeing) -> f64 {
        let given: u8 = partition.iter().sum();
        let term = |v: usize| {
            let classes = partition[v - 1] - partition[v];
            f64::from(classes) * self.of[usize::from(given) * (self.m + 1) + v]
        };
        (1..self.m).map(term).fold(0.0, |sum, term| sum + term)
    }

    #[inline(always)]
    fn entropy(&self, given: &[u8; LANES], exactly: &[[u8; LANES]; FEW + 1], out: &mut [f64]) {
        let mut sums = [0.0; LANES];
        for (v, exactly) in exactly.iter().enumerate().take(self.m).skip(1) {
            let last = self.of[self.m * (self.m + 1) + v];
            for ((sum, &classes), &given) in sums.iter_mut().zip(exactly).zip(given) {
                let term = if self.complete { last } else { self.of[usize::from(given) * (self.m + 1) + v] };
                *sum += f64::from(classes) * term;
            }
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
}
