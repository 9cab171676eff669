//! What watches over one kind of the store's threads: tells the tree of their panics, which the threads survive, and ends the
//! process when the one that writes panics too often.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::json;
use tertulia_actors::supervision::events::EventKind;
use tertulia_actors::supervision::policy::{Reason, Restarts, Strategy, Verdict};
use tertulia_actors::supervision::root::Root;
use tertulia_actors::supervision::snapshot::{Inspect, Kind, Snapshot};
use tertulia_actors::supervision::supervised::Keeper;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::{Panics, ReadStats, SqliteStore, StoreThread};

/// Starts one for each kind, in the current arbiter.
pub(super) fn start(root: &Root, store: &Arc<SqliteStore>) {
    for (path, kind, strategy) in [
        ("store/writer", StoreThread::Writer, Strategy::EndProcess),
        ("store/checkpoints", StoreThread::Checkpoints, Strategy::KeepTrying),
        ("store/readers", StoreThread::Readers, Strategy::KeepTrying),
    ] {
        let (keeper, store) = (root.keeper(path, strategy), Arc::clone(store));
        let panics = store.panics(kind);
        let look = Rc::new(move || look(kind, &store));
        keeper.run(Context::new(), StoreThreads::new(look, panics, Rc::clone(&keeper)));
    }
}

/// How threads of one kind are.
fn look(kind: StoreThread, store: &SqliteStore) -> Snapshot {
    let stats = store.stats();
    match kind {
        StoreThread::Writer => Snapshot {
            mailbox: Some(stats.queued),
            in_flight: Some(store.in_commit()),
            handled: Some(stats.requests),
            ..Snapshot::default()
        },
        StoreThread::Checkpoints => {
            Snapshot { detail: json!({ "wal_pages": stats.wal_pages }), ..Snapshot::default() }
        }
        StoreThread::Readers => {
            let ReadStats { waiting, in_flight, handled } = store.reads();
            Snapshot {
                waiting: Some(waiting),
                in_flight: Some(in_flight),
                handled: Some(handled),
                ..Snapshot::default()
            }
        }
    }
}

/// There are new panics. The answer says whether the sender should go on.
#[derive(Message)]
#[rtype(result = "bool")]
struct Panicked {
    life: u32,
    panics: Panics,
}

/// Owns what is known of the panics of one kind of threads.
///
/// Sent to by its own task, which has one message under way at a time, and by the monitor. A restart loses nothing.
struct StoreThreads {
    look: Rc<dyn Fn() -> Snapshot>,
    panics: watch::Receiver<Panics>,
    keeper: Rc<Keeper>,
    seen: Panics,
    restarts: Restarts,
    /// Which of the values that this actor had over time.
    life: u32,
}

impl StoreThreads {
    fn new(look: Rc<dyn Fn() -> Snapshot>, panics: watch::Receiver<Panics>, keeper: Rc<Keeper>) -> Self {
        let (seen, restarts) = (Panics::default(), Restarts::default());
        Self { look, panics, keeper, seen, restarts, life: 0 }
    }

    fn listen(&self, ctx: &Context<Self>) {
        let (mut panics, threads, life) = (self.panics.clone(), ctx.address(), self.life);
        // Those from before are told as well.
        panics.mark_changed();
        self.keeper.spawn(async move {
            while panics.changed().await.is_ok() {
                let panics = panics.borrow_and_update().clone();
                if !threads.send(Panicked { life, panics }).await.unwrap_or(false) {
                    return;
                }
            }
        });
    }

    /// So many threads began anew. Where nothing works without them, that must not happen too often.
    fn began_anew(&mut self, times: u64, reason: &Reason) {
        if self.keeper.strategy != Strategy::EndProcess {
            return;
        }
        let (policy, now) = (self.keeper.policy, Instant::now());
        for _ in 0..times {
            let verdict = self.restarts.failed(&policy, now, self.keeper.entropy.fraction());
            if matches!(verdict, Verdict::GiveUp(_)) {
                let reporter = &self.keeper.reporter;
                reporter.tell_why(EventKind::GaveUp, reason.clone());
                return (self.keeper.end_process)(&format!("{} failed too often: {reason}", reporter.path()));
            }
        }
    }
}

impl Actor for StoreThreads {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.keeper.reporter.register(Kind::Thread, ctx.address().recipient(), None, &[]);
        self.listen(ctx);
    }
}

impl Supervised for StoreThreads {
    fn restarting(&mut self, _: &mut Self::Context) {
        let (seen, restarts) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.restarts));
        let fresh = Self::new(Rc::clone(&self.look), self.panics.clone(), Rc::clone(&self.keeper));
        *self = Self { seen, restarts, life: self.life.wrapping_add(1), ..fresh };
    }
}

impl Handler<Panicked> for StoreThreads {
    type Result = bool;

    fn handle(&mut self, Panicked { life, panics }: Panicked, _: &mut Self::Context) -> bool {
        if life != self.life {
            return false;
        }
        let (caught, restarts) =
            (panics.count - self.seen.count, panics.restarts.saturating_sub(self.seen.restarts));
        let reason = Reason::Panic(panics.last.to_owned());
        self.seen = panics;
        if caught > 0 {
            self.keeper.reporter.tell_many(EventKind::Failed, reason.clone(), caught);
            self.keeper.reporter.tell_many(EventKind::Restarted, reason.clone(), caught);
        }
        self.began_anew(restarts, &reason);
        true
    }
}

impl Handler<Inspect> for StoreThreads {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        MessageResult(Snapshot { failed: Some(self.seen.count), ..(self.look)() })
    }
}
