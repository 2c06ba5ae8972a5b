//! Scores of a committee's predictions: how much its members disagree on a row, and how uncertain their consensus is.
//!
//! * BALD = mean KL of the members to their consensus q = Σ w p = Jensen-Shannon divergence (Houlsby 2011, Lin 1991)
//! * max disagreement: the largest of these (McCallum & Nigam 1998 take the mean, modAL the largest)
//! * consensus entropy, margin, least confidence: the row scores of q
//! * vote entropy and variation ratio of the members' first choices (Dagan & Engelson 1995, Freeman 1965)
//!
//! All in one read, 16 rows at once, a row in each lane. H(q) − mean H(p) would be the cheapest way to BALD,
//! and cancels: in float32, for members that differ by 10^-4, its median relative error is 29. Here KL(p ‖ q)
//! = Σ q φ(p / q), φ(u) = u ln u − u + 1 ≥ 0, of which every term is relatively accurate, as p − q is
//! computed with what rounding left of q: q + q′ = p₁ + s, s = Σ w (p − p₁), so p − q − q′ of members that hardly differ
//! has its digits, and identical ones give exactly 0; and so has 1 − q where all are nearly certain. p₁ is that of
//! the heaviest member. Where it is far from q all the same, beside q or 1 − q, the sum is taken again around q.
//! Classes are taken in chunks, so that many of them do not leave the cache: first what is common to all members,
//! class by class, then member by member, so that its sums stay in registers (class by class all through, with a
//! sum for each member in memory, BALD took 1.35 times as long on a Xeon).

use std::ops::Range;

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::{BLOCK, Pieces, validity};
use crate::error::{Error, Fault};
use crate::members::{Block, Members};
use crate::pool::Par;
use crate::real::{Real, all_lanes};
use crate::row_sums::store;
use crate::simd::{Kernel, aligned, dispatch};
use crate::sum::Sum;

/// A committee score by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitteeScore {
    /// The mean KL divergence of the members to their consensus, in nats.
    Bald,
    /// The largest KL divergence of a member to the consensus, in nats.
    MaxDisagreement,
    /// Entropy of the consensus, in nats.
    ConsensusEntropy,
    /// 1 − (q₁ − q₂) of the consensus.
    ConsensusMargin,
    /// 1 − q₁ of the consensus.
    ConsensusLeastConfidence,
    /// Entropy of the members' first choices, in nats.
    VoteEntropy,
    /// 1 − the share of the most frequent first choice.
    VariationRatio,
}

impl CommitteeScore {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Bald,
        Self::MaxDisagreement,
        Self::ConsensusEntropy,
        Self::ConsensusMargin,
        Self::ConsensusLeastConfidence,
        Self::VoteEntropy,
        Self::VariationRatio,
    ];

    /// Its public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bald => "bald",
            Self::MaxDisagreement => "max_disagreement",
            Self::ConsensusEntropy => "consensus_entropy",
            Self::ConsensusMargin => "consensus_margin",
            Self::ConsensusLeastConfidence => "consensus_least_confidence",
            Self::VoteEntropy => "vote_entropy",
            Self::VariationRatio => "variation_ratio",
        }
    }

    /// The score of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|score| score.name() == name)
    }
}

/// What is asked of a committee.
#[derive(Debug, Clone, Copy)]
pub struct CommitteeRequest<'a> {
    /// The argument that holds the predictions, for errors.
    pub argument: &'static str,
    /// Which scores.
    pub scores: &'a [CommitteeScore],
    /// One for each member, not negative, not all 0; a member of weight 0 is not there. None: all the same.
    pub weights: Option<&'a [f64]>,
    /// How far Σp may be from 1, and p from [0, 1].
    pub tolerance: f64,
    /// Whether a row that is not valid scores NaN; otherwise it is an error.
    pub nan_if_invalid: bool,
}

/// How many times the smallest normal number a member's share of the weight must be.
const LIGHTEST: f64 = 4096.0;

