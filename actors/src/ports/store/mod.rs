//! The durable truth. Every write is a compare-and-set on (partition epoch, turn id, attempt) where an owner matters;
//! a future resolves only after its write is on disk.

mod audit;
mod handoff;
mod inbox;
mod journeys;
mod leftovers;
mod outbox;
mod turns;
mod views;

use std::time::Duration;

use thiserror::Error;

pub use audit::{Audit, AuditEntry, AuditView, SignedOut};
pub use handoff::{Handoff, OperatorReply};
pub use inbox::{Admission, Inbox, Overdue, Quarantined, Stored};
pub use journeys::{
    JourneyFilter, JourneyMessage, JourneyPage, JourneyPart, JourneyRow, JourneyView, Journeys, NearestEntry,
    UnansweredTurn,
};
pub use leftovers::{AmbiguousPart, Leftovers};
pub use outbox::{Mark, Outbox};
pub use turns::{CommitOutcome, CommitTurn, ConversationState, ReleaseTurn, StartOutcome, StartTurn, Turns};
pub use views::{
    ConversationView, DeadLetter, MessageView, QuarantineView, RecordView, ReplyView, TurnView, Views,
};

use super::PortFuture;

/// A limit of what may wait, by which a request can be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Messages that wait or are in a turn.
    Backlog,
    /// Memory of the process.
    Memory,
    /// Requests that wait for the writer.
    Queue,
    /// Bytes of the admissions among them.
    QueueBytes,
    /// Reads that wait for a thread.
    Reads,
}

impl Limit {
    /// Its name in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Memory => "memory",
            Self::Queue => "queue",
            Self::QueueBytes => "queue_bytes",
            Self::Reads => "reads",
        }
    }
}

/// Why the store did not do what it was asked to. Nothing of the request was written.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StoreError {
    /// Too much waits already.
    #[error("too much waits: the limit of {} is {limit}; try again later", by.name())]
    Overloaded {
        /// Which limit was met.
        by: Limit,
        /// Its value.
        limit: u64,
    },
    /// The database cannot be written or read now: disk full, locked by another process, IO error.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The request contradicts what is stored.
    #[error("the store refused the request: {0}")]
    Refused(String),
    /// Rows that belong to this one conversation, or to what was asked for, cannot be read. Asking again does not help.
    #[error("what is stored cannot be read: {0}; run `tertulia db check`")]
    Corrupt(String),
    /// The store's thread is gone; the process is ending.
    #[error("the store is closed")]
    Closed,
}

/// The future of a store's call.
pub type StoreFuture<T> = PortFuture<T, StoreError>;

/// The whole store.
pub trait Store: Inbox + Turns + Outbox + Views + Audit + Journeys + Leftovers + Handoff {
    /// Whether a message could be made durable now: writes and commits a probe through the same queue as messages.
    ///
    /// # Errors
    /// When it could not.
    fn probe(&self) -> StoreFuture<()>;

    /// How long a caller should wait after [`StoreError::Overloaded`] or [`StoreError::Unavailable`].
    fn retry_after(&self) -> Duration;
}
