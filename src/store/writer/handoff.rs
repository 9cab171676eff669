//! Who answers a conversation. A turn that was open while somebody had it says nothing, whatever comes after: so a person and the bot
//! never answer the same, and the parts of a conversation's turns stay in the order of the turns.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tertulia_actors::domain::{Account, Channel, ConversationId, Disposition, Epoch, Journey};
use tertulia_actors::ports::store::{CommitTurn, OperatorReply, ReplyView};

use super::super::error::WriteError;
use super::super::row::{AsText, count, int, parsed};
use super::commit::write_parts;
use super::unit::{Unit, Write};

/// Somebody answers from now on.
pub(in crate::store) struct TakeOver {
    pub(in crate::store) conversation: ConversationId,
    pub(in crate::store) who: String,
    /// Who is known to have it.
    pub(in crate::store) from: Option<String>,
    pub(in crate::store) idle: Duration,
}

impl Write for TakeOver {
    type Answer = ();

    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        expect_usable(unit, self.conversation)?;
        expect_holder(unit, self.conversation, &self.who, self.from.as_deref())?;
        let until = unit.tick.after(self.idle);
        unit.conn
            .prepare_cached("UPDATE conversations SET taken_by = ?2, taken_until = ?3 WHERE id = ?1")?
            .execute(params![self.conversation.text(), self.who, until.0])?;
        silence(unit, self.conversation, &self.who)?;
        Ok(())
    }
}

/// The bot answers from now on.
pub(in crate::store) struct HandBack {
    pub(in crate::store) conversation: ConversationId,
    pub(in crate::store) who: String,
    /// Who is known to have it.
    pub(in crate::store) from: Option<String>,
}

