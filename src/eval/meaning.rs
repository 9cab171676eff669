//! What texts mean, by the model that the server would ask.

use rusqlite::Connection;
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::Embeddable;

use super::EvalError;
use crate::embedding::Model;
use crate::knowledge::classify::labels::Example;
use crate::knowledge::search::index::Searcher;
use crate::knowledge::vectors::embed_all;

/// Entries that are embedded at a time.
const PAGE: usize = 64;

/// Embeds all entries, where there is a model.
pub(super) fn embed(conn: &Connection, model: Option<&Model>) -> Result<(), EvalError> {
    let Some(model) = model else { return Ok(()) };
    embed_all(conn, model.fingerprint(), PAGE, |texts| model.meanings(texts).map_err(EvalError::from), |_| {})
}

/// A searcher by words, and by what the model has embedded, where there is one.
pub(super) fn searcher(model: Option<&Model>) -> Searcher {
    Searcher::new(model.map(|model| model.fingerprint().to_owned()))
}

/// What examples mean, where there is a model; nothing where there is none.
pub(super) fn of_all(
    model: Option<&Model>,
    examples: &[Example],
) -> Result<Vec<Option<Embedding>>, EvalError> {
    let Some(model) = model else { return Ok(vec![None; examples.len()]) };
    let mut vectors = Vec::with_capacity(examples.len());
    for some in examples.chunks(PAGE) {
        let texts: Vec<_> = some.iter().map(|example| Embeddable::query(&example.text)).collect();
        vectors.extend(model.meanings(&texts)?);
    }
    Ok(vectors)
}

/// The meaning of what is asked, where there is a model that can read it.
pub(super) fn of(model: Option<&Model>, text: &str) -> Result<Option<Embedding>, EvalError> {
    let Some(model) = model else { return Ok(None) };
    Ok(model.meanings(&[Embeddable::query(text)])?.pop().flatten())
}
