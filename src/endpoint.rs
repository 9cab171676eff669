//! Calls of an endpoint by HTTP with JSON both ways: a model that composes answers, one that embeds texts, or a collection of
//! entries.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::secret::Secret;

/// The longest wait that is taken from a `Retry-After`: others must not wait for ever for one odd answer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Why a call brought no body. Its texts hold no address, key or text of anybody.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The endpoint cannot be reached, or is overloaded: not the request's fault.
    Unavailable(String),
    /// A key is not accepted (401, 402, 403), or what is configured is not there (404): not the request's fault either.
    Misconfigured(StatusCode),
    /// The endpoint asked not to be called for a while.
    Throttled { reason: String, retry_after: Duration },
    /// The endpoint refused this request, or its response cannot be used.
    Failed(String),
    /// The response is longer than so many bytes, which the configuration allows.
    TooLong(usize),
}

/// How an endpoint is called.
pub(crate) struct Call<'a> {
    /// Its connections are shared with others.
    pub(crate) client: &'a Client,
    /// The whole address.
    pub(crate) url: &'a str,
    /// Sent unless it is empty.
    pub(crate) api_key: &'a Secret,
    /// In which header the key is sent: as a bearer token in that of authorization, as it is in any other one.
    pub(crate) key_header: &'a HeaderName,
    /// A call that takes longer than this, with all of its response, is given up.
    pub(crate) timeout: Duration,
    /// A response longer than this is not read.
    pub(crate) response_limit_bytes: usize,
}

impl Call<'_> {
    /// Posts `request` as JSON and reads the body of a response that says success.
    pub(crate) async fn post(&self, request: &impl Serialize) -> Result<Vec<u8>, CallError> {
        self.send(self.client.post(self.url).json(request)).await
    }

    /// Reads the body of a response that says success.
    pub(crate) async fn get(&self) -> Result<Vec<u8>, CallError> {
        self.send(self.client.get(self.url)).await
    }

    async fn send(&self, call: RequestBuilder) -> Result<Vec<u8>, CallError> {
        let mut call = call.timeout(self.timeout);
        let api_key = self.api_key.expose();
        if !api_key.is_empty() {
            call = call.header(self.key_header, self.shown(&api_key)?);
        }
        let response = call.send().await.map_err(transport)?;
        refusal(response.status(), retry_after(&response))?;
        read(response, self.response_limit_bytes).await
    }

    /// The value of the key's header, which is never shown in a log.
    fn shown(&self, api_key: &str) -> Result<HeaderValue, CallError> {
        let value = if self.key_header == AUTHORIZATION {
            HeaderValue::try_from(format!("Bearer {api_key}"))
        } else {
            HeaderValue::try_from(api_key)
        };
        let mut value = value.map_err(|_| CallError::Failed("the key cannot be sent in a header".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A path of an OpenAI-compatible endpoint.
#[derive(Clone, Debug)]
pub(crate) struct OpenAiPath {
    client: Client,
    url: Arc<str>,
}

impl OpenAiPath {
    /// The path below `base_url`, which ends with the version. Connections are shared with others of `client`.
    pub(crate) fn new(client: Client, base_url: &str, path: &str) -> Self {
        let base = base_url.trim_end_matches('/');
        Self { client, url: format!("{base}/{path}").into() }
    }

    /// A call of it, with the key as a bearer token.
    pub(crate) fn call<'a>(
        &'a self,
        api_key: &'a Secret,
        timeout_ms: u64,
        response_limit_bytes: usize,
    ) -> Call<'a> {
        Call {
            client: &self.client,
            url: &self.url,
            api_key,
            key_header: &AUTHORIZATION,
            timeout: Duration::from_millis(timeout_ms),
            response_limit_bytes,
        }
    }
}

/// Reads a body that must be `what`; or what is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, String> {
    // The error of serde would quote the body, which may hold somebody's words.
    let told = |error: serde_json::Error| format!("the response is no {what}, at byte {}", error.column());
    serde_json::from_slice(body).map_err(told)
}

/// Whether a status is no success, and then whose fault it is: 408, 429 and 5xx are the endpoint's, and pass; a key that is
/// not accepted (401, 402, 403) and what is not there (404), as a model, are the configuration's, and no request's.
/// An endpoint that says when to come again is not called before.
fn refusal(status: StatusCode, retry_after: Option<Duration>) -> Result<(), CallError> {
    let misconfigured = matches!(status.as_u16(), 401..=404);
    let passing = misconfigured || matches!(status.as_u16(), 408 | 429);
    let told = || told(status);
    match status {
        _ if status.is_success() => Ok(()),
        _ if passing || status.is_server_error() => Err(match retry_after {
            Some(retry_after) => CallError::Throttled { reason: told(), retry_after },
            None if misconfigured => CallError::Misconfigured(status),
            None => CallError::Unavailable(told()),
        }),
        _ => Err(CallError::Failed(told())),
    }
}

/// What is told of a response that is too long, by the key of the configuration that says so.
pub(crate) fn too_long(limit: usize, key: &str) -> String {
    format!("the response is longer than {limit} bytes: raise {key}")
}

/// A status as it is told.
pub(crate) fn told(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}

/// The wait that a `Retry-After` in seconds asks for (RFC 9110, 10.2.3), bounded; its other form, a date, is not used by
/// these endpoints.
fn retry_after(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(header.trim().parse().ok()?).min(RETRY_AFTER_MAX))
}

/// A call that brought no response, or not all of it. The address stays out of the text, since it may hold a secret.
fn transport(error: reqwest::Error) -> CallError {
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "cannot connect"
    } else if error.is_builder() || error.is_redirect() {
        return CallError::Failed(format!("the request cannot be made: {}", error.without_url()));
    } else {
        "the connection broke"
    };
    CallError::Unavailable(what.into())
}

/// Reads a body of `limit` bytes at the most.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, CallError> {
    let too_long = || CallError::TooLong(limit);
    if response.content_length().is_some_and(|length| usize::try_from(length).is_ok_and(|n| n > limit)) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
pub(crate) mod tests;
