//! The figures that a profile may set limits for.

use std::collections::BTreeMap;

use super::report::run::{Objective, Run};

/// A figure by its name: whether its limit is the least that is wanted, and where it stands in a run.
struct Figure {
    name: &'static str,
    is_minimum: bool,
    of: fn(&Run) -> Option<f64>,
}

/// In bytes, for figures that are easier to read in MiB.
const MIB: f64 = 1_048_576.0;

const FIGURES: [Figure; 13] = [
    most("acknowledge_p50_ms", |run| some(run.times.acknowledge.count, run.times.acknowledge.p50_ms)),
    most("acknowledge_p99_ms", |run| some(run.times.acknowledge.count, run.times.acknowledge.p99_ms)),
    most("overhead_p50_ms", |run| some(run.times.overhead.count, run.times.overhead.p50_ms)),
    most("overhead_p99_ms", |run| some(run.times.overhead.count, run.times.overhead.p99_ms)),
    most("answer_p99_ms", |run| some(run.times.answer.count, run.times.answer.p99_ms)),
    most("cpu_s_per_1000", |run| run.resources.cpu_s_per_1000),
    most("memory_before_mib", |run| run.resources.memory_before_bytes.map(|bytes| bytes as f64 / MIB)),
    most("memory_max_mib", |run| run.resources.memory_max_bytes.map(|bytes| bytes as f64 / MIB)),
    most("memory_slope_percent_per_hour", |run| run.resources.memory_slope_percent_per_hour),
    most("refused", |run| Some(run.traffic.refused as f64)),
    most("wal_max_mib", |run| run.resources.wal_max_bytes.map(|bytes| bytes as f64 / MIB)),
    Figure {
        name: "messages_per_s",
        is_minimum: true,
        of: |run| some(run.traffic.replies, run.traffic.messages_per_s),
    },
    Figure {
        name: "bursts_per_s",
        is_minimum: true,
        of: |run| some(run.traffic.replies, run.traffic.bursts_per_s),
    },
];

const fn most(name: &'static str, of: fn(&Run) -> Option<f64>) -> Figure {
    Figure { name, is_minimum: false, of }
}

/// A figure of which at least one was measured.
fn some(count: u64, value: f64) -> Option<f64> {
    (count > 0).then_some(value)
}

/// Whether a limit can be set for a figure of this name.
pub(super) fn is_known(name: &str) -> bool {
    FIGURES.iter().any(|figure| figure.name == name)
}

/// The names of all figures.
pub(super) fn known() -> String {
    FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", ")
}

/// Measures a run by its profile's limits. What could not be measured has not held.
#[must_use]
pub fn measure(limits: &BTreeMap<String, f64>, run: &Run) -> Vec<Objective> {
    let objective = |(name, limit): (&String, &f64)| {
        let figure = FIGURES.iter().find(|figure| figure.name == name)?;
        let measured = (figure.of)(run);
        let holds = |value: f64| if figure.is_minimum { value >= *limit } else { value <= *limit };
        Some(Objective {
            name: name.clone(),
            limit: *limit,
            is_minimum: figure.is_minimum,
            measured,
            held: measured.is_some_and(holds),
        })
    };
    limits.iter().filter_map(objective).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_or_not_and_what_was_not_measured_has_not_held() {
        let mut run = Run::default();
        run.times.overhead.count = 1;
        run.times.overhead.p99_ms = 20.0;
        run.traffic.replies = 1;
        run.traffic.messages_per_s = 99.0;
        for (name, limit, held) in [
            ("overhead_p99_ms", 20.0, true),
            ("overhead_p99_ms", 19.9, false),
            ("messages_per_s", 99.0, true),
            ("messages_per_s", 100.0, false),
            ("cpu_s_per_1000", 100.0, false),
            ("acknowledge_p99_ms", 100.0, false),
        ] {
            let measured = measure(&BTreeMap::from([(name.to_owned(), limit)]), &run);
            assert_eq!(measured.iter().map(|objective| objective.held).collect::<Vec<_>>(), [held], "{name}");
        }
        assert!(is_known("refused") && !is_known("beauty") && known().contains("overhead_p50_ms"));
    }
}
