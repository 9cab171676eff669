//! A conversation's turns.

use super::{ReplyView, StoreFuture};
use crate::domain::{
    Account, Class, ConversationId, Disposition, Epoch, HistoryItem, Journey, Language, OpenTurn, OutboxPart,
    PendingMessage, Record, ReplyPart, Tick, Timestamp, TurnId,
};

/// What a conversation's actor needs to know when it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversationState {
    /// The account the person writes to.
    pub account: Account,
    /// The number of the last message stored.
    pub last_seq: u64,
    /// When the last turn ended.
    pub previous_end: Option<Tick>,
    /// The language of the last turn.
    pub language: Option<Language>,
    /// A turn that was started and has not ended.
    pub open_turn: Option<OpenTurn>,
    /// The first pending messages outside the open turn, in order of receipt.
    pub pending: Vec<PendingMessage>,
    /// Whether there are more pending messages than `pending` holds.
    pub more: bool,
}

/// Marks the start of a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartTurn {
    /// Whose.
    pub conversation: ConversationId,
    /// The epoch of the owner.
    pub epoch: Epoch,
    /// The turn.
    pub turn: TurnId,
    /// The attempt this start makes: 1 creates the turn, n + 1 follows attempt n.
    pub attempt: u32,
    /// The numbers of its messages. Fixed by the first start; ignored by later ones.
    pub seqs: Vec<u64>,
    /// The last message the actor knows of.
    pub known_seq: u64,
    /// When the batch closed; none when it was full. A message after `known_seq` that was received before this refuses
    /// the start, so that no burst is split because the server was slow.
    pub closes_at: Option<Tick>,
    /// Now.
    pub at: Timestamp,
}

/// What became of a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartOutcome {
    /// It is durable; calls may leave the process.
    Started,
    /// It is durable, and somebody has taken the conversation over: it ends without an answer.
    Quiet,
    /// A message that belongs to the batch is stored already; load and decide again.
    Newer,
    /// Another owner or attempt was faster; load and decide again.
    Fenced,
}

/// Ends a turn: records, flags, journey, reply, consumed messages and outbox rows, in one transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct CommitTurn {
    /// Whose.
    pub conversation: ConversationId,
    /// The epoch of the owner.
    pub epoch: Epoch,
    /// The turn.
    pub turn: TurnId,
    /// The attempt that commits.
    pub attempt: u32,
    /// How its messages end.
    pub disposition: Disposition,
    /// The reply's parts, in order.
    pub parts: Vec<ReplyPart>,
    /// Whether the first part is marked as being sent by this very commit: the caller holds a permit for it.
    pub first_is_sending: bool,
    /// Whether a person should look.
    pub needs_human: bool,
    /// What is left for people to read.
    pub records: Vec<Record>,
    /// The class.
    pub class: Option<Class>,
    /// The person's language.
    pub language: Option<Language>,
    /// How the answer came about.
    pub journey: Journey,
    /// Now, on the wall.
    pub at: Timestamp,
    /// Now, on the steady timeline.
    pub tick: Tick,
}

/// What became of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommitOutcome {
    /// It is durable.
    Committed {
        /// The parts as stored, in order; empty for a channel that is read from the store.
        parts: Vec<OutboxPart>,
        /// The reply as its readers see it, in order, with its places in the stream of events; empty for a channel that
        /// is not read from the store.
        replies: Vec<ReplyView>,
        /// The number of the conversation's last message.
        last_seq: u64,
        /// How many messages are still pending.
        pending: u64,
        /// How the messages ended: as they should, unless somebody had taken the conversation over.
        disposition: Disposition,
        /// Whether a person should look.
        needs_human: bool,
    },
    /// Another owner or attempt was faster; nothing was written.
    Fenced,
}

/// Gives a started turn back without an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReleaseTurn {
    /// Whose.
    pub conversation: ConversationId,
    /// The epoch of the owner.
    pub epoch: Epoch,
    /// The turn.
    pub turn: TurnId,
    /// The attempt that gives up.
    pub attempt: u32,
    /// Whether this counts as a failure of the turn itself.
    pub failed: bool,
    /// Why, for people.
    pub reason: String,
    /// When it may run again.
    pub not_before: Tick,
    /// Dissolve the turn, and mark its messages to run alone.
    pub split: bool,
}

/// The store of turns.
pub trait Turns: Send + Sync + 'static {
    /// The state of a conversation, with at most `limit` pending messages; none if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](super::StoreError) where its rows cannot be read. It is set aside then: the sweep does not
    /// find it again in this process, what waits in it stays pending, and a person is asked for.
    fn load_conversation(
        &self,
        conversation: ConversationId,
        limit: usize,
    ) -> StoreFuture<Option<ConversationState>>;

    /// The last `limit` lines said before a turn that has not ended, or not begun, oldest first.
    fn history(
        &self,
        conversation: ConversationId,
        before: TurnId,
        limit: usize,
    ) -> StoreFuture<Vec<HistoryItem>>;

    /// Marks the start of a turn.
    fn start_turn(&self, start: StartTurn) -> StoreFuture<StartOutcome>;

    /// Ends a turn.
    fn commit_turn(&self, commit: Box<CommitTurn>) -> StoreFuture<CommitOutcome>;

    /// Gives a turn back; answers whether the attempt was still the current one.
    fn release_turn(&self, release: ReleaseTurn) -> StoreFuture<bool>;
}
