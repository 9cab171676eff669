//! What all streams of events have in common (Server-Sent Events, HTML Living Standard 9.2).

use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::answer::Events;
use super::problem::Problem;
use super::state::HttpState;

/// A comment keeps proxies from closing a silent stream.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// The comment.
pub(super) const BEAT: Bytes = Bytes::from_static(b":\n\n");

/// How a stream begins: a reader whose stream ends connects again after a second.
pub(super) const BEGIN: Bytes = Bytes::from_static(b"retry: 1000\n\n");

/// When comments are due.
pub(super) fn heartbeat() -> Interval {
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

/// One event. Its data is JSON, which has no line breaks outside of strings and escapes those inside, so that it is one line.
pub(super) fn frame(event: &str, id: Option<&dyn Display>, data: &impl Serialize) -> Bytes {
    // All that is told is JSON as it stands; what is not would be told as nothing.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".into());
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("event: {event}\n{id}data: {data}\n\n"))
}

/// The answer whose body is this stream.
pub(super) fn respond<E>(stream: impl Stream<Item = Bytes> + 'static) -> Events<E> {
    let response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream.map(Ok::<_, Infallible>));
    Events { response, of: PhantomData }
}

/// What a browser says when it connects again, which goes before the address that it repeats.
pub(super) fn last_event_id<T: FromStr>(request: &HttpRequest) -> Result<Option<T>, Problem> {
    let Some(last) = request.headers().get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let position = last.to_str().ok().and_then(|text| text.parse().ok());
    let problem = || Problem::new(400, "invalid_header", "last-event-id: is not a position");
    position.map(Some).ok_or_else(problem)
}

/// A server that drains begins no stream.
pub(super) fn refuse_while_draining(state: &HttpState) -> Result<(), Problem> {
    if *state.draining.borrow() {
        return Err(Problem::new(503, "draining", "the server is shutting down"));
    }
    Ok(())
}

/// As many streams are open as may be.
pub(super) fn too_many_streams() -> Problem {
    Problem::new(503, "too_many_streams", "too many streams are open; try again later").retry_after(HEARTBEAT)
}
