//! The tree of supervision over HTTP: how everything is, what happens to it, and what an operator wants of it.

use std::collections::VecDeque;
use std::future::ready;

use actix_web::http::header::ACCEPT;
use actix_web::web::{self, Bytes};
use actix_web::{Either, HttpRequest};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::ConversationId;
use tertulia_actors::operations::OperationError;
use tertulia_actors::supervision::events::Event;
use tertulia_actors::supervision::monitor::Reading;
use tertulia_actors::supervision::snapshot::{ActError, Action, Node, Snapshot};
use tokio::sync::{mpsc, watch};
use tokio::time::Interval;

use super::answer::{Accepted, Events, Json};
use super::auth::operator;
use super::body::{OptionalBody, expect_no_more};
use super::console::{Deed, Pass, REASON_MAX_CHARS, Reason, Role, audited};
use super::conversations::{LIMIT_MAX, limit};
use super::parameters::{Path, Query};
use super::problem::Problem;
use super::sse;
use super::state::HttpState;
use super::trace::note_conversation;

/// The first part of the path of a single conversation, before its id.
const CONVERSATIONS: &str = "conversations/";

/// Which part of the tree.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Subtree {
    /// The path of a place, such as `services/query`; without it, the whole tree is shown.
    path: Option<String>,
}

/// A page of a shard's conversations.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ShardPage {
    /// The number of the shard.
    shard: usize,
    /// The conversation behind which the page begins: the last one of the page before.
    after: Option<ConversationId>,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// Where a reader is.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Resume {
    /// The number of the last event that was read; without it, all that are kept are told. The header `Last-Event-ID` goes before it.
    after: Option<u64>,
}

/// A conversation in memory.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConversationInMemory")]
pub(super) struct InMemory {
    /// Its id.
    id: ConversationId,
    #[serde(flatten)]
    snapshot: Snapshot,
}

/// A page of a shard's conversations.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConversationsInMemory")]
pub(super) struct PageInMemory {
    /// In the order of their ids.
    conversations: Vec<InMemory>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SupervisionHistory")]
pub(super) struct History {
    /// The events that are kept, the oldest first.
    events: Vec<Event>,
}

/// Why something is asked for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Why {
    /// Why: kept in the audit log. Who has signed in must say it.
    #[schemars(with = "Option<String>", length(max = REASON_MAX_CHARS))]
    reason: Reason,
}

/// What was passed on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PassedOn")]
pub(super) struct Asked {
    /// Where it was asked for.
    path: String,
    /// What was asked for.
    action: Action,
}

/// The whole tree, or what stands at a path and below.
pub(super) async fn tree(
    request: HttpRequest,
    query: Query<Subtree>,
    state: web::Data<HttpState>,
) -> Result<Json<Node>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let path = query.read()?.path.unwrap_or_default();
    let root = state.operations.tree().await.map_err(|error| problem(error, None, &path))?;
    let node = root.find(&path).ok_or_else(|| nothing_at(&path))?;
    Ok(Json(node.clone()))
}

/// The conversations in the memory of a shard, page by page.
pub(super) async fn conversations(
    request: HttpRequest,
    query: Query<ShardPage>,
    state: web::Data<HttpState>,
) -> Result<Json<PageInMemory>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let ShardPage { shard, after, limit: rows } = query.read()?;
    let path = format!("shards/{shard}");
    let page = state.operations.conversations(shard, after, limit(rows)?).await;
    let page = page.map_err(|error| problem(error, None, &path))?.ok_or_else(|| nothing_at(&path))?;
    let conversations = page.into_iter().map(|(id, snapshot)| InMemory { id, snapshot }).collect();
    Ok(Json(PageInMemory { conversations }))
}

/// How one conversation is that is in memory.
pub(super) async fn conversation(
    request: HttpRequest,
    id: Path<ConversationId>,
    state: web::Data<HttpState>,
) -> Result<Json<InMemory>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let path = format!("{CONVERSATIONS}{}", &*id);
    let id: ConversationId = id.parse().map_err(|_| nothing_at(&path))?;
    note_conversation(id);
    let found = state.operations.conversation(id).await.map_err(|error| problem(error, None, &path))?;
    let snapshot = found.ok_or_else(|| nothing_at(&path))?;
    Ok(Json(InMemory { id, snapshot }))
}

