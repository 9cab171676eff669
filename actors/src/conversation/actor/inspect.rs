//! What a conversation says about itself, without anybody's words.

use actix::prelude::*;
use serde_json::json;

use super::{Conversation, Phase};
use crate::domain::Tick;
use crate::supervision::snapshot::{Act, Inspect, Snapshot};
use crate::supervision::supervised::unwind_for_restart;

impl Phase {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Loading => "loading",
            Self::Backoff => "waits for the store",
            Self::Gathering => "gathering",
            Self::InLine => "waits for a permit",
            Self::Running => "running",
        }
    }
}

impl Handler<Inspect> for Conversation {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let now = self.shard.clock.tick();
        let due_in = |at: Tick| u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
        let turn = self.open_turn.as_ref();
        MessageResult(Snapshot {
            waiting: Some(self.buffer.len()),
            in_flight: Some(usize::from(matches!(self.phase, Phase::Running))),
            handled: Some(self.handled),
            detail: json!({
                "phase": self.phase.as_str(),
                "timer_due_in_ms": self.armed.map(due_in),
                "last_seq": self.buffer.known_seq(),
                "panics": self.panics,
                "reads_one_by_one": self.isolates,
                "open_turn": turn.map(|turn| json!({
                    "id": turn.id, "attempt": turn.attempt, "failures": turn.failures,
                    "interruptions": turn.interruptions, "messages": turn.messages.len(),
                })),
            }),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for Conversation {
    type Result = ();

    /// The router passes on restarts only.
    fn handle(&mut self, _: Act, _: &mut Self::Context) {
        self.is_excused = true;
        unwind_for_restart()
    }
}
