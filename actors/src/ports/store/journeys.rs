//! How turns came to their answers, across all conversations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreFuture;
use crate::domain::{Channel, ConversationId, Journey, PartId, PartState, Timestamp, TurnId};

/// Which journeys are looked for. What is not set is not asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JourneyFilter {
    /// Whose.
    pub conversation: Option<ConversationId>,
    /// A start of the turn failed, its message was dead-lettered, it was dissolved, or a part of its reply failed.
    pub failed: bool,
    /// From its start to its answer it took as many milliseconds at the least.
    pub slow_ms: Option<u64>,
    /// A part of its reply is ambiguous.
    pub ambiguous: bool,
    /// Something was missing, and the answer came from what was left.
    pub degraded: bool,
    /// Its conversation needs a person.
    pub needs_human: bool,
    /// Its class.
    pub class: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// A message of it holds this text, in whatever case where it is ASCII.
    pub text: Option<String>,
}

/// A turn as it stands in a list.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct JourneyRow {
    /// Its place among all turns, in the order in which they were started.
    pub position: i64,
    /// Its id.
    pub turn: TurnId,
    /// Whose.
    pub conversation: ConversationId,
    /// The channel.
    pub channel: Channel,
    /// Where it stands.
    pub state: String,
    /// How its messages ended, and why.
    pub outcome: Option<String>,
    /// Its class.
    pub class: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// Starts.
    pub attempt: u32,
    /// Starts that failed because of the turn itself.
    pub failures: u32,
    /// Starts that the death of the process cut off.
    pub interruptions: u32,
    /// When its first message came.
    pub received_at: Option<Timestamp>,
    /// When it was first started.
    pub started_at: Timestamp,
    /// When it committed.
    pub ended_at: Option<Timestamp>,
    /// Whether something was missing.
    pub degraded: bool,
    /// Whether its conversation needs a person.
    pub needs_human: bool,
    /// The states of the parts of its reply, in order.
    pub parts: Vec<PartState>,
}

/// Some journeys, and where to look further.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct JourneyPage {
    /// The newest first.
    pub journeys: Vec<JourneyRow>,
    /// Look on before this place; none where there is nothing before. A page may be short, or empty, and more may lie before it.
    pub next: Option<i64>,
}

/// A message of a turn, without its words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct JourneyMessage {
    /// Its number in the conversation.
    pub seq: u64,
    /// What it is.
    pub kind: String,
    /// When it was written, as its provider says: often whole seconds.
    pub provider_at: Option<Timestamp>,
    /// When it came.
    pub received_at: Timestamp,
    /// Where it stands.
    pub state: String,
}

/// A part of a reply, without its words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct JourneyPart {
    /// Its id.
    pub id: PartId,
    /// Where it stands.
    pub state: PartState,
    /// How often it was sent.
    pub attempt: u32,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When the send that was accepted began.
    pub sending_at: Option<Timestamp>,
    /// When its channel accepted it.
    pub sent_at: Option<Timestamp>,
    /// When it reached the person's device.
    pub delivered_at: Option<Timestamp>,
    /// When the person read it.
    pub read_at: Option<Timestamp>,
    /// What went wrong the last time.
    pub error: Option<String>,
}

/// Everything that is known of how a turn came to its answer, but for the words.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct JourneyView {
    /// The turn.
    #[serde(flatten)]
    pub row: JourneyRow,
    /// Its messages, in order.
    pub messages: Vec<JourneyMessage>,
    /// The steps of its last attempt.
    pub journey: Journey,
    /// The parts of its reply, in order.
    pub reply: Vec<JourneyPart>,
}

/// The entry that was nearest to a question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NearestEntry {
    /// Its id.
    pub id: String,
    /// Its score.
    pub score: f64,
}

/// A turn for which no stored answer fitted.
#[derive(Clone, PartialEq, Debug)]
pub struct UnansweredTurn {
    /// What was asked: the texts of its messages, each on a line, cut to 500 characters.
    pub text: String,
    /// Its language.
    pub language: Option<String>,
    /// What was nearest, if anything was found.
    pub nearest: Option<NearestEntry>,
}

/// The journeys.
pub trait Journeys: Send + Sync + 'static {
    /// Journeys before the place `before`, the newest first; at most `limit`. Looks at a bounded number of turns.
    fn journeys(&self, filter: JourneyFilter, before: Option<i64>, limit: usize) -> StoreFuture<JourneyPage>;

    /// Those of the last `turns` turns for which no stored answer fitted, the newest first.
    fn unanswered(&self, turns: usize) -> StoreFuture<Vec<UnansweredTurn>>;

    /// One of them.
    fn journey(&self, position: i64) -> StoreFuture<Option<JourneyView>>;
}
