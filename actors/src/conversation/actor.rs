//! The actor of one conversation.

mod inspect;
mod recovery;

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;

use super::buffer::{BatchLimits, Buffer, Offer, Verdict};
use super::turn::{self, TurnEnd, TurnJob};
use super::turn_gate::{TurnPermit, acquire};
use crate::domain::{Account, ConversationId, Language, OpenTurn, Tick, TurnId};
use crate::failpoint;
use crate::feed::{FeedEvent, Publish};
use crate::inbox::router::Rests;
use crate::ports::store::{ConversationState, ReplyView};
use crate::ports::{Admitted, StoreError};
use crate::shard::Shard;

/// A message became durable.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    /// The message.
    pub admitted: Box<Admitted>,
    /// The how-manieth message of the router this is.
    pub number: u64,
}

/// The conversation has something to do, as the store says.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wake {
    /// The number of the conversation's last message, where the sender knows it.
    pub last_seq: Option<u64>,
    /// The how-manieth message of the router this is.
    pub number: u64,
}

/// The router has let go; nothing else will come.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave;

/// The store has answered.
#[derive(Message)]
#[rtype(result = "()")]
struct Loaded {
    life: u32,
    /// Only the open turn was asked for, if there is one.
    only_turn: bool,
    state: Result<Option<ConversationState>, StoreError>,
}

/// A turn may run; none when the server drains.
#[derive(Message)]
#[rtype(result = "()")]
struct Granted {
    life: u32,
    permit: Option<TurnPermit>,
}

/// A run of a turn has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct TurnEnded(TurnEnd);

/// Loads in a row that may follow each other at once, because messages arrive meanwhile.
const LOADS_IN_A_ROW_MAX: u8 = 5;

/// What the conversation is doing.
enum Phase {
    /// It knows nothing yet.
    Cold,
    /// It waits for the store.
    Loading,
    /// The store was away; it asks again when the timer fires.
    Backoff,
    /// It gathers messages, or is idle.
    Gathering,
    /// A closed batch, or an open turn, waits for its permit.
    InLine,
    /// A turn runs.
    Running,
}

/// Owns the batch buffer, the timer and the one turn of a conversation; nobody else decides for it.
///
/// Sent to by its shard's router (`Deliver`, `Wake`, `Leave`, `Inspect`) and by its own tasks. Holds at most
/// `conversation.max_messages` messages. A restart loses nothing: everything here is also in the store, and a turn that runs
/// is waited for. One that panics `turns.max_attempts` times in a row reads its messages one by one; the one that it panics
/// over as often again is dead-lettered by a task beside it.
pub struct Conversation {
    id: ConversationId,
    shard: Rc<Shard>,
    phase: Phase,
    buffer: Buffer,
    open_turn: Option<Box<OpenTurn>>,
    account: Option<Box<Account>>,
    language: Option<Language>,
    /// Loads since the buffer last caught up with the store.
    loads: u8,
    /// The number of the router's last message that was begun, for the handshake by which it lets go.
    handled: u64,
    /// When the armed timer fires, if one is armed.
    armed: Option<Tick>,
    /// Told in every timer, so that one from before is recognised.
    timer_epoch: u32,
    /// Which of the values that this actor had over time; told in every question, so that an answer to a former one is
    /// recognised.
    life: u32,
    /// Panics in a row over what the store holds, since a turn last ended.
    panics: u32,
    /// It panicked too often in a row: until nothing waits any more, messages are read one by one.
    isolates: bool,
    /// While it reads one by one: what it has before it is the open turn, or looking for one.
    is_at_turn: bool,
    /// A panic now says nothing about what the store holds: an operator asked for a restart, or a message that was told of is
    /// handled, which is read again anyway.
    is_excused: bool,
}

impl Conversation {
    /// A conversation that knows nothing yet.
    #[must_use]
    pub fn new(id: ConversationId, shard: Rc<Shard>) -> Self {
        Self {
            id,
            shard,
            phase: Phase::Cold,
            buffer: Buffer::default(),
            open_turn: None,
            account: None,
            language: None,
            loads: 0,
            handled: 0,
            armed: None,
            timer_epoch: 0,
            life: 0,
            panics: 0,
            isolates: false,
            is_at_turn: true,
            is_excused: false,
        }
    }

