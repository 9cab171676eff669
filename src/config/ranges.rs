//! What each number may be. A value outside is refused before anything starts: a limit of zero stops what it limits, a wait
//! of zero turns a loop hot, and a number far too large is an allocation or a time that cannot be.

use toml::{Table, Value};

use super::ConfigError;

/// The longest wait: one day. Longer ones are slips of the unit.
const DAY_MS: i64 = 86_400_000;
/// The shortest wait of a loop that tries again; below, it would keep a core busy.
const PAUSE_MS: i64 = 10;
/// The most of anything that is queued or counted; queues are allocated when the server starts.
const MANY: i64 = 1_000_000;

/// The allowed values of one key, both ends included.
pub(super) struct Range {
    pub(super) key: &'static str,
    pub(super) least: Bound,
    pub(super) most: Bound,
    /// Why, where the number alone does not say it.
    why: &'static str,
}

/// An end of a range.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(super) enum Bound {
    Whole(i64),
    Real(f64),
}

const fn whole(key: &'static str, least: i64, most: i64) -> Range {
    because(key, least, most, "")
}

const fn because(key: &'static str, least: i64, most: i64, why: &'static str) -> Range {
    Range { key, least: Bound::Whole(least), most: Bound::Whole(most), why }
}

const fn real(key: &'static str, most: f64) -> Range {
    Range { key, least: Bound::Real(0.0), most: Bound::Real(most), why: "" }
}

