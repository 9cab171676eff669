//! Ports in memory, for tests: each answers what it was made with.

use std::cell::{Cell, RefCell};
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use uuid::Uuid;

use crate::domain::{Class, ConversationId, HistoryItem, Hit, PendingMessage, Receipt, Tick};
use crate::domain::{Timestamp, TurnId};
use crate::ports::store::{
    CommitOutcome, CommitTurn, ConversationState, ReleaseTurn, StartOutcome, StartTurn, StoreFuture, Turns,
};
use crate::ports::{
    Answer, Classifiable, Classification, ClassifierError, Compute, Entropy, PortFuture, Query, QueryError,
    QueryService, StoreError, VectorsError, VectorsResponse,
};
use crate::services::{
    ClassifierService, Engine, QueryFrontService, Services, VectorsEngine, VectorsService,
};
use crate::settings::{FrontSettings, SupervisionSettings};
use crate::supervision::events::Reporter;
use crate::supervision::policy::{RestartPolicy, Strategy};
use crate::supervision::snapshot::{Act, Action, Inspect, Kind, Snapshot};
use crate::supervision::supervised::Keeper;
use crate::supervision::{Front, FrontHandle, Service};

/// A port that answers every call alike.
#[derive(Clone, Debug)]
pub struct Always<T>(pub T);

impl QueryService for Always<Result<Answer, QueryError>> {
    fn answer(&self, _: Query) -> PortFuture<Answer, QueryError> {
        Box::pin(ready(self.0.clone()))
    }
}

/// Turns of people who never wrote before; nothing can be written.
#[derive(Clone, Copy, Debug)]
pub struct NoTurns;

fn refused<T: Send + 'static>() -> StoreFuture<T> {
    Box::pin(ready(Err(StoreError::Refused("nothing is stored here".to_owned()))))
}

impl Turns for NoTurns {
    fn load_conversation(&self, _: ConversationId, _: usize) -> StoreFuture<Option<ConversationState>> {
        Box::pin(ready(Ok(None)))
    }

    fn history(&self, _: ConversationId, _: TurnId, _: usize) -> StoreFuture<Vec<HistoryItem>> {
        Box::pin(ready(Ok(vec![])))
    }

    fn start_turn(&self, _: StartTurn) -> StoreFuture<StartOutcome> {
        refused()
    }

    fn commit_turn(&self, _: Box<CommitTurn>) -> StoreFuture<CommitOutcome> {
        refused()
    }

    fn release_turn(&self, _: ReleaseTurn) -> StoreFuture<bool> {
        refused()
    }
}

/// Chance that is always the same, and ids that are not.
#[derive(Clone, Copy, Debug)]
pub struct NoChance;

impl Entropy for NoChance {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn fraction(&self) -> f64 {
        0.0
    }
}

/// Runs a test of actors in paused time, and fails it when an actor or a task outlives it.
pub struct Harness {
    keepers: RefCell<Vec<Rc<Keeper>>>,
}

/// How long actors and tasks may take to end after their test, in paused time.
const LEAK_WAIT: Duration = Duration::from_secs(3_600);

impl Harness {
    /// Runs `test`. What it starts by way of the harness must have ended, or end by itself once the test has let go of it.
    ///
    /// # Panics
    /// When something has leaked; it says what.
    pub fn run(test: impl AsyncFnOnce(&Self)) {
        System::new().block_on(async {
            tokio::time::pause();
            let harness = Self { keepers: RefCell::default() };
            test(&harness).await;
            tokio::time::sleep(LEAK_WAIT).await;
            let leaks = harness.leaks();
            assert!(leaks.is_empty(), "outlived the test: {}", leaks.join(", "));
        });
    }

    /// Keeps actors alive as the settings say, and tells nobody.
    pub fn keeper(&self, path: &str, limits: &SupervisionSettings, strategy: Strategy) -> Rc<Keeper> {
        let keeper = keeper(path, limits, strategy);
        self.watch(&keeper);
        keeper
    }

    /// Watches what else is kept alive.
    pub fn watch(&self, keeper: &Rc<Keeper>) {
        self.keepers.borrow_mut().push(Rc::clone(keeper));
    }

    fn leaks(&self) -> Vec<String> {
        let keepers = self.keepers.borrow();
        let leaky = keepers.iter().filter(|keeper| keeper.alive.get() + keeper.tasks.get() > 0);
        let told = leaky.map(|keeper| {
            let Keeper { alive, tasks, reporter, .. } = &**keeper;
            format!("{} actors and {} tasks of {}", alive.get(), tasks.get(), reporter.path())
        });
        told.collect()
    }
}

