use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use tertulia_actors::domain::Tick;

use super::super::batch::waits_in_batch;
use super::super::{OpenError, SqliteStore, StoreSettings, db};
use super::bench::*;

#[test]
fn a_new_database_is_readable_by_its_owner_only_and_syncs_every_commit() {
    let bench = Bench::new();
    let mode = std::fs::metadata(&bench.settings.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(bench.text("PRAGMA journal_mode").as_deref(), Some("wal"));
    let conn = super::super::connect::writer(&bench.settings).unwrap();
    let synchronous: i64 = conn.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2, "FULL");
}

#[test]
fn the_clocks_of_the_next_process_start_behind_what_was_stored() {
    let mut bench = Bench::new();
    bench.clock.set(7_000_000);
    let last = message("a", "1");
    let receipt = last.receipt.seq;
    bench.admit(vec![last]);
    bench.shutdown();
    let prepared = SqliteStore::open(&bench.settings).unwrap();
    assert_eq!((prepared.last_tick(), prepared.last_receipt_seq()), (Tick(7_000_000), receipt));
    assert_eq!(prepared.handle().books().borrow().received, 1, "metrics are loaded at the start");
}

#[test]
fn a_newer_a_foreign_and_a_damaged_file_are_refused_by_name() {
    let mut bench = Bench::new();
    bench.shutdown();
    bench.sql().pragma_update(None, "user_version", 99).unwrap();
    let error = |settings: &StoreSettings| SqliteStore::open(settings).err().expect("refused");
    assert!(matches!(error(&bench.settings), OpenError::NewerSchema { found: 99, .. }));
    let path = bench.dir.path().join("other.db");
    std::fs::write(&path, vec![b'x'; 8_192]).unwrap();
    let settings = StoreSettings { path, ..StoreSettings::default() };
    let damaged = error(&settings);
    assert!(matches!(damaged, OpenError::Corrupt { .. }), "{damaged}");
    assert!(damaged.to_string().contains("tertulia db check"), "{damaged}");
}

#[test]
fn migrating_twice_changes_nothing() {
    let mut bench = Bench::new();
    bench.say("a", "1");
    bench.shutdown();
    let migrated = db::migrate(&bench.settings).unwrap();
    assert_eq!(migrated.from, migrated.to);
    assert_eq!(bench.number("SELECT count(*) FROM messages"), 1);
}

#[test]
fn a_check_finds_books_that_were_tampered_with() {
    let bench = Bench::new();
    bench.say("a", "1");
    assert_eq!(db::check(&bench.settings.path).unwrap(), Vec::<String>::new());
    bench.sql().execute_batch("UPDATE ledger SET received = 5").unwrap();
    let findings = db::check(&bench.settings.path).unwrap();
    assert!(findings.len() == 1 && findings[0].contains("received: 5"), "{findings:?}");
}

#[test]
fn a_backup_of_a_running_store_is_whole_and_overwrites_nothing() {
    let bench = Bench::new();
    bench.say("a", "1");
    let copy = bench.dir.path().join("backups/copy.db");
    db::backup(&bench.settings.path, &copy).unwrap();
    assert_eq!(db::check(&copy).unwrap(), Vec::<String>::new());
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(db::backup(&bench.settings.path, &copy), Err(OpenError::Exists { .. })));
}

#[test]
fn a_backup_can_be_made_before_a_migration() {
    let mut bench = Bench::new();
    bench.shutdown();
    bench.sql().pragma_update(None, "user_version", 1).unwrap();
    let copy = bench.dir.path().join("old.db");
    db::backup(&bench.settings.path, &copy).unwrap();
    assert!(matches!(db::check(&copy), Err(OpenError::OlderSchema { found: 1, .. })));
}

#[test]
fn a_backup_ends_while_another_connection_commits_all_the_time() {
    let bench = Bench::new();
    bench.say("a", "1");
    // Several thousand pages, so that the copy takes longer than many commits.
    let big = "INSERT INTO quarantine (channel, reason, body, received_at) VALUES ('whatsapp', 'big', zeroblob(32000000), 0)";
    bench.sql().execute_batch(big).unwrap();
    let (conn, stop) = (bench.sql(), Arc::new(AtomicBool::new(false)));
    let (committed, first) = channel();
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let mut commits = 0_u64;
        conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 100").unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        while !stopped.load(Ordering::Relaxed) {
            conn.execute("INSERT OR REPLACE INTO probe (id, filler) VALUES (7, randomblob(64))", []).unwrap();
            commits += 1;
            let _ = committed.send(());
        }
        commits
    });
    first.recv().unwrap();
    let (path, copy) = (bench.settings.path.clone(), bench.dir.path().join("copy.db"));
    let (done, ended) = channel();
    let destination = copy.clone();
    std::thread::spawn(move || done.send(db::backup(&path, &destination)));
    let ended = ended.recv_timeout(Duration::from_secs(30));
    stop.store(true, Ordering::Relaxed);
    ended.expect("the backup ends").unwrap();
    assert!(writer.join().unwrap() > 1, "nothing was committed beside it");
    assert_eq!(db::check(&copy).unwrap(), Vec::<String>::new());
}

#[test]
fn the_queries_of_every_message_and_turn_use_an_index() {
    let bench = Bench::new();
    let conn = bench.sql();
    for (sql, index) in [
        (
            "SELECT 1 FROM messages WHERE conversation_id = ?1 AND seq > ?2 AND state = 'pending'",
            "PRIMARY KEY (conversation_id=? AND seq>?)",
        ),
        (
            concat!("UPDATE messages SET alone = 1 WHERE conversation_id = ?1 AND ", waits_in_batch!()),
            "PRIMARY KEY (conversation_id=? AND seq>? AND seq<?)",
        ),
        (
            "SELECT first_part, last_part FROM turns WHERE conversation_id = ?1 AND last_part IS NOT NULL \
             ORDER BY position DESC",
            "turns_conversation",
        ),
        ("SELECT 1 FROM turns WHERE conversation_id = ?1 AND state IN ('running', 'waiting')", "turns_open"),
        (
            "SELECT 1 FROM turns WHERE conversation_id = ?1 AND state IN ('running', 'waiting') AND id = ?2",
            "turns_open",
        ),
        (
            "SELECT 1 FROM outbox WHERE conversation_id = ?1 AND position < ?2 \
             AND state IN ('pending', 'sending', 'ambiguous')",
            "outbox_open",
        ),
        ("SELECT 1 FROM outbox WHERE provider_id = ?1 AND channel = ?2 AND account = ?3", "outbox_provider"),
        (
            "SELECT id FROM conversations WHERE wake_at IS NOT NULL AND wake_at <= ?1 \
             AND (wake_at, id) > (?2, COALESCE(?3, '')) ORDER BY wake_at, id LIMIT ?4",
            "conversations_wake",
        ),
        (
            "SELECT id FROM conversations WHERE needs_human = 1 AND id > COALESCE(?1, '') ORDER BY id LIMIT ?2",
            "conversations_human",
        ),
        (
            "SELECT seq FROM messages WHERE state = 'dead_lettered' AND receipt_seq > ?1 ORDER BY receipt_seq",
            "messages_dead",
        ),
    ] {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let plan = plan.join("; ");
        assert!(plan.contains(index) && !plan.contains("B-TREE"), "{sql}: {plan}");
    }
}
