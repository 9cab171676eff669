//! The knowledge base and the examples of the classes behind the server's one writer: they change in the commits of messages and
//! turns.

use std::sync::Arc;

use tertulia_actors::domain::{Class, ConversationId, Entry, Language, TurnId};
use tertulia_actors::ports::store::StoreFuture;
use tertulia_actors::ports::{
    ClassExample, ClassExamples, Corrected, Embedded, KeptExample, KnowledgeBase, Unembedded,
};

use crate::knowledge::{ExampleError, KnowledgeError, entries, examples, vectors};
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

    fn remove(&self, id: String) -> StoreFuture<usize> {
        self.0.write_with(move |conn, _| entries::remove(conn, &id, None).map_err(fault))
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

impl ClassExamples for Keeper {
    fn list(&self, after: i64, limit: usize) -> StoreFuture<Vec<KeptExample>> {
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
