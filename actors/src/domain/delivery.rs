//! Parts of replies on their way out.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use super::{Account, ConversationId, PartId, Tick, Timestamp, TurnId};

/// Where a part of a reply stands. It only moves forward, but `sent` may become `failed`, and `ambiguous` is resolved by
/// a status.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Stored; nothing has left the process.
    Pending,
    /// A send is marked: bytes may be on their way.
    Sending,
    /// A send was cut off where its outcome cannot be known; never retried silently.
    Ambiguous,
    /// The channel accepted it.
    Sent,
    /// It reached the person's device.
    Delivered,
    /// The person saw it.
    Read,
    /// The channel refused it, or an earlier part of its reply failed.
    Failed,
}

/// A part state in the database that this program does not know.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("unknown state of a reply part: '{0}'")]
pub struct UnknownPartState(String);

impl PartState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Sending,
        Self::Ambiguous,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Failed,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Ambiguous => "ambiguous",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }

    /// The state after a delivery status arrives; the same state where the status is old news.
    #[must_use]
    pub fn after(self, status: DeliveryStatus) -> Self {
        let told = match status {
            DeliveryStatus::Sent => Self::Sent,
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Read => Self::Read,
            DeliveryStatus::Failed => Self::Failed,
        };
        match (self, told) {
            (Self::Delivered | Self::Read | Self::Failed, Self::Failed) => self,
            (Self::Failed, _) => self,
            (current, told) => current.max(told),
        }
    }
}

impl fmt::Display for PartState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PartState {
    type Err = UnknownPartState;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownPartState(name.to_owned()))
    }
}

/// What a channel says happened to a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryStatus {
    /// The channel took it.
    Sent,
    /// It reached the device.
    Delivered,
    /// The person saw it.
    Read,
    /// It could not be delivered.
    Failed,
}

/// A delivery status from a webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusUpdate {
    /// The account that had sent the part.
    pub account: Account,
    /// The provider's id of the part.
    pub provider_id: String,
    /// Our own id of the part, where the provider gives our callback data back.
    pub part: Option<PartId>,
    /// What happened.
    pub status: DeliveryStatus,
    /// When the provider says it happened.
    pub at: Option<Timestamp>,
    /// The provider's reason, for a failure.
    pub error: Option<String>,
}

/// Where a part goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipient {
    /// The phone number in digits. Preferred, so that the provider goes on telling it.
    pub phone: Option<String>,
    /// The business-scoped user id, used where no phone number is known.
    pub user_id: Option<String>,
}

/// One part of a reply, before it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplyPart {
    /// Its id.
    pub id: PartId,
    /// Its text, within the channel's limit.
    pub text: String,
}

/// One stored part of a reply that has not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxPart {
    /// Its id.
    pub id: PartId,
    /// Its place in the outbox; grows in the order of turns and parts.
    pub position: i64,
    /// Whose conversation.
    pub conversation: ConversationId,
    /// The turn it answers.
    pub turn: TurnId,
    /// The account that sends it.
    pub account: Account,
    /// Where it goes.
    pub recipient: Recipient,
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub state: PartState,
    /// How many sends were marked so far.
    pub attempt: u32,
    /// When it was stored.
    pub created: Tick,
    /// Not sent before this tick; for an ambiguous part, the end of its hold.
    pub not_before: Tick,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_only_move_a_part_forward() {
        use DeliveryStatus as S;
        use PartState as P;
        for (state, status, expected) in [
            (P::Sending, S::Sent, P::Sent),
            (P::Sending, S::Read, P::Read),
            (P::Ambiguous, S::Delivered, P::Delivered),
            (P::Ambiguous, S::Failed, P::Failed),
            (P::Sent, S::Failed, P::Failed),
            (P::Sent, S::Delivered, P::Delivered),
            (P::Read, S::Delivered, P::Read),
            (P::Read, S::Failed, P::Read),
            (P::Delivered, S::Sent, P::Delivered),
            (P::Delivered, S::Failed, P::Delivered),
            (P::Failed, S::Sent, P::Failed),
            (P::Failed, S::Read, P::Failed),
        ] {
            assert_eq!(state.after(status), expected, "{state} {status:?}");
        }
    }

    #[test]
    fn every_state_is_read_back_from_its_name() {
        for state in PartState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("gone".parse::<PartState>().is_err());
    }
}
