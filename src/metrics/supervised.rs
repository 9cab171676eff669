//! What the tree of supervision says, for Prometheus: as the observer saw it, some seconds ago at the most.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tertulia_actors::supervision::snapshot::{Kind, Node, State};

use super::{counter, gauge};
use crate::observer::{Look, nodes};

/// The upper bounds of the buckets of answer times, in seconds.
const ANSWER_BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0];

/// Writes everything that a look says.
pub(super) fn encode(look: &Look, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    answers(&look.figures.all_answers, encoder)?;
    counter(encoder, "turns_ended", "Turns that ran to an end", look.counters.turns)?;
    counter(
        encoder,
        "actors_restarted",
        "Actors, threads and conversations started anew",
        look.counters.errors.restarts,
    )?;
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let store = &look.figures.store;
    gauge(encoder, "store_reads_in_flight", "Reads under way", None, count(store.reads_in_flight))?;
    gauge(
        encoder,
        "store_reads_waiting",
        "Reads that wait for a connection",
        None,
        count(store.reads_waiting),
    )?;
    let tree = look.tree.as_deref();
    fronts(&tree.into_iter().flat_map(nodes).collect::<Vec<_>>(), encoder)
}

/// How long after their batch was due answers were durable.
fn answers(times: &Histogram<u64>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (buckets, sum_s) = buckets(times);
    let help = "Time from the end of the quiet period to the answer on disk";
    let seconds = Some(&Unit::Seconds);
    let mut metric = encoder.encode_descriptor("answer_duration", help, seconds, MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(sum_s, times.len(), &buckets, None)
}

/// How many times lie in each bucket, by its upper bound in seconds, and their sum in seconds. Pure.
fn buckets(times: &Histogram<u64>) -> (Vec<(f64, u64)>, f64) {
    let mut counts = vec![0_u64; ANSWER_BOUNDS_S.len() + 1];
    let mut sum_s = 0.0;
    for recorded in times.iter_recorded() {
        let seconds = recorded.value_iterated_to() as f64 / 1e6;
        let count = recorded.count_since_last_iteration();
        let bucket = ANSWER_BOUNDS_S.iter().position(|bound| seconds <= *bound);
        counts[bucket.unwrap_or(ANSWER_BOUNDS_S.len())] += count;
        sum_s += seconds * count as f64;
    }
    let bounds = ANSWER_BOUNDS_S.into_iter().chain([f64::MAX]);
    (bounds.zip(counts).collect(), sum_s)
}

/// Every front: of a service, of a channel, of the store.
fn fronts(nodes: &[&Node], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let fronts: BTreeMap<&str, &Node> = nodes
        .iter()
        .filter(|node| node.kind == Kind::Front)
        .map(|node| (node.path.rsplit('/').next().unwrap_or(&node.path), *node))
        .collect();
    type Figure = fn(&Node) -> u64;
    let counters: [(&str, &str, Figure); 2] = [
        ("service_calls", "Calls of a service or channel that ended", |node| {
            node.snapshot.handled.unwrap_or(0)
        }),
        ("service_failures", "Calls of a service or channel that failed", |node| {
            node.snapshot.failed.unwrap_or(0)
        }),
    ];
    for (name, help, figure) in counters {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (service, node) in &fronts {
            ConstCounter::new(figure(node)).encode(family.encode_family(&[("service", *service)])?)?;
        }
    }
    let gauges: [(&str, &str, Figure); 3] = [
        ("service_in_flight", "Calls under way", |node| wide(node.snapshot.in_flight)),
        ("service_waiting", "Calls that wait for a place", |node| wide(node.snapshot.waiting)),
        ("service_up", "Whether it works and takes calls", |node| u64::from(node.state == State::Running)),
    ];
    for (name, help, figure) in gauges {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (service, node) in &fronts {
            let value = i64::try_from(figure(node)).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(family.encode_family(&[("service", *service)])?)?;
        }
    }
    Ok(())
}

fn wide(count: Option<usize>) -> u64 {
    count.map_or(0, |count| u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use tertulia_actors::supervision::meter::Answers;

    use super::*;

    #[test]
    fn times_lie_in_the_bucket_of_their_upper_bound() {
        let mut times = Answers::default().all;
        for ms in [1, 4, 7, 80, 90, 2_000] {
            times.record(ms * 1_000).unwrap();
        }
        let (buckets, sum_s) = buckets(&times);
        let filled: Vec<_> = buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.005, 2), (0.01, 1), (0.1, 2), (2.5, 1)]);
        assert_eq!(buckets.last(), Some(&(f64::MAX, 0)), "the last one is without an end");
        assert!((sum_s - 2.182).abs() < 0.03, "{sum_s}");
    }
}
