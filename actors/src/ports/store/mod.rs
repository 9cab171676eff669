//! The durable truth. Every write is a compare-and-set on (partition epoch, turn id, attempt) where an owner matters;
//! a future resolves only after its write is on disk.

mod inbox;
mod outbox;
mod turns;
mod views;

use std::time::Duration;

use thiserror::Error;

pub use inbox::{Admission, Inbox, Overdue, Quarantined, Stored};
pub use outbox::{Mark, Outbox};
pub use turns::{CommitOutcome, CommitTurn, ConversationState, ReleaseTurn, StartOutcome, StartTurn, Turns};
pub use views::{
    ConversationView, DeadLetter, MessageView, QuarantineView, RecordView, ReplyView, TurnView, Views,
};

use super::PortFuture;

/// Why the store did not do what it was asked to. Nothing of the request was written.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StoreError {
    /// The writer's or readers' queue is full.
    #[error("the store's queue is full ({limit} requests); try again later")]
    Overloaded {
        /// The limit that was met.
        limit: usize,
    },
    /// The database cannot be written or read now: disk full, locked by another process, IO error.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The request contradicts what is stored.
    #[error("the store refused the request: {0}")]
    Refused(String),
    /// The store's thread is gone; the process is ending.
    #[error("the store is closed")]
    Closed,
}

/// The future of a store's call.
pub type StoreFuture<T> = PortFuture<T, StoreError>;

/// The whole store.
pub trait Store: Inbox + Turns + Outbox + Views {
    /// Whether a message could be made durable now: writes and commits a probe through the same queue as messages.
    ///
    /// # Errors
    /// When it could not.
    fn probe(&self) -> StoreFuture<()>;

    /// How long a caller should wait after [`StoreError::Overloaded`] or [`StoreError::Unavailable`].
    fn retry_after(&self) -> Duration;
}
