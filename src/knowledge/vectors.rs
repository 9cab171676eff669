//! What the entries of the knowledge base mean, as vectors in the database, by the model that made them.

use rusqlite::{Connection, OptionalExtension, params};
use tertulia_actors::domain::{Embedding, Entry};
use tertulia_actors::ports::{
    Embeddable, Embedded, KnowledgeStatus, ModelStatus, ModelVectors, Role, Unembedded,
};

use super::entries::{KnowledgeError, entry};

/// The vectors of one model, which may be compared with each other.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct VectorSpace {
    /// The name that they are kept by.
    pub model: String,
    /// The cosine of texts that have nothing to do with each other.
    pub unrelated: f32,
}

/// What stands for an entry: each way in which its question is put, or what it says where nobody put a question to it.
#[must_use]
pub fn embeddable(entry: &Entry) -> Vec<Embeddable> {
    let (texts, role) = match entry.questions().collect::<Vec<_>>() {
        none if none.is_empty() => (vec![entry.answer.as_str()], Role::Passage),
        questions => (questions, Role::Query),
    };
    texts.into_iter().map(|text| Embeddable { text: text.to_owned(), role }).collect()
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
    let limit = count(limit);
    let mut select = conn.prepare_cached(
        "SELECT rowid, * FROM knowledge WHERE rowid > ?2 AND NOT EXISTS
             (SELECT 1 FROM knowledge_vectors WHERE entry = knowledge.rowid AND model = ?1)
         ORDER BY rowid LIMIT ?3",
    )?;
    let found = select.query_map(params![model, behind, limit], |row| {
        Ok(Unembedded { row: row.get(0)?, texts: embeddable(&entry(row)?) })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Keeps vectors that somebody else has made by a model, as [`put`] does.
///
/// # Errors
/// They have another length than those that are there by this model, or the database failed; nothing was changed.
pub fn put_made(conn: &Connection, made: &ModelVectors) -> Result<usize, KnowledgeError> {
    let given = made.embedded.iter().flat_map(|one| one.vectors.iter().flatten()).next().map(|one| one.len());
    let there: Option<i64> = conn
        .prepare_cached(
            "SELECT length(vector) / 4 / ways FROM knowledge_vectors
             WHERE model = ?1 AND vector IS NOT NULL LIMIT 1",
        )?
        .query_row([&made.model], |row| row.get(0))
        .optional()?;
    match (given, there.and_then(|there| usize::try_from(there).ok())) {
        (Some(given), Some(there)) if given != there => Err(KnowledgeError::Dimensions { given, there }),
        _ => put(conn, &made.model, &made.embedded),
    }
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
    for Embedded { row, texts, vectors } in embedded {
        let says = conn
            .prepare_cached("SELECT * FROM knowledge WHERE rowid = ?1")?
            .query_row([row], entry)
            .optional()?;
        if says.as_ref().map(embeddable).as_ref() != Some(texts) {
            continue;
        }
        let bytes = bytes(vectors);
        kept += conn
            .prepare_cached(
                "INSERT OR REPLACE INTO knowledge_vectors (entry, model, vector, change, ways)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![row, model, bytes, change, count(texts.len())])?;
    }
    Ok(kept)
}

/// Embeds all entries that a model has not embedded yet by `embed`, so many at a time, and hands them to `keep`; `done` is told how
/// many each time. Tells how many were kept.
///
/// # Errors
/// The database, `embed` or `keep` failed; what was kept before stays.
pub fn embed_all<E: From<KnowledgeError>>(
    conn: &Connection,
    (model, page): (&str, usize),
    mut embed: impl FnMut(&[Embeddable]) -> Result<Vec<Option<Embedding>>, E>,
    mut keep: impl FnMut(&[Embedded]) -> Result<usize, E>,
    mut done: impl FnMut(usize),
) -> Result<usize, E> {
    let (mut behind, mut kept) = (0, 0);
    loop {
        let found = unembedded(conn, model, behind, page)?;
        let Some(last) = found.last() else { return Ok(kept) };
        behind = last.row;
        let texts: Vec<_> = found.iter().flat_map(|entry| entry.texts.iter().cloned()).collect();
        let mut vectors = embed(&texts)?.into_iter();
        let own = |Unembedded { row, texts }| {
            let vectors = vectors.by_ref().take(texts.len()).collect();
            Embedded { row, texts, vectors }
        };
        let embedded: Vec<Embedded> = found.into_iter().map(own).collect();
        kept += keep(&embedded)?;
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
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok((size(all), size(embedded)))
}

/// How many entries there are, and how far models have embedded them.
///
/// # Errors
/// The database failed.
pub fn status(conn: &Connection) -> Result<KnowledgeStatus, KnowledgeError> {
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    let mut select =
        conn.prepare_cached("SELECT model, count(*) FROM knowledge_vectors GROUP BY model ORDER BY model")?;
    let models =
        select.query_map([], |row| Ok(ModelStatus { model: row.get(0)?, embedded: size(row.get(1)?) }))?;
    let models = models.collect::<Result<_, _>>()?;
    let (entries, passages, generation): (i64, i64, i64) = conn.query_row(
        "SELECT (SELECT count(*) FROM knowledge), (SELECT count(*) FROM knowledge WHERE question = ''), generation
         FROM knowledge_state",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(KnowledgeStatus { entries: size(entries), passages: size(passages), generation, models })
}

/// Removes some of the vectors of all models but one, and tells how many; of all models where none is named.
///
/// # Errors
/// The database failed; nothing was changed.
pub fn remove_but(conn: &Connection, model: Option<&str>, limit: usize) -> Result<usize, KnowledgeError> {
    let removed = conn
        .prepare_cached(
            "DELETE FROM knowledge_vectors WHERE rowid IN
                 (SELECT rowid FROM knowledge_vectors WHERE model IS NOT ?1 LIMIT ?2)",
        )?
        .execute(params![model, count(limit)])?;
    Ok(removed)
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Vectors one behind the other, zeros for one that the model could not make; none where it could make none at all.
fn bytes(vectors: &[Option<Embedding>]) -> Option<Vec<u8>> {
    let dimensions = vectors.iter().flatten().map(|vector| vector.len()).next()?;
    let zeros = Embedding::from(vec![0.0; dimensions]);
    let all = vectors.iter().flat_map(|vector| vector.as_ref().unwrap_or(&zeros).iter());
    Some(all.flat_map(|value| value.to_le_bytes()).collect())
}

/// So many vectors from their bytes, one behind the other; none where they are none.
pub(super) fn read(bytes: &[u8], ways: usize) -> Option<Vec<f32>> {
    let (values, rest) = bytes.as_chunks::<4>();
    let vectors: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    let is_whole = rest.is_empty() && ways > 0 && vectors.len().is_multiple_of(ways);
    (is_whole && vectors.iter().all(|value| value.is_finite())).then_some(vectors)
}

#[cfg(test)]
mod tests;
