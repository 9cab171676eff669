//! The figures by which runs are compared: what each is, which way is better, and how far apart two of them are.

use super::format::{Unit, float};
use super::run::{Quantiles, Run};

/// Two figures whose ratio is no further from 1 than this are about the same: runs of one build differ by as much.
const SAME: f64 = 0.05;

/// The group of how often each promise was broken.
pub(super) const BROKEN: &str = "broken promises";

/// Which way a figure is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// Less is better.
    Less,
    /// More is better.
    More,
    /// It says how much was done, not how well.
    Neither,
}

/// How a figure of one run stands to that of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judgement {
    /// As it is wished.
    Better,
    /// The other way.
    Worse,
    /// About the same.
    Same,
    /// More, which is neither good nor bad.
    More,
    /// Less, which is neither.
    Less,
    /// One of them was not measured.
    Unknown,
}

impl Judgement {
    /// The judgement in a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Same => "same",
            Self::More => "more",
            Self::Less => "less",
            Self::Unknown => "-",
        }
    }
}

/// A figure of several runs.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Measure {
    /// What it belongs to.
    pub(super) group: &'static str,
    /// What it is.
    pub(super) name: String,
    /// What it counts.
    pub(super) unit: Unit,
    /// Which way it is to go.
    pub(super) wish: Wish,
    /// One value a run, in their order.
    pub(super) values: Vec<Option<f64>>,
}

impl Measure {
    /// The value of a run.
    pub(super) fn value(&self, run: usize) -> Option<f64> {
        self.values.get(run).copied().flatten()
    }

    /// How many times the value of the first run that of another one is; none where that has no meaning.
    pub(super) fn ratio(&self, run: usize) -> Option<f64> {
        let (base, other) = (self.value(0)?, self.value(run)?);
        (base > 0.0 && other >= 0.0).then(|| other / base)
    }

    /// How the value of a run stands to that of the first.
    pub(super) fn judgement(&self, run: usize) -> Judgement {
        let (Some(base), Some(other)) = (self.value(0), self.value(run)) else {
            return Judgement::Unknown;
        };
        let is_near = (other - base).abs() <= self.unit.tolerance();
        if is_near || self.ratio(run).is_some_and(|ratio| (ratio - 1.0).abs() <= SAME) {
            return Judgement::Same;
        }
        match (self.wish, other > base) {
            (Wish::Less, true) | (Wish::More, false) => Judgement::Worse,
            (Wish::Less, false) | (Wish::More, true) => Judgement::Better,
            (Wish::Neither, true) => Judgement::More,
            (Wish::Neither, false) => Judgement::Less,
        }
    }
}

type Get = fn(&Run) -> Option<f64>;

/// A time of which nothing was measured has no value.
fn of(quantiles: &Quantiles, value: f64) -> Option<f64> {
    (quantiles.count > 0).then_some(value)
}

const PLAIN: [(&str, &str, Unit, Wish, Get); 32] = [
    ("traffic", "messages answered", Unit::PerSecond, Wish::More, |run| Some(run.traffic.messages_per_s)),
    ("traffic", "bursts answered", Unit::PerSecond, Wish::More, |run| Some(run.traffic.bursts_per_s)),
    ("traffic", "people", Unit::Count, Wish::Neither, |run| Some(float(run.traffic.people))),
    ("traffic", "messages", Unit::Count, Wish::Neither, |run| Some(float(run.traffic.messages))),
    ("traffic", "webhooks refused", Unit::Count, Wish::Less, |run| Some(float(run.traffic.refused))),
    ("traffic", "replies", Unit::Count, Wish::Neither, |run| Some(float(run.traffic.replies))),
    ("traffic", "prompts to the model", Unit::Count, Wish::Neither, |run| Some(float(run.traffic.prompts))),
    ("times", "acknowledge p50", Unit::Millis, Wish::Less, |run| {
        of(&run.times.acknowledge, run.times.acknowledge.p50_ms)
    }),
    ("times", "acknowledge p99", Unit::Millis, Wish::Less, |run| {
        of(&run.times.acknowledge, run.times.acknowledge.p99_ms)
    }),
    ("times", "acknowledge p99.9", Unit::Millis, Wish::Less, |run| {
        of(&run.times.acknowledge, run.times.acknowledge.p999_ms)
    }),
    ("times", "acknowledge max", Unit::Millis, Wish::Less, |run| {
        of(&run.times.acknowledge, run.times.acknowledge.max_ms)
    }),
    ("times", "overhead p50", Unit::Millis, Wish::Less, |run| {
        of(&run.times.overhead, run.times.overhead.p50_ms)
    }),
    ("times", "overhead p90", Unit::Millis, Wish::Less, |run| {
        of(&run.times.overhead, run.times.overhead.p90_ms)
    }),
    ("times", "overhead p99", Unit::Millis, Wish::Less, |run| {
        of(&run.times.overhead, run.times.overhead.p99_ms)
    }),
    ("times", "overhead p99.9", Unit::Millis, Wish::Less, |run| {
        of(&run.times.overhead, run.times.overhead.p999_ms)
    }),
    ("times", "overhead max", Unit::Millis, Wish::Less, |run| {
        of(&run.times.overhead, run.times.overhead.max_ms)
    }),
    ("times", "answer p50", Unit::Millis, Wish::Less, |run| of(&run.times.answer, run.times.answer.p50_ms)),
    ("times", "answer p99", Unit::Millis, Wish::Less, |run| of(&run.times.answer, run.times.answer.p99_ms)),
    ("times", "answer max", Unit::Millis, Wish::Less, |run| of(&run.times.answer, run.times.answer.max_ms)),
    ("resources", "processor, 1,000 messages", Unit::Seconds, Wish::Less, |run| run.resources.cpu_s_per_1000),
    ("resources", "memory before", Unit::Bytes, Wish::Less, |run| {
        run.resources.memory_before_bytes.map(float)
    }),
    ("resources", "memory, most", Unit::Bytes, Wish::Less, |run| run.resources.memory_max_bytes.map(float)),
    ("resources", "memory, slope", Unit::PercentPerHour, Wish::Less, |run| {
        run.resources.memory_slope_percent_per_hour
    }),
    ("resources", "open files, most", Unit::Count, Wish::Less, |run| run.resources.files_max.map(float)),
    ("resources", "database", Unit::Bytes, Wish::Less, |run| run.resources.database_bytes.map(float)),
    ("resources", "write-ahead log, most", Unit::Bytes, Wish::Less, |run| {
        run.resources.wal_max_bytes.map(float)
    }),
    ("resources", "commits", Unit::Count, Wish::Neither, |run| run.resources.commits.map(float)),
    ("resources", "requests a commit", Unit::Plain, Wish::More, |run| run.resources.requests_per_commit),
    ("resources", "rows a commit", Unit::Plain, Wish::Neither, |run| run.resources.rows_per_commit),
    ("generator", "lag p50", Unit::Millis, Wish::Less, |run| {
        of(&run.generator.lag, run.generator.lag.p50_ms)
    }),
    ("generator", "lag p99", Unit::Millis, Wish::Less, |run| {
        of(&run.generator.lag, run.generator.lag.p99_ms)
    }),
    ("generator", "processor, 1,000 messages", Unit::Seconds, Wish::Less, |run| run.generator.cpu_s_per_1000),
];

