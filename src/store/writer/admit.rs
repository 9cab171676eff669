//! Admission: one webhook's content becomes rows.

use rusqlite::params;
use tertulia_actors::domain::{
    ConversationId, InboundMessage, Language, PendingMessage, Sender, StatusUpdate, Tick,
};
use tertulia_actors::failpoint;
use tertulia_actors::ports::Admitted;
use tertulia_actors::ports::store::{Admission, Quarantined, Stored};

use super::super::error::WriteError;
use super::super::row::{AsText, count, int, language, parsed};
use super::identity::{carry_out, look_up, resolve};
use super::statuses;
use super::unit::{Unit, Write};

impl Write for Admission {
    type Answer = Vec<Stored>;
    const ADMISSION: bool = true;

    fn bytes(&self) -> usize {
        let messages = self.messages.iter().map(message_bytes);
        let statuses = self.statuses.iter().map(status_bytes);
        let quarantined = self.quarantined.iter().map(|body| size_of::<Quarantined>() + body.body.len());
        messages.chain(statuses).chain(quarantined).sum()
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        let mut stored = Vec::with_capacity(self.messages.len());
        for message in &mut self.messages {
            stored.push(admit(unit, message)?);
        }
        for status in &self.statuses {
            statuses::apply(unit, status)?;
        }
        for body in &self.quarantined {
            quarantine(unit, body)?;
        }
        Ok(stored)
    }
}

/// What a message takes while it waits, its names and ids included: of short messages those are the larger part.
fn message_bytes(message: &InboundMessage) -> usize {
    let InboundMessage { account, provider_id, sender, kind, text, content, .. } = message;
    let Sender { phone, user_id, handle, name } = sender;
    let optional = [text, content, phone, user_id, handle, name].into_iter().flatten();
    let texts = [&account.name, provider_id, kind].into_iter().chain(optional);
    size_of::<InboundMessage>() + texts.map(String::len).sum::<usize>()
}

/// What a delivery status takes while it waits.
fn status_bytes(status: &StatusUpdate) -> usize {
    let texts = [&status.account.name, &status.provider_id].into_iter().chain(&status.error);
    size_of::<StatusUpdate>() + texts.map(String::len).sum::<usize>()
}

/// Stores one message, unless its provider's id was seen before.
fn admit(unit: &mut Unit<'_>, message: &mut InboundMessage) -> Result<Stored, WriteError> {
    failpoint!("store.admit", text: message.text.as_deref().unwrap_or_default());
    let (by_user, by_phone) = look_up(unit, &message.account, &message.sender)?;
    let plan = resolve(&message.sender, by_user.as_ref(), by_phone.as_ref());
    let conversation = plan.conversation.unwrap_or_else(|| ConversationId::new(unit.deps.entropy.uuid()));
    if !is_new(unit, message, conversation)? {
        unit.effects.entry.books.duplicates += 1;
        return Ok(Stored {
            conversation: owner_of(unit, message)?.unwrap_or(conversation),
            duplicate: true,
        });
    }
    carry_out(unit, &message.account, &message.sender, &plan, conversation, by_user.as_ref())?;
    insert(unit, message, conversation)?;
    if let Some(merged) = plan.merge {
        unit.effects.changed.push(merged);
    }
    Ok(Stored { conversation, duplicate: false })
}

/// Takes the message's dedupe key. The index decides, not a look before: two requests of one group may bring the same
/// message.
fn is_new(
    unit: &Unit<'_>,
    message: &InboundMessage,
    conversation: ConversationId,
) -> Result<bool, WriteError> {
    let taken = unit
        .conn
        .prepare_cached(
            "INSERT INTO dedupe_keys (channel, account, provider_id, conversation_id, received_at) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            message.account.channel.as_str(),
            message.account.name,
            message.provider_id,
            conversation.text(),
            message.receipt.at.0,
        ])?;
    Ok(taken == 1)
}

/// The conversation of a message that was seen before; none where its id cannot be read.
fn owner_of(unit: &Unit<'_>, message: &InboundMessage) -> Result<Option<ConversationId>, WriteError> {
    let account = &message.account;
    let owner = unit
        .conn
        .prepare_cached(
            "SELECT conversation_id FROM dedupe_keys WHERE channel = ?1 AND account = ?2 AND provider_id = ?3",
        )?
        .query_row(params![account.channel.as_str(), account.name, message.provider_id], |row| {
            Ok(parsed(row, 0).ok())
        })?;
    Ok(owner)
}

