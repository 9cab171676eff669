//! Checks of what the types of the values leave open: each number's range, numbers that make sense only together, and texts
//! that must mean something.

use std::net::ToSocketAddrs;

use tertulia_actors::pipeline::phrases;

use super::{ClassifierBackend, Config, ConfigError, EmbeddingBackend, VectorsBackend, ranges};
use crate::http::check_user;
use crate::knowledge::chroma::ChromaSettings;
use crate::telemetry;

/// Checks what the types of the values leave open.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let table = toml::Table::try_from(config)
        .map_err(|error| ConfigError::key("configuration", error.to_string()))?;
    ranges::check(&table)?;
    check_relations(config)?;
    check_server(config)?;
    check_console(config)?;
    check_pipeline(config)?;
    check_channels(config)?;
    check_vectors(config)?;
    check_phrases(config)
}

/// A number that must lie below another one, or may be equal to it.
struct Relation {
    low: (&'static str, u64),
    high: (&'static str, u64),
    may_be_equal: bool,
    why: &'static str,
}

impl Relation {
    const fn below(low: (&'static str, u64), high: (&'static str, u64), why: &'static str) -> Self {
        Self { low, high, may_be_equal: false, why }
    }

    const fn not_above(low: (&'static str, u64), high: (&'static str, u64), why: &'static str) -> Self {
        Self { low, high, may_be_equal: true, why }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let ((key, low), (other, high)) = (self.low, self.high);
        if low < high || self.may_be_equal && low == high {
            return Ok(());
        }
        let allowed = if self.may_be_equal { "must not be above" } else { "must be below" };
        refuse(key, format!("{low} {allowed} {other} ({high}): {}", self.why))
    }
}

/// Numbers that make sense only together.
fn check_relations(config: &Config) -> Result<(), ConfigError> {
    let (storage, turns) = (&config.storage, &config.turns);
    let (outbox, channels, query) = (&config.outbox, &config.channels, &config.query);
    let supervision = &config.supervision;
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let relations = [
        Relation::below(
            ("storage.admission_queue_max", count(storage.admission_queue_max)),
            ("storage.queue_max", count(storage.queue_max)),
            "turns and replies must find room",
        ),
        Relation::below(
            ("storage.wal_checkpoint_pages", storage.wal_checkpoint_pages),
            ("storage.wal_limit_pages", storage.wal_limit_pages),
            "the log is copied in the background before writing has to wait for it",
        ),
        Relation::not_above(
            ("turns.retry_base_ms", turns.retry_base_ms),
            ("turns.retry_max_ms", turns.retry_max_ms),
            "the first wait would be longer than the longest",
        ),
        Relation::not_above(
            ("outbox.retry_base_ms", outbox.retry_base_ms),
            ("outbox.retry_max_ms", outbox.retry_max_ms),
            "the first wait would be longer than the longest",
        ),
        Relation::not_above(
            ("supervision.backoff_base_ms", supervision.backoff_base_ms),
            ("supervision.backoff_max_ms", supervision.backoff_max_ms),
            "the first wait would be longer than the longest",
        ),
        Relation::not_above(
            ("supervision.probe_ms", supervision.probe_ms),
            ("supervision.probe_max_ms", supervision.probe_max_ms),
            "the first wait would be longer than the longest",
        ),
        Relation::not_above(
            ("supervision.heartbeat_ms", supervision.heartbeat_ms),
            ("supervision.frozen_exit_ms", supervision.frozen_exit_ms),
            "a frozen thread is reported before it ends the process",
        ),
        Relation::below(
            ("channels.whatsapp.connect_timeout_ms", channels.whatsapp.connect_timeout_ms),
            ("channels.whatsapp.timeout_ms", channels.whatsapp.timeout_ms),
            "a send that never connected could not be told from one whose outcome is unknown",
        ),
        Relation::below(
            ("channels.whatsapp.timeout_ms", channels.whatsapp.timeout_ms),
            ("channels.front.deadline_ms", channels.front.0.deadline_ms),
            "the channel knows better than its front how a send ended",
        ),
        Relation::below(
            ("query.llm.timeout_ms", query.llm.timeout_ms),
            ("query.front.deadline_ms", query.front.0.deadline_ms),
            "the service knows better than its front how a call ended",
        ),
        Relation::below(
            ("query.front.deadline_ms", query.front.0.deadline_ms),
            ("turns.timeout_ms", turns.timeout_ms),
            "a slow model would count as a failure of the turn",
        ),
    ];
    relations.iter().try_for_each(Relation::check)?;
    check_class_wait(config)
}

/// A turn asks the model for its class, and then for an answer.
fn check_class_wait(config: &Config) -> Result<(), ConfigError> {
    if config.classifier.backend != ClassifierBackend::Llm {
        return Ok(());
    }
    let left = config.turns.timeout_ms.saturating_sub(config.query.front.0.deadline_ms);
    let wait = ("classifier.llm_timeout_ms", config.classifier.llm_timeout_ms);
    let why = "a model that is slow with the class and with the answer would count as a failure of the turn";
    Relation::below(wait, ("turns.timeout_ms less query.front.deadline_ms", left), why).check()
}

fn check_server(config: &Config) -> Result<(), ConfigError> {
    let bind = &config.server.bind;
    if bind.to_socket_addrs().is_err() {
        return refuse("server.bind", format!("'{bind}' is not an address and port, as in 127.0.0.1:8080"));
    }
    telemetry::check_level(&config.log.level).or_else(|reason| refuse("log.level", reason))
}

fn check_console(config: &Config) -> Result<(), ConfigError> {
    for (name, user) in &config.console.users {
        check_user(name, user).or_else(|reason| refuse(&format!("console.users.{name}"), reason))?;
    }
    Ok(())
}

fn check_pipeline(config: &Config) -> Result<(), ConfigError> {
    if config.pipeline.languages.is_empty() {
        return refuse("pipeline.languages", "is empty: name at least one language, as in [\"en\"]".into());
    }
    Ok(())
}

fn check_channels(config: &Config) -> Result<(), ConfigError> {
    let whatsapp = &config.channels.whatsapp;
    if whatsapp.enabled && whatsapp.app_secret.is_empty() {
        let reason =
            "is empty while channels.whatsapp.enabled is true: without it anybody could write as anybody";
        return refuse("channels.whatsapp.app_secret", reason.into());
    }
    if whatsapp.enabled {
        check_url("channels.whatsapp.graph_base_url", &whatsapp.graph_base_url)?;
    }
    let embedding = &config.embedding;
    if embedding.backend == EmbeddingBackend::Openai {
        let timeout = Relation::below(
            ("embedding.endpoint.timeout_ms", embedding.endpoint.timeout_ms),
            ("embedding.front.deadline_ms", embedding.front.deadline_ms),
            "the service knows better than its front how a call ended",
        );
        timeout.check()?;
        check_url("embedding.endpoint.base_url", &embedding.endpoint.base_url)?;
    }
    if !config.traces.endpoint.is_empty() {
        check_url("traces.endpoint", &config.traces.endpoint)?;
    }
    if !config.query.llm.base_url.is_empty() {
        check_url("query.llm.base_url", &config.query.llm.base_url)?;
    } else if config.classifier.backend == ClassifierBackend::Llm {
        let reason = "is llm, and there is no model to ask: set query.llm.base_url, or say examples";
        return refuse("classifier.backend", reason.into());
    }
    Ok(())
}

/// A collection elsewhere is searched by vectors alone, which only a model gives.
fn check_vectors(config: &Config) -> Result<(), ConfigError> {
    let (vectors, chroma) = (&config.vectors, &config.vectors.chroma);
    if vectors.backend != VectorsBackend::Chroma {
        return Ok(());
    }
    if !matches!(config.embedding.backend, EmbeddingBackend::Model | EmbeddingBackend::Openai) {
        let reason = "chroma is searched by vectors alone: set embedding.backend to model or openai, with the model that the \
                      collection was filled by";
        return refuse("vectors.backend", reason.into());
    }
    let timeout = Relation::below(
        ("vectors.chroma.timeout_ms", chroma.timeout_ms),
        ("vectors.front.deadline_ms", vectors.front.deadline_ms),
        "the service knows better than its front how a call ended",
    );
    timeout.check()?;
    check_chroma(chroma)
}

/// Whether it is said where a collection is, and what its keys mean; also where it is only imported.
///
/// # Errors
/// Names the key that says nothing of use.
pub fn check_chroma(chroma: &ChromaSettings) -> Result<(), ConfigError> {
    check_url("vectors.chroma.base_url", &chroma.base_url)?;
    for (key, value) in
        [("tenant", &chroma.tenant), ("database", &chroma.database), ("collection", &chroma.collection)]
    {
        if value.trim().is_empty() {
            return refuse(&format!("vectors.chroma.{key}"), "is empty: name one that the server has".into());
        }
    }
    if chroma.key_header().is_none() {
        let reason = format!("'{}' is not the name of a header, as in x-chroma-token", chroma.token_header);
        return refuse("vectors.chroma.token_header", reason);
    }
    let keys = chroma.keys();
    for (n, (key, value)) in keys.iter().enumerate() {
        let name = format!("vectors.chroma.{key}");
        if value.trim().is_empty() {
            return refuse(&name, "is empty: name a key of the metadata".into());
        }
        if let Some((other, _)) = keys[..n].iter().find(|(_, before)| before == value) {
            return refuse(&name, format!("'{value}' is also {other}: a key has one meaning"));
        }
    }
    Ok(())
}

fn check_phrases(config: &Config) -> Result<(), ConfigError> {
    for name in config.phrases.keys() {
        if !phrases::names().any(|known| known == name) {
            let known: Vec<_> = phrases::names().collect();
            return refuse(
                &format!("phrases.{name}"),
                format!("is not spoken: known are {}", known.join(", ")),
            );
        }
    }
    match phrases::missing(&config.phrases()).first() {
        Some(name) => refuse(&format!("phrases.{name}"), "has no text".into()),
        None => Ok(()),
    }
}

fn check_url(key: &str, value: &str) -> Result<(), ConfigError> {
    match reqwest::Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => refuse(key, format!("'{value}' is not a URL that begins with http:// or https://")),
    }
}

fn refuse(key: &str, reason: String) -> Result<(), ConfigError> {
    Err(ConfigError::key(key, reason))
}
