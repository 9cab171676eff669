//! What a dispatcher does after a panic, what it says about itself, and what an operator can ask of it.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use serde_json::json;

use super::send::make_mark;
use super::{Dispatcher, End, Lane, SendEnded};
use crate::domain::{ConversationId, OutboxPart};
use crate::ports::StoreError;
use crate::ports::store::Mark;
use crate::supervision::snapshot::{Act, Inspect, Snapshot, State};
use crate::supervision::supervised::obey;

/// Lanes with a part that is marked as being sent, as the store says.
#[derive(Message)]
#[rtype(result = "()")]
struct Orphans {
    life: u32,
    lanes: Result<Vec<ConversationId>, StoreError>,
}

impl Dispatcher {
    /// Whether sends of a former life are under way, so that nobody knows which parts they are.
    pub(super) const fn is_settling(&self) -> bool {
        self.former_in_flight > 0
    }

    /// One of them has ended.
    pub(super) fn former_ended(&mut self, ctx: &mut Context<Self>) {
        self.former_in_flight = self.former_in_flight.saturating_sub(1);
        if !self.is_settling() {
            self.find_orphans(ctx);
        }
    }

    /// Looks for parts that are marked as being sent although nobody sends them: what was lost with a former life.
    pub(super) fn find_orphans(&self, ctx: &Context<Self>) {
        let lanes = self.shard.store.sending_lanes(self.shard.outbox.lanes_max);
        let (life, dispatcher) = (self.life, ctx.address());
        self.shard
            .keepers
            .dispatcher
            .spawn(async move { dispatcher.do_send(Orphans { life, lanes: lanes.await }) });
    }

    /// Settles a `sending` mark that no send of this process belongs to.
    pub(super) fn settle(&mut self, part: &OutboxPart, is_unposted: bool, ctx: &Context<Self>) {
        let now = self.shard.clock.tick();
        let (id, attempt) = (part.id, part.attempt);
        let mark = if is_unposted {
            Mark::Retry { part: id, attempt, not_before: now, error: "never handed to the channel".into() }
        } else {
            let hold = Duration::from_millis(self.shard.outbox.ambiguous_hold_ms);
            Mark::Ambiguous {
                part: id,
                attempt,
                hold_until: now.after(hold),
                error: "the sender was lost".into(),
            }
        };
        let (shard, dispatcher, conversation) = (Rc::clone(&self.shard), ctx.address(), part.conversation);
        let life = self.life;
        self.shard.keepers.dispatcher.spawn(async move {
            let mark = AssertUnwindSafe(make_mark(&shard, mark)).catch_unwind();
            let end = mark.await.unwrap_or(End::Contradicted);
            dispatcher.do_send(SendEnded { conversation, channel: None, life, end });
        });
        self.in_flight += 1;
    }
}

impl Supervised for Dispatcher {
    fn restarting(&mut self, _: &mut Self::Context) {
        *self = Self {
            former_in_flight: self.former_in_flight + self.in_flight,
            ended: self.ended,
            is_closed: self.is_closed,
            is_paused: self.is_paused,
            life: self.life.wrapping_add(1),
            timer_epoch: self.timer_epoch.wrapping_add(1),
            ..Self::new(Rc::clone(&self.shard))
        };
    }
}

impl Handler<Orphans> for Dispatcher {
    type Result = ();

    fn handle(&mut self, Orphans { life, lanes }: Orphans, ctx: &mut Self::Context) {
        if life != self.life {
            return;
        }
        let lanes = match lanes {
            Ok(lanes) => lanes,
            Err(error) => {
                tracing::warn!(%error, "parts that nobody sends cannot be looked for; trying again");
                ctx.run_later(self.shard.store.retry_after(), move |dispatcher, ctx| {
                    if dispatcher.life == life {
                        dispatcher.find_orphans(ctx);
                    }
                });
                return;
            }
        };
        for conversation in lanes {
            if self.shard.owns(conversation) && !self.lanes.contains_key(&conversation) {
                self.lanes.insert(conversation, Lane::stale());
                self.advance(conversation, ctx);
            }
        }
    }
}

impl Handler<Inspect> for Dispatcher {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let state = match (self.is_closed, self.is_paused, self.is_settling()) {
            (true, _, _) => State::Draining,
            (_, true, _) => State::Paused,
            (_, _, true) => State::Restarting,
            _ => State::Running,
        };
        MessageResult(Snapshot {
            state: Some(state),
            waiting: Some(self.ready.len()),
            in_flight: Some(self.in_flight),
            handled: Some(self.ended),
            detail: json!({
                "lanes": self.lanes.len(), "waiting_for_a_time": self.waiting.len(),
                "sends_of_a_former_life": self.former_in_flight,
            }),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for Dispatcher {
    type Result = ();

    fn handle(&mut self, Act(action): Act, ctx: &mut Self::Context) {
        self.is_paused = obey(action, &self.shard.keepers.dispatcher.reporter);
        self.fill(ctx);
    }
}
