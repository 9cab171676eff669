//! A graph of the vectors, by which the nearest of very many are found without comparing all of them. It finds most of the nearest,
//! not all.
//!
//! It is usearch's (HNSW; <https://unum-cloud.github.io/USearch>), made by a thread beside the search from the vectors as they are
//! then, and is not changed any more: what changes later is compared one by one, until it is much enough for a new graph.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Instant;

use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

/// A vector, and the row that it is of.
pub(super) type Vector = (i64, Arc<[f32]>);

/// The share of all vectors that may have changed before a new graph is made: one in so many.
const CHANGED_SHARE: usize = 10;

/// Vectors that a search keeps in view, four times as many as by the library's default: what it finds is compared exactly.
const EXPANSION_SEARCH: usize = 256;

/// The graph, or what there is of it.
#[derive(Default)]
pub(super) struct Graph {
    made: Option<Made>,
    making: Option<Making>,
    /// Rows that changed since the graph that is made, or being made, was begun.
    changed: HashSet<i64>,
    /// Those of them that changed before the one that is being made was begun.
    older: HashSet<i64>,
    /// It could not be made, which is not tried again.
    is_impossible: bool,
}

struct Made {
    index: Index,
    /// By key.
    rows: Vec<i64>,
}

struct Making {
    made: Receiver<Option<Made>>,
    /// Set when nobody waits for it any more.
    is_over: Arc<AtomicBool>,
}

impl Drop for Making {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Graph {
    /// The vectors of a row have changed, or are gone.
    pub(super) fn changed(&mut self, row: i64) {
        if self.is_begun() {
            self.changed.insert(row);
        }
    }

    /// Takes a graph that was made meanwhile, and has one made where there is none, or too much has changed.
    pub(super) fn refresh(&mut self, all: usize, vectors: impl FnOnce() -> Vec<Vector>) {
        match self.making.as_ref().map(|making| making.made.try_recv()) {
            Some(Ok(Some(made))) => {
                (self.made, self.making) = (Some(made), None);
                self.older.clear();
            }
            Some(Ok(None) | Err(TryRecvError::Disconnected)) => {
                tracing::warn!("no graph of the vectors could be made: all of them are compared");
                *self = Self { is_impossible: true, ..Self::default() };
            }
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        let is_due = self.made.is_none() || self.changed.len() > all / CHANGED_SHARE;
        if is_due && self.making.is_none() && !self.is_impossible {
            self.older.extend(self.changed.drain());
            self.making = make(vectors());
            self.is_impossible = self.making.is_none();
        }
    }

    /// Whether there is one, or will be.
    pub(super) const fn is_begun(&self) -> bool {
        self.made.is_some() || self.making.is_some()
    }

    /// The admitted rows that seem the nearest of `count` vectors, and all that have changed; none where there is no graph, or where
    /// the nearest vectors are of fewer rows than `rows_min`.
    pub(super) fn candidates(
        &self,
        vector: &[f32],
        (count, rows_min): (usize, usize),
        admits: impl Fn(i64) -> bool,
    ) -> Option<HashSet<i64>> {
        let Made { index, rows } = self.made.as_ref()?;
        let row = |key: u64| usize::try_from(key).ok().and_then(|key| rows.get(key)).copied();
        let has_changed = |row: &i64| self.changed.contains(row) || self.older.contains(row);
        let is_meant = |key| row(key).is_some_and(|row| !has_changed(&row) && admits(row));
        let found = match index.filtered_search(vector, count, is_meant) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the graph of the vectors cannot be searched: all of them are compared");
                return None;
            }
        };
        let mut near: HashSet<i64> = found.keys.into_iter().filter_map(row).collect();
        if near.len() < rows_min {
            return None;
        }
        near.extend(self.changed.union(&self.older).copied().filter(|row| admits(*row)));
        Some(near)
    }

    /// Waits for the graph that is being made.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        if let Some(making) = self.making.take() {
            self.made = making.made.recv().ok().flatten();
            self.older.clear();
        }
    }
}

/// Has a graph made of vectors; none where there is no thread for it.
fn make(vectors: Vec<Vector>) -> Option<Making> {
    let (done, made) = sync_channel(1);
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let work = move || {
        let started = Instant::now();
        let made = build(&vectors, &over);
        match &made {
            Ok(Some(_)) => {
                let (vectors, took_s) = (vectors.len(), started.elapsed().as_secs());
                tracing::info!(vectors, took_s, "a graph of the vectors is made");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "no graph of the vectors"),
        }
        // Nobody waits for it where the search has ended.
        drop(done.send(made.ok().flatten()));
    };
    thread::Builder::new().name("vector-graph".into()).spawn(work).ok()?;
    Some(Making { made, is_over })
}

/// The graph of vectors; none where it is not wanted any more.
fn build(vectors: &[Vector], is_over: &AtomicBool) -> Result<Option<Made>, Box<dyn std::error::Error>> {
    let options = IndexOptions {
        dimensions: vectors.first().map_or(0, |(_, vector)| vector.len()),
        metric: MetricKind::Cos,
        quantization: ScalarKind::I8,
        expansion_search: EXPANSION_SEARCH,
        ..IndexOptions::default()
    };
    let index = Index::new(&options)?;
    index.reserve(vectors.len())?;
    for (key, (_, vector)) in (0..).zip(vectors) {
        if is_over.load(Ordering::Relaxed) {
            return Ok(None);
        }
        index.add(key, vector)?;
    }
    Ok(Some(Made { index, rows: vectors.iter().map(|(row, _)| *row).collect() }))
}
