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
        Self { available, groups }
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

    /// Counts a pick. Whether that fills its group, so that [`can`](Open::can) is another now for rows of that group.
    pub(crate) fn take(&mut self, row: usize) -> bool {
        let Some(groups) = &mut self.groups else { return false };
        let left = &mut groups.left[groups.of[row] as usize];
        *left -= 1;
        *left == 0
    }

    /// Takes a row if it can be picked.
    fn admit(&mut self, row: usize) -> bool {
        let can = self.can(row);
        if can {
            self.take(row);
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
