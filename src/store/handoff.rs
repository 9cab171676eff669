//! Conversations that a person answers in the place of the bot.

use std::time::Duration;

use tertulia_actors::domain::ConversationId;
use tertulia_actors::ports::store::{Handoff, OperatorReply, ReplyView, StoreFuture};

use super::SqliteStore;
use super::writer::{HandBack, TakeOver};

impl Handoff for SqliteStore {
    fn take_over(
        &self,
        conversation: ConversationId,
        who: String,
        from: Option<String>,
        idle: Duration,
    ) -> StoreFuture<()> {
        self.queue.write(TakeOver { conversation, who, from, idle })
    }

    fn hand_back(&self, conversation: ConversationId, who: String, from: Option<String>) -> StoreFuture<()> {
        self.queue.write(HandBack { conversation, who, from })
    }

    fn reply(&self, reply: OperatorReply) -> StoreFuture<Vec<ReplyView>> {
        self.queue.write(reply)
    }
}
