//! What people do with what went wrong. Each is a compare-and-set on the state in which they saw it.

use rusqlite::{OptionalExtension, params};
use tertulia_actors::domain::{ConversationId, PartState};

use super::super::error::WriteError;
use super::super::ledger::move_parts;
use super::super::row::parsed;
use super::unit::{Unit, Write};

/// Lets dead letters end as suppressed.
pub(in crate::store) struct DiscardLetters {
    pub(in crate::store) ids: Vec<i64>,
    pub(in crate::store) reason: String,
}

impl Write for DiscardLetters {
    type Answer = usize;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        each(&mut self.ids, |id| {
            let discarded = unit
                .conn
                .prepare_cached(
                    "UPDATE messages SET state = 'suppressed', reason = ?2 \
                     WHERE receipt_seq = ?1 AND state = 'dead_lettered'",
                )?
                .execute(params![id, format!("discarded: {}", self.reason)])?;
            expect(discarded == 1, || format!("message {id} is not dead-lettered; nothing was discarded"))?;
            unit.effects.entry.books.dead_lettered -= 1;
            unit.effects.entry.books.suppressed += 1;
            Ok(())
        })
    }
}

/// Removes quarantined bodies.
pub(in crate::store) struct DiscardQuarantined(pub(in crate::store) Vec<i64>);

impl Write for DiscardQuarantined {
    type Answer = usize;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        each(&mut self.0, |id| {
            let removed = unit.conn.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?.execute([id])?;
            expect(removed == 1, || format!("body {id} is not in quarantine; nothing was discarded"))
        })
    }
}

/// Sends ambiguous parts again.
pub(in crate::store) struct Resend(pub(in crate::store) Vec<i64>);

impl Write for Resend {
    type Answer = usize;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        let tick = unit.tick.0;
        each(&mut self.0, |position| {
            let conversation = end(
                unit,
                "UPDATE outbox SET state = 'pending', not_before = ?2, resent_tick = ?2 WHERE position = ?1 AND state = 'ambiguous' \
                 RETURNING conversation_id",
                params![position, tick],
                (position, PartState::Pending),
            )?;
            unit.effects.changed.push(conversation);
            Ok(())
        })
    }
}

/// Gives ambiguous parts up.
pub(in crate::store) struct DiscardAmbiguous {
    pub(in crate::store) positions: Vec<i64>,
    pub(in crate::store) reason: String,
}

impl Write for DiscardAmbiguous {
    type Answer = usize;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        each(&mut self.positions, |position| {
            let conversation = end(
                unit,
                "UPDATE outbox SET state = 'failed', error = ?2 WHERE position = ?1 AND state = 'ambiguous' \
                 RETURNING conversation_id",
                params![position, format!("discarded: {}", self.reason)],
                (position, PartState::Failed),
            )?;
            // What it held may go.
            unit.effects.changed.push(conversation);
            Ok(())
        })
    }
}

/// Moves one ambiguous part to its new state.
fn end(
    unit: &mut Unit<'_>,
    sql: &str,
    values: impl rusqlite::Params,
    (position, state): (i64, PartState),
) -> Result<ConversationId, WriteError> {
    let moved = unit.conn.prepare_cached(sql)?.query_row(values, |row| parsed(row, 0)).optional()?;
    let refused = || WriteError::Refused(format!("part {position} is not ambiguous; nothing was changed"));
    let conversation = moved.ok_or_else(refused)?;
    move_parts(&mut unit.effects.entry.books, PartState::Ambiguous, state, 1);
    Ok(conversation)
}

/// Does something to each once, in order; answers how many.
fn each(ids: &mut Vec<i64>, mut act: impl FnMut(i64) -> Result<(), WriteError>) -> Result<usize, WriteError> {
    ids.sort_unstable();
    ids.dedup();
    ids.iter().try_for_each(|id| act(*id))?;
    Ok(ids.len())
}

/// A refusal, which takes everything of the request back, unless `is_so`.
fn expect(is_so: bool, why: impl FnOnce() -> String) -> Result<(), WriteError> {
    if is_so { Ok(()) } else { Err(WriteError::Refused(why())) }
}
