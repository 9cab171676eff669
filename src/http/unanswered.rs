//! What people asked and no stored answer fitted, ranked by how often.

use std::collections::HashMap;

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::Serialize;
use tertulia_actors::ports::store::{NearestEntry, UnansweredTurn};

use super::answer::Json;
use super::auth::operator;
use super::console::{Role, note_reading};
use super::conversations::{Page, limit};
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;

/// The last turns that are looked at.
const TURNS_MAX: usize = 5_000;

/// A question that several people may have put.
#[derive(PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnansweredQuestion")]
struct Unanswered {
    /// As it was put the last time.
    text: String,
    /// Its language.
    language: Option<String>,
    /// By how many turns.
    times: usize,
    /// What was nearest then.
    nearest: Option<NearestEntry>,
}

/// Questions that no stored answer fitted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UnansweredQuestions")]
pub(super) struct Questions {
    /// The most frequent first.
    questions: Vec<Unanswered>,
}

/// Questions of late that no stored answer fitted, the most frequent first.
pub(super) async fn list(
    request: HttpRequest,
    query: Query<Page>,
    state: web::Data<HttpState>,
) -> Result<Json<Questions>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let limit = limit(query.read()?.limit)?;
    note_reading(&state, &who, "unanswered").await?;
    let turns = state.stored(state.store.unanswered(TURNS_MAX)).await?;
    let mut questions = rank(turns);
    questions.truncate(limit);
    Ok(Json(Questions { questions }))
}

/// Puts together what was asked in the same words, whatever their case and punctuation; the turns come newest first. Pure.
fn rank(turns: Vec<UnansweredTurn>) -> Vec<Unanswered> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut questions: Vec<Unanswered> = vec![];
    for UnansweredTurn { text, language, nearest } in turns {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        if words.is_empty() {
            continue;
        }
        let place = *places.entry(words.join(" ")).or_insert(questions.len());
        match questions.get_mut(place) {
            Some(question) => question.times += 1,
            None => questions.push(Unanswered { text, language, times: 1, nearest }),
        }
    }
    // Stable: of equally frequent ones the newest is first.
    questions.sort_by_key(|question| std::cmp::Reverse(question.times));
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(text: &str) -> UnansweredTurn {
        UnansweredTurn { text: text.into(), language: Some("en".into()), nearest: None }
    }

    #[test]
    fn the_same_words_are_one_question_and_the_most_frequent_comes_first() {
        let turns = ["Refund?", "Do you ship to Mars", "refund", "…", "REFUND!", "متى تفتحون؟", "متى تفتحون"];
        let ranked = rank(turns.map(turn).into());
        let told: Vec<_> = ranked.iter().map(|question| (question.text.as_str(), question.times)).collect();
        assert_eq!(told, [("Refund?", 3), ("متى تفتحون؟", 2), ("Do you ship to Mars", 1)]);
    }
}
