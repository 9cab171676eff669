//! The record of how a turn came to its answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The names of the steps that call a service.
pub mod steps {
    /// A text is embedded.
    pub const EMBEDDING: &str = "embedding";
    /// The knowledge base is searched.
    pub const KNOWLEDGE: &str = "knowledge";
    /// The examples tell the class.
    pub const CLASSIFY: &str = "classify";
    /// A model tells the class.
    pub const CLASS_BY_MODEL: &str = "classify by model";
    /// The query service composes an answer.
    pub const QUERY: &str = "query";
    /// How a step ends without which the answer came from what was left.
    pub const DEGRADED: &str = "degraded";
}

/// One step of a turn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JourneyStep")]
pub struct Step {
    /// What was done: `read`, `embedding`, `knowledge`, `classify`, `classify by model` or `query`.
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
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Journey {
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether something was missing and the answer came from what was left.
    #[serde(default)]
    pub degraded: bool,
}
