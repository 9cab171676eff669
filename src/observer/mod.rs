//! Looks at the running server, and says how it is: figures, what they were in the last quarter of an hour, and warnings.
//!
//! One actor looks, for everybody who wants to see it: as often as twice a second while somebody does, and every few seconds
//! otherwise. The rest is pure.

mod figures;
mod series;
mod silence;
mod warnings;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;
use tertulia_actors::domain::{Books, Memory, Timestamp};
use tertulia_actors::inbox::pressure::{PressureLimits, Refusals};
use tertulia_actors::operations::Operations;
use tertulia_actors::ports::Clock;
use tertulia_actors::supervision::arbiter::start_on;
use tertulia_actors::supervision::events::Event;
use tertulia_actors::supervision::policy::Strategy;
use tertulia_actors::supervision::root::Root;
use tertulia_actors::supervision::snapshot::{Inspect, Kind, Node, Snapshot};
use tertulia_actors::supervision::supervised::Keeper;
use tokio::sync::watch;
use tokio::time::Instant;

pub use figures::{Causes, Counters, Figures, nodes};
pub use series::{Point, Series};
pub use silence::Silences;
pub use warnings::{Severity, Warning};

use actix_rt::ArbiterHandle;

/// The place of the observer in the tree.
const PATH: &str = "observer";

/// How often it looks while somebody wants to see: what is shown changes no more often.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often it looks while nobody does, and how much time a point of the series stands for.
pub const POINT_EVERY: Duration = Duration::from_secs(5);

/// Events of the past that a look holds.
const EVENTS_MAX: usize = 500;

/// One look at everything.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Grows by one with each look of this process.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Every supervisor and worker; none when the monitor did not answer.
    pub tree: Option<Arc<Node>>,
    /// The figures.
    pub figures: Figures,
    /// What was counted since the process began, or ever.
    pub counters: Counters,
    /// What is wrong, the worst first.
    pub warnings: Vec<Warning>,
    /// The last quarter of an hour.
    pub series: Arc<Series>,
    /// What has happened of late, the oldest first.
    pub events: Arc<VecDeque<Event>>,
    /// The tree as JSON, made for the first who wants it.
    tree_text: OnceLock<Option<Box<RawValue>>>,
}

impl Look {
    /// The whole tree as JSON; none when the monitor did not answer.
    #[must_use]
    pub fn tree_text(&self) -> Option<&RawValue> {
        let made = self.tree_text.get_or_init(|| {
            let tree = self.tree.as_ref()?;
            // A tree has text keys and finite numbers alone, which JSON has.
            serde_json::value::to_raw_value(tree).ok()
        });
        made.as_deref()
    }

    /// What happened after the event of this number.
    pub fn events_after(&self, last: u64) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.id > last)
    }
}

/// Where the observer looks.
#[derive(Clone)]
pub struct ObserverParts {
    /// The tree of supervision.
    pub operations: Operations,
    /// The books, published after each commit.
    pub books: watch::Receiver<Books>,
    /// Memory of the process.
    pub memory: watch::Receiver<Memory>,
    /// What the way in refused.
    pub refusals: Refusals,
    /// What may wait, by which warnings are given.
    pub limits: PressureLimits,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// The way to the looks. Clones see the same.
#[derive(Clone)]
pub struct Looks {
    published: watch::Receiver<Arc<Look>>,
    /// One for each who wants to see them as they come.
    watched: watch::Sender<usize>,
}

impl Looks {
    /// Starts the observer on a thread.
    ///
    /// # Errors
    /// None when the thread is gone.
    pub async fn start(thread: &ArbiterHandle, root: &Root, parts: ObserverParts) -> Option<Self> {
        let (publish, published) = watch::channel(Arc::new(Look::default()));
        let (watched, watchers) = watch::channel(0);
        let root = root.clone();
        start_on(thread, move || {
            let keeper = root.keeper(PATH, Strategy::KeepTrying);
            keeper.run(Context::new(), Observer::new(parts, publish, watchers, Rc::clone(&keeper)));
        })
        .await?;
        Some(Self { published, watched })
    }

    /// Looks that were made before, and never change: for tests.
    #[cfg(test)]
    pub(crate) fn still(look: Look) -> Self {
        Self { published: watch::channel(Arc::new(look)).1, watched: watch::channel(0).0 }
    }

    /// The last look, up to [`POINT_EVERY`] old.
    #[must_use]
    pub fn last(&self) -> Arc<Look> {
        Arc::clone(&self.published.borrow())
    }

