//! `/metrics`: the books of promise H and the figures of the writer, for Prometheus.

mod supervised;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tertulia_actors::domain::{Books, Memory};
use tertulia_actors::inbox::pressure::Refusals;
use tokio::sync::watch;

use crate::observer::{Look, Looks};
use crate::store::{SqliteStore, WriterStats};
use crate::traces::{SpanCounter, SpanCounts};

/// Where the figures come from. Books and statistics are published by the writer after each commit, so that every scrape
/// sees books that balance.
#[derive(Clone)]
pub struct Metrics {
    store: Arc<SqliteStore>,
    conversations: watch::Receiver<usize>,
    memory: watch::Receiver<Memory>,
    refusals: Refusals,
    looks: Looks,
    spans: SpanCounter,
}

impl Metrics {
    /// Metrics of a store, of the number of live conversations, of memory, of admissions that were refused, of what was seen of all
    /// supervisors, and of spans.
    #[must_use]
    pub const fn new(
        store: Arc<SqliteStore>,
        conversations: watch::Receiver<usize>,
        memory: watch::Receiver<Memory>,
        refusals: Refusals,
        looks: Looks,
        spans: SpanCounter,
    ) -> Self {
        Self { store, conversations, memory, refusals, looks, spans }
    }

    /// The text in the OpenMetrics format.
    #[must_use]
    pub fn text(&self) -> String {
        let figures = Figures {
            books: *self.store.books().borrow(),
            writer: self.store.stats(),
            conversations: *self.conversations.borrow(),
            memory: *self.memory.borrow(),
            refusals: self.refusals.counts().collect(),
            look: self.looks.last(),
            spans: self.spans.counts(),
        };
        let mut registry = Registry::with_prefix("tertulia");
        registry.register_collector(Box::new(figures));
        let mut out = String::new();
        match text::encode(&mut out, &registry) {
            Ok(()) => out,
            // Writing to a string does not fail.
            Err(fmt::Error) => String::new(),
        }
    }
}

/// One reading of all figures.
#[derive(Debug)]
struct Figures {
    books: Books,
    writer: WriterStats,
    conversations: usize,
    memory: Memory,
    /// Refused admissions by reason.
    refusals: Vec<(&'static str, u64)>,
    /// What the observer saw.
    look: Arc<Look>,
    spans: SpanCounts,
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.books(&mut encoder)?;
        self.writer(&mut encoder)?;
        self.refusals(&mut encoder)?;
        self.memory(&mut encoder)?;
        self.spans(&mut encoder)?;
        supervised::encode(&self.look, &mut encoder)
    }
}

impl Figures {
    fn books(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let books = &self.books;
        for (name, help, value) in [
            ("messages_received", "Messages stored, duplicates not counted", books.received),
            ("messages_duplicate", "Messages that had been stored before", books.duplicates),
            ("messages_answered", "Messages whose turn committed an answer", books.answered),
            (
                "messages_suppressed",
                "Messages that ended without an answer, for a stated reason",
                books.suppressed,
            ),
            ("reply_parts_created", "Parts of replies stored", books.parts_created),
        ] {
            counter(encoder, name, help, value.unsigned_abs())?;
        }
        for (name, help, value) in [
            ("messages_pending", "Messages that wait or are in a turn", books.pending),
            (
                "messages_dead_lettered",
                "Messages that failed alone; a replay takes them back",
                books.dead_lettered,
            ),
            ("reply_parts_pending", "Parts not yet accepted by their channel", books.parts_pending),
            ("reply_parts_sent", "Parts that their channel accepted", books.parts_sent),
            ("reply_parts_failed", "Parts refused by their channel, or cancelled", books.parts_failed),
            ("reply_parts_ambiguous", "Parts whose outcome cannot be known", books.parts_ambiguous),
        ] {
            gauge(encoder, name, help, None, value)?;
        }
        Ok(())
    }

    fn writer(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let writer = &self.writer;
        for (name, help, value) in [
            ("store_commits", "Transactions on disk", writer.commits),
            ("store_requests", "Requests in those transactions", writer.requests),
            ("store_rows", "Rows that those transactions wrote or removed", writer.rows),
            (
                "store_failed_commits",
                "Transactions that failed; nothing of them was written",
                writer.failed_commits,
            ),
            ("store_panics", "Writes that panicked", writer.panics),
            (
                "quarantine_lost",
                "Quarantined bodies that went to make room",
                writer.quarantine_lost.unsigned_abs(),
            ),
            (
                "early_statuses_lost",
                "Early delivery statuses that went to make room",
                writer.statuses_lost.unsigned_abs(),
            ),
        ] {
            counter(encoder, name, help, value)?;
        }
        let seconds = Some(Unit::Seconds);
        let commit_s = std::time::Duration::from_micros(writer.commit_us).as_secs_f64();
        let last_s = std::time::Duration::from_micros(writer.last_commit_us).as_secs_f64();
        float_counter(encoder, "store_commit", "Time spent in transactions, fsync included", commit_s)?;
        gauge(encoder, "store_last_commit", "How long the last transaction took", seconds.as_ref(), last_s)?;
        let queued = i64::try_from(writer.queued).unwrap_or(i64::MAX);
        gauge(encoder, "store_queue", "Requests that wait for the writer", None, queued)?;
        let pages = i64::try_from(writer.wal_pages).unwrap_or(i64::MAX);
        gauge(encoder, "store_wal_pages", "Pages in the write-ahead log", None, pages)?;
        let healthy = i64::from(writer.healthy);
        gauge(encoder, "store_healthy", "Whether the last transaction succeeded", None, healthy)?;
        let live = i64::try_from(self.conversations).unwrap_or(i64::MAX);
        gauge(encoder, "conversations_live", "Conversation actors in memory", None, live)
    }

    fn refusals(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Webhooks and messages refused before anything of them was stored, by reason";
        let mut family = encoder.encode_descriptor("admissions_refused", help, None, MetricType::Counter)?;
        for (reason, count) in &self.refusals {
            ConstCounter::new(*count).encode(family.encode_family(&[("reason", *reason)])?)?;
        }
        Ok(())
    }

    fn spans(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let SpanCounts { made, exported, failed, dropped } = self.spans;
        for (name, help, value) in [
            ("spans_made", "Spans made", made),
            ("spans_exported", "Spans that the collector took", exported),
            ("spans_failed", "Spans lost, since the collector did not take them", failed),
            ("spans_dropped", "Spans lost, since as many waited for the collector as may", dropped),
        ] {
            counter(encoder, name, help, value)?;
        }
        Ok(())
    }

    fn memory(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let (unit, memory) = (Some(&Unit::Bytes), self.memory);
        let help = "Memory of the process, files that are mapped included";
        gauge(encoder, "memory_resident", help, unit, bytes(memory.resident_bytes))?;
        let help = "Memory of the process that belongs to no file; what runtime.memory_max_bytes limits";
        gauge(encoder, "memory_anonymous", help, unit, bytes(memory.anonymous_bytes))
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn float_counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, Some(&Unit::Seconds), metric.metric_type())?)
}

fn gauge<N>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: N,
) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}
