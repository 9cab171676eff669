//! How turns came to their answers: a list of them, and one from its first message to the last delivery status.

mod waterfall;

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::{ConversationId, Journey};
use tertulia_actors::ports::store::{JourneyFilter, JourneyPage, JourneyRow, JourneyView};

use super::answer::Json;
use super::auth::operator;
use super::console::{Role, note_reading};
use super::conversations::{LIMIT_MAX, limit};
use super::parameters::{Path, Query};
use super::problem::Problem;
use super::state::HttpState;
use super::trace::note_conversation;
use waterfall::StepView;

/// The longest text that is looked for, in bytes.
const TEXT_MAX_BYTES: usize = 200;

/// Which journeys are looked for: those to which all of this applies.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Whose.
    conversation: Option<ConversationId>,
    /// A start of the turn failed, its message was dead-lettered, it was dissolved, or a part of its reply failed.
    #[serde(default)]
    failed: bool,
    /// From its start to its answer it took as many milliseconds at the least.
    slow_ms: Option<u64>,
    /// A part of its reply is ambiguous.
    #[serde(default)]
    ambiguous: bool,
    /// Something was missing, and the answer came from what was left.
    #[serde(default)]
    degraded: bool,
    /// Its conversation needs a person.
    #[serde(default)]
    needs_human: bool,
    /// Its class.
    class: Option<String>,
    /// Its language.
    language: Option<String>,
    /// A message of it holds this text, in whatever case where it is ASCII; at most 200 bytes. Takes the role operator.
    text: Option<String>,
    /// The place before which the page begins: `next` of the page before.
    before: Option<i64>,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// A journey, and its steps on one timeline.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyShown")]
pub(super) struct Shown {
    /// The turn.
    turn: JourneyView,
    /// In the order in which they began.
    steps: Vec<StepView>,
}

/// Journeys, the newest first. What people wrote is looked through only for those who may read it.
pub(super) async fn list(
    request: HttpRequest,
    query: Query<Asked>,
    state: web::Data<HttpState>,
) -> Result<Json<JourneyPage>, Problem> {
    let asked = query.read()?;
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
    Ok(Json(page))
}

/// One journey, with its steps on one timeline.
pub(super) async fn show(
    request: HttpRequest,
    position: Path<i64>,
    state: web::Data<HttpState>,
) -> Result<Json<Shown>, Problem> {
    let who = operator(&request, &state, Role::Viewer)?;
    let no_such_turn = || Problem::not_found("there is no such turn");
    let position = position.parse().map_err(|_| no_such_turn())?;
    let found = state.stored(state.store.journey(position)).await?;
    let mut journey = found.ok_or_else(no_such_turn)?;
    note_conversation(journey.row.conversation);
    if who.role == Role::Viewer {
        hide_errors(&mut journey);
    }
    let steps = waterfall::steps(&journey);
    Ok(Json(Shown { turn: journey, steps }))
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
