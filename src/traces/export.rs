//! Spans on their way to a collector.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::blocking::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::secret::Secret;

/// Spans since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpanCounts {
    /// Made. Those that are neither exported nor failed wait, or went since too many did.
    pub made: u64,
    /// Taken by the collector.
    pub exported: u64,
    /// Lost, since the collector did not take them.
    pub failed: u64,
}

/// Counts spans where they are made and where they end.
#[derive(Clone, Debug, Default)]
pub struct SpanCounter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    made: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
}

impl SpanCounter {
    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> SpanCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SpanCounts {
            made: read(&self.0.made),
            exported: read(&self.0.exported),
            failed: read(&self.0.failed),
        }
    }

    pub(super) fn made(&self, spans: usize) {
        add(&self.0.made, spans);
    }

    fn ended(&self, spans: usize, well: bool) {
        add(if well { &self.0.exported } else { &self.0.failed }, spans);
    }
}

fn add(counter: &AtomicU64, spans: usize) {
    counter.fetch_add(u64::try_from(spans).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// An exporter that counts what it exports, and says in the log when the collector is lost and when it is there again.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    counter: SpanCounter,
    is_lost: AtomicBool,
}

impl<E> Counted<E> {
    pub(super) const fn new(exporter: E, counter: SpanCounter) -> Self {
        Self { exporter, counter, is_lost: AtomicBool::new(false) }
    }

    fn note(&self, spans: usize, result: &OTelSdkResult) {
        self.counter.ended(spans, result.is_ok());
        let was_lost = self.is_lost.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !was_lost => {
                tracing::warn!(spans, %error, "the collector takes no spans: they are lost until it does");
            }
            Ok(()) if was_lost => tracing::info!("the collector takes spans again"),
            _ => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.note(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Posts what is exported. Blocks, since what exports has a thread of its own and no runtime.
#[derive(Debug)]
pub(super) struct Poster {
    client: Client,
    /// Read at each call, so that a secret that changes in its file holds at once.
    authorization: Secret,
}

impl Poster {
    /// A client of its own, as the thread that makes it must be no thread of a runtime.
    ///
    /// # Errors
    /// The system offers no TLS.
    pub(super) fn new(authorization: Secret, timeout: Duration) -> reqwest::Result<Self> {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, authorization })
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request: reqwest::blocking::Request = request.try_into()?;
        let authorization = self.authorization.expose();
        if !authorization.is_empty() {
            let mut value = HeaderValue::try_from(&*authorization)
                .map_err(|_| "traces.authorization cannot be sent in a header")?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        // The address stays out of the error, since it may hold a secret.
        let response = self.client.execute(request).map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut told = Response::new(response.bytes().map_err(reqwest::Error::without_url)?);
        (*told.status_mut(), *told.headers_mut()) = (status, headers);
        Ok(told)
    }
}

impl HttpClient for Poster {
    fn send_bytes<'me, 'made>(
        &'me self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'made>>
    where
        'me: 'made,
        Self: 'made,
    {
        Box::pin(async move { self.post(request) })
    }
}
