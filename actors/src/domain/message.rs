//! Messages on their way in, and the people who write them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::intent::UnknownName;
use super::{ConversationId, Tick, Timestamp};

/// A kind of channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The chat page; its replies are read from the conversation's stream of events.
    Web,
    /// The JSON channel of programs; its replies are read in the same way.
    Api,
    /// WhatsApp through Meta's Cloud API.
    Whatsapp,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Web, Self::Api, Self::Whatsapp];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Api => "api",
            Self::Whatsapp => "whatsapp",
        }
    }

    /// Whether a reply counts as sent as soon as it is stored, because its reader fetches it from here.
    #[must_use]
    pub const fn is_read_from_store(self) -> bool {
        matches!(self, Self::Web | Self::Api)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == name)
            .ok_or_else(|| UnknownName::new("channel", name))
    }
}

/// One of the business's own addresses on a channel: on WhatsApp the phone number id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The kind of channel.
    pub channel: Channel,
    /// The address within the channel.
    pub name: String,
}

impl Account {
    /// An account of a channel.
    #[must_use]
    pub fn new(channel: Channel, name: impl Into<String>) -> Self {
        Self { channel, name: name.into() }
    }
}

/// How a channel identifies the person who wrote. At least one field is given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sender {
    /// The phone number in digits (`wa_id`), where the channel tells it.
    pub phone: Option<String>,
    /// The business-scoped user id (BSUID), which outranks the phone number.
    pub user_id: Option<String>,
    /// The name a program or the chat page gives its writer.
    pub handle: Option<String>,
    /// The display name of the profile, for people who read the conversation.
    pub name: Option<String>,
}

impl Sender {
    /// Whether nothing identifies the person.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.phone.is_none() && self.user_id.is_none() && self.handle.is_none()
    }
}

/// When a body was complete, on both timelines, and its place in the order of all receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Wall time, stored and shown.
    pub at: Timestamp,
    /// The steady timeline, by which the batch closes.
    pub tick: Tick,
    /// The order of receipt; grows over restarts too.
    pub seq: i64,
}

/// One message as a channel's webhook tells it, normalised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboundMessage {
    /// The account it was written to.
    pub account: Account,
    /// The provider's id of the message; the dedupe key together with the account.
    pub provider_id: String,
    /// Who wrote it.
    pub sender: Sender,
    /// The channel's name of the kind: `text`, `image`, `button`, …
    pub kind: String,
    /// The text to answer; none for a kind that cannot be read.
    pub text: Option<String>,
    /// The whole message as the provider wrote it, in JSON, where it holds more than a text: for people to read.
    pub content: Option<String>,
    /// When the provider says it was written.
    pub provider_at: Option<Timestamp>,
    /// Set when the message is stored but not answered, with the reason.
    pub suppressed: Option<&'static str>,
    /// When its body was complete.
    pub receipt: Receipt,
}

/// A stored message that waits for its turn, as the conversation's actor holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingMessage {
    /// Its gapless number within the conversation, from 1.
    pub seq: u64,
    /// The channel's name of the kind.
    pub kind: String,
    /// The text to answer; none for a kind that cannot be read.
    pub text: Option<String>,
    /// When the provider says it was written.
    pub provider_at: Option<Timestamp>,
    /// When its body was complete.
    pub receipt: Receipt,
    /// Whether it must run by itself, because a batch with it was exhausted.
    pub alone: bool,
}

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person who writes to the business.
    Customer,
    /// Tertulia, or an operator in its place.
    Bot,
}

/// One line of a conversation's past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryItem {
    /// Whose conversation.
    pub conversation: ConversationId,
    /// Who said it.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
}
