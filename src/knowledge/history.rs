//! What entries said before they were changed or removed. Triggers of the database keep it, so that no way of changing an entry
//! forgets to.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tertulia_actors::domain::{Entry, Language, Timestamp, Version};

use super::entries::{KnowledgeError, entry, import};

/// The versions of an entry that are kept, newest first, in one language or in all; what it says now is not among them.
///
/// # Errors
/// The database failed.
pub fn versions(
    conn: &Connection,
    id: &str,
    language: Option<Language>,
) -> Result<Vec<Version>, KnowledgeError> {
    let language = language.map(|language| language.to_string());
    let mut select = conn.prepare_cached(
        "SELECT * FROM knowledge_history WHERE id = ?1 AND (?2 IS NULL OR language = ?2) ORDER BY version DESC",
    )?;
    let versions = select.query_map(params![id, language], version)?.collect::<Result<_, _>>()?;
    Ok(versions)
}

/// Lets an entry say again what it said in a version, and tells what that is; none where there is no such version. What it says until
/// then becomes a version itself.
///
/// # Errors
/// The database failed, or the version is not acceptable any more; nothing was changed.
pub fn restore(conn: &Connection, number: i64, now: Timestamp) -> Result<Option<Entry>, KnowledgeError> {
    let found = conn
        .prepare_cached("SELECT * FROM knowledge_history WHERE version = ?1")?
        .query_row([number], entry)
        .optional()?;
    if let Some(entry) = &found {
        import(conn, std::slice::from_ref(entry), now)?;
    }
    Ok(found)
}

fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        version: row.get("version")?,
        entry: entry(row)?,
        written_at: Timestamp(row.get("updated_at")?),
        replaced_at: row.get::<_, Option<i64>>("replaced_at")?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::super::KNOWLEDGE_MIGRATION;
    use super::super::entries::{get, remove};
    use super::*;

    fn empty() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
        conn
    }

    fn say(conn: &Connection, id: &str, answer: &str, at: i64) {
        import(conn, &[Entry::new(id, Language::ENGLISH, "q?", answer)], Timestamp(at)).unwrap();
    }

    /// The versions of an entry: what it said, from when until when.
    fn said(conn: &Connection, id: &str) -> Vec<(String, i64, Option<i64>)> {
        let told = |version: Version| {
            (version.entry.answer, version.written_at.0, version.replaced_at.map(|time| time.0))
        };
        versions(conn, id, None).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn what_an_entry_said_before_it_was_changed_or_removed_is_kept() {
        let conn = empty();
        say(&conn, "a", "one", 1);
        say(&conn, "a", "one", 2);
        assert_eq!(said(&conn, "a"), [], "it says the same");
        say(&conn, "a", "two", 3);
        let tagged = Entry { tags: vec!["t".into()], ..Entry::new("a", Language::ENGLISH, "q?", "two") };
        import(&conn, &[tagged], Timestamp(4)).unwrap();
        remove(&conn, "a", None).unwrap();
        let expected = [("two".into(), 4, None), ("two".into(), 3, Some(4)), ("one".into(), 2, Some(3))];
        assert_eq!(said(&conn, "a"), expected);
        assert_eq!(versions(&conn, "a", Some(Language::ARABIC)).unwrap(), []);
        assert_eq!(versions(&conn, "a", Some(Language::ENGLISH)).unwrap()[0].entry.tags, ["t"]);
    }

    #[test]
    fn an_entry_says_again_what_it_said_and_nothing_is_lost_by_it() {
        let conn = empty();
        say(&conn, "a", "one", 1);
        say(&conn, "a", "two", 2);
        let first = versions(&conn, "a", None).unwrap()[0].version;
        assert_eq!(restore(&conn, first, Timestamp(3)).unwrap().unwrap().answer, "one");
        assert_eq!(get(&conn, "a", Language::ENGLISH).unwrap().unwrap().answer, "one");
        assert_eq!(said(&conn, "a").first().map(|(answer, ..)| answer.as_str()), Some("two"));
        remove(&conn, "a", None).unwrap();
        restore(&conn, first, Timestamp(4)).unwrap();
        assert_eq!(get(&conn, "a", Language::ENGLISH).unwrap().unwrap().answer, "one", "it was removed");
        assert_eq!(restore(&conn, 99, Timestamp(5)).unwrap(), None);
    }

    #[test]
    fn the_history_is_bounded_by_entry_and_in_all() {
        let conn = empty();
        say(&conn, "rare", "zero", 0);
        say(&conn, "rare", "one", 1);
        for n in 0..50 {
            say(&conn, "a", &n.to_string(), n);
        }
        let kept = said(&conn, "a");
        assert_eq!((kept.len(), kept[0].0.as_str(), kept[19].0.as_str()), (20, "48", "29"));
        assert_eq!(said(&conn, "rare").len(), 1);
        conn.execute("UPDATE knowledge_history SET version = version + 30000 WHERE id = 'a'", []).unwrap();
        say(&conn, "a", "last", 99);
        assert_eq!(said(&conn, "rare").len(), 0, "twenty thousand versions ago");
    }
}
