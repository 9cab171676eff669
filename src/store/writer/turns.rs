//! Turns: their start and their return, each a compare-and-set on (partition epoch, turn id, attempt).

use rusqlite::{OptionalExtension, params};
use tertulia_actors::domain::{ConversationId, Epoch, Tick, TurnId};
use tertulia_actors::ports::store::{ReleaseTurn, StartOutcome, StartTurn};

use super::super::batch::{Batch, waits_in_batch};
use super::super::error::WriteError;
use super::super::row::{AsText, count, int, parsed, small};
use super::handoff::is_quiet;
use super::unit::{Unit, Write};

impl Write for StartTurn {
    type Answer = StartOutcome;

    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        if !owns(unit, self.conversation, self.epoch)? {
            return Ok(StartOutcome::Fenced);
        }
        if self.attempt > 1 {
            return start_again(unit, self);
        }
        if self.attempt == 0 || self.seqs.is_empty() {
            return Err(WriteError::Refused("a turn starts with attempt 1 and a message".into()));
        }
        if meets_newer(unit, self)? {
            return Ok(StartOutcome::Newer);
        }
        if begin(unit, self)? {
            return started(unit, self);
        }
        unit.undo();
        Ok(StartOutcome::Fenced)
    }
}

/// Whether the partition of the conversation still belongs to the caller.
pub(super) fn owns(unit: &Unit<'_>, conversation: ConversationId, epoch: Epoch) -> Result<bool, WriteError> {
    let current = unit
        .conn
        .prepare_cached("SELECT epoch FROM partitions WHERE partition = ?1")?
        .query_row([conversation.partition().number()], |row| count(row, 0))?;
    Ok(current == epoch.0)
}

/// The turn of a conversation that has not ended.
pub(super) struct Open {
    pub(super) position: i64,
    pub(super) batch: Batch,
    /// Who had the conversation meanwhile.
    pub(super) silenced_by: Option<String>,
    id: TurnId,
    running: bool,
    attempt: u32,
}

impl Open {
    /// Whether this is the running attempt of the caller.
    pub(super) fn is_run(&self, turn: TurnId, attempt: u32) -> bool {
        self.id == turn && self.attempt == attempt && self.running
    }
}

/// Finds the turn of a conversation that has not ended.
pub(super) fn open(unit: &Unit<'_>, conversation: ConversationId) -> Result<Option<Open>, WriteError> {
    let open = unit
        .conn
        .prepare_cached(
            "SELECT position, id, state = 'running', attempt, first_seq, last_seq, seqs, silenced_by FROM turns \
             WHERE conversation_id = ?1 AND state IN ('running', 'waiting')",
        )?
        .query_row([conversation.text()], |row| {
            Ok(Open {
                position: row.get(0)?,
                batch: Batch::read(row, 4)?,
                silenced_by: row.get(7)?,
                id: parsed(row, 1)?,
                running: row.get(2)?,
                attempt: small(row, 3)?,
            })
        })
        .optional()?;
    Ok(open)
}

/// How a turn goes on whose start is written.
fn started(unit: &Unit<'_>, start: &StartTurn) -> Result<StartOutcome, WriteError> {
    let is_quiet = is_quiet(unit, start.conversation)?;
    Ok(if is_quiet { StartOutcome::Quiet } else { StartOutcome::Started })
}

/// Attempt n + 1 of a turn follows attempt n, which waits or was left running.
fn start_again(unit: &Unit<'_>, start: &StartTurn) -> Result<StartOutcome, WriteError> {
    let Some(open) = open(unit, start.conversation)? else { return Ok(StartOutcome::Fenced) };
    if open.id != start.turn || open.attempt + 1 != start.attempt {
        return Ok(StartOutcome::Fenced);
    }
    unit.conn
        .prepare_cached("UPDATE turns SET state = 'running', attempt = ?2 WHERE position = ?1")?
        .execute(params![open.position, start.attempt])?;
    started(unit, start)
}

/// Whether a message that belongs to the batch was stored after the actor last looked.
fn meets_newer(unit: &Unit<'_>, start: &StartTurn) -> Result<bool, WriteError> {
    let Some(closes_at) = start.closes_at else { return Ok(false) };
    let newer = unit
        .conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = ?1 AND seq > ?2 AND state = 'pending' \
             AND received_tick < ?3)",
        )?
        .query_row(params![start.conversation.text(), int(start.known_seq), closes_at.0], |row| row.get(0))?;
    Ok(newer)
}

/// Creates the turn and fixes its messages; false when the conversation has an open turn, or a message is not free.
fn begin(unit: &Unit<'_>, start: &StartTurn) -> Result<bool, WriteError> {
    let (conversation, turn) = (start.conversation.text(), start.turn.text());
    let batch = Batch::of(&start.seqs);
    let created = unit
        .conn
        .prepare_cached(
            "INSERT INTO turns (id, conversation_id, state, attempt, first_seq, last_seq, seqs, started_at) \
             VALUES (?1, ?2, 'running', 1, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![turn, conversation, batch.first, batch.last, batch.seqs, start.at.0])?;
    if created == 0 {
        return Ok(false);
    }
    // Whatever waits is free, since there was no open turn.
    let free = unit
        .conn
        .prepare_cached(concat!(
            "SELECT count(*) FROM messages WHERE conversation_id = ?1 AND ",
            waits_in_batch!()
        ))?
        .query_row(params![conversation, batch.first, batch.last, batch.seqs], |row| count(row, 0))?;
    Ok(free == start.seqs.len() as u64)
}

impl Write for ReleaseTurn {
    type Answer = bool;

    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        let Some(open) = open(unit, self.conversation)? else { return Ok(false) };
        if !open.is_run(self.turn, self.attempt) || !owns(unit, self.conversation, self.epoch)? {
            return Ok(false);
        }
        give_back(unit, self, open.position)?;
        if self.split {
            mark_alone(unit, self.conversation, &open.batch)?;
        }
        wake_at(unit, self.conversation, self.not_before)?;
        Ok(true)
    }
}

fn give_back(unit: &Unit<'_>, release: &ReleaseTurn, position: i64) -> Result<(), WriteError> {
    let (state, ended_at) = if release.split { ("split", Some(unit.now.0)) } else { ("waiting", None) };
    unit.conn
        .prepare_cached(
            "UPDATE turns SET state = ?2, failures = failures + ?3, not_before = ?4, reason = ?5, ended_at = ?6 \
             WHERE position = ?1",
        )?
        .execute(params![position, state, release.failed, release.not_before.0, release.reason, ended_at])?;
    Ok(())
}

/// The messages of a dissolved turn run alone from now on.
fn mark_alone(unit: &Unit<'_>, conversation: ConversationId, batch: &Batch) -> Result<(), WriteError> {
    let marked = unit
        .conn
        .prepare_cached(concat!(
            "UPDATE messages SET alone = 1 WHERE conversation_id = ?1 AND ",
            waits_in_batch!()
        ))?
        .execute(params![conversation.text(), batch.first, batch.last, batch.seqs])?;
    if batch.is_all(marked) { Ok(()) } else { Err(WriteError::Corrupt(batch.contradiction(marked))) }
}

fn wake_at(unit: &Unit<'_>, conversation: ConversationId, tick: Tick) -> Result<(), WriteError> {
    unit.conn
        .prepare_cached("UPDATE conversations SET wake_at = ?2 WHERE id = ?1")?
        .execute(params![conversation.text(), tick.0])?;
    Ok(())
}
