//! What operators see and ask for, with a monitor that runs and actors that answer, are silent or unwind.

use std::rc::Rc;
use std::sync::Arc;

use super::*;
use crate::domain::Timestamp;
use crate::ports::Clock;
use crate::settings::SupervisionSettings;
use crate::supervision::events::{EventKind, Path, Reporter};
use crate::supervision::snapshot::{Act, Inspect, Kind, State};
use crate::supervision::supervised::{Keeper, unwind_for_restart};
use crate::testkit::{Silent, silent_keeper};

const STARTED: i64 = 1_000_000;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(STARTED)
    }

    fn tick(&self) -> crate::domain::Tick {
        crate::domain::Tick(0)
    }
}

/// Does as it is told by an operator, and takes note of it.
struct Obedient {
    keeper: Rc<Keeper>,
    asked: Vec<Action>,
}

impl Actor for Obedient {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.keeper.reporter.register(
            Kind::Actor,
            inspect,
            Some(act),
            &[Action::Restart, Action::Pause, Action::Resume],
        );
    }
}

impl Supervised for Obedient {}

impl Handler<Inspect> for Obedient {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        MessageResult(Snapshot { handled: Some(self.asked.len() as u64), ..Snapshot::default() })
    }
}

impl Handler<Act> for Obedient {
    type Result = ();

    fn handle(&mut self, Act(action): Act, _: &mut Self::Context) {
        match action {
            Action::Restart => unwind_for_restart(),
            Action::Pause => self.keeper.reporter.tell(EventKind::Paused),
            _ => self.keeper.reporter.tell(EventKind::Resumed),
        }
        self.asked.push(action);
    }
}

fn keeper(monitor: &Addr<Monitor>, path: &str) -> Rc<Keeper> {
    let mut keeper = silent_keeper(path);
    let reporter = Reporter::new(monitor.clone(), Path::from(path));
    Rc::get_mut(&mut keeper).expect("nobody else has it").reporter = reporter;
    keeper
}

async fn start() -> (Operations, Addr<Monitor>) {
    let ctx = Context::new();
    let monitor = ctx.address();
    let own = keeper(&monitor, "monitor");
    let limits = SupervisionSettings { readers_max: 1, events_max: 3, ..SupervisionSettings::default() };
    own.run(ctx, Monitor::new(Arc::new(Still), Rc::clone(&own), limits));
    let obedient = keeper(&monitor, "shards/0/turns");
    let ctx = Context::new();
    let actor = ctx.address();
    obedient.run(ctx, Obedient { keeper: Rc::clone(&obedient), asked: vec![] });
    // It has taken its place when it answers.
    actor.send(Inspect).await.expect("alive");
    (Operations::new(monitor.clone(), vec![]), monitor)
}

fn run<F: Future<Output = ()>>(test: F) {
    System::new().block_on(async {
        tokio::time::pause();
        test.await;
    });
}

fn refused(asked: &Result<(), OperationError>) -> Option<ActError> {
    match asked {
        Err(OperationError::Act(error)) => Some(*error),
        _ => None,
    }
}

#[test]
fn what_is_asked_of_a_place_is_done_there_or_it_is_said_why_not() {
    run(async {
        let (operations, monitor) = start().await;
        let silent = Reporter::new(monitor, Path::from("sweep"));
        let _silent = Silent(silent).start();
        actix_rt::task::yield_now().await;
        const TURNS: &str = "shards/0/turns";
        const ALLOWED: &[Action] = &[Action::Restart, Action::Pause, Action::Resume];
        for (path, action, expected) in [
            (TURNS, Action::Pause, None),
            (TURNS, Action::Drain, Some(ActError::NotAllowed { allowed: ALLOWED })),
            ("shards/0", Action::Pause, Some(ActError::NotAllowed { allowed: &[] })),
            ("shards/1", Action::Pause, Some(ActError::NotFound)),
            ("shard", Action::Pause, Some(ActError::NotFound)),
            ("", Action::Pause, Some(ActError::NotFound)),
            ("sweep", Action::Pause, Some(ActError::NoAnswer)),
            ("conversations/nobody", Action::Restart, Some(ActError::NotFound)),
        ] {
            let asked = operations.ask(path, action).await;
            assert_eq!((asked.is_ok(), refused(&asked)), (expected.is_none(), expected), "{path} {action:?}");
        }
        let tree = operations.tree().await.expect("a tree");
        let at = |path: &str| tree.find(path).map(|node| node.state);
        assert_eq!(at(TURNS), Some(State::Paused));
        assert_eq!((at("shards/0"), at("sweep")), (Some(State::Paused), Some(State::Frozen)));
        assert_eq!((at(""), at("shards/1"), at("shard")), (Some(State::Frozen), None, None));
    });
}

#[test]
fn a_restart_is_done_although_the_handler_unwinds_and_that_of_the_monitor_too() {
    run(async {
        let (operations, _) = start().await;
        for path in ["shards/0/turns", "monitor"] {
            assert_eq!(operations.ask(path, Action::Restart).await, Ok(()), "{path}");
            let tree = operations.tree().await.expect("a tree");
            let node = tree.find(path).expect("its place is kept");
            assert_eq!((node.restarts.values().sum::<u64>(), node.state), (1, State::Running), "{path}");
        }
    });
}

#[test]
fn events_are_numbered_behind_those_of_an_earlier_process_and_kept_within_their_bound() {
    run(async {
        let (operations, _) = start().await;
        let first = STARTED.unsigned_abs() + 1;
        let ids = async |after| {
            let history = operations.history(after).await.expect("a history");
            history.into_iter().map(|event| event.id - first).collect::<Vec<_>>()
        };
        for action in [Action::Pause, Action::Resume, Action::Pause, Action::Resume] {
            operations.ask("shards/0/turns", action).await.expect("done");
        }
        assert_eq!(ids(0).await, [1, 2, 3], "the oldest has gone");
        assert_eq!(ids(first + 2).await, [3]);
        assert_eq!(ids(first + 3).await, [] as [u64; 0]);
        assert_eq!(ids(57).await, [1, 2, 3], "57 was told by an earlier process");
        assert_eq!(ids(first + 100).await, [1, 2, 3], "by one whose clock was ahead");
    });
}

#[test]
fn one_reader_too_many_is_refused_until_another_one_leaves() {
    run(async {
        let (operations, _) = start().await;
        let reading = operations.events(0).await.expect("room");
        let refused = operations.events(0).await.err();
        assert_eq!(refused, Some(OperationError::Readers(TooManyReaders { limit: 1 })));
        assert!(operations.history(0).await.is_ok(), "the history takes no reader's place");
        drop(reading);
        assert!(operations.events(0).await.is_ok());
    });
}
