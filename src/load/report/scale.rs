//! From values to places: what an axis spans, and where it has its ticks.

use super::format::Unit;

/// How many times the smallest value the largest must be before an axis grows by factors.
const LOG_FROM: f64 = 40.0;

/// How many parts a linear axis is to have, about.
const PARTS: f64 = 4.0;

/// An upright axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Whether equal steps are equal factors.
    pub(super) is_log: bool,
    /// The values with a line and a label, in order.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// An axis for these values, from zero; by factors only where it may be and the range needs it.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone, unit: Unit, may_be_log: bool) -> Self {
        let values = values.filter(|value| value.is_finite());
        let most = values.clone().fold(0.0, f64::max);
        let least = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        if may_be_log && least > 0.0 && most >= LOG_FROM * least {
            Self::log(least, most)
        } else {
            Self::linear(most, unit)
        }
    }

    fn linear(most: f64, unit: Unit) -> Self {
        // A size has round numbers of its own unit.
        let mut whole = 1.0;
        while unit == Unit::Bytes && most >= whole * 1_024.0 {
            whole *= 1_024.0;
        }
        let is_whole = matches!(unit, Unit::Count | Unit::PerSecond) || whole < 2.0 && unit == Unit::Bytes;
        let step = if most > 0.0 { round_step(most / whole / PARTS, is_whole) * whole } else { 1.0 };
        let parts = (most / step - 1e-9).ceil().max(1.0);
        let ticks: Vec<f64> = (0..=parts as u32).map(|n| f64::from(n) * step).collect();
        Self { low: 0.0, high: parts * step, is_log: false, ticks }
    }

    fn log(least: f64, most: f64) -> Self {
        let mut ticks = vec![];
        let mut decade = 10_f64.powf(least.log10().floor());
        while ticks.last().is_none_or(|last| *last < most * (1.0 - 1e-9)) {
            ticks.extend([decade, 2.0 * decade, 5.0 * decade]);
            decade *= 10.0;
        }
        // The last tick at or below the least, and the first at or above the most.
        let first = ticks.iter().rposition(|tick| *tick <= least * (1.0 + 1e-9)).unwrap_or_default();
        let last = ticks.iter().position(|tick| *tick >= most * (1.0 - 1e-9)).unwrap_or(ticks.len() - 1);
        let (low, high) = (ticks[first], ticks[last]);
        let ticks = ticks[first..=last].to_vec();
        let powers: Vec<f64> =
            ticks.iter().copied().filter(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9).collect();
        let ticks = match powers.len() {
            0..2 => ticks,
            2..6 => powers,
            _ => powers.into_iter().step_by(2).collect(),
        };
        Self { low, high, is_log: true, ticks }
    }

    /// Where a value stands, from 0 at the foot to 1 at the top; what lies outside stands at the edge.
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Whether a value lies within.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The least of 1, 2, 2.5, 5 and 10 times a power of ten that is at least this.
fn round_step(least: f64, is_whole: bool) -> f64 {
    let least = if is_whole { least.max(1.0) } else { least };
    let power = 10_f64.powf(least.log10().floor());
    let fits =
        |step: &f64| *step * power >= least * (1.0 - 1e-9) && !(is_whole && (step * power).fract() != 0.0);
    [1.0, 2.0, 2.5, 5.0].into_iter().find(fits).unwrap_or(10.0) * power
}

/// Where an axis of time has its ticks, in seconds: eight or fewer after the first.
pub(super) fn time_ticks(until_s: f64) -> Vec<f64> {
    const STEPS: [f64; 19] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0,
        7_200.0, 14_400.0, 21_600.0,
    ];
    const DAY: f64 = 86_400.0;
    let fits = |step: &f64| until_s / step <= 8.0;
    let step =
        STEPS.into_iter().find(fits).unwrap_or_else(|| (until_s / 8.0 / DAY).ceil().max(1.0) * DAY / 2.0);
    let parts = (until_s / step + 1e-9).floor().clamp(0.0, 16.0);
    (0..=parts as u32).map(|n| f64::from(n) * step).collect()
}

