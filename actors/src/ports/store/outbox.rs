//! Parts of replies on their way out.

use super::StoreFuture;
use crate::domain::{ConversationId, OutboxPart, PartId, Recipient, Tick, Timestamp};

/// One step of a part, compare-and-set on its attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mark {
    /// `pending -> sending`; `attempt` is the number of this send. Refused when an earlier part of the conversation is
    /// still under way, and when the part goes to somebody else by now: numbers are given to other people.
    Sending {
        /// The part.
        part: PartId,
        /// The attempt it begins.
        attempt: u32,
        /// Where the sender is about to send it.
        recipient: Recipient,
    },
    /// `sending -> sent`. Changes only the provider's id where a status was faster.
    Sent {
        /// The part.
        part: PartId,
        /// The attempt that ended.
        attempt: u32,
        /// The provider's id.
        provider_id: String,
        /// When the send began.
        began: Timestamp,
        /// When it was accepted.
        at: Timestamp,
    },
    /// `sending -> pending`: it surely was not accepted and is sent again.
    Retry {
        /// The part.
        part: PartId,
        /// The attempt that ended.
        attempt: u32,
        /// When it may be sent again.
        not_before: Tick,
        /// Why.
        error: String,
    },
    /// `sending -> failed`; later parts of the same reply are cancelled with it.
    Failed {
        /// The part.
        part: PartId,
        /// The attempt that ended.
        attempt: u32,
        /// Why.
        error: String,
    },
    /// `sending -> ambiguous`; later parts of the conversation wait until `hold_until`.
    Ambiguous {
        /// The part.
        part: PartId,
        /// The attempt that ended.
        attempt: u32,
        /// The end of the hold.
        hold_until: Tick,
        /// Why.
        error: String,
    },
}

/// The durable outbox.
pub trait Outbox: Send + Sync + 'static {
    /// Makes marks in one transaction; answers, in order, whether each applied.
    fn mark_parts(&self, marks: Vec<Mark>) -> StoreFuture<Vec<bool>>;

    /// The first parts of a conversation that have not ended, in order: pending and sending ones, and ambiguous ones
    /// whose hold has not passed at `now`.
    fn load_lane(
        &self,
        conversation: ConversationId,
        now: Tick,
        limit: usize,
    ) -> StoreFuture<Vec<OutboxPart>>;

    /// Conversations with a pending part that may be sent at `until`, after the cursor; at most `limit`, ordered by id.
    fn due_lanes(
        &self,
        until: Tick,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationId>>;

    /// Conversations with a part that is marked as being sent; at most `limit`.
    fn sending_lanes(&self, limit: usize) -> StoreFuture<Vec<ConversationId>>;
}
