//! Single entries of the knowledge base: read, written, what they said before; and how far models have embedded all.

use actix_web::http::header::IF_NONE_MATCH;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tertulia_actors::domain::{Entry, Language};

use super::auth::operator;
use super::body::read_as;
use super::console::{Role, by_people};
use super::conversations::query;
use super::problem::Problem;
use super::state::HttpState;

/// Vectors that are removed in one commit: messages wait for it.
const REMOVED_AT_ONCE: usize = 1_000;

/// An entry, in one language or in all. Its id is in the query, since it may hold what means something in a path.
#[derive(Deserialize)]
struct Named {
    id: String,
    language: Option<Language>,
}

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    version: i64,
}

/// What an entry says, in every language that it has or in one.
pub(super) async fn show(request: HttpRequest, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let Named { id, language } = query(&request)?;
    let found = state.known(state.knowledge.get(id, language)).await?;
    if found.is_empty() {
        return Err(Problem::not_found("there is no such entry"));
    }
    Ok(HttpResponse::Ok().json(json!({ "entries": found })))
}

/// Adds or replaces one entry; with the header `If-None-Match: *` it only adds.
pub(super) async fn put(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_entries", "an entry");
    let entry: Entry = read_as(&request, payload, &state.settings.server, expected).await?;
    if request.headers().contains_key(IF_NONE_MATCH) {
        refuse_if_there(&state, &entry).await?;
    }
    let target = format!("knowledge/{}", entry.id);
    let put = || state.known(state.knowledge.put(vec![entry.clone()]));
    by_people(&state, &who, "change", &target, put).await?;
    Ok(HttpResponse::Ok().json(json!({ "entry": entry })))
}

/// Somebody who adds an entry must not overwrite another one by a name that they did not know of.
async fn refuse_if_there(state: &HttpState, entry: &Entry) -> Result<(), Problem> {
    let there = state.known(state.knowledge.get(entry.id.clone(), Some(entry.language))).await?;
    if there.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "there is an entry {} in {} already: change that one, or choose another id",
        entry.id, entry.language
    );
    Err(Problem::new(412, "exists", detail))
}

/// What an entry said before, newest first.
pub(super) async fn history(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let Named { id, language } = query(&request)?;
    let versions = state.known(state.knowledge.history(id, language)).await?;
    Ok(HttpResponse::Ok().json(json!({ "versions": versions })))
}

/// Lets an entry say again what it said in a version.
pub(super) async fn restore(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_entries", "a version");
    let Numbered { version } = read_as(&request, payload, &state.settings.server, expected).await?;
    let target = format!("knowledge, version {version}");
    let restore = || state.known(state.knowledge.restore(version));
    let entry = by_people(&state, &who, "restore", &target, restore).await?;
    let entry = entry.ok_or_else(|| Problem::not_found(format!("there is no version {version}")))?;
    Ok(HttpResponse::Ok().json(json!({ "entry": entry })))
}

/// How many entries there are, and how many of them each model has embedded.
pub(super) async fn status(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let status = state.known(state.knowledge.status()).await?;
    let embedded = status.embedded_by(state.model.as_deref());
    let mut told = json!(status);
    told["model"] = json!(state.model);
    told["embedded"] = json!(embedded);
    Ok(HttpResponse::Ok().json(told))
}

/// Removes the vectors of all models but the configured one, some in a commit.
pub(super) async fn vacuum(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let Kept { all } = query(&request)?;
    if state.model.is_none() && !all {
        let detail = "no model is configured, so that all vectors would go: add all=true if they shall";
        return Err(Problem::new(409, "refused", detail));
    }
    let removed = by_people(&state, &who, "remove", "knowledge, vectors", || remove_vectors(&state)).await?;
    Ok(HttpResponse::Ok().json(json!({ "removed": removed })))
}

/// Some in a commit, until none is left.
async fn remove_vectors(state: &HttpState) -> Result<usize, Problem> {
    let mut removed = 0;
    loop {
        let some = state.knowledge.remove_vectors(state.model.clone(), REMOVED_AT_ONCE);
        let some = state.known(some).await?;
        removed += some;
        if some < REMOVED_AT_ONCE {
            return Ok(removed);
        }
    }
}
