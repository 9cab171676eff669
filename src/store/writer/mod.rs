//! The group-commit writer: one thread owns the connection that writes.
//!
//! While one transaction is in its fsync the next requests gather in the queue; they share the next commit. Each has a
//! savepoint of its own, so that one refusal, or one panic, fails alone. Only after the commit are callers answered and actors told.

mod acts;
mod admit;
mod commit;
mod handoff;
mod identity;
mod leftovers;
mod outbox;
mod queue;
mod set_aside;
mod stats;
mod statuses;
mod survival;
mod turns;
mod unit;

#[cfg(test)]
mod identity_tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tertulia_actors::domain::Books;
use tertulia_actors::failpoint;
use tertulia_actors::ports::{StoreError, Tells};
use thiserror::Error;
use tokio::sync::watch;

pub(super) use acts::{Change, Probe, Replay};
pub(super) use handoff::{HandBack, TakeOver};
pub(super) use leftovers::{DiscardAmbiguous, DiscardLetters, DiscardQuarantined, Resend};
pub(super) use outbox::Marks;
use queue::Load;
pub(super) use queue::{Gauges, Message, Queue, paused};
pub(super) use set_aside::SetAside;
pub use stats::WriterStats;
pub use unit::StoreDeps;
use unit::{Bounds, Effects, Job, Request, Unit};
#[cfg(test)]
pub(super) use unit::{Unit as TestUnit, Write};

use super::checkpoint::Restart;
use super::ledger::{self, Ledger};
use super::panics::PanicLog;
use super::settings::StoreSettings;

/// Where the writer says how it is.
pub(super) struct Publications {
    pub(super) books: watch::Sender<Books>,
    pub(super) stats: watch::Sender<WriterStats>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) panics: PanicLog,
    /// A hint to the checkpointing thread; one that waits already is enough.
    pub(super) committed: SyncSender<()>,
    /// What that thread asks for.
    pub(super) restart: Arc<Restart>,
}

/// The thread's state.
pub(super) struct Writer {
    settings: StoreSettings,
    conn: Connection,
    deps: StoreDeps,
    receiver: Receiver<Message>,
    tells: Box<dyn Tells>,
    out: Publications,
    /// None: it is read again in the next transaction.
    ledger: Option<Ledger>,
    /// The takeover by which this process owns the database.
    epoch: i64,
    next_probe: Option<Instant>,
    /// The group's transaction is on disk, and not everybody was told yet.
    written: Option<Written>,
    /// When the checkpointing thread heard of a commit.
    hinted: Option<Instant>,
}

/// How often the checkpointing thread hears of commits; much less than what it takes for idleness.
const HINT_EVERY: Duration = Duration::from_millis(10);

/// A transaction on disk.
#[derive(Clone, Copy)]
struct Written {
    requests: usize,
    rows: u64,
    took: Duration,
}

/// Why nothing of a group was written.
#[derive(Debug, Error)]
enum Fault {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error("another process has taken the database over: stop one of the two")]
    Fenced,
}

/// What a transaction left, once it is on disk.
struct Committed {
    effects: Effects,
    ledger: Ledger,
    /// Rows written or removed.
    rows: u64,
}

impl Writer {
    /// A writer on a connection whose ledger was just read.
    pub(super) fn new(
        settings: StoreSettings,
        conn: Connection,
        receiver: Receiver<Message>,
        (ledger, epoch): (Ledger, i64),
        (deps, tells): (StoreDeps, Box<dyn Tells>),
        out: Publications,
    ) -> Self {
        let ledger = Some(ledger);
        let (next_probe, written, hinted) = (None, None, None);
        Self { settings, conn, deps, receiver, tells, out, ledger, epoch, next_probe, written, hinted }
    }

