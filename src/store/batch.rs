//! Which messages of its conversation a turn holds, as its row says it.

use rusqlite::Row;
use serde_json::json;

use super::row::{contradiction, int};

/// The messages of a turn that has not ended: all that wait from `first` to `last`, or those of the list where there is one.
///
/// Statements find them by `seq BETWEEN first AND last AND state = 'pending' AND (seqs IS NULL OR seq IN (SELECT value FROM
/// json_each(seqs)))`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Batch {
    /// The smallest number.
    pub(super) first: i64,
    /// The greatest number.
    pub(super) last: i64,
    /// All numbers, as a JSON array, where some between the first and the last are left out.
    pub(super) seqs: Option<String>,
}

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

    /// The numbers of its messages; without a list some between the first and the last may belong to messages that do not wait.
    pub(super) fn numbers(&self) -> Vec<i64> {
        let list = self.seqs.as_deref().map(|list| serde_json::from_str(list).unwrap_or_default());
        list.unwrap_or_else(|| (self.first..=self.last).collect())
    }

    /// Reads the columns first_seq, last_seq and seqs, the first of which is number `column`. A list that is none is an error of
    /// the row, not of the statement that would use it.
    pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        let seqs: Option<String> = row.get(column + 2)?;
        if let Some(list) = &seqs {
            serde_json::from_str::<Vec<i64>>(list)
                .map_err(|error| contradiction(format!("a turn's list of messages: {error}")))?;
        }
        Ok(Self { first: row.get(column)?, last: row.get(column + 1)?, seqs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }
}
