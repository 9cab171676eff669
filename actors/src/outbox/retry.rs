//! What follows the end of a send. Pure.

use std::time::Duration;

use crate::domain::{OutboxPart, Tick, Timestamp};
use crate::ports::SendError;
use crate::ports::store::Mark;
use crate::settings::OutboxSettings;
use crate::supervision::CallError;

/// The mark that a send leaves, which began and ended at these times. `jitter` in [0, 1) spreads retries.
#[must_use]
pub fn mark_of(
    part: &OutboxPart,
    result: Result<String, CallError<SendError>>,
    (began, now, tick): (Timestamp, Timestamp, Tick),
    settings: &OutboxSettings,
    jitter: f64,
) -> Mark {
    let (id, attempt) = (part.id, part.attempt);
    // A front that refuses a call has a pause of its own; the part need not wait longer each time.
    let (reason, sends) = match result {
        Ok(provider_id) => return Mark::Sent { part: id, attempt, provider_id, began, at: now },
        Err(CallError::Failed(error)) => (error, attempt),
        Err(error) => (refused_by_front(&error), 1),
    };
    let (reason, retry_after) = match reason {
        SendError::Refused(error) => return Mark::Failed { part: id, attempt, error },
        SendError::Ambiguous(error) => {
            let hold_until = tick.after(Duration::from_millis(settings.ambiguous_hold_ms));
            return Mark::Ambiguous { part: id, attempt, hold_until, error };
        }
        SendError::Retryable { reason, retry_after } => (reason, retry_after),
        // Until there is another token.
        SendError::Unauthorized(reason) => (reason, None),
    };
    if is_too_old(part, tick, settings) {
        return Mark::Failed { part: id, attempt, error: format!("gave up after {attempt} sends: {reason}") };
    }
    let wait = backoff(sends, settings).max(retry_after.unwrap_or_default());
    let not_before = tick.after(wait.mul_f64(1.0 + jitter / 4.0));
    Mark::Retry { part: id, attempt, not_before, error: reason }
}

/// Whether an answer comes too late to be of use.
fn is_too_old(part: &OutboxPart, now: Tick, settings: &OutboxSettings) -> bool {
    now >= part.created.after(Duration::from_millis(settings.give_up_ms))
}

/// A front that never began the work surely sent nothing; once it began, nobody knows.
fn refused_by_front(error: &CallError<SendError>) -> SendError {
    match error {
        CallError::DeadlineExceeded { started: true, .. } | CallError::Down { started: true, .. } => {
            SendError::Ambiguous(error.to_string())
        }
        _ => SendError::Retryable { reason: error.to_string(), retry_after: None },
    }
}

/// The wait after so many sends.
fn backoff(sends: u32, settings: &OutboxSettings) -> Duration {
    let doubled = settings.retry_base_ms.saturating_mul(1 << sends.saturating_sub(1).min(20));
    Duration::from_millis(doubled.min(settings.retry_max_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, Channel, ConversationId, PartId, PartState, Recipient, TurnId};
    use uuid::Uuid;

    fn part(attempt: u32) -> OutboxPart {
        OutboxPart {
            id: PartId::new(Uuid::nil()),
            position: 1,
            conversation: ConversationId::new(Uuid::nil()),
            turn: TurnId::new(Uuid::nil()),
            account: Account::new(Channel::Whatsapp, "1"),
            recipient: Recipient::default(),
            text: "x".into(),
            state: PartState::Sending,
            attempt,
            created: Tick(0),
            not_before: Tick(0),
        }
    }

    fn mark(attempt: u32, result: Result<String, CallError<SendError>>) -> Mark {
        mark_of(
            &part(attempt),
            result,
            (Timestamp(6), Timestamp(7), Tick(1_000)),
            &OutboxSettings::default(),
            0.0,
        )
    }

    fn retryable(after_s: Option<u64>) -> Result<String, CallError<SendError>> {
        let retry_after = after_s.map(Duration::from_secs);
        Err(CallError::Failed(SendError::Retryable { reason: "429".into(), retry_after }))
    }

    #[test]
    fn a_provider_id_is_sent_and_a_refusal_is_failed() {
        assert!(matches!(
            mark(1, Ok("w".into())),
            Mark::Sent { attempt: 1, began: Timestamp(6), at: Timestamp(7), .. }
        ));
        let refused = Err(CallError::Failed(SendError::Refused("no".into())));
        assert!(matches!(mark(1, refused), Mark::Failed { .. }));
    }

    #[test]
    fn throttling_waits_longer_each_time_and_as_long_as_the_channel_asks() {
        let wait = |attempt, after| match mark(attempt, retryable(after)) {
            Mark::Retry { not_before, .. } => not_before.0 - 1_000,
            other => panic!("{other:?}"),
        };
        assert_eq!([wait(1, None), wait(2, None), wait(9, None)], [500, 1_000, 60_000]);
        assert_eq!(wait(1, Some(20)), 20_000);
        assert_eq!(wait(1_000, None), 60_000, "an outage is waited out");
    }

    #[test]
    fn a_part_waits_for_another_token_as_for_a_channel_that_throttles() {
        let mark = mark(2, Err(CallError::Failed(SendError::Unauthorized("401".into()))));
        assert!(matches!(mark, Mark::Retry { not_before: Tick(2_000), .. }), "{mark:?}");
    }

    #[test]
    fn a_part_that_is_too_old_is_given_up() {
        let settings = OutboxSettings { give_up_ms: 100, ..OutboxSettings::default() };
        let mark =
            |now| mark_of(&part(1), retryable(None), (Timestamp(6), Timestamp(7), Tick(now)), &settings, 0.0);
        assert!(matches!(mark(99), Mark::Retry { .. }));
        assert!(matches!(mark(100), Mark::Failed { .. }));
    }

    #[test]
    fn an_unknown_outcome_is_never_sent_again() {
        let service = "channel";
        for error in [
            CallError::Failed(SendError::Ambiguous("cut".into())),
            CallError::DeadlineExceeded { service, started: true },
            CallError::Down { service, started: true },
        ] {
            let mark = mark(1, Err(error));
            assert!(matches!(mark, Mark::Ambiguous { hold_until: Tick(11_000), .. }), "{mark:?}");
        }
    }

    #[test]
    fn a_call_that_never_began_is_sent_again() {
        let service = "channel";
        for error in [
            CallError::Overloaded { service, limit: 1 },
            CallError::DeadlineExceeded { service, started: false },
            CallError::Down { service, started: false },
        ] {
            assert!(matches!(mark(1, Err(error)), Mark::Retry { .. }));
        }
    }
}
