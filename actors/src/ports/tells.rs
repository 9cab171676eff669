//! What the store's writer tells the actors after a commit.

use crate::domain::{Account, ConversationId, Language, PendingMessage, Tick};

/// A message that has just become durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// Whose conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: PendingMessage,
    /// How many messages of the conversation are pending now, this one included.
    pub pending: u64,
    /// When the conversation's last turn ended.
    pub previous_end: Option<Tick>,
    /// The account it was written to.
    pub account: Account,
    /// The language of the conversation's last turn.
    pub language: Option<Language>,
}

/// Hints from the writer. Losing one costs time (the sweep finds the work), never data.
pub trait Tells: Send + 'static {
    /// A message to be answered became durable.
    fn admitted(&self, admitted: Admitted);

    /// The store changed a conversation by other means than its own actor: a replay, a status that frees an ambiguous
    /// part, a merge, a reply that an operator wrote.
    fn changed(&self, conversation: ConversationId);
}
