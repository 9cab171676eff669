//! The stored books of promise H: loaded at the start, moved in the transaction that moves the rows, checked by counting.

use rusqlite::{Connection, params};
use tertulia_actors::domain::{Books, PartState, Tick};

/// What one transaction changes in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Entry {
    /// Changes of the books.
    pub(super) books: Books,
    /// Quarantined bodies that went to make room.
    pub(super) quarantine_lost: i64,
    /// Early statuses that went to make room.
    pub(super) statuses_lost: i64,
    /// The greatest receipt number of the transaction.
    pub(super) receipt_seq: i64,
}

/// The ledger as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Ledger {
    pub(super) books: Books,
    pub(super) quarantine_lost: i64,
    pub(super) statuses_lost: i64,
    pub(super) last_tick: Tick,
    pub(super) last_receipt_seq: i64,
}

impl Ledger {
    /// The ledger after a transaction that ends at `tick`.
    pub(super) fn after(self, entry: &Entry, tick: Tick) -> Self {
        Self {
            books: sum(self.books, entry.books),
            quarantine_lost: self.quarantine_lost + entry.quarantine_lost,
            statuses_lost: self.statuses_lost + entry.statuses_lost,
            last_tick: self.last_tick.max(tick),
            last_receipt_seq: self.last_receipt_seq.max(entry.receipt_seq),
        }
    }
}

/// The shelf on which a part in this state is counted.
pub(super) const fn shelf(books: &mut Books, state: PartState) -> &mut i64 {
    match state {
        PartState::Pending | PartState::Sending => &mut books.parts_pending,
        PartState::Ambiguous => &mut books.parts_ambiguous,
        PartState::Sent | PartState::Delivered | PartState::Read => &mut books.parts_sent,
        PartState::Failed => &mut books.parts_failed,
    }
}

/// Moves `count` parts from one state to another.
pub(super) fn move_parts(books: &mut Books, from: PartState, to: PartState, count: i64) {
    *shelf(books, from) -= count;
    *shelf(books, to) += count;
}

fn sum(a: Books, b: Books) -> Books {
    Books {
        received: a.received + b.received,
        answered: a.answered + b.answered,
        suppressed: a.suppressed + b.suppressed,
        dead_lettered: a.dead_lettered + b.dead_lettered,
        pending: a.pending + b.pending,
        parts_created: a.parts_created + b.parts_created,
        parts_pending: a.parts_pending + b.parts_pending,
        parts_sent: a.parts_sent + b.parts_sent,
        parts_failed: a.parts_failed + b.parts_failed,
        parts_ambiguous: a.parts_ambiguous + b.parts_ambiguous,
        duplicates: a.duplicates + b.duplicates,
    }
}

/// Reads the ledger.
pub(super) fn load(conn: &Connection) -> rusqlite::Result<Ledger> {
    conn.query_row(
        "SELECT received, answered, suppressed, dead_lettered, pending, parts_created, parts_pending, parts_sent, \
         parts_failed, parts_ambiguous, duplicates, quarantine_lost, statuses_lost, last_tick, last_receipt_seq \
         FROM ledger WHERE id = 1",
        [],
        |row| {
            Ok(Ledger {
                books: Books {
                    received: row.get(0)?,
                    answered: row.get(1)?,
                    suppressed: row.get(2)?,
                    dead_lettered: row.get(3)?,
                    pending: row.get(4)?,
                    parts_created: row.get(5)?,
                    parts_pending: row.get(6)?,
                    parts_sent: row.get(7)?,
                    parts_failed: row.get(8)?,
                    parts_ambiguous: row.get(9)?,
                    duplicates: row.get(10)?,
                },
                quarantine_lost: row.get(11)?,
                statuses_lost: row.get(12)?,
                last_tick: Tick(row.get(13)?),
                last_receipt_seq: row.get(14)?,
            })
        },
    )
}

/// The epoch of the last takeover.
pub(super) fn epoch(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT max(epoch) FROM partitions", [], |row| row.get(0))
}

/// Writes the ledger, which every transaction does; false, and nothing written, when another process has taken the
/// database over since `epoch`.
pub(super) fn save(conn: &Connection, ledger: &Ledger, epoch: i64) -> rusqlite::Result<bool> {
    let books = &ledger.books;
    let saved = conn
        .prepare_cached(
        "UPDATE ledger SET received = ?1, answered = ?2, suppressed = ?3, dead_lettered = ?4, pending = ?5, \
         parts_created = ?6, parts_pending = ?7, parts_sent = ?8, parts_failed = ?9, parts_ambiguous = ?10, \
         duplicates = ?11, quarantine_lost = ?12, statuses_lost = ?13, last_tick = ?14, last_receipt_seq = ?15 \
         WHERE id = 1 AND (SELECT max(epoch) FROM partitions) = ?16",
    )?
    .execute(params![
        books.received,
        books.answered,
        books.suppressed,
        books.dead_lettered,
        books.pending,
        books.parts_created,
        books.parts_pending,
        books.parts_sent,
        books.parts_failed,
        books.parts_ambiguous,
        books.duplicates,
        ledger.quarantine_lost,
        ledger.statuses_lost,
        ledger.last_tick.0,
        ledger.last_receipt_seq,
        epoch,
    ])?;
    Ok(saved == 1)
}

/// Counts the books from the rows. Duplicates leave no row, so their number is the ledger's. Call it in one read
/// transaction.
pub(super) fn count(conn: &Connection) -> rusqlite::Result<Books> {
    let mut books = Books { duplicates: load(conn)?.books.duplicates, ..Books::default() };
    let mut statement = conn.prepare_cached("SELECT state, count(*) FROM messages GROUP BY state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        books.received += count;
        match row.get_ref(0)?.as_str()? {
            "answered" => books.answered += count,
            "suppressed" => books.suppressed += count,
            "dead_lettered" => books.dead_lettered += count,
            _ => books.pending += count,
        }
    }
    let mut statement = conn.prepare_cached("SELECT state, count(*) FROM outbox GROUP BY state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        books.parts_created += count;
        // What has no known state was on its way out when it got it.
        let state = row.get_ref(0)?.as_str()?.parse().unwrap_or(PartState::Pending);
        *shelf(&mut books, state) += count;
    }
    Ok(books)
}
