//! Looks for the highest rate that still meets the objectives: doubles it until it is too much, then halves the distance.

use std::collections::BTreeMap;

use super::meters::{Meters, Timed};
use super::profile::{Search, StagePlan};

/// A rate is not held when fewer than this part of its bursts were answered while it lasted.
const KEPT_UP: f64 = 0.95;

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

    /// Whether a rate was held in its stage: its bursts were answered, in the times that the objectives ask for.
    #[must_use]
    pub fn holds(
        &self,
        meters: &Meters,
        stage: usize,
        rate: f64,
        objectives: &BTreeMap<String, f64>,
    ) -> bool {
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
        is_fast && meter.bursts as f64 >= KEPT_UP * rate * self.search.seconds
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
