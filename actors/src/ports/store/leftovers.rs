//! What went wrong and waits for people to settle it.

use schemars::JsonSchema;
use serde::Serialize;

use super::StoreFuture;
use crate::domain::{Channel, ConversationId, PartId, Timestamp, TurnId};

/// A part of a reply of which nobody knows whether it arrived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AmbiguousPart {
    /// Its place among all parts.
    pub position: i64,
    /// Its id.
    pub id: PartId,
    /// Whose.
    pub conversation: ConversationId,
    /// Its turn.
    pub turn: TurnId,
    /// The channel it went to.
    pub channel: Channel,
    /// Its text.
    pub text: String,
    /// How often it was sent.
    pub attempt: u32,
    /// Why nobody knows.
    pub error: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// What people do with it. Each names its subjects; one that is not there, or is something else by now, refuses the whole request, and
/// nothing is written.
pub trait Leftovers: Send + Sync + 'static {
    /// Lets dead-lettered messages end as suppressed, with the reason.
    fn discard_dead_letters(&self, ids: Vec<i64>, reason: String) -> StoreFuture<usize>;

    /// Removes quarantined bodies.
    fn discard_quarantined(&self, ids: Vec<i64>) -> StoreFuture<usize>;

    /// A quarantined body as it came, with the channel it came from; none if it is not there.
    fn quarantined_body(&self, id: i64) -> StoreFuture<Option<(Channel, Vec<u8>)>>;

    /// Ambiguous parts behind the place `after`, in order; at most `limit`.
    fn ambiguous(&self, after: i64, limit: usize) -> StoreFuture<Vec<AmbiguousPart>>;

    /// Sends ambiguous parts again, named by their places. Whoever got one already gets it twice.
    fn resend(&self, positions: Vec<i64>) -> StoreFuture<usize>;

    /// Gives ambiguous parts up as failed, with the reason.
    fn discard_ambiguous(&self, positions: Vec<i64>, reason: String) -> StoreFuture<usize>;
}