/// Scores every row: `out[s][i]` becomes score s of row i. O(n m c), one read, no memory but a block for each thread.
///
/// # Errors
/// [`Error::Row`] names the first row that is not valid, unless such rows score NaN; [`Error::Shape`] for no
/// member, no class, weights or an output of another size; [`Error::Stopped`].
pub fn committee_scores<T: Real>(
    members: &Members<'_, T>,
    request: &CommitteeRequest<'_>,
    out: Vec<&mut [T]>,
    par: Par<'_>,
) -> Result<(), Error> {
    run(members, request, out, Vec::new(), par)
}

/// The first choice of each member: `out[i][r]` becomes the class that member i finds most likely for row r,
/// the lower one of two that tie.
///
/// # Errors
/// As [`committee_scores`]; a row that is not valid is an error, or has the vote −1.
pub fn votes<T: Real>(
    members: &Members<'_, T>,
    request: &CommitteeRequest<'_>,
    out: Vec<&mut [i64]>,
    par: Par<'_>,
) -> Result<(), Error> {
    run(members, request, Vec::new(), out, par)
}

fn run<T: Real>(
    members: &Members<'_, T>,
    request: &CommitteeRequest<'_>,
    out: Vec<&mut [T]>,
    votes: Vec<&mut [i64]>,
    par: Par<'_>,
) -> Result<(), Error> {
    let (n, c) = (members.rows(), members.width());
    let weights = normalised(request.weights, members.len())?;
    if members.is_empty() {
        return Err(Error::shape(request.argument, &"at least one member", &"none"));
    }
    if c == 0 {
        return Err(Error::shape(request.argument, &"at least one class", &"none"));
    }
    for length in out.iter().map(|out| out.len()).chain(votes.iter().map(|votes| votes.len())) {
        Error::unless_long(length, n)?;
    }
    // A member without weight is not there, whatever it predicts; nor is one so light that p / q might overflow.
    let lightest = T::TINY.to_f64() * LIGHTEST;
    let present: Vec<usize> = (0..members.len()).filter(|&i| weights[i] > lightest).collect();
    let all = present.len() == members.len() || !votes.is_empty();
    let members = if all { members.clone() } else { members.only(|i| weights[i] > lightest) };
    let weights: Vec<T> = weights.iter().filter(|&&w| all || w > lightest).map(|&w| T::from_f64(w)).collect();
    let heaviest = (0..weights.len()).fold(0, |best, i| if weights[i] > weights[best] { i } else { best });
    let step = (BLOCK / (members.len() * c)).next_multiple_of(T::LANES).max(T::LANES);
    let scores = Pieces { rest: out, first: 0, step, n };
    let votes = Pieces { rest: votes, first: 0, step, n };
    let start = || (Vec::new(), Vec::new());
    par.run(
        scores.zip(votes),
        n * members.len() * c,
        start,
        |(scratch, lanes), ((first, mut out), (_, mut votes))| {
            let block = members.read(first..first + step, scratch);
            let asked = Asked { request, weights: (&weights, heaviest), out: &mut out, votes: &mut votes };
            let faulty = dispatch(par.level, Committee { block: &block, asked, lanes });
            match faulty.first() {
                Some(&(row, member, fault)) if !request.nan_if_invalid => Err(Error::Row {
                    argument: request.argument,
                    row: first + row,
                    member: Some(if all { member } else { present[member] }),
                    fault,
                }),
                _ => Ok(()),
            }
        },
    )?;
    Ok(())
}

/// Weights of m members that sum to 1.
pub(super) fn normalised(weights: Option<&[f64]>, m: usize) -> Result<Vec<f64>, Error> {
    let Some(weights) = weights else { return Ok(vec![1.0 / m.max(1) as f64; m]) };
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let right = largest > 0.0 && weights.iter().all(|w| (0.0..f64::INFINITY).contains(w));
    if weights.len() != m || !right {
        return Err(Error::shape(
            "weights",
            &format_args!("{m} finite numbers, none negative and not all 0, one for each member"),
            &format_args!("{}, the largest {largest}", weights.len()),
        ));
    }
    // Only their ratios matter: with 1 for the largest their sum is finite.
    let total: f64 = weights.iter().map(|w| w / largest).sum();
    Ok(weights.iter().map(|w| w / largest / total).collect())
}

