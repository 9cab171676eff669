//! The knowledge base behind the server's one writer: its entries change in the commits of messages and turns.

use std::sync::Arc;

use tertulia_actors::domain::{Entry, Language, Version};
use tertulia_actors::ports::store::StoreFuture;
use tertulia_actors::ports::{Embedded, KnowledgeBase, KnowledgeStatus, Unembedded};

use crate::knowledge::{KnowledgeError, entries, history, vectors};
use crate::store::{SqliteStore, WriteError};

/// Reads on the store's readers, and writes through its writer.
pub(super) struct Keeper(pub(super) Arc<SqliteStore>);

impl KnowledgeBase for Keeper {
    fn list(&self, after: Option<(String, Language)>, limit: usize) -> StoreFuture<Vec<Entry>> {
        self.0.read_with(move |conn| {
            let after = after.as_ref().map(|(id, language)| (id.as_str(), *language));
            entries::list(conn, after, limit).map_err(fault)
        })
    }

    fn put(&self, entries: Vec<Entry>) -> StoreFuture<usize> {
        self.0.write_with(move |conn, now| entries::import(conn, &entries, now).map_err(fault))
    }

    fn remove(&self, id: String, language: Option<Language>) -> StoreFuture<usize> {
        self.0.write_with(move |conn, _| entries::remove(conn, &id, language).map_err(fault))
    }

    fn get(&self, id: String, language: Option<Language>) -> StoreFuture<Vec<Entry>> {
        self.0.read_with(move |conn| entries::get_in(conn, &id, language).map_err(fault))
    }

    fn history(&self, id: String, language: Option<Language>) -> StoreFuture<Vec<Version>> {
        self.0.read_with(move |conn| history::versions(conn, &id, language).map_err(fault))
    }

    fn restore(&self, version: i64) -> StoreFuture<Option<Entry>> {
        self.0.write_with(move |conn, now| history::restore(conn, version, now).map_err(fault))
    }

    fn status(&self) -> StoreFuture<KnowledgeStatus> {
        self.0.read_with(|conn| vectors::status(conn).map_err(fault))
    }

    fn remove_vectors(&self, but: Option<String>, limit: usize) -> StoreFuture<usize> {
        self.0.write_with(move |conn, _| vectors::remove_but(conn, but.as_deref(), limit).map_err(fault))
    }

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
