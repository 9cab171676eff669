//! Texts to vectors.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Compute;
use crate::domain::Embedding;

/// What a text is to a search: some models embed the two differently.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TextRole")]
pub enum Role {
    /// A question, or another thing that a person says.
    Query,
    /// A text that is looked for.
    Passage,
}

/// A text to be embedded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embeddable {
    /// The text.
    pub text: String,
    /// What it is to a search.
    pub role: Role,
}

impl Embeddable {
    /// What a person says.
    #[must_use]
    pub fn query(text: impl Into<String>) -> Self {
        Self { text: text.into(), role: Role::Query }
    }

    /// A text that is looked for.
    #[must_use]
    pub fn passage(text: impl Into<String>) -> Self {
        Self { text: text.into(), role: Role::Passage }
    }
}

/// Why texts could not be embedded.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EmbedderError {
    /// The model's endpoint cannot be reached or is overloaded: not these texts' fault, worth another try.
    #[error("the embedder is unavailable: {0}")]
    Unavailable(String),
    /// The model's endpoint asked not to be called for a while: not these texts' fault either.
    #[error("the embedder is unavailable for {} ms: {reason}", retry_after.as_millis())]
    Throttled {
        /// What happened.
        reason: String,
        /// How long the endpoint asked us to wait.
        retry_after: Duration,
    },
    /// The model failed, or answered nonsense.
    #[error("embedding failed: {0}")]
    Failed(String),
    /// The model refused these texts: not the service's fault.
    #[error("embedding failed: {0}")]
    Refused(String),
    /// The batch of this text came to nothing, which was told and counted with another text of it: worth another try.
    #[error("embedding failed: {0}")]
    Shared(String),
}

/// Turns texts into vectors of unit length, one for each in their order, on this machine; none for one that the model cannot
/// read, as in a script that it was not made for.
pub trait Embedder:
    Compute<Request = Vec<Embeddable>, Response = Vec<Option<Embedding>>, Error = EmbedderError>
{
}

impl<T: Compute<Request = Vec<Embeddable>, Response = Vec<Option<Embedding>>, Error = EmbedderError>> Embedder
    for T
{
}