/// Where a conversation stands after it got a message.
struct Counted {
    seq: u64,
    pending: u64,
    previous_end: Option<Tick>,
    has_deadline: bool,
    language: Option<Language>,
}

fn insert(
    unit: &mut Unit<'_>,
    message: &mut InboundMessage,
    conversation: ConversationId,
) -> Result<(), WriteError> {
    let waits = message.suppressed.is_none();
    let counted = count_in(unit, conversation, waits)?;
    if waits && !counted.has_deadline {
        set_deadline(unit, conversation, message.receipt.tick.after(unit.deps.quiet))?;
    }
    unit.conn
        .prepare_cached(
            "INSERT INTO messages (conversation_id, seq, provider_id, kind, text, provider_at, received_at, \
             received_tick, receipt_seq, state, reason, content) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            conversation.text(),
            int(counted.seq),
            message.provider_id,
            message.kind,
            message.text,
            message.provider_at.map(|at| at.0),
            message.receipt.at.0,
            message.receipt.tick.0,
            message.receipt.seq,
            if waits { "pending" } else { "suppressed" },
            message.suppressed,
            message.content,
        ])?;
    let entry = &mut unit.effects.entry;
    entry.books.received += 1;
    entry.receipt_seq = entry.receipt_seq.max(message.receipt.seq);
    if !waits {
        entry.books.suppressed += 1;
        return Ok(());
    }
    entry.books.pending += 1;
    tell(unit, message, conversation, &counted);
    Ok(())
}

/// Gives the message its number, and counts it. Where nothing waited, what waits begins with it.
fn count_in(unit: &Unit<'_>, conversation: ConversationId, waits: bool) -> Result<Counted, WriteError> {
    let counted = unit
        .conn
        .prepare_cached(
            "UPDATE conversations SET last_seq = last_seq + 1, pending = pending + ?2, \
             first_pending = CASE WHEN pending = 0 THEN last_seq + 1 ELSE first_pending END WHERE id = ?1 \
             RETURNING last_seq, pending, previous_end, wake_at IS NOT NULL, language",
        )?
        .query_row(params![conversation.text(), waits], |row| {
            Ok(Counted {
                seq: count(row, 0)?,
                pending: count(row, 1)?,
                previous_end: row.get::<_, Option<i64>>(2)?.map(Tick),
                has_deadline: row.get(3)?,
                language: language(row, 4)?,
            })
        })?;
    Ok(counted)
}

/// Only the first message of a burst sets the deadline: the sweep merely wakes the conversation's actor, which decides
/// by itself, and an update of the index per message would cost more than an early wake.
fn set_deadline(unit: &Unit<'_>, conversation: ConversationId, wake_at: Tick) -> Result<(), WriteError> {
    unit.conn
        .prepare_cached("UPDATE conversations SET wake_at = ?2 WHERE id = ?1")?
        .execute(params![conversation.text(), wake_at.0])?;
    Ok(())
}

fn tell(unit: &mut Unit<'_>, message: &mut InboundMessage, conversation: ConversationId, counted: &Counted) {
    unit.effects.admitted.push(Admitted {
        conversation,
        message: PendingMessage {
            seq: counted.seq,
            kind: std::mem::take(&mut message.kind),
            text: message.text.take(),
            provider_at: message.provider_at,
            receipt: message.receipt,
            alone: false,
        },
        pending: counted.pending,
        previous_end: counted.previous_end,
        account: message.account.clone(),
        language: counted.language,
    });
}

/// Keeps a body that was not understood; the oldest goes when there are too many.
fn quarantine(unit: &mut Unit<'_>, body: &Quarantined) -> Result<(), WriteError> {
    unit.conn
        .prepare_cached(
            "INSERT INTO quarantine (channel, reason, body, received_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![body.channel.as_str(), body.reason, body.body, body.received_at.0])?;
    let oldest = unit.conn.last_insert_rowid() - i64::from(unit.bounds.quarantine);
    let lost = unit
        .conn
        .prepare_cached(
            "DELETE FROM quarantine WHERE id <= ?1 OR id IN (SELECT id FROM (SELECT id, \
             SUM(length(body)) OVER (ORDER BY id DESC) AS bytes FROM quarantine) WHERE bytes > ?2)",
        )?
        .execute([oldest, int(unit.bounds.quarantine_bytes)])?;
    unit.effects.entry.quarantine_lost += int(lost);
    Ok(())
}