impl Write for HandBack {
    type Answer = ();

    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        if taken_by(unit, self.conversation)?.is_none() {
            return refuse("nobody has taken this conversation over");
        }
        expect_holder(unit, self.conversation, &self.who, self.from.as_deref())?;
        unit.conn
            .prepare_cached(
                "UPDATE conversations SET taken_by = NULL, taken_until = NULL, needs_human = set_aside IS NOT NULL \
                 WHERE id = ?1",
            )?
            .execute([self.conversation.text()])?;
        Ok(())
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, WriteError> {
    Err(WriteError::Refused(reason.into()))
}

/// A conversation in which nothing happens any more cannot be answered.
fn expect_usable(unit: &Unit<'_>, conversation: ConversationId) -> Result<(), WriteError> {
    let found: Option<(Option<String>, bool)> = unit
        .conn
        .prepare_cached("SELECT merged_into, set_aside IS NOT NULL FROM conversations WHERE id = ?1")?
        .query_row([conversation.text()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => refuse("there is no such conversation"),
        Some((Some(target), _)) => {
            refuse(format!("it was merged into conversation {target}: answer that one"))
        }
        Some((None, true)) => {
            refuse("it is set aside, since its rows cannot be read: see `tertulia db check`")
        }
        Some((None, false)) => Ok(()),
    }
}

/// Nobody takes a conversation from somebody else without knowing that they have it.
fn expect_holder(
    unit: &Unit<'_>,
    conversation: ConversationId,
    who: &str,
    from: Option<&str>,
) -> Result<(), WriteError> {
    match taken_by(unit, conversation)? {
        Some(holder) if holder != who && Some(holder.as_str()) != from => refuse(format!(
            "{holder} has taken this conversation over: ask them, or say that it is from them"
        )),
        _ => Ok(()),
    }
}

/// Who answers in the place of the bot now.
fn taken_by(unit: &Unit<'_>, conversation: ConversationId) -> rusqlite::Result<Option<String>> {
    unit.conn
        .prepare_cached("SELECT taken_by FROM conversations WHERE id = ?1 AND taken_until > ?2")?
        .query_row(params![conversation.text(), unit.tick.0], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

/// The turn that is open says nothing, also after the conversation is handed back.
fn silence(unit: &Unit<'_>, conversation: ConversationId, who: &str) -> rusqlite::Result<()> {
    unit.conn
        .prepare_cached(
            "UPDATE turns SET silenced_by = ?2 WHERE conversation_id = ?1 AND state IN ('running', 'waiting')",
        )?
        .execute(params![conversation.text(), who])?;
    Ok(())
}

/// Whether the turn that has just been started says nothing: somebody has its conversation, or had it while it was open.
pub(super) fn is_quiet(unit: &Unit<'_>, conversation: ConversationId) -> rusqlite::Result<bool> {
    if let Some(who) = taken_by(unit, conversation)? {
        silence(unit, conversation, &who)?;
        return Ok(true);
    }
    unit.conn
        .prepare_cached(
            "SELECT silenced_by IS NOT NULL FROM turns WHERE conversation_id = ?1 AND state IN ('running', 'waiting')",
        )?
        .query_row([conversation.text()], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Leaves the answer out of a turn that `silenced_by` has silenced; whoever has the conversation should look.
pub(super) fn keep_quiet(commit: &mut CommitTurn, silenced_by: Option<&str>) {
    let Some(who) = silenced_by else { return };
    commit.parts.clear();
    commit.needs_human = true;
    if matches!(commit.disposition, Disposition::Answered | Disposition::Suppressed(_)) {
        commit.disposition = Disposition::Suppressed(format!("taken over by {who}"));
    }
}

/// Whoever is found to be the same person is answered by whoever answered them: the take-over goes along.
pub(super) fn carry_over(unit: &Unit<'_>, from: ConversationId, to: ConversationId) -> rusqlite::Result<()> {
    let Some(who) = taken_by(unit, from)? else { return Ok(()) };
    if taken_by(unit, to)?.is_some() {
        return Ok(());
    }
    unit.conn
        .prepare_cached(
            "UPDATE conversations SET taken_by = ?2, \
             taken_until = (SELECT taken_until FROM conversations WHERE id = ?3) WHERE id = ?1",
        )?
        .execute(params![to.text(), who, from.text()])?;
    silence(unit, to, &who)
}

impl Write for OperatorReply {
    type Answer = Vec<ReplyView>;

    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        if is_stored(unit, self)? {
            return Ok(vec![]);
        }
        expect_usable(unit, self.conversation)?;
        if taken_by(unit, self.conversation)?.as_deref() != Some(self.who.as_str()) {
            return refuse("take the conversation over first: else the bot would answer beside you");
        }
        let (account, last_seq) = extend(unit, self)?;
        let position = begin(unit, self, last_seq)?;
        let mut commit = commit_of(unit, self);
        let written = write_parts(unit, &mut commit, &account)?;
        if let Some((first, last)) = written.positions {
            unit.conn
                .prepare_cached("UPDATE outbox SET author = ?3 WHERE position BETWEEN ?1 AND ?2")?
                .execute(params![first, last, self.who])?;
            unit.conn
                .prepare_cached("UPDATE turns SET first_part = ?2, last_part = ?3 WHERE position = ?1")?
                .execute(params![position, first, last])?;
        }
        unit.effects.changed.push(self.conversation);
        Ok(written.replies)
    }
}

/// Whether this very reply was stored before: its sender never heard of it, and sent it again.
fn is_stored(unit: &Unit<'_>, reply: &OperatorReply) -> Result<bool, WriteError> {
    let Some(part) = reply.parts.first() else { return refuse("a reply has a text") };
    let of: Option<(String, Option<String>)> = unit
        .conn
        .prepare_cached("SELECT conversation_id, author FROM outbox WHERE id = ?1")?
        .query_row([part.id.text()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match of {
        None => Ok(false),
        Some((conversation, Some(author)))
            if conversation == reply.conversation.to_string() && author == reply.who =>
        {
            Ok(true)
        }
        Some(_) => refuse("this id is that of another message: choose a new one"),
    }
}

/// The bot stays quiet for as long again, and nobody else is asked for.
fn extend(unit: &Unit<'_>, reply: &OperatorReply) -> Result<(Account, u64), WriteError> {
    let until = unit.tick.after(reply.idle);
    let found = unit
        .conn
        .prepare_cached(
            "UPDATE conversations SET taken_until = ?2, needs_human = 0 WHERE id = ?1 \
             RETURNING channel, account, last_seq",
        )?
        .query_row(params![reply.conversation.text(), until.0], |row| {
            let account = Account::new(parsed::<Channel, _>(row, 0)?, row.get::<_, String>(1)?);
            Ok((account, count(row, 2)?))
        })?;
    Ok(found)
}

/// A turn without messages, which holds the parts: everything that was said is found through turns.
fn begin(unit: &Unit<'_>, reply: &OperatorReply, last_seq: u64) -> Result<i64, WriteError> {
    unit.conn
        .prepare_cached(
            "INSERT INTO turns (id, conversation_id, state, attempt, first_seq, last_seq, seqs, outcome, reason, \
             started_at, ended_at) VALUES (?1, ?2, 'committed', 1, ?3, ?4, '[]', 'operator', ?5, ?6, ?6)",
        )?
        .execute(params![
            reply.turn.text(),
            reply.conversation.text(),
            int(last_seq + 1),
            int(last_seq),
            reply.who,
            unit.now.0,
        ])?;
    Ok(unit.conn.last_insert_rowid())
}

/// The parts as those of a commit.
fn commit_of(unit: &Unit<'_>, reply: &mut OperatorReply) -> CommitTurn {
    CommitTurn {
        conversation: reply.conversation,
        epoch: Epoch::default(),
        turn: reply.turn,
        attempt: 1,
        disposition: Disposition::Answered,
        parts: std::mem::take(&mut reply.parts),
        first_is_sending: false,
        needs_human: false,
        records: vec![],
        class: None,
        language: None,
        journey: Journey::default(),
        at: unit.now,
        tick: unit.tick,
    }
}
