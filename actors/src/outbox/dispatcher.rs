//! The dispatcher of one shard: sends the parts of its conversations, each conversation's in order.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use tracing::Instrument;

use super::lane::{Lane, Next};
use super::retry::mark_of;
use crate::domain::{ConversationId, OutboxPart, PartState, Tick};
use crate::failpoint;
use crate::ports::store::Mark;
use crate::ports::{Outbound, StoreError};
use crate::services::ChannelService;
use crate::shard::Shard;
use crate::supervision::FrontHandle;

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

/// The store's parts of this conversation were changed by others: a status, a replay.
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
struct Unreserve(ConversationId);

/// The store has answered.
#[derive(Message)]
#[rtype(result = "()")]
struct LaneLoaded {
    conversation: ConversationId,
    parts: Result<Vec<OutboxPart>, StoreError>,
}

/// A send has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct SendEnded {
    conversation: ConversationId,
    end: End,
}

/// How a send ends.
enum End {
    /// With this mark, durable.
    Marked(Mark),
    /// The store knows better.
    Contradicted,
    /// The store is away; nothing was sent.
    StoreAway,
}

/// A place for one send of one conversation; given back when dropped unused.
pub struct SendPermit {
    conversation: ConversationId,
    dispatcher: Option<Addr<Dispatcher>>,
}

impl SendPermit {
    /// Uses the permit up.
    fn consume(mut self) {
        self.dispatcher = None;
    }
}

impl Drop for SendPermit {
    fn drop(&mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.do_send(Unreserve(self.conversation));
        }
    }
}

