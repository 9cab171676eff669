//! Puts the actors on their threads: the fronts on one, the shards each on its own. Starts and drains them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::conversation::turn_gate::{CloseGate, CountPermits, TurnGate};
use crate::domain::{ConversationId, Epoch};
use crate::failpoint;
use crate::feed::{Feed, Feeds};
use crate::inbox::router::{CloseRouter, CountConversations, Route, RouteWake, Router};
use crate::inbox::sweep::Sweep;
use crate::outbox::dispatcher::{CloseDispatcher, CountSends, Dispatcher, LaneChanged};
use crate::pipeline::Pipeline;
use crate::ports::{Admitted, Clock, Entropy, Store, Tells};
use crate::settings::{ConversationSettings, OutboxSettings, SweepSettings, TurnSettings};
use crate::shard::{ChannelsOut, Shard};

/// Threads of a shard's pool for blocking work; the actors block nowhere, the pool only must not grow.
const BLOCKING_THREADS_MAX: usize = 1;

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
}

/// The addresses of one shard's actors.
#[derive(Clone)]
struct ShardAddrs {
    router: Addr<Router>,
    dispatcher: Addr<Dispatcher>,
    turn_gate: Addr<TurnGate>,
    feed: Addr<Feed>,
}

/// A named thread with an arbiter on it.
///
/// # Errors
/// When the thread's runtime cannot be built.
#[must_use]
pub fn arbiter() -> Arbiter {
    Arbiter::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()
            .expect("a thread that could be started can poll its events")
    })
}

/// Starts `make` on an arbiter and answers what it made.
///
/// # Errors
/// When the arbiter is gone.
pub async fn start_on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    make: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (made, answer) = oneshot::channel();
    arbiter.spawn_fn(move || {
        // The caller waits right below.
        let _ = made.send(make());
    });
    answer.await.ok()
}

/// Starts the actors of one shard in the current arbiter. Their addresses exist before they do, since they know each other.
fn start_shard(
    parts: RuntimeParts,
    suspect_gate: Addr<TurnGate>,
    cutoff: watch::Receiver<bool>,
) -> ShardAddrs {
    let (router_ctx, dispatcher_ctx) = (Context::<Router>::new(), Context::<Dispatcher>::new());
    let addrs = ShardAddrs {
        router: router_ctx.address(),
        dispatcher: dispatcher_ctx.address(),
        turn_gate: TurnGate::new(parts.turns.in_flight_max).start(),
        feed: Feed::new().start(),
    };
    let shard = Rc::new(Shard {
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
        cutoff,
    });
    router_ctx.run(Router::new(Rc::clone(&shard), parts.live_max));
    dispatcher_ctx.run(Dispatcher::new(shard));
    addrs
}

/// The running actors.
pub struct Runtime {
    shards: Vec<ShardAddrs>,
    suspect_gate: Addr<TurnGate>,
    sweep: Addr<Sweep>,
    cutoff: watch::Sender<bool>,
    arbiters: Vec<Arbiter>,
}

impl Runtime {
    /// Starts every shard on a thread of its own, and the sweep, which wakes whatever waits since the last run.
    ///
    /// # Errors
    /// None when a shard's thread did not come up.
    pub async fn start(parts: RuntimeParts) -> Option<Self> {
        let (cutoff, is_cut_off) = watch::channel(false);
        let common = arbiter();
        let suspect_gate = start_on(&common.handle(), || TurnGate::new(1).start()).await?;
        let mut arbiters = vec![];
        let mut shards = vec![];
        for _ in 0..parts.shards.max(1) {
            let shard = arbiter();
            let (parts, gate, cutoff) = (parts.clone(), suspect_gate.clone(), is_cut_off.clone());
            shards.push(start_on(&shard.handle(), move || start_shard(parts, gate, cutoff)).await?);
            arbiters.push(shard);
        }
        let routers = shards.iter().map(|shard| shard.router.clone()).collect();
        let dispatchers = shards.iter().map(|shard| shard.dispatcher.clone()).collect();
        let sweep = Sweep::new(parts.store, parts.clock, routers, dispatchers, parts.sweep);
        let sweep = start_on(&common.handle(), || sweep.start()).await?;
        arbiters.push(common);
        Some(Self { shards, suspect_gate, sweep, cutoff, arbiters })
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
        self.is_quiet_before(deadline).await;
        for arbiter in self.arbiters {
            arbiter.stop();
            // A shard that panicked has nothing more to do either.
            let _ = arbiter.join();
        }
    }

    /// Waits until no turn and no send is under way; false if that is not so at `deadline`.
    async fn is_quiet_before(&self, deadline: Instant) -> bool {
        loop {
            if self.count_running().await == 0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
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
            shard.router.do_send(Route(Box::new(admitted)));
        }
    }

    fn changed(&self, conversation: ConversationId) {
        failpoint!("tells.drop", return);
        if let Some(shard) = self.shard_of(conversation) {
            shard.router.do_send(RouteWake { conversation, last_seq: None });
            shard.dispatcher.do_send(LaneChanged(conversation));
        }
    }
}
