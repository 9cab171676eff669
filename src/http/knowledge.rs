//! The knowledge base: listed, searched, filled and emptied by the people who supervise.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tertulia_actors::domain::{Entry, Filter, Hit, Language};
use tertulia_actors::ports::{Embeddable, Search, VectorsError};
use tertulia_actors::supervision::CallError;

use super::answer::Json;
use super::auth::operator;
use super::body::{Body, expect_no_more};
use super::classifier::Removed;
use super::console::{Role, by_people};
use super::conversations::{LIMIT_MAX, limit};
use super::entries::Named;
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;

/// Entries of one request, which are written in one commit: messages wait for it.
const ENTRIES_MAX: usize = 50;

/// How long a search waits until others are done. As many may wait as there are connections (`server.connections_max`).
const SEARCH_WAIT: Duration = Duration::from_secs(30);

/// Hits of one search.
const HITS_MAX: usize = 50;

/// A page of entries.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Page {
    /// The id behind which it begins: that of `next` of the page before.
    after: Option<String>,
    /// The language behind which it begins; `after` and `after_language` go together.
    after_language: Option<Language>,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// What a table is called.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Table {
    /// The name of the file, by whose ending its format is known: `.csv`, `.json` or `.jsonl`.
    name: String,
}

/// What stands in a table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TableText {
    /// What stands in the file.
    text: String,
}

/// A page of entries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EntriesPage")]
pub(super) struct Entries {
    /// In the order of their ids and languages.
    entries: Vec<Entry>,
    /// Where the next page begins; none where this is the last one.
    next: Option<Next>,
}

/// Where a page of entries begins.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NextEntries")]
struct Next {
    /// The last id of the page before.
    after: String,
    /// Its language.
    after_language: Language,
}

/// How many entries were written.
#[derive(Serialize, JsonSchema)]
pub(super) struct Imported {
    /// How many.
    imported: usize,
}

/// What is looked for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Question {
    /// A question, or any text.
    q: String,
    /// How many hits there are at the most; 3 unless it is given.
    #[serde(default = "hits")]
    #[schemars(range(min = 1, max = HITS_MAX))]
    n: usize,
    /// Entries in this language only.
    language: Option<Language>,
    /// Entries that have all of these tags: separated by commas, or a list of JSON.
    #[serde(default)]
    tags: String,
    /// Entries that are for this account.
    account: Option<String>,
}

const fn hits() -> usize {
    3
}

/// A page of entries, and where the next one begins.
pub(super) async fn list(
    request: HttpRequest,
    query: Query<Page>,
    state: web::Data<HttpState>,
) -> Result<Json<Entries>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let page = query.read()?;
    let limit = limit(page.limit)?;
    let after = match (page.after, page.after_language) {
        (Some(id), Some(language)) => Some((id, language)),
        (None, None) => None,
        _ => return Err(Problem::query("after and after_language go together")),
    };
    let entries = state.known(state.knowledge.list(after, limit)).await?;
    let last = entries.last().filter(|_| entries.len() == limit);
    let next = last.map(|last| Next { after: last.id.clone(), after_language: last.language });
    Ok(Json(Entries { entries, next }))
}

/// The best hits for a question, with their scores.
pub(super) async fn search(
    request: HttpRequest,
    query: Query<Question>,
    state: web::Data<HttpState>,
) -> Result<Json<Found>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let Question { q, n, language, tags, account } = query.read()?;
    if !(1..=HITS_MAX).contains(&n) {
        return Err(Problem::query(format!("n is not within 1 to {HITS_MAX}")));
    }
    let filter = Filter { language, tags: tags_of(&tags)?, account, at: Some(state.clock.now()) };
    let (hits, degraded) = find(&state, q, language, filter, n).await?;
    Ok(Json(Found { hits, degraded }))
}

/// The best hits for a question, and why what it means was not looked at, where there is a model.
pub(super) async fn find(
    state: &HttpState,
    text: String,
    language: Option<Language>,
    filter: Filter,
    limit: usize,
) -> Result<(Vec<Hit>, Option<String>), Problem> {
    let Ok(_turn) = tokio::time::timeout(SEARCH_WAIT, state.searches.acquire()).await else {
        let problem = Problem::new(503, "overloaded", "too many searches are under way; try again later");
        return Err(problem.retry_after(state.store.retry_after()));
    };
    let (embedding, degraded) = match &state.embedding {
        Some(front) => match front.call(None, Embeddable::query(&text)).await {
            Ok(embedding) => (embedding, None),
            Err(error) => (None, Some(format!("not searched by what it means: {error}"))),
        },
        None => (None, None),
    };
    let search = Search { text, embedding, language, filter, limit };
    let found = state.vectors.search(None, search).await;
    let hits = found.map_err(|error| refused(&error).retry_after(state.store.retry_after()))?;
    Ok((hits, degraded))
}

