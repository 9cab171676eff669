//! How turns came to their answers. Turns are numbered in the order in which they began, so that the newest are at the end of the
//! table; nothing but that is indexed, since an index would cost every turn a page.

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use tertulia_actors::domain::{Journey, PartState, Timestamp};
use tertulia_actors::ports::store::{
    JourneyFilter, JourneyMessage, JourneyPage, JourneyPart, JourneyRow, JourneyView,
};

use super::super::row::{AsText, at, count, int, parsed, small};
use super::limit as rows_max;
use super::views::outcome;

/// Turns that one page looks at.
const SCAN_MAX: i64 = 20_000;

/// The columns of a row, and where they come from.
const ROW: &str = "SELECT t.position, t.id, t.conversation_id, c.channel, t.state, t.outcome, t.reason, t.class, t.language, \
     t.attempt, t.failures, t.interruptions, t.started_at, t.ended_at, t.journey, c.needs_human, t.first_part, t.last_part, \
     (SELECT min(received_at) FROM messages m WHERE m.conversation_id = t.conversation_id \
      AND m.seq BETWEEN t.first_seq AND t.last_seq) \
     FROM turns t JOIN conversations c ON c.id = t.conversation_id ";

/// What a filter asks for; each condition holds where it is not set.
const WHERE: &str = " AND t.position < :before AND t.position >= :lowest \
     AND (NOT :failed OR t.failures > 0 OR t.outcome = 'dead_lettered' OR t.state = 'split' \
          OR EXISTS (SELECT 1 FROM outbox o WHERE o.position BETWEEN t.first_part AND t.last_part \
                     AND o.conversation_id = t.conversation_id AND o.state = 'failed')) \
     AND (:slow_ms IS NULL OR t.ended_at - t.started_at >= :slow_ms) \
     AND (NOT :ambiguous OR EXISTS (SELECT 1 FROM outbox o WHERE o.position BETWEEN t.first_part AND t.last_part \
                                    AND o.conversation_id = t.conversation_id AND o.state = 'ambiguous')) \
     AND (NOT :degraded OR instr(t.journey, '\"degraded\":true')) \
     AND (NOT :needs_human OR c.needs_human = 1) \
     AND (:class IS NULL OR t.class = :class) AND (:language IS NULL OR t.language = :language) \
     AND (:text IS NULL OR EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = t.conversation_id \
          AND m.seq BETWEEN t.first_seq AND t.last_seq AND instr(lower(m.text), :text))) \
     ORDER BY t.position DESC LIMIT :limit";

/// See [`Journeys::journeys`](tertulia_actors::ports::store::Journeys::journeys).
pub(in crate::store) fn journeys(
    conn: &Connection,
    filter: &JourneyFilter,
    before: Option<i64>,
    limit: usize,
) -> rusqlite::Result<JourneyPage> {
    let last: Option<i64> = conn.query_row("SELECT max(position) FROM turns", [], |row| row.get(0))?;
    let Some(last) = last else { return Ok(JourneyPage { journeys: vec![], next: None }) };
    let before = before.unwrap_or(i64::MAX).min(last.saturating_add(1));
    // Those of one conversation have an index of their own.
    let (whose, lowest) = match filter.conversation {
        Some(_) => ("WHERE t.conversation_id = :conversation", 0),
        None => ("WHERE :conversation IS NULL", before.saturating_sub(SCAN_MAX)),
    };
    let text = filter.text.as_ref().map(|text| text.to_ascii_lowercase());
    let mut statement = conn.prepare_cached(&format!("{ROW}{whose}{WHERE}"))?;
    let (mut looked_at, mut last_seen) = (0, None);
    let rows = statement.query_map(
        named_params! {
            ":conversation": filter.conversation.as_ref().map(ToString::to_string), ":before": before, ":lowest": lowest, ":failed": filter.failed, ":slow_ms": filter.slow_ms.map(int),
            ":ambiguous": filter.ambiguous, ":degraded": filter.degraded, ":needs_human": filter.needs_human,
            ":class": filter.class, ":language": filter.language, ":text": text, ":limit": rows_max(limit),
        },
        |row| {
            // Counted before it is read: one that cannot be read hides none behind it.
            looked_at += 1;
            last_seen = Some(row.get::<_, i64>(0)?);
            Ok(Found { journey: row_of(row)?, parts: (row.get(16)?, row.get(17)?) })
        },
    )?;
    let mut found = super::readable(rows)?;
    for found in &mut found {
        found.journey.parts = parts(conn, found)?.into_iter().map(|part| part.state).collect();
    }
    let is_full = looked_at >= limit;
    let journeys: Vec<_> = found.into_iter().map(|found| found.journey).collect();
    let next = if is_full { last_seen } else { Some(lowest) };
    Ok(JourneyPage { journeys, next: next.filter(|next| *next > 1) })
}