/// Every number of the configuration.
pub(super) const RANGES: &[Range] = &[
    because("server.workers", 0, 1_024, "0 is one per core"),
    whole("server.body_limit_bytes", 1_024, 1 << 30),
    because("server.head_timeout_ms", 1, DAY_MS, "without a limit a slow sender holds a connection for ever"),
    because("server.body_timeout_ms", 1, DAY_MS, "at 0 no body would be read"),
    because(
        "server.write_timeout_ms",
        1,
        DAY_MS,
        "without a limit a reader that stops holds a connection for ever",
    ),
    because("server.keep_alive_ms", 0, DAY_MS, "0 closes a connection after each answer"),
    because("server.drain_ms", 100, DAY_MS, "a drain must have time to finish or store what runs"),
    whole("server.streams_max", 1, MANY),
    because("server.ready_timeout_ms", 1, DAY_MS, "at 0 the server would never be ready"),
    whole("server.connections_max", 1, MANY),
    whole("server.backlog", 1, 65_535),
    because("storage.queue_max", 2, MANY, "one for an admission and one that admissions leave free"),
    whole("storage.admission_queue_max", 1, MANY),
    because("storage.admission_queue_bytes", 1, 1 << 40, "a single admission finds room in any case"),
    whole("storage.commit_batch_max", 1, 65_536),
    whole("storage.readers", 1, 64),
    whole("storage.read_queue_max", 1, MANY),
    because("storage.busy_timeout_ms", 1, DAY_MS, "at 0 any other reader of the file would fail a commit"),
    because("storage.cache_kib", 640, 1 << 24, "a reader has a fortieth of it"),
    because("storage.mmap_bytes", 0, 1 << 40, "0 maps nothing"),
    whole("storage.wal_checkpoint_pages", 1, 10 * MANY),
    whole("storage.wal_limit_pages", 2, 10 * MANY),
    because("storage.quarantine_max", 1, MANY, "at 0 nothing that was not understood could be looked at"),
    because(
        "storage.quarantine_bytes",
        1,
        1 << 40,
        "at 0 nothing that was not understood could be looked at",
    ),
    because(
        "storage.early_statuses_max",
        1,
        MANY,
        "at 0 a status that comes before its answer would be lost",
    ),
    because("storage.page_max", 0, 0xffff_fffe, "0 is no limit"),
    because("storage.start_check_bytes", 0, 1 << 40, "0 never looks"),
    because("storage.retry_after_ms", PAUSE_MS, DAY_MS, "callers and turns would try again without a pause"),
    because("storage.probe_ms", PAUSE_MS, DAY_MS, "a failed writer would try again without a pause"),
    because("inbox.dedupe_days", 8, 3_650, "providers resend for 7 days"),
    because("inbox.backlog_max", 1, 100 * MANY, "at 0 nothing would come in beside what waits"),
    because("conversation.quiet_ms", 0, DAY_MS, "0 gathers nothing"),
    whole("conversation.max_wait_ms", 0, DAY_MS),
    because("conversation.max_messages", 1, 1_000, "a batch holds at least one message"),
    because("conversation.idle_ms", 1, DAY_MS, "actors with nothing to do would never rest"),
    whole("turns.in_flight_max", 1, MANY),
    because("turns.max_attempts", 1, 1_000, "at 0 no turn would ever run"),
    because("turns.max_interrupted", 1, 1_000, "at 0 no turn would ever run"),
    because("turns.retry_base_ms", PAUSE_MS, DAY_MS, "a failed turn would run again without a pause"),
    whole("turns.retry_max_ms", PAUSE_MS, DAY_MS),
    because("turns.unavailable_retry_ms", PAUSE_MS, DAY_MS, "a turn would run again without a pause"),
    because("turns.patience_ms", 0, DAY_MS, "0 never waits for a service"),
    because("turns.timeout_ms", 1, DAY_MS, "at 0 every turn would fail"),
    because("pipeline.knowledge_hits", 0, 50, "0 looks nothing up"),
    real("pipeline.reply_score_min", 1.0),
    real("pipeline.passage_score_min", 1.0),
    real("pipeline.class_confidence_min", 1.0),
    real("pipeline.class_scope_min", 1.0),
    because("pipeline.history_messages", 0, 1_000, "0 shows none"),
    whole("outbox.in_flight_max", 1, MANY),
    whole("outbox.lanes_max", 1, 10 * MANY),
    whole("outbox.lane_max", 1, 1_000),
    because("outbox.give_up_ms", 0, 30 * DAY_MS, "0 sends nothing twice"),
    because("outbox.retry_base_ms", PAUSE_MS, DAY_MS, "a part would be sent again without a pause"),
    whole("outbox.retry_max_ms", PAUSE_MS, DAY_MS),
    because("outbox.ambiguous_hold_ms", 0, DAY_MS, "0 holds nothing"),
    because("sweep.sweep_ms", PAUSE_MS, DAY_MS, "the sweep would run without a pause"),
    whole("sweep.page_max", 1, MANY),
    because("supervision.restarts_max", 0, 1_000, "0 gives up at the first failure"),
    whole("supervision.window_ms", 1, DAY_MS),
    because(
        "supervision.backoff_base_ms",
        PAUSE_MS,
        DAY_MS,
        "what fails would be started anew without a pause",
    ),
    whole("supervision.backoff_max_ms", PAUSE_MS, DAY_MS),
    because("supervision.breaker_failures", 1, MANY, "at 0 nothing would ever be called"),
    because("supervision.probe_ms", PAUSE_MS, DAY_MS, "what is down would be called without a pause"),
    whole("supervision.probe_max_ms", PAUSE_MS, DAY_MS),
    because("supervision.heartbeat_ms", 100, DAY_MS, "a busy machine would pass for a frozen thread"),
    whole("supervision.frozen_exit_ms", 100, DAY_MS),
    because("supervision.abandoned_max", 0, 1_000, "0 replaces no frozen thread"),
    whole("supervision.share_max", 1, MANY),
    whole("supervision.events_max", 1, MANY),
    because("supervision.readers_max", 0, 10_000, "0 streams to nobody"),
    because("channels.web.messages_per_minute", 0, MANY, "0 is no limit"),
    because("channels.web.visitors_per_minute", 0, MANY, "0 is no limit"),
    whole("channels.web.text_max_chars", 1, 1 << 30),
    whole("channels.web.remembered_max", 1, 10 * MANY),
    whole("channels.api.text_max_chars", 1, 1 << 30),
    because("channels.whatsapp.timeout_ms", 1, DAY_MS, "at 0 the outcome of every send would be unknown"),
    because("channels.whatsapp.connect_timeout_ms", 1, DAY_MS, "at 0 nothing would ever be sent"),
    whole("channels.front.in_flight_max", 1, MANY),
    because("channels.front.queue_max", 0, MANY, "0 lets no call wait"),
    whole("channels.front.deadline_ms", 1, DAY_MS),
    real("query.stored_score_min", 1.0),
    real("query.llm.temperature", 2.0),
    whole("query.llm.max_tokens", 1, MANY),
    because("query.llm.timeout_ms", 1, DAY_MS, "at 0 no answer would ever come"),
    because("query.llm.connect_timeout_ms", 1, DAY_MS, "at 0 no answer would ever come"),
    whole("query.llm.response_limit_bytes", 1_024, 1 << 30),
    whole("query.front.in_flight_max", 1, MANY),
    because("query.front.queue_max", 0, MANY, "0 lets no call wait"),
    whole("query.front.deadline_ms", 1, DAY_MS),
    whole("embedding.endpoint.dimensions", 1, 16_384),
    real("embedding.endpoint.unrelated_cosine", 0.95),
    because("embedding.endpoint.timeout_ms", 1, DAY_MS, "at 0 no answer would ever come"),
    because("embedding.endpoint.connect_timeout_ms", 1, DAY_MS, "at 0 no answer would ever come"),
    whole("embedding.endpoint.response_limit_bytes", 1_024, 1 << 30),
    whole("embedding.threads", 1, 64),
    whole("embedding.batch_texts_max", 1, 2_048),
    whole("embedding.batch_chars_max", 1, MANY),
    because("embedding.batch_wait_ms", 0, 1_000, "0 waits for nobody"),
    because("embedding.cache_max", 0, MANY, "0 remembers none"),
    because("embedding.front.queue_max", 0, MANY, "0 lets no call wait"),
    whole("embedding.front.deadline_ms", 1, DAY_MS),
    whole("vectors.threads", 1, 64),
    because("vectors.exact_max", 0, 100 * MANY, "0 compares none one by one"),
    because("vectors.front.queue_max", 0, MANY, "0 lets no call wait"),
    whole("vectors.front.deadline_ms", 1, DAY_MS),
    whole("vectors.chroma.in_flight_max", 1, 1_024),
    because("vectors.chroma.timeout_ms", 1, DAY_MS, "at 0 no answer would ever come"),
    because("vectors.chroma.connect_timeout_ms", 1, DAY_MS, "at 0 no answer would ever come"),
    whole("vectors.chroma.response_limit_bytes", 1_024, 1 << 30),
    because("classifier.llm_timeout_ms", 1, DAY_MS, "at 0 no class would ever be named"),
    whole("classifier.threads", 1, 64),
    because("classifier.front.queue_max", 0, MANY, "0 lets no call wait"),
    whole("classifier.front.deadline_ms", 1, DAY_MS),
    because("console.session_ms", 60_000, 30 * DAY_MS, "a minute at the least, thirty days at the most"),
    because("console.sign_ins_per_minute", 0, 10_000, "0 is no limit"),
    whole("handoff.idle_ms", 1_000, DAY_MS),
    because("runtime.shards", 0, 256, "0 is one per core"),
    whole("runtime.live_max", 1, 100 * MANY),
    because("runtime.memory_max_bytes", 0, 1 << 44, "0 is no limit"),
    real("traces.sample_ratio", 1.0),
    whole("traces.queue_max", 1, MANY),
    because("traces.interval_ms", PAUSE_MS, DAY_MS, "the exporter would run without a pause"),
    because("traces.timeout_ms", 1, DAY_MS, "at 0 no span would ever arrive"),
];

