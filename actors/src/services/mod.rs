//! The services behind their fronts: each names what is asked and answered, and calls its port.

use std::sync::Arc;

use futures_util::TryFutureExt;

use crate::domain::{Embedding, Hit};
use crate::failpoint;
use crate::ports::{
    Answer, Classification, Classifier, ClassifierError, Embedder, EmbedderError, Outbound, OutboundChannel,
    Query, QueryError, QueryService, Search, SendError, Vectors, VectorsError,
};
use crate::supervision::service::{Blame, Fault, Work};
use crate::supervision::{FrontHandle, Service};

/// Texts to vectors.
pub struct EmbeddingService(pub Arc<dyn Embedder>);

impl Service for EmbeddingService {
    type Request = String;
    type Response = Embedding;
    type Error = EmbedderError;
    const NAME: &'static str = "embedding";

    fn call(&self, text: String) -> Work<Embedding, EmbedderError> {
        failpoint!("services.embedding");
        Box::pin(self.0.embed(text).map_err(Fault::Failed))
    }

    fn blame(_: &EmbedderError) -> Blame {
        Blame::Service
    }
}

/// Search in the knowledge base.
pub struct VectorsService(pub Arc<dyn Vectors>);

impl Service for VectorsService {
    type Request = Search;
    type Response = Vec<Hit>;
    type Error = VectorsError;
    const NAME: &'static str = "vectors";

    fn call(&self, search: Search) -> Work<Vec<Hit>, VectorsError> {
        failpoint!("services.vectors");
        Box::pin(self.0.search(search).map_err(Fault::Failed))
    }

    fn blame(_: &VectorsError) -> Blame {
        Blame::Service
    }
}

/// Class and language.
pub struct ClassifierService(pub Arc<dyn Classifier>);

impl Service for ClassifierService {
    type Request = (String, Option<Embedding>);
    type Response = Classification;
    type Error = ClassifierError;
    const NAME: &'static str = "classifier";

    fn call(&self, (text, embedding): Self::Request) -> Work<Classification, ClassifierError> {
        failpoint!("services.classifier");
        Box::pin(self.0.classify(text, embedding).map_err(Fault::Failed))
    }

    fn blame(_: &ClassifierError) -> Blame {
        Blame::Service
    }
}

/// Answers that are composed.
pub struct QueryFrontService(pub Arc<dyn QueryService>);

impl Service for QueryFrontService {
    type Request = Query;
    type Response = Answer;
    type Error = QueryError;
    const NAME: &'static str = "query";

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
