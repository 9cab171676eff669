//! The router of one shard: conversation id to actor.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use actix::prelude::*;

use crate::conversation::actor::{Conversation, Deliver, Leave, Wake};
use crate::domain::{ConversationId, Tick};
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

/// A conversation has nothing to do until it is sent something, and may leave memory when that takes too long; `handled`
/// says how many messages of the router it has handled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rests {
    /// Who.
    pub conversation: ConversationId,
    /// How many forwarded messages it has handled.
    pub handled: u64,
}

/// A place in the line of conversations at rest.
struct Place {
    since: Tick,
    conversation: ConversationId,
    /// Which of the actors that this conversation had over time.
    life: u64,
}

/// How a conversation came to rest.
#[derive(Clone, Copy)]
struct Rest {
    since: Tick,
    handled: u64,
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
    life: u64,
    /// How many messages were forwarded to it.
    forwarded: u64,
    /// How it came to rest the last time.
    rest: Option<Rest>,
    has_place: bool,
}

/// Owns the addresses of its shard's conversations, and the line of those at rest. Starts conversations on demand and lets
/// them go by a handshake: after `conversation.idle_ms` at rest a conversation leaves, if it has handled everything that
/// was forwarded to it. So one timer serves all of them, and one at rest holds none.
///
/// Sent to by the store's writer, by the sweep and by conversations. Holds at most `live_max` conversations; a message
/// to one more waits in the store for a later sweep. The line holds one place a conversation at the most. A restart loses nothing: the sweep wakes who has something to do.
pub struct Router {
    shard: Rc<Shard>,
    live: HashMap<ConversationId, Live>,
    live_max: usize,
    /// In the order in which they came to rest.
    resting: VecDeque<Place>,
    lives: u64,
    is_armed: bool,
    is_closed: bool,
}

impl Router {
    /// A router without conversations.
    #[must_use]
    pub fn new(shard: Rc<Shard>, live_max: usize) -> Self {
        Self {
            shard,
            live: HashMap::new(),
            live_max,
            resting: VecDeque::new(),
            lives: 0,
            is_armed: false,
            is_closed: false,
        }
    }

    /// Makes sure that a timer fires when the one that rests the longest may leave.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(first) = self.resting.front().filter(|_| !self.is_armed) else { return };
        self.is_armed = true;
        let leaves_at = first.since.after(self.shard.conversation.idle());
        ctx.run_later(leaves_at.since(self.shard.clock.tick()), |router, ctx| {
            router.is_armed = false;
            router.let_go();
            router.arm(ctx);
        });
    }

    /// Lets those go that have rested long enough, and were sent nothing since.
    fn let_go(&mut self) {
        let (now, idle) = (self.shard.clock.tick(), self.shard.conversation.idle());
        while let Some(place) = self.resting.pop_front_if(|place| place.since.after(idle) <= now) {
            let Some(live) = self.live.get_mut(&place.conversation) else { continue };
            // A place of an actor that is gone says nothing of the one that is here now.
            if live.life != place.life {
                continue;
            }
            live.has_place = false;
            match live.rest.filter(|rest| rest.handled == live.forwarded) {
                Some(rest) if rest.since.after(idle) <= now => {
                    live.conversation.do_send(Leave);
                    self.live.remove(&place.conversation);
                }
                // It was busy in between, and rests again.
                Some(rest) => {
                    live.has_place = true;
                    self.resting.push_back(Place { since: rest.since, ..place });
                }
                // It is busy; when it comes to rest it takes a place again.
                None => {}
            }
        }
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
            self.lives += 1;
            let life = self.lives;
            self.live.insert(id, Live { conversation, life, forwarded: 0, rest: None, has_place: false });
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

impl Handler<Rests> for Router {
    type Result = ();

    fn handle(&mut self, rests: Rests, ctx: &mut Self::Context) {
        let Rests { conversation, handled } = rests;
        let since = self.shard.clock.tick();
        let Some(live) = self.live.get_mut(&conversation) else { return };
        live.rest = Some(Rest { since, handled });
        if !live.has_place {
            live.has_place = true;
            self.resting.push_back(Place { since, conversation, life: live.life });
            self.arm(ctx);
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
