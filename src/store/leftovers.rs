//! What went wrong and waits for people to settle it.

use rusqlite::{Connection, OptionalExtension, params};
use tertulia_actors::domain::Channel;
use tertulia_actors::ports::store::{AmbiguousPart, Leftovers, StoreFuture};

use super::SqliteStore;
use super::row::{at, int, parsed, small};
use super::writer::{DiscardAmbiguous, DiscardLetters, DiscardQuarantined, Resend};

impl Leftovers for SqliteStore {
    fn discard_dead_letters(&self, ids: Vec<i64>, reason: String) -> StoreFuture<usize> {
        self.queue.write(DiscardLetters { ids, reason })
    }

    fn discard_quarantined(&self, ids: Vec<i64>) -> StoreFuture<usize> {
        self.queue.write(DiscardQuarantined(ids))
    }

    fn quarantined_body(&self, id: i64) -> StoreFuture<Option<(Channel, Vec<u8>)>> {
        self.readers.read(move |conn| {
            conn.prepare_cached("SELECT channel, body FROM quarantine WHERE id = ?1")?
                .query_row([id], |row| Ok((parsed(row, 0)?, row.get(1)?)))
                .optional()
        })
    }

    fn ambiguous(&self, after: i64, limit: usize) -> StoreFuture<Vec<AmbiguousPart>> {
        self.readers.read(move |conn| ambiguous(conn, after, limit))
    }

    fn resend(&self, positions: Vec<i64>) -> StoreFuture<usize> {
        self.queue.write(Resend(positions))
    }

    fn discard_ambiguous(&self, positions: Vec<i64>, reason: String) -> StoreFuture<usize> {
        self.queue.write(DiscardAmbiguous { positions, reason })
    }
}

/// Read by the index of what has not ended, which is small, and whose condition the second one is.
fn ambiguous(conn: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<AmbiguousPart>> {
    conn.prepare_cached(
        "SELECT position, id, conversation_id, turn_id, channel, text, attempt, error, created_at FROM outbox INDEXED BY outbox_open \
         WHERE state = 'ambiguous' AND state IN ('pending', 'sending', 'ambiguous') AND position > ?1 \
         ORDER BY position LIMIT ?2",
    )?
    .query_map(params![after, int(limit)], |row| {
        Ok(AmbiguousPart {
            position: row.get(0)?,
            id: parsed(row, 1)?,
            conversation: parsed(row, 2)?,
            turn: parsed(row, 3)?,
            channel: parsed(row, 4)?,
            text: row.get(5)?,
            attempt: small(row, 6)?,
            error: row.get(7)?,
            created_at: at(row, 8)?,
        })
    })?
    .collect()
}
