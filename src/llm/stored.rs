//! What answers where no model is configured: the knowledge base alone.

use std::future::ready;

use tertulia_actors::domain::Hit;
use tertulia_actors::ports::{Answer, PortFuture, Query, QueryError, QueryService};

/// Gives the best stored answer if it fits well enough, and otherwise says that it does not know. A piece of a document is no
/// answer: it takes a model to make one of it.
#[derive(Clone, Copy, Debug)]
pub struct StoredQuery {
    score_min: f32,
}

impl StoredQuery {
    /// Gives stored answers from the score `score_min` on, 0 to 1.
    #[must_use]
    pub const fn new(score_min: f32) -> Self {
        Self { score_min }
    }

    /// The answer that the passages hold.
    fn choose(self, passages: Vec<Hit>) -> Answer {
        let answers = passages.into_iter().filter(|hit| !hit.entry.is_passage());
        let best = answers.max_by(|one, other| one.score.total_cmp(&other.score));
        match best {
            Some(hit) if hit.score >= self.score_min => {
                Answer::Text { text: hit.entry.answer.clone(), prompt_tokens: None, completion_tokens: None }
            }
            _ => Answer::NotKnown,
        }
    }
}

impl QueryService for StoredQuery {
    fn answer(&self, query: Query) -> PortFuture<Answer, QueryError> {
        Box::pin(ready(Ok(self.choose(query.passages))))
    }
}

#[cfg(test)]
mod tests {
    use tertulia_actors::domain::{Entry, Language};

    use super::*;

    fn hit(answer: &str, score: f32) -> Hit {
        Hit::new(Entry::new("a", Language::ENGLISH, "q", answer), score)
    }

    #[test]
    fn the_best_passage_answers_if_it_fits() {
        for (passages, expected) in [
            (vec![], None),
            (vec![hit("low", 0.49)], None),
            (vec![hit("just", 0.5)], Some("just")),
            (vec![hit("good", 0.6), hit("best", 0.9), hit("low", 0.1)], Some("best")),
        ] {
            let answer = StoredQuery::new(0.5).choose(passages);
            let text = match &answer {
                Answer::Text { text, .. } => Some(text.as_str()),
                Answer::NotKnown => None,
            };
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_piece_of_a_document_is_no_answer() {
        let piece = Hit::new(Entry::new("p", Language::ENGLISH, "", "piece"), 0.9);
        assert_eq!(StoredQuery::new(0.5).choose(vec![piece.clone()]), Answer::NotKnown);
        let answer = StoredQuery::new(0.5).choose(vec![piece, hit("answer", 0.6)]);
        assert!(matches!(answer, Answer::Text { text, .. } if text == "answer"));
    }
}
