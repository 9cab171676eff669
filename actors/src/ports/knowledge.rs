//! The knowledge base as people manage it.

use super::store::StoreFuture;
use crate::domain::{Entry, Language};

/// The entries of the knowledge base. What a search finds is [`Vectors`](super::Vectors)' business.
pub trait KnowledgeBase: Send + Sync + 'static {
    /// One page of entries, in the order of id and language, behind `after`.
    fn list(&self, after: Option<(String, Language)>, limit: usize) -> StoreFuture<Vec<Entry>>;

    /// Adds entries, or replaces those of the same id and language; all or none, in one commit. Tells how many.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) when an entry is not acceptable.
    fn put(&self, entries: Vec<Entry>) -> StoreFuture<usize>;

    /// Removes an entry in all its languages; tells how many versions that were.
    fn remove(&self, id: String) -> StoreFuture<usize>;
}
