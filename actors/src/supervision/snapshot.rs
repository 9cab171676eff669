//! What everything in the tree says about itself, and what it can be asked to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use super::events::Path;
use super::meter::{Answers, Latency};
use super::policy::ReasonKind;
use crate::domain::Timestamp;

/// What something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "NodeKind")]
pub enum Kind {
    /// Only holds others together.
    Group,
    /// An actor that supervises a service.
    Front,
    /// An actor.
    Actor,
    /// All conversations of a shard.
    Conversations,
    /// One conversation.
    Conversation,
    /// A thread.
    Thread,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "NodeState")]
pub enum State {
    /// It works.
    Running,
    /// It failed, and waits for its restart.
    Restarting,
    /// One call is under way to find out whether it works again.
    Probing,
    /// It was given up for now: calls fail at once.
    Down,
    /// It begins nothing new, as an operator asked.
    Paused,
    /// It ends what is under way and begins nothing new, as an operator asked.
    Draining,
    /// It does not answer.
    Frozen,
    /// It has ended.
    Stopped,
}

/// Asks something how it is.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Snapshot")]
pub struct Inspect;

/// How something says it is. What it cannot tell is left out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Snapshot {
    /// How it is, where it knows more than that it answers.
    #[serde(skip)]
    pub state: Option<State>,
    /// Messages that it has not begun to handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<usize>,
    /// Calls that wait for a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<usize>,
    /// How long the oldest of them has waited, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
    /// What is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<usize>,
    /// What was handled since the process began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled: Option<u64>,
    /// What of it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    /// How much a second, of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// How long it took, of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// What only this kind of thing can say.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
    /// How long people waited for their answers; of a gate of turns.
    #[serde(skip)]
    pub answers: Option<Box<Answers>>,
    /// How all is together that it supervises and that is too many to be asked one by one.
    #[serde(skip)]
    pub below: Option<Box<Snapshot>>,
}

/// One place of the tree, with what is below it.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Node {
    /// Where it stands.
    pub path: Path,
    /// The last part of the path.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How it is.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// How often it was started anew, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<ReasonKind, u64>,
    /// When it was started anew the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Timestamp>,
    /// Why it is not running, or was started anew the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
    /// What can be done with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// What it says about itself.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// What is below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    /// What stands at this path, here or below; the root's is empty.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        if *self.path == *path {
            return Some(self);
        }
        let is_above = |child: &&Self| {
            path.strip_prefix(&*child.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.children.iter().find(is_above)?.find(path)
    }
}

/// What an operator can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SupervisionAction")]
pub enum Action {
    /// Start it anew.
    Restart,
    /// Begin nothing new.
    Pause,
    /// Go on.
    Resume,
    /// End what is under way, and begin nothing new.
    Drain,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Restart, Self::Pause, Self::Resume, Self::Drain];

    /// Its name in paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
        }
    }
}

/// Asks something to do what an operator wants.
#[derive(Message, Clone, Copy, PartialEq, Eq, Debug)]
#[rtype(result = "()")]
pub struct Act(pub Action);

/// Why an operator's wish was not passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ActError {
    /// Nothing stands there.
    #[error("nothing stands at this path of the tree")]
    NotFound,
    /// It cannot do that.
    #[error("this cannot be asked of it")]
    NotAllowed {
        /// What it can be asked for.
        allowed: &'static [Action],
    },
    /// It does not answer.
    #[error("it does not answer")]
    NoAnswer,
}

/// Counts the messages that wait in a mailbox, or the threads that live: for people to see, and to bound the threads that a
/// service leaves behind. A metric, shared between threads.
#[derive(Clone, Debug, Default)]
pub struct Depth(Arc<AtomicUsize>);

/// Counts one of them until it is dropped.
#[derive(Debug)]
pub struct Ticket(Arc<AtomicUsize>);

impl Depth {
    /// One more; it counts until the ticket is dropped.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(&self.0))
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
