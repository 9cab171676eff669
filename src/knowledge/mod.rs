//! What the business knows and how a text is understood: the knowledge base's index, the embedded embedder and
//! classifier, and the phrases that are built in. Adapters of the ports, without actors.

pub mod chroma;
pub mod classify;
pub mod documents;
pub mod duplicates;
pub mod embedder;
pub mod entries;
pub mod examples;
pub mod history;
pub mod phrases;
pub mod search;
mod text;
pub mod vectors;

pub use classify::classifier::ExampleClassifier;
pub use classify::trainer::{LiveClassifier, Trainer, TrainerParts};
pub use embedder::HashedEmbedder;
pub use entries::{KNOWLEDGE_MIGRATION, KnowledgeError};
pub use examples::ExampleError;
pub use phrases::default_phrases;
pub use search::index::SqliteVectors;
