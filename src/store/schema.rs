//! The schema: numbered SQL files, each applied once in a transaction.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

/// One step of the schema.
struct Migration {
    number: u32,
    name: &'static str,
    sql: &'static str,
}

/// All steps, in order, numbered from 1 without a gap.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "conversations", sql: include_str!("migrations/0001_conversations.sql") },
    Migration { number: 2, name: "knowledge", sql: include_str!("migrations/0002_knowledge.sql") },
    Migration { number: 3, name: "review", sql: include_str!("migrations/0003_review.sql") },
    Migration { number: 4, name: "merged", sql: include_str!("migrations/0004_merged.sql") },
    Migration {
        number: 5,
        name: "knowledge_state",
        sql: include_str!("migrations/0005_knowledge_state.sql"),
    },
    Migration {
        number: 6,
        name: "content_and_age",
        sql: include_str!("migrations/0006_content_and_age.sql"),
    },
    Migration { number: 7, name: "set_aside", sql: include_str!("migrations/0007_set_aside.sql") },
    Migration {
        number: 8,
        name: "knowledge_generation",
        sql: include_str!("migrations/0008_knowledge_generation.sql"),
    },
    Migration {
        number: 9,
        name: "messages_by_conversation",
        sql: include_str!("migrations/0009_messages_by_conversation.sql"),
    },
    Migration {
        number: 10,
        name: "knowledge_words",
        sql: include_str!("migrations/0010_knowledge_words.sql"),
    },
    Migration {
        number: 11,
        name: "knowledge_vectors",
        sql: include_str!("migrations/0011_knowledge_vectors.sql"),
    },
    Migration {
        number: 12,
        name: "knowledge_audience",
        sql: include_str!("migrations/0012_knowledge_audience.sql"),
    },
    Migration {
        number: 13,
        name: "knowledge_history",
        sql: include_str!("migrations/0013_knowledge_history.sql"),
    },
    Migration {
        number: 14,
        name: "classifier_examples",
        sql: include_str!("migrations/0014_classifier_examples.sql"),
    },
    Migration {
        number: 15,
        name: "knowledge_removed",
        sql: include_str!("migrations/0015_knowledge_removed.sql"),
    },
    Migration {
        number: 16,
        name: "knowledge_changes",
        sql: include_str!("migrations/0016_knowledge_changes.sql"),
    },
    Migration { number: 17, name: "audit", sql: include_str!("migrations/0017_audit.sql") },
    Migration { number: 18, name: "journeys", sql: include_str!("migrations/0018_journeys.sql") },
    Migration { number: 19, name: "handoff", sql: include_str!("migrations/0019_handoff.sql") },
    Migration { number: 20, name: "signed_out", sql: include_str!("migrations/0020_signed_out.sql") },
];

/// SQLite's `application_id` of our databases: "TERT".
const APPLICATION_ID: i32 = 0x5445_5254;

/// The newest schema that this program knows.
pub(super) const fn known() -> u32 {
    MIGRATIONS[MIGRATIONS.len() - 1].number
}

/// The schema of a database; 0 for an empty one.
///
/// # Errors
/// When the file is no database, is damaged, belongs to another program or to a newer one.
pub(super) fn version(conn: &Connection, path: &Path) -> Result<u32, OpenError> {
    let read = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let found = read("PRAGMA user_version").map_err(|error| OpenError::of(path, error))?;
    let application = read("PRAGMA application_id").map_err(|error| OpenError::of(path, error))?;
    let tables = read("SELECT count(*) FROM sqlite_schema").map_err(|error| OpenError::of(path, error))?;
    let empty = application == 0 && found == 0 && tables == 0;
    if !empty && application != i64::from(APPLICATION_ID) {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    let found = u32::try_from(found).map_err(|_| OpenError::NotOurs { path: path.to_owned() })?;
    if found > known() {
        return Err(OpenError::NewerSchema { found, known: known() });
    }
    Ok(found)
}

/// Applies the steps that are missing; answers the number before and after.
///
/// # Errors
/// See [`version`]; a step that fails leaves the schema as it was before it.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(u32, u32), OpenError> {
    let before = version(conn, path)?;
    // A row that breaks a rule moves as it is, and costs its own conversation alone.
    let ignore = |conn: &Connection, is_on: bool| {
        conn.pragma_update(None, "ignore_check_constraints", is_on)
            .map_err(|error| OpenError::of(path, error))
    };
    ignore(conn, true)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > before) {
        apply(conn, migration).map_err(|source| OpenError::Migration {
            number: migration.number,
            name: migration.name,
            source,
        })?;
    }
    ignore(conn, false)?;
    Ok((before, known()))
}

