//! Reading conversations.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::auth::{Caller, caller, operator, own_conversation, readable_conversation};
use super::console::Role;
use super::journeys::{without_errors, without_reason};
use super::messages::shown_id;
use super::problem::Problem;
use super::state::{HttpState, no_such_conversation};
use super::trace::note_conversation;

/// The most rows of one answer, which is made in memory.
const LIMIT_MAX: usize = 200;

/// Rows of an answer, unless the caller says how many.
const LIMIT: usize = 100;

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
}

/// Reads the query of a request.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let query = web::Query::<T>::from_query(request.query_string());
    query.map(web::Query::into_inner).map_err(Problem::query)
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
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (id, caller) = readable_conversation(&request, &state, &id, Role::Viewer).await?;
    let mut view = state.conversation(id).await?;
    let left = view.taken_until.take().map(|until| until.since(state.clock.tick()));
    let left = left.filter(|left| !left.is_zero() && matches!(caller, Caller::Console(_)));
    view.taken_by = view.taken_by.filter(|_| left.is_some());
    let mut shown = json!(view);
    if let Some(left) = left {
        shown["bot_resumes_in_ms"] = json!(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    }
    Ok(HttpResponse::Ok().json(shown))
}

/// The last lines of a conversation. A visitor who never wrote has none.
pub(super) async fn messages(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let limit = limit(query::<Page>(&request)?.limit)?;
    if *id == "me" && is_new_visitor(&request, &state).await? {
        return Ok(HttpResponse::Ok().json(json!({"messages": []})));
    }
    let (id, caller) = readable_conversation(&request, &state, &id, Role::Operator).await?;
    state.conversation(id).await?;
    let mut messages = state.stored(state.store.messages(id, limit)).await?;
    for message in &mut messages {
        message.id = shown_id(&message.id).to_owned();
        // Who works here is nobody's business but ours.
        message.author = message.author.take().filter(|_| matches!(caller, Caller::Console(_)));
    }
    Ok(HttpResponse::Ok().json(json!({"messages": messages})))
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
    id: web::Path<String>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let limit = limit(query::<Page>(&request)?.limit)?;
    let id = id.parse().map_err(|_| no_such_conversation())?;
    note_conversation(id);
    state.conversation(id).await?;
    let mut turns = state.stored(state.store.turns(id, limit)).await?;
    if who.role == Role::Viewer {
        for turn in &mut turns {
            turn.outcome = without_reason(turn.outcome.as_deref());
            without_errors(&mut turn.journey);
        }
    }
    Ok(HttpResponse::Ok().json(json!({"turns": turns})))
}
