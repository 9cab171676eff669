//! The way to the writer: a bounded queue in which admissions leave room for turns and replies.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::{Limit, StoreFuture};
use tokio::sync::Notify;

use super::super::error::overloaded;
use super::super::settings::StoreSettings;
use super::unit::{Job, Request, Write};

/// What waits for the writer.
pub(in crate::store) enum Message {
    /// Something to write.
    Write(Box<dyn Job>),
    /// Write what is queued, then end.
    Stop,
}

/// Figures that change too often, or in too many places, to be published.
#[derive(Default)]
pub(in crate::store) struct Gauges {
    queued: AtomicUsize,
    admissions: AtomicUsize,
    /// Bytes of the admissions in the queue.
    admission_bytes: AtomicUsize,
    failing: AtomicBool,
    /// An operator asked that nothing new is admitted.
    paused: AtomicBool,
    /// Requests in the transaction that is being written; 1 while the log starts over.
    in_commit: AtomicUsize,
    /// When that began.
    commit_began: Mutex<Option<Instant>>,
    wal_pages: AtomicU64,
}

impl Gauges {
    /// Requests that wait for the writer.
    pub(in crate::store) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether the last write succeeded.
    pub(in crate::store) fn is_healthy(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    /// Notes whether the last write succeeded.
    pub(super) fn set_healthy(&self, healthy: bool) {
        self.failing.store(!healthy, Ordering::Relaxed);
    }

    /// Whether an operator asked that nothing new is admitted.
    pub(in crate::store) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Notes what an operator asked for.
    pub(in crate::store) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Requests in the transaction that is being written.
    pub(in crate::store) fn in_commit(&self) -> usize {
        self.in_commit.load(Ordering::Relaxed)
    }

    /// Notes how many there are, from now on.
    pub(super) fn set_in_commit(&self, requests: usize) {
        self.in_commit.store(requests, Ordering::Relaxed);
        *self.commit_began() = (requests > 0).then(Instant::now);
    }

    /// How long the transaction that is being written has taken so far; none between two of them.
    pub(in crate::store) fn in_commit_for(&self) -> Option<Duration> {
        self.commit_began().map(|began| began.elapsed())
    }

    /// Held for a moment only, in which nothing panics.
    fn commit_began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.commit_began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pages in the write-ahead log, as it was last seen.
    pub(in crate::store) fn wal_pages(&self) -> u64 {
        self.wal_pages.load(Ordering::Relaxed)
    }

    /// Notes the length of the write-ahead log.
    pub(in crate::store) fn set_wal_pages(&self, pages: u64) {
        self.wal_pages.store(pages, Ordering::Relaxed);
    }

    /// A request left the queue.
    pub(super) fn left(&self, load: Load) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.admissions.fetch_sub(load.admissions, Ordering::Relaxed);
        self.admission_bytes.fetch_sub(load.bytes, Ordering::Relaxed);
    }

    /// Takes places in the queue, unless one of the limits is reached. An admission of any size finds room in a queue without
    /// bytes.
    fn enter(&self, load: Load, max: usize, bytes_max: usize) -> Result<(), Limit> {
        let free = |taken: usize| (load.admissions == 0 || taken < max).then_some(taken + load.admissions);
        let fits = |taken: usize| {
            (load.bytes == 0 || taken == 0 || taken + load.bytes <= bytes_max).then_some(taken + load.bytes)
        };
        if self.admissions.try_update(Ordering::Relaxed, Ordering::Relaxed, free).is_err() {
            return Err(Limit::Queue);
        }
        if self.admission_bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            self.admissions.fetch_sub(load.admissions, Ordering::Relaxed);
            return Err(Limit::QueueBytes);
        }
        self.queued.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// What a request takes of the places for admissions.
#[derive(Clone, Copy)]
pub(super) struct Load {
    admissions: usize,
    bytes: usize,
}

impl Load {
    /// Of a request of this kind and size; only admissions are limited.
    pub(super) fn of(is_admission: bool, bytes: usize) -> Self {
        Self { admissions: usize::from(is_admission), bytes: if is_admission { bytes } else { 0 } }
    }
}

/// The sending end.
pub(in crate::store) struct Queue {
    sender: SyncSender<Message>,
    gauges: Arc<Gauges>,
    queue_max: usize,
    admission_queue_max: usize,
    admission_queue_bytes: usize,
    /// Rung when something is queued, where no thread waits at the other end.
    bell: Option<Arc<Notify>>,
}

impl Queue {
    /// A queue with the bounds of the settings.
    pub(in crate::store) fn new(settings: &StoreSettings, gauges: Arc<Gauges>) -> (Self, Receiver<Message>) {
        let (sender, receiver) = sync_channel(settings.queue_max);
        let queue = Self {
            sender,
            gauges,
            queue_max: settings.queue_max,
            admission_queue_max: settings.admission_queue_max,
            admission_queue_bytes: settings.admission_queue_bytes,
            bell: None,
        };
        (queue, receiver)
    }

    /// The same, and `bell` is rung whenever something is queued.
    pub(in crate::store) fn ringing(self, bell: Arc<Notify>) -> Self {
        Self { bell: Some(bell), ..self }
    }

    /// Queues a write at once; the future only waits for its answer, so that dropping it cancels nothing.
    pub(in crate::store) fn write<W: Write>(&self, write: W) -> StoreFuture<W::Answer> {
        if W::ADMISSION && !self.gauges.is_healthy() {
            return refused(StoreError::Unavailable(
                "the last write failed; waiting for the next probe".into(),
            ));
        }
        if W::ADMISSION && self.gauges.is_paused() {
            return refused(paused());
        }
        let load = Load::of(W::ADMISSION, write.bytes());
        if let Err(by) = self.gauges.enter(load, self.admission_queue_max, self.admission_queue_bytes) {
            let bytes = by == Limit::QueueBytes;
            let limit = if bytes { self.admission_queue_bytes } else { self.admission_queue_max };
            return refused(overloaded(by, limit));
        }
        let (request, answer) = Request::new(write);
        if let Err(error) = self.sender.try_send(Message::Write(Box::new(request))) {
            self.gauges.left(load);
            return refused(match error {
                TrySendError::Full(_) => overloaded(Limit::Queue, self.queue_max),
                TrySendError::Disconnected(_) => StoreError::Closed,
            });
        }
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// Asks the writer to end after what is queued.
    pub(in crate::store) fn stop(&self) {
        // The writer is gone already when this fails.
        let _ = self.sender.send(Message::Stop);
    }
}

/// Nothing new is admitted.
pub(in crate::store) fn paused() -> StoreError {
    StoreError::Unavailable("an operator has paused admissions".into())
}

fn refused<T: Send + 'static>(error: StoreError) -> StoreFuture<T> {
    Box::pin(std::future::ready(Err(error)))
}
