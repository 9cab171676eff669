//! Reads what the server under test left in its database, once it has ended.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, Transaction};

use super::bursts::Token;
use super::judge::{Stored, StoredMessage, StoredState};

/// Everything that the judge asks of the database, in one read transaction. `metrics` are the last figures that the server
/// published, by their names.
///
/// # Errors
/// When the database cannot be read.
pub fn read(
    database: &Path,
    run: &str,
    metrics: Option<&HashMap<String, f64>>,
) -> Result<Stored, rusqlite::Error> {
    let mut conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tx = conn.transaction()?;
    let mut stored = Stored::default();
    read_messages(&tx, run, &mut stored)?;
    let count = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    stored.sent = count("SELECT count(*) FROM outbox WHERE state IN ('sent', 'delivered', 'read')")?;
    stored.ambiguous = count("SELECT count(*) FROM outbox WHERE state = 'ambiguous'")?;
    compare_books(&tx, metrics, &mut stored)?;
    Ok(stored)
}

fn read_messages(tx: &Transaction<'_>, run: &str, stored: &mut Stored) -> Result<(), rusqlite::Error> {
    let mut turns: HashMap<String, u32> = HashMap::new();
    let mut number = |id: String| {
        let next = u32::try_from(turns.len()).unwrap_or(u32::MAX);
        *turns.entry(id).or_insert(next)
    };
    let mut select = tx.prepare("SELECT provider_id, state, turn_id, received_tick, alone FROM messages")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let provider_id: String = row.get(0)?;
        let Some(token) = provider_id.strip_prefix("wamid.").and_then(|mark| Token::parse(mark, run)) else {
            continue;
        };
        let turn = row.get::<_, Option<String>>(2)?.map(&mut number);
        if let Some(turn) = turn {
            *stored.turn_sizes.entry(turn).or_default() += 1;
        }
        let (state, alone) = (state_of(row)?, row.get(4)?);
        stored.messages.insert(token, StoredMessage { state, turn, received_ms: row.get(3)?, alone });
    }
    let mut select =
        tx.prepare("SELECT DISTINCT turn_id FROM outbox WHERE state IN ('ambiguous', 'failed')")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        stored.unsent_turns.insert(number(row.get(0)?));
    }
    Ok(())
}

fn state_of(row: &Row<'_>) -> Result<StoredState, rusqlite::Error> {
    let state: String = row.get(1)?;
    Ok(match state.as_str() {
        "answered" => StoredState::Answered,
        "suppressed" => StoredState::Suppressed,
        "dead_lettered" => StoredState::DeadLettered,
        _ => StoredState::Pending,
    })
}

/// A figure of the books: its column, how many rows it stands for, and its name in `/metrics`.
const BOOKS: [(&str, &str, &str); 9] = [
    ("received", "SELECT count(*) FROM messages", "tertulia_messages_received_total"),
    (
        "answered",
        "SELECT count(*) FROM messages WHERE state = 'answered'",
        "tertulia_messages_answered_total",
    ),
    (
        "suppressed",
        "SELECT count(*) FROM messages WHERE state = 'suppressed'",
        "tertulia_messages_suppressed_total",
    ),
    (
        "dead_lettered",
        "SELECT count(*) FROM messages WHERE state = 'dead_lettered'",
        "tertulia_messages_dead_lettered",
    ),
    ("pending", "SELECT count(*) FROM messages WHERE state = 'pending'", "tertulia_messages_pending"),
    ("parts_created", "SELECT count(*) FROM outbox", "tertulia_reply_parts_created_total"),
    (
        "parts_sent",
        "SELECT count(*) FROM outbox WHERE state IN ('sent', 'delivered', 'read')",
        "tertulia_reply_parts_sent",
    ),
    ("parts_failed", "SELECT count(*) FROM outbox WHERE state = 'failed'", "tertulia_reply_parts_failed"),
    (
        "parts_ambiguous",
        "SELECT count(*) FROM outbox WHERE state = 'ambiguous'",
        "tertulia_reply_parts_ambiguous",
    ),
];

/// The books against the rows, against each other, and against what `/metrics` said last.
fn compare_books(
    tx: &Transaction<'_>,
    metrics: Option<&HashMap<String, f64>>,
    stored: &mut Stored,
) -> Result<(), rusqlite::Error> {
    let mut books = HashMap::new();
    for (name, sql, metric) in BOOKS {
        let kept: i64 = tx.query_row(&format!("SELECT {name} FROM ledger"), [], |row| row.get(0))?;
        let rows: i64 = tx.query_row(sql, [], |row| row.get(0))?;
        if kept != rows {
            stored.differences.push(format!("{name}: the books say {kept}, there are {rows} rows"));
        }
        let published = metrics.and_then(|metrics| metrics.get(metric));
        if let Some(published) = published.filter(|published| (**published - kept as f64).abs() > 0.5) {
            stored.differences.push(format!("{name}: the books say {kept}, /metrics said {published}"));
        }
        books.insert(name, kept);
    }
    let ends = ["answered", "suppressed", "dead_lettered", "pending"].map(|name| books[name]);
    if books["received"] != ends.iter().sum::<i64>() {
        stored.differences.push(format!("{} received, but {ends:?} have ended or wait", books["received"]));
    }
    let parts_pending: i64 = tx.query_row("SELECT parts_pending FROM ledger", [], |row| row.get(0))?;
    let ends = ["parts_sent", "parts_failed", "parts_ambiguous"].map(|name| books[name]);
    if books["parts_created"] != ends.iter().sum::<i64>() + parts_pending {
        stored.differences.push(format!("{} parts created, but {ends:?} ended", books["parts_created"]));
    }
    Ok(())
}
