//! The end of a turn: everything it leaves, in one transaction.

use rusqlite::params;
use tertulia_actors::domain::{
    Account, Channel, ConversationId, Disposition, Language, OutboxPart, PartState, Recipient, ReplyPart,
    Tick,
};
use tertulia_actors::ports::store::{CommitOutcome, CommitTurn, ReplyView};

use super::super::batch::Batch;
use super::super::error::WriteError;
use super::super::ledger::shelf;
use super::super::row::{AsText, count, int, parsed};
use super::handoff::keep_quiet;
use super::identity::recipient;
use super::outbox::is_held;
use super::turns::{open, owns};
use super::unit::{Unit, Write};

impl Write for Box<CommitTurn> {
    type Answer = CommitOutcome;

    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        let Some(open) = open(unit, self.conversation)? else { return Ok(CommitOutcome::Fenced) };
        if !open.is_run(self.turn, self.attempt) || !owns(unit, self.conversation, self.epoch)? {
            return Ok(CommitOutcome::Fenced);
        }
        keep_quiet(self, open.silenced_by.as_deref());
        let ended = end_messages(unit, self, &open.batch)?;
        let after = settle_conversation(unit, self, ended)?;
        keep_records(unit, self)?;
        let written = write_parts(unit, self, &after.account)?;
        end_turn(unit, self, open.position, written.positions)?;
        Ok(CommitOutcome::Committed {
            parts: written.parts,
            replies: written.replies,
            last_seq: after.last_seq,
            pending: after.pending,
            disposition: self.disposition.clone(),
            needs_human: self.needs_human,
        })
    }
}

/// The stored state of messages that end like this, and why.
fn ending(disposition: &Disposition) -> (&'static str, Option<&str>) {
    match disposition {
        Disposition::Answered => ("answered", None),
        Disposition::Suppressed(reason) => ("suppressed", Some(reason)),
        Disposition::DeadLettered(reason) => ("dead_lettered", Some(reason)),
    }
}

/// Consumes the turn's messages; answers how many.
fn end_messages(unit: &mut Unit<'_>, commit: &CommitTurn, batch: &Batch) -> Result<i64, WriteError> {
    let (state, reason) = ending(&commit.disposition);
    // One by one: an update of several rows would first collect their keys in a table of its own.
    let mut statement = unit.conn.prepare_cached(
        "UPDATE messages SET state = ?3, reason = ?4, turn_id = ?5 \
         WHERE conversation_id = ?1 AND seq = ?2 AND state = 'pending'",
    )?;
    let (conversation, turn) = (commit.conversation.text(), commit.turn.text());
    let mut ended = 0;
    for seq in batch.numbers() {
        if statement.execute(params![conversation, seq, state, reason, turn])? == 0 {
            break;
        }
        ended += 1;
    }
    if !batch.is_all(ended) {
        return Err(WriteError::Corrupt(batch.contradiction(ended)));
    }
    let ended = int(ended);
    let books = &mut unit.effects.entry.books;
    books.pending -= ended;
    *match commit.disposition {
        Disposition::Answered => &mut books.answered,
        Disposition::Suppressed(_) => &mut books.suppressed,
        Disposition::DeadLettered(_) => &mut books.dead_lettered,
    } += ended;
    Ok(ended)
}

/// A conversation after its turn.
struct After {
    account: Account,
    last_seq: u64,
    pending: u64,
}

/// The conversation after its turn. Where more waits it begins at the next message that does, which is near unless an old one was
/// replayed.
fn settle_conversation(unit: &Unit<'_>, commit: &CommitTurn, ended: i64) -> Result<After, WriteError> {
    let after = unit
        .conn
        .prepare_cached(
            "UPDATE conversations SET pending = pending - ?2, previous_end = ?3, needs_human = MAX(needs_human, ?4), \
             language = COALESCE(?5, language), wake_at = CASE WHEN pending = ?2 THEN NULL ELSE ?3 END, \
             first_pending = CASE WHEN pending = ?2 THEN first_pending ELSE COALESCE((SELECT seq FROM messages m \
             WHERE m.conversation_id = ?1 AND m.seq >= first_pending AND m.state = 'pending' ORDER BY seq LIMIT 1), \
             first_pending) END WHERE id = ?1 RETURNING channel, account, last_seq, pending",
        )?
        .query_row(
            params![
                commit.conversation.text(),
                ended,
                commit.tick.0,
                commit.needs_human,
                commit.language.as_ref().map(Language::as_str),
            ],
            |row| {
                Ok(After {
                    account: Account::new(parsed::<Channel, _>(row, 0)?, row.get::<_, String>(1)?),
                    last_seq: count(row, 2)?,
                    pending: count(row, 3)?,
                })
            },
        )?;
    Ok(after)
}

