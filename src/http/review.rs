//! What people look through: conversations, found by name or since they need somebody, and what turns recorded for them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tertulia_actors::domain::ConversationId;

use super::auth::operator;
use super::console::{Role, note_reading};
use super::conversations::{limit, query};
use super::problem::Problem;
use super::state::HttpState;

/// The longest id, phone number, BSUID or handle that is looked for, in bytes.
const NAME_MAX_BYTES: usize = 200;

/// A page of what is numbered.
#[derive(Deserialize)]
struct NumberedPage {
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct ConversationsPage {
    needs_human: Option<bool>,
    q: Option<String>,
    after: Option<ConversationId>,
    limit: Option<usize>,
}

/// Conversations that a person should look at, in the order in which they began, or that are called as told.
pub(super) async fn conversations(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let ConversationsPage { needs_human, q, after, limit: rows } = query(&request)?;
    let rows = limit(rows)?;
    let found = match (needs_human, q.as_deref().map(str::trim)) {
        (Some(true), None) => state.store.needing_human(after, rows),
        (None, Some(q)) if (1..=NAME_MAX_BYTES).contains(&q.len()) => {
            state.store.find_conversations(q.to_owned(), after, rows)
        }
        _ => {
            return Err(Problem::query(
                "either needs_human=true is expected, or q with how an id, a phone number, a BSUID or a handle begins",
            ));
        }
    };
    let mut found = state.stored(found).await?;
    // Whether their time is up, only the conversation itself says.
    found.iter_mut().for_each(|view| view.taken_by = None);
    Ok(HttpResponse::Ok().json(json!({"conversations": found})))
}

/// Complaints, suggestions and answers to templates, oldest first.
pub(super) async fn records(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page: NumberedPage = query(&request)?;
    note_reading(&state, &who, "records").await?;
    let records = state.stored(state.store.records(page.after, limit(page.limit)?)).await?;
    Ok(HttpResponse::Ok().json(json!({"records": records})))
}
