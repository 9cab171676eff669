//! A conversation's stream of events.

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::ready;

use actix_web::HttpRequest;
use actix_web::web::{self, Bytes};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::{ConversationId, PartId, Timestamp, TurnId};
use tertulia_actors::feed::FeedEvent;
use tertulia_actors::ports::store::ReplyView;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Interval;

use super::answer::Events;
use super::auth::{Caller, readable_conversation};
use super::console::{Pass, Role};
use super::conversations::MeOrId;
use super::parameters::{Path, Query};
use super::problem::Problem;
use super::sse;
use super::state::HttpState;

/// Live events that wait for a slow reader; one more ends the stream, and the reader connects again.
const BUFFER: usize = 64;

/// Stored replies that are read at a time.
const CATCH_UP_PAGE: usize = 100;

/// Where a reader is.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Resume {
    /// The position of the last reply that was read; without it, all replies are told. The header `Last-Event-ID` goes before it.
    after: Option<i64>,
}

/// The kinds of events of a conversation.
pub(super) struct Told;

/// Messages came, and the bot waits until the person has finished.
#[derive(Serialize, JsonSchema)]
pub(super) struct Gathering {
    /// When they are answered unless more come, in milliseconds.
    closes_in_ms: u64,
    /// How many messages wait.
    messages: usize,
}

/// A turn runs.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answering {
    /// The turn.
    turn: TurnId,
}

/// A part of a reply. The id of the event is its position.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReplyTold")]
pub(super) struct Reply<'a> {
    /// Its id.
    id: PartId,
    /// Its place in the stream, which grows; a reply may be told twice.
    position: i64,
    /// The turn that it answers.
    turn: TurnId,
    /// Its text.
    text: &'a str,
    /// When it was stored.
    at: Timestamp,
}

/// Nothing is under way.
#[derive(Serialize, JsonSchema)]
pub(super) struct Idle {}

/// Streams the replies after a position, then everything that happens.
///
/// The reader is subscribed before the store is read: a reply that is committed in between comes twice, and is told by its
/// position, but none is missed.
pub(super) async fn stream(
    request: HttpRequest,
    id: Path<MeOrId>,
    query: Query<Resume>,
    state: web::Data<HttpState>,
) -> Result<Events<Told>, Problem> {
    let position = position(&request, &query)?;
    let (conversation, caller) = readable_conversation(&request, &state, &id, Role::Operator).await?;
    state.conversation(conversation).await?;
    sse::refuse_while_draining(&state)?;
    let permit = state.streams.clone().try_acquire_owned().map_err(|_| sse::too_many_streams())?;
    let pass = match &caller {
        Caller::Console(who) => Some(Pass::of(who, &state)),
        _ => None,
    };
    let mut reader = Reader {
        events: state.feeds.subscribe(conversation, BUFFER),
        draining: state.draining.clone(),
        state: state.get_ref().clone(),
        conversation,
        position,
        heartbeat: sse::heartbeat(),
        waiting: VecDeque::from([sse::BEGIN]),
        catching_up: true,
        _permit: permit,
    };
    // The first page is read before the answer, so that a store that is unavailable is told by a status.
    reader.catch_up().await?;
    let body = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((bytes, reader))
    });
    Ok(sse::respond(body.take_while(move |_| ready(pass.as_ref().is_none_or(Pass::holds)))))
}

/// Where the reader is.
fn position(request: &HttpRequest, query: &Query<Resume>) -> Result<i64, Problem> {
    match sse::last_event_id(request)? {
        Some(position) => Ok(position),
        None => Ok(query.read()?.after.unwrap_or(0)),
    }
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
                _ = self.heartbeat.tick() => return Some(sse::BEAT),
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
                self.push("gathering", None, &Gathering { closes_in_ms, messages });
            }
            FeedEvent::Answering { turn } => self.push("answering", None, &Answering { turn }),
            FeedEvent::Reply { part, position, turn, text, at } => {
                self.tell_reply(part, position, turn, &text, at);
            }
            FeedEvent::Idle => self.push("idle", None, &Idle {}),
        }
    }

    fn tell_reply(&mut self, id: PartId, position: i64, turn: TurnId, text: &str, at: Timestamp) {
        if position <= self.position {
            return;
        }
        self.position = position;
        self.push("reply", Some(&position), &Reply { id, position, turn, text, at });
    }

    fn push(&mut self, event: &str, id: Option<&dyn Display>, data: &impl Serialize) {
        self.waiting.push_back(sse::frame(event, id, data));
    }
}
