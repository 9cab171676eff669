//! The entries of the knowledge base in the database. Writes happen on the caller's connection: the server gives its
//! writer's, a command its own.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tertulia_actors::domain::{Entry, Language, Timestamp};
use thiserror::Error;

use super::search::score::{indexed, sides};
use super::text::stems::{INDEX_VERSION, Stems, Term};

/// The tables of the knowledge base; nine of the store's numbered migrations.
pub const KNOWLEDGE_MIGRATION: &str = concat!(
    include_str!("../store/migrations/0002_knowledge.sql"),
    include_str!("../store/migrations/0005_knowledge_state.sql"),
    include_str!("../store/migrations/0008_knowledge_generation.sql"),
    include_str!("../store/migrations/0010_knowledge_words.sql"),
    include_str!("../store/migrations/0011_knowledge_vectors.sql"),
    include_str!("../store/migrations/0012_knowledge_audience.sql"),
    include_str!("../store/migrations/0013_knowledge_history.sql"),
    include_str!("../store/migrations/0015_knowledge_removed.sql"),
    include_str!("../store/migrations/0016_knowledge_changes.sql")
);

/// The sample: a shop that delivers water, in English and Arabic, made up for this project. JSON Lines.
const SAMPLE: &str = include_str!("sample/water.jsonl");

/// Bytes of an entry's id at the most.
pub const ID_BYTES_MAX: usize = 128;
/// Bytes of a question at the most.
pub const QUESTION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of an answer at the most.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Other ways in which a question is put, at the most.
pub const PHRASINGS_MAX: usize = 64;
/// Tags and accounts of an entry, of each at the most.
pub const NAMES_MAX: usize = 64;

/// Why the knowledge base was not read or changed.
#[derive(Debug, Error)]
pub enum KnowledgeError {
    /// A line is not an entry.
    #[error("line {line} is not an entry: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A field of an entry is blank or too long.
    #[error("entry '{id}' has a {field} that is blank or longer than {max} bytes")]
    Field {
        /// The entry, its id cut to its first characters.
        id: String,
        /// Which field.
        field: &'static str,
        /// How long it may be.
        max: usize,
    },
    /// An entry has too many of something.
    #[error("entry '{id}' has more than {max} {field}")]
    TooMany {
        /// The entry, its id cut to its first characters.
        id: String,
        /// Which field.
        field: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// An entry holds until a time before it begins to.
    #[error("entry '{id}' would never hold: its valid_until is not after its valid_from")]
    NeverHolds {
        /// The entry, its id cut to its first characters.
        id: String,
    },
    /// Vectors of one model have two lengths.
    #[error(
        "the vectors have {given} numbers, and those that are there by this model {there}: it is not the same model"
    )]
    Dimensions {
        /// Of those that are given.
        given: usize,
        /// Of those that are there.
        there: usize,
    },
    /// The database failed.
    #[error("knowledge base cannot be read or written: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Reads entries from JSON Lines; blank lines are skipped.
///
/// # Errors
/// Names the first line that is not an entry.
pub fn parse(lines: &str) -> Result<Vec<Entry>, KnowledgeError> {
    lines
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(n, line)| {
            serde_json::from_str(line).map_err(|source| KnowledgeError::Line { line: n + 1, source })
        })
        .collect()
}

/// Loads the sample into a new knowledge base, and tells how many entries that were; none where it was offered before or
/// there are entries already: what a business removed does not come back.
///
/// # Errors
/// Nothing was changed.
pub fn load_sample_once(conn: &Connection, now: Timestamp) -> Result<usize, KnowledgeError> {
    let sample = parse(SAMPLE)?;
    atomically(conn, || {
        let is_new: bool = conn.query_row(
            "SELECT sample_offered = 0 AND NOT EXISTS (SELECT 1 FROM knowledge) FROM knowledge_state",
            [],
            |row| row.get(0),
        )?;
        conn.execute("UPDATE knowledge_state SET sample_offered = 1", [])?;
        if is_new { write_all(conn, &sample, now) } else { Ok(0) }
    })
}

/// Makes the search index anew if it was made by other rules than today's; tells of how many entries.
///
/// # Errors
/// Nothing was changed.
pub fn reindex_if_outdated(conn: &Connection) -> Result<usize, KnowledgeError> {
    if is_outdated(conn)? { reindex(conn) } else { Ok(0) }
}

