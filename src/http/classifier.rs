//! The examples of the classes: listed, added and removed by the people who supervise, who also say of turns what they really were.

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::{Class, ConversationId, TurnId};
use tertulia_actors::ports::{ClassExample, Corrected, ExampleRow};

use super::answer::Json;
use super::auth::operator;
use super::body::Body;
use super::console::{Role, by_people, note_reading};
use super::conversations::{LIMIT_MAX, limit};
use super::parameters::{Path, Query};
use super::problem::Problem;
use super::state::{HttpState, no_such_conversation};
use super::trace::note_conversation;

/// Examples of one request, which are written in one commit: messages wait for it.
const EXAMPLES_MAX: usize = 100;

/// A page of examples.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Page {
    /// The number behind which it begins: `next` of the page before.
    #[serde(default)]
    after: i64,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// Which example.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Numbered {
    /// The number of the example.
    id: i64,
}

/// What a turn really was.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RightClass")]
pub(super) struct Right {
    /// The class that it was of.
    class: Class,
}

/// A page of examples.
#[derive(Serialize, JsonSchema)]
pub(super) struct Examples {
    /// In the order of their numbers, with those that cannot be read.
    examples: Vec<ExampleRow>,
    /// `after` of the next page; none where this is the last one.
    next: Option<i64>,
}

/// How many examples were added.
#[derive(Serialize, JsonSchema)]
pub(super) struct Added {
    /// How many.
    added: usize,
}

/// How many were removed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Removed {
    /// How many; 0 where there was none.
    pub(super) removed: usize,
}

/// A page of examples, with those that cannot be read, and where the next one begins.
pub(super) async fn list(
    request: HttpRequest,
    query: Query<Page>,
    state: web::Data<HttpState>,
) -> Result<Json<Examples>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page = query.read()?;
    let limit = limit(page.limit)?;
    note_reading(&state, &who, "classifier/examples").await?;
    let examples = state.stored(state.examples.list(page.after, limit)).await?;
    let next = examples.last().filter(|_| examples.len() == limit).map(ExampleRow::id);
    Ok(Json(Examples { examples, next }))
}

/// Adds examples; of texts with the same words the latest is kept.
pub(super) async fn add(
    request: HttpRequest,
    body: Body<Vec<ClassExample>>,
    state: web::Data<HttpState>,
) -> Result<Json<Added>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_examples", "a list of examples");
    let examples = body.read(&state.settings.server, expected).await?;
    if examples.len() > EXAMPLES_MAX {
        return Err(Problem::new(422, "invalid_examples", format!("send at most {EXAMPLES_MAX} at a time")));
    }
    let target = format!("classifier, {} examples", examples.len());
    let put = || state.stored(state.examples.put(examples));
    let added = by_people(&state, &who, "import", &target, put).await?;
    tracing::info!(examples = added, "examples of the classes were added");
    Ok(Json(Added { added }))
}

/// Removes an example by its number.
pub(super) async fn remove(
    request: HttpRequest,
    query: Query<Numbered>,
    state: web::Data<HttpState>,
) -> Result<Json<Removed>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let Numbered { id } = query.read()?;
    let target = format!("classifier/examples/{id}");
    let remove = || state.stored(state.examples.remove(vec![id]));
    let removed = by_people(&state, &who, "remove", &target, remove).await?;
    tracing::info!(example.id = id, removed, "an example of a class was removed");
    Ok(Json(Removed { removed }))
}

/// Makes the text of a turn an example of what it really was. The turn itself stays as it was answered.
pub(super) async fn correct(
    request: HttpRequest,
    conversation: Path<ConversationId>,
    turn: Path<TurnId, 1>,
    body: Body<Right>,
    state: web::Data<HttpState>,
) -> Result<Json<Corrected>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let conversation: ConversationId = conversation.parse().map_err(|_| no_such_conversation())?;
    let turn: TurnId = turn.parse().map_err(|_| no_such_turn())?;
    note_conversation(conversation);
    let expected = ("invalid_class", "{\"class\": one of the classes}");
    let Right { class } = body.read(&state.settings.server, expected).await?;
    let target = format!("conversations/{conversation}/turns/{turn}, {class}");
    let correct = async || {
        let corrected = state.stored(state.examples.correct(conversation, turn, class)).await?;
        corrected.ok_or_else(no_such_turn)
    };
    let corrected = by_people(&state, &who, "correct", &target, correct).await?;
    // Who did what, and to which turn; never what was written.
    tracing::info!(
        conversation.id = %conversation,
        turn.id = %turn,
        was = corrected.was.as_deref().unwrap_or("none"),
        class = %class,
        example.id = corrected.example,
        "an operator corrected the class of a turn"
    );
    Ok(Json(corrected))
}

fn no_such_turn() -> Problem {
    Problem::not_found("the conversation has no such turn")
}
