//! `tertulia knowledge status`, `embed` and `vacuum`: what models have made of the entries.

use std::cell::RefCell;
use std::sync::Arc;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::Value;
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Compute, Embeddable, Embedded, ModelVectors};

use super::super::Failure;
use super::super::acts::{Outcome, Server, done};
use super::super::output::{self, say};
use super::{PATH, calls, change, count, must_exist};
use crate::config::{Config, EmbeddingBackend};
use crate::embedding::{ModelEmbedder, OpenAiEmbedder};
use crate::knowledge::vectors;
use crate::store::db;

/// Entries that are embedded at a time.
const PAGE: usize = 32;

/// Vectors that are removed at a time.
const REMOVED_AT_ONCE: usize = 1_000;

/// Embeds texts.
type Embed = Box<dyn FnMut(&[Embeddable]) -> Result<Vec<Option<Embedding>>, Failure>>;

/// The name by which the vectors of the configured model are kept; none where none is configured.
pub(super) fn model_name(config: &Config) -> Result<Option<String>, Failure> {
    Ok(match config.embedding.backend {
        EmbeddingBackend::Model => super::super::model(config)?.map(|model| model.fingerprint().to_owned()),
        EmbeddingBackend::Openai => Some(config.embedding.endpoint_name()),
        EmbeddingBackend::None | EmbeddingBackend::Hashed => None,
    })
}

/// The database tells it, whether a server runs or not.
pub(super) fn status(config: &Config) -> Outcome {
    let model = model_name(config)?;
    let status = vectors::status(&db::open_to_read(&config.storage.path)?)?;
    let mut told = serde_json::to_value(&status)?;
    told["model"] = model.clone().into();
    told["embedded"] = status.embedded_by(model.as_deref()).into();
    say(told)?;
    done()
}

pub(super) fn embed(config: &Config) -> Outcome {
    must_exist(config)?;
    let Some((model, by)) = embedder(config)? else {
        return Err("no model is configured: set embedding.backend to model or openai".into());
    };
    let by = RefCell::new(by);
    let embedded = change(
        config,
        |conn| embed_with(conn, (&model, &by), |some| Ok(vectors::put(conn, &model, some)?)),
        |server| {
            let status: Value = server.call(Method::GET, &format!("{PATH}/status"), &[], None)?;
            if status["model"] == model.as_str() {
                return Err("the server embeds the entries by this model itself; `tertulia knowledge status` says how \
                            far it is"
                    .into());
            }
            let conn = db::open_to_read(&config.storage.path)?;
            embed_with(&conn, (&model, &by), |some| put_there(server, &model, some))
        },
    )?;
    say(format_args!("{embedded} entries were embedded"))?;
    done()
}

/// Embeds what a model has not embedded yet, with a bar, and hands it to `keep`.
fn embed_with(
    conn: &Connection,
    (model, by): (&str, &RefCell<Embed>),
    keep: impl FnMut(&[Embedded]) -> Result<usize, Failure>,
) -> Result<usize, Failure> {
    let (all, before) = vectors::progress(conn, model)?;
    let left = (all - before.min(all)) as u64;
    let bar = output::bar(left, "{bar:40} {human_pos} of {human_len} entries, {eta} left");
    let by = &mut *by.borrow_mut();
    vectors::embed_all(conn, (model, PAGE), by, keep, |count| bar.inc(count as u64))
}

/// Sends vectors to the server, few enough at a time that it reads them.
fn put_there(server: &Server, model: &str, embedded: &[Embedded]) -> Result<usize, Failure> {
    let mut kept = 0;
    for some in calls(embedded)? {
        let made = ModelVectors { model: model.to_owned(), embedded: some.to_vec() };
        let body = serde_json::to_value(made)?;
        let answer = server.call(Method::POST, &format!("{PATH}/vectors"), &[], Some(&body))?;
        kept += count(&answer, "kept");
    }
    Ok(kept)
}

fn embedder(config: &Config) -> Result<Option<(String, Embed)>, Failure> {
    let section = &config.embedding;
    Ok(match section.backend {
        EmbeddingBackend::Model => super::super::model(config)?.map(Arc::new).map(|model| {
            let mut embedder = ModelEmbedder::new(&model);
            let by: Embed = Box::new(move |texts| Ok(embedder.compute(texts.to_vec())?));
            (model.fingerprint().to_owned(), by)
        }),
        EmbeddingBackend::Openai => {
            let client = crate::channels::client(section.endpoint.connect_timeout())?;
            let (embedder, prefixes) =
                (OpenAiEmbedder::new(client, section.endpoint.clone()), section.prefixes());
            let system = actix_rt::System::new();
            let by: Embed = Box::new(move |texts| {
                let prefixed = texts.iter().map(|one| format!("{}{}", prefixes.of(one.role), one.text));
                let vectors = system.block_on(embedder.embed(prefixed.collect()))?;
                Ok(vectors.into_iter().map(Some).collect())
            });
            Some((section.endpoint_name(), by))
        }
        EmbeddingBackend::None | EmbeddingBackend::Hashed => None,
    })
}

pub(super) fn vacuum(config: &Config, all: bool) -> Outcome {
    must_exist(config)?;
    let model = model_name(config)?;
    if model.is_none() && !all {
        return Err("no model is configured, so that all vectors would go: give --all if they shall".into());
    }
    let removed = change(
        config,
        |conn| {
            let mut removed = 0;
            loop {
                let some = vectors::remove_but(conn, model.as_deref(), REMOVED_AT_ONCE)?;
                removed += some;
                if some < REMOVED_AT_ONCE {
                    return Ok(removed);
                }
            }
        },
        |server| {
            let all = all.to_string();
            let answer: Value =
                server.call(Method::DELETE, &format!("{PATH}/vectors"), &[("all", all.as_str())], None)?;
            Ok(count(&answer, "removed"))
        },
    )?;
    say(format_args!("{removed} vectors were removed"))?;
    done()
}
