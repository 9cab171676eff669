//! Turns: how they end, and what follows when they fail or are cut off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Class, PendingMessage, Tick, TurnId};

/// How the messages of a turn end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// A reply is committed.
    Answered,
    /// There is nothing to answer, for this reason.
    Suppressed(String),
    /// The message fails alone, for this reason; its sender gets a phrase and a person is asked for.
    DeadLettered(String),
}

/// Something a turn leaves for people to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The class that led to it: a complaint, a suggestion, a template reply.
    pub class: Class,
    /// The customer's words.
    pub text: String,
}

/// A turn that was started and has not ended, as the store knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTurn {
    /// Its id.
    pub id: TurnId,
    /// How many starts were marked.
    pub attempt: u32,
    /// Whether the last start is still marked as running.
    pub running: bool,
    /// Starts that failed because of the turn itself.
    pub failures: u32,
    /// Starts that the death of the process cut off.
    pub interruptions: u32,
    /// Not started again before this tick.
    pub not_before: Tick,
    /// Its messages; fixed when it was first started.
    pub messages: Vec<PendingMessage>,
    /// The class that a model named for it in an earlier run of this process. Kept in memory only: the store does not know it.
    pub named: Option<Class>,
}

/// When a turn is given up, and how long it waits before it runs again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TurnLimits {
    /// Failures after which a batch is exhausted.
    pub max_attempts: u32,
    /// Interruptions after which a batch is exhausted.
    pub max_interrupted: u32,
    /// Interruptions from which on such turns run one at a time.
    pub suspect_after: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub retry_base: Duration,
    /// The longest wait.
    pub retry_max: Duration,
}

/// What follows when a turn did not end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Run it again after this wait.
    Again(Duration),
    /// Run its messages one by one.
    Split,
    /// The message failed alone.
    DeadLetter,
}

impl TurnLimits {
    /// What follows when a turn has failed `turn.failures` times and was cut off `turn.interruptions` times.
    ///
    /// A batch that is exhausted is split. A message that already ran alone by its own failures is dead-lettered; one
    /// that was only cut off gets a second count, marked `alone`, before that, since the process may have died for
    /// another reason.
    #[must_use]
    pub fn next(&self, turn: &OpenTurn) -> Retry {
        let single = turn.messages.len() <= 1;
        let marked_alone = turn.messages.iter().all(|message| message.alone);
        if turn.failures >= self.max_attempts {
            return if single { Retry::DeadLetter } else { Retry::Split };
        }
        if turn.interruptions >= self.max_interrupted {
            return if single && marked_alone { Retry::DeadLetter } else { Retry::Split };
        }
        Retry::Again(self.backoff(turn.failures))
    }

    /// The wait before the run that follows the `failures`-th failure.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        match failures {
            0 => Duration::ZERO,
            n => self.retry_base.saturating_mul(1 << (n - 1).min(16)).min(self.retry_max),
        }
    }

    /// Whether a turn is suspected of killing the process, so that it runs one at a time with its like.
    #[must_use]
    pub const fn is_suspect(&self, interruptions: u32) -> bool {
        interruptions >= self.suspect_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Receipt, Timestamp};

    const LIMITS: TurnLimits = TurnLimits {
        max_attempts: 3,
        max_interrupted: 10,
        suspect_after: 2,
        retry_base: Duration::from_millis(500),
        retry_max: Duration::from_secs(4),
    };

    fn turn(messages: usize, alone: bool, failures: u32, interruptions: u32) -> OpenTurn {
        let message = PendingMessage {
            seq: 1,
            kind: "text".into(),
            text: Some("x".into()),
            provider_at: None,
            receipt: Receipt { at: Timestamp(0), tick: Tick(0), seq: 0 },
            alone,
        };
        OpenTurn {
            id: TurnId::new(uuid::Uuid::nil()),
            attempt: failures + interruptions,
            running: false,
            failures,
            interruptions,
            not_before: Tick(0),
            messages: vec![message; messages],
            named: None,
        }
    }

    #[test]
    fn what_follows_a_turn_that_did_not_end() {
        use Retry::{Again, DeadLetter, Split};
        let ms = Duration::from_millis;
        for (messages, alone, failures, interruptions, expected) in [
            (3, false, 0, 1, Again(ms(0))),
            (3, false, 1, 0, Again(ms(500))),
            (3, false, 2, 9, Again(ms(1_000))),
            (3, false, 3, 0, Split),
            (3, false, 0, 10, Split),
            (1, false, 3, 0, DeadLetter),
            (1, false, 0, 10, Split),
            (1, true, 0, 9, Again(ms(0))),
            (1, true, 0, 10, DeadLetter),
        ] {
            let turn = turn(messages, alone, failures, interruptions);
            assert_eq!(LIMITS.next(&turn), expected, "{messages} {alone} {failures} {interruptions}");
        }
    }

    #[test]
    fn ten_kills_in_a_row_dead_letter_nobody() {
        let mut alone = false;
        let mut interruptions = 0;
        for _ in 0..10 {
            interruptions += 1;
            match LIMITS.next(&turn(1, alone, 0, interruptions)) {
                Retry::Again(_) => {}
                Retry::Split => (alone, interruptions) = (true, 0),
                Retry::DeadLetter => panic!("dead-lettered after {interruptions} kills"),
            }
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let waits: Vec<_> = (0..7).map(|failures| LIMITS.backoff(failures).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
        assert_eq!(LIMITS.backoff(u32::MAX), LIMITS.retry_max);
    }
}
