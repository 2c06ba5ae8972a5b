//! Which rows can be picked: those that are available, and of each group at most so many.
//!
//! Greedy picks under such quotas stay greedy: a group that is full is closed, and the picks go on among the others.

use super::Picks;
use crate::error::Error;

/// The rows that can be picked.
#[derive(Debug, Clone, Default)]
pub struct Open<'a> {
    available: Option<&'a [u8]>,
    groups: Option<Groups<'a>>,
    /// The rows of each group, known from the first time that one is full.
    members: Option<Members>,
}

/// The group of each row, and how many more rows of each group can be picked.
#[derive(Debug, Clone)]
pub struct Groups<'a> {
    /// For each row a place in `left`.
    pub of: &'a [u32],
    /// For each group.
    pub left: Vec<usize>,
}

impl<'a> Open<'a> {
    /// `available` has one byte a row, not 0 where it may be picked; nothing means all.
    #[must_use]
    pub fn new(available: Option<&'a [u8]>, groups: Option<Groups<'a>>) -> Self {
        Self { available, groups, members: None }
    }

    /// What is available, whatever the quotas.
    pub(crate) fn mask(&self) -> Option<&'a [u8]> {
        self.available
    }

    /// Whether a row can be picked now.
    pub(crate) fn can(&self, row: usize) -> bool {
        self.is_available(row)
            && self.groups.as_ref().is_none_or(|groups| groups.left[groups.of[row] as usize] > 0)
    }

    /// Whether a row is available, whatever the quotas.
    pub(crate) fn is_available(&self, row: usize) -> bool {
        self.available.is_none_or(|available| available[row] != 0)
    }

    /// Counts a pick, and gives the rows of its group if that is full now, so that [`can`](Open::can) is false for them. To
    /// ask that of all n rows each time took 18 times as long as the picks, of 200,000 rows in groups of ten.
    pub(crate) fn take(&mut self, row: usize) -> &[usize] {
        match &self.groups {
            Some(groups) if groups.left[groups.of[row] as usize] == 1 => {
                let (of, count) = (groups.of, groups.left.len());
                self.count(row);
                self.members.get_or_insert_with(|| Members::new(of, count)).of(of[row] as usize)
            }
            _ => {
                self.count(row);
                &[]
            }
        }
    }

    fn count(&mut self, row: usize) {
        if let Some(groups) = &mut self.groups {
            groups.left[groups.of[row] as usize] -= 1;
        }
    }

    /// Takes a row if it can be picked.
    fn admit(&mut self, row: usize) -> bool {
        let can = self.can(row);
        if can {
            self.count(row);
        }
        can
    }

    /// Fails if of these rows fewer than k can be picked.
    pub(crate) fn check(&self, k: usize, rows: impl Iterator<Item = usize>) -> Result<(), Error> {
        let mut rest = self.clone();
        let available = rows.filter(|&row| rest.admit(row)).take(k).count();
        if available < k { Err(Error::BatchTooLarge { k, available }) } else { Ok(()) }
    }

    /// The k best rows that the quotas leave, given the best of all: `best(m)` gives the first m, or all if
    /// there are fewer. Where the quotas leave too few of the first, more are asked for.
    pub(crate) fn fill<T>(
        &self,
        k: usize,
        best: impl Fn(usize) -> Result<Picks<T>, Error>,
    ) -> Result<Picks<T>, Error> {
        let mut reach = k;
        loop {
            if self.groups.is_some() {
                reach = reach.saturating_mul(4);
            }
            let (mut rest, ranked) = (self.clone(), best(reach)?);
            let all = ranked.indices.len() < reach;
            let ranked = ranked.indices.into_iter().zip(ranked.values);
            let (indices, values): (Vec<_>, Vec<_>) =
                ranked.filter(|&(row, _)| rest.admit(row)).take(k).unzip();
            if indices.len() == k {
                return Ok(Picks { indices, values });
            }
            if all {
                return Err(Error::BatchTooLarge { k, available: indices.len() });
            }
        }
    }
}

/// The rows of each group, one group after the other.
#[derive(Debug, Clone)]
struct Members {
    /// Where those of each group end.
    ends: Vec<usize>,
    rows: Vec<usize>,
}

impl Members {
    fn new(of: &[u32], count: usize) -> Self {
        let mut ends = vec![0; count];
        for &group in of {
            ends[group as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            (*end, sum) = (sum, sum + *end);
        }
        // Each is a start until its rows are in place.
        let mut rows = vec![0; of.len()];
        for (row, &group) in of.iter().enumerate() {
            let place = &mut ends[group as usize];
            rows[*place] = row;
            *place += 1;
        }
        Self { ends, rows }
    }

    fn of(&self, group: usize) -> &[usize] {
        let start = group.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[start..self.ends[group]]
    }
}
