//! What is read, each a function of a connection that cannot write.

pub(super) mod inbox;
pub(super) mod journeys;
pub(super) mod outbox;
pub(super) mod search;
pub(super) mod turns;
pub(super) mod unanswered;
pub(super) mod views;

use rusqlite::Connection;

use super::error::unreadable;
use super::row::int;

/// A limit as SQLite takes it.
fn limit(limit: usize) -> i64 {
    int(limit)
}

/// The rows of a list that can be read: one that cannot hides no other. `tertulia db check` names it.
fn readable<T>(rows: impl Iterator<Item = rusqlite::Result<T>>) -> rusqlite::Result<Vec<T>> {
    rows.filter(|row| !row.as_ref().is_err_and(|error| unreadable(error).is_some())).collect()
}

/// Runs several statements on one snapshot of the database.
pub(super) fn snapshot<T>(
    conn: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let tx = conn.unchecked_transaction()?;
    let outcome = read(&tx)?;
    tx.commit()?;
    Ok(outcome)
}