/// What is asked, and where it goes.
struct Asked<'a, 'b, T> {
    request: &'a CommitteeRequest<'a>,
    /// The members' weights, and which is the heaviest.
    weights: (&'a [T], usize),
    out: &'a mut [&'b mut [T]],
    votes: &'a mut [&'b mut [i64]],
}

/// The kernel: scores a block and lists the rows that are not valid, with their member.
struct Committee<'a, 'b, T> {
    block: &'a Block<'a, T>,
    asked: Asked<'a, 'b, T>,
    /// Room for lanes.
    lanes: &'a mut Vec<T>,
}

/// Lanes that are kept for each member: its KL divergence, and what rounding left of that; Σ p; its largest p and
/// the class of that.
const PER_MEMBER: usize = 5;

/// Places in what is kept of a member.
const KL: usize = 0;
const KL_LOW: usize = 1;
const TOTAL: usize = 2;
const LARGEST: usize = 3;
const CHOICE: usize = 4;

/// Lanes that are kept for each class of a chunk: q, 1 / q and q′.
const PER_CLASS: usize = 3;

/// Places in what is kept of a class.
const Q: usize = 0;
const INVERSE: usize = 1;
const LOW: usize = 2;

/// How many times q the distance of p₁ from q may be, and q still be computed from it.
const NEAR: f64 = 7.0;

impl<T: Real> Kernel for Committee<'_, '_, T> {
    type Output = Vec<(usize, usize, Fault)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Self { block, mut asked, lanes } = self;
        let room = block.room();
        let size = room + (block.m * PER_MEMBER + block.chunk * PER_CLASS + 1) * T::LANES;
        lanes.resize(size, T::ZERO);
        let (columns, kept) = aligned(lanes).split_at_mut(room);
        let wants = Wants::of(asked.request.scores, !asked.votes.is_empty());
        let mut faulty = Vec::new();
        for first in (0..block.count).step_by(T::LANES) {
            let rows = first..(first + T::LANES).min(block.count);
            let reading = Reading::<T, S>::of(simd, block, asked.weights, &wants, first, columns, kept);
            asked.put(simd, &reading, &wants, rows.clone());
            let suspects = reading.suspects(simd, asked.request.tolerance) & (u64::MAX >> (64 - rows.len()));
            if suspects != 0 {
                asked.look_closely(block, suspects, first, &mut faulty);
            }
        }
        faulty
    }
}

/// Which sums a request needs.
struct Wants {
    divergences: bool,
    consensus: Consensus,
    votes: bool,
}

/// What is wanted of the consensus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consensus {
    Nothing,
    Itself,
    Logarithm,
}

impl Wants {
    fn of(scores: &[CommitteeScore], votes: bool) -> Self {
        use CommitteeScore as C;
        let any = |wanted: &[C]| scores.iter().any(|score| wanted.contains(score));
        let divergences = any(&[C::Bald, C::MaxDisagreement]);
        let consensus = if any(&[C::ConsensusEntropy]) {
            Consensus::Logarithm
        } else if divergences || any(&[C::ConsensusMargin, C::ConsensusLeastConfidence]) {
            Consensus::Itself
        } else {
            Consensus::Nothing
        };
        Self { divergences, consensus, votes: votes || any(&[C::VoteEntropy, C::VariationRatio]) }
    }
}

/// What a reading of LANES rows leaves, a row in each lane.
struct Reading<'a, T: Real, S: Simd> {
    /// 1 − q₁ and q₂.
    doubt: T::Lanes<S>,
    q2: T::Lanes<S>,
    /// Σ q log2 q in the units of [`Real::log2`].
    q_log_q: Sum<T, S>,
    signs: <T::Lanes<S> as SimdFloat<S>>::Bits,
    /// For each member its [`PER_MEMBER`] lanes.
    members: &'a [T],
    weights: &'a [T],
    c: usize,
}

