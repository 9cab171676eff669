//! What the business knows: questions with stored answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Language;

/// A vector of unit length that stands for a text.
pub type Embedding = Arc<[f32]>;

/// One stored question with its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id within the knowledge base; the same for a question's versions in several languages.
    pub id: String,
    /// The language of question and answer.
    pub language: Language,
    /// The question, as a person might put it.
    pub question: String,
    /// The answer that is given.
    pub answer: String,
}

/// One entry that a search found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Hit {
    /// What was found.
    pub entry: Entry,
    /// How well its question matches, 0 (not at all) to 1 (the same words).
    pub score: f32,
}
