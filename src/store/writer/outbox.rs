//! Marks of parts on their way out, each a compare-and-set on the part's attempt.

use rusqlite::{OptionalExtension, params};
use tertulia_actors::domain::{Account, Channel, ConversationId, PartId, PartState, Recipient, Tick};
use tertulia_actors::ports::store::Mark;

use super::super::error::WriteError;
use super::super::ledger::move_parts;
use super::super::row::{AsText, int, parsed, small};
use super::statuses::{Told, catch_up};
use super::unit::{Unit, Write};

/// Several marks in one transaction.
pub(in crate::store) struct Marks(pub(in crate::store) Vec<Mark>);

impl Write for Marks {
    type Answer = Vec<bool>;

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        self.0.iter().map(|mark| apply(unit, mark)).collect()
    }
}

/// A part as its mark finds it.
struct Part {
    position: i64,
    conversation: ConversationId,
    turn: String,
    account: Account,
    state: PartState,
    attempt: u32,
}

fn apply(unit: &mut Unit<'_>, mark: &Mark) -> Result<bool, WriteError> {
    let (id, attempt) = subject(mark);
    let Some(part) = find(unit, id)? else { return Ok(false) };
    match mark {
        Mark::Sending { recipient, .. } => sending(unit, &part, attempt, recipient),
        _ if part.attempt != attempt => Ok(false),
        Mark::Sent { provider_id, began, at, .. } => sent(unit, part, provider_id, (began.0, at.0)),
        _ if part.state != PartState::Sending => Ok(false),
        Mark::Retry { not_before, error, .. } => {
            end(unit, &part, PartState::Pending, Some(*not_before), error)
        }
        Mark::Ambiguous { hold_until, error, .. } => {
            end(unit, &part, PartState::Ambiguous, Some(*hold_until), error)
        }
        Mark::Failed { error, .. } => {
            end(unit, &part, PartState::Failed, None, error)?;
            fail_reply(unit, part.conversation, &part.turn, part.position)?;
            Ok(true)
        }
    }
}

const fn subject(mark: &Mark) -> (PartId, u32) {
    match mark {
        Mark::Sending { part, attempt, .. }
        | Mark::Sent { part, attempt, .. }
        | Mark::Retry { part, attempt, .. }
        | Mark::Failed { part, attempt, .. }
        | Mark::Ambiguous { part, attempt, .. } => (*part, *attempt),
    }
}

fn find(unit: &Unit<'_>, id: PartId) -> Result<Option<Part>, WriteError> {
    let part = unit
        .conn
        .prepare_cached(
            "SELECT position, conversation_id, turn_id, channel, account, state, attempt FROM outbox WHERE id = ?1",
        )?
        .query_row([id.text()], |row| {
            Ok(Part {
                position: row.get(0)?,
                conversation: parsed(row, 1)?,
                turn: row.get(2)?,
                account: Account::new(parsed::<Channel, _>(row, 3)?, row.get::<_, String>(4)?),
                state: parsed(row, 5)?,
                attempt: small(row, 6)?,
            })
        })
        .optional()?;
    Ok(part)
}

fn sending(
    unit: &mut Unit<'_>,
    part: &Part,
    attempt: u32,
    recipient: &Recipient,
) -> Result<bool, WriteError> {
    let is_next = part.state == PartState::Pending && attempt == part.attempt + 1;
    if !is_next || is_held(unit, part.conversation, part.position)? {
        return Ok(false);
    }
    let marked = unit
        .conn
        .prepare_cached(
            "UPDATE outbox SET state = 'sending', attempt = ?2 \
             WHERE position = ?1 AND phone IS ?3 AND user_id IS ?4",
        )?
        .execute(params![part.position, attempt, recipient.phone, recipient.user_id])?;
    Ok(marked == 1)
}

/// Whether an earlier part of the conversation is still under way, so that order forbids to send the one at `position`.
pub(super) fn is_held(
    unit: &Unit<'_>,
    conversation: ConversationId,
    position: i64,
) -> Result<bool, WriteError> {
    let held = unit
        .conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE conversation_id = ?1 AND position < ?2 \
             AND state IN ('pending', 'sending', 'ambiguous') AND (state <> 'ambiguous' OR not_before > ?3))",
        )?
        .query_row(params![conversation.text(), position, unit.tick.0], |row| row.get(0))?;
    Ok(held)
}

/// `sending -> sent`. A status may have been faster; then only the provider's id and the time are filled in.
fn sent(
    unit: &mut Unit<'_>,
    part: Part,
    provider_id: &str,
    (began, at): (i64, i64),
) -> Result<bool, WriteError> {
    let state = match part.state {
        PartState::Sending => PartState::Sent,
        PartState::Sent | PartState::Delivered | PartState::Read | PartState::Failed => part.state,
        PartState::Pending | PartState::Ambiguous => return Ok(false),
    };
    unit.conn
        .prepare_cached(
            "UPDATE outbox SET state = ?2, provider_id = COALESCE(provider_id, ?3), sent_at = COALESCE(sent_at, ?4), sending_at = ?5 \
             WHERE position = ?1",
        )?
        .execute(params![part.position, state.as_str(), provider_id, at, began])?;
    move_parts(&mut unit.effects.entry.books, part.state, state, 1);
    let told = Told { position: part.position, conversation: part.conversation, turn: part.turn, state };
    catch_up(unit, told, &part.account, provider_id)?;
    Ok(true)
}

/// Ends a send without a success.
fn end(
    unit: &mut Unit<'_>,
    part: &Part,
    state: PartState,
    not_before: Option<Tick>,
    error: &str,
) -> Result<bool, WriteError> {
    unit.conn
        .prepare_cached(
            "UPDATE outbox SET state = ?2, not_before = COALESCE(?3, not_before), error = ?4 WHERE position = ?1",
        )?
        .execute(params![part.position, state.as_str(), not_before.map(|tick| tick.0), error])?;
    move_parts(&mut unit.effects.entry.books, part.state, state, 1);
    Ok(true)
}

/// A failed part cancels the later parts of its reply that nobody has begun to send, since half an answer misleads, and asks
/// for a person, since the customer waits.
pub(super) fn fail_reply(
    unit: &mut Unit<'_>,
    conversation: ConversationId,
    turn: &str,
    position: i64,
) -> Result<(), WriteError> {
    let cancelled = unit
        .conn
        .prepare_cached(
            "UPDATE outbox SET state = 'failed', error = 'cancelled: an earlier part of the reply failed' \
             WHERE conversation_id = ?1 AND position > ?2 AND turn_id = ?3 \
             AND state IN ('pending', 'sending', 'ambiguous') AND state = 'pending'",
        )?
        .execute(params![conversation.text(), position, turn])?;
    move_parts(&mut unit.effects.entry.books, PartState::Pending, PartState::Failed, int(cancelled));
    unit.conn
        .prepare_cached("UPDATE conversations SET needs_human = 1 WHERE id = ?1")?
        .execute([conversation.text()])?;
    Ok(())
}
