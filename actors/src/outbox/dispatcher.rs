//! The dispatcher of one shard: sends the parts of its conversations, each conversation's in order.

mod down;
mod recovery;
mod send;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use tracing::Instrument;

use super::lane::{Lane, Next};
use crate::domain::{Channel, ConversationId, OutboxPart, PartState, Tick};
use crate::failpoint;
use crate::ports::StoreError;
use crate::ports::store::Mark;
use crate::shard::Shard;
use crate::supervision::snapshot::{Action, Kind};
use down::Down;
use send::send;

/// Asks for a permit to mark a conversation's first part as being sent in the very commit of its turn.
#[derive(Message)]
#[rtype(result = "Option<SendPermit>")]
pub struct Reserve(pub ConversationId);

/// Parts have been committed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enqueue {
    /// Whose.
    pub conversation: ConversationId,
    /// The parts, in order.
    pub parts: Vec<OutboxPart>,
    /// The permit, where the commit carried the first mark.
    pub permit: Option<SendPermit>,
}

/// The store has parts of this conversation that may be sent.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WakeLane(pub ConversationId);

/// The store's parts of this conversation were changed by others: a status, a replay, a reply that an operator wrote.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LaneChanged(pub ConversationId);

/// Nothing new is sent from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseDispatcher;

/// How many sends and reservations are under way.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountSends;

/// A permit came back unused.
#[derive(Message)]
#[rtype(result = "()")]
struct Unreserve {
    conversation: ConversationId,
    life: u32,
}

/// The store has answered.
#[derive(Message)]
#[rtype(result = "()")]
struct LaneLoaded {
    conversation: ConversationId,
    life: u32,
    parts: Result<Vec<OutboxPart>, StoreError>,
}

/// A send has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct SendEnded {
    conversation: ConversationId,
    /// By which it went, unless it was only marked.
    channel: Option<Channel>,
    life: u32,
    end: End,
}

/// How a send ends.
enum End {
    /// With this mark, durable.
    Marked(Mark),
    /// The same, and the channel is down: nothing was sent, and nothing will be for a while.
    ChannelDown(Mark),
    /// The store knows better.
    Contradicted,
    /// The store is away; nothing was sent.
    StoreAway,
    /// Nothing was sent, and whether the store has the mark is not known.
    Unposted,
}

/// A place for one send of one conversation; given back when dropped unused.
pub struct SendPermit {
    conversation: ConversationId,
    life: u32,
    dispatcher: Option<Addr<Dispatcher>>,
}

impl SendPermit {
    /// Uses the permit up; answers in which life of the dispatcher it was given.
    fn consume(mut self) -> u32 {
        self.dispatcher = None;
        self.life
    }
}

impl Drop for SendPermit {
    fn drop(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.do_send(Unreserve { conversation: self.conversation, life: self.life });
        }
    }
}

/// Owns the lanes of its shard's conversations and the count of sends under way.
///
/// Sent to by turns (`Reserve`, `Enqueue`), by the sweep and the store's writer (`WakeLane`, `LaneChanged`), and by its own
/// tasks. Bounded by `outbox.in_flight_max` sends, `outbox.lanes_max` lanes and `outbox.lane_max` parts a lane; what is
/// beyond stays in the store. A restart loses nothing: sends under way end by themselves, and until the last of them has, no
/// other lane is begun; a part that is marked as being sent and that nobody sends is ambiguous then.
pub struct Dispatcher {
    shard: Rc<Shard>,
    lanes: HashMap<ConversationId, Lane>,
    in_flight: usize,
    /// Lanes that could send but for the limit.
    ready: VecDeque<ConversationId>,
    /// Lanes that wait for a tick.
    waiting: BTreeSet<(Tick, ConversationId)>,
    armed: Option<Tick>,
    timer_epoch: u32,
    is_closed: bool,
    /// An operator asked that no send begins.
    is_paused: bool,
    /// Channels that are down.
    down: BTreeMap<Channel, Down>,
    /// Sends, marks and reservations of former lives: until they have ended, nobody knows which parts are under way.
    former_in_flight: usize,
    /// Sends and marks that have ended.
    ended: u64,
    /// Which of the values that this actor had over time.
    life: u32,
}

