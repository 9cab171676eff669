//! Measures what something handles: how much, how fast, how long each takes.

use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

/// How long a window of recent figures lasts; figures are those of the current and the last one.
const WINDOW: Duration = Duration::from_secs(30);

/// The longest time that is told from longer ones, in microseconds: ten minutes.
pub const LONGEST_US: u64 = 600_000_000;

/// Significant decimal digits of a time.
const DIGITS: u8 = 2;

/// Times of the last half to one minute, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Latency {
    /// Half took this long at the most.
    pub p50_ms: f64,
    /// 95 of a hundred did.
    pub p95_ms: f64,
    /// 99 of a hundred did.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latency {
    /// What a histogram of microseconds says; none if it is empty.
    #[must_use]
    pub fn of(times: &Histogram<u32>) -> Option<Self> {
        let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1_000.0;
        (!times.is_empty()).then(|| Self {
            p50_ms: ms(times.value_at_quantile(0.5)),
            p95_ms: ms(times.value_at_quantile(0.95)),
            p99_ms: ms(times.value_at_quantile(0.99)),
            max_ms: ms(times.max()),
        })
    }
}

/// A histogram of times in microseconds, from one to [`LONGEST_US`].
///
/// # Panics
/// Never: the bounds are constant, and allowed.
#[must_use]
pub fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds are constant, and allowed")
}

/// How long people waited for their answers, in microseconds, to be put together with what others say.
#[derive(Clone, PartialEq, Debug)]
pub struct Answers {
    /// Of late.
    pub recent: Histogram<u32>,
    /// Since the process began.
    pub all: Histogram<u64>,
}

impl Default for Answers {
    fn default() -> Self {
        let all = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Self { recent: histogram(), all: all.expect("the bounds are constant, and allowed") }
    }
}

impl Answers {
    /// Adds what others say.
    pub fn add(&mut self, others: &Self) {
        // All have the same bounds.
        let _ = self.recent.add(&others.recent);
        let _ = self.all.add(&others.all);
    }
}

/// Counts what was handled, and keeps the times of the recent past in HDR histograms.
pub struct Meter {
    handled: u64,
    failed: u64,
    current: Histogram<u32>,
    last: Histogram<u32>,
    current_since: Instant,
    last_since: Instant,
}

impl Meter {
    /// A meter that begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            handled: 0,
            failed: 0,
            current: histogram(),
            last: histogram(),
            current_since: now,
            last_since: now,
        }
    }

    /// One more was handled, in this time; well or not.
    pub fn record(&mut self, took: Duration, is_well: bool, now: Instant) {
        self.rotate(now);
        self.handled += 1;
        self.failed += u64::from(!is_well);
        self.current.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many were handled since the process began.
    #[must_use]
    pub const fn handled(&self) -> u64 {
        self.handled
    }

    /// How many of them not well.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// How many a second, of late.
    pub fn rate(&mut self, now: Instant) -> f64 {
        self.rotate(now);
        let counted = self.current.len() + self.last.len();
        let seconds = now.saturating_duration_since(self.last_since).as_secs_f64();
        counted as f64 / seconds.max(1.0)
    }

    /// How long they took, of late; none if there were none.
    pub fn latency(&mut self, now: Instant) -> Option<Latency> {
        Latency::of(&self.recent(now))
    }

    /// The times of late, in microseconds, to be put together with those of others.
    pub fn recent(&mut self, now: Instant) -> Histogram<u32> {
        self.rotate(now);
        let mut both = self.current.clone();
        // Both have the same bounds.
        let _ = both.add(&self.last);
        both
    }

    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.current_since);
        if age < WINDOW {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.last);
        self.current.reset();
        self.last_since = self.current_since;
        if age >= 2 * WINDOW {
            self.last.reset();
            self.last_since = now;
        }
        self.current_since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn times_are_told_by_percentiles_of_the_recent_past() {
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        assert_eq!(meter.latency(begin), None);
        for ms in 1..=100 {
            meter.record(ms * MS, ms % 10 != 0, begin + 10 * ms * MS);
        }
        let now = begin + Duration::from_secs(2);
        let latency = meter.latency(now).expect("recorded");
        for (is, should) in [(latency.p50_ms, 50.0), (latency.p99_ms, 99.0), (latency.max_ms, 100.0)] {
            assert!((is - should).abs() <= should / 50.0, "{is} is not {should}");
        }
        assert_eq!((meter.handled(), meter.failed()), (100, 10));
        assert!((meter.rate(now) - 50.0).abs() < 0.1, "{}", meter.rate(now));
    }

    #[test]
    fn what_is_long_ago_is_counted_and_not_shown() {
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        meter.record(5 * MS, true, begin);
        assert!(meter.latency(begin + WINDOW).is_some(), "it is in the last window");
        assert_eq!(meter.latency(begin + 2 * WINDOW), None);
        meter.record(5 * MS, true, begin + 2 * WINDOW);
        assert_eq!(meter.latency(begin + 9 * WINDOW), None);
        assert_eq!(meter.handled(), 2);
    }
}
