//! What the actors need from the world, one trait and its error per file. Adapters implement these; actors never see an
//! adapter.

pub mod channel;
pub mod classifier;
pub mod clock;
pub mod compute;
pub mod embedder;
pub mod entropy;
pub mod examples;
pub mod knowledge;
pub mod query;
pub mod store;
pub mod tells;
pub mod traces;
pub mod vectors;

use std::future::Future;
use std::pin::Pin;

pub use channel::{InboundChannel, Outbound, OutboundChannel, SendError};
pub use classifier::{Classifiable, Classification, Classifier, ClassifierError};
pub use clock::{Clock, ReceiptSource};
pub use compute::Compute;
pub use embedder::{Embeddable, Embedder, EmbedderError, Role};
pub use entropy::Entropy;
pub use examples::{
    ClassExample, ClassExamples, Corrected, ExampleOrigin, ExampleRow, KeptExample, UnreadableExample,
};
pub use knowledge::{
    Embedded, EntryVectors, KnowledgeBase, KnowledgeBaseError, KnowledgeFuture, KnowledgeStatus, ModelStatus,
    ModelVectors, Unembedded,
};
pub use query::{Answer, Query, QueryError, QueryService, Task};
pub use store::{Store, StoreError};
pub use tells::{Admitted, Tells};
pub use traces::{MessageTrace, RunTrace, SendTrace, Trace, Tracer, Traces, TurnTrace};
pub use vectors::{EntryPage, Search, Vectored, Vectors, VectorsError, VectorsRequest, VectorsResponse};

/// The future that a port's call returns. It owns what it needs, so that it outlives its caller's borrow.
pub type PortFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;
