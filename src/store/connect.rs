//! Opening connections, and the pragmas of each kind with their reasons.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::settings::StoreSettings;

/// Statements kept prepared by a connection: all of the writer's, with room.
const STATEMENTS: usize = 128;

/// Pages after which a commit would checkpoint by itself: far above `wal_limit_pages`, a safety if the checkpointing
/// thread is gone.
const AUTO_CHECKPOINT_FACTOR: u64 = 4;

/// The writer's page cache has so many times the size of a reader's.
const READER_SHARE: u32 = 40;

/// The size of a page, SQLite's default.
const PAGE_BYTES: u64 = 4_096;

/// Flags without SQLite's own mutex: a connection here belongs to one thread at a time.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

/// Creates the directory, and the file readable by its owner only, where they do not exist.
pub(super) fn create_file(path: &Path) -> Result<(), OpenError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| OpenError::File { path, source }
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fault(directory))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(fault(path)(error)),
    }
}

/// The connection that writes.
///
/// # Errors
/// When the file cannot be opened or is no database.
pub(super) fn writer(settings: &StoreSettings) -> Result<Connection, OpenError> {
    let path = &settings.path;
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | FLAGS)
        .map_err(|error| OpenError::of(path, error))?;
    configure_writer(&conn, settings).map_err(|error| OpenError::of(path, error))?;
    Ok(conn)
}

fn configure_writer(conn: &Connection, settings: &StoreSettings) -> rusqlite::Result<()> {
    conn.busy_timeout(settings.busy_timeout())?;
    keep_plans(conn)?;
    // Readers go on during a commit, and a commit is one append and one fsync.
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // In WAL mode NORMAL would not fsync at a commit: acknowledged messages would be lost with the power (promise A).
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Savepoints keep their undo pages; in memory, not in a temporary file.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -i64::from(settings.cache_kib))?;
    conn.pragma_update(None, "mmap_size", mmap(settings))?;
    let auto = settings.wal_limit_pages.saturating_mul(AUTO_CHECKPOINT_FACTOR).min(1 << 30);
    conn.pragma_update(None, "wal_autocheckpoint", i64::try_from(auto).unwrap_or(1 << 30))?;
    if settings.page_max > 0 {
        conn.pragma_update(None, "max_page_count", settings.page_max)?;
    }
    // A log that a long reader let grow gives its space back when it starts over. One that is little longer than it should
    // be does not: cutting it, and letting it grow again, makes commits wait for the file system.
    let limit = auto.saturating_mul(PAGE_BYTES).min(1 << 40);
    conn.pragma_update(None, "journal_size_limit", i64::try_from(limit).unwrap_or(1 << 40))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Keeps the plan of a prepared statement whatever is bound to it. Without this, a build with `SQLITE_ENABLE_STAT4` plans
/// anew at each execution that compares a range, which took a third of a reader's time. The statistics would tell nothing
/// here: nothing runs ANALYZE. Source: <https://www.sqlite.org/c3ref/c_dbconfig_defensive.html>, `ENABLE_QPSG`.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// The connection that copies the log to the database.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn checkpointer(settings: &StoreSettings) -> Result<Connection, OpenError> {
    let conn = Connection::open_with_flags(&settings.path, OpenFlags::SQLITE_OPEN_READ_WRITE | FLAGS)?;
    // It never waits for anybody.
    conn.busy_timeout(Duration::ZERO)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    Ok(conn)
}

/// Makes a connection a reader's.
pub(super) fn configure_reader(conn: &Connection, settings: &StoreSettings) -> rusqlite::Result<()> {
    conn.busy_timeout(settings.busy_timeout())?;
    keep_plans(conn)?;
    // A slip in a reading statement cannot change anything behind the writer's back.
    conn.pragma_update(None, "query_only", true)?;
    // What a reader has cached is forgotten with each commit, and a cache that was large once is slow to empty.
    conn.pragma_update(None, "cache_size", -i64::from(settings.cache_kib / READER_SHARE))?;
    conn.pragma_update(None, "mmap_size", mmap(settings))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// The flags of a reader's connection. It may write to the shared memory of the log, so it is not opened read-only.
pub(super) fn reader_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | FLAGS
}

fn mmap(settings: &StoreSettings) -> i64 {
    i64::try_from(settings.mmap_bytes).unwrap_or(i64::MAX)
}
