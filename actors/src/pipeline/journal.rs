//! Writes a turn's journey while it happens.

use serde_json::Value;
use tokio::time::Instant;

use crate::domain::{Journey, Step, steps};

/// A journey in the making.
pub struct Journal {
    started: Instant,
    journey: Journey,
}

impl Journal {
    /// A journey that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), journey: Journey::default() }
    }

    /// Writes a step that began at `begun` and ends now.
    pub fn step(&mut self, name: &str, begun: Instant, outcome: impl Into<String>, detail: Value) {
        let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.journey.steps.push(Step {
            name: name.to_owned(),
            start_us: micros(begun.saturating_duration_since(self.started)),
            duration_us: micros(begun.elapsed()),
            outcome: outcome.into(),
            detail,
        });
    }

    /// Writes a step that could not be done, and that the answer comes from what is left.
    pub fn degraded(&mut self, name: &str, begun: Instant, reason: &str) {
        self.step(name, begun, steps::DEGRADED, Value::from(reason));
        self.journey.degraded = true;
    }

    /// The journey so far.
    #[must_use]
    pub fn finish(self) -> Journey {
        self.journey
    }
}