/// A time as it stands at a tick: `30 s`, `1:30`, `5 min`, `2 h`.
pub(super) fn time_label(at_s: f64, step_s: f64) -> String {
    let whole = at_s.round() as u64;
    match () {
        () if at_s == 0.0 => "0".to_owned(),
        () if step_s < 1.0 => format!("{at_s:.1} s"),
        () if step_s < 15.0 => format!("{whole} s"),
        () if step_s < 60.0 => format!("{}:{:02}", whole / 60, whole % 60),
        () if step_s < 900.0 => format!("{} min", whole / 60),
        () if step_s < 3_600.0 => format!("{}:{:02} h", whole / 3_600, whole % 3_600 / 60),
        () => format!("{} h", whole / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticks(values: &[f64], unit: Unit, may_be_log: bool) -> Vec<String> {
        let scale = Scale::of(values.iter().copied(), unit, may_be_log);
        scale.ticks.iter().map(|tick| unit.text(*tick)).collect()
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_has_round_ticks() {
        let cases: [(&[f64], Unit, &[&str]); 10] = [
            (&[], Unit::Millis, &["0", "1 ms"]),
            (&[0.0], Unit::Count, &["0", "1"]),
            (&[1.0], Unit::Count, &["0", "1"]),
            (&[3.0], Unit::Count, &["0", "1", "2", "3"]),
            (&[9.0], Unit::Count, &["0", "5", "10"]),
            (&[100.0, 40.0], Unit::Count, &["0", "25", "50", "75", "100"]),
            (&[0.9], Unit::Cores, &["0 cores", "0.25 cores", "0.5 cores", "0.75 cores", "1 core"]),
            (&[3.0 * 1_048_576.0], Unit::Bytes, &["0", "1 MiB", "2 MiB", "3 MiB"]),
            (&[900.0 * 1_024.0], Unit::Bytes, &["0", "250 KiB", "500 KiB", "750 KiB", "1,000 KiB"]),
            (&[f64::NAN, 2.0], Unit::Millis, &["0", "0.5 ms", "1 ms", "1.5 ms", "2 ms"]),
        ];
        for (values, unit, expected) in cases {
            assert_eq!(ticks(values, unit, false), expected, "{values:?}");
        }
    }

    #[test]
    fn an_axis_grows_by_factors_only_where_the_range_needs_it() {
        let cases: [(&[f64], &[&str]); 5] = [
            (&[1.0, 39.0], &["0", "10 ms", "20 ms", "30 ms", "40 ms"]),
            (&[1.0, 40.0], &["1 ms", "10 ms"]),
            (&[0.3, 700.0], &["1 ms", "10 ms", "100 ms", "1 s"]),
            (&[12.0, 900.0, 0.0], &["10 ms", "100 ms", "1 s"]),
            (&[1e-3, 1e6], &["0.001 ms", "0.1 ms", "10 ms", "1 s", "1 min"]),
        ];
        for (values, expected) in &cases[..4] {
            assert_eq!(&ticks(values, Unit::Millis, true), expected, "{values:?}");
        }
        assert_eq!(ticks(cases[4].0, Unit::Millis, true).len(), 5);
        let scale = Scale::of([0.3, 700.0, 0.0].into_iter(), Unit::Millis, true);
        assert!(scale.is_log && scale.share(0.0) == 0.0 && scale.share(0.2) == 0.0);
        assert!((scale.share(1_000.0) - 1.0).abs() < 1e-9 && scale.holds(1_000.0) && !scale.holds(1_001.0));
    }

    #[test]
    fn an_axis_of_time_has_few_round_ticks() {
        let cases: [(f64, &[&str]); 8] = [
            (0.0, &["0"]),
            (1.0, &["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1.0 s"]),
            (7.0, &["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s", "7 s"]),
            (60.0, &["0", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]),
            (100.0, &["0", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30"]),
            (302.0, &["0", "1 min", "2 min", "3 min", "4 min", "5 min"]),
            (7_200.0, &["0", "0:15 h", "0:30 h", "0:45 h", "1:00 h", "1:15 h", "1:30 h", "1:45 h", "2:00 h"]),
            (86_400.0, &["0", "4 h", "8 h", "12 h", "16 h", "20 h", "24 h"]),
        ];
        for (until_s, expected) in cases {
            let ticks = time_ticks(until_s);
            let step = ticks.get(1).copied().unwrap_or_default();
            let labels: Vec<String> = ticks.iter().map(|tick| time_label(*tick, step)).collect();
            assert_eq!(labels, expected, "{until_s}");
        }
    }

    proptest! {
        #[test]
        fn every_value_has_a_place_between_the_ends(values in prop::collection::vec(0.0..1e9_f64, 1..20), may_be_log: bool) {
            for unit in [Unit::Millis, Unit::Bytes, Unit::Count] {
                let scale = Scale::of(values.iter().copied(), unit, may_be_log);
                prop_assert!((2..=9).contains(&scale.ticks.len()), "{:?}", scale);
                prop_assert!(scale.ticks.is_sorted() && scale.ticks.iter().all(|tick| scale.holds(*tick)));
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let shares: Vec<f64> = sorted.iter().map(|value| scale.share(*value)).collect();
                prop_assert!(shares.is_sorted() && shares.iter().all(|share| (0.0..=1.0).contains(share)));
                prop_assert!(scale.holds(*sorted.last().unwrap()) || scale.is_log);
            }
        }

        #[test]
        fn an_axis_of_time_never_has_many_ticks(until_s in 0.0..1e8_f64) {
            let ticks = time_ticks(until_s);
            prop_assert!((1..=17).contains(&ticks.len()) && ticks.iter().all(|tick| *tick <= until_s + 1e-6));
        }
    }
}