/// Checks every number of a configuration, as a table. A key without a value has none to check.
pub(super) fn check(config: &Table) -> Result<(), ConfigError> {
    RANGES.iter().try_for_each(|range| match find(config, range.key) {
        Some(value) => range.check(value),
        None => Ok(()),
    })
}

/// The value of a dotted key.
pub(super) fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (sections, name) = key.rsplit_once('.')?;
    sections.split('.').try_fold(table, |table, section| table.get(section)?.as_table())?.get(name)
}

impl Range {
    fn check(&self, value: &Value) -> Result<(), ConfigError> {
        let found = match value {
            Value::Integer(number) => Bound::Whole(*number),
            Value::Float(number) => Bound::Real(*number),
            _ => return Ok(()),
        };
        // Written so that what is not a number (nan) is outside.
        if found >= self.least && found <= self.most {
            return Ok(());
        }
        let (least, most) = (self.least.text(), self.most.text());
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        Err(ConfigError::key(self.key, format!("{} is outside {least} to {most}{why}", found.text())))
    }
}

impl Bound {
    fn text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            // Thresholds are kept in single precision; shown in double they would have digits that nobody wrote.
            Self::Real(number) => (number as f32).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// The keys of a table whose values are numbers.
    fn numbers(prefix: &str, table: &Table) -> Vec<String> {
        let mut keys = vec![];
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) => keys.extend(numbers(&key, inner)),
                Value::Integer(_) | Value::Float(_) => keys.push(key),
                _ => {}
            }
        }
        keys
    }

    /// The configuration with every number that it can have.
    fn everything() -> Table {
        let mut config = Config::default();
        config.query.llm.temperature = Some(0.5);
        config.query.llm.max_tokens = Some(100);
        config.embedding.endpoint.dimensions = Some(512);
        Table::try_from(config).unwrap()
    }

    #[test]
    fn every_number_of_the_configuration_has_a_range_and_every_range_a_number() {
        let (mut ranged, mut known) =
            (RANGES.iter().map(|range| range.key.to_owned()).collect::<Vec<_>>(), numbers("", &everything()));
        ranged.sort();
        known.sort();
        assert_eq!(ranged, known);
    }

    #[test]
    fn both_ends_are_allowed_and_what_lies_beyond_is_refused_by_name() {
        for range in RANGES {
            let (beyond, ends) = match (range.least, range.most) {
                (Bound::Whole(least), Bound::Whole(most)) => {
                    ([least - 1, most + 1].map(Value::Integer), [least, most].map(Value::Integer))
                }
                (Bound::Real(least), Bound::Real(most)) => {
                    ([least - 0.5, f64::NAN].map(Value::Float), [least, most].map(Value::Float))
                }
                mixed => panic!("{}: {mixed:?}", range.key),
            };
            for value in ends {
                assert!(range.check(&value).is_ok(), "{}: {value}", range.key);
            }
            for value in beyond {
                let said = range.check(&value).expect_err(range.key).to_string();
                let (least, most) = (range.least.text(), range.most.text());
                let allowed = format!("outside {least} to {most}");
                assert!(said.starts_with(&format!("{}: ", range.key)) && said.contains(&allowed), "{said}");
            }
        }
    }
}
