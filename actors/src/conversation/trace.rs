//! What a run of a turn tells whoever traces it.

use super::turn::TurnJob;
use crate::domain::Timestamp;
use crate::ports::store::CommitTurn;
use crate::ports::{MessageTrace, RunTrace, Trace, TurnTrace};

/// A run that `commit` ended, as it was stored; it began, its pipeline did, and it was on the disk at these times.
pub(super) fn of_turn(
    job: &TurnJob,
    commit: &CommitTurn,
    (began, prepared): (Timestamp, Timestamp),
    ended: Timestamp,
) -> Trace {
    let message = |message: &crate::domain::PendingMessage| MessageTrace {
        seq: message.seq,
        kind: message.kind.clone(),
        received_at: message.receipt.at,
    };
    Trace::Turn(Box::new(TurnTrace {
        conversation: job.conversation,
        account: job.account.clone(),
        turn: commit.turn,
        attempt: commit.attempt,
        messages: job.turn.messages.iter().map(message).collect(),
        began,
        prepared,
        asked: commit.at,
        ended,
        disposition: commit.disposition.clone(),
        class: commit.class,
        language: commit.language,
        needs_human: commit.needs_human,
        journey: commit.journey.clone(),
    }))
}

/// A run that did not end its turn.
pub(super) fn of_run(job: &TurnJob, outcome: &'static str, began: Timestamp, ended: Timestamp) -> Trace {
    Trace::Run(RunTrace {
        conversation: job.conversation,
        account: job.account.clone(),
        turn: job.turn.id,
        attempt: job.turn.attempt,
        began,
        ended,
        outcome,
    })
}
