//! Times of a run in HDR histograms: over all, by stage, and by the second.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::plan::Moment;
use super::report::run::{Quantiles, Times};

/// The longest time that is told from longer ones, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Significant decimal digits of a time.
const DIGITS: u8 = 3;

/// A distribution of times.
#[derive(Clone, Debug)]
pub struct Distribution(Histogram<u64>);

impl Default for Distribution {
    fn default() -> Self {
        let bounded = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Self(bounded.expect("the bounds are constant, and allowed"))
    }
}

impl Distribution {
    /// One more time, in microseconds.
    pub fn record(&mut self, time: Moment) {
        self.0.saturating_record(time.max(1));
    }

    /// A percentile in milliseconds; none where nothing was recorded.
    #[must_use]
    pub fn at(&self, percentile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| millis(self.0.value_at_percentile(percentile)))
    }

    /// The percentiles that a report tells.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |percentile| self.at(percentile).unwrap_or_default();
        Quantiles {
            count: self.0.len(),
            mean_ms: self.0.mean() / 1_000.0,
            p50_ms: at(50.0),
            p90_ms: at(90.0),
            p99_ms: at(99.0),
            p999_ms: at(99.9),
            max_ms: at(100.0),
        }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1_000.0
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timed {
    /// A webhook's acknowledgement.
    Acknowledge,
    /// What the server took beyond the quiet period and the model.
    Overhead,
    /// The whole wait for an answer.
    Answer,
    /// The generator's delay against its own plan.
    Lag,
}

/// The four distributions of a stretch of the run.
#[derive(Clone, Debug, Default)]
pub struct Stretch([Distribution; 4]);

impl Stretch {
    /// One more.
    pub fn record(&mut self, what: Timed, time: Moment) {
        self.0[what as usize].record(time);
    }

    /// One of the four.
    #[must_use]
    pub const fn of(&self, what: Timed) -> &Distribution {
        &self.0[what as usize]
    }

    /// Those that concern the server.
    #[must_use]
    pub fn times(&self) -> Times {
        Times {
            acknowledge: self.of(Timed::Acknowledge).quantiles(),
            overhead: self.of(Timed::Overhead).quantiles(),
            answer: self.of(Timed::Answer).quantiles(),
        }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(Distribution::clear);
    }
}

/// What a stage counts beside its times.
#[derive(Clone, Debug, Default)]
pub struct StageMeter {
    /// Its times, of the bursts that began in it.
    pub times: Stretch,
    /// Messages whose answer arrived while it lasted.
    pub answered: u64,
    /// Bursts whose answer arrived while it lasted.
    pub bursts: u64,
}

/// All meters of a run.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// The stages that are no warm-up.
    pub measured: Stretch,
    /// Each stage.
    pub stages: Vec<StageMeter>,
    /// The current second.
    pub second: Stretch,
    warm_up: Vec<bool>,
}

impl Meters {
    /// Meters for stages, each a warm-up or not.
    #[must_use]
    pub fn new(warm_up: Vec<bool>) -> Self {
        let stages = vec![StageMeter::default(); warm_up.len()];
        Self { stages, warm_up, ..Self::default() }
    }

    /// One more stage, which is no warm-up.
    pub fn add_stage(&mut self) {
        self.stages.push(StageMeter::default());
        self.warm_up.push(false);
    }

    /// One more time, of a burst that began in a stage.
    pub fn record(&mut self, stage: usize, what: Timed, time: Moment) {
        self.second.record(what, time);
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.times.record(what, time);
        }
        if self.warm_up.get(stage) == Some(&false) {
            self.measured.record(what, time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_a_thousandth_and_warm_up_is_left_out() {
        let mut meters = Meters::new(vec![true, false]);
        meters.record(0, Timed::Overhead, 9_000_000);
        (1..=1_000).for_each(|ms| meters.record(1, Timed::Overhead, ms * 1_000));
        let measured = meters.measured.of(Timed::Overhead).quantiles();
        assert_eq!(measured.count, 1_000);
        assert!((measured.p50_ms - 500.0).abs() < 1.0 && (measured.p99_ms - 990.0).abs() < 1.0);
        assert!((measured.max_ms - 1_000.0).abs() < 1.0 && (measured.mean_ms - 500.5).abs() < 1.0);
        assert_eq!(meters.stages[0].times.times().overhead.count, 1);
        assert_eq!(meters.measured.times().acknowledge, Quantiles::default());
        assert_eq!(meters.second.of(Timed::Lag).at(50.0), None);
        meters.second.clear();
        assert_eq!(meters.second.of(Timed::Overhead).at(99.0), None);
    }
}
