//! What the database holds in the end, as the checks need it. Read by statements of its own, so that a slip in the store's
//! is not made twice.

use std::path::Path;

use rusqlite::Connection;

use super::SimulationError;
use super::check::{Message, Part, Turn};
use crate::load::bursts::Token;
use crate::store::db;

/// The stored messages, turns and parts, each in order.
pub(super) struct Rows {
    pub(super) messages: Vec<Message>,
    pub(super) turns: Vec<Turn>,
    pub(super) parts: Vec<Part>,
    /// What a look at the whole file finds wrong.
    pub(super) damage: Vec<String>,
}

/// Reads a database that no server uses.
pub(super) fn read(path: &Path, run: &str) -> Result<Rows, SimulationError> {
    let conn = db::open_to_read(path)?;
    Ok(Rows {
        messages: messages(&conn, run)?,
        turns: turns(&conn)?,
        parts: parts(&conn, run)?,
        damage: db::check(path)?,
    })
}

fn messages(conn: &Connection, run: &str) -> rusqlite::Result<Vec<Message>> {
    conn.prepare(
        "SELECT text, conversation_id, received_tick, receipt_seq, state, turn_id, alone FROM messages ORDER BY receipt_seq",
    )?
    .query_map([], |row| {
        let text: Option<String> = row.get(0)?;
        Ok(Message {
            token: text.and_then(|text| Token::find_all(&text, run).first().copied()),
            conversation: row.get(1)?,
            received: row.get(2)?,
            receipt_seq: row.get(3)?,
            state: row.get(4)?,
            turn: row.get(5)?,
            alone: row.get(6)?,
        })
    })?
    .collect()
}

fn turns(conn: &Connection) -> rusqlite::Result<Vec<Turn>> {
    conn.prepare("SELECT id, conversation_id, state, ended_at FROM turns ORDER BY position")?
        .query_map([], |row| {
            Ok(Turn { id: row.get(0)?, conversation: row.get(1)?, state: row.get(2)?, ended: row.get(3)? })
        })?
        .collect()
}

fn parts(conn: &Connection, run: &str) -> rusqlite::Result<Vec<Part>> {
    conn.prepare("SELECT id, conversation_id, turn_id, position, state, text FROM outbox ORDER BY position")?
        .query_map([], |row| {
            let text: String = row.get(5)?;
            Ok(Part {
                id: row.get(0)?,
                conversation: row.get(1)?,
                turn: row.get(2)?,
                position: row.get(3)?,
                state: row.get(4)?,
                tokens: Token::find_all(&text, run),
            })
        })?
        .collect()
}
