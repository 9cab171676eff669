//! What supervisors tell: events for people, and the way they take to the monitor.

use std::sync::Arc;

use actix::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::monitor::{Monitor, Register};
use super::policy::{Reason, ReasonKind};
use super::snapshot::{Act, Action, Inspect, Kind};
use crate::domain::{ConversationId, Timestamp};

/// Where something stands in the tree: names from the root, separated by `/`, as in `shards/0/router`.
pub type Path = Arc<str>;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SupervisionEventKind")]
pub enum EventKind {
    /// It works from now on.
    Started,
    /// It failed, for a reason.
    Failed,
    /// It was started anew.
    Restarted,
    /// Restarts did not help: it is not called, or not tried, for a while.
    GaveUp,
    /// What was given up works again.
    Recovered,
    /// Conversations without anything to do left memory.
    Passivated,
    /// A message failed alone: its sender got a phrase and a person is asked for.
    DeadLettered,
    /// An operator asked it to begin nothing new.
    Paused,
    /// An operator let it go on.
    Resumed,
    /// An operator asked it to end what is under way, and to begin nothing new.
    Drained,
}

/// Something that happened, as it is kept and streamed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SupervisionEvent")]
pub struct Event {
    /// Grows by one with each event of this process, and from process to process.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub path: Path,
    /// What.
    pub kind: EventKind,
    /// Which conversation, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// Why, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonKind>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many, where it is about several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// Something that happened, on its way to the monitor.
#[derive(Message, Clone, PartialEq, Eq, Debug)]
#[rtype(result = "()")]
pub struct Report {
    /// Where.
    pub path: Path,
    /// What.
    pub kind: EventKind,
    /// Which conversation, where it is about one.
    pub conversation: Option<ConversationId>,
    /// Why.
    pub reason: Option<Reason>,
    /// How many, where it is about several.
    pub count: Option<u64>,
}

/// Tells the monitor what happens at one place of the tree. Telling never waits; without a monitor nobody hears it.
#[derive(Clone)]
pub struct Reporter {
    monitor: Option<Addr<Monitor>>,
    path: Path,
}

impl Reporter {
    /// Tells `monitor` of `path`.
    #[must_use]
    pub const fn new(monitor: Addr<Monitor>, path: Path) -> Self {
        Self { monitor: Some(monitor), path }
    }

    /// Tells nobody; for tests and for what is not supervised.
    #[must_use]
    pub fn silent(path: &str) -> Self {
        Self { monitor: None, path: Path::from(path) }
    }

    /// The place.
    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }

    /// The same monitor for another place.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { monitor: self.monitor.clone(), path: Path::from(path) }
    }

    /// Takes this place in the tree, and is asked there how it is and what an operator wants.
    pub fn register(
        &self,
        kind: Kind,
        inspect: Recipient<Inspect>,
        act: Option<Recipient<Act>>,
        actions: &'static [Action],
    ) {
        if let Some(monitor) = &self.monitor {
            let path = Path::clone(&self.path);
            monitor.do_send(Register { path, kind, inspect: Some(inspect), act, actions });
        }
    }

    /// Takes this place in the tree for many at once, whose supervisor, one place above, says how they are together.
    pub fn register_below(&self, kind: Kind) {
        if let Some(monitor) = &self.monitor {
            let path = Path::clone(&self.path);
            monitor.do_send(Register { path, kind, inspect: None, act: None, actions: &[] });
        }
    }

    /// Tells that something happened.
    pub fn tell(&self, kind: EventKind) {
        self.send(kind, None, None, None);
    }

    /// Tells that something happened for a reason.
    pub fn tell_why(&self, kind: EventKind, reason: Reason) {
        self.send(kind, None, Some(reason), None);
    }

    /// Tells that the same happened so often, for a reason.
    pub fn tell_many(&self, kind: EventKind, reason: Reason, count: u64) {
        self.send(kind, None, Some(reason), (count > 1).then_some(count));
    }

    /// Tells of a conversation.
    pub fn tell_of(&self, conversation: Option<ConversationId>, kind: EventKind, reason: Option<Reason>) {
        self.send(kind, conversation, reason, None);
    }

    /// Tells of several at once.
    pub fn tell_count(&self, kind: EventKind, count: u64) {
        self.send(kind, None, None, Some(count));
    }

    fn send(
        &self,
        kind: EventKind,
        conversation: Option<ConversationId>,
        reason: Option<Reason>,
        count: Option<u64>,
    ) {
        if let Some(monitor) = &self.monitor {
            monitor.do_send(Report { path: Path::clone(&self.path), kind, conversation, reason, count });
        }
    }
}
