//! The knowledge base as people manage it.

use thiserror::Error;

use super::store::{StoreError, StoreFuture};
use super::{Embeddable, PortFuture};
use crate::domain::{Embedding, Entry, Language};

/// An entry that a model has not embedded yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unembedded {
    /// Its row.
    pub row: i64,
    /// What stands for it: each way in which its question is put.
    pub texts: Vec<Embeddable>,
}

/// An entry that a model has embedded.
#[derive(Clone, PartialEq, Debug)]
pub struct Embedded {
    /// Its row.
    pub row: i64,
    /// What stood for it then.
    pub texts: Vec<Embeddable>,
    /// The vector of each; none where the model cannot read it.
    pub vectors: Vec<Option<Embedding>>,
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

    /// Removes an entry in all its languages; tells how many versions that were.
    fn remove(&self, id: String) -> KnowledgeFuture<usize>;
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
