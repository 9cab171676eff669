//! What people look through: conversations that need them, what turns recorded for them, messages that failed alone, and
//! bodies that were not understood.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tertulia_actors::domain::ConversationId;

use super::auth::console;
use super::body::read_json;
use super::conversations::{limit, query};
use super::messages::read_object;
use super::problem::Problem;
use super::state::HttpState;

/// Dead letters that are replayed in one transaction.
const REPLAY_MAX: usize = 500;

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
    after: Option<ConversationId>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct QuarantinePage {
    limit: Option<usize>,
}

/// Which dead letters are replayed.
#[derive(PartialEq, Eq, Debug)]
enum Chosen {
    All,
    Ids(Vec<i64>),
}

/// Conversations that a person should look at, in the order in which they began.
pub(super) async fn conversations(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    console(&request, &state)?;
    let page: ConversationsPage = query(&request)?;
    if page.needs_human != Some(true) {
        return Err(Problem::query("needs_human=true is expected: only those conversations are listed"));
    }
    let found = state.stored(state.store.needing_human(page.after, limit(page.limit)?)).await?;
    Ok(HttpResponse::Ok().json(json!({"conversations": found})))
}

/// Complaints, suggestions and answers to templates, oldest first.
pub(super) async fn records(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    console(&request, &state)?;
    let page: NumberedPage = query(&request)?;
    let records = state.stored(state.store.records(page.after, limit(page.limit)?)).await?;
    Ok(HttpResponse::Ok().json(json!({"records": records})))
}

/// Messages that failed alone, oldest first.
pub(super) async fn dead_letters(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    console(&request, &state)?;
    let page: NumberedPage = query(&request)?;
    let letters = state.stored(state.store.dead_letters(page.after, limit(page.limit)?)).await?;
    Ok(HttpResponse::Ok().json(json!({"dead_letters": letters})))
}

/// Makes dead letters pending again.
pub(super) async fn replay(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    console(&request, &state)?;
    let body = read_json(&request, payload, &state.settings.server).await?;
    let replayed = match read_chosen(read_object(&body)?)? {
        Chosen::Ids(ids) => state.stored(state.store.replay(ids)).await?,
        Chosen::All => replay_all(&state).await?,
    };
    Ok(HttpResponse::Ok().json(json!({"replayed": replayed})))
}

/// Replays page by page those that are dead-lettered now. The cursor moves on, so that one that fails again at once is not
/// replayed again.
async fn replay_all(state: &HttpState) -> Result<usize, Problem> {
    let (mut after, mut replayed) = (i64::MIN, 0);
    loop {
        let page = state.stored(state.store.dead_letters(after, REPLAY_MAX)).await?;
        let ids: Vec<i64> = page.iter().map(|letter| letter.id).collect();
        let Some(last) = ids.last() else { return Ok(replayed) };
        after = *last;
        replayed += state.stored(state.store.replay(ids)).await?;
    }
}

fn read_chosen(mut fields: Map<String, Value>) -> Result<Chosen, Problem> {
    let (ids, all) = (fields.remove("ids"), fields.remove("all"));
    if let Some(unknown) = fields.keys().next() {
        let name: String = unknown.chars().take(50).collect();
        return Err(Problem::invalid(name, "unknown field; ids and all are known"));
    }
    match (ids, all) {
        (None, Some(Value::Bool(true))) => Ok(Chosen::All),
        (Some(Value::Array(ids)), None) if (1..=REPLAY_MAX).contains(&ids.len()) => {
            let ids: Option<Vec<i64>> = ids.iter().map(Value::as_i64).collect();
            ids.map(Chosen::Ids).ok_or_else(|| Problem::invalid("ids", "not all are whole numbers"))
        }
        (Some(_), None) => {
            Err(Problem::invalid("ids", format!("expects a list of 1 to {REPLAY_MAX} numbers")))
        }
        (None, _) => Err(Problem::invalid("ids", "either ids or all: true is expected")),
        (Some(_), Some(_)) => Err(Problem::invalid("all", "ids are given already")),
    }
}

/// Bodies that were signed but not understood, newest first.
pub(super) async fn quarantine(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    console(&request, &state)?;
    let limit = limit(query::<QuarantinePage>(&request)?.limit)?;
    let bodies = state.stored(state.store.quarantined(limit)).await?;
    Ok(HttpResponse::Ok().json(json!({"quarantined": bodies})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_chosen_by_ids_or_all_at_once() {
        let read = |body: &str| read_chosen(serde_json::from_str(body).unwrap());
        assert_eq!(read(r#"{"ids":[1,2]}"#), Ok(Chosen::Ids(vec![1, 2])));
        assert_eq!(read(r#"{"all":true}"#), Ok(Chosen::All));
        for wrong in [
            "{}",
            r#"{"all":false}"#,
            r#"{"ids":[]}"#,
            r#"{"ids":["1"]}"#,
            r#"{"ids":[1],"all":true}"#,
            r#"{"x":1}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
