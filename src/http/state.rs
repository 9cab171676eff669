//! What the handlers share: handles and limits, given by the composition root.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_actors::domain::{ConversationId, Entry};
use tertulia_actors::feed::Feeds;
use tertulia_actors::inbox::admission::Admissions;
use tertulia_actors::operations::Operations;
use tertulia_actors::ports::store::{ConversationView, SignedOut, StoreFuture};
use tertulia_actors::ports::{
    ClassExamples, Clock, Entropy, InboundChannel, KnowledgeBase, KnowledgeFuture, Store, StoreError,
};
use tertulia_actors::services::{EmbeddingService, VectorsService};
use tertulia_actors::settings::PipelineSettings;
use tertulia_actors::supervision::FrontHandle;
use tokio::sync::{Semaphore, watch};

use super::console::Sessions;
use super::limiter::Limiter;
use super::problem::Problem;
use super::settings::HttpSettings;
use crate::observer::Looks;

/// Gives the text of `/metrics`.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Reads the entries of a table by its name and bytes; what is wrong with it, in words.
pub type TableReader = Arc<dyn Fn(&str, &[u8]) -> Result<Vec<Entry>, String> + Send + Sync>;

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
    /// How everything is, as it was last looked at.
    pub looks: Looks,
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
    /// Thresholds of the pipeline, by which a question that is tried is decided.
    pub pipeline: Arc<PipelineSettings>,
    /// What reads tables that are uploaded.
    pub tables: TableReader,
    /// Sessions of the console that were signed out of.
    pub signed_out: Vec<SignedOut>,
}

/// Searches of people who supervise that are under way at the same time. To the fronts they are one asker, of whom no more than
/// some calls may wait.
const SEARCHES_MAX: usize = 8;

/// Tabs of the console at the same time.
const TABS_MAX: usize = 64;

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
    pub(super) looks: Looks,
    pub(super) whatsapp: Option<Arc<dyn InboundChannel>>,
    pub(super) settings: Arc<HttpSettings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) draining: watch::Receiver<bool>,
    pub(super) metrics: MetricsText,
    pub(super) pipeline: Arc<PipelineSettings>,
    pub(super) tables: TableReader,
    /// Streams of events that may still begin.
    pub(super) streams: Arc<Semaphore>,
    /// Tabs of the console that may still open. They have room of their own: it is needed most when visitors take all of theirs.
    pub(super) tabs: Arc<Semaphore>,
    /// Searches that may still begin; others wait.
    pub(super) searches: Arc<Semaphore>,
    pub(super) rates: Arc<Rates>,
    /// Sessions of the console.
    pub(super) sessions: Arc<Sessions>,
    /// Passwords that may still be checked at the same time; others wait.
    pub(super) password_checks: Arc<Semaphore>,
    /// What of people's words was read lately, by session: each is written down once a minute.
    pub(super) readings: Arc<Limiter>,
}

/// Passwords that are checked at the same time. Each takes 19 MiB.
const PASSWORD_CHECKS_MAX: usize = 2;

/// Readings that are remembered at the least.
const READINGS_MAX: usize = 10_000;

/// The rates of the pages.
pub(super) struct Rates {
    /// Messages, by visitor.
    messages: Limiter,
    /// Cookies given, by address.
    cookies: Limiter,
    /// Visitors who write for the first time, by address: a cookie can be made up.
    newcomers: Limiter,
    /// Attempts to sign in to the console, by address.
    sign_ins: Limiter,
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
            sign_ins: limiter(parts.settings.console.sign_ins_per_minute),
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
            looks: parts.looks,
            whatsapp: parts.whatsapp,
            settings: parts.settings,
            clock: parts.clock,
            entropy: parts.entropy,
            draining: parts.draining,
            metrics: parts.metrics,
            pipeline: parts.pipeline,
            tables: parts.tables,
            streams: Arc::new(streams),
            tabs: Arc::new(Semaphore::new(TABS_MAX)),
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            rates: Arc::new(rates),
            sessions: Arc::new(Sessions::without(parts.signed_out)),
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
            readings: Arc::new(Limiter::new(1, READINGS_MAX)),
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

    /// One more attempt to sign in from an address.
    pub(super) fn sign_in(&self, peer: &str) -> Result<(), Problem> {
        allow(
            self.sign_ins.take(peer, Instant::now()),
            "too many attempts to sign in from this address; wait a little",
        )
    }

    /// Whether the visitor wrote lately.
    pub(super) fn knows(&self, visitor: &str) -> bool {
        self.messages.knows(visitor)
    }
}

fn allow(taken: Result<(), Duration>, detail: &str) -> Result<(), Problem> {
    taken.map_err(|wait| Problem::new(429, "rate_limited", detail).retry_after(wait))
}