    /// Works until it is told to stop or nobody can ask any more; everything queued until then is written. A panic does not
    /// end it. Gives the connection back for the last checkpoint.
    pub(super) fn run(mut self) -> Connection {
        let mut group = Vec::with_capacity(self.settings.commit_batch_max);
        let mut open = true;
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve(&mut group, &mut open))) {
            self.survive(&mut group, &*panic);
        }
        self.conn
    }

    /// Writes one group of what has gathered, on the thread of the caller; answers how many requests were in it.
    pub(super) fn serve_gathered(&mut self) -> usize {
        let mut group = Vec::new();
        // There is no word to stop: who serves like this stops by itself.
        self.gather(&mut group);
        let requests = group.len();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(&mut group))) {
            self.survive(&mut group, &*panic);
        }
        requests
    }

    fn serve(&mut self, group: &mut Vec<Box<dyn Job>>, open: &mut bool) {
        while *open || self.has_more(group) {
            if *open && group.is_empty() {
                *open = self.wait(group);
            }
            *open &= self.gather(group);
            self.work(group);
        }
    }

    /// Whether a request slipped into the queue after the word to stop.
    fn has_more(&self, group: &mut Vec<Box<dyn Job>>) -> bool {
        while group.is_empty() {
            match self.receiver.try_recv() {
                Ok(message) => drop(self.take(message, group)),
                Err(_) => return false,
            }
        }
        true
    }

    /// Waits for the first request of a group, or until it is time to probe; false when the queue is closed.
    fn wait(&self, group: &mut Vec<Box<dyn Job>>) -> bool {
        let message = match self.next_probe {
            None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => self.receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match message {
            Ok(message) => self.take(message, group),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Adds what has gathered by now; false when the word to stop was among it.
    fn gather(&self, group: &mut Vec<Box<dyn Job>>) -> bool {
        let mut open = true;
        while group.len() < self.settings.commit_batch_max {
            match self.receiver.try_recv() {
                Ok(message) => open &= self.take(message, group),
                Err(_) => break,
            }
        }
        open
    }

    fn take(&self, message: Message, group: &mut Vec<Box<dyn Job>>) -> bool {
        match message {
            Message::Write(job) => {
                self.out.gauges.left(Load::of(job.is_admission(), job.bytes()));
                group.push(job);
                true
            }
            Message::Stop => false,
        }
    }

    fn work(&mut self, group: &mut Vec<Box<dyn Job>>) {
        if let Some(at) = self.next_probe {
            self.refuse_admissions(group);
            if group.is_empty() && Instant::now() >= at {
                group.push(Box::new(Request::new(Probe).0));
            }
        }
        if !group.is_empty() {
            self.write(group);
        }
    }

    /// While the database cannot be written, admissions fail at once: their senders try again later.
    fn refuse_admissions(&self, group: &mut Vec<Box<dyn Job>>) {
        let reason = self.out.stats.borrow().last_error.clone().unwrap_or_default();
        for job in group.extract_if(.., |job| job.is_admission()) {
            job.fail(StoreError::Unavailable(reason.clone()));
        }
    }

    /// Writes a group in one transaction.
    fn write(&mut self, group: &mut Vec<Box<dyn Job>>) {
        let began = Instant::now();
        self.out.gauges.set_in_commit(group.len());
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transact(group)));
        match outcome {
            Ok(Ok(committed)) => self.committed(group, committed, began.elapsed()),
            Ok(Err(error)) => {
                self.recover_connection();
                self.ledger = None;
                self.failed(group, &error.to_string());
            }
            Err(panic) => {
                self.recover_connection();
                self.ledger = None;
                self.panicked(group);
                self.out.panics.caught(&*panic);
            }
        }
        self.out.gauges.set_in_commit(0);
    }

    /// # Errors
    /// When the database is at fault, or belongs to somebody else by now; the transaction may still be open.
    fn transact(&self, group: &mut [Box<dyn Job>]) -> Result<Committed, Fault> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let rows_before = self.conn.total_changes();
        let bounds = Bounds {
            quarantine: self.settings.quarantine_max,
            quarantine_bytes: self.settings.quarantine_bytes,
            early_statuses: self.settings.early_statuses_max,
        };
        let mut unit = Unit::new(&self.conn, &self.deps, bounds);
        for job in group {
            if let Some(panic) = unit.apply(job.as_mut())? {
                tracing::error!("a write panicked, and fails alone");
                self.out.stats.send_modify(|stats| stats.panics += 1);
                self.out.panics.caught(&*panic);
            }
        }
        let before = self.ledger.map_or_else(|| ledger::load(&self.conn), Ok)?;
        let ledger = before.after(&unit.effects.entry, unit.tick);
        if !ledger::save(&self.conn, &ledger, self.epoch)? {
            return Err(Fault::Fenced);
        }
        failpoint!("store.before_commit");
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        let rows = self.conn.total_changes() - rows_before;
        Ok(Committed { effects: unit.effects, ledger, rows })
    }

    /// The transaction is on disk: answer, tell, publish.
    fn committed(&mut self, group: &mut Vec<Box<dyn Job>>, committed: Committed, took: Duration) {
        let written = Written { requests: group.len(), rows: committed.rows, took };
        self.written = Some(written);
        // Durable, and nobody knows yet.
        failpoint!("store.committed");
        self.ledger = Some(committed.ledger);
        self.is_well();
        // One by one, so that those behind a panic are still there to be answered.
        group.reverse();
        while let Some(job) = group.pop() {
            job.finish();
        }
        for admitted in committed.effects.admitted {
            self.tells.admitted(admitted);
        }
        for conversation in committed.effects.changed {
            self.tells.changed(conversation);
        }
        self.out.books.send_replace(committed.ledger.books);
        self.out.stats.send_modify(|stats| stats.committed(written, &committed.ledger));
        self.written = None;
        self.hint_at_checkpoint();
        self.restart_log();
    }

    /// Tells the checkpointing thread that the log grew. Not at each commit: it would wake only to go back to sleep. What is
    /// committed after the last hint is copied once nobody writes.
    fn hint_at_checkpoint(&mut self) {
        if self.hinted.is_none_or(|hinted| hinted.elapsed() >= HINT_EVERY) {
            self.hinted = Some(Instant::now());
            // Full means that the thread is awake already; gone means that the process ends.
            let _ = self.out.committed.try_send(());
        }
    }

    /// Lets the log start over, where it is long: everybody in the last commit is answered, and the next one has not begun.
    fn restart_log(&self) {
        if !self.out.restart.is_wanted() {
            return;
        }
        // It waits for the disk as a commit does, and is watched like one.
        self.out.gauges.set_in_commit(1);
        match self.out.restart.carry_out(&self.conn, self.settings.busy_timeout()) {
            Ok(pages) => self.out.gauges.set_wal_pages(pages),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not start over; trying again"),
        }
        self.out.gauges.set_in_commit(0);
    }

    /// The last transaction is on disk.
    fn is_well(&mut self) {
        if self.next_probe.take().is_some() {
            tracing::info!("the database can be written again");
        }
        self.out.gauges.set_healthy(true);
    }

    /// Nothing of the group was written.
    fn failed(&mut self, group: &mut Vec<Box<dyn Job>>, reason: &str) {
        if self.next_probe.is_none() {
            tracing::error!(reason, "the database cannot be written; admissions are refused until it can");
        }
        self.next_probe = Some(Instant::now() + self.settings.probe());
        self.out.gauges.set_healthy(false);
        self.out.stats.send_modify(|stats| stats.failed(reason));
        for job in group.drain(..) {
            job.fail(StoreError::Unavailable(reason.to_owned()));
        }
    }

    /// Something in the group is a fault in this program and could not be taken back alone; the next group is written as if
    /// nothing had been.
    fn panicked(&mut self, group: &mut Vec<Box<dyn Job>>) {
        const REASON: &str = "a request of the same commit panicked";
        tracing::error!(requests = group.len(), "a commit panicked; its group was rolled back");
        self.out.stats.send_modify(|stats| stats.panicked(REASON));
        for job in group.drain(..) {
            job.fail(StoreError::Unavailable(REASON.to_owned()));
        }
    }
}
