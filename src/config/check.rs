//! Checks that no single value can express.

use std::net::ToSocketAddrs;

use tertulia_actors::pipeline::phrases;

use super::{Config, ConfigError};

/// Checks what belongs together.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_server(config)?;
    check_conversation(config)?;
    check_pipeline(config)?;
    check_channels(config)?;
    check_phrases(config)
}

fn check_server(config: &Config) -> Result<(), ConfigError> {
    let bind = &config.server.bind;
    if bind.to_socket_addrs().is_err() {
        return refuse("server.bind", format!("'{bind}' is not an address and port, as in 127.0.0.1:8080"));
    }
    let storage = &config.storage;
    let limits = [
        ("server.body_limit_bytes", config.server.body_limit_bytes),
        ("storage.queue_max", storage.queue_max),
        ("storage.admission_queue_max", storage.admission_queue_max),
        ("storage.commit_batch_max", storage.commit_batch_max),
        ("storage.readers", storage.readers),
        ("storage.read_queue_max", storage.read_queue_max),
        ("runtime.live_max", config.runtime.live_max),
        ("sweep.page_max", config.sweep.page_max),
    ];
    for (key, value) in limits {
        at_least_one(key, value)?;
    }
    if storage.admission_queue_max >= storage.queue_max {
        let (admissions, all) = (storage.admission_queue_max, storage.queue_max);
        return refuse(
            "storage.admission_queue_max",
            format!(
                "{admissions} leaves no room for turns and replies: it must be below storage.queue_max ({all})"
            ),
        );
    }
    Ok(())
}

fn check_conversation(config: &Config) -> Result<(), ConfigError> {
    let conversation = &config.conversation;
    at_least_one("conversation.max_messages", conversation.max_messages)?;
    if conversation.quiet_ms > conversation.max_wait_ms {
        let (quiet, wait) = (conversation.quiet_ms, conversation.max_wait_ms);
        return refuse(
            "conversation.quiet_ms",
            format!("{quiet} is above conversation.max_wait_ms ({wait}); it must not be"),
        );
    }
    if config.inbox.dedupe_days < 8 {
        let days = config.inbox.dedupe_days;
        return refuse(
            "inbox.dedupe_days",
            format!("{days} is too few: providers resend for 7 days, so at least 8"),
        );
    }
    Ok(())
}

fn check_pipeline(config: &Config) -> Result<(), ConfigError> {
    let pipeline = &config.pipeline;
    let fractions = [
        ("pipeline.reply_score_min", pipeline.reply_score_min),
        ("pipeline.passage_score_min", pipeline.passage_score_min),
        ("pipeline.class_confidence_min", pipeline.class_confidence_min),
        ("query.stored_score_min", config.query.stored_score_min),
    ];
    for (key, value) in fractions {
        if !(0.0..=1.0).contains(&value) {
            return refuse(key, format!("{value} is outside 0 to 1"));
        }
    }
    if pipeline.languages.is_empty() {
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
    if !config.query.llm.base_url.is_empty() {
        check_url("query.llm.base_url", &config.query.llm.base_url)?;
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

fn at_least_one(key: &str, value: usize) -> Result<(), ConfigError> {
    if value == 0 { refuse(key, "0 is too few: at least 1".into()) } else { Ok(()) }
}

fn refuse(key: &str, reason: String) -> Result<(), ConfigError> {
    Err(ConfigError::key(key, reason))
}
