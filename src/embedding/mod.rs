//! Texts to vectors by a model of their meaning. Adapters of the port, without actors.
//!
//! `model` reads a sentence-transformers model from a folder and runs it here; `worker` puts it behind the port; `fetch` gets
//! one into a folder. `openai` asks an endpoint elsewhere.

#[cfg(not(feature = "semantic"))]
mod absent;
pub mod fetch;
#[cfg(feature = "semantic")]
mod model;
pub mod openai;
#[cfg(feature = "semantic")]
mod worker;

use std::path::PathBuf;

use tertulia_actors::ports::Role;
use thiserror::Error;

#[cfg(not(feature = "semantic"))]
pub use absent::{Model, ModelEmbedder};
#[cfg(feature = "semantic")]
pub use model::Model;
pub use openai::{EndpointSettings, OpenAiEmbedder};
#[cfg(feature = "semantic")]
pub use worker::ModelEmbedder;

/// What is put before texts by their roles, as some models want it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefixes {
    /// Before what a person says.
    pub query: String,
    /// Before a text that is looked for.
    pub passage: String,
}

impl Prefixes {
    /// The one for a role.
    #[must_use]
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Query => &self.query,
            Role::Passage => &self.passage,
        }
    }
}

/// Why a model cannot be used, or failed.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file of the model cannot be read.
    #[error("cannot read '{}': {source}; `tertulia model fetch` gets a model", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file says what this program does not understand or cannot do.
    #[error("'{}' of the model: {what}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The arithmetic failed.
    #[error("the model failed: {0}")]
    Failed(String),
    /// This program was built without what runs models.
    #[error("this program was built without the feature `semantic`, which runs models")]
    Absent,
}
