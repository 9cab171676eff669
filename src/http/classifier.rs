//! The examples of the classes: listed, added and removed by the people who supervise, who also say of turns what they really were.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tertulia_actors::domain::{Class, ConversationId, TurnId};
use tertulia_actors::ports::{ClassExample, ExampleRow};

use super::auth::operator;
use super::body::read_as;
use super::console::{Role, by_people, note_reading};
use super::conversations::{limit, query};
use super::problem::Problem;
use super::state::{HttpState, no_such_conversation};
use super::trace::note_conversation;

/// Examples of one request, which are written in one commit: messages wait for it.
const EXAMPLES_MAX: usize = 100;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

/// What a turn really was.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Right {
    class: Class,
}

/// A page of examples, with those that cannot be read, and where the next one begins.
pub(super) async fn list(request: HttpRequest, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let page: Page = query(&request)?;
    let limit = limit(page.limit)?;
    note_reading(&state, &who, "classifier/examples").await?;
    let examples = state.stored(state.examples.list(page.after, limit)).await?;
    let next = examples.last().filter(|_| examples.len() == limit).map(ExampleRow::id);
    Ok(HttpResponse::Ok().json(json!({"examples": examples, "next": next})))
}

/// Adds examples; of texts with the same words the latest is kept.
pub(super) async fn add(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let expected = ("invalid_examples", "a list of examples");
    let examples: Vec<ClassExample> = read_as(&request, payload, &state.settings.server, expected).await?;
    if examples.len() > EXAMPLES_MAX {
        return Err(Problem::new(422, "invalid_examples", format!("send at most {EXAMPLES_MAX} at a time")));
    }
    let target = format!("classifier, {} examples", examples.len());
    let put = || state.stored(state.examples.put(examples));
    let added = by_people(&state, &who, "import", &target, put).await?;
    tracing::info!(examples = added, "examples of the classes were added");
    Ok(HttpResponse::Ok().json(json!({"added": added})))
}

/// Removes an example by its number.
pub(super) async fn remove(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let Numbered { id } = query(&request)?;
    let target = format!("classifier/examples/{id}");
    let remove = || state.stored(state.examples.remove(vec![id]));
    let removed = by_people(&state, &who, "remove", &target, remove).await?;
    tracing::info!(example.id = id, removed, "an example of a class was removed");
    Ok(HttpResponse::Ok().json(json!({"removed": removed})))
}

/// Makes the text of a turn an example of what it really was. The turn itself stays as it was answered.
pub(super) async fn correct(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<(String, String)>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let (conversation, turn) = path.into_inner();
    let conversation: ConversationId = conversation.parse().map_err(|_| no_such_conversation())?;
    let turn: TurnId = turn.parse().map_err(|_| no_such_turn())?;
    note_conversation(conversation);
    let expected = ("invalid_class", "{\"class\": one of the classes}");
    let Right { class } = read_as(&request, payload, &state.settings.server, expected).await?;
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
    Ok(HttpResponse::Ok().json(corrected))
}

fn no_such_turn() -> Problem {
    Problem::not_found("the conversation has no such turn")
}
