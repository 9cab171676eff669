//! The circuit breaker of a front: stops calling what fails, and lets one call at a time find out whether it is back. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::policy::spread;
use crate::settings::SupervisionSettings;

/// When it opens and how long it stays so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// How long it stays open the first time; doubles with each probe that fails.
    pub probe: Duration,
    /// The longest that it stays open.
    pub probe_max: Duration,
}

impl From<&SupervisionSettings> for BreakerSettings {
    fn from(settings: &SupervisionSettings) -> Self {
        Self {
            failures_max: settings.breaker_failures,
            probe: Duration::from_millis(settings.probe_ms),
            probe_max: Duration::from_millis(settings.probe_max_ms),
        }
    }
}

/// Whether a call may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// It may.
    Go,
    /// It may, alone: its end decides whether others may.
    Probe,
    /// It may not; asking again is worth while after this long.
    Refused(Duration),
}

/// What is let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, wait: Duration },
    HalfOpen { wait: Duration },
}

/// The states by name, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Every call is let through.
    Closed,
    /// None is.
    Open,
    /// One is under way to find out.
    HalfOpen,
}

/// A breaker; closed at first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub const fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failures: 0 } }
    }

    /// A call asks to begin. Whoever is told [`Pass::Probe`] must say how that ended.
    pub fn ask(&mut self, now: Instant) -> Pass {
        match self.state {
            State::Closed { .. } => Pass::Go,
            State::Open { until, wait } if until <= now => {
                self.state = State::HalfOpen { wait };
                Pass::Probe
            }
            State::Open { until, .. } => Pass::Refused(until.saturating_duration_since(now)),
            State::HalfOpen { wait } => Pass::Refused(wait),
        }
    }

    /// A call ended well. True if that closed the breaker: only the probe's end does.
    pub const fn succeeded(&mut self, was_probe: bool) -> bool {
        match self.state {
            State::Closed { ref mut failures } => {
                *failures = 0;
                false
            }
            State::HalfOpen { .. } if was_probe => {
                self.state = State::Closed { failures: 0 };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// A call failed by the service's fault. True if that opened the breaker, or opened it again. What was under way when
    /// it opened says nothing new.
    pub fn failed(&mut self, was_probe: bool, now: Instant, jitter: f64) -> bool {
        match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures_max => {
                self.state = State::Closed { failures: failures + 1 };
                false
            }
            State::Closed { .. } => {
                self.open(self.settings.probe, now, jitter);
                true
            }
            State::HalfOpen { wait } if was_probe => {
                self.open(wait.saturating_mul(2), now, jitter);
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// Opens at once, however few failures there were, and for at least `wait`: it is known that the next call fails as well.
    /// True if that opened it, or opened it again.
    pub fn trip(&mut self, wait: Duration, was_probe: bool, now: Instant, jitter: f64) -> bool {
        let opened = if matches!(self.state, State::Closed { .. }) {
            self.open(self.settings.probe, now, jitter);
            true
        } else {
            self.failed(was_probe, now, jitter)
        };
        if let State::Open { until, .. } = &mut self.state {
            *until = (*until).max(now + wait);
        }
        opened
    }

    /// The probe ended without telling anything: its caller gave up before it began, or the request was at fault. The next
    /// call probes.
    pub const fn probe_said_nothing(&mut self, now: Instant) {
        if let State::HalfOpen { wait } = self.state {
            self.state = State::Open { until: now, wait };
        }
    }

    /// Lets the next call probe, whenever that would have been.
    pub const fn probe_now(&mut self, now: Instant) {
        if let State::Open { wait, .. } = self.state {
            self.state = State::Open { until: now, wait };
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    fn open(&mut self, wait: Duration, now: Instant, jitter: f64) {
        let wait = wait.min(self.settings.probe_max);
        self.state = State::Open { until: now + spread(wait, jitter), wait };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings =
        BreakerSettings { failures_max: 3, probe: Duration::from_secs(1), probe_max: Duration::from_secs(3) };

    /// What happens to a breaker, and what it is asked.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ok,
        Fails,
        ProbeOk,
        ProbeFails,
        ProbeSaysNothing,
        Trips,
        TripsFor(u64),
        ProbeNow,
        Asks(Pass),
        Wait(u64),
    }

    fn take(breaker: &mut Breaker, now: &mut Instant, step: Step, name: &str) {
        match step {
            Step::Ok => assert!(!breaker.succeeded(false), "{name}"),
            Step::ProbeOk => assert!(breaker.succeeded(true), "{name}"),
            Step::Fails => drop(breaker.failed(false, *now, 0.0)),
            Step::ProbeFails => assert!(breaker.failed(true, *now, 0.0), "{name}"),
            Step::ProbeSaysNothing => breaker.probe_said_nothing(*now),
            Step::Trips => assert!(breaker.trip(Duration::ZERO, false, *now, 0.0), "{name}"),
            Step::TripsFor(ms) => drop(breaker.trip(Duration::from_millis(ms), false, *now, 0.0)),
            Step::ProbeNow => breaker.probe_now(*now),
            Step::Asks(expected) => assert_eq!(breaker.ask(*now), expected, "{name}"),
            Step::Wait(ms) => *now += Duration::from_millis(ms),
        }
    }

    #[test]
    fn a_breaker_opens_half_opens_and_closes() {
        use Step::{Asks, Fails, Ok, ProbeFails, ProbeNow, ProbeOk, ProbeSaysNothing, Trips, TripsFor, Wait};
        let go = Asks(Pass::Go);
        let probe = Asks(Pass::Probe);
        let refused = |ms| Asks(Pass::Refused(Duration::from_millis(ms)));
        for (name, steps, expected) in [
            ("closed at first", vec![go, go], Phase::Closed),
            ("failures apart do not count", vec![Fails, Fails, Ok, Fails, Fails, go], Phase::Closed),
            ("three in a row open it", vec![Fails, Fails, Fails, refused(1_000)], Phase::Open),
            ("late ends change nothing", vec![Fails, Fails, Fails, Ok, Fails, refused(1_000)], Phase::Open),
            ("a trip opens it at once", vec![Trips, refused(1_000), Wait(400), refused(600)], Phase::Open),
            (
                "a wait that was asked for is kept",
                vec![TripsFor(5_000), Wait(4_999), refused(1)],
                Phase::Open,
            ),
            (
                "the longest wait that was asked for",
                vec![TripsFor(5_000), TripsFor(2_000), refused(5_000)],
                Phase::Open,
            ),
            ("one probe at a time", vec![Trips, Wait(1_000), probe, refused(1_000)], Phase::HalfOpen),
            ("others' ends do not close it", vec![Trips, Wait(1_000), probe, Ok, Fails], Phase::HalfOpen),
            ("the probe closes it", vec![Trips, Wait(1_000), probe, ProbeOk, go, Fails, go], Phase::Closed),
            (
                "a failed probe opens it for twice as long",
                vec![Trips, Wait(1_000), probe, ProbeFails, Wait(1_999), refused(1), Wait(1), probe],
                Phase::HalfOpen,
            ),
            (
                "never longer than the longest",
                vec![
                    Trips,
                    Wait(1_000),
                    probe,
                    ProbeFails,
                    Wait(2_000),
                    probe,
                    ProbeFails,
                    Wait(3_000),
                    probe,
                    ProbeFails,
                    refused(3_000),
                ],
                Phase::Open,
            ),
            (
                "a probe that says nothing",
                vec![Trips, Wait(1_000), probe, ProbeSaysNothing, probe],
                Phase::HalfOpen,
            ),
            ("asked to probe now", vec![Trips, ProbeNow, probe], Phase::HalfOpen),
            ("nothing to probe while closed", vec![ProbeNow, go], Phase::Closed),
        ] {
            let mut breaker = Breaker::new(SETTINGS);
            let mut now = Instant::now();
            for step in steps {
                take(&mut breaker, &mut now, step, name);
            }
            assert_eq!(breaker.phase(), expected, "{name}");
        }
    }

    #[test]
    fn jitter_spreads_the_probes_of_many() {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        breaker.trip(Duration::ZERO, false, now, 1.0);
        assert_eq!(breaker.ask(now), Pass::Refused(Duration::from_millis(1_250)));
    }
}