/// Tags as they are asked for: separated by commas, or a list of JSON, for those that hold a comma themselves.
fn tags_of(tags: &str) -> Result<Vec<String>, Problem> {
    if tags.trim_start().starts_with('[') {
        return serde_json::from_str(tags).map_err(|error| {
            Problem::query(format_args!("tags begin like a list of JSON and are none: {error}"))
        });
    }
    Ok(tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
}

/// What a search found.
#[derive(Serialize, JsonSchema)]
pub(super) struct Found {
    /// The best first.
    hits: Vec<Hit>,
    /// Why what the question means was not looked at, where there is a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
}

/// What it means to a caller that there was no search; another one may do well.
fn refused(error: &CallError<VectorsError>) -> Problem {
    let code = match error {
        CallError::Overloaded { .. } => "overloaded",
        CallError::DeadlineExceeded { .. } => "search_timeout",
        CallError::Down { .. } => "search_down",
        CallError::Failed(_) => "search_failed",
    };
    Problem::new(503, code, format!("{error}; try again later"))
}

/// Adds or replaces entries.
pub(super) async fn import(
    request: HttpRequest,
    body: Body<Vec<Entry>>,
    state: web::Data<HttpState>,
) -> Result<Json<Imported>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_entries", "a list of entries");
    let entries = body.read(&state.settings.server, expected).await?;
    if entries.len() > ENTRIES_MAX {
        return Err(Problem::new(422, "invalid_entries", format!("send at most {ENTRIES_MAX} at a time")));
    }
    let target = format!("knowledge, {} entries", entries.len());
    let put = || state.known(state.knowledge.put(entries));
    let imported = by_people(&state, &who, "import", &target, put).await?;
    Ok(Json(Imported { imported }))
}

/// Removes an entry, in one language or in all, and tells in how many that was. Its id is in the query, since it may hold
/// what means something in a path.
pub(super) async fn remove(
    request: HttpRequest,
    query: Query<Named>,
    state: web::Data<HttpState>,
) -> Result<Json<Removed>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let Named { id, language } = query.read()?;
    let target = format!("knowledge/{id}");
    let remove = || state.known(state.knowledge.remove(id, language));
    let removed = by_people(&state, &who, "remove", &target, remove).await?;
    Ok(Json(Removed { removed }))
}

/// Adds or replaces the entries of a table. What says the same as before is left as it is.
pub(super) async fn import_table(
    request: HttpRequest,
    query: Query<Table>,
    body: Body<TableText>,
    state: web::Data<HttpState>,
) -> Result<Json<Imported>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let Table { name } = query.read()?;
    let TableText { text } = read_text(body.fields(&state.settings.server).await?)?;
    let (tables, named) = (state.tables.clone(), name.clone());
    let read = web::block(move || tables(&named, text.as_bytes())).await;
    let entries = read
        .map_err(|_| Problem::new(503, "busy", "too much is read at the same time; try again"))?
        .map_err(|wrong| Problem::new(422, "invalid_entries", format!("{name}: {wrong}")))?;
    let target = format!("knowledge/{name}");
    let imported = by_people(&state, &who, "import", &target, || put(&state, entries)).await?;
    Ok(Json(Imported { imported }))
}

fn read_text(mut fields: Map<String, Value>) -> Result<TableText, Problem> {
    let Some(Value::String(text)) = fields.remove("text") else {
        return Err(Problem::invalid("text", "expects what stands in the file"));
    };
    expect_no_more(&fields, "text")?;
    Ok(TableText { text })
}

/// Some entries a commit, since messages wait for it. What fails leaves what was done before, and doing all of it again does the rest.
async fn put(state: &HttpState, entries: Vec<Entry>) -> Result<usize, Problem> {
    let mut imported = 0;
    for some in entries.chunks(ENTRIES_MAX) {
        imported += state.known(state.knowledge.put(some.to_vec())).await?;
    }
    Ok(imported)
}
