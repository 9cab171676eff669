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
        removed_at: row.get::<_, Option<i64>>("removed_at")?.map(Timestamp),
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

    /// How a version ended, and when.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum End {
        Replaced(i64),
        Removed(i64),
    }

    fn say(conn: &Connection, id: &str, answer: &str, at: i64) {
        import(conn, &[Entry::new(id, Language::ENGLISH, "q?", answer)], Timestamp(at)).unwrap();
    }

    /// The versions of an entry: what it said, from when until when, and whether something else took its place or it was removed.
    fn said(conn: &Connection, id: &str) -> Vec<(String, i64, End)> {
        let told = |version: Version| {
            let end = match (version.replaced_at, version.removed_at) {
                (Some(at), None) => End::Replaced(at.0),
                (None, Some(at)) => End::Removed(at.0),
                other => panic!("not one end: {other:?}"),
            };
            (version.entry.answer, version.written_at.0, end)
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
        assert_eq!(remove(&conn, "a", None, Timestamp(5)).unwrap(), 1);
        assert_eq!(remove(&conn, "b", None, Timestamp(6)).unwrap(), 0);
        let expected = [
            ("two".into(), 4, End::Removed(5)),
            ("two".into(), 3, End::Replaced(4)),
            ("one".into(), 1, End::Replaced(3)),
        ];
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
        remove(&conn, "a", None, Timestamp(4)).unwrap();
        restore(&conn, first, Timestamp(5)).unwrap();
        assert_eq!(get(&conn, "a", Language::ENGLISH).unwrap().unwrap().answer, "one", "it was removed");
        assert_eq!(restore(&conn, 99, Timestamp(5)).unwrap(), None);
    }

    #[test]
    fn what_says_the_same_keeps_the_time_since_which_it_says_so() {
        let conn = empty();
        let entry = Entry::new("a", Language::ENGLISH, "q?", "one");
        let since = |entry: &Entry, at: i64| {
            import(&conn, std::slice::from_ref(entry), Timestamp(at)).unwrap();
            conn.query_row("SELECT updated_at FROM knowledge", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((since(&entry, 1), since(&entry, 2)), (1, 1));
        for (at, changed) in [
            (10, Entry { question: "r?".into(), ..entry.clone() }),
            (20, Entry { answer: "two".into(), ..entry.clone() }),
            (30, Entry { phrasings: vec!["p?".into()], ..entry.clone() }),
            (40, Entry { tags: vec!["t".into()], ..entry.clone() }),
            (50, Entry { accounts: vec!["1".into()], ..entry.clone() }),
            (60, Entry { valid_from: Some(Timestamp(1)), ..entry.clone() }),
            (70, Entry { valid_until: Some(Timestamp(1)), ..entry }),
        ] {
            assert_eq!((since(&changed, at), since(&changed, at + 1)), (at, at), "{changed:?}");
        }
    }

    #[test]
    fn what_is_removed_without_the_program_has_an_end_too() {
        let conn = empty();
        say(&conn, "a", "one", 1);
        let clock = || Timestamp(chrono::Utc::now().timestamp_millis());
        let before = clock();
        conn.execute("DELETE FROM knowledge", []).unwrap();
        let removed = versions(&conn, "a", None).unwrap()[0].removed_at.unwrap();
        // The database's clock is read once a statement, in whole milliseconds.
        assert!(before.0 - 1 <= removed.0 && removed.0 <= clock().0 + 1, "{removed:?}");
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