/// Owns the lanes of its shard's conversations and the count of sends under way.
///
/// Sent to by turns (`Reserve`, `Enqueue`), by the sweep and the store's writer (`WakeLane`, `LaneChanged`), and by its own
/// tasks. Bounded by `outbox.in_flight_max` sends, `outbox.lanes_max` lanes and `outbox.lane_max` parts a lane; what is
/// beyond stays in the store. A restart loses nothing but the knowledge of which sends were under way; their parts become
/// ambiguous.
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
        }
    }

    fn has_room(&self) -> bool {
        !self.is_closed && self.in_flight < self.shard.outbox.in_flight_max.max(1)
    }

    /// Does what the lane can do now.
    fn advance(&mut self, conversation: ConversationId, ctx: &mut Context<Self>) {
        let now = self.shard.clock.tick();
        let has_room = self.has_room();
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        match lane.next(now) {
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
                lane.begin();
                self.begin(*part, ctx);
            }
        }
    }

    fn load(&self, conversation: ConversationId, ctx: &Context<Self>) {
        let now = self.shard.clock.tick();
        let load = self.shard.store.load_lane(conversation, now, self.shard.outbox.lane_max.max(1));
        let dispatcher = ctx.address();
        actix_rt::spawn(async move {
            dispatcher.do_send(LaneLoaded { conversation, parts: load.await });
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
        self.in_flight += 1;
        let (shard, front, dispatcher) = (Rc::clone(&self.shard), channel.front.clone(), ctx.address());
        actix_rt::spawn(async move {
            let (id, turn) = (part.id, part.turn);
            let span =
                tracing::info_span!("send", conversation.id = %conversation, turn.id = %turn, part.id = %id);
            // After a panic nobody knows how far the send came; what the store has of it is settled when it is loaded.
            let send = AssertUnwindSafe(send(&shard, &front, part)).catch_unwind();
            let end = send.instrument(span).await.unwrap_or(End::Contradicted);
            dispatcher.do_send(SendEnded { conversation, end });
        });
    }

    /// Settles a `sending` mark that no send of this process belongs to.
    fn settle(&mut self, part: &OutboxPart, is_unposted: bool, ctx: &Context<Self>) {
        self.in_flight += 1;
        let now = self.shard.clock.tick();
        let (id, attempt) = (part.id, part.attempt);
        let mark = if is_unposted {
            Mark::Retry { part: id, attempt, not_before: now, error: "never handed to the channel".into() }
        } else {
            let hold = std::time::Duration::from_millis(self.shard.outbox.ambiguous_hold_ms);
            Mark::Ambiguous {
                part: id,
                attempt,
                hold_until: now.after(hold),
                error: "the sender was lost".into(),
            }
        };
        let (shard, dispatcher, conversation) = (Rc::clone(&self.shard), ctx.address(), part.conversation);
        actix_rt::spawn(async move {
            let end = make_mark(&shard, mark).await;
            dispatcher.do_send(SendEnded { conversation, end });
        });
    }

    /// Gives a place back to the lanes that wait for one.
    fn release(&mut self, ctx: &mut Context<Self>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.fill(ctx);
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

/// Marks, sends, marks.
async fn send(shard: &Shard, front: &FrontHandle<ChannelService>, mut part: OutboxPart) -> End {
    if part.state != PartState::Sending {
        part.attempt += 1;
        let recipient = part.recipient.clone();
        let mark = Mark::Sending { part: part.id, attempt: part.attempt, recipient };
        match shard.store.mark_parts(vec![mark]).await.as_deref() {
            Ok([true]) => part.state = PartState::Sending,
            Ok(_) => return End::Contradicted,
            Err(_away) => return End::StoreAway,
        }
    }
    failpoint!("outbox.before_post");
    let outbound = Outbound {
        part: part.id,
        account: part.account.clone(),
        recipient: part.recipient.clone(),
        text: part.text.clone(),
    };
    let result = front.call(outbound).await;
    failpoint!("outbox.after_post");
    if let Err(error) = &result {
        tracing::warn!(conversation.id = %part.conversation, part.id = %part.id, %error, "a part was not sent");
    }
    let now = (shard.clock.now(), shard.clock.tick());
    let mark = mark_of(&part, result, now, &shard.outbox, shard.entropy.fraction());
    make_mark(shard, mark).await
}

/// Makes a mark, for as long as it takes: what happened has happened.
async fn make_mark(shard: &Shard, mark: Mark) -> End {
    loop {
        match shard.store.mark_parts(vec![mark.clone()]).await.as_deref() {
            Ok([true]) => return End::Marked(mark),
            Ok(_) | Err(StoreError::Closed | StoreError::Refused(_)) => return End::Contradicted,
            Err(StoreError::Overloaded { .. } | StoreError::Unavailable(_)) => {
                tokio::time::sleep(shard.store.retry_after()).await;
            }
        }
    }
}

impl Actor for Dispatcher {
    type Context = Context<Self>;
}

impl Handler<Reserve> for Dispatcher {
    type Result = Option<SendPermit>;

    fn handle(&mut self, Reserve(conversation): Reserve, ctx: &mut Self::Context) -> Option<SendPermit> {
        let is_free = self.lanes.get(&conversation).is_none_or(Lane::is_free);
        if !self.has_room() || !self.has_lane(conversation) || !is_free {
            return None;
        }
        self.lanes.entry(conversation).or_default().reserve();
        self.in_flight += 1;
        Some(SendPermit { conversation, dispatcher: Some(ctx.address()) })
    }
}

impl Handler<Enqueue> for Dispatcher {
    type Result = ();

    fn handle(&mut self, enqueue: Enqueue, ctx: &mut Self::Context) {
        let Enqueue { conversation, parts, permit } = enqueue;
        if !self.has_lane(conversation) {
            // The parts are in the store; the sweep comes back for them.
            return;
        }
        let lane_max = self.shard.outbox.lane_max.max(1);
        self.lanes.entry(conversation).or_default().append(parts, lane_max, permit.is_some());
        if let Some(permit) = permit {
            permit.consume();
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        self.advance(conversation, ctx);
        self.fill(ctx);
    }
}

impl Handler<Unreserve> for Dispatcher {
    type Result = ();

    fn handle(&mut self, Unreserve(conversation): Unreserve, ctx: &mut Self::Context) {
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            lane.unreserve();
        }
        self.advance(conversation, ctx);
        self.release(ctx);
    }
}

impl Handler<WakeLane> for Dispatcher {
    type Result = ();

    fn handle(&mut self, WakeLane(conversation): WakeLane, ctx: &mut Self::Context) {
        if self.is_closed || !self.has_lane(conversation) {
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
            self.advance(conversation, ctx);
        }
    }
}

impl Handler<LaneLoaded> for Dispatcher {
    type Result = ();

    fn handle(&mut self, loaded: LaneLoaded, ctx: &mut Self::Context) {
        let LaneLoaded { conversation, parts } = loaded;
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        let parts = match parts {
            Ok(parts) => parts,
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
        let SendEnded { conversation, end } = ended;
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            match end {
                End::Marked(mark) => lane.ended(&mark),
                End::Contradicted => lane.contradicted(),
                End::StoreAway => {
                    lane.failed_to_begin();
                    self.wait(conversation, ctx);
                    return self.release(ctx);
                }
            }
        }
        self.advance(conversation, ctx);
        self.release(ctx);
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
        self.in_flight
    }
}
