//! What the entries of the knowledge base mean, as vectors in the database, by the model that made them.

use rusqlite::{Connection, OptionalExtension, params};
use tertulia_actors::domain::{Embedding, Entry};
use tertulia_actors::ports::{Embeddable, Embedded, Role, Unembedded};

use super::entries::{KnowledgeError, entry};

/// What stands for an entry: its question, or what it says where nobody put a question to it.
#[must_use]
pub fn embeddable(entry: &Entry) -> Embeddable {
    let (text, role) = match entry.question.as_str() {
        "" => (&entry.answer, Role::Passage),
        _ => (&entry.question, Role::Query),
    };
    Embeddable { text: text.clone(), role }
}

/// A number that changes with the entries.
///
/// # Errors
/// The database failed.
pub fn generation(conn: &Connection) -> Result<i64, KnowledgeError> {
    Ok(conn.prepare_cached("SELECT generation FROM knowledge_state")?.query_row([], |row| row.get(0))?)
}

/// The first entries behind a row that a model has not embedded yet.
///
/// # Errors
/// The database failed.
pub fn unembedded(
    conn: &Connection,
    model: &str,
    behind: i64,
    limit: usize,
) -> Result<Vec<Unembedded>, KnowledgeError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(
        "SELECT id, language, question, answer, rowid FROM knowledge WHERE rowid > ?2 AND NOT EXISTS
             (SELECT 1 FROM knowledge_vectors WHERE entry = knowledge.rowid AND model = ?1)
         ORDER BY rowid LIMIT ?3",
    )?;
    let found = select.query_map(params![model, behind, limit], |row| {
        Ok(Unembedded { row: row.get(4)?, text: embeddable(&entry(row)?) })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Keeps the vectors of entries, and tells of how many: not of those that are gone or say something else by now.
///
/// # Errors
/// The database failed; nothing was changed.
pub fn put(conn: &Connection, model: &str, embedded: &[Embedded]) -> Result<usize, KnowledgeError> {
    if embedded.is_empty() {
        return Ok(0);
    }
    let change: i64 = conn
        .prepare_cached("UPDATE knowledge_state SET vectors = vectors + 1 RETURNING vectors")?
        .query_row([], |row| row.get(0))?;
    let mut kept = 0;
    for Embedded { row, text, vector } in embedded {
        let says = conn
            .prepare_cached("SELECT id, language, question, answer FROM knowledge WHERE rowid = ?1")?
            .query_row([row], entry)
            .optional()?;
        if says.as_ref().map(embeddable).as_ref() != Some(text) {
            continue;
        }
        let bytes = vector.as_deref().map(bytes);
        kept += conn
            .prepare_cached(
                "INSERT OR REPLACE INTO knowledge_vectors (entry, model, vector, change) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![row, model, bytes, change])?;
    }
    Ok(kept)
}

/// Embeds all entries that a model has not embedded yet, by `embed`, so many at a time; `done` is told of each page.
///
/// # Errors
/// The database or `embed` failed; what was embedded before is kept.
pub fn embed_all<E: From<KnowledgeError>>(
    conn: &Connection,
    model: &str,
    page: usize,
    mut embed: impl FnMut(&[Embeddable]) -> Result<Vec<Option<Embedding>>, E>,
    mut done: impl FnMut(usize),
) -> Result<(), E> {
    let mut behind = 0;
    loop {
        let found = unembedded(conn, model, behind, page)?;
        let Some(last) = found.last() else { return Ok(()) };
        behind = last.row;
        let texts: Vec<_> = found.iter().map(|entry| entry.text.clone()).collect();
        let vectors = embed(&texts)?.into_iter();
        let embedded: Vec<Embedded> = found
            .into_iter()
            .zip(vectors)
            .map(|(Unembedded { row, text }, vector)| Embedded { row, text, vector })
            .collect();
        put(conn, model, &embedded)?;
        done(embedded.len());
    }
}

/// How many entries there are, and how many of them a model has embedded.
///
/// # Errors
/// The database failed.
pub fn progress(conn: &Connection, model: &str) -> Result<(usize, usize), KnowledgeError> {
    let (all, embedded): (i64, i64) = conn.query_row(
        "SELECT (SELECT count(*) FROM knowledge), (SELECT count(*) FROM knowledge_vectors WHERE model = ?1)",
        [model],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let count = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok((count(all), count(embedded)))
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A vector from its bytes; none where they are none.
pub(super) fn read(bytes: &[u8]) -> Option<Embedding> {
    let (values, rest) = bytes.as_chunks::<4>();
    let vector: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    (rest.is_empty() && vector.iter().all(|value| value.is_finite())).then(|| vector.into())
}

#[cfg(test)]
mod tests;