/// Whether the search index was made by other rules than today's, so that a search may not find what is there.
///
/// # Errors
/// The database failed.
pub fn is_outdated(conn: &Connection) -> Result<bool, KnowledgeError> {
    let version: i64 = conn.query_row("SELECT index_version FROM knowledge_state", [], |row| row.get(0))?;
    Ok(version != INDEX_VERSION)
}

/// Adds entries, or replaces those of the same id and language; all or none. Tells how many were written. One without a question is a
/// passage: it is compared by what it says.
///
/// # Errors
/// An entry is not acceptable or the database failed; nothing was changed.
pub fn import(conn: &Connection, entries: &[Entry], now: Timestamp) -> Result<usize, KnowledgeError> {
    entries.iter().try_for_each(check)?;
    import_unchecked(conn, entries, now)
}

/// Imports entries as they are, of whatever length.
///
/// # Errors
/// The database failed; nothing was changed.
pub fn import_unchecked(
    conn: &Connection,
    entries: &[Entry],
    now: Timestamp,
) -> Result<usize, KnowledgeError> {
    atomically(conn, || write_all(conn, entries, now))
}

/// Entries that are written between two reports of progress.
const ENTRIES_PER_REPORT: usize = 100;

/// Adds or replaces entries, and removes others; all or nothing. `done` is told how many were written since it was told last.
///
/// # Errors
/// An entry is not acceptable or the database failed; nothing was changed.
pub fn replace(
    conn: &Connection,
    entries: &[Entry],
    gone: &[(String, Language)],
    now: Timestamp,
    mut done: impl FnMut(usize),
) -> Result<usize, KnowledgeError> {
    entries.iter().try_for_each(check)?;
    atomically(conn, || {
        for some in entries.chunks(ENTRIES_PER_REPORT) {
            done(write_all(conn, some, now)?);
        }
        gone.iter().try_for_each(|(id, language)| remove(conn, id, Some(*language), now).map(drop))?;
        Ok(entries.len())
    })
}

/// Removes an entry, in one language or in all; tells how many versions were removed. What they said is kept, until `now`.
///
/// # Errors
/// The database failed; nothing was changed.
pub fn remove(
    conn: &Connection,
    id: &str,
    language: Option<Language>,
    now: Timestamp,
) -> Result<usize, KnowledgeError> {
    let language = language.map(|language| language.to_string());
    atomically(conn, || {
        conn.prepare_cached(
            "DELETE FROM knowledge_text WHERE rowid IN
                (SELECT rowid FROM knowledge WHERE id = ?1 AND (?2 IS NULL OR language = ?2))",
        )?
        .execute(params![id, language])?;
        let before: i64 = conn
            .prepare_cached("SELECT COALESCE(max(version), 0) FROM knowledge_history")?
            .query_row([], |row| row.get(0))?;
        let removed = conn
            .prepare_cached("DELETE FROM knowledge WHERE id = ?1 AND (?2 IS NULL OR language = ?2)")?
            .execute(params![id, language])?;
        conn.prepare_cached("UPDATE knowledge_history SET removed_at = ?2 WHERE version > ?1")?
            .execute(params![before, now.0])?;
        Ok(removed)
    })
}

/// Fills the search index anew from the entries; needed when a new version finds other stems. Tells how many entries
/// were indexed.
///
/// # Errors
/// The database failed; nothing was changed.
pub fn reindex(conn: &Connection) -> Result<usize, KnowledgeError> {
    let stems = Stems::new();
    atomically(conn, || {
        conn.execute("INSERT INTO knowledge_text (knowledge_text) VALUES ('delete-all')", [])?;
        conn.execute("DELETE FROM knowledge_words", [])?;
        let mut select = conn.prepare("SELECT rowid, * FROM knowledge")?;
        let mut rows = select.query([])?;
        let mut indexed = 0;
        while let Some(row) = rows.next()? {
            index(conn, &stems, row.get(0)?, &entry(row)?)?;
            indexed += 1;
        }
        conn.execute(
            "UPDATE knowledge_state SET index_version = ?1, generation = generation + 1",
            [INDEX_VERSION],
        )?;
        // A search that follows the changes reads all of them again.
        conn.execute(
            "INSERT INTO knowledge_changes (entry, generation)
             SELECT knowledge.rowid, generation FROM knowledge, knowledge_state WHERE true
             ON CONFLICT (entry) DO UPDATE SET generation = excluded.generation",
            [],
        )?;
        Ok(indexed)
    })
}

