//! The service that composes an answer where no stored one fits.

use std::time::Duration;

use thiserror::Error;

use super::PortFuture;
use crate::domain::{Class, ConversationId, HistoryItem, Hit, Language};

/// What the service is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// A text for the customer.
    Answer,
    /// The name of the text's class, and nothing else.
    Classify,
}

/// Everything the service may know. All of it belongs to one conversation.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// What is asked for.
    pub task: Task,
    /// Whose conversation.
    pub conversation: ConversationId,
    /// The turn's text.
    pub text: String,
    /// The turn's class; what the examples say of it where it is asked for.
    pub class: Class,
    /// The person's language.
    pub language: Language,
    /// Retrieved knowledge, best first.
    pub passages: Vec<Hit>,
    /// What was said before, oldest first.
    pub history: Vec<HistoryItem>,
}

/// What the service says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A text for the customer.
    Text {
        /// The text.
        text: String,
        /// Tokens of the prompt, where the model tells.
        prompt_tokens: Option<u64>,
        /// Tokens of the answer, where the model tells.
        completion_tokens: Option<u64>,
    },
    /// The service knows nothing that fits.
    NotKnown,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum QueryError {
    /// The model cannot be reached or is overloaded: not this turn's fault, worth another try.
    #[error("the model is unavailable: {0}")]
    Unavailable(String),
    /// The model asked not to be called for a while: not this turn's fault either.
    #[error("the model is unavailable for {} ms: {reason}", retry_after.as_millis())]
    Throttled {
        /// What happened.
        reason: String,
        /// How long the model asked us to wait.
        retry_after: Duration,
    },
    /// The model refused this turn or answered nonsense.
    #[error("the model failed: {0}")]
    Failed(String),
}

/// Composes answers.
pub trait QueryService: Send + Sync + 'static {
    /// Answers one turn.
    ///
    /// # Errors
    /// When the model is unavailable or fails.
    fn answer(&self, query: Query) -> PortFuture<Answer, QueryError>;

    /// Reads its secrets again, where they stand in files; called before a recovery probe and on SIGHUP. What is under way
    /// goes on with the old ones.
    fn refresh(&self) {}
}
