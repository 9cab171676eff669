//! The live events of conversations that somebody reads: one actor per shard.

use std::collections::HashMap;
use std::rc::Rc;

use actix::prelude::*;
use serde_json::json;
use tokio::sync::mpsc;

use crate::domain::{ConversationId, PartId, Timestamp, TurnId};
use crate::failpoint;
use crate::supervision::snapshot::{Act, Action, Inspect, Kind, Snapshot};
use crate::supervision::supervised::{Keeper, unwind_for_restart};

/// Something that a reader of a conversation sees happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeedEvent {
    /// Messages are being gathered.
    Gathering {
        /// How many so far.
        messages: usize,
        /// When the batch closes if nothing else comes, from now.
        closes_in_ms: u64,
    },
    /// An answer is being made.
    Answering {
        /// The turn.
        turn: TurnId,
    },
    /// A part of a reply is stored.
    Reply {
        /// Its id.
        part: PartId,
        /// Its place in the stream; what `Last-Event-ID` says.
        position: i64,
        /// The turn it answers.
        turn: TurnId,
        /// Its text.
        text: String,
        /// When.
        at: Timestamp,
    },
    /// The turn ended; nothing is gathered or made now.
    Idle,
}

/// Starts to read a conversation. The events come through a bounded channel; a reader that falls behind is dropped,
/// connects again and catches up from the store.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    /// Whose.
    pub conversation: ConversationId,
    /// Where the events go.
    pub events: mpsc::Sender<FeedEvent>,
}

/// Tells the readers of a conversation.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// Whose.
    pub conversation: ConversationId,
    /// What happened.
    pub event: FeedEvent,
}

/// Owns the readers of its shard's conversations.
///
/// Sent to by the HTTP streams (`Subscribe`) and by conversation actors (`Publish`). Bounded by `server.streams_max`
/// streams in all and by sixteen readers of a conversation, where the oldest goes first. A restart loses the readers, who connect again.
pub struct Feed {
    keeper: Rc<Keeper>,
    readers: HashMap<ConversationId, Vec<mpsc::Sender<FeedEvent>>>,
    published: u64,
}

/// Readers of one conversation at the same time: a few tabs.
const READERS_PER_CONVERSATION_MAX: usize = 16;

impl Feed {
    /// A feed without readers.
    #[must_use]
    pub fn new(keeper: Rc<Keeper>) -> Self {
        Self { keeper, readers: HashMap::new(), published: 0 }
    }
}

impl Actor for Feed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.keeper.reporter.register(Kind::Actor, inspect, Some(act), &[Action::Restart]);
    }
}

impl Supervised for Feed {
    fn restarting(&mut self, _: &mut Self::Context) {
        *self = Self { published: self.published, ..Self::new(Rc::clone(&self.keeper)) };
    }
}

impl Handler<Subscribe> for Feed {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe, _: &mut Self::Context) {
        failpoint!("feed.subscribe");
        self.readers.retain(|_, readers| {
            readers.retain(|reader| !reader.is_closed());
            !readers.is_empty()
        });
        let readers = self.readers.entry(subscribe.conversation).or_default();
        if readers.len() >= READERS_PER_CONVERSATION_MAX {
            readers.remove(0);
        }
        readers.push(subscribe.events);
    }
}

impl Handler<Publish> for Feed {
    type Result = ();

    fn handle(&mut self, publish: Publish, _: &mut Self::Context) {
        failpoint!("feed.publish");
        self.published += 1;
        let Some(readers) = self.readers.get_mut(&publish.conversation) else { return };
        readers.retain(|reader| reader.try_send(publish.event.clone()).is_ok());
        if readers.is_empty() {
            self.readers.remove(&publish.conversation);
        }
    }
}

impl Handler<Inspect> for Feed {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let readers: usize = self.readers.values().map(Vec::len).sum();
        MessageResult(Snapshot {
            handled: Some(self.published),
            detail: json!({ "readers": readers }),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for Feed {
    type Result = ();

    /// The monitor passes on restarts only.
    fn handle(&mut self, _: Act, _: &mut Self::Context) {
        unwind_for_restart()
    }
}

/// The feeds of all shards.
#[derive(Clone)]
pub struct Feeds(Vec<Addr<Feed>>);

impl Feeds {
    /// One feed per shard, in order.
    #[must_use]
    pub const fn new(feeds: Vec<Addr<Feed>>) -> Self {
        Self(feeds)
    }

    /// Tells the readers of a conversation.
    pub fn publish(&self, conversation: ConversationId, event: FeedEvent) {
        if let Some(feed) = self.0.get(conversation.partition().shard(self.0.len())) {
            feed.do_send(Publish { conversation, event });
        }
    }

    /// Starts to read a conversation; at most `buffer` events wait for the reader. The stream ends when the reader
    /// falls behind or the server drains.
    #[must_use]
    pub fn subscribe(&self, conversation: ConversationId, buffer: usize) -> mpsc::Receiver<FeedEvent> {
        let (events, receiver) = mpsc::channel(buffer);
        let shard = conversation.partition().shard(self.0.len());
        if let Some(feed) = self.0.get(shard) {
            feed.do_send(Subscribe { conversation, events });
        }
        receiver
    }
}
