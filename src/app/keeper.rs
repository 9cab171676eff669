//! The knowledge base behind the server's one writer: its entries change in the commits of messages and turns.

use std::sync::Arc;

use futures_util::TryFutureExt;
use tertulia_actors::domain::{Entry, Language};
use tertulia_actors::ports::store::StoreFuture;
use tertulia_actors::ports::{Embedded, EntryVectors, KnowledgeBase, KnowledgeFuture, Unembedded};

use crate::knowledge::{KnowledgeError, entries, vectors};
use crate::store::{SqliteStore, WriteError};

/// Reads on the store's readers, and writes through its writer.
pub(super) struct Keeper(pub(super) Arc<SqliteStore>);

impl KnowledgeBase for Keeper {
    fn list(&self, after: Option<(String, Language)>, limit: usize) -> KnowledgeFuture<Vec<Entry>> {
        let listed = self.0.read_with(move |conn| {
            let after = after.as_ref().map(|(id, language)| (id.as_str(), *language));
            entries::list(conn, after, limit).map_err(fault)
        });
        Box::pin(listed.err_into())
    }

    fn put(&self, entries: Vec<Entry>) -> KnowledgeFuture<usize> {
        let put = self.0.write_with(move |conn, now| entries::import(conn, &entries, now).map_err(fault));
        Box::pin(put.err_into())
    }

    fn remove(&self, id: String) -> KnowledgeFuture<usize> {
        let removed = self.0.write_with(move |conn, _| entries::remove(conn, &id, None).map_err(fault));
        Box::pin(removed.err_into())
    }
}

impl EntryVectors for Keeper {
    fn generation(&self) -> StoreFuture<i64> {
        self.0.read_with(move |conn| vectors::generation(conn).map_err(fault))
    }

    fn unembedded(&self, model: String, behind: i64, limit: usize) -> StoreFuture<Vec<Unembedded>> {
        self.0.read_with(move |conn| vectors::unembedded(conn, &model, behind, limit).map_err(fault))
    }

    fn put_embedded(&self, model: String, embedded: Vec<Embedded>) -> StoreFuture<usize> {
        self.0.write_with(move |conn, _| vectors::put(conn, &model, &embedded).map_err(fault))
    }
}

fn fault(error: KnowledgeError) -> WriteError {
    match error {
        KnowledgeError::Database(error) => error.into(),
        error => WriteError::Refused(error.to_string()),
    }
}
