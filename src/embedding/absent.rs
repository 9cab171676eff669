//! What stands in for models in a build without them: none can be loaded.

use std::path::Path;
use std::sync::Arc;

use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Compute, Embeddable, EmbedderError};

use super::{ModelError, Prefixes};

/// A model; there is none in this build.
#[derive(Debug)]
pub enum Model {}

impl Model {
    /// Refuses.
    ///
    /// # Errors
    /// Always: [`ModelError::Absent`].
    pub const fn load(_: &Path, _: &Prefixes) -> Result<Self, ModelError> {
        Err(ModelError::Absent)
    }

    /// Never called: there is no model.
    #[must_use]
    pub const fn fingerprint(&self) -> &str {
        match *self {}
    }

    /// Never called: there is no model.
    #[must_use]
    pub const fn unrelated(&self) -> f32 {
        match *self {}
    }

    /// Never called: there is no model.
    #[must_use]
    pub const fn reads(&self, _: &str) -> bool {
        match *self {}
    }

    /// Never called: there is no model.
    ///
    /// # Errors
    /// None.
    pub const fn embed(&self, _: &[Embeddable]) -> Result<Vec<Embedding>, ModelError> {
        match *self {}
    }

    /// Never called: there is no model.
    ///
    /// # Errors
    /// None.
    pub const fn meanings(&self, _: &[Embeddable]) -> Result<Vec<Option<Embedding>>, ModelError> {
        match *self {}
    }
}

/// Embeds by a model; there is none in this build.
pub struct ModelEmbedder(Arc<Model>);

impl ModelEmbedder {
    /// Never called: there is no model.
    #[must_use]
    pub fn new(model: &Arc<Model>) -> Self {
        Self(Arc::clone(model))
    }
}

impl Compute for ModelEmbedder {
    type Request = Vec<Embeddable>;
    type Response = Vec<Option<Embedding>>;
    type Error = EmbedderError;

    fn compute(&mut self, _: Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
        match *self.0 {}
    }
}
