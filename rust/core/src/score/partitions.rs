//! A byte for each way in which a committee can be divided over the classes.
//!
//! What a score of votes is depends on the sizes of the groups that agree alone: a partition of the number of
//! votes, of which there are 42 for 10. A vote that t earlier ones agree with adds `of_vote[t]`, and the sum is
//! the partition's byte: another for each. Such numbers are searched for, t by t, as a partition without a
//! group of more than t is known by then; the first choice is mostly right, and 10 members take some 240 tries.

/// Votes up to which partitions have bytes, also where any of the votes may be missing.
pub(super) const ANY: usize = 10;

/// Votes up to which they have where all are given.
pub(super) const WHOLE: usize = 14;

/// For t = 0, 1, …: how many votes are given that t earlier ones agree with. These never rise, and what a step
/// falls by is the number of groups that end there.
pub(super) type Agreeing = [u8; 16];

/// Partitions and their bytes, none of which is 0.
pub(super) struct Partitions {
    /// What a vote that t earlier ones agree with adds, 0 behind the last.
    pub(super) of_vote: [u8; 16],
    /// All partitions.
    pub(super) all: Vec<Agreeing>,
}

impl Partitions {
    /// Of m votes, or of up to m of them.
    pub(super) fn of(m: usize, any: bool) -> Option<Self> {
        if m > if any { ANY } else { WHOLE } {
            return None;
        }
        let mut all = Vec::new();
        for given in if any { 1..=m } else { m..=m } {
            divide(given, given, 0, &mut [0; 16], &mut all);
        }
        let mut of_vote = [0; 16];
        let mut taken = [false; 256];
        taken[0] = true;
        all.sort_by_key(|partition| partition.iter().filter(|&&votes| votes > 0).count());
        search(0, &all, &taken, &mut of_vote).then_some(Self { of_vote, all })
    }

    /// The byte of a partition.
    pub(super) fn byte(&self, partition: &Agreeing) -> u8 {
        sum(&self.of_vote, partition)
    }
}

fn sum(of_vote: &[u8], partition: &Agreeing) -> u8 {
    let terms = of_vote.iter().zip(partition).map(|(byte, times)| byte.wrapping_mul(*times));
    terms.fold(0, u8::wrapping_add)
}

/// All ways to go on from t with so many votes left, no step above the last one.
fn divide(left: usize, last: usize, t: usize, partition: &mut Agreeing, all: &mut Vec<Agreeing>) {
    if left == 0 {
        return all.push(*partition);
    }
    for votes in 1..=left.min(last) {
        partition[t] = super::votes::low_byte(votes);
        divide(left - votes, votes, t + 1, partition, all);
    }
    partition[t] = 0;
}

/// Finds what votes add from t on. Partitions come in the order of their largest groups: those without one of
/// more than t votes have the bytes that are taken.
fn search(t: usize, partitions: &[Agreeing], taken: &[bool; 256], of_vote: &mut [u8; 16]) -> bool {
    let (here, rest) = partitions.split_at(partitions.partition_point(|partition| partition[t + 1] == 0));
    let found = |byte| {
        of_vote[t] = byte;
        let mut taken = *taken;
        let mut bytes = here.iter().map(|partition| usize::from(sum(&of_vote[..=t], partition)));
        bytes.all(|byte| !std::mem::replace(&mut taken[byte], true))
            && (rest.is_empty() || search(t + 1, rest, &taken, of_vote))
    };
    (0..=u8::MAX).any(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_a_byte_of_its_own() {
        let numbers = [1, 1, 2, 3, 5, 7, 11, 15, 22, 30, 42, 56, 77, 101, 135];
        for any in [false, true] {
            for m in 1..=if any { ANY } else { WHOLE } {
                let partitions = Partitions::of(m, any).unwrap();
                let all = partitions.all.iter().map(|partition| partitions.byte(partition));
                let bytes: std::collections::BTreeSet<u8> = all.collect();
                let number = if any { numbers[1..=m].iter().sum() } else { numbers[m] };
                assert_eq!((partitions.all.len(), bytes.len()), (number, number));
                assert!(!bytes.contains(&0));
                assert!(partitions.of_vote[m..].iter().all(|&byte| byte == 0));
            }
        }
    }
}
