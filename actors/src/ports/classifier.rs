//! What a text wants, and in which language.

use serde::Serialize;
use thiserror::Error;

use super::PortFuture;
use crate::domain::{Class, Embedding, Language};

/// A text's class and language.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Classification {
    /// The class.
    pub class: Class,
    /// How sure the classifier is, 0 to 1.
    pub confidence: f32,
    /// The language, among the configured ones; none where the text does not tell.
    pub language: Option<Language>,
}

/// Why a text could not be classified.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ClassifierError {
    /// The model failed.
    #[error("classification failed: {0}")]
    Failed(String),
}

/// Assigns a class and a language.
pub trait Classifier: Send + Sync + 'static {
    /// Classifies one text; the embedding is given where an embedder is configured.
    ///
    /// # Errors
    /// When the model fails.
    fn classify(
        &self,
        text: String,
        embedding: Option<Embedding>,
    ) -> PortFuture<Classification, ClassifierError>;
}
