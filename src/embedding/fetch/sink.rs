//! A file of a model while it is written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::FetchError;
use crate::secret::hex;

/// A file of a model while it is written: what came is hashed as it comes.
pub(super) struct Sink {
    file: File,
    path: PathBuf,
    hash: Sha256,
}

impl Sink {
    /// Begins the file `name`, one of [`super::files`], in a model's folder.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, FetchError> {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(FetchError::at("create", parent))?;
        }
        let file = File::create_new(&path).map_err(FetchError::at("create", &path))?;
        Ok(Self { file, path, hash: Sha256::new() })
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        self.hash.update(piece);
        self.file.write_all(piece).map_err(FetchError::at("write", &self.path))
    }

    /// Brings the file down to the disk; answers its SHA-256.
    pub(super) fn finish(self) -> Result<String, FetchError> {
        self.file.sync_all().map_err(FetchError::at("write", &self.path))?;
        Ok(hex(&self.hash.finalize()))
    }
}

/// How much may still come.
pub(super) struct Room(u64);

impl Room {
    pub(super) const fn new() -> Self {
        Self(super::SIZE_LIMIT)
    }

    /// Takes some of it.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), FetchError> {
        self.0 = self.0.checked_sub(bytes).ok_or(FetchError::TooLarge { limit: super::SIZE_LIMIT })?;
        Ok(())
    }

    /// Says beforehand that there is not enough of it.
    pub(super) fn check(&self, bytes: u64) -> Result<(), FetchError> {
        Self(self.0).take(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_comes_than_there_is_room_for() {
        let mut room = Room::new();
        assert!(room.check(super::super::SIZE_LIMIT + 1).is_err());
        room.take(super::super::SIZE_LIMIT - 1).unwrap();
        room.check(1).unwrap();
        room.take(1).unwrap();
        assert!(matches!(room.take(1), Err(FetchError::TooLarge { .. })));
    }
}
