//! Questions that no stored answer fitted.

use rusqlite::{Connection, Row, params};
use tertulia_actors::domain::Journey;
use tertulia_actors::ports::store::{NearestEntry, UnansweredTurn};

use super::limit as rows_max;

/// The step of a journey in which the knowledge base was searched, and the one in which the query service was asked, which is only
/// where no stored answer fitted.
const KNOWLEDGE: &str = "knowledge";
const QUERY: &str = "query";

/// See [`Journeys::unanswered`](tertulia_actors::ports::store::Journeys::unanswered).
pub(in crate::store) fn unanswered(conn: &Connection, turns: usize) -> rusqlite::Result<Vec<UnansweredTurn>> {
    let mut statement = conn.prepare_cached(
        "SELECT t.journey, t.language, (SELECT substr(group_concat(text, char(10)), 1, 500) FROM (SELECT m.text FROM messages m \
         WHERE m.conversation_id = t.conversation_id AND m.seq BETWEEN t.first_seq AND t.last_seq \
         AND m.turn_id = t.id ORDER BY m.seq)) \
         FROM (SELECT * FROM turns ORDER BY position DESC LIMIT ?1) t \
         WHERE t.state = 'committed' AND instr(t.journey, '\"query\"')",
    )?;
    let rows = statement.query_map(params![rows_max(turns)], turn)?;
    Ok(super::readable(rows)?.into_iter().flatten().collect())
}

/// Without a model the query service gives the answer of the best passage, and has no tokens to tell of.
fn is_stored_answer(detail: &serde_json::Value) -> bool {
    detail.get("completion_tokens").is_some_and(serde_json::Value::is_null)
}

fn turn(row: &Row<'_>) -> rusqlite::Result<Option<UnansweredTurn>> {
    let (journey, text): (Option<String>, Option<String>) = (row.get(0)?, row.get(2)?);
    let journey: Option<Journey> = journey.and_then(|journey| serde_json::from_str(&journey).ok());
    let (Some(journey), Some(text)) = (journey, text) else { return Ok(None) };
    let asked = journey.steps.iter().find(|step| step.name == QUERY);
    if asked.is_none_or(|asked| is_stored_answer(&asked.detail)) {
        return Ok(None);
    }
    let found = journey.steps.iter().find(|step| step.name == KNOWLEDGE);
    let nearest =
        found.and_then(|step| serde_json::from_value::<NearestEntry>(step.detail.get(0)?.clone()).ok());
    Ok(Some(UnansweredTurn { text, language: row.get(1)?, nearest }))
}