/// See [`Journeys::journey`](tertulia_actors::ports::store::Journeys::journey).
pub(in crate::store) fn journey(conn: &Connection, position: i64) -> rusqlite::Result<Option<JourneyView>> {
    let found = conn
        .prepare_cached(&format!("{ROW}WHERE t.position = ?1"))?
        .query_row([position], |row| {
            let journey = journey_of(row)?;
            Ok((Found { journey: row_of(row)?, parts: (row.get(16)?, row.get(17)?) }, journey))
        })
        .optional()?;
    let Some((found, journey)) = found else { return Ok(None) };
    let (messages, reply) = (messages(conn, position, &found)?, parts(conn, &found)?);
    let row = JourneyRow { parts: reply.iter().map(|part| part.state).collect(), ..found.journey };
    Ok(Some(JourneyView { row, messages, journey, reply }))
}

/// A row, and the bounds of the parts of its reply.
struct Found {
    journey: JourneyRow,
    parts: (Option<i64>, Option<i64>),
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<JourneyRow> {
    Ok(JourneyRow {
        position: row.get(0)?,
        turn: parsed(row, 1)?,
        conversation: parsed(row, 2)?,
        channel: parsed(row, 3)?,
        state: row.get(4)?,
        outcome: outcome(row.get(5)?, row.get(6)?),
        class: row.get(7)?,
        language: row.get(8)?,
        attempt: small(row, 9)?,
        failures: small(row, 10)?,
        interruptions: small(row, 11)?,
        received_at: moment(row, 18)?,
        started_at: at(row, 12)?,
        ended_at: moment(row, 13)?,
        degraded: journey_of(row)?.degraded,
        needs_human: row.get(15)?,
        parts: vec![],
    })
}

fn journey_of(row: &Row<'_>) -> rusqlite::Result<Journey> {
    let Some(text) = row.get_ref(14)?.as_str_or_null()? else { return Ok(Journey::default()) };
    serde_json::from_str(text).map_err(|error| FromSqlError::Other(Box::new(error)).into())
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

/// The messages that the turn has or had: those of its list, or all between its bounds.
fn messages(conn: &Connection, position: i64, found: &Found) -> rusqlite::Result<Vec<JourneyMessage>> {
    conn.prepare_cached(
        "SELECT m.seq, m.kind, m.provider_at, m.received_at, m.state FROM turns t JOIN messages m \
         ON m.conversation_id = t.conversation_id AND m.seq BETWEEN t.first_seq AND t.last_seq \
         WHERE t.position = ?1 AND t.conversation_id = ?2 \
         AND (t.seqs IS NULL OR NOT json_valid(t.seqs) OR m.seq IN (SELECT value FROM json_each(t.seqs))) ORDER BY m.seq",
    )?
    .query_map(params![position, found.journey.conversation.text()], |row| {
        Ok(JourneyMessage {
            seq: count(row, 0)?,
            kind: row.get(1)?,
            provider_at: moment(row, 2)?,
            received_at: at(row, 3)?,
            state: row.get(4)?,
        })
    })?
    .collect()
}

fn parts(conn: &Connection, found: &Found) -> rusqlite::Result<Vec<JourneyPart>> {
    let (Some(first), Some(last)) = found.parts else { return Ok(vec![]) };
    conn.prepare_cached(
        "SELECT id, state, attempt, created_at, sending_at, sent_at, delivered_at, read_at, error FROM outbox \
         WHERE position BETWEEN ?1 AND ?2 AND conversation_id = ?3 ORDER BY position",
    )?
    .query_map(params![first, last, found.journey.conversation.text()], |row| {
        Ok(JourneyPart {
            id: parsed(row, 0)?,
            state: parsed::<PartState, _>(row, 1)?,
            attempt: small(row, 2)?,
            created_at: at(row, 3)?,
            sending_at: moment(row, 4)?,
            sent_at: moment(row, 5)?,
            delivered_at: moment(row, 6)?,
            read_at: moment(row, 7)?,
            error: row.get(8)?,
        })
    })?
    .collect()
}
