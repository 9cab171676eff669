//! What operators see of the running server, and what they can ask of it.

use actix::prelude::*;
use thiserror::Error;

use crate::domain::ConversationId;
use crate::inbox::router::{InspectConversation, RestartConversation, Router};
use crate::supervision::monitor::{Ask, GetTree, Monitor, Reading, Subscribe, TooManyReaders};
use crate::supervision::snapshot::{ActError, Action, Node, Snapshot};

/// The first part of the path of a single conversation, before its id.
const CONVERSATIONS: &str = "conversations/";

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
        self.monitor.send(GetTree).await.map_err(|_| OperationError::NoMonitor)
    }

    /// One conversation; none if it is not in memory.
    pub async fn conversation(&self, id: ConversationId) -> Option<Snapshot> {
        self.router(id)?.send(InspectConversation(id)).await.ok().flatten()
    }

    /// Asks what stands at `path` to do something; `conversations/{id}` names a single conversation.
    ///
    /// # Errors
    /// Nothing stands there, it cannot do that, or it does not answer.
    pub async fn ask(&self, path: &str, action: Action) -> Result<(), OperationError> {
        if let Some(id) = path.strip_prefix(CONVERSATIONS) {
            return self.ask_conversation(id, action).await;
        }
        let asked = self.monitor.send(Ask { path: path.to_owned(), action }).await;
        // The monitor itself was restarted over this.
        let asked = asked.or(if path == "monitor" { Ok(Ok(())) } else { Err(OperationError::NoMonitor) });
        Ok(asked??)
    }

    /// Events after `after`, and all that follow.
    ///
    /// # Errors
    /// There are too many readers, or the monitor does not answer.
    pub async fn events(&self, after: u64) -> Result<Reading, OperationError> {
        let read = self.monitor.send(Subscribe { after }).await.map_err(|_| OperationError::NoMonitor)?;
        Ok(read?)
    }

    async fn ask_conversation(&self, id: &str, action: Action) -> Result<(), OperationError> {
        let id: ConversationId = id.parse().map_err(|_| ActError::NotFound)?;
        if action != Action::Restart {
            return Err(ActError::NotAllowed.into());
        }
        let router = self.router(id).ok_or(ActError::NotFound)?;
        match router.send(RestartConversation(id)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ActError::NotFound.into()),
            Err(_) => Err(ActError::NoAnswer.into()),
        }
    }

    fn router(&self, id: ConversationId) -> Option<&Addr<Router>> {
        self.routers.get(id.partition().shard(self.routers.len()))
    }
}