/// All figures of some runs, broken promises first; those that no run has are left out.
pub(super) fn measures(runs: &[Run]) -> Vec<Measure> {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let mut names: Vec<&str> = vec![];
    for promise in runs.iter().flat_map(|run| &run.promises) {
        if !names.contains(&promise.name.as_str()) {
            names.push(&promise.name);
        }
    }
    let promises = names.into_iter().map(|name| Measure {
        group: BROKEN,
        name: name.to_owned(),
        unit: Unit::Count,
        wish: Wish::Less,
        values: runs.iter().map(|run| broken(run, name)).collect(),
    });
    let plain = PLAIN.iter().map(|(group, name, unit, wish, get)| Measure {
        group,
        name: (*name).to_owned(),
        unit: *unit,
        wish: *wish,
        values: runs.iter().map(|run| finite(get(run))).collect(),
    });
    promises.chain(plain.filter(|measure| measure.values.iter().any(Option::is_some))).collect()
}

/// How often a run broke a promise; none where it had no occasion.
fn broken(run: &Run, name: &str) -> Option<f64> {
    let promise = run.promises.iter().find(|promise| promise.name == name)?;
    (promise.checked > 0 || promise.broken > 0).then(|| float(promise.broken))
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn better_and_worse_follow_the_wish_and_small_differences_are_none() {
        use Judgement::*;
        let cases = [
            (Wish::Less, Unit::Count, Some(100.0), Some(80.0), Some(0.8), Better),
            (Wish::Less, Unit::Count, Some(100.0), Some(120.0), Some(1.2), Worse),
            (Wish::More, Unit::Count, Some(100.0), Some(120.0), Some(1.2), Better),
            (Wish::More, Unit::Count, Some(100.0), Some(80.0), Some(0.8), Worse),
            (Wish::Neither, Unit::Count, Some(100.0), Some(80.0), Some(0.8), Less),
            (Wish::Neither, Unit::Count, Some(100.0), Some(120.0), Some(1.2), More),
            (Wish::Less, Unit::Count, Some(100.0), Some(104.0), Some(1.04), Same),
            (Wish::Less, Unit::Count, Some(0.0), Some(0.0), None, Same),
            (Wish::Less, Unit::Count, Some(0.0), Some(3.0), None, Worse),
            (Wish::Less, Unit::Count, Some(3.0), Some(0.0), Some(0.0), Better),
            (Wish::Less, Unit::Millis, Some(0.3), Some(0.45), Some(1.5), Same),
            (Wish::Less, Unit::PercentPerHour, Some(-0.4), Some(0.5), None, Same),
            (Wish::Less, Unit::PercentPerHour, Some(-0.4), Some(9.0), None, Worse),
            (Wish::Less, Unit::Count, None, Some(1.0), None, Unknown),
            (Wish::Less, Unit::Count, Some(1.0), None, None, Unknown),
        ];
        for (wish, unit, base, other, ratio, expected) in cases {
            let measure = Measure { group: "", name: String::new(), unit, wish, values: vec![base, other] };
            assert_eq!(measure.judgement(1), expected, "{measure:?}");
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
            assert!(
                measure.ratio(1).zip(ratio).map_or(ratio == measure.ratio(1), |(a, b)| near(a, b)),
                "{measure:?}"
            );
        }
    }

    #[test]
    fn runs_are_compared_by_what_any_of_them_measured() {
        let bare = Run { promises: sample::broken().promises[..1].to_vec(), ..Run::default() };
        let found = measures(&[sample::run(), bare.clone()]);
        assert!(found.iter().any(|measure| measure.name == "overhead p99" && measure.value(1).is_none()));
        let bare = measures(&[bare]);
        assert!(!bare.iter().any(|measure| measure.group == "times"), "{bare:?}");
        assert_eq!(bare.iter().filter(|measure| measure.group == BROKEN).count(), 1);
    }
}
