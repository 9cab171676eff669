//! The examples of the classes in the database. Writes happen on the caller's connection: the server gives its writer's, a
//! command its own.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tertulia_actors::domain::{Class, ConversationId, Timestamp, TurnId};
use tertulia_actors::ports::{
    ClassExample, Corrected, ExampleOrigin, ExampleRow, KeptExample, UnreadableExample,
};
use thiserror::Error;

use super::text::words::words;

/// The tables of the examples; one of the store's numbered migrations.
pub const EXAMPLES_MIGRATION: &str = include_str!("../store/migrations/0014_classifier_examples.sql");

/// Bytes of an example at the most: what a person wants is said by then.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Examples that are kept at the most. With a model each takes some milliseconds to be embedded, and 2 KB of memory.
pub const EXAMPLES_MAX: usize = 10_000;

/// What to do about one that cannot be read.
pub const REMEDY: &str =
    "remove it by its number (`tertulia classifier examples remove`), and add its text anew if it is known";

/// Why examples were not read or changed.
#[derive(Debug, Error)]
pub enum ExampleError {
    /// A text is blank or too long.
    #[error("example {number} has a text that is blank or longer than {TEXT_BYTES_MAX} bytes")]
    Text {
        /// Which of those that were given, counted from 1.
        number: usize,
    },
    /// There are too many.
    #[error("there would be more than {EXAMPLES_MAX} examples; remove some first")]
    Full,
    /// A turn that has not ended has no class yet.
    #[error("turn {0} has not ended; try again when it has been answered")]
    NotEnded(TurnId),
    /// A turn without text.
    #[error("turn {0} has no text to learn from")]
    NoText(TurnId),
    /// The database failed.
    #[error("the examples of the classes cannot be read or written: {0}")]
    Database(#[from] rusqlite::Error),
}

/// What makes two texts the same example: their words. Texts without any word are the same if they are equal.
#[must_use]
pub fn key(text: &str) -> String {
    let words = words(text).join(" ");
    if words.is_empty() { text.trim().to_owned() } else { words }
}

/// A number that changes with the examples.
///
/// # Errors
/// The database failed.
pub fn generation(conn: &Connection) -> Result<i64, ExampleError> {
    Ok(conn.prepare_cached("SELECT generation FROM classifier_state")?.query_row([], |row| row.get(0))?)
}

/// One page of examples behind the number `after`, in the order of their numbers, with those that cannot be read.
///
/// # Errors
/// The database failed.
pub fn list(conn: &Connection, after: i64, limit: usize) -> Result<Vec<ExampleRow>, ExampleError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(
        "SELECT id, text, class, language, origin, at FROM classifier_examples WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let rows = select.query_map(params![after, limit], row)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

/// All examples, and apart from them those that cannot be read.
///
/// # Errors
/// The database failed.
pub fn all(conn: &Connection) -> Result<(Vec<ClassExample>, Vec<UnreadableExample>), ExampleError> {
    let (mut examples, mut unreadable) = (vec![], vec![]);
    for row in list(conn, 0, usize::MAX)? {
        match row {
            ExampleRow::Kept(kept) => examples.push(kept.example),
            ExampleRow::Unreadable(row) => unreadable.push(row),
        }
    }
    Ok((examples, unreadable))
}

/// Whether examples can be kept.
///
/// # Errors
/// Names the first that is blank or too long.
pub fn check(examples: &[ClassExample]) -> Result<(), ExampleError> {
    let is_fit =
        |example: &ClassExample| !example.text.trim().is_empty() && example.text.len() <= TEXT_BYTES_MAX;
    match examples.iter().position(|example| !is_fit(example)) {
        Some(at) => Err(ExampleError::Text { number: at + 1 }),
        None => Ok(()),
    }
}

/// Adds examples, all or none; of texts with the same words the latest is kept. Tells how many were given.
///
/// # Errors
/// An example is not acceptable, there is no room for more, or the database failed; nothing was changed.
pub fn put(conn: &Connection, examples: &[ClassExample], now: Timestamp) -> Result<usize, ExampleError> {
    check(examples)?;
    atomically(conn, || {
        for example in examples {
            write(conn, example, (ExampleOrigin::Import, None), now)?;
        }
        check_room(conn)?;
        Ok(examples.len())
    })
}

/// Removes examples by their numbers; tells how many there were.
///
/// # Errors
/// The database failed; nothing was changed.
pub fn remove(conn: &Connection, ids: &[i64]) -> Result<usize, ExampleError> {
    atomically(conn, || {
        let mut delete = conn.prepare_cached("DELETE FROM classifier_examples WHERE id = ?1")?;
        Ok(ids.iter().map(|id| delete.execute([id])).sum::<Result<usize, _>>()?)
    })
}

/// Makes the text of a turn an example of its right class; none where the conversation has no such turn.
///
/// # Errors
/// The turn has not ended, nothing in it is text, there is no room, or the database failed; nothing was changed.
pub fn correct(
    conn: &Connection,
    (conversation, turn): (ConversationId, TurnId),
    class: Class,
    now: Timestamp,
) -> Result<Option<Corrected>, ExampleError> {
    let ids = params![conversation.to_string(), turn.to_string()];
    let found: Option<(String, Option<String>)> = conn
        .prepare_cached("SELECT state, class FROM turns WHERE conversation_id = ?1 AND id = ?2")?
        .query_row(ids, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((state, was)) = found else { return Ok(None) };
    // Its messages were answered one by one, in turns of their own.
    if state == "split" {
        return Ok(None);
    }
    if state != "committed" {
        return Err(ExampleError::NotEnded(turn));
    }
    // As the pipeline reads them: the texts of a turn in the order in which they were written, a line each.
    let texts: Vec<String> = conn
        .prepare_cached(
            "SELECT text FROM messages WHERE conversation_id = ?1 AND turn_id = ?2 AND text IS NOT NULL
             ORDER BY COALESCE(provider_at, received_tick), receipt_seq, seq",
        )?
        .query_map(ids, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let said: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
    let text = cut(&said.join("\n")).to_owned();
    if text.trim().is_empty() {
        return Err(ExampleError::NoText(turn));
    }
    let example = ClassExample { text, class, language: None };
    let example = atomically(conn, || {
        let id = write(conn, &example, (ExampleOrigin::Correction, Some(turn)), now)?;
        check_room(conn)?;
        Ok(id)
    })?;
    Ok(Some(Corrected { example, was }))
}

/// The beginning of a text that is not too long for an example.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// Writes one example, and tells its number.
fn write(
    conn: &Connection,
    example: &ClassExample,
    (origin, turn): (ExampleOrigin, Option<TurnId>),
    now: Timestamp,
) -> Result<i64, ExampleError> {
    let ClassExample { text, class, language } = example;
    let language = language.map(|language| language.to_string());
    let turn = turn.map(|turn| turn.to_string());
    let id = conn
        .prepare_cached(
            "INSERT INTO classifier_examples (key, text, class, language, origin, turn_id, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (key) DO UPDATE SET text = excluded.text, class = excluded.class, language = excluded.language,
                 origin = excluded.origin, turn_id = excluded.turn_id, at = excluded.at
             RETURNING id",
        )?
        .query_row(
            params![key(text), text, class.as_str(), language, origin.as_str(), turn, now.0],
            |row| row.get(0),
        )?;
    Ok(id)
}

/// Refuses more examples than there is room for.
fn check_room(conn: &Connection) -> Result<(), ExampleError> {
    let count: i64 =
        conn.prepare_cached("SELECT count(*) FROM classifier_examples")?.query_row([], |row| row.get(0))?;
    if usize::try_from(count).is_ok_and(|count| count <= EXAMPLES_MAX) {
        Ok(())
    } else {
        Err(ExampleError::Full)
    }
}

/// Reads a row with the columns `id, text, class, language, origin, at`.
fn row(row: &Row<'_>) -> rusqlite::Result<ExampleRow> {
    let id = row.get("id")?;
    Ok(match kept(id, row) {
        Ok(kept) => ExampleRow::Kept(kept),
        Err(reason) => ExampleRow::Unreadable(UnreadableExample { id, reason }),
    })
}

/// The example in a row; or what of it cannot be read, without its text.
fn kept(id: i64, row: &Row<'_>) -> Result<KeptExample, String> {
    let class: String = column(row, "class")?;
    let language: Option<String> = column(row, "language")?;
    let origin = match column::<String>(row, "origin")?.as_str() {
        "correction" => ExampleOrigin::Correction,
        _ => ExampleOrigin::Import,
    };
    let class = class.parse().map_err(|error| format!("{error}"))?;
    let language = language.map(|name| name.parse().map_err(|error| format!("{error}"))).transpose()?;
    let example = ClassExample { text: column(row, "text")?, class, language };
    Ok(KeptExample { id, example, origin, at: Timestamp(column(row, "at")?) })
}

fn column<T: FromSql>(row: &Row<'_>, name: &str) -> Result<T, String> {
    row.get(name).map_err(|error| format!("its {name} cannot be read: {error}"))
}

/// Runs `change` in a savepoint, which serves both within a transaction and without one.
fn atomically<T>(
    conn: &Connection,
    change: impl FnOnce() -> Result<T, ExampleError>,
) -> Result<T, ExampleError> {
    conn.execute_batch("SAVEPOINT examples_change")?;
    let result = change().and_then(|value| {
        conn.execute_batch("RELEASE examples_change")?;
        Ok(value)
    });
    if result.is_err() {
        // SQLite may have rolled back by itself, on a full disk for example; then there is nothing to undo.
        drop(conn.execute_batch("ROLLBACK TO examples_change; RELEASE examples_change"));
    }
    result
}

#[cfg(test)]
mod tests;
