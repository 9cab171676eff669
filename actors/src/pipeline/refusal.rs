//! What a turn does when a service refuses it. Pure.

use crate::domain::steps;
use crate::supervision::CallError;

/// A service that a turn asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Texts to vectors, beside which words find as well.
    Embedding,
    /// Texts to vectors, without which nothing is found.
    NeededEmbedding,
    /// Search in the knowledge base.
    Knowledge,
    /// Class and language.
    Classifier,
    /// Answers that are composed.
    Query,
}

impl Stage {
    /// Its name in journeys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedding | Self::NeededEmbedding => steps::EMBEDDING,
            Self::Knowledge => steps::KNOWLEDGE,
            Self::Classifier => steps::CLASSIFY,
            Self::Query => steps::QUERY,
        }
    }
}

/// How a service refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its queue is full.
    Overloaded,
    /// No answer in time.
    DeadlineExceeded,
    /// It is given up for now, paused, or panicked over this call.
    Down,
    /// It answered with an error that is not this turn's fault.
    Failed,
}

impl Refusal {
    /// Of a front's answer.
    #[must_use]
    pub const fn of<E>(error: &CallError<E>) -> Self {
        match error {
            CallError::Overloaded { .. } => Self::Overloaded,
            CallError::DeadlineExceeded { .. } => Self::DeadlineExceeded,
            CallError::Down { .. } => Self::Down,
            CallError::Failed(_) => Self::Failed,
        }
    }
}

/// What the turn does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// It waits, and runs again.
    Wait,
    /// It is answered from what is known without the service; the journey says so. Without the classifier, and without the
    /// query service, a person is asked for.
    GoOnWithout,
}

/// What a turn does that a service refused, while it has patience and when it has none left.
///
/// A full queue and a late answer pass, so they are worth a wait; so is a service that is down, where an answer without it
/// would be much worse. Without vectors knowledge is still found by words: to wait for a service that is down, or slow, is worth
/// nothing.
#[must_use]
pub const fn reaction(stage: Stage, refusal: Refusal, out_of_patience: bool) -> Reaction {
    match (stage, refusal) {
        _ if out_of_patience => Reaction::GoOnWithout,
        (Stage::Embedding, Refusal::DeadlineExceeded | Refusal::Down | Refusal::Failed) => {
            Reaction::GoOnWithout
        }
        _ => Reaction::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_else_finds_anything_a_turn_waits_for_vectors_as_long_as_it_has_patience() {
        for refusal in [Refusal::Overloaded, Refusal::DeadlineExceeded, Refusal::Down, Refusal::Failed] {
            assert_eq!(reaction(Stage::NeededEmbedding, refusal, false), Reaction::Wait, "{refusal:?}");
            assert_eq!(reaction(Stage::NeededEmbedding, refusal, true), Reaction::GoOnWithout, "{refusal:?}");
        }
    }

    #[test]
    fn what_a_turn_does_about_each_refusal_of_each_service() {
        use Reaction::{GoOnWithout, Wait};
        use Refusal::{DeadlineExceeded, Down, Failed, Overloaded};
        use Stage::{Classifier, Embedding, Knowledge, Query};
        for (refusal, expected) in [
            (Overloaded, [(Embedding, Wait), (Knowledge, Wait), (Classifier, Wait), (Query, Wait)]),
            (
                DeadlineExceeded,
                [(Embedding, GoOnWithout), (Knowledge, Wait), (Classifier, Wait), (Query, Wait)],
            ),
            (Down, [(Embedding, GoOnWithout), (Knowledge, Wait), (Classifier, Wait), (Query, Wait)]),
            (Failed, [(Embedding, GoOnWithout), (Knowledge, Wait), (Classifier, Wait), (Query, Wait)]),
        ] {
            for (stage, reaction_at_first) in expected {
                assert_eq!(reaction(stage, refusal, false), reaction_at_first, "{stage:?} {refusal:?}");
                assert_eq!(reaction(stage, refusal, true), GoOnWithout, "{stage:?} {refusal:?}, at last");
            }
        }
    }

    #[test]
    fn a_fronts_answer_says_how_it_refused() {
        let service = "x";
        for (error, expected) in [
            (CallError::Overloaded { service, limit: 1 }, Refusal::Overloaded),
            (CallError::DeadlineExceeded { service, started: true }, Refusal::DeadlineExceeded),
            (CallError::Down { service, started: false }, Refusal::Down),
            (CallError::Failed("e"), Refusal::Failed),
        ] {
            assert_eq!(Refusal::of(&error), expected);
        }
    }
}
