//! What people and programs read.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tertulia_actors::domain::{ConversationId, Journey, Speaker, Tick};
use tertulia_actors::ports::store::{
    ConversationView, DeadLetter, MessageView, QuarantineView, RecordView, ReplyView, TurnView,
};

use super::super::row::{AsText, at, count, parsed, parsed_or_none, small, tick};
use super::{limit as rows_max, readable};

/// See [`Views::conversation`](tertulia_actors::ports::store::Views::conversation).
pub(in crate::store) fn conversation(
    conn: &Connection,
    id: ConversationId,
) -> rusqlite::Result<Option<ConversationView>> {
    conn.prepare_cached(
        "SELECT id, channel, account, created_at, last_seq, pending, needs_human, language, merged_into, \
         taken_by, taken_until FROM conversations WHERE id = ?1",
    )?
    .query_row([id.text()], conversation_view)
    .optional()
}

fn conversation_view(row: &Row<'_>) -> rusqlite::Result<ConversationView> {
    Ok(ConversationView {
        id: parsed(row, 0)?,
        channel: parsed(row, 1)?,
        account: row.get(2)?,
        created_at: at(row, 3)?,
        messages: count(row, 4)?,
        pending: count(row, 5)?,
        needs_human: row.get(6)?,
        language: row.get(7)?,
        merged_into: parsed_or_none(row, 8)?,
        taken_by: row.get(9)?,
        taken_until: row.get::<_, Option<i64>>(10)?.map(Tick),
    })
}

/// See [`Views::needing_human`](tertulia_actors::ports::store::Views::needing_human). Ids begin with the time of their
/// making.
pub(in crate::store) fn needing_human(
    conn: &Connection,
    after: Option<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationView>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, channel, account, created_at, last_seq, pending, needs_human, language, merged_into, \
         taken_by, taken_until FROM conversations WHERE needs_human = 1 AND id > COALESCE(?1, '') ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after.map(AsText::text), rows_max(limit)], conversation_view)?;
    readable(rows)
}

/// See [`Views::records`](tertulia_actors::ports::store::Views::records).
pub(in crate::store) fn records(
    conn: &Connection,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<RecordView>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, class, text, conversation_id, turn_id, at FROM records WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, rows_max(limit)], |row| {
        Ok(RecordView {
            id: row.get(0)?,
            class: row.get(1)?,
            text: row.get(2)?,
            conversation: parsed(row, 3)?,
            turn: parsed(row, 4)?,
            at: at(row, 5)?,
        })
    })?;
    readable(rows)
}

/// See [`Views::messages`](tertulia_actors::ports::store::Views::messages).
pub(in crate::store) fn messages(
    conn: &Connection,
    id: ConversationId,
    limit: usize,
) -> rusqlite::Result<Vec<MessageView>> {
    let mut lines = conn
        .prepare_cached(
            "SELECT provider_id, kind, text, received_at, state, COALESCE(turn_id, (SELECT id FROM turns t \
             WHERE t.conversation_id = ?1 AND t.state IN ('running', 'waiting') AND m.state = 'pending' \
             AND m.seq BETWEEN t.first_seq AND t.last_seq \
             AND CASE WHEN t.seqs IS NULL THEN 1 WHEN json_valid(t.seqs) \
             THEN m.seq IN (SELECT value FROM json_each(t.seqs)) END)), content, received_tick \
             FROM messages m WHERE conversation_id = ?1 ORDER BY seq DESC LIMIT ?2",
        )?
        .query_map(params![id.text(), rows_max(limit)], |row| Ok((tick(row, 7)?, customers_line(row)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    lines.append(&mut bots_lines(conn, id, limit)?);
    // By the steady timeline: the wall clock, which is shown, may have been set back. Both lists are newest first. The sort is
    // stable: what was said at the same time keeps its order.
    lines.reverse();
    lines.sort_by_key(|(tick, line)| (*tick, line.speaker == Speaker::Bot));
    lines.drain(..lines.len().saturating_sub(limit));
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

fn customers_line(row: &Row<'_>) -> rusqlite::Result<MessageView> {
    Ok(MessageView {
        speaker: Speaker::Customer,
        id: row.get(0)?,
        kind: row.get(1)?,
        text: row.get(2)?,
        content: row.get::<_, Option<String>>(6)?.and_then(|text| serde_json::from_str(&text).ok()),
        at: at(row, 3)?,
        state: row.get(4)?,
        turn: parsed_or_none(row, 5)?,
        position: None,
        author: None,
    })
}

/// The last parts of the conversation, newest first.
fn bots_lines(
    conn: &Connection,
    id: ConversationId,
    limit: usize,
) -> rusqlite::Result<Vec<(Tick, MessageView)>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, text, created_at, state, turn_id, position, created_tick, author FROM outbox \
         WHERE position BETWEEN ?1 AND ?2 AND conversation_id = ?3 ORDER BY position DESC",
    )?;
    let mut lines = Vec::new();
    for (first, last) in bounds_of_parts(conn, id, 0, Some(limit))? {
        let rows = statement
            .query_map(params![first, last, id.text()], |row| Ok((tick(row, 6)?, bots_line(row)?)))?;
        for line in rows {
            lines.push(line?);
        }
    }
    lines.truncate(limit);
    Ok(lines)
}

/// The first and last position of the parts of each turn of a conversation that left some behind `after`, newest first; at most
/// `limit`. The parts of a turn lie behind those of the turn before, so the walk ends where the first lies before.
fn bounds_of_parts(
    conn: &Connection,
    id: ConversationId,
    after: i64,
    limit: Option<usize>,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT first_part, last_part FROM turns WHERE conversation_id = ?1 AND last_part IS NOT NULL \
         ORDER BY position DESC LIMIT ?2",
    )?;
    // SQLite takes a negative limit for none.
    let mut rows = statement.query(params![id.text(), limit.map_or(-1, rows_max)])?;
    let mut bounds = Vec::new();
    while let Some(row) = rows.next()? {
        let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
        if last <= after {
            break;
        }
        bounds.push((first.max(after + 1), last));
    }
    Ok(bounds)
}

fn bots_line(row: &Row<'_>) -> rusqlite::Result<MessageView> {
    Ok(MessageView {
        speaker: Speaker::Bot,
        id: row.get(0)?,
        kind: "text".into(),
        text: row.get(1)?,
        content: None,
        at: at(row, 2)?,
        state: row.get(3)?,
        turn: parsed_or_none(row, 4)?,
        position: row.get(5)?,
        author: row.get(7)?,
    })
}

/// See [`Views::replies_after`](tertulia_actors::ports::store::Views::replies_after).
pub(in crate::store) fn replies_after(
    conn: &Connection,
    id: ConversationId,
    position: i64,
    limit: usize,
) -> rusqlite::Result<Vec<ReplyView>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, position, turn_id, text, state, created_at FROM outbox \
         WHERE position BETWEEN ?1 AND ?2 AND conversation_id = ?3 ORDER BY position",
    )?;
    let mut replies = Vec::new();
    for (first, last) in bounds_of_parts(conn, id, position, None)?.into_iter().rev() {
        for reply in statement.query_map(params![first, last, id.text()], reply_view)? {
            replies.push(reply?);
        }
        if replies.len() >= limit {
            break;
        }
    }
    replies.truncate(limit);
    Ok(replies)
}

