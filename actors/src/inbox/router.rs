//! The router of one shard: conversation id to actor.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use actix::prelude::*;
use futures_util::future::join_all;
use serde_json::json;

use crate::conversation::actor::{Conversation, Deliver, Leave, Wake};
use crate::domain::{ConversationId, Tick};
use crate::failpoint;
use crate::ports::Admitted;
use crate::shard::{Keepers, Shard};
use crate::supervision::events::EventKind;
use crate::supervision::snapshot::{Act, Action, Depth, Inspect, Kind, Snapshot, State, Ticket};
use crate::supervision::supervised::unwind_for_restart;

/// A message became durable. Told by the store's writer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route {
    /// The message.
    pub admitted: Box<Admitted>,
    /// Counts this while it waits.
    pub ticket: Ticket,
}

/// A conversation has something to do. Told by the sweep and by the store's writer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RouteWake {
    /// Whose.
    pub conversation: ConversationId,
    /// The number of its last message, where the sender knows it; without it the conversation loads afresh.
    pub last_seq: Option<u64>,
    /// Counts this while it waits.
    pub ticket: Ticket,
}

/// Asks one conversation how it is; none if it is not in memory.
#[derive(Message)]
#[rtype(result = "Option<Snapshot>")]
pub struct InspectConversation(pub ConversationId);

/// Asks which conversations are in memory, and how they are: a page, ordered by id, behind `after`.
#[derive(Message)]
#[rtype(result = "Vec<(ConversationId, Snapshot)>")]
pub struct ListConversations {
    /// The last one of the page before.
    pub after: Option<ConversationId>,
    /// How many.
    pub limit: usize,
}

/// Asks for the restart of one conversation; false if it is not in memory.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct RestartConversation(pub ConversationId);

/// A conversation has nothing to do until it is sent something, and may leave memory when that takes too long; `handled`
/// names the last message of the router that it has handled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rests {
    /// Who.
    pub conversation: ConversationId,
    /// The number of the last forwarded message that it has handled.
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

/// How many actors and tasks of the shard have nobody any more who needs them. None, once a drain is over.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountLeftovers;

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
/// to one more waits in the store for a later sweep. The line holds one place a conversation at the most. A restart keeps the
/// addresses and the line: forgetting them would give a conversation two owners. What it lost is found by the sweep.
pub struct Router {
    shard: Rc<Shard>,
    depth: Depth,
    live: HashMap<ConversationId, Live>,
    live_max: usize,
    routed: u64,
    passivated: u64,
    /// In the order in which they came to rest.
    resting: VecDeque<Place>,
    lives: u64,
    is_armed: bool,
    is_closed: bool,
}

impl Router {
    /// A router without conversations.
    #[must_use]
    pub fn new(shard: Rc<Shard>, live_max: usize, depth: Depth) -> Self {
        Self {
            shard,
            depth,
            live: HashMap::new(),
            live_max,
            routed: 0,
            passivated: 0,
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
        let mut left = 0;
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
                    left += 1;
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
        if left > 0 {
            self.passivated += left;
            self.shard.keepers.conversation.reporter.tell_count(EventKind::Passivated, left);
        }
    }

    /// All conversations as one.
    fn conversations(&self) -> Snapshot {
        let is_at_rest = |live: &&Live| live.rest.is_some_and(|rest| rest.handled == live.forwarded);
        let resting = self.live.values().filter(is_at_rest).count();
        Snapshot {
            in_flight: Some(self.live.len() - resting),
            handled: Some(self.routed),
            detail: json!({
                "live": self.live.len(), "resting": resting, "live_max": self.live_max, "passivated": self.passivated,
            }),
            ..Snapshot::default()
        }
    }

    /// The conversation, started if need be, and the number of the message that goes to it now; none when there is no room.
    fn forward(&mut self, id: ConversationId) -> Option<(&Addr<Conversation>, u64)> {
        self.routed += 1;
        if self.is_closed {
            return None;
        }
        let is_alive = self.live.get(&id).is_some_and(|live| live.conversation.connected());
        if !is_alive {
            self.live.remove(&id);
            if self.live.len() >= self.live_max {
                return None;
            }
            let (ctx, actor) = (Context::new(), Conversation::new(id, Rc::clone(&self.shard)));
            let conversation = ctx.address();
            self.shard.keepers.conversation.run_as(Some(id), ctx, actor);
            self.lives += 1;
            let life = self.lives;
            self.live.insert(id, Live { conversation, life, forwarded: 0, rest: None, has_place: false });
        }
        let live = self.live.get_mut(&id)?;
        live.forwarded += 1;
        Some((&live.conversation, live.forwarded))
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let keepers = &self.shard.keepers;
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        keepers.router.reporter.register(Kind::Actor, inspect, Some(act), &[Action::Restart]);
        keepers.conversation.reporter.register_below(Kind::Conversations);
        self.arm(ctx);
    }
}

impl Supervised for Router {
    fn restarting(&mut self, _: &mut Self::Context) {
        let fresh = Self::new(Rc::clone(&self.shard), self.live_max, self.depth.clone());
        *self = Self {
            live: std::mem::take(&mut self.live),
            resting: std::mem::take(&mut self.resting),
            lives: self.lives,
            routed: self.routed,
            passivated: self.passivated,
            is_closed: self.is_closed,
            ..fresh
        };
    }
}

impl Handler<Route> for Router {
    type Result = ();

