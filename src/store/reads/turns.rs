//! What a conversation's actor and its turns need to know.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tertulia_actors::domain::{
    Account, Channel, ConversationId, HistoryItem, OpenTurn, PendingMessage, Speaker, Tick, TurnId,
};
use tertulia_actors::ports::store::ConversationState;

use super::super::batch::{Batch, waits_in_batch};
use super::super::row::{AsText, contradiction, count, int, language, parsed, pending_message, small, tick};
use super::limit as rows_max;

/// Why a conversation is set aside, where it is.
pub(in crate::store) fn set_aside(conn: &Connection, id: ConversationId) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT set_aside FROM conversations WHERE id = ?1 AND set_aside IS NOT NULL")?
        .query_row([id.text()], |row| row.get(0))
        .optional()
}

/// See [`Turns::load_conversation`](tertulia_actors::ports::store::Turns::load_conversation), but for conversations that are
/// set aside, which it reads like others.
pub(in crate::store) fn load_conversation(
    conn: &Connection,
    id: ConversationId,
    limit: usize,
) -> rusqlite::Result<Option<ConversationState>> {
    let Some((mut state, waiting, first_pending)) = head(conn, id)? else { return Ok(None) };
    let in_turn = open_turn(conn, id)?;
    let (turn, batch) = in_turn.unzip();
    let in_turn = turn.as_ref().map_or(0, |turn| turn.messages.len());
    state.open_turn = turn;
    for from in [first_pending, i64::MIN] {
        state.pending = pending(conn, id, batch.as_ref(), from, limit.saturating_add(1))?;
        state.more = state.pending.len() > limit;
        if state.more || int(state.pending.len() + in_turn) == waiting {
            break;
        }
        // Rows that were mended may lie before.
    }
    let found = state.pending.len() + in_turn;
    if !state.more && int(found) != waiting {
        // Some are in a state, or a turn, that does not exist: nobody would ever answer them.
        return Err(contradiction(format!("{waiting} messages wait, and {found} of them are found")));
    }
    state.pending.truncate(limit);
    Ok(Some(state))
}

/// The conversation itself, how many of its messages have not ended, and from where on they are.
fn head(conn: &Connection, id: ConversationId) -> rusqlite::Result<Option<(ConversationState, i64, i64)>> {
    conn.prepare_cached(
        "SELECT channel, account, last_seq, previous_end, language, pending, first_pending FROM conversations \
         WHERE id = ?1",
    )?
    .query_row([id.text()], |row| {
        let state = ConversationState {
            account: Account::new(parsed::<Channel, _>(row, 0)?, row.get::<_, String>(1)?),
            last_seq: count(row, 2)?,
            previous_end: row.get::<_, Option<i64>>(3)?.map(Tick),
            language: language(row, 4)?,
            open_turn: None,
            pending: Vec::new(),
            more: false,
        };
        Ok((state, row.get(5)?, row.get(6)?))
    })
    .optional()
}

/// The turn that has not ended, and which messages it holds. It is the conversation's last one, if any is, but for those that hold what
/// an operator wrote meanwhile; where the state of that
/// does not exist nobody knows whether its messages were answered.
fn open_turn(conn: &Connection, id: ConversationId) -> rusqlite::Result<Option<(OpenTurn, Batch)>> {
    let turn = conn
        .prepare_cached(
            "SELECT id, attempt, state, failures, interruptions, not_before, first_seq, last_seq, seqs \
             FROM turns WHERE conversation_id = ?1 AND outcome IS NOT 'operator' ORDER BY position DESC LIMIT 1",
        )?
        .query_row([id.text()], |row| {
            let running = match row.get_ref(2)?.as_str()? {
                "running" => true,
                "waiting" => false,
                "committed" | "split" => return Ok(None),
                state => return Err(contradiction(format!("the last turn is {state}"))),
            };
            let turn = OpenTurn {
                id: parsed(row, 0)?,
                attempt: small(row, 1)?,
                running,
                failures: small(row, 3)?,
                interruptions: small(row, 4)?,
                not_before: tick(row, 5)?,
                messages: Vec::new(),
                named: None,
            };
            Ok(Some((turn, Batch::read(row, 6)?)))
        })
        .optional()?;
    let Some((mut turn, batch)) = turn.flatten() else { return Ok(None) };
    // Written order, as the provider tells it; it tells whole seconds, so receipts decide the rest; where it tells none, the steady timeline stands for it.
    let mut statement = conn.prepare_cached(concat!(
        "SELECT seq, kind, text, provider_at, received_at, received_tick, receipt_seq, alone FROM messages \
         WHERE conversation_id = ?1 AND ",
        waits_in_batch!(),
        " ORDER BY COALESCE(provider_at, received_tick), receipt_seq, seq"
    ))?;
    turn.messages = statement
        .query_map(params![id.text(), batch.first, batch.last, batch.seqs], pending_message)?
        .collect::<Result<_, _>>()?;
    if !batch.is_all(turn.messages.len()) {
        return Err(contradiction(batch.contradiction(turn.messages.len())));
    }
    Ok(Some((turn, batch)))
}

