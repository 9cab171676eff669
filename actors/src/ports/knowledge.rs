//! The knowledge base as people manage it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::store::{StoreError, StoreFuture};
use super::{Embeddable, PortFuture};
use crate::domain::{Embedding, Entry, Language, Version};

/// An entry that a model has not embedded yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unembedded {
    /// Its row.
    pub row: i64,
    /// What stands for it: each way in which its question is put.
    pub texts: Vec<Embeddable>,
}

/// An entry that a model has embedded.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// Its row.
    pub row: i64,
    /// What stood for it then.
    pub texts: Vec<Embeddable>,
    /// The vector of each; none where the model cannot read it.
    pub vectors: Vec<Option<Embedding>>,
}

/// What a model has made of some entries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelVectors {
    /// The name by which its vectors are kept.
    pub model: String,
    /// The entries.
    pub embedded: Vec<Embedded>,
}

/// How many entries there are, and how far models have embedded them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct KnowledgeStatus {
    /// All entries, each in each of its languages.
    pub entries: usize,
    /// Those of them that are passages.
    pub passages: usize,
    /// A number that changes with the entries.
    pub generation: i64,
    /// Every model that has embedded some of them, by the name by which its vectors are kept.
    pub models: Vec<ModelStatus>,
}

/// How far a model is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ModelStatus {
    /// Its name.
    pub model: String,
    /// Entries that it has looked at, also those that it cannot read.
    pub embedded: usize,
}

impl KnowledgeStatus {
    /// How many entries a model has embedded; none where there is no model.
    #[must_use]
    pub fn embedded_by(&self, model: Option<&str>) -> usize {
        let found = self.models.iter().find(|known| Some(known.model.as_str()) == model);
        found.map_or(0, |known| known.embedded)
    }
}
/// Why the knowledge base was not listed or changed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum KnowledgeBaseError {
    /// The store did not do it, or whatever keeps the entries refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entries are kept elsewhere, and cannot be reached now.
    #[error("{0}")]
    Away(String),
}

/// The future of the knowledge base's call.
pub type KnowledgeFuture<T> = PortFuture<T, KnowledgeBaseError>;

/// The entries of the knowledge base. What a search finds is [`Vectors`](super::Vectors)' business.
pub trait KnowledgeBase: Send + Sync + 'static {
    /// One page of entries, in the order of id and language, behind `after`.
    fn list(&self, after: Option<(String, Language)>, limit: usize) -> KnowledgeFuture<Vec<Entry>>;

    /// Adds entries, or replaces those of the same id and language; all or none, in one commit. Tells how many.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) when an entry is not acceptable.
    fn put(&self, entries: Vec<Entry>) -> KnowledgeFuture<usize>;

    /// Removes an entry, in one language or in all; tells in how many that was.
    fn remove(&self, id: String, language: Option<Language>) -> KnowledgeFuture<usize>;

    /// What an entry says, in one language or in all.
    fn get(&self, id: String, language: Option<Language>) -> KnowledgeFuture<Vec<Entry>>;

    /// What an entry said before, in one language or in all, newest first; as much of it as is kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) where nothing of it is kept.
    fn history(&self, id: String, language: Option<Language>) -> KnowledgeFuture<Vec<Version>>;

    /// Lets an entry say again what it said in a version, and tells what that is; none where there is no such version.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) when it is not acceptable any more, or where no versions are kept.
    fn restore(&self, version: i64) -> KnowledgeFuture<Option<Entry>>;

    /// How many entries there are, and how far models have embedded them.
    fn status(&self) -> KnowledgeFuture<KnowledgeStatus>;

    /// Keeps what another model than the configured one made of entries, in one commit, so that it can be changed to without a time in
    /// which nothing has a meaning; not of those that are gone or say something else by now. Tells how many were kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) where the vectors are not kept by model.
    fn put_vectors(&self, made: ModelVectors) -> KnowledgeFuture<usize>;

    /// Removes some of the vectors of all models but one, in one commit; of all models where none is named. Tells how many.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) where the vectors are not kept by model.
    fn remove_vectors(&self, but: Option<String>, limit: usize) -> KnowledgeFuture<usize>;
}

/// The vectors of the entries, which are kept beside them in the database.
pub trait EntryVectors: Send + Sync + 'static {
    /// A number that changes with the entries.
    fn generation(&self) -> StoreFuture<i64>;

    /// The first entries behind a row that a model has not embedded yet; 0: behind none.
    fn unembedded(&self, model: String, behind: i64, limit: usize) -> StoreFuture<Vec<Unembedded>>;

    /// Keeps what a model made of entries, in one commit; not of those that are gone or say something else by now. Tells how
    /// many were kept.
    fn put_embedded(&self, model: String, embedded: Vec<Embedded>) -> StoreFuture<usize>;
}
