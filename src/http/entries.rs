//! Single entries of the knowledge base: read, written, what they said before; and how far models have embedded all.

use actix_web::http::header::IF_NONE_MATCH;
use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::{Entry, Language, Version};
use tertulia_actors::ports::KnowledgeStatus;

use super::answer::Json;
use super::auth::operator;
use super::body::Body;
use super::classifier::Removed;
use super::console::{Role, by_people};
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;

/// Vectors that are removed in one commit: messages wait for it.
const REMOVED_AT_ONCE: usize = 1_000;

/// An entry, in one language or in all. Its id is in the query, since it may hold what means something in a path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Named {
    /// The entry's id.
    pub(super) id: String,
    /// In this language only; without it, in every language that the entry has.
    pub(super) language: Option<Language>,
}

/// Which vectors are removed.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Kept {
    /// Whether all may go where no model is configured.
    #[serde(default)]
    all: bool,
}

/// Which version.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VersionNumber")]
pub(super) struct Numbered {
    /// Its number, as the history shows it.
    version: i64,
}

/// An entry in its languages.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EntryInLanguages")]
pub(super) struct InLanguages {
    /// The entry, once for each language.
    entries: Vec<Entry>,
}

/// An entry as it is from now on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WrittenEntry")]
pub(super) struct Written {
    /// The entry.
    entry: Entry,
}

/// What an entry said before.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EntryHistory")]
pub(super) struct History {
    /// The newest first.
    versions: Vec<Version>,
}

/// How many entries there are, and how far the models are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KnowledgeStatusShown")]
pub(super) struct Status {
    #[serde(flatten)]
    status: KnowledgeStatus,
    /// The configured model, by the name by which its vectors are kept; none where there is no model.
    model: Option<String>,
    /// Entries that it has embedded.
    embedded: usize,
}

/// What an entry says, in every language that it has or in one.
pub(super) async fn show(
    request: HttpRequest,
    query: Query<Named>,
    state: web::Data<HttpState>,
) -> Result<Json<InLanguages>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let Named { id, language } = query.read()?;
    let found = state.known(state.knowledge.get(id, language)).await?;
    if found.is_empty() {
        return Err(Problem::not_found("there is no such entry"));
    }
    Ok(Json(InLanguages { entries: found }))
}

/// Adds or replaces one entry; with the header `If-None-Match: *` it only adds.
pub(super) async fn put(
    request: HttpRequest,
    body: Body<Entry>,
    state: web::Data<HttpState>,
) -> Result<Json<Written>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_entries", "an entry");
    let entry = body.read(&state.settings.server, expected).await?;
    if request.headers().contains_key(IF_NONE_MATCH) {
        refuse_if_there(&state, &entry).await?;
    }
    let target = format!("knowledge/{}", entry.id);
    let put = || state.known(state.knowledge.put(vec![entry.clone()]));
    by_people(&state, &who, "change", &target, put).await?;
    Ok(Json(Written { entry }))
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
    query: Query<Named>,
    state: web::Data<HttpState>,
) -> Result<Json<History>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let Named { id, language } = query.read()?;
    let versions = state.known(state.knowledge.history(id, language)).await?;
    Ok(Json(History { versions }))
}

/// Lets an entry say again what it said in a version.
pub(super) async fn restore(
    request: HttpRequest,
    body: Body<Numbered>,
    state: web::Data<HttpState>,
) -> Result<Json<Written>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_entries", "a version");
    let Numbered { version } = body.read(&state.settings.server, expected).await?;
    let target = format!("knowledge, version {version}");
    let restore = || state.known(state.knowledge.restore(version));
    let entry = by_people(&state, &who, "restore", &target, restore).await?;
    let entry = entry.ok_or_else(|| Problem::not_found(format!("there is no version {version}")))?;
    Ok(Json(Written { entry }))
}

/// How many entries there are, and how many of them each model has embedded.
pub(super) async fn status(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<Json<Status>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let status = state.known(state.knowledge.status()).await?;
    let embedded = status.embedded_by(state.model.as_deref());
    Ok(Json(Status { status, model: state.model.clone(), embedded }))
}

/// Removes the vectors of all models but the configured one, some in a commit.
pub(super) async fn vacuum(
    request: HttpRequest,
    query: Query<Kept>,
    state: web::Data<HttpState>,
) -> Result<Json<Removed>, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let Kept { all } = query.read()?;
    if state.model.is_none() && !all {
        let detail = "no model is configured, so that all vectors would go: add all=true if they shall";
        return Err(Problem::new(409, "refused", detail));
    }
    let removed = by_people(&state, &who, "remove", "knowledge, vectors", || remove_vectors(&state)).await?;
    Ok(Json(Removed { removed }))
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
