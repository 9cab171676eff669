//! From a turn's messages to its answer. Writes nothing: everything it decides commits in one transaction.

pub mod decide;
pub mod journal;
pub mod phrases;
pub mod refusal;
pub mod run;
#[cfg(test)]
mod run_tests;

pub use run::{Pipeline, Plan, TurnError, TurnInput, TurnResult};
