//! When something that failed is started anew, how long that waits, and when it is given up for now. Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::domain::panic_text;
use crate::settings::SupervisionSettings;

/// Why something had to be started anew, or is not available.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It panicked; what the panic said, as far as it may be quoted.
    Panic(String),
    /// It answered with errors; the last one.
    Error(String),
    /// It gave no answer in time.
    Timeout,
    /// An operator asked for it.
    Killed,
    /// It neither answered nor yielded for this long.
    Frozen(Duration),
}

/// Why something failed, by kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// It panicked.
    Panic,
    /// It ended with an error.
    Error,
    /// It gave no answer in time.
    Timeout,
    /// An operator asked for it.
    Killed,
    /// It neither answered nor yielded.
    Frozen,
}

impl Reason {
    /// Without its text.
    #[must_use]
    pub const fn kind(&self) -> ReasonKind {
        match self {
            Self::Panic(_) => ReasonKind::Panic,
            Self::Error(_) => ReasonKind::Error,
            Self::Timeout => ReasonKind::Timeout,
            Self::Killed => ReasonKind::Killed,
            Self::Frozen(_) => ReasonKind::Frozen,
        }
    }

    /// The reason that a caught panic tells: what it said, as far as it may be quoted, or that an operator asked for it.
    #[must_use]
    pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        if panic.is::<KilledByOperator>() {
            return Self::Killed;
        }
        Self::Panic(panic_text(panic).to_owned())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(text) => write!(f, "panic: {text}"),
            Self::Error(text) => write!(f, "error: {text}"),
            Self::Timeout => write!(f, "no answer in time"),
            Self::Killed => write!(f, "killed by an operator"),
            Self::Frozen(silent) => write!(f, "frozen for {} ms", silent.as_millis()),
        }
    }
}

/// What an actor unwinds with when an operator asks for its restart, so that this takes the very way of a panic.
pub(super) struct KilledByOperator;

/// What is done when restarts do not help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// One for one: whatever failed is started anew, alone. When that does not help it is tried at the longest wait, for
    /// ever: it is one of many, and what it owns is also in the store.
    KeepTrying,
    /// One for one, until restarts are exhausted; then it is marked as down, calls fail fast, and a probe is let through
    /// after a wait that doubles.
    MarkDown,
    /// One for one, until restarts are exhausted; then the process ends, since nothing works without it, and whoever
    /// manages the service starts it again.
    EndProcess,
}

/// What follows a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Start it anew after this wait.
    Restart(Duration),
    /// Restarts did not help. It may be tried again after this wait.
    GiveUp(Duration),
}

/// How often and how fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestartPolicy {
    /// Restarts within the window; one more failure and it is given up.
    pub restarts_max: usize,
    /// How long a restart counts.
    pub window: Duration,
    /// The wait before the second restart within the window; it doubles with each further one. The first is at once.
    pub backoff_base: Duration,
    /// The longest such wait, and the first one after giving up.
    pub backoff_max: Duration,
}

impl From<&SupervisionSettings> for RestartPolicy {
    fn from(settings: &SupervisionSettings) -> Self {
        Self {
            restarts_max: settings.restarts_max,
            window: Duration::from_millis(settings.window_ms),
            backoff_base: Duration::from_millis(settings.backoff_base_ms),
            backoff_max: Duration::from_millis(settings.backoff_max_ms),
        }
    }
}

/// The failures of one thing that still count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restarts {
    /// When it failed; at most `restarts_max + 1` of them.
    failed_at: VecDeque<Instant>,
}

impl Restarts {
    /// It failed at `now`. `jitter` in [0, 1) lengthens the wait by up to a quarter, so that many that fail together do not
    /// come back together.
    pub fn failed(&mut self, policy: &RestartPolicy, now: Instant, jitter: f64) -> Verdict {
        self.failed_at.retain(|at| now.saturating_duration_since(*at) < policy.window);
        self.failed_at.push_back(now);
        let failures = self.failed_at.len();
        if failures > policy.restarts_max {
            self.failed_at.pop_front();
            return Verdict::GiveUp(spread(policy.backoff_max, jitter));
        }
        Verdict::Restart(spread(policy.backoff(failures), jitter))
    }

