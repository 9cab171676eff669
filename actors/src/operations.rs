//! What operators see of the running server, and what they can ask of it.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use thiserror::Error;
use tokio::time::timeout;

use crate::domain::ConversationId;
use crate::inbox::router::{InspectConversation, ListConversations, RestartConversation, Router};
use crate::supervision::events::Event;
use crate::supervision::monitor::{Ask, GetHistory, GetTree, Monitor, Reading, Subscribe, TooManyReaders};
use crate::supervision::snapshot::{ActError, Action, Node, Snapshot};

/// The first part of the path of a single conversation, before its id.
const CONVERSATIONS: &str = "conversations/";

/// How long the monitor or a router is waited for; longer than either waits for those it asks in turn.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// What may be asked of a single conversation.
const CONVERSATION_ACTIONS: &[Action] = &[Action::Restart];

/// Why an operator got no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OperationError {
    /// The monitor does not answer.
    #[error("the monitor does not answer; it may be restarting")]
    NoMonitor,
    /// The wish was not passed on.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The stream of events has no room.
    #[error(transparent)]
    Readers(#[from] TooManyReaders),
}

/// The way to the monitor and, by id, to single conversations.
#[derive(Clone)]
pub struct Operations {
    monitor: Addr<Monitor>,
    routers: Vec<Addr<Router>>,
}

impl Operations {
    /// Asks `monitor`, and the routers of all shards, in order.
    #[must_use]
    pub const fn new(monitor: Addr<Monitor>, routers: Vec<Addr<Router>>) -> Self {
        Self { monitor, routers }
    }

    /// Every supervisor and worker, and how it is.
    ///
    /// # Errors
    /// The monitor does not answer.
    pub async fn tree(&self) -> Result<Node, OperationError> {
        ask(&self.monitor, GetTree).await.flatten().ok_or(OperationError::NoMonitor)
    }

    /// One conversation; none if it is not in memory.
    ///
    /// # Errors
    /// Its router or the conversation itself does not answer.
    pub async fn conversation(&self, id: ConversationId) -> Result<Option<Snapshot>, OperationError> {
        let Some(router) = self.router(id) else { return Ok(None) };
        ask(router, InspectConversation(id)).await.ok_or(OperationError::Act(ActError::NoAnswer))
    }

    /// A page of the conversations in the memory of a shard, ordered by id, behind `after`; none where there is no such shard.
    ///
    /// # Errors
    /// Its router does not answer.
    pub async fn conversations(
        &self,
        shard: usize,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Option<Vec<(ConversationId, Snapshot)>>, OperationError> {
        let Some(router) = self.routers.get(shard) else { return Ok(None) };
        let page = ask(router, ListConversations { after, limit }).await;
        page.map(Some).ok_or(OperationError::Act(ActError::NoAnswer))
    }

    /// Asks what stands at `path` to do something; `conversations/{id}` names a single conversation.
    ///
    /// # Errors
    /// Nothing stands there, it cannot do that, or it does not answer.
    pub async fn ask(&self, path: &str, action: Action) -> Result<(), OperationError> {
        if let Some(id) = path.strip_prefix(CONVERSATIONS) {
            return self.ask_conversation(id, action).await;
        }
        let asked = ask(&self.monitor, Ask { path: path.to_owned(), action }).await;
        Ok(asked.ok_or(OperationError::NoMonitor)??)
    }

    /// Events after `after`, and all that follow.
    ///
    /// # Errors
    /// There are too many readers, or the monitor does not answer.
    pub async fn events(&self, after: u64) -> Result<Reading, OperationError> {
        Ok(ask(&self.monitor, Subscribe { after }).await.ok_or(OperationError::NoMonitor)??)
    }

    /// Events after `after` that are kept, oldest first.
    ///
    /// # Errors
    /// The monitor does not answer.
    pub async fn history(&self, after: u64) -> Result<Vec<Event>, OperationError> {
        ask(&self.monitor, GetHistory(after)).await.ok_or(OperationError::NoMonitor)
    }

    async fn ask_conversation(&self, id: &str, action: Action) -> Result<(), OperationError> {
        let id: ConversationId = id.parse().map_err(|_| ActError::NotFound)?;
        if action != Action::Restart {
            return Err(ActError::NotAllowed { allowed: CONVERSATION_ACTIONS }.into());
        }
        let router = self.router(id).ok_or(ActError::NotFound)?;
        match ask(router, RestartConversation(id)).await {
            Some(true) => Ok(()),
            Some(false) => Err(ActError::NotFound.into()),
            None => Err(ActError::NoAnswer.into()),
        }
    }

    fn router(&self, id: ConversationId) -> Option<&Addr<Router>> {
        self.routers.get(id.partition().shard(self.routers.len()))
    }
}

/// What `actor` answers; none if it does not answer in time, or was restarted over the question.
async fn ask<A, M>(actor: &Addr<A>, message: M) -> Option<M::Result>
where
    A: Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result: Send> + Send + 'static,
{
    timeout(ANSWER_WAIT, actor.send(message)).await.ok()?.ok()
}

#[cfg(test)]
mod tests;
