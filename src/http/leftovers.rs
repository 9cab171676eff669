//! What went wrong and waits for people: they inspect it, do it again, or discard it with a reason.

use std::fmt;

use actix_web::{HttpRequest, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tertulia_actors::domain::Channel;
use tertulia_actors::ports::store::{Admission, AmbiguousPart, DeadLetter, QuarantineView};

use super::answer::Json;
use super::auth::operator;
use super::body::{Body, expect_no_more};
use super::console::{Deed, Operator, REASON_MAX_CHARS, Reason, Role, audited, note_reading};
use super::conversations::{LIMIT_MAX, limit};
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;

/// How many are dealt with in one transaction.
const AT_ONCE_MAX: usize = 500;

/// A page of what is numbered.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NumberedPage {
    /// The number behind which it begins: that of the last row of the page before.
    #[serde(default)]
    pub(super) after: i64,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    pub(super) limit: Option<usize>,
}

/// Which are meant, by their numbers, and why.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Chosen {
    /// Their numbers, as the list shows them. One that is not there, or is something else by now, refuses the whole request.
    #[schemars(length(min = 1, max = AT_ONCE_MAX))]
    ids: Vec<i64>,
    /// Why: kept in the audit log. Who has signed in must say it.
    #[schemars(with = "Option<String>", length(max = REASON_MAX_CHARS))]
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

async fn chosen(body: Body<Chosen>, state: &HttpState, who: &Operator) -> Result<Chosen, Problem> {
    choose(who, body.fields(&state.settings.server).await?)
}

fn choose(who: &Operator, mut fields: Map<String, Value>) -> Result<Chosen, Problem> {
    let reason = Reason::take(who, &mut fields)?;
    let Some(Value::Array(ids)) = fields.remove("ids") else {
        return Err(Problem::invalid("ids", format!("expects a list of 1 to {AT_ONCE_MAX} numbers")));
    };
    expect_no_more(&fields, "ids, reason")?;
    Ok(Chosen { ids: read_ids(&ids)?, reason })
}

/// A page of what is numbered, the newest first.
#[derive(Deserialize, JsonSchema)]
pub(super) struct QuarantinePage {
    /// The number before which it begins: that of the last row of the page before.
    before: Option<i64>,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// Which dead letters are replayed, and why.
#[derive(JsonSchema)]
pub(super) struct ChosenLetters {
    #[schemars(flatten)]
    letters: Letters,
    /// Why: kept in the audit log. Who has signed in must say it.
    #[schemars(with = "Option<String>", length(max = REASON_MAX_CHARS))]
    reason: Reason,
}

/// Which dead letters are replayed.
#[derive(PartialEq, Eq, Debug, JsonSchema)]
#[schemars(untagged)]
enum Letters {
    /// All that there are now.
    All {
        /// `true`.
        #[schemars(schema_with = "only_true")]
        all: bool,
    },
    /// Those of these numbers.
    Ids {
        /// Their numbers, as the list shows them.
        #[schemars(length(min = 1, max = AT_ONCE_MAX))]
        ids: Vec<i64>,
    },
}

fn only_true(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "boolean", "const": true})
}

/// Messages that failed alone.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeadLetters {
    /// The oldest first.
    dead_letters: Vec<DeadLetter>,
}

/// How many are pending again.
#[derive(Serialize, JsonSchema)]
pub(super) struct Replayed {
    /// How many.
    replayed: usize,
}

/// Bodies that were signed and not understood.
#[derive(Serialize, JsonSchema)]
pub(super) struct Quarantined {
    /// The newest first.
    quarantined: Vec<QuarantineView>,
}

/// How many were given up.
#[derive(Serialize, JsonSchema)]
pub(super) struct Discarded {
    /// How many.
    discarded: usize,
}

/// What came of reading quarantined bodies again.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReadAgain {
    /// The numbers of those that were understood; their messages are stored, and the bodies are gone.
    replayed: Vec<i64>,
    /// The numbers of those that are not understood still.
    not_understood: Vec<i64>,
}

/// Parts of replies of which nobody knows whether they arrived.
#[derive(Serialize, JsonSchema)]
pub(super) struct AmbiguousParts {
    /// In the order in which they were stored.
    parts: Vec<AmbiguousPart>,
}

/// How many parts are sent again.
#[derive(Serialize, JsonSchema)]
pub(super) struct Resent {
    /// How many.
    resent: usize,
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { .. } => f.write_str("all"),
            Self::Ids { ids } => f.write_str(&shown(ids)),
        }
    }
}

/// Messages that failed alone, oldest first.
pub(super) async fn dead_letters(
    request: HttpRequest,
    query: Query<NumberedPage>,
    state: web::Data<HttpState>,
) -> Result<Json<DeadLetters>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page = query.read()?;
    note_reading(&state, &who, "dead-letters").await?;
    let letters = state.stored(state.store.dead_letters(page.after, limit(page.limit)?)).await?;
    Ok(Json(DeadLetters { dead_letters: letters }))
}

/// Makes dead letters pending again.
pub(super) async fn replay(
    request: HttpRequest,
    body: Body<ChosenLetters>,
    state: web::Data<HttpState>,
) -> Result<Json<Replayed>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let fields = body.fields(&state.settings.server).await?;
    let ChosenLetters { letters, reason } = chosen_letters(&who, fields)?;
    let target = format!("dead-letters/{letters}");
    let replay = async || match letters {
        Letters::Ids { ids } => state.stored(state.store.replay(ids)).await,
        Letters::All { .. } => replay_all(&state).await,
    };
    let deed = Deed { action: "replay", target: &target, reason, is_urgent: false };
    let replayed = audited(&state, &who, deed, replay).await?;
    Ok(Json(Replayed { replayed }))
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

