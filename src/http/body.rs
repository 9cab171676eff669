//! Bodies, read within a limit of size and of time.

use std::pin::Pin;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{self, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::settings::ServerSettings;

/// Reads the whole body.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    settings: &ServerSettings,
) -> Result<Bytes, Problem> {
    let limit = settings.body_limit_bytes;
    if announced(request).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let payload: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(payload);
    match tokio::time::timeout(settings.body_timeout(), gather(payload, limit)).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(408, "body_timeout", "the body took too long; send it faster")),
    }
}

async fn gather(
    mut payload: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(400, "body_incomplete", "the body was cut off"))?;
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        // Most bodies come in one piece, which needs no copy.
        if first.is_empty() && rest.is_empty() {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&chunk);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(413, "body_too_large", format!("the body is longer than {limit} bytes"))
}

/// Reads the whole body of a request that says that it is JSON.
pub(super) async fn read_json(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &ServerSettings,
) -> Result<Bytes, Problem> {
    expect_json(request)?;
    read_body(request, payload.into_inner(), settings).await
}

/// Reads the fields of a body that may be left out.
pub(super) async fn read_fields_if_any(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &ServerSettings,
) -> Result<Map<String, Value>, Problem> {
    let body = read_body(request, payload.into_inner(), settings).await?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    expect_json(request)?;
    read_object(&body)
}

/// Refuses fields that nobody has taken.
pub(super) fn expect_no_more(fields: &Map<String, Value>, known: &str) -> Result<(), Problem> {
    let Some(unknown) = fields.keys().next() else { return Ok(()) };
    let name: String = unknown.chars().take(50).collect();
    Err(Problem::invalid(name, format!("unknown field; known: {known}")))
}

/// The fields of a body that is one JSON object.
pub(super) fn read_object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let malformed = |detail: String| Problem::new(400, "malformed_json", detail);
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(malformed("the body is not a JSON object".to_owned())),
        Err(error) => Err(malformed(format!("the body is not JSON: {error}"))),
    }
}

/// Reads the whole body as JSON that must be `what`; one that is something else has the `code`.
pub(super) async fn read_as<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &ServerSettings,
    (code, what): (&'static str, &str),
) -> Result<T, Problem> {
    let body = read_json(request, payload, settings).await?;
    serde_json::from_slice(&body).map_err(|error| {
        if error.is_data() {
            Problem::new(422, code, format!("expects {what}: {error}"))
        } else {
            Problem::new(400, "malformed_json", format!("the body is not JSON: {error}"))
        }
    })
}

/// Whether the body is said to be JSON. Asked for although JSON is all that is taken: a browser sends this type to a
/// foreign site only after asking it, so that no page can write in a visitor's name.
fn expect_json(request: &HttpRequest) -> Result<(), Problem> {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = header.and_then(|value| value.split(';').next()).unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(415, "unsupported_media_type", "send the body as application/json"))
}
