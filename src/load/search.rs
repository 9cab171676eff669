//! Looks for the highest rate that still meets the objectives: doubles it until it is too much, then halves the distance.

use std::collections::BTreeMap;
use std::time::Duration;

use super::meters::{Meters, Timed};
use super::profile::{Search, StagePlan};

/// A rate is not held when fewer than this part of its bursts are answered in time: the last ones some time behind its stage,
/// which [`Climb::patience`] says.
const KEPT_UP: f64 = 0.95;

/// What a burst may take beside the quiet period and the model: its own messages, and the sending.
const BURST: Duration = Duration::from_secs(1);

/// A search under way.
#[derive(Clone, Copy, Debug)]
pub struct Climb {
    search: Search,
    best: Option<f64>,
    too_much: Option<f64>,
    next: Option<f64>,
}

impl Climb {
    /// A search that begins with its first rate.
    #[must_use]
    pub const fn new(search: Search) -> Self {
        Self { search, best: None, too_much: None, next: Some(search.from) }
    }

    /// The rate to try now, in bursts a second; none: the search is over.
    pub const fn next(&mut self) -> Option<f64> {
        self.next.take()
    }

    /// The stage that tries a rate.
    #[must_use]
    pub fn stage(&self, rate: f64) -> StagePlan {
        StagePlan {
            name: format!("{rate:.0} bursts/s"),
            seconds: self.search.seconds,
            bursts_per_s: rate,
            ..StagePlan::default()
        }
    }

    /// How long behind a stage its last bursts may be answered, with this quiet period and such a model.
    #[must_use]
    pub const fn patience(quiet: Duration, model: Duration) -> Duration {
        quiet.saturating_add(model).saturating_add(BURST)
    }

    /// Whether a rate was held in its stage, of which so many bursts were planned: they were answered, in the times that the
    /// objectives ask for. To be asked [`Climb::patience`] behind the stage.
    #[must_use]
    pub fn holds(meters: &Meters, stage: usize, planned: usize, objectives: &BTreeMap<String, f64>) -> bool {
        let Some(meter) = meters.stages.get(stage) else { return false };
        let limits = [
            ("overhead_p50_ms", Timed::Overhead, 50.0),
            ("overhead_p99_ms", Timed::Overhead, 99.0),
            ("acknowledge_p50_ms", Timed::Acknowledge, 50.0),
            ("acknowledge_p99_ms", Timed::Acknowledge, 99.0),
        ];
        let is_fast = limits.iter().all(|(name, what, percentile)| {
            let measured = meter.times.of(*what).at(*percentile).unwrap_or(f64::INFINITY);
            objectives.get(*name).is_none_or(|limit| measured <= *limit)
        });
        let answered = meter.times.of(Timed::Overhead).quantiles().count;
        is_fast && answered as f64 >= KEPT_UP * planned as f64
    }

    /// Takes down whether a rate was held, and chooses the next.
    pub fn tell(&mut self, rate: f64, held: bool) {
        if held {
            self.best = Some(self.best.map_or(rate, |best| best.max(rate)));
        } else {
            self.too_much = Some(self.too_much.map_or(rate, |least| least.min(rate)));
        }
        self.next = match (self.best, self.too_much) {
            (Some(best), None) if best < self.search.to => Some((best * 2.0).min(self.search.to)),
            (Some(best), Some(too_much)) if too_much - best > self.search.precision * best => {
                Some(f64::midpoint(best, too_much))
            }
            // Less than the first rate is not looked for: such a server has another trouble.
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(from: f64, to: f64, holds_up_to: f64) -> (Vec<f64>, Option<f64>) {
        let mut climb = Climb::new(Search { from, to, seconds: 1.0, precision: 0.1 });
        let mut rates = vec![];
        while let Some(rate) = climb.next() {
            rates.push(rate);
            climb.tell(rate, rate <= holds_up_to);
        }
        (rates, climb.best)
    }

    #[test]
    fn a_rate_is_held_when_its_bursts_are_answered_fast_whether_or_not_its_stage_had_ended_by_then() {
        let objectives = BTreeMap::from([("overhead_p99_ms".to_owned(), 100.0)]);
        for (answered, took_ms, expected) in
            [(100, 20, true), (96, 20, true), (94, 20, false), (100, 200, false), (0, 20, false)]
        {
            // None of them counts as answered while the stage lasted.
            let mut meters = Meters::new(vec![false]);
            (0..answered).for_each(|_| meters.record(0, Timed::Overhead, took_ms * 1_000));
            assert_eq!(Climb::holds(&meters, 0, 100, &objectives), expected, "{answered} in {took_ms} ms");
        }
    }

    #[test]
    fn rates_double_until_one_is_too_much_and_then_close_in() {
        for (from, to, holds_up_to, rates, best) in [
            (100.0, 10_000.0, 330.0, vec![100.0, 200.0, 400.0, 300.0, 350.0, 325.0], Some(325.0)),
            (100.0, 300.0, 1_000.0, vec![100.0, 200.0, 300.0], Some(300.0)),
            (100.0, 300.0, 50.0, vec![100.0], None),
        ] {
            assert_eq!(tried(from, to, holds_up_to), (rates, best));
        }
    }
}
