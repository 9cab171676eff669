//! Texts to vectors.

use thiserror::Error;

use super::PortFuture;
use crate::domain::Embedding;

/// Why a text could not be embedded.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EmbedderError {
    /// The model or its endpoint failed.
    #[error("embedding failed: {0}")]
    Failed(String),
}

/// Turns a text into a vector of unit length.
pub trait Embedder: Send + Sync + 'static {
    /// Embeds one text.
    ///
    /// # Errors
    /// When the model or its endpoint fails.
    fn embed(&self, text: String) -> PortFuture<Embedding, EmbedderError>;
}
