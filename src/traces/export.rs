//! Spans on their way to a collector.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::secret::Secret;

/// The longest answer of a collector, which says little more than that it took the spans.
const ANSWER_MAX_BYTES: u64 = 65_536;

/// Spans since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpanCounts {
    /// Made.
    pub made: u64,
    /// Taken by the collector.
    pub exported: u64,
    /// Lost, since the collector did not take them.
    pub failed: u64,
    /// Lost, since as many waited as may.
    pub dropped: u64,
}

/// Counts spans where they are made and where they end.
#[derive(Clone, Debug, Default)]
pub struct SpanCounter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    made: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicUsize,
    is_full: AtomicBool,
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
            dropped: read(&self.0.dropped),
        }
    }

    /// Whether so many more may wait, of `max` in all. The log says when the first ones may not.
    pub(super) fn may_wait(&self, spans: usize, max: usize) -> bool {
        add(&self.0.made, spans);
        let more = |waiting: usize| Some(waiting + spans).filter(|sum| *sum <= max);
        let may = self.0.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !may {
            add(&self.0.dropped, spans);
            if !self.0.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    max,
                    "the collector takes spans more slowly than they are made: some are lost"
                );
            }
        }
        may
    }

    fn ended(&self, spans: usize, well: bool) {
        add(if well { &self.0.exported } else { &self.0.failed }, spans);
        self.0.waiting.fetch_sub(spans, Ordering::Relaxed);
        if well {
            self.0.is_full.store(false, Ordering::Relaxed);
        }
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
    /// Read at each call, and from its file again when the collector does not accept it.
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
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.authorization.refresh("traces.authorization");
        }
        let mut body = vec![];
        response.take(ANSWER_MAX_BYTES + 1).read_to_end(&mut body)?;
        if u64::try_from(body.len()).is_ok_and(|length| length > ANSWER_MAX_BYTES) {
            return Err(format!("the collector answers with more than {ANSWER_MAX_BYTES} bytes").into());
        }
        let mut told = Response::new(Bytes::from(body));
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn as_many_spans_wait_as_may_and_each_is_counted_once() {
        let counter = SpanCounter::default();
        let told = [counter.may_wait(6, 10), counter.may_wait(5, 10), counter.may_wait(4, 10)];
        assert_eq!(told, [true, false, true]);
        assert_eq!(counter.counts(), SpanCounts { made: 15, dropped: 5, ..SpanCounts::default() });
        counter.ended(6, true);
        counter.ended(4, false);
        assert!(counter.may_wait(10, 10), "whoever waited has gone");
        assert_eq!(counter.counts(), SpanCounts { made: 25, exported: 6, failed: 4, dropped: 5 });
    }

    /// Posts to a collector that answers with these headers and so many bytes.
    fn posted(authorization: Secret, head: &'static str, length: usize) -> Result<StatusCode, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]).unwrap();
            // Whoever has had enough goes away.
            let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").as_bytes());
            let _ = stream.write_all(&vec![b'x'; length]);
        });
        let poster = Poster::new(authorization, Duration::from_secs(10)).unwrap();
        let request = Request::post(url).body(Bytes::new()).unwrap();
        let answer = poster.post(request).map(|answer| answer.status()).map_err(|error| error.to_string());
        collector.join().unwrap();
        answer
    }

    #[test]
    fn an_answer_is_read_up_to_a_limit() {
        let limit = usize::try_from(ANSWER_MAX_BYTES).unwrap();
        assert_eq!(posted(Secret::default(), "200 OK", limit), Ok(StatusCode::OK));
        let error = posted(Secret::default(), "200 OK", limit + 1).unwrap_err();
        assert_eq!(error, "the collector answers with more than 65536 bytes");
    }

    #[test]
    fn a_secret_that_the_collector_does_not_accept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorization");
        std::fs::write(&path, "Bearer new").unwrap();
        let secret = Secret::new("Bearer old");
        secret.follow(path);
        assert_eq!(posted(secret.clone(), "200 OK", 0), Ok(StatusCode::OK));
        assert_eq!(&*secret.expose(), "Bearer old");
        assert_eq!(posted(secret.clone(), "401 Unauthorized", 0), Ok(StatusCode::UNAUTHORIZED));
        assert_eq!(&*secret.expose(), "Bearer new");
    }
}
