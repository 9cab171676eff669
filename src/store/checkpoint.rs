//! Copying the write-ahead log to the database, on a thread and a connection of its own, so that no commit waits for it.
//!
//! The log starts over once all of it is copied at a moment at which nobody writes. That moment is the writer's to give: it
//! copies the short rest itself, between two commits, when this thread asks for it. Were it done from here, the writer would
//! find the database locked in the middle of its work, and would sleep.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::ffi::{Error, SQLITE_BUSY};
use tertulia_actors::failpoint;

use super::panics::PanicLog;
use super::writer::Gauges;

/// Without a commit for this long the writer is idle, and the log is copied however short it is.
const IDLE: Duration = Duration::from_millis(200);

/// After an attempt to start the log over that met a reader in the middle of it, no other one is made for this long: each
/// makes the writer wait.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How long an attempt waits for readers.
const RESTART_WAIT: Duration = Duration::from_millis(20);

/// How often the log is copied before it is to start over: each time as much is left as was written meanwhile.
const ROUNDS_MAX: usize = 6;

/// Only reads the log's length.
const NOOP: &str = "PRAGMA wal_checkpoint(NOOP)";

/// When the log is copied.
#[derive(Clone, Copy)]
pub(super) struct Thresholds {
    /// Pages to copy from which on they are copied.
    pub(super) passive: u64,
    /// Pages in the log from which on it must start over.
    pub(super) limit: u64,
}

/// The length of the log, and how much of it is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Log {
    pages: u64,
    copied: u64,
    /// Whether a reader or writer was in the way.
    is_blocked: bool,
}

impl Log {
    const fn uncopied(self) -> u64 {
        self.pages.saturating_sub(self.copied)
    }
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    Nothing,
    /// Copy what no reader needs any more; nobody waits.
    Passive,
    /// Then have the writer copy the rest and wait for readers, so that the log starts over.
    Restart,
}

/// How this thread and the writer agree on the moment at which the log starts over.
#[derive(Default)]
pub(super) struct Restart {
    is_wanted: AtomicBool,
    was_blocked: AtomicBool,
}

impl Restart {
    /// Starts the log over, on the connection that writes and between two of its transactions. Answers how many pages the
    /// log still has: none where nothing was in the way.
    ///
    /// # Errors
    /// The database is at fault; the log grows on, and this is wanted again after a pause.
    pub(super) fn carry_out(&self, conn: &Connection, busy_timeout: Duration) -> rusqlite::Result<u64> {
        conn.busy_timeout(RESTART_WAIT)?;
        let log = pragma(conn, "PRAGMA wal_checkpoint(RESTART)");
        conn.busy_timeout(busy_timeout)?;
        let is_blocked = log.as_ref().map_or(true, |log| log.is_blocked);
        self.was_blocked.store(is_blocked, Ordering::Relaxed);
        // Until now the other thread has left the log alone, unless this took so long that the writer seemed idle.
        self.is_wanted.store(false, Ordering::Release);
        log.map(|log| if is_blocked { log.pages } else { 0 })
    }

    /// Whether that is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    fn want(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether the last attempt met a reader; asked once.
    fn take_blocked(&self) -> bool {
        self.was_blocked.swap(false, Ordering::Relaxed)
    }
}

/// The file that the log is copied to, opened once more to bring to the disk what was copied.
///
/// It is never closed: with any descriptor of a file that a process closes it gives up all its locks on that file, SQLite's
/// too. Source: <https://www.sqlite.org/howtocorrupt.html>, "POSIX advisory locks canceled by a separate thread doing close()".
struct DatabaseFile(Option<ManuallyDrop<File>>);

impl DatabaseFile {
    fn of(conn: &Connection) -> Self {
        Self(conn.path().and_then(|path| File::open(path).ok()).map(ManuallyDrop::new))
    }

    /// Brings to the disk what was copied. Nothing depends on it but how long the writer waits later: it syncs the file itself.
    fn sync(&self) {
        if let Some(Err(error)) = self.0.as_ref().map(|file| file.sync_data()) {
            tracing::warn!(%error, "the database could not be brought to the disk; the writer will");
        }
    }
}

/// Decides from the length of the log.
const fn due(log: Log, idle: bool, may_restart: bool, thresholds: Thresholds) -> Due {
    let uncopied = log.uncopied();
    if !idle && may_restart && log.pages > thresholds.limit {
        Due::Restart
    } else if uncopied > thresholds.passive || (idle && uncopied > 0) {
        // A log that is copied to its end starts over by itself at the next write.
        Due::Passive
    } else {
        Due::Nothing
    }
}