    /// When batches close; one message at a time where they are suspected.
    fn limits(&self) -> BatchLimits {
        let limits = self.shard.batch_limits();
        if self.isolates { BatchLimits { max_messages: 1, ..limits } } else { limits }
    }

    /// Does what there is to do now: the only place where the phase moves forward.
    fn proceed(&mut self, ctx: &mut Context<Self>) {
        match self.phase {
            Phase::Loading | Phase::Backoff | Phase::InLine | Phase::Running => return,
            Phase::Cold => return self.load(ctx),
            Phase::Gathering => {}
        }
        let is_at_turn = self.isolates && self.open_turn.is_some();
        if !is_at_turn && self.buffer.is_behind(&self.limits()) {
            return self.load(ctx);
        }
        self.loads = 0;
        let now = self.shard.clock.tick();
        if let Some(turn) = &self.open_turn {
            return if turn.not_before > now { self.arm(turn.not_before, ctx) } else { self.queue_up(ctx) };
        }
        match self.buffer.verdict(now, &self.limits()) {
            Verdict::Close(_) => self.queue_up(ctx),
            Verdict::Wait(until) => self.arm(until, ctx),
            Verdict::Empty => self.rest(),
        }
    }

    /// Runs `turn` beside this actor, and hears of its end whatever happens to it.
    fn run_beside(&mut self, turn: impl Future<Output = TurnEnd> + 'static, ctx: &Context<Self>) {
        self.phase = Phase::Running;
        let (wait, conversation) = (self.shard.turns.limits().retry_max, ctx.address());
        self.shard.keepers.conversation.spawn(async move {
            let end = AssertUnwindSafe(turn).catch_unwind().await;
            conversation.do_send(TurnEnded(end.unwrap_or(TurnEnd::Reload(wait))));
        });
    }

    /// Nothing to do until something comes: tells the router, and keeps what costs memory no longer. The next message
    /// brings its account with it, and so does a load.
    fn rest(&mut self) {
        self.isolates = false;
        self.account = None;
        self.shard.router.do_send(Rests { conversation: self.id, handled: self.handled });
    }

    /// Makes sure that a timer fires at `at` or earlier. Lazy: a timer that fires too early arms the next one, so that a
    /// message which moves the deadline costs nothing.
    fn arm(&mut self, at: Tick, ctx: &mut Context<Self>) {
        if self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed = Some(at);
        self.timer_epoch = self.timer_epoch.wrapping_add(1);
        let epoch = self.timer_epoch;
        let wait = at.since(self.shard.clock.tick());
        ctx.run_later(wait, move |conversation, ctx| {
            if conversation.timer_epoch == epoch {
                conversation.armed = None;
                failpoint!("conversation.timer");
                if matches!(conversation.phase, Phase::Backoff) {
                    conversation.phase = Phase::Cold;
                }
                conversation.proceed(ctx);
            }
        });
    }

    /// Asks the store. While messages are read one by one, the open turn is looked for alone first: what it is panicked over
    /// must be told apart.
    fn load(&mut self, ctx: &mut Context<Self>) {
        self.is_at_turn = true;
        self.load_up_to(if self.isolates { 0 } else { self.limits().max_messages }, ctx);
    }

    fn load_up_to(&mut self, messages: usize, ctx: &mut Context<Self>) {
        self.phase = Phase::Loading;
        let load = self.shard.store.load_conversation(self.id, messages);
        let (life, only_turn, conversation) = (self.life, messages == 0, ctx.address());
        self.shard.keepers.conversation.spawn(async move {
            let state = load.await;
            conversation.do_send(Loaded { life, only_turn, state });
        });
    }

    /// Loads again, after a wait.
    fn load_later(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        self.phase = Phase::Backoff;
        let wait = wait.mul_f64(1.0 + self.shard.entropy.fraction());
        self.arm(self.shard.clock.tick().after(wait), ctx);
    }

