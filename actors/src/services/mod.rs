//! The services behind their fronts: each names what is asked and answered, and calls its port.

pub mod embedding;
pub mod vectors;

use std::sync::Arc;

use futures_util::TryFutureExt;
use serde_json::{Map, Value};

use crate::failpoint;
use crate::ports::{
    Answer, Classifiable, Classification, ClassifierError, Outbound, OutboundChannel, PortFuture, Query,
    QueryError, QueryService, SendError,
};
use crate::supervision::service::{Blame, Fault, Work};
use crate::supervision::{FrontHandle, Service, Threads};

pub use embedding::EmbeddingService;
pub use vectors::{VectorsEngine, VectorsService};

/// What does the work of a service.
pub enum Engine<Q, R, E> {
    /// Threads, for work that takes the processor.
    Threads(Threads<Q, R, E>),
    /// A port that mostly waits, as for the network.
    Port {
        /// What is asked.
        ask: Box<dyn Fn(Q) -> PortFuture<R, E>>,
        /// Reads again what may have changed outside, such as a secret.
        refresh: Box<dyn Fn()>,
    },
}

impl<Q: Send + 'static, R: Send + 'static, E: Send + 'static> Engine<Q, R, E> {
    /// A port that mostly waits.
    pub fn port(ask: impl Fn(Q) -> PortFuture<R, E> + 'static) -> Self {
        Self::port_with_secrets(ask, || {})
    }

    /// A port that mostly waits, and reads its secrets again by `refresh`.
    pub fn port_with_secrets(
        ask: impl Fn(Q) -> PortFuture<R, E> + 'static,
        refresh: impl Fn() + 'static,
    ) -> Self {
        Self::Port { ask: Box::new(ask), refresh: Box::new(refresh) }
    }

    fn call(&self, request: Q) -> Work<R, E> {
        match self {
            Self::Threads(threads) => threads.call(request),
            Self::Port { ask, .. } => Box::pin(ask(request).map_err(Fault::Failed)),
        }
    }

    fn detail(&self) -> Map<String, Value> {
        match self {
            Self::Threads(threads) => threads.detail(),
            Self::Port { .. } => Map::new(),
        }
    }

    fn refresh(&self) {
        match self {
            Self::Threads(_) => {}
            Self::Port { refresh, .. } => refresh(),
        }
    }
}

/// Class and language.
pub struct ClassifierService(pub Engine<Classifiable, Classification, ClassifierError>);

impl Service for ClassifierService {
    type Request = Classifiable;
    type Response = Classification;
    type Error = ClassifierError;
    const NAME: &'static str = "classifier";

    fn call(&self, text: Classifiable) -> Work<Classification, ClassifierError> {
        failpoint!("services.classifier");
        self.0.call(text)
    }

    fn blame(_: &ClassifierError) -> Blame {
        Blame::Service
    }

    fn detail(&self) -> Map<String, Value> {
        self.0.detail()
    }
}

/// Answers that are composed.
pub struct QueryFrontService(pub Arc<dyn QueryService>);

impl Service for QueryFrontService {
    type Request = Query;
    type Response = Answer;
    type Error = QueryError;
    const NAME: &'static str = "query";
    /// A class that comes too late, or an answer for a turn that has ended: nobody reads it, and it may take long.
    const ENDS_WITH_CALLER: bool = true;

    fn call(&self, query: Query) -> Work<Answer, QueryError> {
        failpoint!("services.query");
        Box::pin(self.0.answer(query).map_err(Fault::Failed))
    }

    fn blame(error: &QueryError) -> Blame {
        match error {
            QueryError::Unavailable(_) => Blame::Service,
            QueryError::Throttled { retry_after, .. } => Blame::NotBefore(*retry_after),
            QueryError::Failed(_) => Blame::Request,
        }
    }

    fn refresh(&self) {
        self.0.refresh();
    }
}

/// A channel's way out.
pub struct ChannelService(pub Arc<dyn OutboundChannel>);

impl Service for ChannelService {
    type Request = Outbound;
    type Response = String;
    type Error = SendError;
    const NAME: &'static str = "channel";
    const WAITING_COUNTS: bool = false;

    fn call(&self, outbound: Outbound) -> Work<String, SendError> {
        failpoint!("services.channel");
        Box::pin(self.0.send(outbound).map_err(Fault::Failed))
    }

    fn blame(error: &SendError) -> Blame {
        match error {
            // Cut off in the middle, or answered without sense.
            SendError::Ambiguous(_) => Blame::Service,
            // No other part will be accepted either, until there is another token.
            SendError::Unauthorized(_) => Blame::Hopeless,
            SendError::Retryable { .. } | SendError::Refused(_) => Blame::Request,
        }
    }

    fn refresh(&self) {
        self.0.refresh();
    }
}

/// The ways to the services that a turn uses.
#[derive(Clone)]
pub struct Services {
    /// Texts to vectors; none where knowledge is searched by words alone.
    pub embedding: Option<FrontHandle<EmbeddingService>>,
    /// Search in the knowledge base.
    pub vectors: FrontHandle<VectorsService>,
    /// Whether it finds nothing without a vector.
    pub needs_vectors: bool,
    /// Class and language.
    pub classifier: FrontHandle<ClassifierService>,
    /// Answers that are composed.
    pub query: FrontHandle<QueryFrontService>,
}

impl Services {
    /// Lets the next call of each find out whether it is back.
    pub fn probe_now(&self) {
        if let Some(embedding) = &self.embedding {
            embedding.probe_now();
        }
        self.vectors.probe_now();
        self.classifier.probe_now();
        self.query.probe_now();
    }
}