impl Dispatcher {
    /// A dispatcher without lanes.
    #[must_use]
    pub fn new(shard: Rc<Shard>) -> Self {
        Self {
            shard,
            lanes: HashMap::new(),
            in_flight: 0,
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            armed: None,
            timer_epoch: 0,
            is_closed: false,
            is_paused: false,
            down: BTreeMap::new(),
            former_in_flight: 0,
            ended: 0,
            life: 0,
        }
    }

    fn has_room(&self) -> bool {
        !self.is_closed && !self.is_paused && self.in_flight < self.shard.outbox.in_flight_max.max(1)
    }

    /// Does what the lane can do now.
    fn advance(&mut self, conversation: ConversationId, ctx: &mut Context<Self>) {
        let now = self.shard.clock.tick();
        let has_room = self.has_room();
        let Some(next) = self.lanes.get(&conversation).map(|lane| lane.next(now)) else { return };
        let next = self.unless_down(next, now);
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        match next {
            Next::Busy => {}
            Next::Done => {
                self.lanes.remove(&conversation);
            }
            Next::Load => {
                lane.begin_load();
                self.load(conversation, ctx);
            }
            Next::Wait(until) => {
                self.waiting.insert((until, conversation));
                self.arm(ctx);
            }
            // One that carries its mark is sent even while the server drains: nobody could send it later.
            Next::Send(part) if self.is_closed && part.state != PartState::Sending => {}
            Next::Send(part) if !has_room && part.state != PartState::Sending => {
                if lane.line_up() {
                    self.ready.push_back(conversation);
                }
            }
            Next::Send(part) => {
                if let Some(down) = self.down.get_mut(&part.account.channel) {
                    down.is_probing = true;
                }
                lane.begin();
                self.begin(*part, ctx);
            }
        }
    }

    fn load(&self, conversation: ConversationId, ctx: &Context<Self>) {
        let now = self.shard.clock.tick();
        let load = self.shard.store.load_lane(conversation, now, self.shard.outbox.lane_max.max(1));
        let (life, dispatcher) = (self.life, ctx.address());
        self.shard.keepers.dispatcher.spawn(async move {
            dispatcher.do_send(LaneLoaded { conversation, life, parts: load.await });
        });
    }

    /// Begins to send a part, with room for it.
    fn begin(&mut self, part: OutboxPart, ctx: &Context<Self>) {
        let conversation = part.conversation;
        let Some(channel) = self.shard.channels.get(&part.account.channel) else {
            // The channel was switched off; its parts stay pending until it is on again.
            self.lanes.remove(&conversation);
            return;
        };
        let (shard, front, dispatcher) = (Rc::clone(&self.shard), channel.front.clone(), ctx.address());
        let (life, channel) = (self.life, part.account.channel);
        self.shard.keepers.dispatcher.spawn(async move {
            let (id, turn) = (part.id, part.turn);
            let span =
                tracing::info_span!("send", conversation.id = %conversation, turn.id = %turn, part.id = %id);
            // After a panic nobody knows how far the send came; what the store has of it is settled when it is loaded.
            let send = AssertUnwindSafe(send(&shard, &front, part)).catch_unwind();
            let end = send.instrument(span).await.unwrap_or(End::Contradicted);
            dispatcher.do_send(SendEnded { conversation, channel: Some(channel), life, end });
        });
        self.in_flight += 1;
    }

