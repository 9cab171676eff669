//! Puts the actors on their threads: the fronts on one, the shards each on its own. Starts and drains them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::conversation::turn_gate::{CloseGate, CountPermits, TurnGate};
use crate::domain::{ConversationId, Epoch};
use crate::failpoint;
use crate::feed::{Feed, Feeds};
use crate::inbox::router::{CloseRouter, CountConversations, CountLeftovers, Route, RouteWake, Router};
use crate::inbox::sweep::{Sweep, SweepParts};
use crate::operations::Operations;
use crate::outbox::dispatcher::{CloseDispatcher, CountSends, Dispatcher, LaneChanged};
use crate::pipeline::Pipeline;
use crate::ports::{Admitted, Clock, Entropy, Store, Tells, Tracer};
use crate::settings::{ConversationSettings, OutboxSettings, SweepSettings, TurnSettings};
use crate::shard::{ChannelsOut, Keepers, Shard};
use crate::supervision::arbiter::{arbiter, start_on, stop};
use crate::supervision::policy::Strategy;
use crate::supervision::root::Root;
use crate::supervision::snapshot::Depth;
use crate::supervision::supervised::Keeper;
use crate::supervision::watchdog::{Watchdog, Watched};

/// How long what is on its way to its end may take, once a drain is over.
const LEFTOVERS_WAIT: Duration = Duration::from_secs(1);

/// How long a thread may take to end at the least, however little time is left.
const JOIN_WAIT: Duration = Duration::from_millis(200);

/// The place of the sweep in the tree, and of the thread that it shares with the gate of suspected turns.
const SWEEP: &str = "sweep";

/// What all shards are made of.
#[derive(Clone)]
pub struct RuntimeParts {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and chance.
    pub entropy: Arc<dyn Entropy>,
    /// The epoch of this process's ownership.
    pub epoch: Epoch,
    /// How messages are gathered.
    pub conversation: ConversationSettings,
    /// How turns are run and rerun.
    pub turns: TurnSettings,
    /// How parts are sent and resent.
    pub outbox: OutboxSettings,
    /// How lost hints are found.
    pub sweep: SweepSettings,
    /// From messages to an answer.
    pub pipeline: Pipeline,
    /// The ways out.
    pub channels: ChannelsOut,
    /// How many shards there are.
    pub shards: usize,
    /// Conversations that one shard holds in memory.
    pub live_max: usize,
    /// What supervises them.
    pub root: Root,
    /// Who traces turns and sends.
    pub tracer: Tracer,
}

/// The addresses of one shard's actors.
#[derive(Clone)]
struct ShardAddrs {
    router: Addr<Router>,
    routed: Depth,
    dispatcher: Addr<Dispatcher>,
    turn_gate: Addr<TurnGate>,
    feed: Addr<Feed>,
}

/// What keeps the actors of a shard alive. Without the router, the dispatcher or the turn gate no conversation goes on;
/// without the feed, only those who look on miss something.
fn keepers(root: &Root, index: usize) -> Keepers {
    let keeper = |name, strategy| root.keeper(&format!("shards/{index}/{name}"), strategy);
    Keepers {
        router: keeper("router", Strategy::EndProcess),
        dispatcher: keeper("dispatcher", Strategy::EndProcess),
        turns: keeper("turns", Strategy::EndProcess),
        feed: keeper("feed", Strategy::KeepTrying),
        conversation: keeper("router/conversations", Strategy::KeepTrying),
    }
}

/// Starts the actors of one shard in the current arbiter. Their addresses exist before they do, since they know each other.
fn start_shard(
    parts: RuntimeParts,
    index: usize,
    suspect_gate: Addr<TurnGate>,
    cutoff: watch::Receiver<bool>,
) -> ShardAddrs {
    let (router_ctx, dispatcher_ctx) = (Context::<Router>::new(), Context::<Dispatcher>::new());
    let (turns_ctx, feed_ctx) = (Context::<TurnGate>::new(), Context::<Feed>::new());
    let addrs = ShardAddrs {
        router: router_ctx.address(),
        routed: Depth::default(),
        dispatcher: dispatcher_ctx.address(),
        turn_gate: turns_ctx.address(),
        feed: feed_ctx.address(),
    };
    let (in_flight_max, live_max) = (parts.turns.in_flight_max, parts.live_max);
    let shard = Rc::new(Shard {
        index,
        count: parts.shards.max(1),
        started: parts.clock.tick(),
        store: parts.store,
        clock: parts.clock,
        entropy: parts.entropy,
        epoch: parts.epoch,
        conversation: parts.conversation,
        turns: parts.turns,
        outbox: parts.outbox,
        pipeline: parts.pipeline,
        channels: parts.channels,
        turn_gate: addrs.turn_gate.clone(),
        suspect_gate,
        router: addrs.router.clone(),
        dispatcher: addrs.dispatcher.clone(),
        feed: addrs.feed.clone(),
        keepers: keepers(&parts.root, index),
        tracer: parts.tracer,
        cutoff,
    });
    let Keepers { router, dispatcher, turns, feed, .. } = &shard.keepers;
    turns.run(turns_ctx, TurnGate::new(in_flight_max, Rc::clone(turns)));
    feed.run(feed_ctx, Feed::new(Rc::clone(feed)));
    router.run(router_ctx, Router::new(Rc::clone(&shard), live_max, addrs.routed.clone()));
    dispatcher.run(dispatcher_ctx, Dispatcher::new(Rc::clone(&shard)));
    addrs
}

