//! The record of how a turn came to its answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of a turn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What was done: `embedding`, `knowledge`, `classify`, `query`, …
    pub name: String,
    /// When it began, in microseconds since the turn was started.
    pub start_us: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// How it ended: `ok`, or the name of what went wrong or was decided.
    pub outcome: String,
    /// What is worth knowing, without the customer's words.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// All steps of a turn, in order.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Journey {
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether something was missing and the answer came from what was left.
    #[serde(default)]
    pub degraded: bool,
}