impl<'a, T: Real, S: Simd> Reading<'a, T, S> {
    #[inline(always)]
    fn of(
        simd: S,
        block: &Block<'_, T>,
        (weights, heaviest): (&'a [T], usize),
        wants: &Wants,
        first: usize,
        columns: &mut [T],
        kept: &'a mut [T],
    ) -> Self {
        let zero = T::splat(simd, T::ZERO);
        let (members, classes) = kept.split_at_mut(block.m * PER_MEMBER * T::LANES);
        members.fill(T::ZERO);
        let log2_e = T::splat(simd, T::ONE) / T::splat(simd, T::LN_2.0);
        let (mut q1, mut low1, mut q2, mut q_log_q) = (zero, zero, zero, Sum::<T, S>::new(simd));
        let mut signs = zero.to_bits();
        for start in (0..block.c).step_by(block.chunk) {
            let chunk = start..(start + block.chunk).min(block.c);
            block.turn(simd, first, chunk.clone(), columns);
            if wants.consensus != Consensus::Nothing {
                for (j, kept) in classes.chunks_exact_mut(PER_CLASS * T::LANES).take(chunk.len()).enumerate()
                {
                    let (q, low) = consensus(simd, block, weights, heaviest, j, columns);
                    low1 = q.simd_gt(q1).select(low, low1);
                    let another = q1.min(q);
                    q1 = q1.max(q);
                    q2 = q2.max(another);
                    if wants.consensus == Consensus::Logarithm {
                        let log2 = T::log2(simd, q);
                        // The derivative of q log2 q, times q′.
                        let rest = low.mul_add(log2 + log2_e, q_log_q.block);
                        q_log_q.block = q.mul_add(log2, rest);
                        q_log_q.close(simd);
                    }
                    if wants.divergences {
                        let inverse = T::splat(simd, T::ONE) / q.max(T::splat(simd, T::TINY));
                        put(kept, Q, q);
                        put(kept, INVERSE, inverse);
                        put(kept, LOW, low);
                    }
                }
            }
            for (i, kept) in members.chunks_exact_mut(PER_MEMBER * T::LANES).enumerate() {
                if start == 0 {
                    block.prefetch(first, i);
                }
                signs |= member::<T, S>(simd, block, i, chunk.clone(), columns, classes, kept, wants);
            }
        }
        let doubt = (T::splat(simd, T::ONE) - q1) - low1;
        Self { doubt, q2, q_log_q, signs, members, weights, c: block.c }
    }

    /// Lane `number` of what is kept of member i.
    #[inline(always)]
    fn kept(&self, simd: S, i: usize, number: usize) -> T::Lanes<S> {
        get(simd, self.members, i * PER_MEMBER + number)
    }

    /// The rows that must be looked at exactly, a bit each.
    #[inline(always)]
    fn suspects(&self, simd: S, tolerance: f64) -> u64 {
        let half = T::splat(simd, T::from_f64(tolerance / 2.0));
        let one = T::splat(simd, T::ONE);
        let mut bad = T::Lanes::<S>::from_bits(self.signs).is_sign_negative().to_bitmask();
        for i in 0..self.weights.len() {
            bad |= !(self.kept(simd, i, TOTAL) - one).abs().simd_le(half).to_bitmask();
        }
        bad & all_lanes::<T>()
    }

    /// The weight of each member's vote for a class.
    #[inline(always)]
    fn weight_of(&self, simd: S, class: usize) -> T::Lanes<S> {
        let (class, mut sum) = (T::splat(simd, T::from_f64(class as f64)), T::splat(simd, T::ZERO));
        for (i, &weight) in self.weights.iter().enumerate() {
            let same = self.kept(simd, i, CHOICE).simd_eq(class);
            sum += same.select(T::splat(simd, weight), T::splat(simd, T::ZERO));
        }
        sum
    }

    /// Vote entropy and variation ratio.
    #[inline(always)]
    fn of_votes(&self, simd: S) -> (T::Lanes<S>, T::Lanes<S>) {
        // Added up in the same order as the weight of a class: one that has all votes has a share of exactly 1.
        let (zero, mut all) = (T::splat(simd, T::ZERO), T::splat(simd, T::ZERO));
        for &weight in self.weights {
            all += T::splat(simd, weight);
        }
        let (mut largest, mut p_log_p) = (zero, Sum::<T, S>::new(simd));
        for class in 0..self.c {
            let weight = self.weight_of(simd, class);
            largest = largest.max(weight);
            let share = weight / all;
            p_log_p.block = share.mul_add(T::log2(simd, share), p_log_p.block);
            p_log_p.close(simd);
        }
        (entropy(simd, &p_log_p), (all - largest) / all)
    }
}

/// −Σ p log2 p in nats, never −0.
#[inline(always)]
fn entropy<T: Real, S: Simd>(simd: S, p_log_p: &Sum<T, S>) -> T::Lanes<S> {
    let (zero, ln_2) = (T::splat(simd, T::ZERO), T::splat(simd, T::LN_2.0));
    let small = (zero - p_log_p.low).mul_add(ln_2, (zero - p_log_p.high) * T::splat(simd, T::LN_2.1));
    zero + (zero - p_log_p.high).mul_add(ln_2, small)
}

/// The lanes at a place.
#[inline(always)]
fn get<T: Real, S: Simd>(simd: S, lanes: &[T], place: usize) -> T::Lanes<S> {
    T::load(simd, &lanes[place * T::LANES..(place + 1) * T::LANES])
}

/// Puts lanes at a place.
#[inline(always)]
fn put<T: Real, L: SimdBase<S, Element = T>, S: Simd>(lanes: &mut [T], place: usize, value: L) {
    value.store_slice(&mut lanes[place * T::LANES..(place + 1) * T::LANES]);
}

/// Columns from one on, some steps apart: without end, as far as the room goes.
#[inline(always)]
fn every<T: Real>(columns: &[T], from: usize, steps: usize) -> impl Iterator<Item = &[T]> {
    columns[from * T::LANES..].chunks_exact(steps * T::LANES).map(
        #[inline(always)]
        |column| &column[..T::LANES],
    )
}

/// q of one class, and q′.
#[inline(always)]
fn consensus<T: Real, S: Simd>(
    simd: S,
    block: &Block<'_, T>,
    weights: &[T],
    heaviest: usize,
    j: usize,
    columns: &[T],
) -> (T::Lanes<S>, T::Lanes<S>) {
    let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
    let members = || weights.iter().zip(every(columns, j * block.steps.1, block.steps.0));
    let first = get(simd, columns, heaviest * block.steps.0 + j * block.steps.1);
    let rest = mean_from(simd, first, members());
    let q = first + rest;
    let low = (first - q) + rest;
    // What the sum has rounded away counts beside q, or beside 1 − q.
    let far = rest.abs().simd_gt((q * T::splat(simd, T::from_f64(NEAR))).min(one - q));
    if far.any_true() {
        let rest = mean_from(simd, q, members());
        let again = q + rest;
        let low_again = (q - again) + rest;
        return (far.select(again, q).max(zero), far.select(low_again, low));
    }
    (q.max(zero), low)
}

/// The mean of p − a base.
#[inline(always)]
fn mean_from<'a, T: Real, S: Simd>(
    simd: S,
    base: T::Lanes<S>,
    members: impl Iterator<Item = (&'a T, &'a [T])>,
) -> T::Lanes<S> {
    let mut mean = T::splat(simd, T::ZERO);
    for (&weight, p) in members {
        mean = (T::load(simd, p) - base).mul_add(T::splat(simd, weight), mean);
    }
    mean
}

