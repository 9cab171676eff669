//! What a tab of the console sees: one stream of frames, each complete for what is shown, at most one every half second.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Bytes};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tertulia_actors::domain::{ConversationId, Timestamp};
use tertulia_actors::operations::Operations;
use tertulia_actors::supervision::events::Event;
use tertulia_actors::supervision::snapshot::{Node, Snapshot, State};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Interval;

use super::role::Role;
use super::sign_in::Pass;
use crate::http::answer::{Events, Json};
use crate::http::auth::operator;
use crate::http::parameters::Query;
use crate::http::problem::Problem;
use crate::http::sse;
use crate::http::state::HttpState;
use crate::observer::{Counters, Figures, Look, Point, Series, Warning, Watching};

/// Events of the past that a new stream begins with.
const PAST_MAX: usize = 100;

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::http) enum Show {
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

/// What a tab wants to see.
#[derive(Deserialize, JsonSchema)]
pub(in crate::http) struct Asked {
    /// What is shown.
    show: Show,
    /// The place, where a place is shown.
    #[serde(default)]
    path: String,
    /// The conversation, where a conversation is shown.
    id: Option<ConversationId>,
}

/// What a tab is told at once.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Frame<'a> {
    /// The number of the look; the id of the event, too.
    number: u64,
    /// When that was.
    at: Timestamp,
    /// How the root is; none when the monitor did not answer.
    state: Option<State>,
    /// What is wrong, the worst first.
    warnings: &'a [Warning],
    /// What happened before the stream began: in its first frame alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    past: Option<Vec<&'a Event>>,
    /// What has happened since the last frame.
    events: Vec<&'a Event>,
    /// The figures, in an overview.
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<&'a Figures>,
    /// What was counted since the process began, or ever, in an overview.
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<&'a Counters>,
    /// All points: in the first frame alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<&'a Series>,
    /// Points since the last frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    points: Vec<&'a Point>,
    /// The whole tree, where that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Node>")]
    tree: Option<&'a RawValue>,
    /// The place that is shown, with what is below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a Node>,
    /// The conversation that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<Seen>,
}

/// A conversation, as far as it can be seen.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ConversationSeen")]
pub(in crate::http) enum Seen {
    /// How it is.
    InMemory(Box<Snapshot>),
    /// It cannot be asked.
    Silent {
        /// Why.
        error: String,
    },
    /// It is not in memory.
    Nowhere,
}

/// The last look at everything.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Overview {
    /// When that was.
    at: Timestamp,
    /// How the root of the tree is; none when the monitor did not answer.
    state: Option<State>,
    /// The figures.
    figures: Figures,
    /// What was counted since the process began, or ever.
    counters: Counters,
    /// What is wrong, the worst first.
    warnings: Vec<Warning>,
    /// The last quarter of an hour, the oldest first.
    series: Arc<Series>,
}

/// The last look, for programs.
pub(in crate::http) async fn overview(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<Json<Overview>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let look = state.looks.last();
    Ok(Json(Overview {
        at: look.at,
        state: look.tree.as_ref().map(|tree| tree.state),
        figures: look.figures.clone(),
        counters: look.counters.clone(),
        warnings: look.warnings.clone(),
        series: Arc::clone(&look.series),
    }))
}

/// The stream of a tab. Ends with the session.
pub(in crate::http) async fn stream(
    request: HttpRequest,
    query: Query<Asked>,
    state: web::Data<HttpState>,
) -> Result<Events<Frame<'static>>, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let asked = query.read()?;
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

    fn frame(&mut self, look: &Look, conversation: Option<Seen>) -> Bytes {
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
        let bytes = sse::frame("frame", Some(&look.number), &frame);
        self.last_event = look.events.back().map(|event| event.id).or(Some(0)).max(self.last_event);
        self.last_point = look.series.last().map(|last| last.at);
        bytes
    }

    async fn conversation(&self) -> Seen {
        let Some(id) = self.asked.id else { return Seen::Nowhere };
        match self.operations.conversation(id).await {
            Ok(Some(snapshot)) => Seen::InMemory(Box::new(snapshot)),
            Ok(None) => Seen::Nowhere,
            Err(error) => Seen::Silent { error: error.to_string() },
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
