//! What people and programs may read.

use schemars::JsonSchema;
use serde::Serialize;

use super::StoreFuture;
use crate::domain::{
    Books, Channel, ConversationId, Journey, PartId, PartState, Speaker, Tick, Timestamp, TurnId,
};

/// A conversation, for the API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConversationView {
    /// Its id.
    pub id: ConversationId,
    /// Its channel.
    pub channel: Channel,
    /// The account the person writes to.
    pub account: String,
    /// When it began.
    pub created_at: Timestamp,
    /// How many messages it has.
    pub messages: u64,
    /// How many of them wait for their answer.
    pub pending: u64,
    /// Whether a person should look.
    pub needs_human: bool,
    /// The language of the last turn.
    pub language: Option<String>,
    /// The conversation it was merged into.
    pub merged_into: Option<ConversationId>,
    /// Who answers in the place of the bot, until the time is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// Until when, on the steady timeline.
    #[serde(skip)]
    pub taken_until: Option<Tick>,
}

/// A line of a conversation, for the API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct MessageView {
    /// Who said it.
    pub speaker: Speaker,
    /// The provider's id of a customer's message, our part id of a reply.
    pub id: String,
    /// The kind of a customer's message; `text` for a reply.
    pub kind: String,
    /// What was said.
    pub text: Option<String>,
    /// The whole message as the provider wrote it, where it holds more than a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<serde_json::Value>,
    /// When.
    pub at: Timestamp,
    /// Where it stands.
    pub state: String,
    /// Its turn.
    pub turn: Option<TurnId>,
    /// For a reply: its place in the stream of events.
    pub position: Option<i64>,
    /// For a reply: who wrote it, where it was not the bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// A part of a reply, for the stream of events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReplyView {
    /// Its id.
    pub id: PartId,
    /// Its place in the stream.
    pub position: i64,
    /// Its turn.
    pub turn: TurnId,
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub state: PartState,
    /// When it was stored.
    pub at: Timestamp,
}

/// A turn with its journey, for the API.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct TurnView {
    /// Its id.
    pub id: TurnId,
    /// Where it stands.
    pub state: String,
    /// How its messages ended, and why.
    pub outcome: Option<String>,
    /// Its class.
    pub class: Option<String>,
    /// Starts, failures and interruptions.
    pub attempt: u32,
    /// Starts that failed because of the turn itself.
    pub failures: u32,
    /// Starts that the death of the process cut off.
    pub interruptions: u32,
    /// When it was first started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How the answer came about.
    pub journey: Journey,
}

/// A message that failed alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct DeadLetter {
    /// The number of its receipt, by which it is replayed; no other message has it, and there are gaps.
    pub id: i64,
    /// Whose conversation.
    pub conversation: ConversationId,
    /// Its number within the conversation.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// Its text.
    pub text: Option<String>,
    /// Why.
    pub reason: String,
    /// When its body was complete.
    pub received_at: Timestamp,
}

/// What a turn left for people to read: a complaint, a suggestion, the answer to a template.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct RecordView {
    /// Its number.
    pub id: i64,
    /// Its class.
    pub class: String,
    /// What the person wrote.
    pub text: String,
    /// Whose conversation.
    pub conversation: ConversationId,
    /// The turn that recorded it.
    pub turn: TurnId,
    /// When.
    pub at: Timestamp,
}

/// A quarantined body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct QuarantineView {
    /// Its number.
    pub id: i64,
    /// The channel it came by.
    pub channel: Channel,
    /// What was not understood.
    pub reason: String,
    /// When it was complete.
    pub received_at: Timestamp,
    /// The body, as text where it is text.
    pub body: String,
}

/// Reading, and the few acts of people.
pub trait Views: Send + Sync + 'static {
    /// A conversation.
    fn conversation(&self, id: ConversationId) -> StoreFuture<Option<ConversationView>>;

    /// The last `limit` lines of a conversation, oldest first.
    fn messages(&self, id: ConversationId, limit: usize) -> StoreFuture<Vec<MessageView>>;

    /// Replies of a conversation after a position of the stream, in order; at most `limit`.
    fn replies_after(&self, id: ConversationId, position: i64, limit: usize) -> StoreFuture<Vec<ReplyView>>;

    /// The last `limit` turns of a conversation, newest first.
    fn turns(&self, id: ConversationId, limit: usize) -> StoreFuture<Vec<TurnView>>;

    /// The books, counted from the rows in one read transaction.
    fn count_books(&self) -> StoreFuture<Books>;

    /// Messages that failed alone, oldest first; at most `limit`, after the id `after`.
    fn dead_letters(&self, after: i64, limit: usize) -> StoreFuture<Vec<DeadLetter>>;

    /// Makes dead-lettered messages pending again; answers how many. An unknown id, or one that is not dead-lettered,
    /// refuses the whole request.
    fn replay(&self, ids: Vec<i64>) -> StoreFuture<usize>;

    /// Conversations that a person should look at, in the order in which they began; at most `limit`, behind `after`.
    fn needing_human(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationView>>;

    /// Conversations whose id, phone number, BSUID or handle is `text`, or begins with it, ordered by id; at most `limit`, behind
    /// `after`. Of a beginning that very many share, only some are found.
    fn find_conversations(
        &self,
        text: String,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationView>>;

    /// What turns left for people to read, oldest first; at most `limit`, after the id `after`.
    fn records(&self, after: i64, limit: usize) -> StoreFuture<Vec<RecordView>>;

    /// Quarantined bodies before the number `before`, newest first; at most `limit`.
    fn quarantined(&self, before: Option<i64>, limit: usize) -> StoreFuture<Vec<QuarantineView>>;
}
