//! Entries that come while others are embedded, that fail, and an indexer that is started anew.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Mutex;

use super::*;
use crate::domain::Embedding;
use crate::ports::store::StoreFuture;
use crate::ports::{Embeddable, EmbedderError};
use crate::services::Engine;
use crate::settings::{BatchSettings, FrontSettings, SupervisionSettings};
use crate::supervision::Front;
use crate::supervision::policy::Strategy;
use crate::testkit::{Harness, keeper};

/// Entries in memory: their texts, and which of them have a vector.
#[derive(Default)]
struct Shelf {
    entries: BTreeMap<i64, (String, bool)>,
    generation: i64,
    reads: usize,
    is_broken: bool,
}

#[derive(Default)]
struct Shelves(Mutex<Shelf>);

impl Shelves {
    fn with<T: Send + 'static>(&self, ask: impl FnOnce(&mut Shelf) -> T) -> StoreFuture<T> {
        let mut shelf = self.0.lock().unwrap();
        if shelf.is_broken {
            return Box::pin(ready(Err(StoreError::Unavailable("broken".into()))));
        }
        Box::pin(ready(Ok(ask(&mut shelf))))
    }

    fn add(&self, texts: impl IntoIterator<Item = String>) {
        let mut shelf = self.0.lock().unwrap();
        for text in texts {
            let row = shelf.entries.keys().last().map_or(1, |last| last + 1);
            shelf.entries.insert(row, (text, false));
            shelf.generation += 1;
        }
    }

    fn embedded(&self) -> usize {
        self.0.lock().unwrap().entries.values().filter(|(_, is_embedded)| *is_embedded).count()
    }
}

impl EntryVectors for Shelves {
    fn generation(&self) -> StoreFuture<i64> {
        self.with(|shelf| shelf.generation)
    }

    fn unembedded(&self, _: String, behind: i64, limit: usize) -> StoreFuture<Vec<Unembedded>> {
        self.with(|shelf| {
            shelf.reads += 1;
            let wanting = shelf.entries.range(behind + 1..).filter(|(_, (_, is_embedded))| !is_embedded);
            let found = wanting
                .map(|(row, (text, _))| Unembedded { row: *row, texts: vec![Embeddable::query(text)] });
            found.take(limit).collect()
        })
    }

    fn put_embedded(&self, _: String, embedded: Vec<Embedded>) -> StoreFuture<usize> {
        self.with(|shelf| {
            for one in &embedded {
                shelf.entries.get_mut(&one.row).unwrap().1 = true;
            }
            embedded.len()
        })
    }
}

/// An indexer of these shelves, which its timers keep alive to the end of the test; texts that begin with "bad" cannot be embedded.
fn start(shelves: &Arc<Shelves>) -> Addr<Indexer> {
    let limits = SupervisionSettings { breaker_failures: 1_000, ..SupervisionSettings::default() };
    let make = || {
        let batches = RefCell::new(0_usize);
        let engine = Engine::port(move |texts: Vec<Embeddable>| {
            *batches.borrow_mut() += 1;
            let is_bad = texts.iter().any(|text| text.text.starts_with("bad"));
            let vectors = texts.iter().map(|_| Some(Embedding::from(vec![1.0]))).collect();
            Box::pin(ready(if is_bad { Err(EmbedderError::Failed("bad".into())) } else { Ok(vectors) }))
        });
        let settings = BatchSettings {
            texts_max: 32,
            chars_max: 1_000,
            wait: Duration::from_millis(1),
            batches_max: 1,
            cache_max: 0,
        };
        EmbeddingService::start(engine, settings)
    };
    let front = FrontSettings { in_flight_max: 64, queue_max: 64, deadline_ms: 2_000 };
    let above = keeper("services/embedding", &limits, Strategy::MarkDown);
    let embedding = Front::start_with(make, front, &limits, &above);
    let keeper = keeper("services/indexer", &limits, Strategy::KeepTrying);
    let knowledge: Arc<dyn EntryVectors> = Arc::clone(shelves) as _;
    let parts = IndexerParts { knowledge, embedding, model: "m".into(), keeper: Rc::clone(&keeper) };
    let ctx = Context::new();
    let address = ctx.address();
    keeper.run(ctx, Indexer::new(Rc::new(parts)));
    address
}

fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("text {n}"))
}

#[test]
fn all_entries_are_embedded_and_new_ones_soon_after_they_came() {
    Harness::run(async |_| {
        let shelves = Arc::new(Shelves::default());
        shelves.add(texts(100));
        let indexer = start(&shelves);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(shelves.embedded(), 100);
        shelves.add(texts(3));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(shelves.embedded(), 103);
        let told = indexer.send(Inspect).await.unwrap();
        assert_eq!((told.handled, told.failed), (Some(103), Some(0)));
    });
}

#[test]
fn while_nothing_changes_no_entry_is_read() {
    Harness::run(async |_| {
        let shelves = Arc::new(Shelves::default());
        shelves.add(texts(40));
        let _indexer = start(&shelves);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let reads = shelves.0.lock().unwrap().reads;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(shelves.0.lock().unwrap().reads, reads);
    });
}

#[test]
fn an_entry_that_cannot_be_embedded_keeps_no_other_from_it_and_is_tried_again() {
    Harness::run(async |_| {
        let shelves = Arc::new(Shelves::default());
        shelves.add(texts(20).chain(["bad one".into()]).chain(texts(20)));
        let _indexer = start(&shelves);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(shelves.embedded(), 40);
        shelves.0.lock().unwrap().entries.get_mut(&21).unwrap().0 = "good by now".into();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(shelves.embedded(), 41);
    });
}

#[test]
fn an_entry_that_changes_behind_the_walk_is_embedded_too() {
    Harness::run(async |_| {
        let shelves = Arc::new(Shelves::default());
        shelves.add(texts(40));
        let _indexer = start(&shelves);
        while shelves.embedded() < 16 {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        // The second page is not read yet, and the first entry lies behind.
        shelves.0.lock().unwrap().entries.get_mut(&1).unwrap().1 = false;
        shelves.0.lock().unwrap().generation += 1;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(shelves.embedded(), 40);
    });
}

#[test]
fn a_service_that_is_away_is_asked_for_one_page_at_a_time_and_less_and_less_often() {
    Harness::run(async |_| {
        let shelves = Arc::new(Shelves::default());
        shelves.add((0..100).map(|n| format!("bad {n}")));
        let _indexer = start(&shelves);
        tokio::time::sleep(Duration::from_secs(300)).await;
        let reads = shelves.0.lock().unwrap().reads;
        assert!((6..12).contains(&reads), "{reads}");
    });
}

#[test]
fn entries_that_cannot_be_read_are_tried_again_and_so_is_everything_by_one_that_is_started_anew() {
    Harness::run(async |_| {
        let shelves = Arc::new(Shelves::default());
        shelves.add(texts(20));
        shelves.0.lock().unwrap().is_broken = true;
        let indexer = start(&shelves);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(shelves.embedded(), 0);
        shelves.0.lock().unwrap().is_broken = false;
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(shelves.embedded(), 20);
        // Nothing tells of it, so that only one that begins anew sees it.
        shelves.0.lock().unwrap().entries.get_mut(&7).unwrap().1 = false;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(shelves.embedded(), 19);
        let _ = indexer.send(Act(Action::Restart)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(shelves.embedded(), 20, "its value was made anew");
    });
}