fn keep_records(unit: &Unit<'_>, commit: &CommitTurn) -> Result<(), WriteError> {
    for record in &commit.records {
        unit.conn
            .prepare_cached(
                "INSERT INTO records (class, text, conversation_id, turn_id, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                record.class.as_str(),
                record.text,
                commit.conversation.text(),
                commit.turn.text(),
                commit.at.0,
            ])?;
    }
    Ok(())
}

fn end_turn(
    unit: &Unit<'_>,
    commit: &CommitTurn,
    position: i64,
    parts: Option<(i64, i64)>,
) -> Result<(), WriteError> {
    let (outcome, reason) = ending(&commit.disposition);
    let journey = serde_json::to_string(&commit.journey)
        .map_err(|error| WriteError::Refused(format!("the journey cannot be written: {error}")))?;
    unit.conn
        .prepare_cached(
            "UPDATE turns SET state = 'committed', outcome = ?2, reason = ?3, class = ?4, language = ?5, ended_at = ?6, \
             journey = ?7, first_part = ?8, last_part = ?9 WHERE position = ?1",
        )?
        .execute(params![
            position,
            outcome,
            reason,
            commit.class.map(|class| class.as_str()),
            commit.language.as_ref().map(Language::as_str),
            commit.at.0,
            journey,
            parts.map(|(first, _)| first),
            parts.map(|(_, last)| last),
        ])?;
    Ok(())
}

/// The reply as stored: parts for a dispatcher, or replies for readers.
#[derive(Default)]
pub(super) struct Written {
    pub(super) positions: Option<(i64, i64)>,
    parts: Vec<OutboxPart>,
    pub(super) replies: Vec<ReplyView>,
}

/// Stores the parts of a reply.
pub(super) fn write_parts(
    unit: &mut Unit<'_>,
    commit: &mut CommitTurn,
    account: &Account,
) -> Result<Written, WriteError> {
    let mut written = Written::default();
    if commit.parts.is_empty() {
        return Ok(written);
    }
    let to = recipient(unit, commit.conversation)?;
    let is_read_here = account.channel.is_read_from_store();
    let goes_now = commit.first_is_sending && !is_read_here && !is_held(unit, commit.conversation, i64::MAX)?;
    for (index, part) in std::mem::take(&mut commit.parts).into_iter().enumerate() {
        let state = match (is_read_here, goes_now && index == 0) {
            (true, _) => PartState::Sent,
            (false, true) => PartState::Sending,
            (false, false) => PartState::Pending,
        };
        let position = insert_part(unit, commit, account, &to, &part, state)?;
        written.positions = Some((written.positions.map_or(position, |(first, _)| first), position));
        unit.effects.entry.books.parts_created += 1;
        *shelf(&mut unit.effects.entry.books, state) += 1;
        if is_read_here {
            written.replies.push(reply(commit, part, position, state));
        } else {
            written.parts.push(outbox_part(commit, account, &to, part, position, state));
        }
    }
    Ok(written)
}

fn insert_part(
    unit: &Unit<'_>,
    commit: &CommitTurn,
    account: &Account,
    to: &Recipient,
    part: &ReplyPart,
    state: PartState,
) -> Result<i64, WriteError> {
    unit.conn
        .prepare_cached(
            "INSERT INTO outbox (id, conversation_id, turn_id, channel, account, phone, user_id, text, state, attempt, \
             not_before, created_tick, created_at, sent_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13)",
        )?
        .execute(params![
            part.id.text(),
            commit.conversation.text(),
            commit.turn.text(),
            account.channel.as_str(),
            account.name,
            to.phone,
            to.user_id,
            part.text,
            state.as_str(),
            attempts(state),
            commit.tick.0,
            commit.at.0,
            (state == PartState::Sent).then_some(commit.at.0),
        ])?;
    Ok(unit.conn.last_insert_rowid())
}

/// The sends that are marked of a part that is stored in this state.
const fn attempts(state: PartState) -> u32 {
    matches!(state, PartState::Sending) as u32
}

fn reply(commit: &CommitTurn, part: ReplyPart, position: i64, state: PartState) -> ReplyView {
    ReplyView { id: part.id, position, turn: commit.turn, text: part.text, state, at: commit.at }
}

fn outbox_part(
    commit: &CommitTurn,
    account: &Account,
    to: &Recipient,
    part: ReplyPart,
    position: i64,
    state: PartState,
) -> OutboxPart {
    OutboxPart {
        id: part.id,
        position,
        conversation: commit.conversation,
        turn: commit.turn,
        account: account.clone(),
        recipient: to.clone(),
        text: part.text,
        state,
        attempt: attempts(state),
        created: commit.tick,
        not_before: Tick(commit.tick.0),
    }
}
