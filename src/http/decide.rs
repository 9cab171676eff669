//! A question that somebody tries: its hits, and what a turn would do with them.

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::{Filter, Hit, Language};
use tertulia_actors::pipeline::decide::{Ask, Lookup, ask_texts, lookup};

use super::answer::Json;
use super::auth::operator;
use super::console::Role;
use super::knowledge::find;
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;

/// The longest question that is tried, in bytes.
const QUESTION_MAX_BYTES: usize = 8_192;

/// A question to try.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Question {
    /// The question, as a person might put it; at most 8192 bytes.
    q: String,
    /// The account whose entries answer; without it, those of all do.
    account: Option<String>,
    /// The language of the conversation; without it, the text's own is found out.
    language: Option<Language>,
}

/// What a question leads to.
#[derive(Serialize, JsonSchema)]
pub(super) struct Decided {
    /// `reply`, `skip` or `continue`.
    decision: &'static str,
    /// Why, in a sentence.
    explain: String,
    /// The entry whose answer is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    /// The best hits, the best first.
    hits: Vec<Hit>,
    /// Why what the question means was not looked at, where there is a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
}

/// The hits of a question, and whether a turn would reply with one, go on to the query service, or say nothing.
pub(super) async fn decide(
    request: HttpRequest,
    query: Query<Question>,
    state: web::Data<HttpState>,
) -> Result<Json<Decided>, Problem> {
    operator(&request, &state, Role::Viewer)?;
    let Question { q, account, language } = query.read()?;
    if q.len() > QUESTION_MAX_BYTES {
        return Err(Problem::query(format!("q is longer than {QUESTION_MAX_BYTES} bytes")));
    }
    let settings = &state.pipeline;
    if let Ask::Nothing(reason) = ask_texts(&[&q], settings) {
        let (decision, explain) = ("skip", format!("It gets no answer: {reason}."));
        return Ok(Json(Decided { decision, explain, reply: None, hits: vec![], degraded: None }));
    }
    let filter = Filter { account, at: Some(state.clock.now()), ..Filter::default() };
    let (hits, degraded) = find(&state, q, language, filter, settings.knowledge_hits).await?;
    let (decision, explain, reply) = match lookup(hits.clone(), settings) {
        Lookup::Reply(hit) => {
            let explain = format!(
                "{} scores {:.3}, and {:.2} is enough (pipeline.reply_score_min).",
                hit.entry.id, hit.score, settings.reply_score_min
            );
            ("reply", explain, Some(hit.entry.id.clone()))
        }
        Lookup::Continue(passages) => {
            let is_passage = hits.first().is_some_and(|hit| hit.score >= settings.reply_score_min);
            let why = if is_passage {
                "The best hit is a passage, which is never sent by itself".to_owned()
            } else {
                format!("No entry reaches {:.2} (pipeline.reply_score_min)", settings.reply_score_min)
            };
            let explain = format!(
                "{why}; the class decides what follows, and the query service would be shown {} of the hits.",
                passages.len()
            );
            ("continue", explain, None)
        }
    };
    Ok(Json(Decided { decision, explain, reply, hits, degraded }))
}
