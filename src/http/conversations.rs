//! Reading conversations.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::auth::{Caller, caller, console, own_conversation, readable_conversation};
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
    let id = readable_conversation(&request, &state, &id).await?;
    Ok(HttpResponse::Ok().json(state.conversation(id).await?))
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
    let id = readable_conversation(&request, &state, &id).await?;
    state.conversation(id).await?;
    let mut messages = state.stored(state.store.messages(id, limit)).await?;
    for message in &mut messages {
        message.id = shown_id(&message.id).to_owned();
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
    console(&request, &state)?;
    let limit = limit(query::<Page>(&request)?.limit)?;
    let id = id.parse().map_err(|_| no_such_conversation())?;
    note_conversation(id);
    state.conversation(id).await?;
    let turns = state.stored(state.store.turns(id, limit)).await?;
    Ok(HttpResponse::Ok().json(json!({"turns": turns})))
}
