//! The monitor: knows every supervisor and worker, and remembers what happened to them.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use serde_json::json;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::events::{Event, EventKind, Path, Report};
use super::policy::ReasonKind;
use super::snapshot::{Act, ActError, Action, Inspect, Kind, Node, Snapshot, State};
use super::supervised::{Keeper, unwind_for_restart};
use super::tree;
use crate::domain::Timestamp;
use crate::ports::Clock;
use crate::settings::SupervisionSettings;

/// How long something is waited for that was asked how it is.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// Events that wait for a slow reader; one more ends its stream, and it begins anew from the history.
const READER_BUFFER: usize = 256;

/// Takes its place in the tree. Told by everything supervised when it starts; again, it takes the place of its former self.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Register {
    /// Where it stands.
    pub path: Path,
    /// What it is.
    pub kind: Kind,
    /// Asks it how it is; none where only its events tell.
    pub inspect: Option<Recipient<Inspect>>,
    /// Asks it to do something; none where nothing can be asked of it.
    pub act: Option<Recipient<Act>>,
    /// What can be asked of it.
    pub actions: &'static [Action],
}

/// Leaves the tree, as a thread that was replaced does.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave(pub Path);

/// Asks for the whole tree; none when the monitor was restarted over it.
#[derive(Message)]
#[rtype(result = "Option<Node>")]
pub struct GetTree;

/// Passes an operator's wish on to what stands at a path.
#[derive(Message)]
#[rtype(result = "Result<(), ActError>")]
pub struct Ask {
    /// Where.
    pub path: String,
    /// What.
    pub action: Action,
}

/// Begins to read events: those in the history after `after`, and all that follow.
#[derive(Message)]
#[rtype(result = "Result<Reading, TooManyReaders>")]
pub struct Subscribe {
    /// The last event that the reader knows; 0: all that are kept.
    pub after: u64,
}

/// Asks for the events in the history after this one; 0: all that are kept.
#[derive(Message)]
#[rtype(result = "Vec<Event>")]
pub struct GetHistory(pub u64);

/// What a reader of events gets.
pub struct Reading {
    /// What happened before.
    pub history: Vec<Event>,
    /// What happens from now on; ends when the reader falls behind.
    pub events: mpsc::Receiver<Event>,
}

/// The stream of events has as many readers as may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{limit} readers of events are connected; try again later")]
pub struct TooManyReaders {
    /// The limit that was met.
    pub limit: usize,
}

/// What is known of one place.
struct Place {
    kind: Kind,
    state: State,
    since: Timestamp,
    restarts: BTreeMap<ReasonKind, u64>,
    restarted_at: Option<Timestamp>,
    last_reason: Option<String>,
    inspect: Option<Recipient<Inspect>>,
    act: Option<Recipient<Act>>,
    actions: &'static [Action],
}

/// Owns the places of the tree, the history of events and the readers of the stream.
///
/// Sent to by everything supervised (`Register`, `Report`), and by the HTTP interface. Holds at most `supervision.events_max`
/// events and `supervision.readers_max` readers, each with a bounded channel; a place for each actor and thread that is no
/// conversation, whose number is fixed. A restart keeps all that: those who registered do so once.
///
/// Events are numbered from the time of the start on, in milliseconds, so that a reader who knows one of an earlier process
/// misses none of this one.
pub struct Monitor {
    clock: Arc<dyn Clock>,
    keeper: Rc<Keeper>,
    settings: SupervisionSettings,
    places: BTreeMap<Path, Place>,
    history: VecDeque<Event>,
    readers: Vec<mpsc::Sender<Event>>,
    first_id: u64,
    last_id: u64,
}