    /// A send, a mark or a reservation of this life, or of a former one, has ended; true if it was of this one. Counted
    /// before anything else is done about it, so that no panic loses the count.
    fn gives_back(&mut self, life: u32, ctx: &mut Context<Self>) -> bool {
        if life == self.life {
            self.in_flight = self.in_flight.saturating_sub(1);
            return true;
        }
        self.former_ended(ctx);
        false
    }

    /// Lets lanes that wait for a place go on.
    fn fill(&mut self, ctx: &mut Context<Self>) {
        while self.has_room() {
            let Some(conversation) = self.ready.pop_front() else { return };
            if let Some(lane) = self.lanes.get_mut(&conversation) {
                lane.leave_line();
            }
            self.advance(conversation, ctx);
        }
    }

    /// Arms the one timer for the lane that waits the shortest.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some((first, _)) = self.waiting.first().copied() else { return };
        if self.armed.is_some_and(|armed| armed <= first) {
            return;
        }
        self.armed = Some(first);
        self.timer_epoch = self.timer_epoch.wrapping_add(1);
        let epoch = self.timer_epoch;
        ctx.run_later(first.since(self.shard.clock.tick()), move |dispatcher, ctx| {
            if dispatcher.timer_epoch == epoch {
                dispatcher.armed = None;
                dispatcher.wake_waiting(ctx);
            }
        });
    }

    fn wake_waiting(&mut self, ctx: &mut Context<Self>) {
        let now = self.shard.clock.tick();
        while let Some((until, conversation)) = self.waiting.first().copied() {
            if until > now {
                break;
            }
            self.waiting.pop_first();
            self.advance(conversation, ctx);
        }
        self.arm(ctx);
    }

    /// Whether the lane is held, or could be.
    fn has_lane(&self, conversation: ConversationId) -> bool {
        self.lanes.len() < self.shard.outbox.lanes_max.max(1) || self.lanes.contains_key(&conversation)
    }

    fn wait(&mut self, conversation: ConversationId, ctx: &mut Context<Self>) {
        let until = self.shard.clock.tick().after(self.shard.store.retry_after());
        self.waiting.insert((until, conversation));
        self.arm(ctx);
    }
}

impl Actor for Dispatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.shard.keepers.dispatcher.reporter.register(Kind::Actor, inspect, Some(act), &Action::ALL);
        if self.life > 0 && !self.is_settling() {
            self.find_orphans(ctx);
        }
    }
}

impl Handler<Reserve> for Dispatcher {
    type Result = Option<SendPermit>;

    fn handle(&mut self, Reserve(conversation): Reserve, ctx: &mut Self::Context) -> Option<SendPermit> {
        let is_free = self.lanes.get(&conversation).is_none_or(Lane::is_free);
        if !self.has_room() || self.is_settling() || !self.has_lane(conversation) || !is_free {
            return None;
        }
        failpoint!("dispatcher.reserve");
        self.lanes.entry(conversation).or_default().reserve();
        self.in_flight += 1;
        Some(SendPermit { conversation, life: self.life, dispatcher: Some(ctx.address()) })
    }
}

impl Handler<Enqueue> for Dispatcher {
    type Result = ();

    fn handle(&mut self, enqueue: Enqueue, ctx: &mut Self::Context) {
        failpoint!("dispatcher.enqueue");
        let Enqueue { conversation, parts, permit } = enqueue;
        let is_reserved = permit.is_some();
        if let Some(permit) = permit {
            let life = permit.consume();
            self.gives_back(life, ctx);
        }
        if !self.has_lane(conversation) || (!is_reserved && self.is_settling()) {
            // The parts are in the store; the sweep comes back for them.
            return;
        }
        let lane_max = self.shard.outbox.lane_max.max(1);
        self.lanes.entry(conversation).or_default().append(parts, lane_max, is_reserved);
        self.advance(conversation, ctx);
        self.fill(ctx);
    }
}

impl Handler<Unreserve> for Dispatcher {
    type Result = ();