/// Starts an actor of the common thread.
async fn start_common<A>(
    common: &ArbiterHandle,
    root: &Root,
    path: &'static str,
    make: impl FnOnce(Rc<Keeper>) -> A + Send + 'static,
) -> Option<Addr<A>>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    let root = root.clone();
    start_on(common, move || {
        let keeper = root.keeper(path, Strategy::EndProcess);
        let ctx = Context::new();
        let address = ctx.address();
        keeper.run(ctx, make(Rc::clone(&keeper)));
        address
    })
    .await
}

/// The running actors.
pub struct Runtime {
    shards: Vec<ShardAddrs>,
    suspect_gate: Addr<TurnGate>,
    sweep: Addr<Sweep>,
    cutoff: watch::Sender<bool>,
    root: Root,
    watchdog: Option<Watchdog>,
    arbiters: Vec<Arbiter>,
}

impl Runtime {
    /// Starts every shard on a thread of its own, and the sweep, which wakes whatever waits since the last run. The threads
    /// are watched from then on, and `others` with them.
    ///
    /// # Errors
    /// None when a thread did not come up.
    pub async fn start(parts: RuntimeParts, others: Vec<Watched>) -> Option<Self> {
        let (mut arbiters, mut watched, root) = (vec![], others, parts.root.clone());
        let thread = |path: &str| {
            let (arbiter, has_no_place) = (arbiter(), path != SWEEP);
            watched.push(watch_over(&root, path, &arbiter, has_no_place));
            let handle = arbiter.handle();
            arbiters.push(arbiter);
            handle
        };
        let runtime = Self::place(parts, thread).await?;
        let watchdog =
            Watchdog::start(watched, root.settings().clone(), Arc::clone(root.end_process())).ok()?;
        Some(Self { watchdog: Some(watchdog), arbiters, ..runtime })
    }

    /// Starts the same actors on the current thread, which nobody watches: for a simulation, whose one clock is that of its
    /// one thread.
    ///
    /// # Errors
    /// None when the thread is ending.
    pub async fn start_here(parts: RuntimeParts) -> Option<Self> {
        Self::place(parts, |_| Arbiter::current()).await
    }

    /// Starts the actors; `thread` gives the thread for what stands at a place of the tree.
    async fn place(parts: RuntimeParts, mut thread: impl FnMut(&str) -> ArbiterHandle) -> Option<Self> {
        let (cutoff, is_cut_off) = watch::channel(false);
        let (common, root) = (thread(SWEEP), parts.root.clone());
        let suspect_gate =
            start_common(&common, &root, "suspects", |keeper| TurnGate::new(1, keeper)).await?;
        let mut shards = vec![];
        for index in 0..parts.shards.max(1) {
            let shard = thread(&format!("shards/{index}"));
            let (parts, gate, cutoff) = (parts.clone(), suspect_gate.clone(), is_cut_off.clone());
            shards.push(start_on(&shard, move || start_shard(parts, index, gate, cutoff)).await?);
        }
        let routers = shards.iter().map(|shard| (shard.router.clone(), shard.routed.clone())).collect();
        let dispatchers = shards.iter().map(|shard| shard.dispatcher.clone()).collect();
        let RuntimeParts { store, clock, sweep: settings, .. } = parts;
        let sweep = start_common(&common, &root, SWEEP, |keeper| {
            Sweep::new(Rc::new(SweepParts { store, clock, routers, dispatchers, settings, keeper }))
        });
        let sweep = sweep.await?;
        Some(Self { shards, suspect_gate, sweep, cutoff, root, watchdog: None, arbiters: vec![] })
    }

    /// Where the store's writer tells what it has committed.
    #[must_use]
    pub fn tells(&self) -> RouterTells {
        RouterTells { shards: self.shards.clone() }
    }

    /// Where readers of conversations hear what happens.
    #[must_use]
    pub fn feeds(&self) -> Feeds {
        Feeds::new(self.shards.iter().map(|shard| shard.feed.clone()).collect())
    }

