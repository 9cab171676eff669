//! A span and an id for every request, and the headers that every answer carries.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tertulia_actors::domain::ConversationId;
use tracing::{Instrument, Span, field};

use super::state::HttpState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a caller.
const REQUEST_ID_MAX: usize = 128;

/// Wraps a request in a span. The query is left out: the webhook's handshake carries a secret in it.
pub(super) async fn trace(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = request_id(&request);
    let span = tracing::info_span!(
        "http.request",
        request.id = id.to_str().unwrap_or_default(),
        http.method = %request.method(),
        http.path = request.path(),
        conversation.id = field::Empty,
    );
    let log = span.clone();
    let result = next.call(request).instrument(span).await;
    let mut response = result?;
    let _entered = log.enter();
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(http.status = status, duration_ms, "request failed");
    } else {
        tracing::debug!(http.status = status, duration_ms, "request served");
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Notes in the request's span which conversation it is about, as soon as that is known.
pub(super) fn note_conversation(id: ConversationId) {
    Span::current().record("conversation.id", field::display(id));
}

/// The caller's id where it is a short word, else a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    let made = || {
        let state = request.app_data::<web::Data<HttpState>>()?;
        HeaderValue::from_str(&state.entropy.uuid().to_string()).ok()
    };
    given.cloned().or_else(made).unwrap_or(HeaderValue::from_static("unknown"))
}
