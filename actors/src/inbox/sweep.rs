//! The sweep: finds in the store what a lost hint left behind, and everything that waits after a restart.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::router::{RouteWake, Router};
use crate::domain::{ConversationId, Tick};
use crate::outbox::dispatcher::{Dispatcher, WakeLane};
use crate::ports::store::Overdue;
use crate::ports::{Clock, Store, StoreError};
use crate::settings::SweepSettings;

/// A page of the inbox came back.
#[derive(Message)]
#[rtype(result = "()")]
struct InboxPage(Result<Vec<Overdue>, StoreError>);

/// A page of the outbox came back.
#[derive(Message)]
#[rtype(result = "()")]
struct OutboxPage(Result<Vec<ConversationId>, StoreError>);

/// Owns the two cursors into the store.
///
/// Sent to by nobody but its own timer and tasks. One page of each kind is under way at a time, each of at most
/// `page_max` rows; a full page is followed by the next one at once, else by a wait of `sweep_ms`. A restart begins anew.
pub struct Sweep {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    routers: Vec<Addr<Router>>,
    dispatchers: Vec<Addr<Dispatcher>>,
    settings: SweepSettings,
    inbox_cursor: Option<(Tick, ConversationId)>,
    outbox_cursor: Option<ConversationId>,
}

impl Sweep {
    /// A sweep over all shards; both lists are in the order of the shards.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        routers: Vec<Addr<Router>>,
        dispatchers: Vec<Addr<Dispatcher>>,
        settings: SweepSettings,
    ) -> Self {
        Self { store, clock, routers, dispatchers, settings, inbox_cursor: None, outbox_cursor: None }
    }

    fn sweep_inbox(&self, ctx: &Context<Self>) {
        let page = self.store.overdue(self.clock.tick(), self.inbox_cursor, self.settings.page_max);
        let sweep = ctx.address();
        actix_rt::spawn(async move { sweep.do_send(InboxPage(page.await)) });
    }

    fn sweep_outbox(&self, ctx: &Context<Self>) {
        let page = self.store.due_lanes(self.clock.tick(), self.outbox_cursor, self.settings.page_max);
        let sweep = ctx.address();
        actix_rt::spawn(async move { sweep.do_send(OutboxPage(page.await)) });
    }

    /// The rows of a page, and whether it was full; a page that failed is empty and the next sweep tries again.
    fn rows<T>(&self, page: Result<Vec<T>, StoreError>) -> (Vec<T>, bool) {
        match page {
            Ok(rows) => {
                let is_full = rows.len() >= self.settings.page_max.max(1);
                (rows, is_full)
            }
            Err(error) => {
                tracing::warn!(%error, "a sweep cannot read the store");
                (vec![], false)
            }
        }
    }

    const fn pause(&self, is_full: bool) -> Duration {
        if is_full { Duration::from_millis(1) } else { Duration::from_millis(self.settings.sweep_ms) }
    }
}

impl Actor for Sweep {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.sweep_inbox(ctx);
        self.sweep_outbox(ctx);
    }
}

impl Handler<InboxPage> for Sweep {
    type Result = ();

    fn handle(&mut self, InboxPage(page): InboxPage, ctx: &mut Self::Context) {
        let (rows, is_full) = self.rows(page);
        self.inbox_cursor = rows.last().filter(|_| is_full).map(|last| (last.wake_at, last.conversation));
        for row in rows {
            let shard = row.conversation.partition().shard(self.routers.len());
            if let Some(router) = self.routers.get(shard) {
                router.do_send(RouteWake { conversation: row.conversation, last_seq: Some(row.last_seq) });
            }
        }
        ctx.run_later(self.pause(is_full), |sweep, ctx| sweep.sweep_inbox(ctx));
    }
}

impl Handler<OutboxPage> for Sweep {
    type Result = ();

    fn handle(&mut self, OutboxPage(page): OutboxPage, ctx: &mut Self::Context) {
        let (rows, is_full) = self.rows(page);
        self.outbox_cursor = rows.last().filter(|_| is_full).copied();
        for conversation in rows {
            let shard = conversation.partition().shard(self.dispatchers.len());
            if let Some(dispatcher) = self.dispatchers.get(shard) {
                dispatcher.do_send(WakeLane(conversation));
            }
        }
        ctx.run_later(self.pause(is_full), |sweep, ctx| sweep.sweep_outbox(ctx));
    }
}
