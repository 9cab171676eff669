//! Which messages of its conversation a turn holds, as its row says it.

use rusqlite::Row;
use serde_json::json;

use super::row::{contradiction, int};

/// The messages of a turn that has not ended: all from `first` to `last`, or those of the list where there is one. Each of them
/// waits; where one does not, or is not there, the rows contradict each other, and nobody knows what the turn holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Batch {
    /// The smallest number.
    pub(super) first: i64,
    /// The greatest number.
    pub(super) last: i64,
    /// All numbers, as a JSON array, where some between the first and the last are left out.
    pub(super) seqs: Option<String>,
}

/// The condition of a row of `messages` that waits in a batch whose `first`, `last` and `seqs` are ?2, ?3 and ?4.
macro_rules! waits_in_batch {
    () => {
        "seq BETWEEN ?2 AND ?3 AND state = 'pending' AND (?4 IS NULL OR seq IN (SELECT value FROM json_each(?4)))"
    };
}
pub(super) use waits_in_batch;

impl Batch {
    /// The batch of these messages.
    pub(super) fn of(seqs: &[u64]) -> Self {
        let first = seqs.iter().min().copied().unwrap_or_default();
        let last = seqs.iter().max().copied().unwrap_or_default();
        let mut sorted = seqs.to_vec();
        sorted.sort_unstable();
        let is_whole = !sorted.is_empty() && sorted.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let seqs = (!is_whole).then(|| json!(seqs).to_string());
        Self { first: int(first), last: int(last), seqs }
    }

    /// Reads the columns first_seq, last_seq and seqs, the first of which is number `column`. A list that is none is an error of
    /// the row, not of the statement that would use it.
    pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        let batch = Self { first: row.get(column)?, last: row.get(column + 1)?, seqs: row.get(column + 2)? };
        if let Some(list) = &batch.seqs {
            serde_json::from_str::<Vec<i64>>(list)
                .map_err(|error| contradiction(format!("a turn's list of messages: {error}")))?;
        }
        Ok(batch)
    }

    /// The numbers of its messages.
    pub(super) fn numbers(&self) -> impl Iterator<Item = i64> + use<> {
        // `read` has looked at the list.
        let list: Option<Vec<i64>> =
            self.seqs.as_deref().map(|list| serde_json::from_str(list).unwrap_or_default());
        let all = list.is_none().then_some(self.first..=self.last);
        all.into_iter().flatten().chain(list.into_iter().flatten())
    }

    /// Whether so many messages are all of it, and there are any.
    pub(super) fn is_all(&self, found: usize) -> bool {
        // Not counted one by one: a damaged row may claim any number of them.
        let numbers = match &self.seqs {
            None => u64::try_from(self.last.saturating_sub(self.first).saturating_add(1)).unwrap_or(0),
            Some(_) => self.numbers().count() as u64,
        };
        found > 0 && numbers == found as u64
    }

    /// What is wrong with a batch of which other messages wait than it says.
    pub(super) fn contradiction(&self, found: usize) -> String {
        let Self { first, last, seqs } = self;
        let list = seqs.as_deref().unwrap_or("all of them");
        format!("a turn holds the messages {first} to {last} ({list}), and {found} of them wait")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_batch_is_not_all_of_anything() {
        for (first, last) in [(3, 1), (i64::MIN, i64::MAX), (0, i64::MAX), (1, 1 << 40)] {
            assert!((0..5).all(|found| !Batch { first, last, seqs: None }.is_all(found)), "{first} {last}");
        }
    }

    #[test]
    fn numbers_without_a_gap_need_no_list() {
        let list = |first, last, seqs: &str| Batch { first, last, seqs: Some(seqs.into()) };
        let whole = |first, last| Batch { first, last, seqs: None };
        for (seqs, batch) in [
            (&[7_u64][..], whole(7, 7)),
            (&[7, 8, 9], whole(7, 9)),
            (&[9, 7, 8], whole(7, 9)),
            (&[7, 9], list(7, 9, "[7,9]")),
            (&[9, 7], list(7, 9, "[9,7]")),
            (&[], list(0, 0, "[]")),
            (&[7, 7, 9], list(7, 9, "[7,7,9]")),
        ] {
            assert_eq!(Batch::of(seqs), batch, "{seqs:?}");
            let mut numbers: Vec<_> = batch.numbers().map(i64::unsigned_abs).collect();
            let mut given = seqs.to_vec();
            numbers.sort_unstable();
            given.sort_unstable();
            assert_eq!(numbers, given);
            assert_eq!(batch.is_all(seqs.len()), !seqs.is_empty());
            assert!(!batch.is_all(seqs.len() + 1));
        }
    }
}
