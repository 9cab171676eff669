//! The store's supervisor, and what watches over each kind of its threads. The store is an adapter and knows no actor: it
//! publishes how it is, and these tell the tree.

mod threads;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::json;
use tertulia_actors::supervision::arbiter::start_on;
use tertulia_actors::supervision::events::EventKind;
use tertulia_actors::supervision::meter::Meter;
use tertulia_actors::supervision::policy::{Reason, Strategy};
use tertulia_actors::supervision::root::Root;
use tertulia_actors::supervision::snapshot::{Act, Action, Inspect, Kind, Snapshot, State};
use tertulia_actors::supervision::supervised::{Keeper, obey};
use tokio::time::Instant;

use super::AppError;
use super::services::ServiceThread;
use crate::store::{SqliteStore, WriterStats};

/// The place of the store in the tree.
const PATH: &str = "store";

/// Puts the store into the tree.
pub(super) async fn supervise(store: &Arc<SqliteStore>, services: &ServiceThread) -> Result<(), AppError> {
    let (root, store) = (services.root.clone(), Arc::clone(store));
    let fronts = services.fronts();
    start_on(&fronts, move || start(&root, &store)).await.ok_or(AppError::Thread("store's supervisor"))
}

/// Starts the supervisors in the current arbiter.
fn start(root: &Root, store: &Arc<SqliteStore>) {
    let keeper = root.keeper(PATH, Strategy::KeepTrying);
    keeper.run(Context::new(), StoreFront::new(Arc::clone(store), Rc::clone(&keeper)));
    threads::start(root, store);
}

/// The writer has published how it is. The answer says whether the sender should go on.
#[derive(Message)]
#[rtype(result = "bool")]
struct Published {
    life: u32,
    stats: WriterStats,
}

/// The writer's thread has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct WriterEnded;

/// Owns what is known of the writer: whether it can write, and how long its commits take.
///
/// Sent to by its own task, which waits for the writer's news and has one message under way at a time, and by the monitor.
/// A restart loses the times of the recent past alone: whether admissions are paused is the store's own state.
struct StoreFront {
    store: Arc<SqliteStore>,
    keeper: Rc<Keeper>,
    /// Of commits.
    meter: Meter,
    /// What was last published.
    seen: WriterStats,
    /// Which of the values that this actor had over time.
    life: u32,
}

impl StoreFront {
    fn new(store: Arc<SqliteStore>, keeper: Rc<Keeper>) -> Self {
        let seen = store.watch().borrow().clone();
        Self { store, keeper, meter: Meter::new(Instant::now()), seen, life: 0 }
    }

    fn listen(&self, ctx: &Context<Self>) {
        let (mut stats, front, life) = (self.store.watch(), ctx.address(), self.life);
        self.keeper.spawn(async move {
            while stats.changed().await.is_ok() {
                let stats = stats.borrow_and_update().clone();
                if !front.send(Published { life, stats }).await.unwrap_or(false) {
                    return;
                }
            }
            front.do_send(WriterEnded);
        });
    }

    /// Records the commits since the last news: the time of the last one is known, those of the others on average.
    fn measure(&mut self, stats: &WriterStats) {
        let commits = stats.commits.saturating_sub(self.seen.commits);
        let Some(others) = commits.checked_sub(1) else { return };
        let now = Instant::now();
        let took = stats.commit_us.saturating_sub(self.seen.commit_us);
        let average = took.saturating_sub(stats.last_commit_us) / others.max(1);
        for _ in 0..others {
            self.meter.record(Duration::from_micros(average), true, now);
        }
        self.meter.record(Duration::from_micros(stats.last_commit_us), true, now);
    }

    fn state(&self, stats: &WriterStats) -> State {
        match (stats.healthy, self.store.is_paused()) {
            (false, _) => State::Down,
            (true, true) => State::Paused,
            (true, false) => State::Running,
        }
    }
}

impl Actor for StoreFront {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        const ACTIONS: &[Action] = &[Action::Restart, Action::Pause, Action::Resume];
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.keeper.reporter.register(Kind::Front, inspect, Some(act), ACTIONS);
        if self.life == 0 {
            self.keeper.reporter.tell(EventKind::Started);
        }
        self.listen(ctx);
    }
}

impl Supervised for StoreFront {
    fn restarting(&mut self, _: &mut Self::Context) {
        let fresh = Self::new(Arc::clone(&self.store), Rc::clone(&self.keeper));
        let (seen, life) = (std::mem::take(&mut self.seen), self.life.wrapping_add(1));
        *self = Self { seen, life, ..fresh };
    }
}

impl Handler<Published> for StoreFront {
    type Result = bool;

    fn handle(&mut self, Published { life, stats }: Published, _: &mut Self::Context) -> bool {
        if life != self.life {
            return false;
        }
        self.measure(&stats);
        let reporter = &self.keeper.reporter;
        match (self.seen.healthy, stats.healthy) {
            (true, false) => {
                let reason = Reason::Error(stats.last_error.clone().unwrap_or_default());
                reporter.tell_why(EventKind::Failed, reason.clone());
                reporter.tell_why(EventKind::GaveUp, reason);
            }
            (false, true) => reporter.tell(EventKind::Recovered),
            (true, true) | (false, false) => {}
        }
        self.seen = stats;
        true
    }
}

impl Handler<WriterEnded> for StoreFront {
    type Result = ();

    /// It ends after this actor where the server drains, so that this is no drain.
    fn handle(&mut self, _: WriterEnded, _: &mut Self::Context) {
        let reason = Reason::Error("the thread has ended".into());
        self.keeper.reporter.at("store/writer").tell_why(EventKind::GaveUp, reason);
        (self.keeper.end_process)("the store's writer has ended");
    }
}

impl Handler<Inspect> for StoreFront {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let (now, stats) = (Instant::now(), self.store.stats());
        MessageResult(Snapshot {
            state: Some(self.state(&stats)),
            mailbox: Some(stats.queued),
            in_flight: Some(self.store.in_commit()),
            handled: Some(stats.requests),
            failed: Some(stats.failed_commits),
            rate_per_s: Some(self.meter.rate(now)),
            latency: self.meter.latency(now),
            detail: json!({
                "commits": stats.commits, "last_batch": stats.last_batch, "wal_pages": stats.wal_pages,
                "admissions_paused": self.store.is_paused(), "last_error": stats.last_error,
            }),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for StoreFront {
    type Result = ();

    /// A pause refuses admissions alone: turns and replies are written all the same.
    fn handle(&mut self, Act(action): Act, _: &mut Self::Context) {
        self.store.pause_admissions(obey(action, &self.keeper.reporter));
    }
}

#[cfg(test)]
mod tests;