impl Monitor {
    /// A monitor that knows nobody.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, keeper: Rc<Keeper>, settings: SupervisionSettings) -> Self {
        let first_id = u64::try_from(clock.now().0).unwrap_or_default();
        Self {
            clock,
            keeper,
            settings,
            places: BTreeMap::new(),
            history: VecDeque::new(),
            readers: vec![],
            first_id,
            last_id: first_id,
        }
    }

    /// The events that are kept after `after`. A number that was not given yet is one of a process whose clock was ahead:
    /// its reader has seen nothing of this one.
    fn history_after(&self, after: u64) -> Vec<Event> {
        let after = if after > self.last_id { 0 } else { after };
        self.history.iter().filter(|event| event.id > after).cloned().collect()
    }

    /// Keeps an event and hands it to the readers; one that does not keep up is let go.
    fn publish(&mut self, event: Event) {
        while self.history.len() >= self.settings.events_max.max(1) {
            self.history.pop_front();
        }
        self.readers.retain(|reader| reader.try_send(event.clone()).is_ok());
        self.history.push_back(event);
    }

    /// Who is asked for `action` at `path`. A group is there, but nobody acts for it.
    fn find(&self, path: &str, action: Action) -> Result<Recipient<Act>, ActError> {
        let is_below = |below: &str| below.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        let Some(place) = self.places.get(path) else {
            let is_group = self.places.keys().any(|below| is_below(below));
            return Err(if is_group { ActError::NotAllowed { allowed: &[] } } else { ActError::NotFound });
        };
        let allowed = if place.act.is_some() { place.actions } else { &[] };
        let act = place.act.clone().filter(|_| allowed.contains(&action));
        act.ok_or(ActError::NotAllowed { allowed })
    }

    fn log(event: &Event) {
        let Event { path, kind, conversation, detail, .. } = event;
        let conversation = conversation.map(tracing::field::display);
        let reason = detail.as_deref();
        match kind {
            EventKind::Failed | EventKind::GaveUp => {
                tracing::error!(path = &**path, event = ?kind, conversation.id = conversation, reason, "supervision");
            }
            // Whoever reads of a failure must read of its end, too.
            EventKind::Restarted
            | EventKind::Recovered
            | EventKind::Paused
            | EventKind::Drained
            | EventKind::Resumed => {
                tracing::warn!(path = &**path, event = ?kind, conversation.id = conversation, reason, "supervision");
            }
            EventKind::Started | EventKind::Passivated | EventKind::DeadLettered => {
                tracing::debug!(path = &**path, event = ?kind, "supervision");
            }
        }
    }
}

impl Place {
    /// How it is after an event; none where the event says nothing about that.
    fn hear(&mut self, event: &Event) {
        let state = match event.kind {
            EventKind::Started | EventKind::Restarted | EventKind::Recovered | EventKind::Resumed => {
                State::Running
            }
            // A failed call or conversation is not the failure of what they belong to.
            EventKind::Failed if event.reason == Some(ReasonKind::Frozen) => State::Frozen,
            EventKind::Failed if matches!(self.kind, Kind::Actor | Kind::Thread) => State::Restarting,
            EventKind::GaveUp => State::Down,
            EventKind::Paused => State::Paused,
            EventKind::Drained => State::Draining,
            EventKind::Failed | EventKind::Passivated | EventKind::DeadLettered => self.state,
        };
        if state != self.state {
            self.state = state;
            self.since = event.at;
        }
        if let (EventKind::Restarted, Some(reason)) = (event.kind, event.reason) {
            *self.restarts.entry(reason).or_default() += event.count.unwrap_or(1);
            self.restarted_at = Some(event.at);
        }
        if event.detail.is_some() {
            self.last_reason.clone_from(&event.detail);
        }
    }

    fn node(&self, path: &Path, asked: Asked) -> Node {
        let (snapshot, answered) = match asked {
            Asked::Said(snapshot) => (*snapshot, None),
            Asked::Nobody => (Snapshot::default(), None),
            // What waits for its restart does not answer either.
            Asked::Silent if self.state != State::Running => (Snapshot::default(), None),
            Asked::Silent => (Snapshot::default(), Some(State::Frozen)),
            Asked::Gone => (Snapshot::default(), Some(State::Stopped)),
        };
        Node {
            path: Path::clone(path),
            name: tree::name_of(path),
            kind: self.kind,
            state: answered.or(snapshot.state).unwrap_or(self.state),
            since: self.since,
            restarts: self.restarts.clone(),
            restarted_at: self.restarted_at,
            last_reason: self.last_reason.clone(),
            actions: self.actions.to_vec(),
            snapshot,
            children: vec![],
        }
    }
}

/// What came of asking something how it is.
enum Asked {
    Said(Box<Snapshot>),
    /// There is nobody to ask.
    Nobody,
    /// No answer in time.
    Silent,
    /// Its address is closed.
    Gone,
}

async fn ask(inspect: Option<Recipient<Inspect>>) -> Asked {
    let Some(inspect) = inspect else { return Asked::Nobody };
    match timeout(ANSWER_WAIT, inspect.send(Inspect)).await {
        Ok(Ok(snapshot)) => Asked::Said(Box::new(snapshot)),
        Ok(Err(MailboxError::Closed)) => Asked::Gone,
        // An actor that panicked over the question is asked again the next time.
        Ok(Err(MailboxError::Timeout)) | Err(_) => Asked::Silent,
    }
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.keeper.reporter.register(Kind::Actor, inspect, Some(act), &[Action::Restart]);
    }
}

impl Supervised for Monitor {
    fn restarting(&mut self, _: &mut Self::Context) {
        let places = std::mem::take(&mut self.places);
        let history = std::mem::take(&mut self.history);
        let readers = std::mem::take(&mut self.readers);
        let (first_id, last_id) = (self.first_id, self.last_id);
        let fresh = Self::new(Arc::clone(&self.clock), Rc::clone(&self.keeper), self.settings.clone());
        *self = Self { places, history, readers, first_id, last_id, ..fresh };
    }
}