/// One page of entries, in the order of id and language. The next page follows `after`, the id and language of this
/// one's last entry.
///
/// # Errors
/// The database failed.
pub fn list(
    conn: &Connection,
    after: Option<(&str, Language)>,
    limit: usize,
) -> Result<Vec<Entry>, KnowledgeError> {
    let (id, language) = after.map_or((None, None), |(id, language)| (Some(id), Some(language.to_string())));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(
        "SELECT * FROM knowledge
         WHERE ?1 IS NULL OR (id, language) > (?1, ?2) ORDER BY id, language LIMIT ?3",
    )?;
    let entries = select.query_map(params![id, language, limit], entry)?.collect::<Result<_, _>>()?;
    Ok(entries)
}

/// All entries as JSON Lines, in the order of id and language; [`parse`] reads them back.
///
/// # Errors
/// The database failed.
pub fn export(conn: &Connection) -> Result<String, KnowledgeError> {
    let mut lines = String::new();
    for (n, entry) in list(conn, None, usize::MAX)?.iter().enumerate() {
        let line = serde_json::to_string(entry);
        lines.push_str(&line.map_err(|source| KnowledgeError::Line { line: n + 1, source })?);
        lines.push('\n');
    }
    Ok(lines)
}

/// One entry in one language.
///
/// # Errors
/// The database failed.
pub fn get(conn: &Connection, id: &str, language: Language) -> Result<Option<Entry>, KnowledgeError> {
    let found = conn
        .prepare_cached("SELECT * FROM knowledge WHERE id = ?1 AND language = ?2")?
        .query_row(params![id, language.as_str()], entry)
        .optional()?;
    Ok(found)
}

/// The row of an entry in one language.
pub(in crate::knowledge) fn row_of(
    conn: &Connection,
    id: &str,
    language: Language,
) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT rowid FROM knowledge WHERE id = ?1 AND language = ?2")?
        .query_row(params![id, language.as_str()], |row| row.get(0))
        .optional()
}

/// An entry in one language, or in every language that it has.
///
/// # Errors
/// The database failed.
pub fn get_in(conn: &Connection, id: &str, language: Option<Language>) -> Result<Vec<Entry>, KnowledgeError> {
    let language = language.map(|language| language.to_string());
    let mut select = conn.prepare_cached(
        "SELECT * FROM knowledge WHERE id = ?1 AND (?2 IS NULL OR language = ?2) ORDER BY language",
    )?;
    Ok(select.query_map(params![id, language], entry)?.collect::<Result<_, _>>()?)
}

/// How many entries there are, each of their languages counted.
///
/// # Errors
/// The database failed.
pub fn count(conn: &Connection) -> Result<usize, KnowledgeError> {
    let count: i64 =
        conn.prepare_cached("SELECT count(*) FROM knowledge")?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Reads an entry from a row of the table.
pub(in crate::knowledge) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let language: String = row.get("language")?;
    let language = language.parse().map_err(|error| unreadable(Box::new(error)))?;
    Ok(Entry {
        id: row.get("id")?,
        language,
        question: row.get("question")?,
        phrasings: names(row, "phrasings")?,
        answer: row.get("answer")?,
        tags: names(row, "tags")?,
        accounts: names(row, "accounts")?,
        valid_from: row.get::<_, Option<i64>>("valid_from")?.map(Timestamp),
        valid_until: row.get::<_, Option<i64>>("valid_until")?.map(Timestamp),
    })
}

