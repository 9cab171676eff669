//! `tertulia knowledge status`, `embed` and `vacuum`: what models have made of the entries.

use std::cell::RefCell;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::Value;
use tertulia_actors::ports::{Embeddable, Embedded, Embedder, ModelVectors};

use super::super::Failure;
use super::super::acts::{Outcome, Server, done};
use super::super::meaning::{embedder, model};
use super::super::output::{self, say};
use super::{PATH, calls, change, count, must_exist};
use crate::config::{Config, EmbeddingBackend};
use crate::knowledge::vectors::{self, VectorSpace};
use crate::store::db;

/// Entries that are embedded at a time.
const PAGE: usize = 32;

/// Vectors that are removed at a time.
const REMOVED_AT_ONCE: usize = 1_000;

/// The name by which the vectors of the configured model are kept; none where none is configured.
pub(super) fn model_name(config: &Config) -> Result<Option<String>, Failure> {
    Ok(match config.embedding.backend {
        EmbeddingBackend::Model => model(config)?.map(|model| model.fingerprint().to_owned()),
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
    let Some((by, VectorSpace { model, .. })) = embedder(config)? else {
        return Err("no model is configured: set embedding.backend to model or openai".into());
    };
    let (by, batch) = (RefCell::new(by), config.embedding.batch_texts_max);
    let embedded = change(
        config,
        |conn| embed_with(conn, (&model, batch, &by), |some| Ok(vectors::put(conn, &model, some)?)),
        |server| {
            let status: Value = server.call(Method::GET, &format!("{PATH}/status"), &[], None)?;
            if status["model"] == model.as_str() {
                return Err("the server embeds the entries by this model itself; `tertulia knowledge status` says how \
                            far it is"
                    .into());
            }
            let conn = db::open_to_read(&config.storage.path)?;
            embed_with(&conn, (&model, batch, &by), |some| put_there(server, &model, some))
        },
    )?;
    say(format_args!("{embedded} entries were embedded"))?;
    done()
}

/// Embeds what a model has not embedded yet, with a bar, and hands it to `keep`.
fn embed_with(
    conn: &Connection,
    (model, batch, by): (&str, usize, &RefCell<Box<dyn Embedder>>),
    keep: impl FnMut(&[Embedded]) -> Result<usize, Failure>,
) -> Result<usize, Failure> {
    let (all, before) = vectors::progress(conn, model)?;
    let left = (all - before.min(all)) as u64;
    let bar = output::bar(left, "{bar:40} {human_pos} of {human_len} entries, {eta} left");
    let embed = |texts: &[Embeddable]| {
        let mut vectors = Vec::with_capacity(texts.len());
        for some in texts.chunks(batch) {
            vectors.extend(by.borrow_mut().compute(some.to_vec())?);
        }
        Ok::<_, Failure>(vectors)
    };
    vectors::embed_all(conn, (model, PAGE), embed, keep, |count| bar.inc(count as u64))
}

/// Sends vectors to the server, few enough at a time that it reads them.
fn put_there(server: &Server, model: &str, embedded: &[Embedded]) -> Result<usize, Failure> {
    let mut kept = 0;
    for some in calls(embedded)? {
        let made = ModelVectors { model: model.to_owned(), embedded: some.to_vec() };
        let answer = server.post(&format!("{PATH}/vectors"), &made)?;
        kept += count(&answer, "kept");
    }
    Ok(kept)
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
