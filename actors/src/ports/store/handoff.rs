//! Conversations that a person answers in the place of the bot.

use std::time::Duration;

use super::{ReplyView, StoreFuture};
use crate::domain::{ConversationId, ReplyPart, TurnId};

/// What somebody writes who has taken a conversation over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorReply {
    /// Whose conversation.
    pub conversation: ConversationId,
    /// Who writes.
    pub who: String,
    /// The turn that holds it, so that it stands in the history.
    pub turn: TurnId,
    /// Its parts, in order.
    pub parts: Vec<ReplyPart>,
    /// How long the bot stays quiet after it.
    pub idle: Duration,
}

/// Who answers.
pub trait Handoff: Send + Sync + 'static {
    /// From now on `who` answers: turns end without an answer, also those that run, until the conversation is handed back or nothing
    /// was written for `idle`. Refused where somebody else has it, unless `from` names them.
    fn take_over(
        &self,
        conversation: ConversationId,
        who: String,
        from: Option<String>,
        idle: Duration,
    ) -> StoreFuture<()>;

    /// The bot answers again; nobody is asked for any more. Refused where somebody else has it, unless `from` names them.
    fn hand_back(&self, conversation: ConversationId, who: String, from: Option<String>) -> StoreFuture<()>;

    /// Stores what somebody writes, to be sent like any reply; answers what readers of the conversation see, which is nothing for a
    /// channel that sends, and for a part that was stored before. Refused where they have not taken the conversation over, or their
    /// time is up.
    fn reply(&self, reply: OperatorReply) -> StoreFuture<Vec<ReplyView>>;
}