    fn take_in(&mut self, state: ConversationState) {
        self.buffer.replace(state.pending, state.last_seq, state.more, state.previous_end);
        self.account = Some(Box::new(state.account));
        self.language = state.language.or(self.language);
        self.open_turn = state.open_turn.map(Box::new);
        self.phase = Phase::Gathering;
    }

    fn queue_up(&mut self, ctx: &Context<Self>) {
        self.phase = Phase::InLine;
        let interruptions = self.open_turn.as_ref().map_or(0, |turn| turn.interruptions);
        let is_suspect = self.shard.turns.limits().is_suspect(interruptions);
        // Among suspects the least often interrupted goes first; all others wait in order.
        let (gate, priority) = match is_suspect {
            true => (&self.shard.suspect_gate, interruptions),
            false => (&self.shard.turn_gate, 0),
        };
        let (gate, life, conversation) = (gate.clone(), self.life, ctx.address());
        self.shard.keepers.conversation.spawn(async move {
            conversation.do_send(Granted { life, permit: acquire(&gate, priority).await });
        });
    }

    /// The job to run now: the open turn, or the batch that is closed now.
    fn next_job(&mut self) -> Option<TurnJob> {
        let account = self.account.as_deref()?.clone();
        let job = if let Some(turn) = self.open_turn.take() {
            TurnJob { turn: *turn, ..TurnJob::first(self.id, account, TurnId::new(self.id.uuid()), vec![]) }
        } else {
            let now = self.shard.clock.tick();
            let Verdict::Close(batch) = self.buffer.verdict(now, &self.limits()) else {
                return None;
            };
            let messages = self.buffer.peek(&batch);
            self.buffer.remove(&messages);
            let id = TurnId::new(self.shard.entropy.uuid());
            let closed_at = batch.closed_at;
            TurnJob { closed_at, ..TurnJob::first(self.id, account, id, messages) }
        };
        Some(TurnJob { known_seq: self.buffer.known_seq(), language: self.language, ..job })
    }

    fn publish(&self, event: FeedEvent) {
        if self.account.as_ref().is_some_and(|account| account.channel.is_read_from_store()) {
            self.shard.feed.do_send(Publish { conversation: self.id, event });
        }
    }

    fn publish_gathering(&self) {
        let now = self.shard.clock.tick();
        if let Verdict::Wait(until) = self.buffer.verdict(now, &self.limits()) {
            let closes_in_ms = u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
            self.publish(FeedEvent::Gathering { messages: self.buffer.len(), closes_in_ms });
        }
    }

    fn publish_replies(&self, replies: Vec<ReplyView>) {
        for reply in replies {
            let ReplyView { id: part, position, turn, text, at, .. } = reply;
            self.publish(FeedEvent::Reply { part, position, turn, text, at });
        }
    }
}

impl Actor for Conversation {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.life > 0 {
            self.recover(ctx);
        }
    }
}

impl Handler<Deliver> for Conversation {
    type Result = ();

    fn handle(&mut self, Deliver { admitted, number }: Deliver, ctx: &mut Self::Context) {
        self.handled = number;
        self.is_excused = true;
        failpoint!("conversation.deliver", text: admitted.message.text.as_deref().unwrap_or_default());
        let Admitted { account, message, pending, previous_end, language, .. } = *admitted;
        if self.account.is_none() {
            self.account = Some(Box::new(account));
        }
        self.language = self.language.or(language);
        if matches!(self.phase, Phase::Cold) && pending == 1 {
            // Nothing else waits in the store, so there is nothing to load.
            self.buffer = Buffer::knowing(message.seq.saturating_sub(1), previous_end);
            self.phase = Phase::Gathering;
        }
        let offer = self.buffer.offer(message, &self.limits());
        if offer == Offer::Held {
            self.publish_gathering();
        }
        self.is_excused = false;
        self.proceed(ctx);
    }
}

impl Handler<Wake> for Conversation {
    type Result = ();

