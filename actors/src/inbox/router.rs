//! The router of one shard: conversation id to actor.

use std::collections::HashMap;
use std::rc::Rc;

use actix::prelude::*;

use crate::conversation::actor::{Conversation, Deliver, Leave, Wake};
use crate::domain::ConversationId;
use crate::ports::Admitted;
use crate::shard::Shard;

/// A message became durable. Told by the store's writer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route(pub Box<Admitted>);

/// A conversation has something to do. Told by the sweep and by the store's writer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RouteWake {
    /// Whose.
    pub conversation: ConversationId,
    /// The number of its last message, where the sender knows it; without it the conversation loads afresh.
    pub last_seq: Option<u64>,
}

/// A conversation has nothing to do and offers to leave memory; `handled` says how many messages of the router it has
/// handled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Passivate {
    /// Who.
    pub conversation: ConversationId,
    /// How many forwarded messages it has handled.
    pub handled: u64,
}

/// No conversation is started or told anything from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseRouter;

/// How many conversations are in memory.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountConversations;

/// A conversation in memory.
struct Live {
    conversation: Addr<Conversation>,
    /// How many messages were forwarded to it.
    forwarded: u64,
}

/// Owns the addresses of its shard's conversations. Starts them on demand and lets them go by a handshake: a conversation
/// leaves only if it has handled everything that was forwarded to it.
///
/// Sent to by the store's writer, by the sweep and by conversations. Holds at most `live_max` conversations; a message
/// to one more waits in the store for a later sweep. A restart loses nothing: the sweep wakes who has something to do.
pub struct Router {
    shard: Rc<Shard>,
    live: HashMap<ConversationId, Live>,
    live_max: usize,
    is_closed: bool,
}

impl Router {
    /// A router without conversations.
    #[must_use]
    pub fn new(shard: Rc<Shard>, live_max: usize) -> Self {
        Self { shard, live: HashMap::new(), live_max, is_closed: false }
    }

    /// The conversation, started if need be, with one more message counted; none when there is no room.
    fn forward(&mut self, id: ConversationId) -> Option<&Addr<Conversation>> {
        if self.is_closed {
            return None;
        }
        let is_alive = self.live.get(&id).is_some_and(|live| live.conversation.connected());
        if !is_alive {
            self.live.remove(&id);
            if self.live.len() >= self.live_max {
                return None;
            }
            let conversation = Conversation::new(id, Rc::clone(&self.shard)).start();
            self.live.insert(id, Live { conversation, forwarded: 0 });
        }
        let live = self.live.get_mut(&id)?;
        live.forwarded += 1;
        Some(&live.conversation)
    }
}

impl Actor for Router {
    type Context = Context<Self>;
}

impl Handler<Route> for Router {
    type Result = ();

    fn handle(&mut self, Route(admitted): Route, _: &mut Self::Context) {
        if let Some(conversation) = self.forward(admitted.conversation) {
            conversation.do_send(Deliver(admitted));
        }
    }
}

impl Handler<RouteWake> for Router {
    type Result = ();

    fn handle(&mut self, wake: RouteWake, _: &mut Self::Context) {
        if let Some(conversation) = self.forward(wake.conversation) {
            conversation.do_send(Wake { last_seq: wake.last_seq });
        }
    }
}

impl Handler<Passivate> for Router {
    type Result = ();

    fn handle(&mut self, passivate: Passivate, _: &mut Self::Context) {
        let may_leave =
            self.live.get(&passivate.conversation).is_some_and(|live| live.forwarded == passivate.handled);
        if may_leave && let Some(live) = self.live.remove(&passivate.conversation) {
            live.conversation.do_send(Leave);
        }
    }
}

impl Handler<CloseRouter> for Router {
    type Result = ();

    fn handle(&mut self, _: CloseRouter, _: &mut Self::Context) {
        self.is_closed = true;
    }
}

impl Handler<CountConversations> for Router {
    type Result = usize;

    fn handle(&mut self, _: CountConversations, _: &mut Self::Context) -> usize {
        self.live.len()
    }
}