    /// It did well: the oldest failure counts no longer. So one request that always fails does not take a service away
    /// from all the others.
    pub fn succeeded(&mut self) {
        self.failed_at.pop_front();
    }

    /// How many failures count at `now`.
    #[must_use]
    pub fn count(&self, policy: &RestartPolicy, now: Instant) -> usize {
        self.failed_at.iter().filter(|at| now.saturating_duration_since(**at) < policy.window).count()
    }
}

impl RestartPolicy {
    /// The wait that follows the `failures`-th failure within the window.
    fn backoff(&self, failures: usize) -> Duration {
        match failures {
            0 | 1 => Duration::ZERO,
            n => self.backoff_base.saturating_mul(1 << (n - 2).min(16)).min(self.backoff_max),
        }
    }
}

/// A wait, longer by up to a quarter.
pub(super) fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        restarts_max: 4,
        window: Duration::from_secs(60),
        backoff_base: Duration::from_millis(100),
        backoff_max: Duration::from_millis(300),
    };

    fn restart(ms: u64) -> Verdict {
        Verdict::Restart(Duration::from_millis(ms))
    }

    fn give_up(ms: u64) -> Verdict {
        Verdict::GiveUp(Duration::from_millis(ms))
    }

    #[test]
    fn restarts_wait_longer_each_time_and_are_given_up_beyond_their_number() {
        let begin = Instant::now();
        for (name, failed_at_s, expected) in [
            ("at once", vec![0], vec![restart(0)]),
            ("doubling", vec![0, 0, 0], vec![restart(0), restart(100), restart(200)]),
            (
                "capped, then given up, and again",
                vec![0, 1, 2, 3, 4, 5],
                vec![restart(0), restart(100), restart(200), restart(300), give_up(300), give_up(300)],
            ),
            (
                "what is long ago does not count",
                vec![0, 1, 61, 62],
                vec![restart(0), restart(100), restart(0), restart(100)],
            ),
            (
                "rare failures are never given up",
                vec![0, 20, 40, 60, 80, 100],
                vec![restart(0), restart(100), restart(200), restart(200), restart(200), restart(200)],
            ),
        ] {
            let mut restarts = Restarts::default();
            let said: Vec<_> = failed_at_s
                .iter()
                .map(|at| restarts.failed(&POLICY, begin + Duration::from_secs(*at), 0.0))
                .collect();
            assert_eq!(said, expected, "{name}");
        }
    }

    #[test]
    fn jitter_lengthens_a_wait_by_up_to_a_quarter() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        restarts.failed(&POLICY, now, 0.9);
        let Verdict::Restart(wait) = restarts.failed(&POLICY, now, 0.5) else { panic!("given up") };
        assert_eq!(wait, Duration::from_micros(112_500));
    }

    #[test]
    fn every_success_forgives_one_failure() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        for _ in 0..100 {
            assert!(matches!(restarts.failed(&POLICY, now, 0.0), Verdict::Restart(_)));
            restarts.succeeded();
        }
    }

    #[test]
    fn a_policy_without_restarts_gives_up_at_the_first_failure() {
        let policy = RestartPolicy { restarts_max: 0, ..POLICY };
        assert_eq!(Restarts::default().failed(&policy, Instant::now(), 0.0), give_up(300));
    }

    #[test]
    fn memory_is_bounded_however_often_it_fails() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        for _ in 0..1_000 {
            restarts.failed(&POLICY, now, 0.0);
        }
        assert_eq!(restarts.count(&POLICY, now), POLICY.restarts_max);
    }

    #[test]
    fn a_panics_text_is_its_reason_unless_an_operator_asked_for_it() {
        assert_eq!(Reason::of_panic(&"boom"), Reason::Panic("boom".into()));
        assert_ne!(Reason::of_panic(&"words".to_owned()), Reason::Panic("words".into()));
        assert_eq!(Reason::of_panic(&7), Reason::Panic("without a text".into()));
        assert_eq!(Reason::of_panic(&KilledByOperator), Reason::Killed);
        assert_eq!(Reason::Killed.kind(), ReasonKind::Killed);
    }
}