    fn handle(&mut self, Unreserve { conversation, life }: Unreserve, ctx: &mut Self::Context) {
        if self.gives_back(life, ctx) {
            if let Some(lane) = self.lanes.get_mut(&conversation) {
                lane.unreserve();
            }
        } else {
            // Its lane is forgotten; what was reserved for it was surely not sent.
            self.lanes.entry(conversation).or_insert_with(Lane::stale).unreserve();
        }
        self.advance(conversation, ctx);
        self.fill(ctx);
    }
}

impl Handler<WakeLane> for Dispatcher {
    type Result = ();

    fn handle(&mut self, WakeLane(conversation): WakeLane, ctx: &mut Self::Context) {
        failpoint!("dispatcher.wake");
        if self.is_closed || self.is_settling() || !self.has_lane(conversation) {
            return;
        }
        // A lane that is known moves by itself; only one that holds nothing has missed something.
        self.lanes.entry(conversation).or_insert_with(Lane::stale).hear();
        self.advance(conversation, ctx);
    }
}

impl Handler<LaneChanged> for Dispatcher {
    type Result = ();

    fn handle(&mut self, LaneChanged(conversation): LaneChanged, ctx: &mut Self::Context) {
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            lane.invalidate();
        } else if self.is_closed || self.is_settling() || !self.has_lane(conversation) {
            return;
        } else {
            self.lanes.insert(conversation, Lane::stale());
        }
        self.advance(conversation, ctx);
    }
}

impl Handler<LaneLoaded> for Dispatcher {
    type Result = ();

    fn handle(&mut self, loaded: LaneLoaded, ctx: &mut Self::Context) {
        let LaneLoaded { conversation, life, parts } = loaded;
        if life != self.life {
            return;
        }
        failpoint!("dispatcher.loaded");
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        let parts = match parts {
            Ok(parts) => parts,
            Err(StoreError::Corrupt(_)) => {
                // Its conversation is set aside.
                self.lanes.remove(&conversation);
                return;
            }
            Err(error) => {
                tracing::warn!(conversation.id = %conversation, %error, "a lane cannot be loaded; it tries again");
                lane.failed_to_load();
                return self.wait(conversation, ctx);
            }
        };
        let orphan = parts.first().filter(|part| part.state == PartState::Sending).cloned();
        lane.loaded(parts, self.shard.outbox.lane_max);
        let is_unposted = lane.is_unposted();
        lane.settle_unposted();
        if let Some(orphan) = orphan {
            lane.begin();
            return self.settle(&orphan, is_unposted, ctx);
        }
        self.advance(conversation, ctx);
    }
}

impl Handler<SendEnded> for Dispatcher {
    type Result = ();

    fn handle(&mut self, ended: SendEnded, ctx: &mut Self::Context) {
        let SendEnded { conversation, channel, life, end } = ended;
        if !self.gives_back(life, ctx) {
            return;
        }
        self.ended += 1;
        failpoint!("dispatcher.send_ended");
        if let Some(channel) = channel {
            self.hear_of_channel(channel, &end);
        }
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            match end {
                End::Marked(mark) | End::ChannelDown(mark) => lane.ended(&mark),
                End::Contradicted => lane.contradicted(),
                End::Unposted => {
                    lane.lost_mark();
                    self.wait(conversation, ctx);
                    return self.fill(ctx);
                }
                End::StoreAway => {
                    lane.failed_to_begin();
                    self.wait(conversation, ctx);
                    return self.fill(ctx);
                }
            }
        }
        self.advance(conversation, ctx);
        self.fill(ctx);
    }
}

impl Handler<CloseDispatcher> for Dispatcher {
    type Result = ();

    fn handle(&mut self, _: CloseDispatcher, _: &mut Self::Context) {
        self.is_closed = true;
    }
}

impl Handler<CountSends> for Dispatcher {
    type Result = usize;

    fn handle(&mut self, _: CountSends, _: &mut Self::Context) -> usize {
        self.in_flight + self.former_in_flight
    }
}
