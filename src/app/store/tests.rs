//! The store's supervisors over a real store, with a monitor that runs.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use actix_rt::Arbiter;
use rusqlite::Connection;
use tertulia_actors::domain::{
    Account, Channel, ConversationId, InboundMessage, Receipt, Sender, Tick, Timestamp,
};
use tertulia_actors::ports::store::{Admission, Inbox, Outbox, Views};
use tertulia_actors::ports::{Admitted, Store, StoreError, Tells};
use tertulia_actors::settings::SupervisionSettings;
use tertulia_actors::supervision::events::Event;
use tertulia_actors::supervision::monitor::{Ask, GetTree, Reading, Subscribe};
use tertulia_actors::supervision::policy::ReasonKind;
use tertulia_actors::supervision::snapshot::Node;
use tokio::time::timeout;

use super::*;
use crate::store::{RunningStore, StoreDeps, StoreSettings, WriteError};
use crate::system::{SystemClock, SystemEntropy};

const SOON: Duration = Duration::from_secs(20);

/// Panics when it is told of a message of this sender.
const CURSED: &str = "cursed";

struct Superstitious;

impl Tells for Superstitious {
    fn admitted(&self, admitted: Admitted) {
        assert!(admitted.message.text.as_deref() != Some(CURSED), "a message that must not be told");
    }

    fn changed(&self, _: ConversationId) {}
}

struct Bench {
    root: Root,
    store: Arc<SqliteStore>,
    running: Option<RunningStore>,
    happened: Reading,
    ended: Arc<Mutex<Vec<String>>>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let settings = StoreSettings {
            path: path.clone(),
            busy_timeout_ms: 50,
            probe_ms: 50,
            ..StoreSettings::default()
        };
        let mut prepared = SqliteStore::open(&settings).unwrap();
        let clock = Arc::new(SystemClock::anchored_behind(prepared.last_tick()));
        prepared.take_over(Tick(1), Duration::ZERO).unwrap();
        let (entropy, quiet) = (Arc::new(SystemEntropy), Duration::from_millis(100));
        let ended = Arc::new(Mutex::new(vec![]));
        let told = Arc::clone(&ended);
        let end = Arc::new(move |why: &str| told.lock().unwrap().push(why.to_owned()));
        let limits = SupervisionSettings { restarts_max: 2, ..SupervisionSettings::default() };
        let root =
            Root::start(&Arbiter::current(), clock.clone(), entropy.clone(), limits, end).await.unwrap();
        let store = prepared.handle();
        start(&root, &store);
        let running = prepared.start(StoreDeps { clock, entropy, quiet }, Box::new(Superstitious)).unwrap();
        let happened = root.monitor().send(Subscribe { after: 0 }).await.unwrap().unwrap();
        Self { root, store, running: Some(running), happened, ended, path, _folder: folder }
    }

    /// Waits for the next event at a place of the store that is no start.
    async fn next(&mut self) -> (String, EventKind, Event) {
        loop {
            let history = (!self.happened.history.is_empty()).then(|| self.happened.history.remove(0));
            let event = match history {
                Some(event) => event,
                None => timeout(SOON, self.happened.events.recv()).await.expect("an event").unwrap(),
            };
            if event.path.starts_with("store") && event.kind != EventKind::Started {
                return (event.path.to_string(), event.kind, event);
            }
        }
    }

    async fn expect(&mut self, path: &str, kind: EventKind) -> Event {
        let (happened_at, happened, event) = self.next().await;
        assert_eq!((happened_at.as_str(), happened), (path, kind), "{event:?}");
        event
    }

    async fn node(&self, path: &str) -> Node {
        let tree = self.root.monitor().send(GetTree).await.unwrap().unwrap();
        tree.find(path).unwrap_or_else(|| panic!("nothing at {path}")).clone()
    }

    /// What stands at a path, as soon as it says this of itself.
    async fn node_when(&self, path: &str, says: impl Fn(&Snapshot) -> bool) -> Node {
        let waiting = async {
            loop {
                let node = self.node(path).await;
                if says(&node.snapshot) {
                    return node;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, waiting).await.expect("it says so")
    }

    async fn ask(&self, action: Action) {
        self.root.monitor().send(Ask { path: PATH.into(), action }).await.unwrap().unwrap();
    }

    async fn write(&self, text: &str) -> Result<(), StoreError> {
        static NUMBERS: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
        let seq = NUMBERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let message = InboundMessage {
            account: Account::new(Channel::Api, "default"),
            provider_id: seq.to_string(),
            sender: Sender { handle: Some(seq.to_string()), ..Sender::default() },
            kind: "text".into(),
            text: Some(text.into()),
            content: None,
            provider_at: None,
            suppressed: None,
            receipt: Receipt { at: Timestamp(1), tick: Tick(1), seq },
        };
        let admission = Admission { messages: vec![message], ..Admission::default() };
        timeout(SOON, self.store.admit(admission)).await.expect("an answer").map(drop)
    }

    fn ended(&self) -> Vec<String> {
        self.ended.lock().unwrap().clone()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown();
        }
    }
}

fn run<F: Future<Output = ()>>(test: F) {
    System::new().block_on(test);
}