fn apply(conn: &mut Connection, migration: &Migration) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(migration.sql)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", migration.number)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use tertulia_actors::domain::PendingMessage;

    use super::super::reads;
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.number), Ok(index + 1), "{}", migration.name);
        }
    }

    #[test]
    fn a_second_migration_changes_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut conn, Path::new("x")).unwrap(), (0, known()));
        assert_eq!(migrate(&mut conn, Path::new("x")).unwrap(), (known(), known()));
    }

    #[test]
    fn messages_move_to_their_conversations_and_an_open_turn_keeps_its_own() {
        let mut conn = Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().filter(|step| step.number < 9).for_each(|step| apply(&mut conn, step).unwrap());
        conn.execute_batch(include_str!("tests/schema_8.sql")).unwrap();
        assert_eq!(migrate(&mut conn, Path::new("x")).unwrap(), (8, known()));
        let id = "01900000-0000-7000-8000-00000000000a".parse().unwrap();
        let state = reads::turns::load_conversation(&conn, id, 100).unwrap().unwrap();
        let seqs =
            |messages: &[PendingMessage]| messages.iter().map(|message| message.seq).collect::<Vec<_>>();
        assert_eq!(seqs(&state.open_turn.unwrap().messages), [3, 5]);
        assert_eq!(seqs(&state.pending), [4]);
        let said = reads::views::messages(&conn, id, 100).unwrap();
        let said: Vec<_> = said.iter().map(|line| line.text.as_deref().unwrap_or("")).collect();
        assert_eq!(said, ["one", "reply", "two", "three", "four", "five"]);
        let dead = reads::views::dead_letters(&conn, 0, 10).unwrap();
        assert_eq!((dead.len(), dead[0].id, dead[0].seq), (1, 12, 2));
        let differ = "SELECT count(*) FROM messages WHERE (turn_id IS NULL) <> (state = 'pending')";
        assert_eq!(conn.query_row(differ, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn rows_that_break_a_rule_move_as_they_are() {
        for damage in [
            "UPDATE messages SET state = 'nonsense' WHERE seq = 1",
            "UPDATE turns SET state = 'nonsense' WHERE position = 3",
            "UPDATE outbox SET state = 'nonsense'",
        ] {
            let mut conn = Connection::open_in_memory().unwrap();
            MIGRATIONS.iter().filter(|step| step.number < 9).for_each(|step| apply(&mut conn, step).unwrap());
            conn.execute_batch(include_str!("tests/schema_8.sql")).unwrap();
            conn.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
            conn.execute_batch(damage).unwrap();
            conn.execute_batch("PRAGMA ignore_check_constraints = OFF").unwrap();
            migrate(&mut conn, Path::new("x")).unwrap();
            let seqs = "SELECT seqs FROM turns WHERE position = 3";
            assert_eq!(conn.query_row(seqs, [], |row| row.get::<_, String>(0)).unwrap(), "[3,5]", "{damage}");
            assert!(
                conn.execute("UPDATE messages SET state = 'nonsense' WHERE seq = 4", []).is_err(),
                "{damage}"
            );
        }
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new("x")).unwrap();
        conn.pragma_update(None, "user_version", known() + 1).unwrap();
        let error = migrate(&mut conn, Path::new("x")).unwrap_err();
        assert!(matches!(error, OpenError::NewerSchema { .. }), "{error}");
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = migrate(&mut conn, Path::new("x")).unwrap_err();
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    }
}
