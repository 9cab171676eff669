//! Ports in memory, for tests: each answers what it was made with.

use std::future::ready;
use std::sync::Arc;

use crate::domain::{Class, ConversationId, Embedding, HistoryItem, Hit, PendingMessage, Receipt, Tick};
use crate::domain::{Timestamp, TurnId};
use crate::ports::store::{
    CommitOutcome, CommitTurn, ConversationState, ReleaseTurn, StartOutcome, StartTurn, StoreFuture, Turns,
};
use crate::ports::{
    Answer, Classification, Classifier, ClassifierError, PortFuture, Query, QueryError, QueryService, Search,
    StoreError, Vectors, VectorsError,
};
use crate::services::{ClassifierService, QueryFrontService, Services, VectorsService};
use crate::settings::FrontSettings;
use crate::supervision::Front;

/// A port that answers every call alike.
#[derive(Clone, Debug)]
pub struct Always<T>(pub T);

impl Vectors for Always<Result<Vec<Hit>, VectorsError>> {
    fn search(&self, search: Search) -> PortFuture<Vec<Hit>, VectorsError> {
        let found = self.0.clone();
        Box::pin(ready(found.map(|hits| hits.into_iter().take(search.limit).collect())))
    }
}

impl Classifier for Always<Result<Classification, ClassifierError>> {
    fn classify(&self, _: String, _: Option<Embedding>) -> PortFuture<Classification, ClassifierError> {
        Box::pin(ready(self.0.clone()))
    }
}

impl QueryService for Always<Result<Answer, QueryError>> {
    fn answer(&self, _: Query) -> PortFuture<Answer, QueryError> {
        Box::pin(ready(self.0.clone()))
    }
}

/// Turns of people who never wrote before; nothing can be written.
#[derive(Clone, Copy, Debug)]
pub struct NoTurns;

fn refused<T: Send + 'static>() -> StoreFuture<T> {
    Box::pin(ready(Err(StoreError::Refused("nothing is stored here".to_owned()))))
}

impl Turns for NoTurns {
    fn load_conversation(&self, _: ConversationId, _: usize) -> StoreFuture<Option<ConversationState>> {
        Box::pin(ready(Ok(None)))
    }

    fn history(&self, _: ConversationId, _: TurnId, _: usize) -> StoreFuture<Vec<HistoryItem>> {
        Box::pin(ready(Ok(vec![])))
    }

    fn start_turn(&self, _: StartTurn) -> StoreFuture<StartOutcome> {
        refused()
    }

    fn commit_turn(&self, _: Box<CommitTurn>) -> StoreFuture<CommitOutcome> {
        refused()
    }

    fn release_turn(&self, _: ReleaseTurn) -> StoreFuture<bool> {
        refused()
    }
}

/// The services of a turn behind fronts of their own in the current arbiter, without an embedder.
#[must_use]
pub fn services(vectors: impl Vectors, classifier: impl Classifier, query: impl QueryService) -> Services {
    let settings = FrontSettings { in_flight_max: 8, queue_max: 64, deadline_ms: 2_000 };
    Services {
        embedding: None,
        vectors: Front::start_with(VectorsService(Arc::new(vectors)), settings),
        classifier: Front::start_with(ClassifierService(Arc::new(classifier)), settings),
        query: Front::start_with(QueryFrontService(Arc::new(query)), settings),
    }
}

/// A classification in the default language.
#[must_use]
pub const fn classified(class: Class, confidence: f32) -> Classification {
    Classification { class, confidence, language: None }
}

/// A message of a kind, with or without a text.
#[must_use]
pub fn message(kind: &str, text: Option<&str>) -> PendingMessage {
    PendingMessage {
        seq: 1,
        kind: kind.to_owned(),
        text: text.map(str::to_owned),
        provider_at: None,
        receipt: Receipt { at: Timestamp(0), tick: Tick(0), seq: 0 },
        alone: false,
    }
}