/// What waits from a number on and is in no turn.
fn pending(
    conn: &Connection,
    id: ConversationId,
    in_turn: Option<&Batch>,
    from: i64,
    limit: usize,
) -> rusqlite::Result<Vec<PendingMessage>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, kind, text, provider_at, received_at, received_tick, receipt_seq, alone FROM messages \
         WHERE conversation_id = ?1 AND seq >= ?6 \
         AND state = 'pending' AND NOT (?2 IS NOT NULL AND seq BETWEEN ?2 AND ?3 \
         AND (?4 IS NULL OR seq IN (SELECT value FROM json_each(?4)))) ORDER BY receipt_seq, seq LIMIT ?5",
    )?;
    let (first, last) = in_turn.map(|batch| (batch.first, batch.last)).unzip();
    let seqs = in_turn.and_then(|batch| batch.seqs.as_deref());
    statement
        .query_map(params![id.text(), first, last, seqs, rows_max(limit), from], pending_message)?
        .collect()
}

/// A committed turn with the bounds of its rows.
struct Past {
    id: String,
    seqs: (i64, i64),
    parts: Option<(i64, i64)>,
}

/// See [`Turns::history`](tertulia_actors::ports::store::Turns::history).
pub(in crate::store) fn history(
    conn: &Connection,
    id: ConversationId,
    before: TurnId,
    limit: usize,
) -> rusqlite::Result<Vec<HistoryItem>> {
    let mut lines = Vec::new();
    for turn in past(conn, id, before, limit)? {
        if lines.len() >= limit {
            break;
        }
        // From the newest line to the oldest, so that the limit cuts the oldest.
        let mut said = words(conn, id, &turn)?;
        said.reverse();
        lines.append(&mut said);
    }
    lines.truncate(limit);
    lines.reverse();
    Ok(lines)
}

/// The committed turns before a turn, newest first. Only an open turn has others behind it; it is found by the index of those, as the
/// start of a turn may not be written yet, and looking for it among all turns would take longer with each.
fn past(conn: &Connection, id: ConversationId, before: TurnId, limit: usize) -> rusqlite::Result<Vec<Past>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, first_seq, last_seq, first_part, last_part FROM turns WHERE conversation_id = ?1 \
         AND state = 'committed' AND position < COALESCE((SELECT position FROM turns WHERE conversation_id = ?1 \
         AND state IN ('running', 'waiting') AND id = ?2), 9223372036854775807) ORDER BY position DESC LIMIT ?3",
    )?;
    let rows = statement.query_map(params![id.text(), before.text(), rows_max(limit)], |row: &Row<'_>| {
        let parts = row.get::<_, Option<i64>>(3)?.zip(row.get::<_, Option<i64>>(4)?);
        Ok(Past { id: row.get(0)?, seqs: (row.get(1)?, row.get(2)?), parts })
    })?;
    rows.collect()
}

/// What was said in a turn, in order: the customer's messages, then the reply's parts that were not refused.
fn words(conn: &Connection, id: ConversationId, turn: &Past) -> rusqlite::Result<Vec<HistoryItem>> {
    let line =
        |speaker| move |row: &Row<'_>| Ok(HistoryItem { conversation: id, speaker, text: row.get(0)? });
    let mut lines = conn
        .prepare_cached(
            "SELECT text FROM messages WHERE conversation_id = ?1 AND seq BETWEEN ?2 AND ?3 AND turn_id = ?4 \
             AND text IS NOT NULL ORDER BY COALESCE(provider_at, received_tick), receipt_seq, seq",
        )?
        .query_map(params![id.text(), turn.seqs.0, turn.seqs.1, turn.id], line(Speaker::Customer))?
        .collect::<Result<Vec<_>, _>>()?;
    if let Some((first, last)) = turn.parts {
        let mut statement = conn.prepare_cached(
            "SELECT text FROM outbox WHERE position BETWEEN ?1 AND ?2 AND turn_id = ?3 AND state <> 'failed' \
             ORDER BY position",
        )?;
        for part in statement.query_map(params![first, last, turn.id], line(Speaker::Bot))? {
            lines.push(part?);
        }
    }
    Ok(lines)
}
