//! Values that must never be shown.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// A secret from the configuration. Neither `Debug` nor `Serialize` show it, so that a configuration can be logged.
///
/// Clones are one secret: where it stands in a file and is read again, all of them change.
#[derive(Clone, Default, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Arc<RwLock<Kept>>);

/// The secret, and where it comes from.
#[derive(Default)]
struct Kept {
    text: Arc<str>,
    file: Option<PathBuf>,
}

/// Why a file gives no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("'{}' is empty: write the secret into it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// What is shown in the place of a secret.
const REDACTED: &str = "[redacted]";

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        let text: String = secret.into();
        Self(Arc::new(RwLock::new(Kept { text: text.into(), file: None })))
    }

    /// What a file says, without its last line break.
    ///
    /// # Errors
    /// When it cannot be read, or nothing is in it.
    pub fn read(path: &Path) -> Result<String, SecretError> {
        let text =
            fs::read_to_string(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(SecretError::Empty { path: path.to_owned() }),
            secret => Ok(secret.to_owned()),
        }
    }

    /// Remembers that the secret stands in a file, from which it can be read again.
    pub fn follow(&self, path: impl Into<PathBuf>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).file = Some(path.into());
    }

    /// Reads the secret again where it stands in a file; whether it has changed. Until it can be read the old one stays.
    ///
    /// # Errors
    /// When the file cannot be read, or nothing is in it.
    pub fn reread(&self) -> Result<bool, SecretError> {
        let file = self.0.read().unwrap_or_else(PoisonError::into_inner).file.clone();
        let Some(file) = file else { return Ok(false) };
        let text = Self::read(&file)?;
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *kept.text != *text;
        if changed {
            kept.text = text.into();
        }
        Ok(changed)
    }

    /// Reads the secret again as [`Self::reread`] does, and logs what came of it under the key that it has in the
    /// configuration.
    pub fn refresh(&self, key: &str) {
        match self.reread() {
            Ok(true) => tracing::info!(key, "a secret has changed, and is used from now on"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(key, %error, "a secret cannot be read again; the old one is still used");
            }
        }
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).text)
    }

    /// Whether none is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Whether `given` is the secret. An empty secret matches nothing.
    ///
    /// Digests are compared, in constant time, so that not even the length of the secret shows.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        let secret = self.expose();
        let same: bool = Sha256::digest(secret.as_bytes()).ct_eq(&Sha256::digest(given)).into();
        same && !secret.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "[empty]" } else { REDACTED })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { REDACTED })
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

/// Lower-case hexadecimal digits of some bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
    }

    #[test]
    fn a_secret_matches_itself_and_an_empty_one_matches_nothing() {
        let secret = Secret::new("hunter2");
        assert!(secret.matches("hunter2"));
        for wrong in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!secret.matches(wrong), "{wrong}");
        }
        assert!(!Secret::default().matches(""));
    }

    #[test]
    fn every_clone_of_a_secret_sees_what_its_file_says_when_it_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let secret = Secret::new("old");
        secret.follow(&file);
        let clone = secret.clone();
        fs::write(&file, "new\r\n").unwrap();
        assert!(clone.matches("old"), "only when it is asked");
        assert!(secret.reread().unwrap());
        assert!(clone.matches("new") && !clone.matches("old"));
        assert!(!secret.reread().unwrap(), "it is the same");
    }

    #[test]
    fn a_secret_stays_while_its_file_is_missing_or_empty_and_without_a_file_it_never_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let secret = Secret::new("old");
        assert!(!secret.reread().unwrap());
        secret.follow(&file);
        assert!(matches!(secret.reread(), Err(SecretError::File { path, .. }) if path == file));
        fs::write(&file, "\n").unwrap();
        assert!(matches!(secret.reread(), Err(SecretError::Empty { path }) if path == file));
        assert!(secret.matches("old"));
    }

    #[test]
    fn bytes_are_written_as_two_digits_each() {
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
