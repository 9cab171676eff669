use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;
use tertulia_actors::ports::{Clock, Store, StoreError};
use uuid::Uuid;

use super::super::error::WriteError;
use super::super::writer::{StoreDeps, TestUnit, Write};
use super::super::{SqliteStore, StoreSettings, StoreThread};
use super::bench::*;

/// A write that ends as it is told, after it has written something.
enum Odd {
    Panics,
    Breaks,
    /// Panics, and has thrown away what it could be taken back to.
    Wrecks,
}

impl Write for Odd {
    type Answer = ();

    fn apply(&mut self, unit: &mut TestUnit<'_>) -> Result<(), WriteError> {
        unit.conn.execute("INSERT INTO records VALUES (NULL, 'x', 'odd', 'c', 't', 0)", [])?;
        match self {
            Self::Panics => panic!("as told"),
            Self::Wrecks => {
                unit.conn.execute_batch("RELEASE request")?;
                panic!("as told")
            }
            Self::Breaks => unit.conn.execute("INSERT INTO ledger (id) VALUES (2)", []).map(drop)?,
        }
        Ok(())
    }
}

/// A store whose writer does not run, so that a test decides what shares a commit.
pub(super) struct Held {
    pub(super) prepared: crate::store::PreparedStore,
    pub(super) store: Arc<SqliteStore>,
    pub(super) _dir: tempfile::TempDir,
}

pub(super) fn held(change: impl FnOnce(&mut StoreSettings)) -> Held {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = StoreSettings { path: dir.path().join("t.db"), ..StoreSettings::default() };
    change(&mut settings);
    let prepared = SqliteStore::open(&settings).unwrap();
    Held { store: prepared.handle(), prepared, _dir: dir }
}

struct Silent;

impl tertulia_actors::ports::Tells for Silent {
    fn admitted(&self, _: tertulia_actors::ports::Admitted) {}
    fn changed(&self, _: ConversationId) {}
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(5)
    }
    fn tick(&self) -> Tick {
        Tick(5)
    }
}

impl tertulia_actors::ports::Entropy for Fixed {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
    fn fraction(&self) -> f64 {
        0.0
    }
}

pub(super) fn deps() -> StoreDeps {
    StoreDeps { clock: Arc::new(Fixed), entropy: Arc::new(Fixed), quiet: QUIET }
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time") })
}

pub(super) fn one(id: &str) -> Admission {
    Admission { messages: vec![message(id, id)], ..Admission::default() }
}

#[test]
fn requests_that_wait_share_a_commit() {
    let Held { prepared, store, _dir } = held(|_| {});
    let answers: Vec<_> = (0..100).map(|n| store.admit(one(&n.to_string()))).collect();
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(wait(join_all(answers)).iter().all(Result::is_ok));
    running.shutdown();
    let stats = store.stats();
    assert_eq!((stats.requests, stats.queued), (100, 0));
    assert!(stats.commits < 10, "{stats:?}");
}

#[test]
fn a_refused_request_spares_those_that_share_its_commit() {
    let Held { prepared, store, _dir } = held(|_| {});
    let (before, odd, after) = (store.admit(one("a")), store.queue.write(Odd::Breaks), store.admit(one("b")));
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(matches!(wait(odd), Err(StoreError::Refused(_))));
    assert!(wait(before).is_ok() && wait(after).is_ok());
    let books = wait(store.count_books()).unwrap();
    running.shutdown();
    assert_eq!((books.received, store.stats().commits), (2, 1));
}

#[test]
fn a_write_that_panics_fails_alone_and_spares_those_that_share_its_commit() {
    let Held { prepared, store, _dir } = held(|_| {});
    let (before, odd, after) = (store.admit(one("a")), store.queue.write(Odd::Panics), store.admit(one("b")));
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(matches!(wait(odd), Err(StoreError::Unavailable(_))));
    assert!(wait(before).is_ok() && wait(after).is_ok());
    assert_eq!(wait(store.count_books()).unwrap().received, 2);
    let panics = store.panics(StoreThread::Writer).borrow().clone();
    assert_eq!((panics.count, panics.restarts, panics.last), (1, 0, "as told"));
    running.shutdown();
    let stats = store.stats();
    assert_eq!((stats.panics, stats.commits, stats.failed_commits), (1, 1, 0), "{stats:?}");
}

#[test]
fn a_panic_that_cannot_be_taken_back_alone_fails_its_group_and_the_writer_goes_on() {
    let Held { prepared, store, _dir } = held(|_| {});
    let (neighbour, odd) = (store.admit(one("a")), store.queue.write(Odd::Wrecks));
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(matches!(wait(odd), Err(StoreError::Unavailable(_))));
    assert!(matches!(wait(neighbour), Err(StoreError::Unavailable(_))));
    assert!(wait(store.admit(one("a"))).unwrap().iter().all(|stored| !stored.duplicate));
    assert_eq!(wait(store.count_books()).unwrap().received, 1);
    assert_eq!(store.stats().panics, 1);
    running.shutdown();
}

