//! What every actor of a shard works with.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;

use crate::conversation::buffer::BatchLimits;
use crate::conversation::turn_gate::TurnGate;
use crate::domain::{Channel, ConversationId, Epoch, Tick};
use crate::feed::Feed;
use crate::inbox::router::Router;
use crate::outbox::dispatcher::Dispatcher;
use crate::pipeline::Pipeline;
use crate::ports::{Clock, Entropy, OutboundChannel, Store, Tracer};
use crate::services::ChannelService;
use crate::settings::{ConversationSettings, OutboxSettings, TurnSettings};
use crate::supervision::FrontHandle;
use crate::supervision::supervised::Keeper;

/// A channel's way out: its front, and the pure part of its port.
#[derive(Clone)]
pub struct ChannelOut {
    /// Sends parts.
    pub front: FrontHandle<ChannelService>,
    /// Cuts replies.
    pub port: Arc<dyn OutboundChannel>,
}

/// The channels that replies are sent by. A channel that is read from the store is not among them.
pub type ChannelsOut = BTreeMap<Channel, ChannelOut>;

/// What keeps the actors of a shard alive, by kind.
pub struct Keepers {
    /// The router.
    pub router: Rc<Keeper>,
    /// The dispatcher.
    pub dispatcher: Rc<Keeper>,
    /// The turn gate.
    pub turns: Rc<Keeper>,
    /// The feed.
    pub feed: Rc<Keeper>,
    /// Every conversation.
    pub conversation: Rc<Keeper>,
}

/// The collaborators of a shard's actors, built once and shared within the shard's thread by `Rc`. Nothing in it changes.
pub struct Shard {
    /// Which of the shards this is.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and chance.
    pub entropy: Arc<dyn Entropy>,
    /// The epoch of this process's ownership.
    pub epoch: Epoch,
    /// When this process began to work. A message from before may be what ended the last one.
    pub started: Tick,
    /// How messages are gathered.
    pub conversation: ConversationSettings,
    /// How turns are run and rerun.
    pub turns: TurnSettings,
    /// How parts are sent and resent.
    pub outbox: OutboxSettings,
    /// From messages to an answer.
    pub pipeline: Pipeline,
    /// The ways out.
    pub channels: ChannelsOut,
    /// Lets turns run.
    pub turn_gate: Addr<TurnGate>,
    /// Lets turns run, one at a time, that are suspected of killing the process.
    pub suspect_gate: Addr<TurnGate>,
    /// Knows this shard's conversations.
    pub router: Addr<Router>,
    /// Sends the parts of this shard's conversations.
    pub dispatcher: Addr<Dispatcher>,
    /// Tells the readers of this shard's conversations.
    pub feed: Addr<Feed>,
    /// What keeps them alive.
    pub keepers: Keepers,
    /// Who traces turns and sends.
    pub tracer: Tracer,
    /// Turns true when a drain has no time left: what runs gives itself back.
    pub cutoff: watch::Receiver<bool>,
}

impl Shard {
    /// Whether a conversation lives here.
    #[must_use]
    pub fn owns(&self, conversation: ConversationId) -> bool {
        conversation.partition().shard(self.count) == self.index
    }

    /// When batches close.
    #[must_use]
    pub fn batch_limits(&self) -> BatchLimits {
        BatchLimits::from(&self.conversation)
    }
}