fn chosen_letters(who: &Operator, mut fields: Map<String, Value>) -> Result<ChosenLetters, Problem> {
    let reason = Reason::take(who, &mut fields)?;
    Ok(ChosenLetters { letters: choose_letters(fields)?, reason })
}

fn choose_letters(mut fields: Map<String, Value>) -> Result<Letters, Problem> {
    let (ids, all) = (fields.remove("ids"), fields.remove("all"));
    expect_no_more(&fields, "ids, all, reason")?;
    match (ids, all) {
        (None, Some(Value::Bool(true))) => Ok(Letters::All { all: true }),
        (Some(Value::Array(ids)), None) => Ok(Letters::Ids { ids: read_ids(&ids)? }),
        (Some(_), None) => Err(Problem::invalid("ids", "expects a list of numbers")),
        (None, _) => Err(Problem::invalid("ids", "either ids or all: true is expected")),
        (Some(_), Some(_)) => Err(Problem::invalid("all", "ids are given already")),
    }
}

/// Bodies that were signed but not understood, newest first.
pub(super) async fn quarantine(
    request: HttpRequest,
    query: Query<QuarantinePage>,
    state: web::Data<HttpState>,
) -> Result<Json<Quarantined>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let QuarantinePage { before, limit: rows } = query.read()?;
    let rows = limit(rows)?;
    note_reading(&state, &who, "quarantine").await?;
    let bodies = state.stored(state.store.quarantined(before, rows)).await?;
    Ok(Json(Quarantined { quarantined: bodies }))
}

/// Lets dead letters end.
pub(super) async fn discard_letters(
    request: HttpRequest,
    body: Body<Chosen>,
    state: web::Data<HttpState>,
) -> Result<Json<Discarded>, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let chosen = chosen(body, &state, &who).await?;
    let target = format!("dead-letters/{chosen}");
    let why = chosen.reason.text(&who);
    let deed = Deed { action: "discard", target: &target, reason: chosen.reason, is_urgent: false };
    let act = || state.stored(state.store.discard_dead_letters(chosen.ids, why));
    let discarded = audited(&state, &who, deed, act).await?;
    Ok(Json(Discarded { discarded }))
}

/// Removes quarantined bodies.
pub(super) async fn discard_quarantined(
    request: HttpRequest,
    body: Body<Chosen>,
    state: web::Data<HttpState>,
) -> Result<Json<Discarded>, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let chosen = chosen(body, &state, &who).await?;
    let target = format!("quarantine/{chosen}");
    let deed = Deed { action: "discard", target: &target, reason: chosen.reason, is_urgent: false };
    let act = || state.stored(state.store.discard_quarantined(chosen.ids));
    let discarded = audited(&state, &who, deed, act).await?;
    Ok(Json(Discarded { discarded }))
}

/// Reads quarantined bodies once more, as a newer program may understand them, and removes those that it does.
pub(super) async fn replay_quarantined(
    request: HttpRequest,
    body: Body<Chosen>,
    state: web::Data<HttpState>,
) -> Result<Json<ReadAgain>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let chosen = chosen(body, &state, &who).await?;
    let target = format!("quarantine/{chosen}");
    let deed = Deed { action: "replay", target: &target, reason: chosen.reason, is_urgent: false };
    let replayed = audited(&state, &who, deed, || read_again(&state, chosen.ids)).await?;
    Ok(Json(replayed))
}

/// A body that is understood in all is stored, each message once, and leaves; of any other nothing is stored. A message that was written
/// so long ago that its key is forgotten is stored as stale, as it would be if it came now, and not answered.
async fn read_again(state: &HttpState, mut ids: Vec<i64>) -> Result<ReadAgain, Problem> {
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
    Ok(ReadAgain { replayed, not_understood: left })
}

/// Parts of replies of which nobody knows whether they arrived.
pub(super) async fn ambiguous(
    request: HttpRequest,
    query: Query<NumberedPage>,
    state: web::Data<HttpState>,
) -> Result<Json<AmbiguousParts>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page = query.read()?;
    note_reading(&state, &who, "ambiguous").await?;
    let parts = state.stored(state.store.ambiguous(page.after, limit(page.limit)?)).await?;
    Ok(Json(AmbiguousParts { parts }))
}

/// Sends ambiguous parts again.
pub(super) async fn resend(
    request: HttpRequest,
    body: Body<Chosen>,
    state: web::Data<HttpState>,
) -> Result<Json<Resent>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let chosen = chosen(body, &state, &who).await?;
    let target = format!("ambiguous/{chosen}");
    let deed = Deed { action: "resend", target: &target, reason: chosen.reason, is_urgent: false };
    let resent = audited(&state, &who, deed, || state.stored(state.store.resend(chosen.ids))).await?;
    Ok(Json(Resent { resent }))
}

/// Gives ambiguous parts up.
pub(super) async fn discard_ambiguous(
    request: HttpRequest,
    body: Body<Chosen>,
    state: web::Data<HttpState>,
) -> Result<Json<Discarded>, Problem> {
    let who = operator(&request, &state, Role::Admin)?;
    let chosen = chosen(body, &state, &who).await?;
    let target = format!("ambiguous/{chosen}");
    let why = chosen.reason.text(&who);
    let deed = Deed { action: "discard", target: &target, reason: chosen.reason, is_urgent: false };
    let act = || state.stored(state.store.discard_ambiguous(chosen.ids, why));
    let discarded = audited(&state, &who, deed, act).await?;
    Ok(Json(Discarded { discarded }))
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
        assert_eq!(read(r#"{"ids":[1,2]}"#), Ok(Letters::Ids { ids: vec![1, 2] }));
        assert_eq!(read(r#"{"all":true}"#), Ok(Letters::All { all: true }));
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
