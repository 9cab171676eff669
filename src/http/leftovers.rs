//! What went wrong and waits for people: they inspect it, do it again, or discard it with a reason.

use std::fmt;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tertulia_actors::domain::Channel;
use tertulia_actors::ports::store::Admission;

use super::auth::operator;
use super::body::{expect_no_more, read_json, read_object};
use super::console::{Deed, Operator, Reason, Role, audited, note_reading};
use super::conversations::{limit, query};
use super::problem::Problem;
use super::state::HttpState;

/// How many are dealt with in one transaction.
const AT_ONCE_MAX: usize = 500;

#[derive(Deserialize)]
struct NumberedPage {
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

/// Which are meant, by their numbers, and why.
struct Chosen {
    ids: Vec<i64>,
    reason: Reason,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.ids))
    }
}

/// The first numbers, and how many more there are: an entry of the audit log stays short.
fn shown(ids: &[i64]) -> String {
    const SHOWN_MAX: usize = 20;
    let some: Vec<_> = ids.iter().take(SHOWN_MAX).map(i64::to_string).collect();
    match ids.len().saturating_sub(SHOWN_MAX) {
        0 => some.join(","),
        more => format!("{} and {more} more", some.join(",")),
    }
}

/// Reads a list of numbers.
fn read_ids(ids: &[Value]) -> Result<Vec<i64>, Problem> {
    if !(1..=AT_ONCE_MAX).contains(&ids.len()) {
        return Err(Problem::invalid("ids", format!("expects a list of 1 to {AT_ONCE_MAX} numbers")));
    }
    let ids: Option<Vec<i64>> = ids.iter().map(Value::as_i64).collect();
    ids.ok_or_else(|| Problem::invalid("ids", "not all are whole numbers"))
}

async fn chosen(
    request: &HttpRequest,
    payload: web::Payload,
    state: &HttpState,
    who: &Operator,
) -> Result<Chosen, Problem> {
    let body = read_json(request, payload, &state.settings.server).await?;
    choose(who, read_object(&body)?)
}

fn choose(who: &Operator, mut fields: Map<String, Value>) -> Result<Chosen, Problem> {
    let reason = Reason::take(who, &mut fields)?;
    let Some(Value::Array(ids)) = fields.remove("ids") else {
        return Err(Problem::invalid("ids", format!("expects a list of 1 to {AT_ONCE_MAX} numbers")));
    };
    expect_no_more(&fields, "ids, reason")?;
    Ok(Chosen { ids: read_ids(&ids)?, reason })
}

#[derive(Deserialize)]
struct QuarantinePage {
    before: Option<i64>,
    limit: Option<usize>,
}

/// Which dead letters are replayed.
#[derive(PartialEq, Eq, Debug)]
enum Letters {
    All,
    Ids(Vec<i64>),
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Ids(ids) => f.write_str(&shown(ids)),
        }
    }
}

/// Messages that failed alone, oldest first.
pub(super) async fn dead_letters(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page: NumberedPage = query(&request)?;
    note_reading(&state, &who, "dead-letters").await?;
    let letters = state.stored(state.store.dead_letters(page.after, limit(page.limit)?)).await?;
    Ok(HttpResponse::Ok().json(json!({"dead_letters": letters})))
}

/// Makes dead letters pending again.
pub(super) async fn replay(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let body = read_json(&request, payload, &state.settings.server).await?;
    let mut fields = read_object(&body)?;
    let reason = Reason::take(&who, &mut fields)?;
    let chosen = choose_letters(fields)?;
    let target = format!("dead-letters/{chosen}");
    let replay = async || match chosen {
        Letters::Ids(ids) => state.stored(state.store.replay(ids)).await,
        Letters::All => replay_all(&state).await,
    };
    let deed = Deed { action: "replay", target: &target, reason, is_urgent: false };
    let replayed = audited(&state, &who, deed, replay).await?;
    Ok(HttpResponse::Ok().json(json!({"replayed": replayed})))
}

/// Replays page by page those that are dead-lettered now. The cursor moves on, so that one that fails again at once is not
/// replayed again.
async fn replay_all(state: &HttpState) -> Result<usize, Problem> {
    let (mut after, mut replayed) = (i64::MIN, 0);
    loop {
        let page = state.stored(state.store.dead_letters(after, AT_ONCE_MAX)).await?;
        let ids: Vec<i64> = page.iter().map(|letter| letter.id).collect();
        let Some(last) = ids.last() else { return Ok(replayed) };
        after = *last;
        replayed += state.stored(state.store.replay(ids)).await?;
    }
}

fn choose_letters(mut fields: Map<String, Value>) -> Result<Letters, Problem> {
    let (ids, all) = (fields.remove("ids"), fields.remove("all"));
    expect_no_more(&fields, "ids, all, reason")?;
    match (ids, all) {
        (None, Some(Value::Bool(true))) => Ok(Letters::All),
        (Some(Value::Array(ids)), None) => read_ids(&ids).map(Letters::Ids),
        (Some(_), None) => Err(Problem::invalid("ids", "expects a list of numbers")),
        (None, _) => Err(Problem::invalid("ids", "either ids or all: true is expected")),
        (Some(_), Some(_)) => Err(Problem::invalid("all", "ids are given already")),
    }
}

/// Bodies that were signed but not understood, newest first.
pub(super) async fn quarantine(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let QuarantinePage { before, limit: rows } = query(&request)?;
    let rows = limit(rows)?;
    note_reading(&state, &who, "quarantine").await?;
    let bodies = state.stored(state.store.quarantined(before, rows)).await?;
    Ok(HttpResponse::Ok().json(json!({"quarantined": bodies})))
}