/// Works until the writer is gone. `committed` hints that the log grew. A panic does not end it: the next hint is followed
/// as if nothing had been.
pub(super) fn run(
    conn: &Connection,
    committed: &Receiver<()>,
    (restart, gauges, panics): (&Restart, &Gauges, &PanicLog),
    thresholds: Thresholds,
) {
    let database = DatabaseFile::of(conn);
    let mut settled = true;
    let mut restart_after = Instant::now();
    loop {
        let idle = match wait(committed, settled) {
            Ok(()) => false,
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        settled = idle;
        if restart.is_wanted() && !idle {
            continue;
        }
        if restart.take_blocked() {
            restart_after = Instant::now() + RESTART_PAUSE;
        }
        let may_restart = Instant::now() >= restart_after;
        match catch_unwind(AssertUnwindSafe(|| {
            checkpoint((conn, &database), restart, (idle, may_restart), thresholds)
        })) {
            Ok(Ok(log)) => gauges.set_wal_pages(log.pages),
            Ok(Err(error)) => tracing::warn!(%error, "the write-ahead log was not copied; trying again"),
            Err(panic) => {
                tracing::error!("copying the write-ahead log panicked; trying again");
                panics.caught(&*panic);
            }
        }
    }
}

fn wait(committed: &Receiver<()>, settled: bool) -> Result<(), RecvTimeoutError> {
    if settled {
        committed.recv().map_err(|_| RecvTimeoutError::Disconnected)
    } else {
        committed.recv_timeout(IDLE)
    }
}

fn checkpoint(
    (conn, database): (&Connection, &DatabaseFile),
    restart: &Restart,
    (idle, may_restart): (bool, bool),
    thresholds: Thresholds,
) -> rusqlite::Result<Log> {
    failpoint!("store.checkpoint");
    let log = pragma(conn, NOOP)?;
    match due(log, idle, may_restart, thresholds) {
        Due::Nothing => Ok(log),
        Due::Passive => pragma(conn, "PRAGMA wal_checkpoint(PASSIVE)"),
        Due::Restart => {
            // Most is copied, and brought to the disk, while nobody waits: a copy beside a writer does not wait for the
            // disk. The writer copies the rest, and waits for that alone.
            let mut log = copy_most(conn, thresholds.passive)?;
            if log.uncopied() <= thresholds.limit / 2 {
                database.sync();
                log = copy_most(conn, thresholds.passive)?;
            }
            if log.uncopied() > thresholds.limit / 2 {
                // A long reader needs its pages, or much was written meanwhile: the writer would wait in vain, or copy them all.
                restart.was_blocked.store(true, Ordering::Relaxed);
            } else {
                restart.want();
            }
            Ok(log)
        }
    }
}

/// Copies until no more than `rest` pages are left, or for as long as that makes sense.
fn copy_most(conn: &Connection, rest: u64) -> rusqlite::Result<Log> {
    let mut log = pragma(conn, NOOP)?;
    for _ in 0..ROUNDS_MAX {
        if log.uncopied() <= rest {
            break;
        }
        pragma(conn, "PRAGMA wal_checkpoint(PASSIVE)")?;
        log = pragma(conn, NOOP)?;
    }
    Ok(log)
}

/// # Errors
/// Also where somebody else copies the log at this moment, so that its length is not told.
fn pragma(conn: &Connection, sql: &str) -> rusqlite::Result<Log> {
    conn.prepare_cached(sql)?.query_row([], |row| {
        let pages = |column| row.get::<_, i64>(column).map(u64::try_from);
        match (pages(1)?, pages(2)?) {
            (Ok(pages), Ok(copied)) => Ok(Log { pages, copied, is_blocked: row.get(0)? }),
            // SQLite says -1. Source: <https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>.
            _ => Err(rusqlite::Error::SqliteFailure(Error::new(SQLITE_BUSY), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_copied_when_it_is_long_or_nobody_writes() {
        let thresholds = Thresholds { passive: 1_000, limit: 16_000 };
        for (pages, copied, idle, may_restart, expected) in [
            (0, 0, false, true, Due::Nothing),
            (0, 0, true, true, Due::Nothing),
            (1_000, 0, false, true, Due::Nothing),
            (1_001, 0, false, true, Due::Passive),
            (1_001, 1_000, false, true, Due::Nothing),
            (10, 0, true, true, Due::Passive),
            (10, 10, true, true, Due::Nothing),
            (16_001, 16_001, false, true, Due::Restart),
            (16_001, 15_500, true, true, Due::Passive),
            (16_001, 16_001, true, true, Due::Nothing),
            (16_001, 16_001, false, false, Due::Nothing),
            (16_001, 9_000, false, false, Due::Passive),
        ] {
            let log = Log { pages, copied, is_blocked: false };
            assert_eq!(due(log, idle, may_restart, thresholds), expected, "{log:?} {idle} {may_restart}");
        }
    }
}