/// Keeps actors alive as the settings say, and tells nobody.
#[must_use]
pub fn keeper(path: &str, limits: &SupervisionSettings, strategy: Strategy) -> Rc<Keeper> {
    Rc::new(Keeper {
        policy: RestartPolicy::from(limits),
        strategy,
        reporter: Reporter::silent(path),
        entropy: Arc::new(NoChance),
        end_process: Arc::new(|_| {}),
        alive: Cell::new(0),
        tasks: Cell::new(0),
    })
}

/// Takes its place in the tree, and never answers.
pub struct Silent(pub Reporter);

impl Actor for Silent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.0.register(Kind::Actor, inspect, Some(act), &[Action::Pause]);
    }
}

impl Handler<Inspect> for Silent {
    type Result = ResponseFuture<Snapshot>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        Box::pin(std::future::pending())
    }
}

impl Handler<Act> for Silent {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Act, _: &mut Self::Context) -> Self::Result {
        Box::pin(std::future::pending())
    }
}

/// Keeps actors alive as it comes, and tells nobody.
#[must_use]
pub fn silent_keeper(path: &str) -> Rc<Keeper> {
    keeper(path, &SupervisionSettings::default(), Strategy::KeepTrying)
}

/// Does work on the thread that asks, which may be one whose time is paused. A panic is one of the service's.
#[must_use]
pub fn in_place<C: Compute>(worker: C) -> Engine<C::Request, C::Response, C::Error> {
    let worker = RefCell::new(worker);
    Engine::port(move |request| Box::pin(ready(worker.borrow_mut().compute(request))))
}

/// A port that gives every caller the same answer.
#[must_use]
pub fn always<Q: Send + 'static, R, E>(answer: &Result<R, E>) -> Engine<Q, R, E>
where
    R: Clone + Send + 'static,
    E: Clone + Send + 'static,
{
    let answer = answer.clone();
    Engine::port(move |_| Box::pin(ready(answer.clone())))
}

const FRONT: FrontSettings = FrontSettings { in_flight_max: 8, queue_max: 64, deadline_ms: 2_000 };

/// A front of its own in the current arbiter.
fn front<S: Service>(make: impl Fn() -> S + 'static) -> FrontHandle<S> {
    let limits = SupervisionSettings::default();
    Front::start_with(make, FRONT, &limits, &keeper(S::NAME, &limits, Strategy::KeepTrying))
}

/// A search behind a front of its own in the current arbiter, which always finds the same.
#[must_use]
pub fn vectors(found: Result<Vec<Hit>, VectorsError>) -> FrontHandle<VectorsService> {
    let found = found.map(VectorsResponse::Hits);
    front(move || VectorsService(always(&found)))
}

/// The services of a turn behind fronts of their own in the current arbiter, without an embedder.
#[must_use]
pub fn services(
    vectors: impl Fn() -> VectorsEngine + 'static,
    classifier: impl Fn() -> Engine<Classifiable, Classification, ClassifierError> + 'static,
    query: impl QueryService,
) -> Services {
    let query: Arc<dyn QueryService> = Arc::new(query);
    Services {
        embedding: None,
        vectors: front(move || VectorsService(vectors())),
        needs_vectors: false,
        classifier: front(move || ClassifierService(classifier())),
        query: front(move || QueryFrontService(Arc::clone(&query))),
    }
}

/// A classification in the default language.
#[must_use]
pub const fn classified(class: Class, confidence: f32) -> Classification {
    Classification { class, confidence, scope: 1.0, language: None }
}

/// A message of a kind, with or without a text.
#[must_use]
pub fn message(kind: &str, text: Option<&str>) -> PendingMessage {
    PendingMessage {
        seq: 1,
        kind: kind.to_owned(),
        text: text.map(str::to_owned),
        provider_at: None,
        receipt: Receipt { at: Timestamp(0), tick: Tick(0), seq: 0 },
        alone: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "outlived the test: 0 actors and 1 tasks of a")]
    fn a_task_that_outlives_its_test_fails_it() {
        Harness::run(async |harness| {
            let keeper = harness.keeper("a", &SupervisionSettings::default(), Strategy::KeepTrying);
            keeper.spawn(std::future::pending());
        });
    }
}
