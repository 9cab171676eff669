//! One process per database: a lock beside it, which also says who holds it and where it can be reached.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Who holds a database.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Where its HTTP interface listens, once it does.
    pub address: Option<SocketAddr>,
}

/// Why a database could not be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "the database is in use by process {} ({}): stop it, or give this one another storage.path",
        holder.pid,
        holder.address.map_or_else(|| "not listening".to_owned(), |address| format!("listening on {address}"))
    )]
    Held {
        /// Which.
        holder: Holder,
    },
    /// The lock file cannot be used.
    #[error("cannot lock '{}': {source}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A held lock; the system frees it when the process ends, however it ends.
pub struct LockFile {
    file: File,
    path: PathBuf,
}

impl LockFile {
    /// Locks the database at `database`.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be used.
    pub fn acquire(database: &Path) -> Result<Self, LockError> {
        let path = path_of(database);
        let fail = |source| LockError::File { path: path.clone(), source };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(fail)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(fail)?;
                return Err(LockError::Held { holder: serde_json::from_str(&text).unwrap_or_default() });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        let mut lock = Self { file, path };
        lock.say(None)?;
        Ok(lock)
    }

    /// Says where this process can be reached.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn say(&mut self, address: Option<SocketAddr>) -> Result<(), LockError> {
        let holder = Holder { pid: std::process::id(), address };
        self.write(&holder).map_err(|source| LockError::File { path: self.path.clone(), source })
    }

    fn write(&mut self, holder: &Holder) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        serde_json::to_writer(&self.file, holder)?;
        self.file.flush()
    }
}

/// The lock file of a database: beside the file itself, also where a link leads to it.
#[must_use]
pub fn path_of(database: &Path) -> PathBuf {
    let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let mut name = database.into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("new/t.db");
        let mut first = LockFile::acquire(&database).unwrap();
        let address = "127.0.0.1:4711".parse().unwrap();
        first.say(Some(address)).unwrap();
        match LockFile::acquire(&database) {
            Err(error @ LockError::Held { .. }) => {
                let text = error.to_string();
                assert!(text.contains(&std::process::id().to_string()) && text.contains("4711"), "{text}");
            }
            other => panic!("{:?}", other.map(|_| "locked twice")),
        }
        drop(first);
        assert!(LockFile::acquire(&database).is_ok());
    }
}
