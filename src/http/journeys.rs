//! How turns came to their answers: a list of them, and one from its first message to the last delivery status.

mod waterfall;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tertulia_actors::domain::{ConversationId, Journey};
use tertulia_actors::ports::store::{JourneyFilter, JourneyRow, JourneyView};

use super::auth::operator;
use super::console::{Role, note_reading};
use super::conversations::{limit, query};
use super::problem::Problem;
use super::state::HttpState;
use super::trace::note_conversation;

/// The longest text that is looked for, in bytes.
const TEXT_MAX_BYTES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    conversation: Option<ConversationId>,
    #[serde(default)]
    failed: bool,
    slow_ms: Option<u64>,
    #[serde(default)]
    ambiguous: bool,
    #[serde(default)]
    degraded: bool,
    #[serde(default)]
    needs_human: bool,
    class: Option<String>,
    language: Option<String>,
    text: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// Journeys, the newest first. What people wrote is looked through only for those who may read it.
pub(super) async fn list(request: HttpRequest, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let asked: Asked = query(&request)?;
    let needed = if asked.text.is_some() { Role::Operator } else { Role::Viewer };
    let who = operator(&request, &state, needed)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let Asked {
        conversation,
        failed,
        slow_ms,
        ambiguous,
        degraded,
        needs_human,
        class,
        language,
        text,
        before,
        ..
    } = asked;
    let text = given(text);
    if text.as_ref().is_some_and(|text| text.len() > TEXT_MAX_BYTES) {
        return Err(Problem::query(format!("text is longer than {TEXT_MAX_BYTES} bytes")));
    }
    if text.is_some() {
        note_reading(&state, &who, "journeys").await?;
    }
    let (class, language) = (given(class), given(language));
    let filter = JourneyFilter {
        conversation,
        failed,
        slow_ms,
        ambiguous,
        degraded,
        needs_human,
        class,
        language,
        text,
    };
    let mut page = state.stored(state.store.journeys(filter, before, limit(asked.limit)?)).await?;
    if who.role == Role::Viewer {
        page.journeys.iter_mut().for_each(hide_reason);
    }
    Ok(HttpResponse::Ok().json(page))
}

/// One journey, with its steps on one timeline.
pub(super) async fn show(
    request: HttpRequest,
    position: web::Path<i64>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let found = state.stored(state.store.journey(*position)).await?;
    let mut journey = found.ok_or_else(|| Problem::not_found("there is no such turn"))?;
    note_conversation(journey.row.conversation);
    if who.role == Role::Viewer {
        hide_errors(&mut journey);
    }
    let steps = waterfall::steps(&journey);
    Ok(HttpResponse::Ok().json(json!({"turn": journey, "steps": steps})))
}

/// What stands in the place of what is not for a viewer.
const HIDDEN: &str = "not for your role";

/// How turns end, as it stands before a reason.
const OUTCOMES: [&str; 4] = ["answered", "suppressed", "dead_lettered", "operator"];

/// How a turn ended, without why: an error of a service elsewhere may quote what it was asked, and who answers is not for everybody.
pub(super) fn without_reason(outcome: Option<&str>) -> Option<String> {
    let kind = outcome?.split(": ").next()?;
    OUTCOMES.contains(&kind).then(|| kind.to_owned())
}

/// A journey without what errors say.
pub(super) fn without_errors(journey: &mut Journey) {
    for step in journey.steps.iter_mut().filter(|step| step.detail.is_string()) {
        step.detail = HIDDEN.into();
    }
}

fn hide_reason(row: &mut JourneyRow) {
    row.outcome = without_reason(row.outcome.as_deref());
}

/// The same for all that a journey holds of errors.
fn hide_errors(view: &mut JourneyView) {
    hide_reason(&mut view.row);
    without_errors(&mut view.journey);
    for part in &mut view.reply {
        part.error = part.error.as_ref().map(|_| HIDDEN.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_learns_how_a_turn_ended_and_not_why() {
        for (outcome, shown) in [
            (Some("answered"), Some("answered")),
            (Some("suppressed: taken over by ana"), Some("suppressed")),
            (Some("dead_lettered: it said: my number is 5"), Some("dead_lettered")),
            (Some("operator: ana"), Some("operator")),
            // Of a turn that waits, the reason stands alone.
            (Some("the model is unavailable: my number is 5"), None),
            (Some("no answer"), None),
            (None, None),
        ] {
            assert_eq!(without_reason(outcome).as_deref(), shown, "{outcome:?}");
        }
    }
}