impl Handler<Register> for Monitor {
    type Result = ();

    fn handle(&mut self, register: Register, _: &mut Self::Context) {
        let Register { path, kind, inspect, act, actions } = register;
        let since = self.clock.now();
        let place = self.places.entry(path).or_insert_with(|| Place {
            kind,
            state: State::Running,
            since,
            restarts: BTreeMap::new(),
            restarted_at: None,
            last_reason: None,
            inspect: None,
            act: None,
            actions,
        });
        (place.kind, place.inspect, place.act, place.actions) = (kind, inspect, act, actions);
    }
}

impl Handler<Leave> for Monitor {
    type Result = ();

    fn handle(&mut self, Leave(path): Leave, _: &mut Self::Context) {
        self.places.remove(&path);
    }
}

impl Handler<Report> for Monitor {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        let Report { path, kind, conversation, reason, count } = report;
        self.last_id += 1;
        let event = Event {
            id: self.last_id,
            at: self.clock.now(),
            path,
            kind,
            conversation,
            reason: reason.as_ref().map(super::policy::Reason::kind),
            detail: reason.map(|reason| reason.to_string()),
            count,
        };
        if let Some(place) = self.places.get_mut(&event.path) {
            place.hear(&event);
        }
        Self::log(&event);
        self.publish(event);
    }
}

impl Handler<Inspect> for Monitor {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        MessageResult(Snapshot {
            handled: Some(self.last_id - self.first_id),
            detail: json!({ "events_kept": self.history.len(), "readers": self.readers.len() }),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for Monitor {
    type Result = ();

    /// It passes on restarts only, to itself as well.
    fn handle(&mut self, _: Act, _: &mut Self::Context) {
        unwind_for_restart()
    }
}

impl Handler<GetTree> for Monitor {
    type Result = ResponseFuture<Option<Node>>;

    fn handle(&mut self, _: GetTree, ctx: &mut Self::Context) -> Self::Result {
        let asked: Vec<_> = self.places.values().map(|place| ask(place.inspect.clone())).collect();
        let paths: Vec<_> = self.places.keys().cloned().collect();
        let (monitor, since) = (ctx.address(), self.clock.now());
        Box::pin(async move {
            let said = paths.into_iter().zip(join_all(asked).await).collect();
            let nodes = monitor.send(Assemble(said)).await.ok()?;
            Some(tree::grow(nodes, since))
        })
    }
}

/// Everybody has answered; puts it beside what the events told.
#[derive(Message)]
#[rtype(result = "Vec<Node>")]
struct Assemble(Vec<(Path, Asked)>);

impl Handler<Assemble> for Monitor {
    type Result = Vec<Node>;

    fn handle(&mut self, Assemble(said): Assemble, _: &mut Self::Context) -> Vec<Node> {
        let mut nodes: Vec<Node> = vec![];
        for (path, asked) in said {
            let Some(place) = self.places.get(&path) else { continue };
            let mut node = place.node(&path, asked);
            // Places are in the order of their paths: whoever stands above was here before.
            let above = path.rsplit_once('/').map(|(above, _)| above);
            let above = nodes.iter_mut().rev().find(|node| Some(&*node.path) == above);
            if let Some(together) = above.and_then(|node| node.snapshot.below.take()) {
                node.snapshot = *together;
            }
            nodes.push(node);
        }
        nodes
    }
}

impl Handler<Ask> for Monitor {
    type Result = ResponseFuture<Result<(), ActError>>;

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> Self::Result {
        let found = self.find(&ask.path, ask.action);
        Box::pin(async move {
            let act = found?;
            match timeout(ANSWER_WAIT, act.send(Act(ask.action))).await {
                Ok(Ok(())) => Ok(()),
                // A restart unwinds the handler, and with it its answer: that is the answer.
                Ok(Err(MailboxError::Closed)) if ask.action == Action::Restart => Ok(()),
                Ok(Err(_)) | Err(_) => Err(ActError::NoAnswer),
            }
        })
    }
}

impl Handler<Subscribe> for Monitor {
    type Result = Result<Reading, TooManyReaders>;

    fn handle(&mut self, subscribe: Subscribe, _: &mut Self::Context) -> Self::Result {
        self.readers.retain(|reader| !reader.is_closed());
        let limit = self.settings.readers_max;
        if self.readers.len() >= limit {
            return Err(TooManyReaders { limit });
        }
        let (reader, events) = mpsc::channel(READER_BUFFER);
        self.readers.push(reader);
        Ok(Reading { history: self.history_after(subscribe.after), events })
    }
}

impl Handler<GetHistory> for Monitor {
    type Result = Vec<Event>;

    fn handle(&mut self, GetHistory(after): GetHistory, _: &mut Self::Context) -> Vec<Event> {
        self.history_after(after)
    }
}