#[test]
fn admissions_leave_room_for_turns_and_replies() {
    let Held { prepared, store, _dir } = held(|settings| {
        settings.queue_max = 3;
        settings.admission_queue_max = 2;
    });
    let mut queued: Vec<_> = (0..2).map(|n| store.admit(one(&n.to_string()))).collect();
    assert_eq!(wait(store.admit(one("x"))), Err(StoreError::Overloaded { by: Limit::Queue, limit: 2 }));
    let marks = store.mark_parts(Vec::new());
    assert_eq!(
        wait(store.mark_parts(Vec::new())),
        Err(StoreError::Overloaded { by: Limit::Queue, limit: 3 })
    );
    assert_eq!(store.stats().queued, 3);
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(wait(marks).is_ok());
    queued.drain(..).for_each(|answer| drop(wait(answer).unwrap()));
    assert!(wait(store.admit(one("x"))).is_ok());
    running.shutdown();
}

#[test]
fn admissions_that_wait_are_limited_in_bytes_too_and_one_of_any_size_finds_room() {
    let Held { prepared, store, _dir } = held(|settings| settings.admission_queue_bytes = 10);
    let long = |id: &str| {
        let text = Some("x".repeat(20));
        Admission { messages: vec![InboundMessage { text, ..message(id, "1") }], ..Admission::default() }
    };
    let first = store.admit(long("a"));
    assert!(matches!(wait(store.admit(long("b"))), Err(StoreError::Overloaded { .. })));
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(wait(first).is_ok());
    assert!(wait(store.admit(long("b"))).is_ok());
    running.shutdown();
}

#[test]
fn names_and_statuses_of_admissions_that_wait_are_counted_as_their_texts_are() {
    let name = Some("x".repeat(9_000));
    let named = Sender { name: name.clone(), ..Sender::default() };
    let (account, provider_id) = (Account::new(Channel::Whatsapp, "1"), "x".repeat(9_000));
    let status = StatusUpdate {
        account,
        provider_id,
        part: None,
        status: DeliveryStatus::Read,
        at: None,
        error: None,
    };
    let failed = StatusUpdate { provider_id: "x".into(), error: name, ..status.clone() };
    let message = InboundMessage { sender: named, ..message("a", "1") };
    for large in [
        Admission { messages: vec![message], ..Admission::default() },
        Admission { statuses: vec![status], ..Admission::default() },
        Admission { statuses: vec![failed], ..Admission::default() },
    ] {
        let Held { prepared, store, _dir } = held(|settings| settings.admission_queue_bytes = 9_000);
        let first = store.admit(one("x"));
        let refused = StoreError::Overloaded { by: Limit::QueueBytes, limit: 9_000 };
        assert_eq!(wait(store.admit(large)), Err(refused));
        let running = prepared.start(deps(), Box::new(Silent)).unwrap();
        assert!(wait(first).is_ok());
        running.shutdown();
    }
}

#[test]
fn a_probe_is_refused_where_an_admission_would_be() {
    let Held { prepared, store, _dir } = held(|settings| settings.admission_queue_max = 1);
    let first = store.admit(one("x"));
    assert_eq!(wait(store.probe()), Err(StoreError::Overloaded { by: Limit::Queue, limit: 1 }));
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(wait(first).is_ok());
    assert!(wait(store.probe()).is_ok());
    running.shutdown();
}

#[test]
fn a_caller_that_goes_away_cancels_nothing() {
    let Held { prepared, store, _dir } = held(|_| {});
    drop(store.admit(one("a")));
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    wait(store.probe()).unwrap();
    assert_eq!(wait(store.count_books()).unwrap().received, 1);
    running.shutdown();
}

#[test]
fn shutdown_writes_what_is_queued_and_leaves_no_log() {
    let mut bench = Bench::new();
    let store = bench.store();
    let answers: Vec<_> = (0..50).map(|n| store.admit(one(&n.to_string()))).collect();
    bench.shutdown();
    assert!(bench.wait(join_all(answers)).iter().all(Result::is_ok));
    assert_eq!(bench.wait(store.admit(one("late"))), Err(StoreError::Closed));
    assert_eq!(bench.wait(store.count_books()), Err(StoreError::Closed));
    let log = bench.settings.path.with_extension("db-wal");
    assert!(std::fs::metadata(log).map_or(0, |log| log.len()) == 0);
    assert_eq!(bench.number("SELECT count(*) FROM messages"), 50);
}

