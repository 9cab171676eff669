//! What the handlers share: handles and limits, given by the composition root.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_actors::domain::ConversationId;
use tertulia_actors::feed::Feeds;
use tertulia_actors::inbox::admission::Admissions;
use tertulia_actors::operations::Operations;
use tertulia_actors::ports::store::{ConversationView, StoreFuture};
use tertulia_actors::ports::{
    ClassExamples, Clock, Entropy, InboundChannel, KnowledgeBase, KnowledgeFuture, Store, StoreError,
};
use tertulia_actors::services::{EmbeddingService, VectorsService};
use tertulia_actors::supervision::FrontHandle;
use tokio::sync::{Semaphore, watch};

use super::limiter::Limiter;
use super::problem::Problem;
use super::settings::HttpSettings;

/// Gives the text of `/metrics`.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the composition root hands over.
#[derive(Clone)]
pub struct Parts {
    /// The way in.
    pub admissions: Admissions,
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// The knowledge base.
    pub knowledge: Arc<dyn KnowledgeBase>,
    /// The examples of the classes.
    pub examples: Arc<dyn ClassExamples>,
    /// Search in the knowledge base.
    pub vectors: FrontHandle<VectorsService>,
    /// Texts to vectors; none where knowledge is searched by words alone.
    pub embedding: Option<FrontHandle<EmbeddingService>>,
    /// The name by which the vectors of the configured model are kept; none where there is no model.
    pub model: Option<String>,
    /// The live events.
    pub feeds: Feeds,
    /// The tree of supervision.
    pub operations: Operations,
    /// WhatsApp's way in, where it is enabled.
    pub whatsapp: Option<Arc<dyn InboundChannel>>,
    /// The limits.
    pub settings: Arc<HttpSettings>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// True once the server drains.
    pub draining: watch::Receiver<bool>,
    /// The text of `/metrics`.
    pub metrics: MetricsText,
}

/// Searches of people who supervise that are under way at the same time. To the fronts they are one asker, of whom no more than
/// some calls may wait.
const SEARCHES_MAX: usize = 8;

/// The state of the HTTP interface. Clones share everything.
#[derive(Clone)]
pub struct HttpState {
    pub(super) admissions: Admissions,
    pub(super) store: Arc<dyn Store>,
    pub(super) knowledge: Arc<dyn KnowledgeBase>,
    pub(super) examples: Arc<dyn ClassExamples>,
    pub(super) vectors: FrontHandle<VectorsService>,
    pub(super) embedding: Option<FrontHandle<EmbeddingService>>,
    pub(super) model: Option<String>,
    pub(super) feeds: Feeds,
    pub(super) operations: Operations,
    pub(super) whatsapp: Option<Arc<dyn InboundChannel>>,
    pub(super) settings: Arc<HttpSettings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) draining: watch::Receiver<bool>,
    pub(super) metrics: MetricsText,
    /// Streams of events that may still begin.
    pub(super) streams: Arc<Semaphore>,
    /// Searches that may still begin; others wait.
    pub(super) searches: Arc<Semaphore>,
    pub(super) rates: Arc<Rates>,
}

/// The rates of the chat page.
pub(super) struct Rates {
    /// Messages, by visitor.
    messages: Limiter,
    /// Cookies given, by address.
    cookies: Limiter,
    /// Visitors who write for the first time, by address: a cookie can be made up.
    newcomers: Limiter,
}

impl HttpState {
    /// The state from its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let web = &parts.settings.web;
        let limiter = |per_minute| Limiter::new(per_minute, web.remembered_max);
        let rates = Rates {
            messages: limiter(web.messages_per_minute),
            cookies: limiter(web.visitors_per_minute),
            newcomers: limiter(web.visitors_per_minute),
        };
        let streams = Semaphore::new(parts.settings.server.streams_max.min(Semaphore::MAX_PERMITS));
        Self {
            admissions: parts.admissions,
            store: parts.store,
            knowledge: parts.knowledge,
            examples: parts.examples,
            vectors: parts.vectors,
            embedding: parts.embedding,
            model: parts.model,
            feeds: parts.feeds,
            operations: parts.operations,
            whatsapp: parts.whatsapp,
            settings: parts.settings,
            clock: parts.clock,
            entropy: parts.entropy,
            draining: parts.draining,
            metrics: parts.metrics,
            streams: Arc::new(streams),
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            rates: Arc::new(rates),
        }
    }

    /// Turns a refusal of the store into a problem.
    pub(super) fn problem(&self, error: &StoreError) -> Problem {
        Problem::store(error, self.store.retry_after())
    }

    /// What the store answers; its refusal as a problem.
    pub(super) async fn stored<T>(&self, asked: StoreFuture<T>) -> Result<T, Problem> {
        asked.await.map_err(|error| self.problem(&error))
    }

    /// What the knowledge base answers; its refusal as a problem.
    pub(super) async fn known<T>(&self, asked: KnowledgeFuture<T>) -> Result<T, Problem> {
        asked.await.map_err(|error| Problem::knowledge(&error, self.store.retry_after()))
    }

    /// A conversation that exists.
    pub(super) async fn conversation(&self, id: ConversationId) -> Result<ConversationView, Problem> {
        let found = self.stored(self.store.conversation(id)).await?;
        found.ok_or_else(no_such_conversation)
    }
}

/// The same for one that does not exist and one that the caller may not see, so that ids cannot be probed.
pub(super) fn no_such_conversation() -> Problem {
    Problem::not_found("there is no such conversation")
}

impl Rates {
    /// One more message of a visitor.
    pub(super) fn message(&self, visitor: &str) -> Result<(), Problem> {
        allow(self.messages.take(visitor, Instant::now()), "too many messages; wait a little")
    }

    /// One more cookie for an address.
    pub(super) fn cookie(&self, peer: &str) -> Result<(), Problem> {
        allow(self.cookies.take(peer, Instant::now()), "too many new visitors from this address")
    }

    /// One more visitor of an address who writes for the first time.
    pub(super) fn newcomer(&self, peer: &str) -> Result<(), Problem> {
        allow(self.newcomers.take(peer, Instant::now()), "too many new visitors from this address")
    }

    /// Whether the visitor wrote lately.
    pub(super) fn knows(&self, visitor: &str) -> bool {
        self.messages.knows(visitor)
    }
}

fn allow(taken: Result<(), Duration>, detail: &str) -> Result<(), Problem> {
    taken.map_err(|wait| Problem::new(429, "rate_limited", detail).retry_after(wait))
}
