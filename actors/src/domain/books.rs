//! The books of promise H.

use serde::{Deserialize, Serialize};

/// How many messages and reply parts there ever were, and where they stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    /// Messages stored, duplicates not counted.
    pub received: i64,
    /// Messages whose turn committed an answer.
    pub answered: i64,
    /// Messages that ended without an answer, for a stated reason.
    pub suppressed: i64,
    /// Messages that failed alone; their sender got a phrase and a person was asked for.
    pub dead_lettered: i64,
    /// Messages that wait or are in a turn.
    pub pending: i64,
    /// Reply parts stored.
    pub parts_created: i64,
    /// Parts not yet accepted by the channel, those being sent included.
    pub parts_pending: i64,
    /// Parts that the channel accepted.
    pub parts_sent: i64,
    /// Parts that were refused, or cancelled because an earlier part of their reply was.
    pub parts_failed: i64,
    /// Parts whose outcome cannot be known.
    pub parts_ambiguous: i64,
    /// Webhook messages that had been stored before.
    pub duplicates: i64,
}

impl Books {
    /// Whether promise H holds.
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.received == self.answered + self.suppressed + self.dead_lettered + self.pending
            && self.parts_created
                == self.parts_pending + self.parts_sent + self.parts_failed + self.parts_ambiguous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_balance_only_when_every_message_and_part_is_somewhere() {
        let books = Books {
            received: 4,
            answered: 1,
            suppressed: 1,
            dead_lettered: 1,
            pending: 1,
            ..Books::default()
        };
        assert!(books.balance());
        assert!(!Books { pending: 0, ..books }.balance());
        assert!(!Books { parts_created: 1, ..books }.balance());
        assert!(Books { parts_created: 1, parts_ambiguous: 1, ..books }.balance());
    }
}