    fn handle(&mut self, Route { admitted, ticket }: Route, _: &mut Self::Context) {
        drop(ticket);
        failpoint!("router.route");
        if let Some((conversation, number)) = self.forward(admitted.conversation) {
            conversation.do_send(Deliver { admitted, number });
        }
    }
}

impl Handler<RouteWake> for Router {
    type Result = ();

    fn handle(&mut self, wake: RouteWake, _: &mut Self::Context) {
        let RouteWake { conversation, last_seq, ticket } = wake;
        drop(ticket);
        failpoint!("router.wake");
        if let Some((conversation, number)) = self.forward(conversation) {
            conversation.do_send(Wake { last_seq, number });
        }
    }
}

impl Handler<Rests> for Router {
    type Result = ();

    fn handle(&mut self, rests: Rests, ctx: &mut Self::Context) {
        let Rests { conversation, handled } = rests;
        failpoint!("router.rests");
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

impl Handler<Inspect> for Router {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let state = if self.is_closed { State::Draining } else { State::Running };
        MessageResult(Snapshot {
            state: Some(state),
            mailbox: Some(self.depth.get()),
            handled: Some(self.routed),
            below: Some(Box::new(self.conversations())),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for Router {
    type Result = ();

    /// The monitor passes on restarts only.
    fn handle(&mut self, _: Act, _: &mut Self::Context) {
        unwind_for_restart()
    }
}

impl Handler<InspectConversation> for Router {
    type Result = ResponseFuture<Option<Snapshot>>;

    fn handle(
        &mut self,
        InspectConversation(id): InspectConversation,
        _: &mut Self::Context,
    ) -> Self::Result {
        let conversation = self.live.get(&id).map(|live| live.conversation.clone());
        Box::pin(async move { conversation?.send(Inspect).await.ok() })
    }
}

impl Handler<ListConversations> for Router {
    type Result = ResponseFuture<Vec<(ConversationId, Snapshot)>>;

    fn handle(&mut self, list: ListConversations, _: &mut Self::Context) -> Self::Result {
        let ListConversations { after, limit } = list;
        let mut page: Vec<_> = self.live.keys().copied().filter(|id| Some(*id) > after).collect();
        if limit < page.len() {
            page.select_nth_unstable(limit);
            page.truncate(limit);
        }
        page.sort_unstable();
        let asked: Vec<_> = page
            .into_iter()
            .filter_map(|id| Some((id, self.live.get(&id)?.conversation.clone())))
            .map(async |(id, conversation)| (id, conversation.send(Inspect).await.unwrap_or_default()))
            .collect();
        Box::pin(join_all(asked))
    }
}

impl Handler<RestartConversation> for Router {
    type Result = bool;

    fn handle(&mut self, RestartConversation(id): RestartConversation, _: &mut Self::Context) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        // It must not leave before it has said again that it rests.
        live.rest = None;
        live.conversation.do_send(Act(Action::Restart));
        true
    }
}

impl Handler<CountLeftovers> for Router {
    type Result = usize;

    fn handle(&mut self, _: CountLeftovers, _: &mut Self::Context) -> usize {
        let Keepers { conversation, dispatcher, .. } = &self.shard.keepers;
        let actors = conversation.alive.get().saturating_sub(self.live.len());
        actors + conversation.tasks.get() + dispatcher.tasks.get()
    }
}
