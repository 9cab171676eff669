//! Which conversations cannot be read, and why: what `tertulia db check` says of rows that SQLite finds nothing wrong with.

use rusqlite::Connection;
use tertulia_actors::domain::{Channel, ConversationId, Tick};

use super::error::unreadable;
use super::reads;
use super::row::{parsed, parsed_or_none};

/// Each table with a state, and the states that exist.
const STATES: [(&str, &str); 3] = [
    ("messages", "'pending', 'answered', 'suppressed', 'dead_lettered'"),
    ("turns", "'running', 'waiting', 'committed', 'split'"),
    ("outbox", "'pending', 'sending', 'ambiguous', 'sent', 'delivered', 'read', 'failed'"),
];

/// Messages and parts of one conversation that are read to see whether they can be.
const ROWS_MAX: usize = 1_000;

/// Looks through all conversations; at most `limit` findings of a kind, each with the conversation's id.
///
/// # Errors
/// When the database itself cannot be read.
pub(super) fn find(conn: &Connection, limit: usize) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (table, states) in STATES {
        let sql = format!("SELECT conversation_id, state FROM {table} WHERE state NOT IN ({states})");
        let mut statement = conn.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        for row in rows.take(limit) {
            let (conversation, state) = row?;
            findings.push(format!("conversation {conversation}: a row of {table} has the state '{state}'"));
        }
    }
    let mut statement =
        conn.prepare("SELECT id, channel, merged_into, pending, phone, user_id FROM conversations")?;
    let mut rows = statement.query([])?;
    let mut found = 0;
    while let Some(row) = rows.next()?
        && found < limit
    {
        let id: String = row.get(0)?;
        let read = || {
            parsed::<Channel, _>(row, 1)?;
            parsed_or_none::<ConversationId, _>(row, 2)?;
            row.get::<_, Option<String>>(4)?;
            row.get::<_, Option<String>>(5)?;
            conversation(conn, parsed(row, 0)?, row.get::<_, i64>(3)? > 0)
        };
        if let Some(reason) = why_not(read())? {
            findings.push(format!("conversation {id} cannot be read: {reason}"));
            found += 1;
        }
    }
    Ok(findings)
}

/// Reads what its actor and its lane would read.
fn conversation(conn: &Connection, id: ConversationId, has_pending: bool) -> rusqlite::Result<()> {
    if has_pending {
        reads::turns::load_conversation(conn, id, ROWS_MAX)?;
    }
    reads::outbox::load_lane(conn, id, Tick(i64::MIN), ROWS_MAX).map(drop)
}

/// Why a row could not be read.
fn why_not(read: rusqlite::Result<()>) -> rusqlite::Result<Option<String>> {
    match read {
        Ok(()) => Ok(None),
        Err(error) => unreadable(&error).map(Some).ok_or(error),
    }
}