/// Lets dead letters end.
pub(super) async fn discard_letters(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let chosen = chosen(&request, payload, &state, &who).await?;
    let target = format!("dead-letters/{chosen}");
    let why = chosen.reason.text(&who);
    let deed = Deed { action: "discard", target: &target, reason: chosen.reason, is_urgent: false };
    let act = || state.stored(state.store.discard_dead_letters(chosen.ids, why));
    let discarded = audited(&state, &who, deed, act).await?;
    Ok(HttpResponse::Ok().json(json!({ "discarded": discarded })))
}

/// Removes quarantined bodies.
pub(super) async fn discard_quarantined(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let chosen = chosen(&request, payload, &state, &who).await?;
    let target = format!("quarantine/{chosen}");
    let deed = Deed { action: "discard", target: &target, reason: chosen.reason, is_urgent: false };
    let act = || state.stored(state.store.discard_quarantined(chosen.ids));
    let discarded = audited(&state, &who, deed, act).await?;
    Ok(HttpResponse::Ok().json(json!({ "discarded": discarded })))
}

/// Reads quarantined bodies once more, as a newer program may understand them, and removes those that it does.
pub(super) async fn replay_quarantined(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let chosen = chosen(&request, payload, &state, &who).await?;
    let target = format!("quarantine/{chosen}");
    let deed = Deed { action: "replay", target: &target, reason: chosen.reason, is_urgent: false };
    let replayed = audited(&state, &who, deed, || read_again(&state, chosen.ids)).await?;
    Ok(HttpResponse::Ok().json(replayed))
}

/// A body that is understood in all is stored, each message once, and leaves; of any other nothing is stored. A message that was written
/// so long ago that its key is forgotten is stored as stale, as it would be if it came now, and not answered.
async fn read_again(state: &HttpState, mut ids: Vec<i64>) -> Result<Value, Problem> {
    let disabled =
        || Problem::new(409, "channel_disabled", "the channel of these bodies is not enabled here");
    let reader = state.whatsapp.as_deref().ok_or_else(disabled)?;
    ids.sort_unstable();
    ids.dedup();
    let (mut replayed, mut left) = (vec![], vec![]);
    for id in ids {
        let found = state.stored(state.store.quarantined_body(id)).await?;
        let body = found.and_then(|(channel, body)| (channel == Channel::Whatsapp).then_some(body));
        let admission = body.map(|body| reader.read(&body, state.admissions.receipts()));
        let understood = admission
            .filter(|admission| admission.quarantined.is_empty() && *admission != Admission::default());
        let Some(admission) = understood else {
            left.push(id);
            continue;
        };
        // What was replayed before is told beside what failed.
        if let Err(error) = state.admissions.admit(admission).await {
            let done = shown(&replayed);
            return Err(state.problem(&error).after(&format!("bodies replayed before: {done}")));
        }
        state.stored(state.store.discard_quarantined(vec![id])).await?;
        replayed.push(id);
    }
    Ok(json!({ "replayed": replayed, "not_understood": left }))
}

/// Parts of replies of which nobody knows whether they arrived.
pub(super) async fn ambiguous(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page: NumberedPage = query(&request)?;
    note_reading(&state, &who, "ambiguous").await?;
    let parts = state.stored(state.store.ambiguous(page.after, limit(page.limit)?)).await?;
    Ok(HttpResponse::Ok().json(json!({ "parts": parts })))
}

/// Sends ambiguous parts again.
pub(super) async fn resend(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let chosen = chosen(&request, payload, &state, &who).await?;
    let target = format!("ambiguous/{chosen}");
    let deed = Deed { action: "resend", target: &target, reason: chosen.reason, is_urgent: false };
    let resent = audited(&state, &who, deed, || state.stored(state.store.resend(chosen.ids))).await?;
    Ok(HttpResponse::Ok().json(json!({ "resent": resent })))
}

/// Gives ambiguous parts up.
pub(super) async fn discard_ambiguous(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let chosen = chosen(&request, payload, &state, &who).await?;
    let target = format!("ambiguous/{chosen}");
    let why = chosen.reason.text(&who);
    let deed = Deed { action: "discard", target: &target, reason: chosen.reason, is_urgent: false };
    let act = || state.stored(state.store.discard_ambiguous(chosen.ids, why));
    let discarded = audited(&state, &who, deed, act).await?;
    Ok(HttpResponse::Ok().json(json!({ "discarded": discarded })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<i64>, Problem> {
        let who = Operator { name: "token".into(), role: Role::Admin, session: None };
        choose(&who, serde_json::from_str(body).unwrap()).map(|chosen| chosen.ids)
    }

    #[test]
    fn what_is_meant_is_named_by_numbers() {
        assert_eq!(read(r#"{"ids":[3,1],"reason":"spam"}"#), Ok(vec![3, 1]));
        for wrong in
            [r#"{}"#, r#"{"ids":[]}"#, r#"{"ids":["1"]}"#, r#"{"ids":1}"#, r#"{"ids":[1],"all":true}"#]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let many = format!("{{\"ids\":{:?}}}", (0..501).collect::<Vec<i64>>());
        assert!(read(&many).is_err());
    }

    #[test]
    fn an_entry_of_the_log_names_the_first_of_many() {
        assert_eq!(shown(&[1, 2]), "1,2");
        assert!(shown(&(0..30).collect::<Vec<_>>()).ends_with("18,19 and 10 more"));
    }

    #[test]
    fn dead_letters_are_chosen_by_ids_or_all_at_once() {
        let read = |body: &str| choose_letters(serde_json::from_str(body).unwrap());
        assert_eq!(read(r#"{"ids":[1,2]}"#), Ok(Letters::Ids(vec![1, 2])));
        assert_eq!(read(r#"{"all":true}"#), Ok(Letters::All));
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