#[test]
fn the_store_stands_in_the_tree_with_its_threads_and_figures() {
    run(async {
        let bench = Bench::new().await;
        for n in 0..5 {
            bench.write(&n.to_string()).await.unwrap();
        }
        // The writer answers first, and takes note then.
        let is_idle = |snapshot: &Snapshot| snapshot.in_flight == Some(0) && snapshot.latency.is_some();
        let store = bench.node_when(PATH, is_idle).await;
        let names: Vec<_> = store.children.iter().map(|child| (child.name.as_str(), child.kind)).collect();
        let threads = ["checkpoints", "readers", "writer"].map(|name| (name, Kind::Thread));
        assert_eq!((store.kind, store.state, names), (Kind::Front, State::Running, threads.to_vec()));
        assert_eq!(
            (store.snapshot.handled, store.snapshot.mailbox, store.snapshot.in_flight),
            (Some(5), Some(0), Some(0))
        );
        assert_eq!(store.snapshot.detail["commits"], 5);
        bench.store.count_books().await.unwrap();
        bench.node_when("store/readers", |snapshot| snapshot.handled == Some(1)).await;
    });
}

#[test]
fn a_database_that_cannot_be_written_is_down_until_it_can() {
    run(async {
        let mut bench = Bench::new().await;
        let other = Connection::open(&bench.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(matches!(bench.write("x").await, Err(StoreError::Unavailable(_))));
        let failed = bench.expect(PATH, EventKind::Failed).await;
        assert_eq!(failed.reason, Some(ReasonKind::Error));
        assert!(failed.detail.unwrap().contains("locked"));
        bench.expect(PATH, EventKind::GaveUp).await;
        let down = bench.node(PATH).await;
        assert_eq!(down.state, State::Down);
        assert!(down.snapshot.detail["last_error"].as_str().unwrap().contains("locked"), "{down:?}");
        // Many attempts are told once.
        while bench.store.stats().failed_commits < 4 {
            tokio::task::yield_now().await;
        }
        other.execute_batch("ROLLBACK").unwrap();
        bench.expect(PATH, EventKind::Recovered).await;
        assert_eq!(bench.node(PATH).await.state, State::Running);
        bench.write("x").await.unwrap();
    });
}

#[test]
fn a_paused_store_admits_nothing_and_writes_everything_else() {
    run(async {
        let mut bench = Bench::new().await;
        bench.ask(Action::Pause).await;
        bench.expect(PATH, EventKind::Paused).await;
        assert!(matches!(bench.write("x").await, Err(StoreError::Unavailable(_))));
        assert!(bench.store.probe().await.is_err(), "it is not ready either");
        assert_eq!(bench.store.mark_parts(vec![]).await, Ok(vec![]));
        // Its supervisor may come and go meanwhile.
        bench.ask(Action::Restart).await;
        bench.expect(PATH, EventKind::Failed).await;
        bench.expect(PATH, EventKind::Restarted).await;
        assert_eq!(bench.node(PATH).await.state, State::Paused);
        assert!(bench.write("x").await.is_err());
        bench.ask(Action::Resume).await;
        bench.expect(PATH, EventKind::Resumed).await;
        assert_eq!(bench.node(PATH).await.state, State::Running);
        bench.write("x").await.unwrap();
        assert_eq!(bench.store.count_books().await.unwrap().received, 1);
    });
}

#[test]
fn a_writer_that_begins_anew_too_often_ends_the_process() {
    run(async {
        let mut bench = Bench::new().await;
        for n in 1..=3 {
            bench.write(CURSED).await.expect("it is on disk");
            let failed = bench.expect("store/writer", EventKind::Failed).await;
            assert!(failed.detail.unwrap().contains("must not be told"));
            bench.expect("store/writer", EventKind::Restarted).await;
            assert_eq!(bench.node("store/writer").await.restarts.values().sum::<u64>(), n);
            // What went well in between forgives nothing: each of these commits went well, and then the writer fell.
            bench.write("x").await.unwrap();
        }
        bench.expect("store/writer", EventKind::GaveUp).await;
        let ended = bench.ended();
        assert!(
            ended.len() == 1 && ended[0].starts_with("store/writer failed too often: panic: "),
            "{ended:?}"
        );
    });
}

#[test]
fn a_request_that_always_panics_is_told_each_time_and_ends_nothing() {
    run(async {
        let mut bench = Bench::new().await;
        for _ in 0..5 {
            let odd = bench.store.write_with(|_, _| -> Result<(), WriteError> { panic!("odd") });
            assert!(matches!(odd.await, Err(StoreError::Unavailable(_))));
            bench.expect("store/writer", EventKind::Failed).await;
            bench.expect("store/writer", EventKind::Restarted).await;
            let odd = bench.store.read_with(|_| -> Result<(), WriteError> { panic!("odd") });
            assert!(matches!(odd.await, Err(StoreError::Unavailable(_))));
            bench.expect("store/readers", EventKind::Failed).await;
            bench.expect("store/readers", EventKind::Restarted).await;
        }
        let (writer, readers) = (bench.node("store/writer").await, bench.node("store/readers").await);
        assert_eq!((writer.state, readers.state), (State::Running, State::Running));
        assert_eq!((writer.snapshot.failed, readers.snapshot.failed), (Some(5), Some(5)));
        assert!(bench.ended().is_empty(), "{:?}", bench.ended());
    });
}

#[test]
fn a_writer_that_has_ended_ends_the_process() {
    run(async {
        let mut bench = Bench::new().await;
        bench.running.take().unwrap().shutdown();
        bench.expect("store/writer", EventKind::GaveUp).await;
        assert_eq!(bench.ended(), ["the store's writer has ended"]);
    });
}