/// Events: those that are kept, and, to a reader who does not ask for JSON, all that follow.
pub(super) async fn events(
    request: HttpRequest,
    query: Query<Resume>,
    state: web::Data<HttpState>,
) -> Result<Either<Json<History>, Events<Event>>, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let pass = Pass::of(&who, &state);
    let after = match sse::last_event_id(&request)? {
        Some(id) => id,
        None => query.read()?.after.unwrap_or(0),
    };
    if wants_json(&request) {
        let history = state.operations.history(after).await.map_err(|error| problem(error, None, ""))?;
        return Ok(Either::Left(Json(History { events: history })));
    }
    sse::refuse_while_draining(&state)?;
    let Reading { history, events } =
        state.operations.events(after).await.map_err(|error| problem(error, None, ""))?;
    let (history, draining) = (history.into(), state.draining.clone());
    let reader = Reader { has_begun: false, history, events, draining, heartbeat: sse::heartbeat() };
    let told = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((bytes, reader))
    });
    Ok(Either::Right(sse::respond(told.take_while(move |_| ready(pass.holds())))))
}

/// Passes an operator's wish on. The body may say why, and must where somebody has signed in.
pub(super) async fn act(
    request: HttpRequest,
    body: OptionalBody<Why>,
    path: Path<String>,
    action: Path<Action, 1>,
    state: web::Data<HttpState>,
) -> Result<Accepted<Asked>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let action = Action::ALL.into_iter().find(|known| *known.as_str() == *action).ok_or_else(|| {
        Problem::not_found(format!("'{}' is no action; {} are", &*action, list(&Action::ALL)))
    })?;
    let mut fields = body.fields(&state.settings.server).await?;
    let why = Why { reason: Reason::take(&who, &mut fields)? };
    expect_no_more(&fields, "reason")?;
    if let Some(Ok(id)) = path.strip_prefix(CONVERSATIONS).map(str::parse) {
        note_conversation(id);
    }
    let asked = async || {
        let asked = state.operations.ask(&path, action).await;
        asked.map_err(|error| problem(error, Some(action), &path))
    };
    let deed = Deed { action: action.as_str(), target: &path, reason: why.reason, is_urgent: true };
    audited(&state, &who, deed, asked).await?;
    Ok(Json(Asked { path: path.to_owned(), action }))
}

/// Whether a reader wants the history alone, and not the stream.
fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/event-stream")
}

/// What a refusal means to a caller, who wanted `action` of what stands at `path`.
pub(super) fn problem(error: OperationError, action: Option<Action>, path: &str) -> Problem {
    match error {
        OperationError::Act(ActError::NotFound) => nothing_at(path),
        OperationError::Act(ActError::NotAllowed { allowed }) => {
            let asked = action.map_or("this", Action::as_str);
            let allowed = if allowed.is_empty() { "nothing" } else { &list(allowed) };
            let detail = format!("{asked} cannot be asked of '{path}'; what can be asked of it: {allowed}");
            Problem::new(409, "not_allowed", detail)
        }
        OperationError::Act(ActError::NoAnswer) => no_answer(format!("'{path}' does not answer")),
        OperationError::NoMonitor => no_answer(error.to_string()),
        OperationError::Readers(_) => sse::too_many_streams(),
    }
}

fn no_answer(detail: String) -> Problem {
    const SOON: std::time::Duration = std::time::Duration::from_secs(1);
    Problem::new(503, "no_answer", detail).retry_after(SOON)
}

fn nothing_at(path: &str) -> Problem {
    Problem::not_found(match path.strip_prefix(CONVERSATIONS) {
        Some(id) => format!(
            "conversation '{id}' is not in memory; it may exist all the same: it is loaded when there is something to \
             do, and GET /v1/conversations/{{id}} reads it from the database"
        ),
        None => format!("nothing stands at '{path}'; GET /v1/supervision/tree shows what there is"),
    })
}

fn list(actions: &[Action]) -> String {
    let names: Vec<_> = actions.iter().map(|action| action.as_str()).collect();
    names.join(", ")
}

/// One open stream.
struct Reader {
    has_begun: bool,
    /// What happened before, and is not told yet.
    history: VecDeque<Event>,
    events: mpsc::Receiver<Event>,
    draining: watch::Receiver<bool>,
    heartbeat: Interval,
}

impl Reader {
    /// The next bytes; none ends the stream, as it does for a reader who does not keep up.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(sse::BEGIN);
        }
        if let Some(event) = self.history.pop_front() {
            return frame(&event);
        }
        tokio::select! {
            biased;
            _ = self.draining.wait_for(|draining| *draining) => None,
            event = self.events.recv() => frame(&event?),
            _ = self.heartbeat.tick() => Some(sse::BEAT),
        }
    }
}

/// An event as it is streamed; none if it cannot be shown, which does not happen.
fn frame(event: &Event) -> Option<Bytes> {
    let kind = serde_json::to_value(event.kind).ok()?;
    Some(sse::frame(kind.as_str()?, Some(&event.id), event))
}
