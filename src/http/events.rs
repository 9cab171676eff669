//! A conversation's stream of events (Server-Sent Events, HTML Living Standard 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tertulia_actors::domain::{ConversationId, PartId, Timestamp, TurnId};
use tertulia_actors::feed::FeedEvent;
use tertulia_actors::ports::store::ReplyView;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::auth::readable_conversation;
use super::conversations::query;
use super::problem::Problem;
use super::state::HttpState;

/// A comment keeps proxies from closing a silent stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Live events that wait for a slow reader; one more ends the stream, and the reader connects again.
const BUFFER: usize = 64;

/// Stored replies that are read at a time.
const CATCH_UP_PAGE: usize = 100;

#[derive(Deserialize)]
struct Resume {
    after: Option<i64>,
}

/// Streams the replies after a position, then everything that happens.
///
/// The reader is subscribed before the store is read: a reply that is committed in between comes twice, and is told by its
/// position, but none is missed.
pub(super) async fn stream(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let position = position(&request)?;
    let conversation = readable_conversation(&request, &state, &id).await?;
    state.conversation(conversation).await?;
    if *state.draining.borrow() {
        return Err(Problem::new(503, "draining", "the server is shutting down"));
    }
    let permit = state.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(503, "too_many_streams", "too many streams are open; try again later")
            .retry_after(HEARTBEAT)
    })?;
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reader = Reader {
        events: state.feeds.subscribe(conversation, BUFFER),
        draining: state.draining.clone(),
        state: state.get_ref().clone(),
        conversation,
        position,
        heartbeat,
        waiting: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
        catching_up: true,
        _permit: permit,
    };
    // The first page is read before the answer, so that a store that is unavailable is told by a status.
    reader.catch_up().await?;
    let body = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}

/// Where the reader is. What a browser says when it connects again goes before the address it repeats.
fn position(request: &HttpRequest) -> Result<i64, Problem> {
    let Some(last) = request.headers().get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(query::<Resume>(request)?.after.unwrap_or(0));
    };
    let position = last.to_str().ok().and_then(|text| text.parse().ok());
    position.ok_or_else(|| Problem::new(400, "invalid_header", "last-event-id: is not a position"))
}

/// One open stream.
struct Reader {
    state: HttpState,
    conversation: ConversationId,
    /// The last reply that was told.
    position: i64,
    events: mpsc::Receiver<FeedEvent>,
    draining: watch::Receiver<bool>,
    heartbeat: Interval,
    waiting: VecDeque<Bytes>,
    /// Whether the store may hold more replies from before the subscription.
    catching_up: bool,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// The next bytes; none ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            if self.catching_up {
                // The status is sent already; the reader connects again and is told by the next one.
                self.catch_up().await.ok()?;
                continue;
            }
            let event = tokio::select! {
                biased;
                _ = self.draining.wait_for(|draining| *draining) => return None,
                event = self.events.recv() => event?,
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(b":\n\n")),
            };
            self.tell(event);
        }
    }

    /// Reads the next page of stored replies.
    async fn catch_up(&mut self) -> Result<(), Problem> {
        let page = self.state.store.replies_after(self.conversation, self.position, CATCH_UP_PAGE).await;
        let page = page.map_err(|error| self.state.problem(&error))?;
        self.catching_up = page.len() == CATCH_UP_PAGE;
        for ReplyView { id, position, turn, text, at, .. } in page {
            self.tell_reply(id, position, turn, &text, at);
        }
        Ok(())
    }

    fn tell(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Gathering { messages, closes_in_ms } => {
                let data = json!({"messages": messages, "closes_in_ms": closes_in_ms});
                self.push("gathering", None, &data);
            }
            FeedEvent::Answering { turn } => self.push("answering", None, &json!({"turn": turn})),
            FeedEvent::Reply { part, position, turn, text, at } => {
                self.tell_reply(part, position, turn, &text, at);
            }
            FeedEvent::Idle => self.push("idle", None, &json!({})),
        }
    }

    fn tell_reply(&mut self, id: PartId, position: i64, turn: TurnId, text: &str, at: Timestamp) {
        if position <= self.position {
            return;
        }
        self.position = position;
        let data = json!({"id": id, "position": position, "turn": turn, "text": text, "at": at});
        self.push("reply", Some(&position), &data);
    }

    /// JSON has no line breaks outside of strings and escapes those inside, so that an event's data is one line.
    fn push(&mut self, event: &str, id: Option<&dyn Display>, data: &Value) {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        self.waiting.push_back(Bytes::from(format!("event: {event}\n{id}data: {data}\n\n")));
    }
}
