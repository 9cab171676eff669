//! What `tertulia db` and `tertulia dead-letters list` do with a database that no server needs to hold.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tertulia_actors::ports::store::DeadLetter;

use super::error::OpenError;
use super::settings::StoreSettings;
use super::{connect, damage, ledger, reads, schema, unreadable};

/// How long a command waits for a lock of the running server.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// All pages in one step: a copy in several begins anew whenever another connection committed in between, and so might
/// never end beside a busy server. In WAL mode a reader keeps nobody from writing, however long it reads.
const ALL_PAGES: i32 = -1;

/// Findings of a damaged database that are listed; the first few tell enough.
const FINDINGS_MAX: usize = 100;

/// The schema before and after a migration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// The schema found; 0 for a new file.
    pub from: u32,
    /// The schema now.
    pub to: u32,
}

/// Creates the database, or brings it to the newest schema.
///
/// # Errors
/// When the file cannot be used or a step fails; then the schema is as it was before that step.
pub fn migrate(settings: &StoreSettings) -> Result<Migrated, OpenError> {
    connect::create_file(&settings.path)?;
    let mut conn = connect::writer(settings)?;
    let (from, to) = schema::migrate(&mut conn, &settings.path)?;
    Ok(Migrated { from, to })
}

/// Looks for damage: SQLite's own checks, and whether the books are what the rows add up to. No finding is good news.
///
/// # Errors
/// When the file cannot be read at all.
pub fn check(path: &Path) -> Result<Vec<String>, OpenError> {
    let conn = open_to_read(path)?;
    // One view of everything. It is not committed: where a page is broken even that fails, and nothing was written.
    let found = conn.unchecked_transaction().and_then(|tx| findings(&tx));
    found.map_err(|error| OpenError::of(path, error))
}

fn findings(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    match look(conn, &mut findings) {
        // A broken page may end the search; what was found before must not be lost for that.
        Err(error) if !findings.is_empty() => findings.push(format!("the rest cannot be read: {error}")),
        outcome => outcome?,
    }
    Ok(findings)
}

fn look(conn: &Connection, findings: &mut Vec<String>) -> rusqlite::Result<()> {
    // `integrity_check` gives up at some broken pages without a word of where; the quick one stops at the first and names it.
    findings.extend(damage::first(conn)?);
    let mut statement = conn.prepare("PRAGMA integrity_check")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))?.take(FINDINGS_MAX) {
        findings.push(line?);
    }
    findings.retain(|line| line != "ok");
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))?.take(FINDINGS_MAX) {
        findings.push(format!("a row of table {} points to nothing", line?));
    }
    findings.append(&mut unreadable::find(conn, FINDINGS_MAX)?);
    let (stored, counted) = (ledger::load(conn)?.books, ledger::count(conn)?);
    if stored != counted {
        findings.push(format!("the stored books are {stored:?}, the rows add up to {counted:?}"));
    }
    if !counted.balance() {
        findings.push(format!("the books do not balance: {counted:?}"));
    }
    Ok(())
}

/// Copies the database to a new file, while a server may go on writing.
///
/// # Errors
/// When the destination exists or cannot be written.
pub fn backup(path: &Path, destination: &Path) -> Result<(), OpenError> {
    if destination.exists() {
        return Err(OpenError::Exists { path: destination.to_owned() });
    }
    // Of an older schema, too: it is wise to have one before a migration.
    let source = open_ours(path)?.0;
    connect::create_file(destination)?;
    let copied = copy(&source, destination);
    if copied.is_err() {
        // Half a backup must not look like one; that it cannot be removed changes nothing about the error.
        let _ = std::fs::remove_file(destination);
    }
    copied
}

fn copy(source: &Connection, destination: &Path) -> Result<(), OpenError> {
    let mut copy = Connection::open(destination)?;
    let backup = Backup::new(source, &mut copy)?;
    if backup.step(ALL_PAGES)? != StepResult::Done {
        return Err(OpenError::Busy { path: destination.to_owned() });
    }
    drop(backup);
    // A backup is one file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}

/// Messages that failed alone, oldest first; at most `limit`, after the id `after`.
///
/// # Errors
/// When the file cannot be read.
pub fn dead_letters(path: &Path, after: i64, limit: usize) -> Result<Vec<DeadLetter>, OpenError> {
    let conn = open_to_read(path)?;
    reads::views::dead_letters(&conn, after, limit).map_err(|error| OpenError::of(path, error))
}

/// Opens a database that exists and has this schema, beside a server that may be running. The connection cannot write.
///
/// # Errors
/// When there is no such database, or it has another schema.
pub fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    match open_ours(path)? {
        (conn, found) if found == schema::known() => Ok(conn),
        (_, found) => Err(OpenError::OlderSchema { path: path.to_owned(), found, known: schema::known() }),
    }
}

/// Opens a database that exists and is not newer than this program; answers its schema, too.
fn open_ours(path: &Path) -> Result<(Connection, u32), OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| OpenError::of(path, error))?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    let found = schema::version(&conn, path)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok((conn, found))
}
