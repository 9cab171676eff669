//! Reading conversations.

use std::borrow::Cow;

use actix_web::{HttpRequest, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::ConversationId;
use tertulia_actors::ports::store::{ConversationView, MessageView, TurnView};

use super::answer::Json;
use super::auth::{Caller, caller, operator, own_conversation, readable_conversation};
use super::console::Role;
use super::journeys::{without_errors, without_reason};
use super::messages::shown_id;
use super::parameters::{Path, Query};
use super::problem::Problem;
use super::state::{HttpState, no_such_conversation};
use super::trace::note_conversation;

/// The most rows of one answer, which is made in memory.
pub(super) const LIMIT_MAX: usize = 200;

/// Rows of an answer, unless the caller says how many.
const LIMIT: usize = 100;

/// How much is read.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Page {
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    pub(super) limit: Option<usize>,
}

/// What names a conversation in a path.
pub(super) struct MeOrId;

impl JsonSchema for MeOrId {
    fn schema_name() -> Cow<'static, str> {
        "MeOrId".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{"type": "string", "format": "uuid"}, {"const": "me"}],
            "description": "The conversation's id. `me` is the one of the visitor whose cookie is shown.",
        })
    }
}

/// A conversation, with who answers in it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Conversation {
    #[serde(flatten)]
    view: ConversationView,
    /// When the bot answers again, in milliseconds from now, unless whoever has taken the conversation over writes; told to who
    /// supervises, while somebody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    bot_resumes_in_ms: Option<u64>,
}

/// Lines of a conversation.
#[derive(Serialize, JsonSchema)]
pub(super) struct Messages {
    /// The oldest first.
    messages: Vec<MessageView>,
}

/// Turns of a conversation.
#[derive(Serialize, JsonSchema)]
pub(super) struct Turns {
    /// The newest first.
    turns: Vec<TurnView>,
}

/// How many rows are answered.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIMIT),
        Some(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Some(_) => Err(Problem::query(format!("limit is not within 1 to {LIMIT_MAX}"))),
    }
}

/// A conversation.
pub(super) async fn show(
    request: HttpRequest,
    id: Path<MeOrId>,
    state: web::Data<HttpState>,
) -> Result<Json<Conversation>, Problem> {
    let (id, caller) = readable_conversation(&request, &state, &id, Role::Viewer).await?;
    let mut view = state.conversation(id).await?;
    let left = view.taken_until.take().map(|until| until.since(state.clock.tick()));
    let left = left.filter(|left| !left.is_zero() && matches!(caller, Caller::Console(_)));
    view.taken_by = view.taken_by.filter(|_| left.is_some());
    let bot_resumes_in_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    Ok(Json(Conversation { view, bot_resumes_in_ms }))
}

/// The last lines of a conversation. A visitor who never wrote has none.
pub(super) async fn messages(
    request: HttpRequest,
    id: Path<MeOrId>,
    query: Query<Page>,
    state: web::Data<HttpState>,
) -> Result<Json<Messages>, Problem> {
    let limit = limit(query.read()?.limit)?;
    if &*id == "me" && is_new_visitor(&request, &state).await? {
        return Ok(Json(Messages { messages: vec![] }));
    }
    let (id, caller) = readable_conversation(&request, &state, &id, Role::Operator).await?;
    state.conversation(id).await?;
    let mut messages = state.stored(state.store.messages(id, limit)).await?;
    for message in &mut messages {
        message.id = shown_id(&message.id).to_owned();
        // Who works here is nobody's business but ours.
        message.author = message.author.take().filter(|_| matches!(caller, Caller::Console(_)));
    }
    Ok(Json(Messages { messages }))
}

async fn is_new_visitor(request: &HttpRequest, state: &HttpState) -> Result<bool, Problem> {
    match caller(request, state)? {
        Caller::Visitor(handle) => Ok(own_conversation(state, &handle).await?.is_none()),
        _ => Ok(false),
    }
}

/// The last turns of a conversation with their journeys, for people who supervise.
pub(super) async fn turns(
    request: HttpRequest,
    id: Path<ConversationId>,
    query: Query<Page>,
    state: web::Data<HttpState>,
) -> Result<Json<Turns>, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let limit = limit(query.read()?.limit)?;
    let id: ConversationId = id.parse().map_err(|_| no_such_conversation())?;
    note_conversation(id);
    state.conversation(id).await?;
    let mut turns = state.stored(state.store.turns(id, limit)).await?;
    if who.role == Role::Viewer {
        for turn in &mut turns {
            turn.outcome = without_reason(turn.outcome.as_deref());
            without_errors(&mut turn.journey);
        }
    }
    Ok(Json(Turns { turns }))
}