    /// What operators see and ask for.
    #[must_use]
    pub fn operations(&self) -> Operations {
        let routers = self.shards.iter().map(|shard| shard.router.clone()).collect();
        Operations::new(self.root.monitor().clone(), routers)
    }

    /// A handle that counts the conversations in memory.
    #[must_use]
    pub fn counter(&self) -> ConversationCounter {
        ConversationCounter(self.shards.iter().map(|shard| shard.router.clone()).collect())
    }

    /// Whether the sweep and every shard are alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.sweep.connected() && self.shards.iter().all(|shard| shard.router.connected())
    }

    /// Starts no new turn, waits for turns and sends, and cuts off what is left shortly before `deadline`; no new part is
    /// sent from then on. What is not finished is in the store; a turn that is cut off does not count it as a failure.
    pub async fn drain(self, deadline: Instant) {
        for shard in &self.shards {
            shard.router.do_send(CloseRouter);
            shard.turn_gate.do_send(CloseGate);
        }
        self.suspect_gate.do_send(CloseGate);
        let grace = deadline.saturating_duration_since(Instant::now()) / 4;
        if !self.is_quiet_before(deadline - grace).await {
            tracing::warn!("the drain has no time left; turns that run give themselves back");
            let _ = self.cutoff.send(true);
        }
        for shard in &self.shards {
            shard.dispatcher.do_send(CloseDispatcher);
        }
        if self.is_quiet_before(deadline).await {
            self.look_for_leftovers(deadline).await;
        }
        // From here on a thread that has ended is no dead one.
        if let Some(watchdog) = self.watchdog {
            watchdog.stop();
        }
        if !stop(self.arbiters, JOIN_WAIT.max(deadline.saturating_duration_since(Instant::now()))) {
            tracing::error!("a thread of actors is frozen, and is left behind");
        }
    }

    /// Waits until no turn and no send is under way; false if that is not so at `deadline`.
    async fn is_quiet_before(&self, deadline: Instant) -> bool {
        loop {
            // A thread that does not answer is not quiet.
            if timeout_at(deadline, self.count_running()).await == Ok(0) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Says so when actors or tasks are left although nothing is under way: they would be left in a running server, too.
    async fn look_for_leftovers(&self, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + LEFTOVERS_WAIT);
        loop {
            let mut leftovers = 0;
            for shard in &self.shards {
                leftovers += shard.router.send(CountLeftovers).await.unwrap_or(0);
            }
            if leftovers == 0 {
                return;
            }
            if Instant::now() >= deadline {
                tracing::error!(leftovers, "actors or tasks outlived the drain");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn count_running(&self) -> usize {
        let mut running = self.suspect_gate.send(CountPermits).await.unwrap_or(0);
        for shard in &self.shards {
            running += shard.turn_gate.send(CountPermits).await.unwrap_or(0);
            running += shard.dispatcher.send(CountSends).await.unwrap_or(0);
        }
        running
    }
}

/// A thread of actors to watch; its place in the tree is that of the thread.
fn watch_over(root: &Root, path: &str, arbiter: &Arbiter, has_no_place: bool) -> Watched {
    Watched { reporter: root.reporter(path), arbiter: arbiter.handle(), has_no_place }
}

/// Counts the conversations in memory.
#[derive(Clone)]
pub struct ConversationCounter(Vec<Addr<Router>>);

impl ConversationCounter {
    /// How many there are, over all shards.
    pub async fn count(&self) -> usize {
        let mut count = 0;
        for router in &self.0 {
            count += router.send(CountConversations).await.unwrap_or(0);
        }
        count
    }
}

/// Passes the writer's hints on to the shards.
pub struct RouterTells {
    shards: Vec<ShardAddrs>,
}

impl RouterTells {
    fn shard_of(&self, conversation: ConversationId) -> Option<&ShardAddrs> {
        self.shards.get(conversation.partition().shard(self.shards.len()))
    }
}

impl Tells for RouterTells {
    fn admitted(&self, admitted: Admitted) {
        failpoint!("tells.drop", return);
        if let Some(shard) = self.shard_of(admitted.conversation) {
            let ticket = shard.routed.ticket();
            shard.router.do_send(Route { admitted: Box::new(admitted), ticket });
        }
    }

    fn changed(&self, conversation: ConversationId) {
        failpoint!("tells.drop", return);
        if let Some(shard) = self.shard_of(conversation) {
            let ticket = shard.routed.ticket();
            shard.router.do_send(RouteWake { conversation, last_seq: None, ticket });
            shard.dispatcher.do_send(LaneChanged(conversation));
        }
    }
}