    /// Every look from now on, as often as it is made.
    #[must_use]
    pub fn watch(&self) -> Watching {
        self.watched.send_modify(|watching| *watching += 1);
        let mut published = self.published.clone();
        published.mark_unchanged();
        Watching { published, watched: self.watched.clone() }
    }
}

/// Sees every look until it is dropped.
pub struct Watching {
    published: watch::Receiver<Arc<Look>>,
    watched: watch::Sender<usize>,
}

impl Watching {
    /// The next look; none when the observer has ended.
    pub async fn next(&mut self) -> Option<Arc<Look>> {
        self.published.changed().await.ok()?;
        Some(Arc::clone(&self.published.borrow_and_update()))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watched.send_modify(|watching| *watching = watching.saturating_sub(1));
    }
}

/// It is time to look. The answer says whether the sender should go on.
#[derive(Message)]
#[rtype(result = "bool")]
struct LookNow {
    life: u32,
    tree: Option<Node>,
    /// What happened since the last look, as far as the monitor keeps it.
    events: Vec<Event>,
}

/// Owns the series, the last events, and what was counted when the points of the series were made.
///
/// Sent to by its own task, which asks for the tree and has one message under way at a time, and by the monitor. A restart keeps
/// the series: only what panicked over one look is thrown away.
struct Observer {
    parts: ObserverParts,
    publish: Rc<watch::Sender<Arc<Look>>>,
    watchers: watch::Receiver<usize>,
    keeper: Rc<Keeper>,
    looks: u64,
    series: Arc<Series>,
    events: Arc<VecDeque<Event>>,
    silences: Silences,
    /// What was counted when the last points were made, the last one last.
    marks: figures::Marks,
    last_point: Option<Instant>,
    /// Which of the values that this actor had over time.
    life: u32,
}

impl Observer {
    fn new(
        parts: ObserverParts,
        publish: watch::Sender<Arc<Look>>,
        watchers: watch::Receiver<usize>,
        keeper: Rc<Keeper>,
    ) -> Self {
        Self {
            parts,
            publish: Rc::new(publish),
            watchers,
            keeper,
            looks: 0,
            series: Arc::default(),
            events: Arc::default(),
            silences: Silences::default(),
            marks: figures::Marks::default(),
            last_point: None,
            life: 0,
        }
    }

    /// Asks for the tree whenever it is time, and hands it on.
    fn listen(&self, ctx: &Context<Self>) {
        let (observer, life, operations) = (ctx.address(), self.life, self.parts.operations.clone());
        let mut watchers = self.watchers.clone();
        let mut last = self.events.back().map_or(0, |event| event.id);
        self.keeper.spawn(async move {
            loop {
                let began = Instant::now();
                let (tree, events) = tokio::join!(operations.tree(), operations.history(last));
                let (tree, events) = (tree.ok(), events.unwrap_or_default());
                last = events.last().map_or(last, |event| event.id);
                if !observer.send(LookNow { life, tree, events }).await.unwrap_or(false) {
                    return;
                }
                if *watchers.borrow_and_update() == 0 {
                    // The first who wants to see does not wait for long.
                    let comes = watchers.wait_for(|watching| *watching > 0);
                    let _ = tokio::time::timeout_at(began + POINT_EVERY, comes).await;
                }
                tokio::time::sleep_until(began + LOOK_EVERY).await;
            }
        });
    }

    fn look(&mut self, tree: Option<Node>, events: Vec<Event>) -> Look {
        let (now, at) = (Instant::now(), self.parts.clock.now());
        let (books, memory) = (*self.parts.books.borrow(), *self.parts.memory.borrow());
        let counters = Counters::of(tree.as_ref(), &books, self.parts.refusals.counts(), self.marks.last());
        let figures = Figures::of(tree.as_ref(), &books, memory, self.marks.rates(now, &counters));
        self.silences.look(tree.as_ref(), at);
        let warnings = warnings::warnings(tree.as_ref(), &self.silences, &figures, &self.parts.limits, at);
        self.keep(events);
        if self.last_point.is_none_or(|last| now.saturating_duration_since(last) >= POINT_EVERY) {
            self.last_point = Some(now);
            let causes =
                self.marks.last().map(|last| counters.errors.since(&last.errors)).unwrap_or_default();
            self.marks.mark(now, counters.clone());
            Arc::make_mut(&mut self.series).push(Point::of(at, &figures, causes));
        }
        self.looks += 1;
        let (number, tree, series) = (self.looks, tree.map(Arc::new), Arc::clone(&self.series));
        let (events, tree_text) = (Arc::clone(&self.events), OnceLock::new());
        Look { number, at, tree, figures, counters, warnings, series, events, tree_text }
    }

    fn keep(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let kept = Arc::make_mut(&mut self.events);
        kept.extend(events);
        kept.drain(..kept.len().saturating_sub(EVENTS_MAX));
    }
}

impl Actor for Observer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.keeper.reporter.register(Kind::Actor, ctx.address().recipient(), None, &[]);
        self.listen(ctx);
    }
}

impl Supervised for Observer {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.life = self.life.wrapping_add(1);
    }
}

impl Handler<LookNow> for Observer {
    type Result = bool;

    fn handle(&mut self, look: LookNow, _: &mut Self::Context) -> bool {
        let LookNow { life, tree, events } = look;
        if life != self.life {
            return false;
        }
        let look = self.look(tree, events);
        self.publish.send_replace(Arc::new(look));
        true
    }
}

impl Handler<Inspect> for Observer {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let watching = *self.watchers.borrow();
        MessageResult(Snapshot {
            handled: Some(self.looks),
            detail: json!({ "watching": watching, "points": self.series.len() }),
            ..Snapshot::default()
        })
    }
}
