//! The group that is being written: one transaction, and what follows from it after its commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tertulia_actors::domain::{ConversationId, Tick, Timestamp};
use tertulia_actors::ports::{Admitted, Clock, Entropy};
use tokio::sync::oneshot;

use super::super::error::WriteError;
use super::super::ledger::Entry;
use super::set_aside::set_aside;
use tertulia_actors::ports::StoreError;

/// What the writer needs from outside.
#[derive(Clone)]
pub struct StoreDeps {
    /// Both timelines.
    pub clock: Arc<dyn Clock>,
    /// Ids of new conversations.
    pub entropy: Arc<dyn Entropy>,
    /// How long after its first message the sweep looks after a conversation: `conversation.quiet_ms`.
    pub quiet: Duration,
}

/// The bounds that requests keep.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Bounds {
    pub(in crate::store) quarantine: u32,
    pub(in crate::store) quarantine_bytes: u64,
    pub(in crate::store) early_statuses: u32,
}

/// What follows from a request once it is committed.
#[derive(Default)]
pub(in crate::store) struct Effects {
    /// Changes of the ledger.
    pub(in crate::store) entry: Entry,
    /// Messages to tell of.
    pub(in crate::store) admitted: Vec<Admitted>,
    /// Conversations to tell of.
    pub(in crate::store) changed: Vec<ConversationId>,
}

/// A place in the effects to go back to.
struct Mark {
    entry: Entry,
    admitted: usize,
    changed: usize,
}

impl Effects {
    fn mark(&self) -> Mark {
        Mark { entry: self.entry, admitted: self.admitted.len(), changed: self.changed.len() }
    }

    fn go_back(&mut self, mark: &Mark) {
        self.entry = mark.entry;
        self.admitted.truncate(mark.admitted);
        self.changed.truncate(mark.changed);
    }
}

/// What a request panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

/// The transaction as a request sees it.
pub(in crate::store) struct Unit<'a> {
    /// The connection, inside the transaction.
    pub(in crate::store) conn: &'a Connection,
    /// What comes from outside.
    pub(in crate::store) deps: &'a StoreDeps,
    /// The bounds to keep.
    pub(in crate::store) bounds: Bounds,
    /// Now, on the wall.
    pub(in crate::store) now: Timestamp,
    /// Now, on the steady timeline.
    pub(in crate::store) tick: Tick,
    /// What follows after the commit.
    pub(in crate::store) effects: Effects,
    undo: bool,
}

impl<'a> Unit<'a> {
    /// A unit of work on a connection that is inside a transaction.
    pub(in crate::store) fn new(conn: &'a Connection, deps: &'a StoreDeps, bounds: Bounds) -> Self {
        let (now, tick) = (deps.clock.now(), deps.clock.tick());
        Self { conn, deps, bounds, now, tick, effects: Effects::default(), undo: false }
    }

    /// Takes back what the current request wrote, while its answer stands: it was refused by a compare-and-set.
    pub(in crate::store) fn undo(&mut self) {
        self.undo = true;
    }

    /// Applies a request within a savepoint of its own. One that panics is taken back and refused like any other; what it
    /// panicked with is given back.
    ///
    /// # Errors
    /// Only when the database itself is at fault; a refusal is the job's own outcome.
    ///
    /// # Panics
    /// Where the request has panicked and cannot be taken back alone.
    pub(in crate::store) fn apply(&mut self, job: &mut dyn Job) -> rusqlite::Result<Option<Panic>> {
        let mark = self.effects.mark();
        self.undo = false;
        self.run("SAVEPOINT request")?;
        // Of a job that panicked nothing is used any more but the way to its caller.
        let outcome = match catch_unwind(AssertUnwindSafe(|| job.apply(self))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                if self.take_back(&mark).and_then(|()| self.run("RELEASE request")).is_err() {
                    resume_unwind(panic);
                }
                job.refuse(StoreError::Unavailable("the write panicked".into()));
                return Ok(Some(panic));
            }
        };
        match outcome {
            Ok(()) if !self.undo => {}
            Ok(()) => self.take_back(&mark)?,
            Err(WriteError::Refused(reason)) => {
                self.take_back(&mark)?;
                job.refuse(StoreError::Refused(reason));
            }
            Err(WriteError::Corrupt(reason)) => {
                self.take_back(&mark)?;
                if let Some(conversation) = job.conversation() {
                    set_aside(self, &conversation.to_string(), &reason)?;
                }
                job.refuse(StoreError::Corrupt(reason));
            }
            Err(WriteError::Database(error)) => return Err(error),
        }
        self.run("RELEASE request").map(|()| None)
    }

    fn take_back(&mut self, mark: &Mark) -> rusqlite::Result<()> {
        self.effects.go_back(mark);
        self.run("ROLLBACK TO request")
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// Something to be written.
pub(in crate::store) trait Write: Send + 'static {
    /// What its caller learns.
    type Answer: Send;

    /// Whether it is an admission, for which there is a limit of its own and no place while the writer is failing.
    const ADMISSION: bool = false;

    /// What it holds of the outside world, in bytes; counted for admissions, which anybody can make large.
    fn bytes(&self) -> usize {
        0
    }

    /// The conversation whose rows it needs; it is set aside where they cannot be read.
    fn conversation(&self) -> Option<ConversationId> {
        None
    }

    /// Writes it. May move parts of itself into the effects.
    ///
    /// # Errors
    /// Everything it wrote is taken back.
    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError>;
}

/// A [`Write`] in the queue, with its type forgotten.
pub(in crate::store) trait Job: Send {
    /// See [`Write::ADMISSION`].
    fn is_admission(&self) -> bool;

    /// See [`Write::bytes`].
    fn bytes(&self) -> usize;

    /// See [`Write::conversation`].
    fn conversation(&self) -> Option<ConversationId>;

    /// Writes it, and keeps the answer until the commit.
    ///
    /// # Errors
    /// See [`Write::apply`].
    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), WriteError>;

    /// Sets the answer to a refusal.
    fn refuse(&mut self, error: StoreError);

    /// Gives the kept answer, after the commit.
    fn finish(self: Box<Self>);

    /// Answers that nothing was written.
    fn fail(self: Box<Self>, error: StoreError);
}

/// A request with the way back to its caller.
pub(in crate::store) struct Request<W: Write> {
    write: W,
    outcome: Option<Result<W::Answer, StoreError>>,
    answer: oneshot::Sender<Result<W::Answer, StoreError>>,
}

impl<W: Write> Request<W> {
    /// A request, and where its answer arrives.
    pub(in crate::store) fn new(write: W) -> (Self, oneshot::Receiver<Result<W::Answer, StoreError>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { write, outcome: None, answer }, receiver)
    }
}

impl<W: Write> Job for Request<W> {
    fn is_admission(&self) -> bool {
        W::ADMISSION
    }

    fn bytes(&self) -> usize {
        self.write.bytes()
    }

    fn conversation(&self) -> Option<ConversationId> {
        self.write.conversation()
    }

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), WriteError> {
        self.outcome = Some(Ok(self.write.apply(unit)?));
        Ok(())
    }

    fn refuse(&mut self, error: StoreError) {
        self.outcome = Some(Err(error));
    }

    fn finish(self: Box<Self>) {
        let outcome = self.outcome.unwrap_or(Err(StoreError::Closed));
        // The caller may be gone: a client that disconnected. What it asked for is written all the same.
        let _ = self.answer.send(outcome);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error));
    }
}
