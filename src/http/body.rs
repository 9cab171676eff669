//! Bodies, read within a limit of size and of time. The type of a body says what is taken; it is read when its handler asks for it, since
//! who calls is looked at before.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::settings::ServerSettings;

/// A body of JSON: a `T`.
pub(super) struct Body<T>(Unread<T>);

/// A body of JSON, a `T`, that may be left out.
pub(super) struct OptionalBody<T>(Unread<T>);

/// A body whose bytes count, since they are signed; a `T`.
pub(super) struct SignedBody<T>(Unread<T>);

/// A request whose body is not read yet.
struct Unread<T> {
    request: HttpRequest,
    payload: Payload,
    of: PhantomData<fn() -> T>,
}

impl<T> Body<T> {
    /// The whole body of a request that says that it is JSON.
    pub(super) async fn bytes(self, settings: &ServerSettings) -> Result<Bytes, Problem> {
        let Self(Unread { request, payload, .. }) = self;
        expect_json(&request)?;
        read_body(&request, payload, settings).await
    }

    /// The fields of a body that is one JSON object. Whoever reads them one by one can name the one that is wrong.
    pub(super) async fn fields(self, settings: &ServerSettings) -> Result<Map<String, Value>, Problem> {
        read_object(&self.bytes(settings).await?)
    }

    /// The body as JSON that must be `what`; one that is something else has the `code`.
    pub(super) async fn read(
        self,
        settings: &ServerSettings,
        (code, what): (&'static str, &str),
    ) -> Result<T, Problem>
    where
        T: DeserializeOwned,
    {
        let body = self.bytes(settings).await?;
        serde_json::from_slice(&body).map_err(|error| {
            if error.is_data() {
                Problem::new(422, code, format!("expects {what}: {error}"))
            } else {
                Problem::new(400, "malformed_json", format!("the body is not JSON: {error}"))
            }
        })
    }
}

impl<T> OptionalBody<T> {
    /// The fields of the body; none where there is no body.
    pub(super) async fn fields(self, settings: &ServerSettings) -> Result<Map<String, Value>, Problem> {
        let Self(Unread { request, payload, .. }) = self;
        let body = read_body(&request, payload, settings).await?;
        if body.is_empty() {
            return Ok(Map::new());
        }
        expect_json(&request)?;
        read_object(&body)
    }
}

impl<T> SignedBody<T> {
    /// The whole body.
    pub(super) async fn bytes(self, settings: &ServerSettings) -> Result<Bytes, Problem> {
        let Self(Unread { request, payload, .. }) = self;
        read_body(&request, payload, settings).await
    }
}

/// Takes the payload; nothing of it is read.
macro_rules! unread {
    ($($name:ident),*) => {$(
        impl<T> FromRequest for $name<T> {
            type Error = Infallible;
            type Future = Ready<Result<Self, Infallible>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                ready(Ok(Self(Unread { request: request.clone(), payload: payload.take(), of: PhantomData })))
            }
        }
    )*};
}

unread!(Body, OptionalBody, SignedBody);

/// Reads the whole body.
async fn read_body(
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