/// Adds the classes of a chunk to what is kept of a member; returns the signs it met.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a loop's body, apart")]
fn member<T: Real, S: Simd>(
    simd: S,
    block: &Block<'_, T>,
    i: usize,
    chunk: Range<usize>,
    columns: &[T],
    classes: &[T],
    kept: &mut [T],
    wants: &Wants,
) -> <T::Lanes<S> as SimdFloat<S>>::Bits {
    let every_class = || every(columns, i * block.steps.0, block.steps.1).take(chunk.len());
    let mut total = T::splat(simd, T::ZERO);
    let mut signs = total.to_bits();
    if wants.divergences {
        let mut kl = Sum::<T, S> { block: total, high: get(simd, kept, KL), low: get(simd, kept, KL_LOW) };
        let classes = classes.chunks_exact(PER_CLASS * T::LANES);
        for (p, class) in every_class().zip(classes) {
            let p = T::load(simd, p);
            total += p;
            signs |= p.to_bits();
            let (q, inverse, low) = (get(simd, class, Q), get(simd, class, INVERSE), get(simd, class, LOW));
            let excess = ((p - q) - low) * inverse;
            kl.block = q.mul_add(T::divergence(simd, p * inverse, excess), kl.block);
        }
        kl.close(simd);
        put(kept, KL, kl.high);
        put(kept, KL_LOW, kl.low);
    } else {
        for p in every_class() {
            let p = T::load(simd, p);
            total += p;
            signs |= p.to_bits();
        }
    }
    put(kept, TOTAL, total + get(simd, kept, TOTAL));
    if wants.votes {
        let (mut largest, mut choice) = (get(simd, kept, LARGEST), get(simd, kept, CHOICE));
        let mut class = T::splat(simd, T::from_f64(chunk.start as f64));
        for p in every_class() {
            let p = T::load(simd, p);
            choice = p.simd_gt(largest).select(class, choice);
            largest = p.max(largest);
            class += T::splat(simd, T::ONE);
        }
        put(kept, LARGEST, largest);
        put(kept, CHOICE, choice);
    }
    signs
}

