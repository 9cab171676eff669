//! What can go wrong, and what each SQLite error means for the request that met it.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::Limit;
use thiserror::Error;

/// Why a database cannot be opened, migrated or backed up.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory or the file cannot be created or changed.
    #[error("cannot use '{}' for the database: {source}", path.display())]
    File {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A newer program has written this database.
    #[error(
        "the database has schema {found}, this program knows up to {known}: run a newer tertulia, or restore a backup"
    )]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The newest schema known.
        known: u32,
    },
    /// The file is an SQLite database of some other program.
    #[error("'{}' is not a tertulia database: check storage.path", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file is not an SQLite database, or is damaged.
    #[error("'{}' is not a database or is damaged ({reason}): run `tertulia db check`, and restore a backup that `tertulia db backup` made", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A migration failed; nothing of it was applied.
    #[error("migration {number} ({name}) failed: {source}")]
    Migration {
        /// Its number.
        number: u32,
        /// Its name.
        name: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// There is no database, and this command does not create one.
    #[error("there is no database at '{}': check storage.path", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The destination of a backup is there already.
    #[error("'{}' exists: choose another name for the backup", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// Another process kept the database locked for too long.
    #[error("'{}' could not be copied to: a database stayed locked, try again", path.display())]
    Busy {
        /// The destination.
        path: PathBuf,
    },
    /// The database has no conversations' tables yet, and this command does not create them.
    #[error("'{}' has schema {found}, not {known}: run `tertulia db migrate`", path.display())]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: u32,
        /// The schema needed.
        known: u32,
    },
    /// Anything else that SQLite says.
    #[error("the database cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The pool of reading connections cannot be built.
    #[error("the database cannot be read: {0}")]
    Pool(#[from] r2d2::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread of the store: {0}")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Tells damage from everything else that SQLite can say about a file.
    pub(super) fn of(path: &std::path::Path, error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path: path.to_owned(), reason: error.to_string() }
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// Why a request was not applied.
#[derive(Debug)]
pub enum WriteError {
    /// The request itself is at fault; only it fails.
    Refused(String),
    /// Rows that the request met cannot be read; only it fails.
    Corrupt(String),
    /// The database is at fault; nothing of the group is written.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        if let Some(reason) = unreadable(&error) {
            Self::Corrupt(reason)
        } else if is_the_requests_fault(&error) {
            Self::Refused(error.to_string())
        } else {
            Self::Database(error)
        }
    }
}

/// What is wrong with a row, where the error says that it is: a value of it is not of its column's kind.
pub(super) fn unreadable(error: &rusqlite::Error) -> Option<String> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, source) => Some(source.to_string()),
        rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => Some(error.to_string()),
        _ => None,
    }
}

/// Whether only the request that met the error has to fail. An error of the environment (disk full, IO, lock, memory)
/// may have rolled the transaction back.
fn is_the_requests_fault(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::Unknown
        ),
        None => true,
    }
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(reason) => Self::Refused(reason),
            WriteError::Corrupt(reason) => Self::Corrupt(reason),
            WriteError::Database(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// A limit of the store that was met.
pub(super) fn overloaded(by: Limit, limit: usize) -> StoreError {
    StoreError::Overloaded { by, limit: u64::try_from(limit).unwrap_or(u64::MAX) }
}

/// A read's error as the port tells it.
pub(super) fn read_error(error: &rusqlite::Error) -> StoreError {
    if let Some(reason) = unreadable(error) {
        StoreError::Corrupt(reason)
    } else if is_the_requests_fault(error) {
        StoreError::Refused(error.to_string())
    } else {
        StoreError::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn only_an_error_of_the_request_itself_spares_its_neighbours() {
        for (code, own_fault) in [
            (ffi::SQLITE_CONSTRAINT, true),
            (ffi::SQLITE_MISMATCH, true),
            (ffi::SQLITE_TOOBIG, true),
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_IOERR, false),
            (ffi::SQLITE_BUSY, false),
            (ffi::SQLITE_NOMEM, false),
            (ffi::SQLITE_CORRUPT, false),
            (ffi::SQLITE_READONLY, false),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(is_the_requests_fault(&error), own_fault, "{error}");
        }
        assert!(is_the_requests_fault(&rusqlite::Error::QueryReturnedNoRows));
    }
}
