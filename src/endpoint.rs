//! Calls of a model's endpoint by HTTP with JSON both ways: one that composes answers, or one that embeds texts.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;

use crate::secret::Secret;

/// The longest wait that is taken from a `Retry-After`: others must not wait for ever for one odd answer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Why a call brought no body. Its texts hold no address, key or text of anybody.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The endpoint cannot be reached, is overloaded, or is wrongly configured: not the request's fault.
    Unavailable(String),
    /// The endpoint asked not to be called for a while: not the request's fault either.
    Throttled { reason: String, retry_after: Duration },
    /// The endpoint refused this request, or its response cannot be used.
    Failed(String),
}

/// How an endpoint is called.
pub(crate) struct Call<'a> {
    /// Its connections are shared with others.
    pub(crate) client: &'a Client,
    /// The whole address.
    pub(crate) url: &'a str,
    /// Sent as a bearer token, unless it is empty.
    pub(crate) api_key: &'a Secret,
    /// A call that takes longer than this, with all of its response, is given up.
    pub(crate) timeout: Duration,
    /// A response longer than this is not read.
    pub(crate) response_limit_bytes: usize,
}

impl Call<'_> {
    /// Posts `request` as JSON and reads the body of a response that says success.
    pub(crate) async fn post(&self, request: &impl Serialize) -> Result<Vec<u8>, CallError> {
        let mut call = self.client.post(self.url).timeout(self.timeout).json(request);
        let api_key = self.api_key.expose();
        if !api_key.is_empty() {
            call = call.bearer_auth(api_key);
        }
        let response = call.send().await.map_err(transport)?;
        refusal(response.status(), retry_after(&response))?;
        read(response, self.response_limit_bytes).await
    }
}

/// Whether a status is no success, and then whose fault it is: 408, 429 and 5xx are the endpoint's, and pass; a key that is
/// not accepted (401, 402, 403) and a model that is not there (404) are the configuration's, and no request's.
/// An endpoint that says when to come again is not called before.
fn refusal(status: StatusCode, retry_after: Option<Duration>) -> Result<(), CallError> {
    let passing = matches!(status.as_u16(), 401..=404 | 408 | 429);
    let told = || format!("status {}", status.as_u16());
    match status {
        _ if status.is_success() => Ok(()),
        _ if passing || status.is_server_error() => Err(match retry_after {
            Some(retry_after) => CallError::Throttled { reason: told(), retry_after },
            None => CallError::Unavailable(told()),
        }),
        _ => Err(CallError::Failed(told())),
    }
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
    let too_long = || CallError::Failed(format!("the response is longer than {limit} bytes"));
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