/// Waits until the writer says that it is well.
fn wait_until_healthy(store: &SqliteStore) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !store.is_healthy() {
        assert!(Instant::now() < deadline, "the writer did not recover: {:?}", store.stats());
        std::thread::yield_now();
    }
}

#[test]
fn a_locked_database_is_unavailable_and_recovers_by_itself() {
    let bench = Bench::with(|settings| {
        settings.busy_timeout_ms = 500;
        settings.probe_ms = 20;
    });
    let store = bench.store();
    let other = bench.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(bench.wait(store.admit(one("a"))), Err(StoreError::Unavailable(_))));
    assert!(!store.is_healthy());
    // The probe keeps the writer waiting for the lock; an admission does not wait behind it.
    let probe = store.probe();
    let began = Instant::now();
    assert!(matches!(bench.wait(store.admit(one("a"))), Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_millis(400), "it waited for the lock");
    assert!(matches!(bench.wait(probe), Err(StoreError::Unavailable(_))));
    other.execute_batch("ROLLBACK").unwrap();
    wait_until_healthy(&store);
    assert!(!bench.wait(store.admit(one("a"))).unwrap()[0].duplicate);
    assert_eq!(bench.books().received, 1);
}

#[test]
fn admissions_that_wait_behind_a_failed_write_fail_with_it() {
    let Held { prepared, store, _dir } = held(|settings| {
        settings.busy_timeout_ms = 500;
        settings.commit_batch_max = 1;
    });
    let other = rusqlite::Connection::open(_dir.path().join("t.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let queued: Vec<_> = (0..4).map(|n| store.admit(one(&n.to_string()))).collect();
    let began = Instant::now();
    let running = prepared.start(deps(), Box::new(Silent)).unwrap();
    assert!(wait(join_all(queued)).iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))));
    assert!(began.elapsed() < Duration::from_millis(1_000), "each waited for the lock by itself");
    assert_eq!(store.stats().failed_commits, 1);
    other.execute_batch("ROLLBACK").unwrap();
    running.shutdown();
}

#[test]
fn a_full_database_writes_nothing_by_halves_and_recovers_when_there_is_room() {
    let bench = Bench::with(|settings| {
        settings.page_max = 120;
        settings.probe_ms = 20;
    });
    let store = bench.store();
    // Smaller than the room a probe asks for, so that a store that cannot take it does not seem well.
    let big = |id: &str| {
        let text = Some("x".repeat(8_000));
        let messages =
            (0..3).map(|n| InboundMessage { text: text.clone(), ..message(&format!("{id}.{n}"), id) });
        Admission { messages: messages.collect(), ..Admission::default() }
    };
    let full = (0..100).map(|n| bench.wait(store.admit(big(&n.to_string())))).find_map(Result::err);
    assert!(matches!(full, Some(StoreError::Unavailable(_))), "{full:?}");
    let before = bench.books();
    assert_eq!(before.received % 3, 0, "a webhook is stored whole or not at all");
    assert!(!store.is_healthy());
    bench.sql().execute_batch("UPDATE messages SET text = NULL").unwrap();
    wait_until_healthy(&store);
    assert!(bench.wait(store.admit(big("again"))).is_ok());
    assert_eq!(bench.books().received, before.received + 3);
}

#[test]
fn a_database_that_another_process_has_taken_over_takes_nothing_more_from_this_one() {
    let bench = Bench::new();
    bench.say("a", "1");
    let before = bench.text("SELECT group_concat(received || '/' || last_receipt_seq) FROM ledger");
    bench.sql().execute("UPDATE partitions SET epoch = epoch + 1", []).unwrap();
    let refused = bench.wait(bench.store().admit(one("b"))).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.contains("taken the database over")),
        "{refused}"
    );
    assert_eq!(bench.number("SELECT count(*) FROM messages"), 1);
    assert_eq!(bench.text("SELECT group_concat(received || '/' || last_receipt_seq) FROM ledger"), before);
    assert!(bench.wait(bench.store().probe()).is_err(), "it is not ready either");
}

#[test]
fn a_long_reader_does_not_hold_the_writer_up_while_the_log_wants_to_start_over() {
    let bench = Bench::with(|settings| settings.wal_limit_pages = 20);
    let reader = bench.sql();
    reader.execute_batch("BEGIN; SELECT count(*) FROM messages").unwrap();
    for n in 0..20 {
        bench.say(&format!("before-{n}"), "1");
    }
    let began = Instant::now();
    for n in 0..20 {
        bench.say(&format!("m{n}"), "1");
    }
    let busy_timeout = bench.settings.busy_timeout();
    assert!(began.elapsed() < busy_timeout, "a commit waited for the reader: {:?}", began.elapsed());
}
