//! A model behind the port.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tertulia_actors::domain::Embedding;
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Compute, Embeddable, EmbedderError};

use super::Model;

/// Embeds by a model, on the thread that it was made on alone.
pub struct ModelEmbedder {
    model: Arc<Model>,
    /// Of this thread alone: without one, candle's matrix products share themselves out among threads of the whole process.
    alone: Option<ThreadPool>,
}

impl ModelEmbedder {
    /// To be called on the thread that will embed.
    #[must_use]
    pub fn new(model: &Arc<Model>) -> Self {
        // Without a pool it is the same work, on more threads than it should be.
        let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok();
        Self { model: Arc::clone(model), alone }
    }
}

impl Compute for ModelEmbedder {
    type Request = Vec<Embeddable>;
    type Response = Vec<Option<Embedding>>;
    type Error = EmbedderError;

    fn compute(&mut self, texts: Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
        for Embeddable { text: _text, .. } in &texts {
            failpoint!("embedding.compute", text: _text, return Err(EmbedderError::Failed("failpoint".into())));
        }
        let embedded = match &self.alone {
            Some(alone) => alone.install(|| self.model.meanings(&texts)),
            None => self.model.meanings(&texts),
        };
        embedded.map_err(|error| EmbedderError::Failed(error.to_string()))
    }
}
