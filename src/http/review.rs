//! What people look through: conversations, found by name or since they need somebody, and what turns recorded for them.

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::ConversationId;
use tertulia_actors::ports::store::{ConversationView, RecordView};

use super::answer::Json;
use super::auth::operator;
use super::console::{Role, note_reading};
use super::conversations::{LIMIT_MAX, limit};
use super::leftovers::NumberedPage;
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;

/// The longest id, phone number, BSUID or handle that is looked for, in bytes.
const NAME_MAX_BYTES: usize = 200;

/// Which conversations are looked for: either those that need a person, or those that are called as told.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ConversationsPage {
    /// `true`: conversations that a person should look at.
    needs_human: Option<bool>,
    /// How the id, the phone number, the BSUID or the handle begins; at most 200 bytes.
    q: Option<String>,
    /// The conversation behind which the page begins: the last one of the page before.
    after: Option<ConversationId>,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// A page of conversations.
#[derive(Serialize, JsonSchema)]
pub(super) struct Conversations {
    /// In the order in which they began, or of their ids where they were looked for by `q`.
    conversations: Vec<ConversationView>,
}

/// A page of records.
#[derive(Serialize, JsonSchema)]
pub(super) struct Records {
    /// The oldest first.
    records: Vec<RecordView>,
}

/// Conversations that a person should look at, in the order in which they began, or that are called as told.
pub(super) async fn conversations(
    request: HttpRequest,
    query: Query<ConversationsPage>,
    state: web::Data<HttpState>,
) -> Result<Json<Conversations>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let ConversationsPage { needs_human, q, after, limit: rows } = query.read()?;
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
    Ok(Json(Conversations { conversations: found }))
}

/// Complaints, suggestions and answers to templates, oldest first.
pub(super) async fn records(
    request: HttpRequest,
    query: Query<NumberedPage>,
    state: web::Data<HttpState>,
) -> Result<Json<Records>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page = query.read()?;
    note_reading(&state, &who, "records").await?;
    let records = state.stored(state.store.records(page.after, limit(page.limit)?)).await?;
    Ok(Json(Records { records }))
}
