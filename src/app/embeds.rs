//! How the trainer of the classifier embeds its examples: by the model here, on its own thread, or through the front of the
//! embedding service, which knows what its endpoint can bear.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use futures_util::future::join_all;
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Compute, Embeddable, EmbedderError};
use tertulia_actors::services::EmbeddingService;
use tertulia_actors::supervision::{CallError, FrontHandle};

use crate::config::{Config, EmbeddingBackend};
use crate::embedding::{Model, ModelEmbedder};
use crate::knowledge::classify::trainer::EmbedBy;

/// Texts that are asked for at a time: as many calls as one asker may have waiting at a front, and few enough that those of turns
/// never wait long.
const CALLS_MAX: usize = 16;

/// How long the service is left alone that is down or overloaded; the trainer waits at least as long.
const PAUSE: Duration = Duration::from_secs(1);

/// What the front answers about a text.
type Answer = Result<Option<Embedding>, CallError<EmbedderError>>;

/// What embeds the examples, as the texts of turns are embedded. Hashed words mean nothing, and are read by nobody.
pub(super) fn of_examples(
    config: &Config,
    model: Option<&Arc<Model>>,
    front: Option<(FrontHandle<EmbeddingService>, ArbiterHandle)>,
) -> EmbedBy {
    match (config.embedding.backend, model.cloned(), front) {
        (EmbeddingBackend::Model, Some(model), _) => {
            EmbedBy::Here(Box::new(move || Box::new(ModelEmbedder::new(&model))))
        }
        (EmbeddingBackend::Openai, _, Some((front, fronts))) => {
            EmbedBy::Elsewhere(Box::new(move || Box::new(FrontEmbedder { front, fronts })))
        }
        _ => EmbedBy::Nothing,
    }
}

/// Embeds through a front, on whose thread the calls are made; the thread that asks waits for them. Each call has the front's
/// deadline.
struct FrontEmbedder {
    front: FrontHandle<EmbeddingService>,
    fronts: ArbiterHandle,
}

impl Compute for FrontEmbedder {
    type Request = Vec<Embeddable>;
    type Response = Vec<Option<Embedding>>;
    type Error = EmbedderError;

    fn compute(&mut self, texts: Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for some in texts.chunks(CALLS_MAX) {
            vectors.extend(settle(self.ask(some.to_vec()))?);
        }
        Ok(vectors)
    }
}

impl FrontEmbedder {
    /// What came of each call; nothing where the front's thread is gone.
    fn ask(&self, texts: Vec<Embeddable>) -> Option<Vec<Answer>> {
        let (tells, told) = channel();
        let front = self.front.clone();
        self.fronts.spawn_fn(move || {
            actix_rt::spawn(async move {
                let answers = join_all(texts.into_iter().map(|text| front.call(None, text))).await;
                // Whoever asked waits right below.
                let _ = tells.send(answers);
            });
        });
        told.recv().ok()
    }
}

/// The vectors, or why there are none. What the service says of itself, and of any text, goes before what it says of one.
fn settle(answers: Option<Vec<Answer>>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
    let answers = answers.ok_or_else(|| EmbedderError::Unavailable("the server ends".into()))?;
    let (mut vectors, mut refused) = (Vec::with_capacity(answers.len()), None);
    for answer in answers {
        match answer {
            Ok(vector) => vectors.push(vector),
            Err(CallError::Failed(error @ (EmbedderError::Refused(_) | EmbedderError::Failed(_)))) => {
                refused = Some(error);
            }
            Err(CallError::Failed(error @ (EmbedderError::Unavailable(_) | EmbedderError::Shared(_)))) => {
                return Err(error);
            }
            Err(error) => {
                let reason = error.to_string();
                return Err(EmbedderError::Throttled { reason, retry_after: PAUSE });
            }
        }
    }
    refused.map_or(Ok(vectors), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_away_goes_before_a_text_that_it_refuses() {
        let vector = || Ok(Some(Embedding::from(vec![1.0])));
        let failed = |error| Err(CallError::Failed(error));
        let refused = || failed(EmbedderError::Refused("status 400".into()));
        let nonsense = || failed(EmbedderError::Failed("no direction".into()));
        let down = || Err(CallError::Down { service: "embedding", started: false });
        let shared = || failed(EmbedderError::Shared("status 503".into()));
        for (answers, expected) in [
            (Some(vec![vector(), Ok(None)]), Ok(2)),
            (Some(vec![]), Ok(0)),
            (Some(vec![vector(), refused(), vector()]), Err("embedding failed: status 400")),
            (Some(vec![nonsense(), vector()]), Err("embedding failed: no direction")),
            (
                Some(vec![refused(), down(), vector()]),
                Err("the embedder is unavailable for 1000 ms: embedding is down"),
            ),
            (Some(vec![vector(), shared()]), Err("embedding failed: status 503")),
            (None, Err("the embedder is unavailable: the server ends")),
        ] {
            let found = settle(answers).map(|vectors| vectors.len()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }
}