impl<T: Real> Asked<'_, '_, T> {
    /// Puts the scores of a group of rows where they belong.
    #[inline(always)]
    fn put<S: Simd>(&mut self, simd: S, reading: &Reading<'_, T, S>, wants: &Wants, rows: Range<usize>) {
        use CommitteeScore as C;
        let (mut mean, mut largest) = (T::splat(simd, T::ZERO), T::splat(simd, T::ZERO));
        if wants.divergences {
            for (i, &weight) in self.weights.0.iter().enumerate() {
                // Rounding can take a tiny one below 0, which no divergence is.
                let kl =
                    (reading.kept(simd, i, KL) + reading.kept(simd, i, KL_LOW)).max(T::splat(simd, T::ZERO));
                mean = kl.mul_add(T::splat(simd, weight), mean);
                largest = largest.max(kl);
            }
        }
        let by_votes =
            self.request.scores.iter().any(|score| matches!(score, C::VoteEntropy | C::VariationRatio));
        let (vote_entropy, variation) = if by_votes { reading.of_votes(simd) } else { (mean, mean) };
        for (score, out) in self.request.scores.iter().zip(&mut *self.out) {
            let value = match score {
                C::Bald => mean,
                C::MaxDisagreement => largest,
                C::ConsensusEntropy => entropy(simd, &reading.q_log_q),
                C::ConsensusMargin => reading.doubt + reading.q2,
                C::ConsensusLeastConfidence => reading.doubt,
                C::VoteEntropy => vote_entropy,
                C::VariationRatio => variation,
            };
            store(value, &mut out[rows.clone()]);
        }
        for (i, out) in self.votes.iter_mut().enumerate() {
            let choice = reading.kept(simd, i, CHOICE);
            for (out, choice) in out[rows.clone()].iter_mut().zip(choice.as_slice()) {
                *out = class_of(choice.to_f64());
            }
        }
    }

    /// Looks exactly at the rows that the quick test, which is a little strict, has stopped.
    #[cold]
    #[inline(never)]
    fn look_closely(
        &mut self,
        block: &Block<'_, T>,
        suspects: u64,
        first: usize,
        faulty: &mut Vec<(usize, usize, Fault)>,
    ) {
        for row in (0..T::LANES).filter(|lane| suspects >> lane & 1 == 1).map(|lane| first + lane) {
            let fault = |member| {
                let fault = validity::probabilities(&block.row(member, row), self.request.tolerance);
                fault.map(|fault| (row, member, fault))
            };
            if let Some(found) = (0..block.m).find_map(fault) {
                faulty.push(found);
                for out in &mut *self.out {
                    out[row] = T::NAN;
                }
                for out in &mut *self.votes {
                    out[row] = -1;
                }
            }
        }
    }
}

/// A class that was kept as a float.
#[expect(clippy::cast_possible_truncation, reason = "a whole number up to 2^53")]
fn class_of(choice: f64) -> i64 {
    choice as i64
}
