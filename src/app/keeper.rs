//! The knowledge base and the examples of the classes behind the server's one writer: they change in the commits of messages and
//! turns.

use std::sync::Arc;

use futures_util::TryFutureExt;
use tertulia_actors::domain::{Class, ConversationId, Entry, Language, TurnId, Version};
use tertulia_actors::ports::store::StoreFuture;
use tertulia_actors::ports::{
    ClassExample, ClassExamples, Corrected, Embedded, EntryVectors, ExampleRow, KnowledgeBase,
    KnowledgeFuture, KnowledgeStatus, ModelVectors, Unembedded,
};

use crate::knowledge::{ExampleError, KnowledgeError, entries, examples, history, vectors};
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

    fn remove(&self, id: String, language: Option<Language>) -> KnowledgeFuture<usize> {
        let removed =
            self.0.write_with(move |conn, now| entries::remove(conn, &id, language, now).map_err(fault));
        Box::pin(removed.err_into())
    }

    fn get(&self, id: String, language: Option<Language>) -> KnowledgeFuture<Vec<Entry>> {
        let found = self.0.read_with(move |conn| entries::get_in(conn, &id, language).map_err(fault));
        Box::pin(found.err_into())
    }

    fn history(&self, id: String, language: Option<Language>) -> KnowledgeFuture<Vec<Version>> {
        let versions = self.0.read_with(move |conn| history::versions(conn, &id, language).map_err(fault));
        Box::pin(versions.err_into())
    }

    fn restore(&self, version: i64) -> KnowledgeFuture<Option<Entry>> {
        let restored =
            self.0.write_with(move |conn, now| history::restore(conn, version, now).map_err(fault));
        Box::pin(restored.err_into())
    }

    fn status(&self) -> KnowledgeFuture<KnowledgeStatus> {
        let status = self.0.read_with(|conn| vectors::status(conn).map_err(fault));
        Box::pin(status.err_into())
    }

    fn put_vectors(&self, made: ModelVectors) -> KnowledgeFuture<usize> {
        let kept = self.0.write_with(move |conn, _| vectors::put_made(conn, &made).map_err(fault));
        Box::pin(kept.err_into())
    }

    fn remove_vectors(&self, but: Option<String>, limit: usize) -> KnowledgeFuture<usize> {
        let removed =
            self.0.write_with(move |conn, _| vectors::remove_but(conn, but.as_deref(), limit).map_err(fault));
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

impl ClassExamples for Keeper {
    fn list(&self, after: i64, limit: usize) -> StoreFuture<Vec<ExampleRow>> {
        self.0.read_with(move |conn| examples::list(conn, after, limit).map_err(unlearnt))
    }

    fn put(&self, some: Vec<ClassExample>) -> StoreFuture<usize> {
        self.0.write_with(move |conn, now| examples::put(conn, &some, now).map_err(unlearnt))
    }

    fn remove(&self, ids: Vec<i64>) -> StoreFuture<usize> {
        self.0.write_with(move |conn, _| examples::remove(conn, &ids).map_err(unlearnt))
    }

    fn correct(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        class: Class,
    ) -> StoreFuture<Option<Corrected>> {
        let change = move |conn: &_, now| examples::correct(conn, (conversation, turn), class, now);
        self.0.write_with(move |conn, now| change(conn, now).map_err(unlearnt))
    }
}

fn unlearnt(error: ExampleError) -> WriteError {
    match error {
        ExampleError::Database(error) => error.into(),
        error @ (ExampleError::Text { .. }
        | ExampleError::Full
        | ExampleError::NotEnded(_)
        | ExampleError::NoText(_)) => WriteError::Refused(error.to_string()),
    }
}

fn fault(error: KnowledgeError) -> WriteError {
    match error {
        KnowledgeError::Database(error) => error.into(),
        error => WriteError::Refused(error.to_string()),
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
