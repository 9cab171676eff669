//! A call on its way to a front, and the typed refusals that may come back.

use std::time::Duration;

use actix::prelude::*;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::front::Front;
use super::gate::Waits;
use super::service::Service;
use super::snapshot::{Depth, Ticket};
use crate::domain::ConversationId;
use crate::settings::FrontSettings;

/// Why a front gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallError<E> {
    /// Its queue is full, or the caller's share of it.
    #[error("{service} is overloaded: {limit} calls are waiting")]
    Overloaded {
        /// The service.
        service: &'static str,
        /// The limit that was met.
        limit: usize,
    },
    /// No answer in time.
    #[error("{service} gave no answer in time")]
    DeadlineExceeded {
        /// The service.
        service: &'static str,
        /// Whether the work had begun, so that it may have had an effect.
        started: bool,
    },
    /// It is paused or given up for now, or it panicked over this call.
    #[error("{service} is down")]
    Down {
        /// The service.
        service: &'static str,
        /// Whether the work had begun, so that it may have had an effect.
        started: bool,
    },
    /// The service answered with an error.
    #[error(transparent)]
    Failed(E),
}

/// How much longer than its deadlines a caller waits for its front.
const FRONT_GRACE: Duration = Duration::from_secs(1);

/// How a call ends.
pub type CallResult<S> = Result<<S as Service>::Response, CallError<<S as Service>::Error>>;

/// A request on its way to a service.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Call<S: Service> {
    /// Whose turn asks; calls of one conversation take turns with those of others.
    pub(super) whose: Option<ConversationId>,
    pub(super) request: S::Request,
    pub(super) asked_at: Instant,
    pub(super) deadline: Instant,
    pub(super) reply: Reply<S>,
    /// Counts the call while it is in the mailbox.
    pub(super) ticket: Option<Ticket>,
}

impl<S: Service> Waits for Call<S> {
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_given_up(&self) -> bool {
        self.reply.is_given_up()
    }
}

/// The way back of a call. One that is dropped answers that the service is down, and whether the work had begun: who asked
/// must know that, whatever becomes of the front.
pub(super) struct Reply<S: Service> {
    sender: Option<oneshot::Sender<CallResult<S>>>,
    started: bool,
}

impl<S: Service> Reply<S> {
    /// From now on the work may have had an effect.
    pub(super) const fn start(&mut self) {
        self.started = true;
    }

    /// Answers; a caller that has gone away needs no answer.
    pub(super) fn send(mut self, result: CallResult<S>) {
        self.answer(result);
    }

    fn is_given_up(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Waits until nobody waits for the answer any more.
    pub(super) async fn given_up(&mut self) {
        if let Some(sender) = &mut self.sender {
            sender.closed().await;
        }
    }

    fn answer(&mut self, result: CallResult<S>) {
        if let Some(sender) = self.sender.take() {
            drop(sender.send(result));
        }
    }
}

impl<S: Service> Drop for Reply<S> {
    fn drop(&mut self) {
        let started = self.started;
        self.answer(Err(CallError::Down { service: S::NAME, started }));
    }
}

/// The way to a front, with its deadline.
pub struct FrontHandle<S: Service> {
    pub(super) front: Addr<Front<S>>,
    pub(super) settings: FrontSettings,
    pub(super) depth: Depth,
}

impl<S: Service> Clone for FrontHandle<S> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), settings: self.settings, depth: self.depth.clone() }
    }
}

impl<S: Service> FrontHandle<S> {
    /// Asks the service, for a turn of this conversation or for nobody's.
    ///
    /// # Errors
    /// The front refused, the deadline passed, or the service failed.
    pub async fn call(&self, whose: Option<ConversationId>, request: S::Request) -> CallResult<S> {
        let (sender, answer) = oneshot::channel();
        let asked_at = Instant::now();
        let deadline = asked_at + self.settings.deadline();
        let reply = Reply { sender: Some(sender), started: false };
        let ticket = Some(self.depth.ticket());
        self.front.do_send(Call { whose, request, asked_at, deadline, reply, ticket });
        // A front answers within twice the deadline: in the queue, then at work. One that does not is frozen, or waits for its
        // restart; whether the work had begun is not known then.
        match tokio::time::timeout_at(deadline + self.settings.deadline() + FRONT_GRACE, answer).await {
            // A reply is never dropped without an answer.
            Ok(answer) => answer.unwrap_or(Err(CallError::Down { service: S::NAME, started: true })),
            Err(_elapsed) => Err(CallError::DeadlineExceeded { service: S::NAME, started: true }),
        }
    }

    /// Lets the next call find out whether the service is back, after it has read its secrets again.
    pub fn probe_now(&self) {
        self.front.do_send(super::front::ProbeNow);
    }
}
