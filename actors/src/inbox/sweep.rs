//! The sweep: finds in the store what a lost hint left behind, and everything that waits after a restart.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::router::{RouteWake, Router};
use crate::domain::{ConversationId, Tick};
use crate::failpoint;
use crate::outbox::dispatcher::{Dispatcher, WakeLane};
use crate::ports::store::Overdue;
use crate::ports::{Clock, Store, StoreError};
use crate::settings::SweepSettings;
use crate::supervision::snapshot::{Act, Action, Depth, Inspect, Kind, Snapshot};
use crate::supervision::supervised::{Keeper, unwind_for_restart};

/// A page of the inbox came back.
#[derive(Message)]
#[rtype(result = "()")]
struct InboxPage {
    life: u32,
    rows: Result<Vec<Overdue>, StoreError>,
}

/// A page of the outbox came back.
#[derive(Message)]
#[rtype(result = "()")]
struct OutboxPage {
    life: u32,
    rows: Result<Vec<ConversationId>, StoreError>,
}

/// Owns the two cursors into the store.
///
/// Sent to by nobody but its own timer and tasks. One page of each kind is under way at a time, each of at most
/// `page_max` rows; a full page is followed by the next one at once, else by a wait of `sweep_ms`. A restart begins anew.
pub struct Sweep {
    parts: Rc<SweepParts>,
    inbox_cursor: Option<(Tick, ConversationId)>,
    outbox_cursor: Option<ConversationId>,
    pages: u64,
    /// Which of the values that this actor had over time: the tasks of a former one keep no second pair of loops alive.
    life: u32,
}

/// What a sweep works with.
pub struct SweepParts {
    /// What is read.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Every shard's router, in order, with its depth.
    pub routers: Vec<(Addr<Router>, Depth)>,
    /// Every shard's dispatcher, in order.
    pub dispatchers: Vec<Addr<Dispatcher>>,
    /// How often and how much.
    pub settings: SweepSettings,
    /// What keeps the sweep alive.
    pub keeper: Rc<Keeper>,
}

impl Sweep {
    /// A sweep over all shards.
    #[must_use]
    pub const fn new(parts: Rc<SweepParts>) -> Self {
        Self { parts, inbox_cursor: None, outbox_cursor: None, pages: 0, life: 0 }
    }

    fn sweep_inbox(&self, ctx: &Context<Self>) {
        let SweepParts { store, clock, settings, .. } = &*self.parts;
        let page = store.overdue(clock.tick(), self.inbox_cursor, settings.page_max);
        let (life, sweep) = (self.life, ctx.address());
        self.parts.keeper.spawn(async move { sweep.do_send(InboxPage { life, rows: page.await }) });
    }

    fn sweep_outbox(&self, ctx: &Context<Self>) {
        let SweepParts { store, clock, settings, .. } = &*self.parts;
        let page = store.due_lanes(clock.tick(), self.outbox_cursor, settings.page_max);
        let (life, sweep) = (self.life, ctx.address());
        self.parts.keeper.spawn(async move { sweep.do_send(OutboxPage { life, rows: page.await }) });
    }

    /// The rows of a page, and whether it was full; a page that failed is empty and the next sweep tries again.
    fn rows<T>(&self, page: Result<Vec<T>, StoreError>) -> (Vec<T>, bool) {
        match page {
            Ok(rows) => {
                let is_full = rows.len() >= self.parts.settings.page_max.max(1);
                (rows, is_full)
            }
            Err(error) => {
                tracing::warn!(%error, "a sweep cannot read the store");
                (vec![], false)
            }
        }
    }

    fn pause(&self, is_full: bool) -> Duration {
        if is_full { Duration::from_millis(1) } else { Duration::from_millis(self.parts.settings.sweep_ms) }
    }
}

impl Actor for Sweep {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.parts.keeper.reporter.register(Kind::Actor, inspect, Some(act), &[Action::Restart]);
        self.sweep_inbox(ctx);
        self.sweep_outbox(ctx);
    }
}

impl Supervised for Sweep {
    fn restarting(&mut self, _: &mut Self::Context) {
        let (life, pages) = (self.life.wrapping_add(1), self.pages);
        *self = Self { life, pages, ..Self::new(Rc::clone(&self.parts)) };
    }
}

impl Handler<InboxPage> for Sweep {
    type Result = ();

    fn handle(&mut self, InboxPage { life, rows }: InboxPage, ctx: &mut Self::Context) {
        if life != self.life {
            return;
        }
        failpoint!("sweep.rows");
        self.pages += 1;
        let (rows, is_full) = self.rows(rows);
        self.inbox_cursor = rows.last().filter(|_| is_full).map(|last| (last.wake_at, last.conversation));
        for row in rows {
            let routers = &self.parts.routers;
            if let Some((router, depth)) = routers.get(row.conversation.partition().shard(routers.len())) {
                let (conversation, last_seq) = (row.conversation, Some(row.last_seq));
                router.do_send(RouteWake { conversation, last_seq, ticket: depth.ticket() });
            }
        }
        ctx.run_later(self.pause(is_full), |sweep, ctx| sweep.sweep_inbox(ctx));
    }
}

impl Handler<OutboxPage> for Sweep {
    type Result = ();

    fn handle(&mut self, OutboxPage { life, rows }: OutboxPage, ctx: &mut Self::Context) {
        if life != self.life {
            return;
        }
        self.pages += 1;
        let (rows, is_full) = self.rows(rows);
        self.outbox_cursor = rows.last().filter(|_| is_full).copied();
        for conversation in rows {
            let dispatchers = &self.parts.dispatchers;
            if let Some(dispatcher) = dispatchers.get(conversation.partition().shard(dispatchers.len())) {
                dispatcher.do_send(WakeLane(conversation));
            }
        }
        ctx.run_later(self.pause(is_full), |sweep, ctx| sweep.sweep_outbox(ctx));
    }
}

impl Handler<Inspect> for Sweep {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        MessageResult(Snapshot { handled: Some(self.pages), ..Snapshot::default() })
    }
}

impl Handler<Act> for Sweep {
    type Result = ();

    /// The monitor passes on restarts only.
    fn handle(&mut self, _: Act, _: &mut Self::Context) {
        unwind_for_restart()
    }
}
