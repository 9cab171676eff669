//! Texts to vectors.

use thiserror::Error;

use super::Compute;
use crate::domain::Embedding;

/// Why a text could not be embedded.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EmbedderError {
    /// The model or its endpoint failed.
    #[error("embedding failed: {0}")]
    Failed(String),
}

/// Turns a text into a vector of unit length, on this machine.
pub trait Embedder: Compute<Request = String, Response = Embedding, Error = EmbedderError> {}

impl<T: Compute<Request = String, Response = Embedding, Error = EmbedderError>> Embedder for T {}