fn reply_view(row: &Row<'_>) -> rusqlite::Result<ReplyView> {
    Ok(ReplyView {
        id: parsed(row, 0)?,
        position: row.get(1)?,
        turn: parsed(row, 2)?,
        text: row.get(3)?,
        state: parsed(row, 4)?,
        at: at(row, 5)?,
    })
}

/// See [`Views::turns`](tertulia_actors::ports::store::Views::turns).
pub(in crate::store) fn turns(
    conn: &Connection,
    id: ConversationId,
    limit: usize,
) -> rusqlite::Result<Vec<TurnView>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, state, outcome, reason, class, attempt, failures, interruptions, started_at, ended_at, journey \
         FROM turns WHERE conversation_id = ?1 ORDER BY position DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![id.text(), rows_max(limit)], |row| {
        Ok(TurnView {
            id: parsed(row, 0)?,
            state: row.get(1)?,
            outcome: outcome(row.get(2)?, row.get(3)?),
            class: row.get(4)?,
            attempt: small(row, 5)?,
            failures: small(row, 6)?,
            interruptions: small(row, 7)?,
            started_at: at(row, 8)?,
            ended_at: row.get::<_, Option<i64>>(9)?.map(tertulia_actors::domain::Timestamp),
            journey: journey(row)?,
        })
    })?;
    rows.collect()
}

/// How the messages of a turn ended, and why.
pub(super) fn outcome(outcome: Option<String>, reason: Option<String>) -> Option<String> {
    match (outcome, reason) {
        (Some(outcome), Some(reason)) => Some(format!("{outcome}: {reason}")),
        (outcome, reason) => outcome.or(reason),
    }
}

fn journey(row: &Row<'_>) -> rusqlite::Result<Journey> {
    let Some(text) = row.get_ref(10)?.as_str_or_null()? else { return Ok(Journey::default()) };
    serde_json::from_str(text).map_err(|error| rusqlite::types::FromSqlError::Other(Box::new(error)).into())
}

/// See [`Views::dead_letters`](tertulia_actors::ports::store::Views::dead_letters).
pub(in crate::store) fn dead_letters(
    conn: &Connection,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut statement = conn.prepare_cached(
        "SELECT receipt_seq, conversation_id, seq, kind, text, reason, received_at FROM messages \
         WHERE state = 'dead_lettered' AND receipt_seq > ?1 ORDER BY receipt_seq LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, rows_max(limit)], |row| {
        Ok(DeadLetter {
            id: row.get(0)?,
            conversation: parsed(row, 1)?,
            seq: count(row, 2)?,
            kind: row.get(3)?,
            text: row.get(4)?,
            reason: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
            received_at: at(row, 6)?,
        })
    })?;
    readable(rows)
}

/// See [`Views::quarantined`](tertulia_actors::ports::store::Views::quarantined).
pub(in crate::store) fn quarantined(
    conn: &Connection,
    before: Option<i64>,
    limit: usize,
) -> rusqlite::Result<Vec<QuarantineView>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, channel, reason, received_at, body FROM quarantine \
         WHERE id < COALESCE(?1, 9223372036854775807) ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before, rows_max(limit)], |row| {
        Ok(QuarantineView {
            id: row.get(0)?,
            channel: parsed(row, 1)?,
            reason: row.get(2)?,
            received_at: at(row, 3)?,
            body: String::from_utf8_lossy(row.get_ref(4)?.as_blob()?).into_owned(),
        })
    })?;
    readable(rows)
}
