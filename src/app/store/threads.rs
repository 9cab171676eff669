//! What watches over one kind of the store's threads: tells the tree of their panics, which the threads survive, and of a commit
//! that does not end; and ends the process when the one that writes panics too often.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::json;
use tertulia_actors::supervision::events::EventKind;
use tertulia_actors::supervision::policy::{Reason, Restarts, Strategy, Verdict};
use tertulia_actors::supervision::root::Root;
use tertulia_actors::supervision::snapshot::{Inspect, Kind, Snapshot};
use tertulia_actors::supervision::supervised::Keeper;
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
        let heartbeat = Duration::from_millis(root.settings().heartbeat_ms);
        keeper.run(Context::new(), StoreThreads::new(kind, store, heartbeat, Rc::clone(&keeper)));
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

/// What the time that a commit has taken so far means, where it was told of one that stands still, or was not. Pure.
fn judge(takes: Option<Duration>, was_frozen: bool, heartbeat: Duration) -> Option<EventKind> {
    match (takes.is_some_and(|takes| takes >= heartbeat), was_frozen) {
        (true, false) => Some(EventKind::Failed),
        (false, true) => Some(EventKind::Recovered),
        (true, true) | (false, false) => None,
    }
}

/// It is time to look whether the thread moves. The answer says whether the sender should go on.
#[derive(Message)]
#[rtype(result = "bool")]
struct Look {
    life: u32,
}

/// There are new panics. The answer says whether the sender should go on.
#[derive(Message)]
#[rtype(result = "bool")]
struct Panicked {
    life: u32,
    panics: Panics,
}

/// Owns what is known of the panics of one kind of threads, and whether the one that writes stands still.
///
/// Sent to by its own tasks, each of which has one message under way at a time, and by the monitor. A restart loses nothing.
struct StoreThreads {
    kind: StoreThread,
    store: Arc<SqliteStore>,
    /// How long a commit may take before that is told.
    heartbeat: Duration,
    keeper: Rc<Keeper>,
    seen: Panics,
    restarts: Restarts,
    is_frozen: bool,
    /// Which of the values that this actor had over time.
    life: u32,
}

impl StoreThreads {
    fn new(kind: StoreThread, store: Arc<SqliteStore>, heartbeat: Duration, keeper: Rc<Keeper>) -> Self {
        let (seen, restarts) = (Panics::default(), Restarts::default());
        Self { kind, store, heartbeat, keeper, seen, restarts, is_frozen: false, life: 0 }
    }

    /// Looks after the thread that writes, twice in the time after which it counts as frozen.
    fn watch(&self, ctx: &Context<Self>) {
        let (threads, life, pause) = (ctx.address(), self.life, self.heartbeat / 2);
        self.keeper.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                if !threads.send(Look { life }).await.unwrap_or(false) {
                    return;
                }
            }
        });
    }

    fn listen(&self, ctx: &Context<Self>) {
        let (mut panics, threads, life) = (self.store.panics(self.kind), ctx.address(), self.life);
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
        if self.kind == StoreThread::Writer {
            self.watch(ctx);
        }
    }
}

impl Supervised for StoreThreads {
    fn restarting(&mut self, _: &mut Self::Context) {
        let (seen, restarts) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.restarts));
        let (life, is_frozen) = (self.life.wrapping_add(1), self.is_frozen);
        let fresh = Self::new(self.kind, Arc::clone(&self.store), self.heartbeat, Rc::clone(&self.keeper));
        *self = Self { seen, restarts, is_frozen, life, ..fresh };
    }
}

impl Handler<Look> for StoreThreads {
    type Result = bool;

    fn handle(&mut self, Look { life }: Look, _: &mut Self::Context) -> bool {
        if life != self.life {
            return false;
        }
        let (takes, reporter) = (self.store.in_commit_for(), &self.keeper.reporter);
        match judge(takes, self.is_frozen, self.heartbeat) {
            Some(EventKind::Failed) => {
                reporter.tell_why(EventKind::Failed, Reason::Frozen(takes.unwrap_or_default()));
                self.is_frozen = true;
            }
            Some(kind) => {
                reporter.tell(kind);
                self.is_frozen = false;
            }
            None => {}
        }
        true
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
        MessageResult(Snapshot { failed: Some(self.seen.count), ..look(self.kind, &self.store) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_takes_too_long_is_told_once_and_its_end_as_well() {
        let heartbeat = Duration::from_millis(100);
        for (takes, was_frozen, told) in [
            (None, false, None),
            (Some(99), false, None),
            (Some(100), false, Some(EventKind::Failed)),
            (Some(200), true, None),
            (None, true, Some(EventKind::Recovered)),
            // Another one.
            (Some(5), true, Some(EventKind::Recovered)),
        ] {
            assert_eq!(judge(takes.map(Duration::from_millis), was_frozen, heartbeat), told, "{takes:?}");
        }
    }
}
