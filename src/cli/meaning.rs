//! What embeds for a command, as it would for the server: a model that is read into this process, or an endpoint.

use std::sync::Arc;

use actix_rt::SystemRunner;
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Compute, Embeddable, Embedder, EmbedderError};

use super::Failure;
use crate::config::{Config, EmbeddingBackend};
use crate::embedding::{Model, ModelEmbedder, ModelError, OpenAiEmbedder, Prefixes};
use crate::eval::Meaning;
use crate::knowledge::vectors::VectorSpace;

/// What embeds, and its vectors.
type Embeds = (Box<dyn Embedder>, VectorSpace);

/// What texts mean by the configured model; nothing where none is configured.
pub(super) fn meaning(config: &Config) -> Result<Meaning, Failure> {
    Ok(Meaning::by(embedder(config)?))
}

/// The configured model, and its vectors.
pub(super) fn embedder(config: &Config) -> Result<Option<Embeds>, Failure> {
    let section = &config.embedding;
    Ok(match section.backend {
        EmbeddingBackend::Model => model(config)?.map(|model| {
            let space = VectorSpace { model: model.fingerprint().to_owned(), unrelated: model.unrelated() };
            (Box::new(ModelEmbedder::new(&Arc::new(model))) as Box<dyn Embedder>, space)
        }),
        EmbeddingBackend::Openai => {
            let unrelated = section.endpoint.unrelated_cosine;
            Some((
                Box::new(Endpoint::new(config)?),
                VectorSpace { model: section.endpoint_name(), unrelated },
            ))
        }
        EmbeddingBackend::None | EmbeddingBackend::Hashed => None,
    })
}

/// The model that embeds here, if one is configured.
pub(super) fn model(config: &Config) -> Result<Option<Model>, ModelError> {
    let section = &config.embedding;
    let is_wanted = section.backend == EmbeddingBackend::Model;
    is_wanted.then(|| Model::load(&section.model_folder(), &section.prefixes())).transpose()
}

/// An endpoint that is waited for.
struct Endpoint {
    embedder: OpenAiEmbedder,
    prefixes: Prefixes,
    /// One for all calls: a kept connection belongs to it.
    system: SystemRunner,
}

impl Endpoint {
    fn new(config: &Config) -> Result<Self, Failure> {
        let section = &config.embedding;
        let client = crate::channels::client(section.endpoint.connect_timeout())?;
        let embedder = OpenAiEmbedder::new(client, section.endpoint.clone());
        Ok(Self { embedder, prefixes: section.prefixes(), system: actix_rt::System::new() })
    }
}

impl Compute for Endpoint {
    type Request = Vec<Embeddable>;
    type Response = Vec<Option<Embedding>>;
    type Error = EmbedderError;

    fn compute(&mut self, texts: Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
        let prefixed = texts.iter().map(|one| format!("{}{}", self.prefixes.of(one.role), one.text));
        let vectors = self.system.block_on(self.embedder.embed(prefixed.collect()))?;
        Ok(vectors.into_iter().map(Some).collect())
    }
}
