//! Actors that panic in every place, in paused time.

use std::sync::Mutex;

use super::super::snapshot::{Act, Action};
use super::*;
use crate::settings::SupervisionSettings;
use crate::testkit::{Harness, NoChance};

/// Counts, and panics where it is asked to.
struct Counter {
    lives: u32,
    handled: u32,
    panics_when_started: u32,
    panics_when_replaced: u32,
}

#[derive(Message)]
#[rtype(result = "(u32, u32)")]
struct Count;

#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
enum Boom {
    InHandler,
    InTimer,
    InFuture,
    InContextFuture,
    WhenStarted(u32),
    WhenReplaced(u32),
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.panics_when_started > 0 {
            self.panics_when_started -= 1;
            panic!("when started");
        }
    }
}

impl Supervised for Counter {
    fn restarting(&mut self, _: &mut Self::Context) {
        if self.panics_when_replaced > 0 {
            self.panics_when_replaced -= 1;
            panic!("when replaced");
        }
        *self = Self { lives: self.lives + 1, handled: 0, ..*self };
    }
}

impl Handler<Count> for Counter {
    type Result = MessageResult<Count>;

    fn handle(&mut self, _: Count, _: &mut Self::Context) -> Self::Result {
        self.handled += 1;
        MessageResult((self.lives, self.handled))
    }
}

impl Handler<Boom> for Counter {
    type Result = ();

    fn handle(&mut self, boom: Boom, ctx: &mut Self::Context) {
        match boom {
            Boom::InHandler => panic!("in the handler"),
            Boom::InTimer => drop(ctx.run_later(Duration::ZERO, |_, _| panic!("in the timer"))),
            Boom::InFuture => drop(actix_rt::spawn(async { panic!("in a task, which is nobody's") })),
            Boom::InContextFuture => {
                ctx.wait(async {}.into_actor(self).map(|(), _, _| panic!("in a future")));
            }
            Boom::WhenStarted(times) => {
                self.panics_when_started = times;
                panic!("in the handler");
            }
            Boom::WhenReplaced(times) => {
                self.panics_when_replaced = times;
                panic!("in the handler");
            }
        }
    }
}

impl Handler<Act> for Counter {
    type Result = ();

    fn handle(&mut self, Act(action): Act, _: &mut Self::Context) {
        assert_eq!(action, Action::Restart);
        unwind_for_restart()
    }
}

struct Bench {
    counter: Addr<Counter>,
    keeper: Rc<Keeper>,
    ended: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new(harness: &Harness, strategy: Strategy) -> Self {
        let limits = SupervisionSettings { restarts_max: 3, ..SupervisionSettings::default() };
        let ended = Arc::new(Mutex::new(vec![]));
        let told = Arc::clone(&ended);
        let keeper = Rc::new(Keeper {
            policy: RestartPolicy::from(&limits),
            strategy,
            reporter: Reporter::silent("counter"),
            entropy: Arc::new(NoChance),
            end_process: Arc::new(move |why: &str| told.lock().unwrap().push(why.to_owned())),
            alive: Cell::new(0),
            tasks: Cell::new(0),
        });
        harness.watch(&keeper);
        let ctx = Context::new();
        let counter = ctx.address();
        let actor = Counter { lives: 1, handled: 0, panics_when_started: 0, panics_when_replaced: 0 };
        keeper.run(ctx, actor);
        Self { counter, keeper, ended }
    }

    async fn count(&self) -> (u32, u32) {
        self.counter.send(Count).await.expect("alive")
    }
}

#[test]
fn a_panic_anywhere_in_an_actor_replaces_its_value_and_keeps_what_is_queued() {
    Harness::run(async |harness| {
        for (boom, lives) in [
            (Boom::InHandler, 2),
            (Boom::InTimer, 2),
            (Boom::InContextFuture, 2),
            (Boom::InFuture, 1),
            // A double panic: the fresh value panics as well, or cannot even be made.
            (Boom::WhenStarted(1), 3),
            (Boom::WhenReplaced(1), 2),
        ] {
            let bench = Bench::new(harness, Strategy::KeepTrying);
            assert_eq!(bench.count().await, (1, 1));
            bench.counter.do_send(boom);
            if matches!(boom, Boom::InTimer) {
                sleep(Duration::from_millis(10)).await;
            }
            let queued = [bench.counter.send(Count), bench.counter.send(Count)];
            let counted = futures_util::future::join_all(queued).await;
            let expected = if lives == 1 { [(1, 2), (1, 3)] } else { [(lives, 1), (lives, 2)] };
            assert_eq!(counted.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
        }
    });
}

#[test]
fn nothing_spins_a_value_that_always_panics_waits_longer_each_time() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, Strategy::KeepTrying);
        let begin = Instant::now();
        bench.counter.do_send(Boom::WhenStarted(5));
        assert_eq!(bench.count().await, (7, 1));
        // At once, 100 ms, 200 ms, then three times the longest wait.
        let waited = begin.elapsed();
        assert!((Duration::from_millis(9_300)..Duration::from_millis(9_400)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn an_actor_that_nothing_works_without_ends_the_process_when_restarts_do_not_help() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, Strategy::EndProcess);
        for _ in 0..3 {
            bench.counter.do_send(Boom::InHandler);
            bench.count().await;
        }
        assert_eq!(*bench.ended.lock().unwrap(), Vec::<String>::new());
        assert!(bench.counter.send(Boom::InHandler).await.is_err());
        assert!(bench.counter.send(Count).await.is_err(), "it is gone");
        assert_eq!(*bench.ended.lock().unwrap(), ["counter failed too often: panic: in the handler"]);
        assert_eq!(bench.keeper.alive.get(), 0);
    });
}

#[test]
fn an_operators_restarts_are_no_failures_and_take_the_same_way() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, Strategy::EndProcess);
        for lives in 2..30 {
            bench.counter.do_send(Act(Action::Restart));
            assert_eq!(bench.count().await, (lives, 1));
        }
    });
}

#[test]
fn an_actor_that_nobody_can_send_to_ends() {
    Harness::run(async |harness| {
        let Bench { counter, keeper, .. } = Bench::new(harness, Strategy::KeepTrying);
        assert_eq!(keeper.alive.get(), 1);
        counter.do_send(Boom::InHandler);
        drop(counter);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(keeper.alive.get(), 0);
    });
}
