//! Finding conversations, and what waits.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tertulia_actors::domain::{Account, ConversationId, Tick};
use tertulia_actors::ports::store::Overdue;

use super::super::error::unreadable;
use super::super::row::{AsText, count, parsed, tick};
use super::limit as rows_max;

/// See [`Inbox::find_conversation`](tertulia_actors::ports::store::Inbox::find_conversation).
pub(in crate::store) fn find_conversation(
    conn: &Connection,
    account: &Account,
    handle: &str,
) -> rusqlite::Result<Option<ConversationId>> {
    conn.prepare_cached(
        "SELECT conversation_id FROM aliases \
         WHERE channel = ?1 AND account = ?2 AND kind = 'handle' AND value = ?3",
    )?
    .query_row(params![account.channel.as_str(), account.name, handle], |row| parsed(row, 0))
    .optional()
}

/// A page of what waits.
pub(in crate::store) struct Page {
    pub(in crate::store) rows: Vec<Overdue>,
    /// Ids of conversations that cannot be read, with the reason: they must be set aside, or each page meets them anew.
    pub(in crate::store) unreadable: Vec<(String, String)>,
}

/// See [`Inbox::overdue`](tertulia_actors::ports::store::Inbox::overdue).
pub(in crate::store) fn overdue(
    conn: &Connection,
    until: Tick,
    after: Option<(Tick, ConversationId)>,
    limit: usize,
) -> rusqlite::Result<Page> {
    // Without a cursor the page begins before the first possible deadline.
    let (deadline, id) = after.map_or((i64::MIN, None), |(deadline, id)| (deadline.0, Some(id.text())));
    let mut statement = conn.prepare_cached(
        "SELECT wake_at, id, last_seq FROM conversations \
         WHERE wake_at IS NOT NULL AND wake_at <= ?1 AND (wake_at, id) > (?2, COALESCE(?3, '')) AND set_aside IS NULL \
         ORDER BY wake_at, id LIMIT ?4",
    )?;
    let mut found = statement.query(params![until.0, deadline, id, rows_max(limit)])?;
    let mut page = Page { rows: Vec::new(), unreadable: Vec::new() };
    while let Some(row) = found.next()? {
        match row_of(row) {
            Ok(overdue) => page.rows.push(overdue),
            Err(error) => {
                let reason = unreadable(&error).ok_or(error)?;
                page.unreadable.push((row.get(1)?, reason));
            }
        }
    }
    Ok(page)
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<Overdue> {
    Ok(Overdue { wake_at: tick(row, 0)?, conversation: parsed(row, 1)?, last_seq: count(row, 2)? })
}
