//! Panics of the store's own threads: whoever waits is told the truth, the books stay exact, and the threads go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::join_all;
use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;
use tertulia_actors::ports::{Admitted, StoreError, Tells};

use super::super::{RunningStore, SqliteStore, StoreThread, WriteError};
use super::bench::*;
use super::failures::{Held, deps, held, one, wait};

/// Panics at the first thing that it is told.
#[derive(Default)]
struct Shy(AtomicBool);

impl Tells for Shy {
    fn admitted(&self, _: Admitted) {
        assert!(self.0.swap(true, Ordering::SeqCst), "it was told");
    }

    fn changed(&self, _: ConversationId) {}
}

/// A caller that panics when its answer comes.
struct Explosive;

impl Wake for Explosive {
    fn wake(self: Arc<Self>) {
        panic!("the answer came");
    }
}

/// Waits for an answer in a way that makes giving it panic.
fn explode_at_the_answer<T>(future: &mut StoreFuture<T>) {
    let waker = Waker::from(Arc::new(Explosive));
    assert!(matches!(future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
}

/// Ends the store, whose published books must be those of the rows.
fn end(running: RunningStore, store: &SqliteStore, received: i64) {
    let counted = wait(store.count_books()).unwrap();
    assert!(counted.balance() && counted.received == received, "{counted:?}");
    running.shutdown();
    assert_eq!(*store.books().borrow(), counted);
}

/// Waits until threads of a kind have begun anew so often; without asking for the answers, which would defuse them.
fn wait_for_restarts(store: &SqliteStore, of: StoreThread, restarts: u64) {
    let mut panics = store.panics(of);
    drop(wait(panics.wait_for(|panics| panics.restarts == restarts)).unwrap());
}

#[test]
fn a_panic_after_the_commit_answers_the_truth_and_the_writer_goes_on() {
    let Held { prepared, store, _dir } = held(|_| {});
    let answers: Vec<_> = (0..3).map(|n| store.admit(one(&n.to_string()))).collect();
    let running = prepared.start(deps(), Box::new(Shy::default())).unwrap();
    assert!(wait(join_all(answers)).iter().all(Result::is_ok));
    assert!(wait(store.admit(one("1"))).unwrap()[0].duplicate, "what was answered as written is written");
    assert!(!wait(store.admit(one("4"))).unwrap()[0].duplicate);
    let panics = store.panics(StoreThread::Writer).borrow().clone();
    assert_eq!((panics.count, panics.restarts, panics.last), (1, 1, "it was told"));
    assert!(store.is_healthy());
    end(running, &store, 4);
    let stats = store.stats();
    assert_eq!((stats.requests, stats.panics, stats.failed_commits), (5, 1, 0), "{stats:?}");
    assert_eq!(store.in_commit(), 0);
}

#[test]
fn an_answer_that_panics_takes_no_other_answer_with_it() {
    let Held { prepared, store, _dir } = held(|_| {});
    let mut answers: Vec<_> = (0..4).map(|n| store.admit(one(&n.to_string()))).collect();
    // The first is given by the writer at work, the third by the writer that begins anew.
    explode_at_the_answer(&mut answers[0]);
    explode_at_the_answer(&mut answers[2]);
    let running = prepared.start(deps(), Box::new(Shy(true.into()))).unwrap();
    wait_for_restarts(&store, StoreThread::Writer, 1);
    assert!(wait(join_all(answers)).iter().all(Result::is_ok));
    assert!(wait(store.admit(one("x"))).is_ok());
    end(running, &store, 5);
}

#[test]
fn a_write_that_panics_and_one_that_fails_leave_the_books_exact() {
    let bench = Bench::new();
    let store = bench.store();
    bench.say("a", "1");
    let odd = store.write_with(|conn, _| {
        conn.execute("UPDATE ledger SET received = 70", [])?;
        panic!("odd")
    });
    let odd: Result<(), _> = bench.wait(odd);
    assert!(matches!(odd, Err(StoreError::Unavailable(_))));
    bench.say("b", "1");
    assert_eq!(bench.books().received, 2);
    let panics = store.panics(StoreThread::Writer).borrow().clone();
    assert_eq!((panics.count, panics.restarts), (1, 0));
}

#[test]
fn a_read_that_panics_fails_alone_and_leaves_no_transaction_open() {
    let mut bench = Bench::with(|settings| settings.readers = 1);
    let store = bench.store();
    let odd = store.read_with(|conn| -> Result<(), WriteError> {
        conn.execute_batch("BEGIN; SELECT count(*) FROM messages")?;
        panic!("odd")
    });
    assert!(matches!(bench.wait(odd), Err(StoreError::Unavailable(_))));
    assert!(bench.wait(store.read_with(|conn| Ok(conn.is_autocommit()))).unwrap());
    let (go, gone) = std::sync::mpsc::channel();
    let mut odd = store.read_with(move |_| Ok(gone.recv()));
    explode_at_the_answer(&mut odd);
    go.send(()).unwrap();
    wait_for_restarts(&store, StoreThread::Readers, 1);
    assert!(bench.wait(odd).is_ok());
    assert!(bench.wait(store.count_books()).is_ok(), "its only thread goes on");
    let panics = store.panics(StoreThread::Readers).borrow().clone();
    assert_eq!((panics.count, panics.restarts, panics.last), (2, 1, "the answer came"));
    bench.shutdown();
    assert_eq!((store.reads().waiting, store.reads().in_flight), (0, 0));
}

#[test]
fn while_admissions_are_paused_nothing_else_waits() {
    let bench = Bench::new();
    let (store, conversation) = (bench.store(), bench.say("a", "1"));
    store.pause_admissions(true);
    let refused = bench.wait(store.admit(one("b")));
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("paused")), "{refused:?}");
    assert!(bench.wait(store.probe()).is_err());
    let part = &bench.answer(conversation, &[1], &["reply"])[0];
    assert!(bench.sending(part, 1) && bench.sent(part, "wamid.1"));
    store.pause_admissions(false);
    assert!(bench.wait(store.admit(one("b"))).is_ok() && bench.wait(store.probe()).is_ok());
    assert_eq!((bench.books().received, bench.books().answered), (2, 1));
}
