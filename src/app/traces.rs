//! Who traces turns and sends.

use std::sync::Arc;
use std::time::Duration;

use tertulia_actors::ports::{Tracer, Traces};
use tertulia_actors::supervision::arbiter::within;

use super::{AppError, Ground};
use crate::config::{Config, EmbeddingBackend};
use crate::traces::{ModelName, Models, OtlpTraces, SpanCounter};

/// How long the last spans may take to the collector.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// Whoever traces, if a collector is configured; and what is counted of spans.
#[derive(Clone, Default)]
pub(super) struct Tracing {
    traces: Option<Arc<OtlpTraces>>,
    pub(super) counter: SpanCounter,
}

impl Tracing {
    /// Starts to export where a collector is configured.
    pub(super) fn start(config: &Config, ground: &Ground) -> Result<Self, AppError> {
        let counter = SpanCounter::default();
        let traces =
            OtlpTraces::start(&config.traces, models(config), ground.entropy.uuid(), counter.clone())?;
        if traces.is_some() {
            tracing::info!(sample_ratio = config.traces.sample_ratio, "turns are traced");
        }
        Ok(Self { traces: traces.map(Arc::new), counter })
    }

    /// What the actors know of it.
    pub(super) fn tracer(&self) -> Tracer {
        self.traces.clone().map(|traces| traces as Arc<dyn Traces>)
    }

    /// Exports what is left.
    pub(super) fn stop(self) {
        let Some(traces) = self.traces else { return };
        if within(FLUSH_WAIT, move || traces.stop(FLUSH_WAIT)).is_none() {
            tracing::warn!("the collector does not answer: the last spans are lost");
        }
    }
}

/// The models, as spans name them.
fn models(config: &Config) -> Models {
    let (llm, embedding) = (&config.query.llm, &config.embedding);
    let chat = (!llm.base_url.is_empty())
        .then(|| ModelName { model: llm.model.clone(), server: host(&llm.base_url) });
    let embeddings = match embedding.backend {
        EmbeddingBackend::Model => Some(ModelName { model: embedding.model.clone(), server: None }),
        EmbeddingBackend::Openai => {
            let endpoint = &embedding.endpoint;
            Some(ModelName { model: endpoint.model.clone(), server: host(&endpoint.base_url) })
        }
        EmbeddingBackend::None | EmbeddingBackend::Hashed => None,
    };
    Models { chat, embeddings }
}

/// The host of an address, which may hold a secret elsewhere.
fn host(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok()?.host_str().map(str::to_owned)
}
