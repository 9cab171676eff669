//! What a tab of the console sees: one stream of frames, each complete for what is shown, at most one every half second.

use std::sync::Arc;

use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tertulia_actors::domain::{ConversationId, Timestamp};
use tertulia_actors::operations::Operations;
use tertulia_actors::supervision::events::Event;
use tertulia_actors::supervision::snapshot::{Node, State};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Interval;

use super::role::Role;
use super::sign_in::Pass;
use crate::http::auth::operator;
use crate::http::conversations::query;
use crate::http::problem::Problem;
use crate::http::sse;
use crate::http::state::HttpState;
use crate::observer::{Counters, Figures, Look, Point, Series, Warning, Watching};

/// Events of the past that a new stream begins with.
const PAST_MAX: usize = 100;

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Show {
    /// Figures, their last quarter of an hour, and warnings.
    Overview,
    /// The whole tree.
    Tree,
    /// What stands at `path`, and below.
    Place,
    /// The conversation `id`, if it is in memory.
    Conversation,
    /// How everything is, in a word.
    State,
}

#[derive(Deserialize)]
struct Asked {
    show: Show,
    #[serde(default)]
    path: String,
    id: Option<ConversationId>,
}

/// What a tab is told at once.
#[derive(Serialize)]
struct Frame<'a> {
    number: u64,
    at: Timestamp,
    /// How the root is; none when the monitor did not answer.
    state: Option<State>,
    warnings: &'a [Warning],
    /// What happened before the stream began: in its first frame alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    past: Option<Vec<&'a Event>>,
    /// What has happened since the last frame.
    events: Vec<&'a Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<&'a Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<&'a Counters>,
    /// All points: in the first frame alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<&'a Series>,
    /// Points since the last frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    points: Vec<&'a Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<Value>,
}

/// The last look, for programs.
pub(super) async fn overview(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let look = state.looks.last();
    Ok(HttpResponse::Ok().json(json!({
        "at": look.at, "state": look.tree.as_ref().map(|tree| tree.state), "figures": look.figures,
        "counters": look.counters, "warnings": look.warnings, "series": look.series,
    })))
}

/// The stream of a tab. Ends with the session.
pub(super) async fn stream(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let asked: Asked = query(&request)?;
    sse::refuse_while_draining(&state)?;
    let place = Arc::clone(&state.tabs).try_acquire_owned().map_err(|_| sse::too_many_streams())?;
    let (pass, first) = (Pass::of(&who, &state), state.looks.last());
    let tab = Tab {
        asked,
        operations: state.operations.clone(),
        watching: state.looks.watch(),
        first: Some(first).filter(|look| look.number > 0),
        last_event: None,
        last_point: None,
        pass,
        has_begun: false,
        draining: state.draining.clone(),
        heartbeat: sse::heartbeat(),
        _place: place,
    };
    Ok(sse::respond(stream::unfold(tab, |mut tab| async move {
        let bytes = tab.next().await?;
        Some((bytes, tab))
    })))
}

impl Asked {
    /// Whether an event belongs to what is shown.
    fn is_about(&self, event: &Event) -> bool {
        match self.show {
            Show::Overview | Show::Tree => true,
            Show::Place => self.path.is_empty() || is_at_or_below(&event.path, &self.path),
            Show::Conversation => event.conversation.is_some() && event.conversation == self.id,
            Show::State => false,
        }
    }
}

fn is_at_or_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One open stream.
struct Tab {
    asked: Asked,
    operations: Operations,
    watching: Watching,
    /// The look that was there when the stream began.
    first: Option<Arc<Look>>,
    /// The last event that was told; none before the first frame.
    last_event: Option<u64>,
    /// The last point that was sent.
    last_point: Option<Timestamp>,
    pass: Pass,
    has_begun: bool,
    draining: watch::Receiver<bool>,
    heartbeat: Interval,
    _place: OwnedSemaphorePermit,
}

impl Tab {
    /// The next bytes; none ends the stream, as the end of the session does.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(sse::BEGIN);
        }
        let look = match self.first.take() {
            Some(first) => first,
            None => tokio::select! {
                biased;
                _ = self.draining.wait_for(|draining| *draining) => return None,
                look = self.watching.next() => look?,
                _ = self.heartbeat.tick() => return self.pass.holds().then_some(sse::BEAT),
            },
        };
        if !self.pass.holds() {
            return None;
        }
        let conversation = match self.asked.show {
            Show::Conversation => Some(self.conversation().await),
            _ => None,
        };
        Some(self.frame(&look, conversation))
    }

    fn frame(&mut self, look: &Look, conversation: Option<Value>) -> Bytes {
        let is_first = self.last_event.is_none();
        let told = look.events_after(self.last_event.unwrap_or(0));
        let mut events: Vec<&Event> = told.filter(|event| self.asked.is_about(event)).collect();
        let past = is_first.then(|| {
            let mut past = std::mem::take(&mut events);
            past.drain(..past.len().saturating_sub(PAST_MAX));
            past
        });
        let (tree, show) = (look.tree.as_deref(), self.asked.show);
        let frame = Frame {
            number: look.number,
            at: look.at,
            state: tree.map(|tree| tree.state),
            warnings: &look.warnings,
            past,
            events,
            figures: (show == Show::Overview).then_some(&look.figures),
            counters: (show == Show::Overview).then_some(&look.counters),
            series: (show == Show::Overview && self.last_point.is_none()).then_some(&look.series),
            points: match self.last_point {
                Some(seen) if show == Show::Overview => look.series.after(seen).collect(),
                _ => vec![],
            },
            tree: (show == Show::Tree).then(|| look.tree_text()).flatten(),
            place: tree.filter(|_| show == Show::Place).and_then(|tree| tree.find(&self.asked.path)),
            conversation,
        };
        // All of it is JSON as it stands; what is not is told as nothing.
        let text = serde_json::to_string(&frame).unwrap_or_else(|_| "{}".into());
        self.last_event = look.events.back().map(|event| event.id).or(Some(0)).max(self.last_event);
        self.last_point = look.series.last().map(|last| last.at);
        sse::frame("frame", Some(&look.number), &text)
    }

    async fn conversation(&self) -> Value {
        let Some(id) = self.asked.id else { return Value::Null };
        match self.operations.conversation(id).await {
            Ok(snapshot) => json!(snapshot),
            Err(error) => json!({ "error": error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_hears_of_itself_and_of_what_stands_below_it() {
        for (path, place, expected) in [
            ("shards/0/turns", "shards/0", true),
            ("shards/0", "shards/0", true),
            ("shards/01", "shards/0", false),
            ("services/query", "shards/0", false),
        ] {
            assert_eq!(is_at_or_below(path, place), expected, "{path} {place}");
        }
    }
}
