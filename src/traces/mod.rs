//! Traces of turns and sends, for a collector that speaks OpenTelemetry's protocol (OTLP) over HTTP.

mod conventions;
mod export;
mod spans;

use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor};
use serde::{Deserialize, Serialize};
use tertulia_actors::ports::{Trace, Traces};
use thiserror::Error;
use uuid::Uuid;

pub use conventions::{ModelName, Models};
pub use export::{SpanCounter, SpanCounts};

use crate::secret::Secret;
use export::{Counted, Poster};
use spans::Maker;

/// The table `traces`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// Where a collector takes OTLP over HTTP, without the path: `http://127.0.0.1:4318`. Empty: nothing is traced.
    pub endpoint: String,
    /// The whole value of the header `authorization` that the collector wants, as in `Bearer …`.
    pub authorization: Secret,
    /// The name of this service among others.
    pub service_name: String,
    /// The share of turns that are traced, 0 to 1, each with all that belongs to it.
    pub sample_ratio: f64,
    /// Spans that wait for the collector, with those that are on the way to it; more are lost.
    pub queue_max: usize,
    /// How long spans gather before they are exported.
    pub interval_ms: u64,
    /// A call that takes longer than this is given up, and its spans are lost.
    pub timeout_ms: u64,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            authorization: Secret::default(),
            service_name: env!("CARGO_PKG_NAME").into(),
            sample_ratio: 1.0,
            queue_max: 16_384,
            interval_ms: 1_000,
            timeout_ms: 5_000,
        }
    }
}

/// Spans that are exported in one call.
const BATCH_MAX: usize = 512;

/// Why nothing can be traced.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The system offers no TLS.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter refuses its settings.
    #[error("{0}")]
    Exporter(#[from] ExporterBuildError),
    /// A thread did not come up.
    #[error("the thread that makes the exporter did not end")]
    Thread,
}

/// Makes spans of what has ended, and hands them to a thread that exports them in batches. What it cannot take is lost to the trace
/// alone.
#[derive(Debug)]
pub struct OtlpTraces {
    maker: Maker,
    sample_ratio: f64,
    queue_max: usize,
    processor: BatchSpanProcessor,
    counter: SpanCounter,
}

impl OtlpTraces {
    /// Starts the thread; none without an endpoint. `instance` tells this process from others of the same service.
    ///
    /// # Errors
    /// The settings cannot be used, or the system offers no TLS.
    pub fn start(
        settings: &TraceSettings,
        models: Models,
        instance: Uuid,
        counter: SpanCounter,
    ) -> Result<Option<Self>, TracesError> {
        if settings.endpoint.is_empty() {
            return Ok(None);
        }
        let mut processor = processor(settings, counter.clone())?;
        let resource = Resource::builder_empty()
            .with_attributes(conventions::resource(&settings.service_name, instance))
            .build();
        processor.set_resource(&resource);
        let TraceSettings { sample_ratio, queue_max, .. } = *settings;
        Ok(Some(Self { maker: Maker::new(models), sample_ratio, queue_max, processor, counter }))
    }

    /// Exports what waits, for so long at the most. Blocks.
    pub fn stop(&self, patience: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(patience) {
            tracing::warn!(%error, "not all spans were exported before the end");
        }
    }
}

impl Traces for OtlpTraces {
    fn told(&self, trace: Trace) {
        if spans::place(trace.turn()) >= self.sample_ratio {
            return;
        }
        let spans = self.maker.spans(&trace);
        if !self.counter.may_wait(spans.len(), self.queue_max) {
            return;
        }
        spans.into_iter().for_each(|span| self.processor.on_end(span));
    }
}

/// What gathers spans and exports them, on a thread of its own.
fn processor(settings: &TraceSettings, counter: SpanCounter) -> Result<BatchSpanProcessor, TracesError> {
    let endpoint = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/'));
    let timeout = Duration::from_millis(settings.timeout_ms);
    let poster = poster(settings.authorization.clone(), timeout)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(poster)
        .with_endpoint(endpoint)
        .with_timeout(timeout)
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue_max)
        .with_max_export_batch_size(BATCH_MAX.min(settings.queue_max))
        .with_scheduled_delay(Duration::from_millis(settings.interval_ms))
        .build();
    Ok(BatchSpanProcessor::builder(Counted::new(exporter, counter)).with_batch_config(batches).build())
}

/// A client that blocks is made on a thread that has no runtime.
fn poster(authorization: Secret, timeout: Duration) -> Result<Poster, TracesError> {
    let made = std::thread::spawn(move || Poster::new(authorization, timeout)).join();
    Ok(made.map_err(|_| TracesError::Thread)??)
}
