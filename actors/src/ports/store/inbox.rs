//! Admission, and finding what waits.

use super::StoreFuture;
use crate::domain::{Account, Channel, ConversationId, InboundMessage, StatusUpdate, Tick, Timestamp};

/// A body, or a part of one, that was signed but not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The channel it came by.
    pub channel: Channel,
    /// What was not understood.
    pub reason: String,
    /// The raw body.
    pub body: Vec<u8>,
    /// When it was complete.
    pub received_at: Timestamp,
}

/// Everything one webhook brought. It is stored whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Admission {
    /// The messages, in the order of the payload.
    pub messages: Vec<InboundMessage>,
    /// Delivery statuses.
    pub statuses: Vec<StatusUpdate>,
    /// What was not understood.
    pub quarantined: Vec<Quarantined>,
}

/// What became of one message of an [`Admission`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Whose conversation.
    pub conversation: ConversationId,
    /// Whether it had been stored before; then nothing was written.
    pub duplicate: bool,
}

/// A conversation whose stored deadline has passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Overdue {
    /// The deadline.
    pub wake_at: Tick,
    /// Whose.
    pub conversation: ConversationId,
    /// The number of its last message, so that its actor sees a gap.
    pub last_seq: u64,
}

/// The durable inbox.
pub trait Inbox: Send + Sync + 'static {
    /// Stores a webhook's content in one transaction, duplicates left out, and answers after the commit, in the order of
    /// the messages.
    ///
    /// Identity is resolved inside the transaction: aliases are scoped by account, a BSUID outranks a phone number.
    ///
    /// # Errors
    /// Nothing was written when it fails.
    fn admit(&self, admission: Admission) -> StoreFuture<Vec<Stored>>;

    /// The conversation of a person, if they ever wrote: by handle, on one account.
    fn find_conversation(&self, account: Account, handle: String) -> StoreFuture<Option<ConversationId>>;

    /// Conversations with pending messages whose deadline is at or before `until`, ordered by deadline and id, after
    /// the cursor `after`; at most `limit`.
    fn overdue(
        &self,
        until: Tick,
        after: Option<(Tick, ConversationId)>,
        limit: usize,
    ) -> StoreFuture<Vec<Overdue>>;
}