    fn handle(&mut self, wake: Wake, ctx: &mut Self::Context) {
        self.handled = wake.number;
        failpoint!("conversation.wake");
        if let Some(seq) = wake.last_seq {
            self.buffer.hear(seq);
        }
        // The store says that something waits: an actor that holds nothing has missed it.
        let holds_nothing = self.buffer.is_empty() && self.open_turn.is_none();
        if matches!(self.phase, Phase::Gathering) && (holds_nothing || wake.last_seq.is_none()) {
            self.phase = Phase::Cold;
        }
        self.proceed(ctx);
    }
}

impl Handler<Leave> for Conversation {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<Loaded> for Conversation {
    type Result = ();

    fn handle(&mut self, Loaded { life, only_turn, state }: Loaded, ctx: &mut Self::Context) {
        if life != self.life {
            return;
        }
        failpoint!("conversation.loaded", text: &format!("{state:?}"));
        match state {
            Ok(Some(state)) if only_turn && state.open_turn.is_none() => {
                self.is_at_turn = false;
                self.load_up_to(1, ctx);
            }
            Ok(Some(state)) => {
                self.take_in(state);
                self.publish_gathering();
                self.loads = self.loads.saturating_add(1);
                if self.loads > LOADS_IN_A_ROW_MAX && self.buffer.is_behind(&self.limits()) {
                    return self.load_later(self.shard.store.retry_after(), ctx);
                }
                self.proceed(ctx);
            }
            Ok(None) => {
                tracing::error!(conversation.id = %self.id, "an unknown conversation was woken");
                self.phase = Phase::Cold;
                self.rest();
            }
            Err(StoreError::Corrupt(_)) => {
                // The store has set it aside, and said so: asking again changes nothing before somebody has mended it.
                self.buffer = Buffer::default();
                self.open_turn = None;
                self.phase = Phase::Cold;
                self.rest();
            }
            Err(error) => {
                tracing::warn!(conversation.id = %self.id, %error, "a conversation cannot be loaded; it tries again");
                self.load_later(self.shard.store.retry_after(), ctx);
            }
        }
    }
}

impl Handler<Granted> for Conversation {
    type Result = ();

    fn handle(&mut self, Granted { life, permit }: Granted, ctx: &mut Self::Context) {
        if life != self.life {
            return;
        }
        failpoint!("conversation.granted");
        let Some(permit) = permit else { return self.load_later(self.shard.store.retry_after(), ctx) };
        self.phase = Phase::Gathering;
        let Some(job) = self.next_job() else { return self.proceed(ctx) };
        self.publish(FeedEvent::Answering { turn: job.turn.id });
        let shard = Rc::clone(&self.shard);
        let turn = async move {
            let (mut permit, clock, due_at) = (permit, Arc::clone(&shard.clock), job.due_at());
            let end = turn::run(shard, job).await;
            if let (TurnEnd::Committed { .. }, Some(due_at)) = (&end, due_at) {
                permit.answered(clock.tick().since(due_at));
            }
            end
        };
        self.run_beside(turn, ctx);
    }
}

impl Handler<TurnEnded> for Conversation {
    type Result = ();

    fn handle(&mut self, TurnEnded(end): TurnEnded, ctx: &mut Self::Context) {
        self.phase = Phase::Cold;
        failpoint!("conversation.turn_ended");
        // A value that has not loaded since its last panic does not know what else there is.
        if self.buffer.known_seq() > 0 && !self.isolates {
            self.phase = Phase::Gathering;
        }
        match end {
            TurnEnd::Committed { at, language, last_seq, replies } => {
                self.panics = 0;
                self.language = Some(language);
                self.buffer.turn_ended(at);
                self.buffer.hear(last_seq);
                self.publish_replies(replies);
                self.publish(FeedEvent::Idle);
                self.publish_gathering();
            }
            TurnEnd::Waits(turn) => self.open_turn = Some(Box::new(turn)),
            TurnEnd::Reload(Duration::ZERO) => self.phase = Phase::Cold,
            TurnEnd::Reload(wait) => return self.load_later(wait, ctx),
        }
        self.proceed(ctx);
    }
}
