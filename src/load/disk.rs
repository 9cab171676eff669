//! A small file system that can be filled, and a database that can be locked: what others do to the server's machine.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use thiserror::Error;

/// How large it is.
const SIZE: &str = "64m";

/// Why there is no small file system.
#[derive(Debug, Error)]
#[error("--disk-full needs a small file system of its own, which only root may mount: {0}")]
pub struct MountError(String);

/// A file system in memory of 64 MiB; unmounted when dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one.
    ///
    /// # Errors
    /// When this process may not, or the system has no `mount`.
    pub fn mount(path: PathBuf) -> Result<Self, MountError> {
        let wrong = |error: io::Error| MountError(error.to_string());
        fs::create_dir_all(&path).map_err(wrong)?;
        let size = format!("size={SIZE}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tertulia-load"]).arg(&path);
        let output = command.output().map_err(wrong)?;
        if !output.status.success() {
            return Err(MountError(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// When writing fails for another reason than that it is full.
    pub fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.filler())?;
        let mut piece = vec![0_u8; 1 << 20];
        while !piece.is_empty() {
            match filler.write_all(&piece) {
                Ok(()) => {}
                // Smaller and smaller pieces, so that nothing is left.
                Err(error) if error.kind() == ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// When the filler cannot be removed.
    pub fn empty(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that ends a moment later still has its files open.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Holds the write lock of a database for a while, as another process might.
///
/// # Errors
/// When the database cannot be locked.
pub async fn lock(database: PathBuf, hold: Duration) -> Result<(), rusqlite::Error> {
    let conn = Connection::open(database)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    tokio::time::sleep(hold).await;
    conn.execute_batch("ROLLBACK")
}
