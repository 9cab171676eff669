//! What people ask for, and the probe.

use rusqlite::{Connection, OptionalExtension, params};
use tertulia_actors::domain::{ConversationId, Timestamp};

use super::super::error::WriteError;
use super::super::row::{AsText, parsed};
use super::unit::{Unit, Write};

/// Makes dead-lettered messages pending again.
pub(in crate::store) struct Replay(pub(in crate::store) Vec<i64>);

impl Write for Replay {
    type Answer = usize;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        self.0.sort_unstable();
        self.0.dedup();
        for id in &self.0 {
            replay(unit, *id)?;
        }
        Ok(self.0.len())
    }
}

fn replay(unit: &mut Unit<'_>, id: i64) -> Result<(), WriteError> {
    let replayed: Option<(ConversationId, i64)> = unit
        .conn
        .prepare_cached(
            "UPDATE messages SET state = 'pending', turn_id = NULL, reason = NULL, alone = 1 \
             WHERE receipt_seq = ?1 AND state = 'dead_lettered' RETURNING conversation_id, seq",
        )?
        .query_row([id], |row| Ok((parsed(row, 0)?, row.get(1)?)))
        .optional()?;
    let Some((conversation, seq)) = replayed else {
        return Err(WriteError::Refused(format!("message {id} is not dead-lettered; nothing was replayed")));
    };
    unit.conn
        .prepare_cached(
            "UPDATE conversations SET pending = pending + 1, first_pending = MIN(first_pending, ?3), \
             wake_at = MIN(COALESCE(wake_at, ?2), ?2) WHERE id = ?1",
        )?
        .execute(params![conversation.text(), unit.tick.0, seq])?;
    let books = &mut unit.effects.entry.books;
    books.dead_lettered -= 1;
    books.pending += 1;
    unit.effects.changed.push(conversation);
    Ok(())
}

/// A change of tables that another module owns.
pub(in crate::store) struct Change<F>(Option<F>);

impl<F> Change<F> {
    /// A change that is made once.
    pub(in crate::store) const fn new(change: F) -> Self {
        Self(Some(change))
    }
}

impl<T, F> Write for Change<F>
where
    T: Send,
    F: FnOnce(&Connection, Timestamp) -> Result<T, WriteError> + Send + 'static,
{
    type Answer = T;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<T, WriteError> {
        let change =
            self.0.take().ok_or_else(|| WriteError::Refused("the change was made already".into()))?;
        change(unit.conn, unit.now)
    }
}

/// Learns whether a message could be stored now. Takes the place of an admission, and is refused where one would be.
pub(in crate::store) struct Probe;

/// More than one webhook's message needs, so that a store that can take it has room for messages.
const ROOM_BYTES: i32 = 64 * 1024;

impl Write for Probe {
    type Answer = ();
    const ADMISSION: bool = true;

    fn bytes(&self) -> usize {
        ROOM_BYTES.unsigned_abs() as usize
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        unit.conn
            .prepare_cached("INSERT INTO probe (id, filler) VALUES (1, zeroblob(?1))")?
            .execute([ROOM_BYTES])?;
        unit.conn.prepare_cached("DELETE FROM probe")?.execute([])?;
        Ok(())
    }
}