/// Reads a list of texts.
pub(in crate::knowledge) fn names(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<String>> {
    match row.get_ref(column)?.as_str()? {
        "[]" => Ok(vec![]),
        list => serde_json::from_str(list).map_err(|error| unreadable(Box::new(error))),
    }
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
}

/// Whether an entry can be stored. A passage has no question.
///
/// # Errors
/// Names what is blank, too long, too many or impossible.
pub fn check(entry: &Entry) -> Result<(), KnowledgeError> {
    let Entry { phrasings, tags, accounts, .. } = entry;
    let id = || entry.id.chars().take(40).collect();
    let texts = [
        ("id", &entry.id, ID_BYTES_MAX),
        ("question", &entry.question, QUESTION_BYTES_MAX),
        ("answer", &entry.answer, ANSWER_BYTES_MAX),
    ];
    let more = phrasings.iter().map(|text| ("phrasing", text, QUESTION_BYTES_MAX));
    let tagged = tags.iter().map(|text| ("tag", text, ID_BYTES_MAX));
    let meant = accounts.iter().map(|text| ("account", text, ID_BYTES_MAX));
    for (field, text, max) in texts.into_iter().chain(more).chain(tagged).chain(meant) {
        let is_passage = field == "question" && text.is_empty() && phrasings.is_empty();
        if (text.trim().is_empty() && !is_passage) || text.len() > max {
            return Err(KnowledgeError::Field { id: id(), field, max });
        }
    }
    for (field, count, max) in [
        ("phrasings", phrasings.len(), PHRASINGS_MAX),
        ("tags", tags.len(), NAMES_MAX),
        ("accounts", accounts.len(), NAMES_MAX),
    ] {
        if count > max {
            return Err(KnowledgeError::TooMany { id: id(), field, max });
        }
    }
    match (entry.valid_from, entry.valid_until) {
        (Some(from), Some(until)) if until <= from => Err(KnowledgeError::NeverHolds { id: id() }),
        _ => Ok(()),
    }
}

fn write_all(conn: &Connection, entries: &[Entry], now: Timestamp) -> Result<usize, KnowledgeError> {
    let stems = Stems::new();
    for entry in entries {
        // What says the same costs nobody anything; what cannot be read is written over.
        if !matches!(get(conn, &entry.id, entry.language), Ok(Some(there)) if there == *entry) {
            let rowid = write(conn, entry, now)?;
            index(conn, &stems, rowid, entry)?;
        }
    }
    Ok(entries.len())
}

/// Writes the row of an entry, and tells which it is.
fn write(conn: &Connection, entry: &Entry, now: Timestamp) -> rusqlite::Result<i64> {
    let list = |names: &[String]| serde_json::Value::from(names).to_string();
    conn.prepare_cached(
        "INSERT INTO knowledge
             (id, language, question, answer, updated_at, phrasings, tags, accounts, valid_from, valid_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id, language) DO UPDATE SET
             question = excluded.question, answer = excluded.answer,
             phrasings = excluded.phrasings, tags = excluded.tags, accounts = excluded.accounts,
             valid_from = excluded.valid_from, valid_until = excluded.valid_until,
             updated_at = excluded.updated_at
         RETURNING rowid",
    )?
    .query_row(
        params![
            entry.id,
            entry.language.as_str(),
            entry.question,
            entry.answer,
            now.0,
            list(&entry.phrasings),
            list(&entry.tags),
            list(&entry.accounts),
            entry.valid_from.map(|from| from.0),
            entry.valid_until.map(|until| until.0),
        ],
        |row| row.get(0),
    )
}

/// Writes an entry's stems into the search index, and its words beside them.
fn index(conn: &Connection, stems: &Stems, rowid: i64, entry: &Entry) -> rusqlite::Result<()> {
    let (questions, answer) = sides(entry);
    let read = |text: &str| stems.terms(text, Some(entry.language));
    let question: Vec<Term> = questions.into_iter().flat_map(read).collect();
    let answer = read(answer);
    let words: BTreeSet<_> = question.iter().chain(&answer).map(|term| (&term.word, &term.stem)).collect();
    let mut insert =
        conn.prepare_cached("INSERT OR IGNORE INTO knowledge_words (word, stem) VALUES (?1, ?2)")?;
    for (word, stem) in words {
        insert.execute(params![word, stem])?;
    }
    let written = |terms: &[Term]| indexed(terms).collect::<Vec<_>>().join(" ");
    conn.prepare_cached(
        "INSERT OR REPLACE INTO knowledge_text (rowid, question, answer) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![rowid, written(&question), written(&answer)])?;
    Ok(())
}

/// Runs `change` in a savepoint, which serves both within a transaction and without one.
fn atomically<T>(
    conn: &Connection,
    change: impl FnOnce() -> Result<T, KnowledgeError>,
) -> Result<T, KnowledgeError> {
    conn.execute_batch("SAVEPOINT knowledge_change")?;
    let result = change().and_then(|value| {
        conn.execute_batch("RELEASE knowledge_change")?;
        Ok(value)
    });
    if result.is_err() {
        // SQLite may have rolled back by itself, on a full disk for example; then there is nothing to undo.
        drop(conn.execute_batch("ROLLBACK TO knowledge_change; RELEASE knowledge_change"));
    }
    result
}

#[cfg(test)]
mod tests;
