//! Fronts with services that are slow, fail, panic and come back, in paused time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::super::call::CallResult;
use super::super::policy::Strategy;
use super::super::service::Work;
use super::*;
use crate::testkit::Harness;

/// What the service does when it is asked for this many milliseconds.
const FAILS: u64 = 7;
const PANICS_ON_THE_WAY: u64 = 13;
const PANICS_AT_ONCE: u64 = 17;
const REFUSES: u64 = 19;
const IS_HOPELESS: u64 = 23;
/// A thread of the service panics, freezes, or is not there.
const THREAD_PANICS: u64 = 29;
const THREAD_FREEZES: u64 = 31;
const HAS_NO_THREAD: u64 = 37;

struct Slow {
    counts: Rc<Counts>,
}

#[derive(Default)]
struct Counts {
    made: Cell<usize>,
    started: Cell<usize>,
    refreshed: Cell<usize>,
}

fn add(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

impl Service for Slow {
    type Request = u64;
    type Response = u64;
    type Error = u64;
    const NAME: &'static str = "slow";

    fn call(&self, ms: u64) -> Work<u64, u64> {
        add(&self.counts.started);
        assert!(ms != PANICS_AT_ONCE, "the service fails");
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            match ms {
                PANICS_ON_THE_WAY => panic!("the service fails"),
                FAILS | REFUSES | IS_HOPELESS => Err(Fault::Failed(ms)),
                THREAD_PANICS => Err(Fault::Panicked("it fails".into())),
                THREAD_FREEZES => Err(Fault::Frozen(Duration::from_millis(ms))),
                HAS_NO_THREAD => Err(Fault::NoWorker),
                ms => Ok(ms),
            }
        })
    }

    fn blame(error: &u64) -> Blame {
        match *error {
            REFUSES => Blame::Request,
            IS_HOPELESS => Blame::Hopeless,
            _ => Blame::Service,
        }
    }

    fn refresh(&self) {
        add(&self.counts.refreshed);
    }
}

/// The same, whose work ends with its caller.
struct Cut(Slow);

impl Service for Cut {
    type Request = u64;
    type Response = u64;
    type Error = u64;
    const NAME: &'static str = "cut";
    const ENDS_WITH_CALLER: bool = true;

    fn call(&self, ms: u64) -> Work<u64, u64> {
        self.0.call(ms)
    }

    fn blame(error: &u64) -> Blame {
        Slow::blame(error)
    }
}

fn limits() -> SupervisionSettings {
    SupervisionSettings {
        breaker_failures: 3,
        share_max: 2,
        probe_ms: 1_000,
        ..SupervisionSettings::default()
    }
}

struct Bench {
    front: FrontHandle<Slow>,
    counts: Rc<Counts>,
}

impl Bench {
    fn new(harness: &Harness, in_flight_max: usize, queue_max: usize) -> Self {
        let counts = Rc::new(Counts::default());
        let settings = FrontSettings { in_flight_max, queue_max, deadline_ms: 100 };
        let made = Rc::clone(&counts);
        let make = move || {
            add(&made.made);
            Slow { counts: Rc::clone(&made) }
        };
        let limits = limits();
        let keeper = harness.keeper("services/slow", &limits, Strategy::KeepTrying);
        Self { front: Front::start_with(make, settings, &limits, &keeper), counts }
    }

    async fn call(&self, ms: u64) -> CallResult<Slow> {
        self.front.call(None, ms).await
    }

    async fn snapshot(&self) -> Snapshot {
        self.front.front.send(Inspect).await.expect("alive")
    }

    async fn state(&self) -> State {
        self.snapshot().await.state.expect("fronts know")
    }
}

fn down(started: bool) -> CallResult<Slow> {
    Err(CallError::Down { service: "slow", started })
}

fn late(started: bool) -> CallResult<Slow> {
    Err(CallError::DeadlineExceeded { service: "slow", started })
}

#[test]
fn a_front_answers_and_passes_the_services_errors_on() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 4, 4);
        assert_eq!(bench.call(5).await, Ok(5));
        assert_eq!(bench.call(FAILS).await, Err(CallError::Failed(FAILS)));
    });
}

#[test]
fn a_panic_in_a_call_reaches_its_caller_only_frees_its_place_and_makes_the_service_anew() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        for panics in [PANICS_ON_THE_WAY, PANICS_AT_ONCE] {
            let (panicked, fine) = tokio::join!(bench.call(panics), bench.call(5));
            assert_eq!((panicked, fine), (down(true), Ok(5)));
        }
        assert_eq!(bench.counts.made.get(), 3);
        assert_eq!(bench.state().await, State::Running);
    });
}

#[test]
fn a_call_beyond_the_queue_is_refused_at_once() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 1);
        let (a, b, c) = tokio::join!(bench.call(20), bench.call(20), bench.call(20));
        assert_eq!((a, b), (Ok(20), Ok(20)));
        assert_eq!(c, Err(CallError::Overloaded { service: "slow", limit: 1 }));
        assert_eq!(bench.counts.started.get(), 2);
    });
}

#[test]
fn one_conversation_cannot_fill_the_queue() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        let ids = [1, 2].map(|n| Some(ConversationId::new(uuid::Uuid::from_u128(n))));
        let call = |who: usize| bench.front.call(ids[who], 10);
        let (a, b, c, d, e) = tokio::join!(call(0), call(0), call(0), call(0), call(1));
        assert_eq!((a, b, c, e), (Ok(10), Ok(10), Ok(10), Ok(10)));
        assert!(matches!(d, Err(CallError::Overloaded { .. })), "{d:?}");
    });
}

#[test]
fn a_deadline_ends_a_call_under_way_and_one_that_waits() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        let (a, b) = tokio::join!(bench.call(5_000), bench.call(1));
        assert_eq!((a, b), (late(true), late(false)));
        assert_eq!(bench.counts.started.get(), 1, "the second one was never worth starting");
    });
}

#[test]
fn a_caller_that_gave_up_is_skipped_before_work_starts() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        let given_up = tokio::time::timeout(Duration::from_millis(10), bench.call(1));
        let (first, given_up) = tokio::join!(bench.call(50), given_up);
        assert!(first.is_ok() && given_up.is_err());
        assert_eq!(bench.call(1).await, Ok(1));
        assert_eq!(bench.counts.started.get(), 2);
    });
}

/// Calls under way a little after the only caller has left, and whether the service is still thought well of.
async fn left_by_its_caller<S: Service<Request = u64>>(
    front: FrontHandle<S>,
) -> (Option<usize>, Option<State>) {
    let given_up = tokio::time::timeout(Duration::from_millis(10), front.call(None, 50)).await;
    assert!(given_up.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let seen = front.front.send(Inspect).await.expect("alive");
    (seen.in_flight, seen.state)
}

#[test]
fn work_that_its_caller_left_goes_on_unless_the_service_says_that_it_ends_and_is_no_failure() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        assert_eq!(left_by_its_caller(bench.front).await, (Some(1), Some(State::Running)));
        let counts = Rc::default();
        let (limits, settings) =
            (limits(), FrontSettings { in_flight_max: 1, queue_max: 4, deadline_ms: 100 });
        let keeper = harness.keeper("services/cut", &limits, Strategy::KeepTrying);
        let make = move || Cut(Slow { counts: Rc::clone(&counts) });
        let front = Front::start_with(make, settings, &limits, &keeper);
        // More often than it may fail in a row.
        for _ in 0..=limits.breaker_failures {
            assert_eq!(left_by_its_caller(front.clone()).await, (Some(0), Some(State::Running)));
        }
        assert_eq!(front.call(None, 1).await, Ok(1));
    });
}

#[test]
fn a_service_that_fails_in_a_row_is_given_up_probed_and_taken_back() {
    Harness::run(async |harness| {
        for (fails, made) in [(FAILS, 1), (PANICS_AT_ONCE, 4)] {
            let bench = Bench::new(harness, 4, 4);
            for _ in 0..3 {
                assert_eq!(bench.state().await, State::Running);
                assert!(bench.call(fails).await.is_err());
            }
            assert_eq!(bench.state().await, State::Down);
            assert_eq!(bench.call(5).await, down(false));
            assert_eq!((bench.counts.started.get(), bench.counts.made.get()), (3, made));
            // One call finds out that it still fails, another one later that it does not.
            tokio::time::sleep(Duration::from_millis(1_000)).await;
            let (probe, other) = tokio::join!(bench.call(FAILS), bench.call(5));
            assert_eq!((probe, other), (Err(CallError::Failed(FAILS)), down(false)));
            tokio::time::sleep(Duration::from_millis(1_900)).await;
            assert_eq!(bench.call(5).await, down(false), "the wait doubles");
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(bench.call(5).await, Ok(5));
            assert_eq!(bench.state().await, State::Running);
            assert_eq!(bench.counts.refreshed.get(), 2, "before each probe");
        }
    });
}

#[test]
fn a_refused_request_says_nothing_about_the_service_and_a_hopeless_one_everything() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 4, 4);
        for _ in 0..10 {
            assert_eq!(bench.call(REFUSES).await, Err(CallError::Failed(REFUSES)));
        }
        assert_eq!(bench.state().await, State::Running);
        assert_eq!(bench.call(IS_HOPELESS).await, Err(CallError::Failed(IS_HOPELESS)));
        assert_eq!(bench.state().await, State::Down);
        bench.front.probe_now();
        assert_eq!(bench.call(REFUSES).await, Err(CallError::Failed(REFUSES)), "a probe that says nothing");
        assert_eq!(bench.call(5).await, Ok(5));
        assert_eq!(bench.state().await, State::Running);
    });
}

#[test]
fn threads_that_fail_count_as_failures_but_the_service_that_replaces_them_stays() {
    Harness::run(async |harness| {
        for (fails, told) in [(THREAD_PANICS, down(true)), (THREAD_FREEZES, late(true))] {
            let bench = Bench::new(harness, 4, 4);
            for _ in 0..3 {
                assert_eq!(bench.state().await, State::Running);
                assert_eq!(bench.call(fails).await, told);
            }
            assert_eq!((bench.state().await, bench.counts.made.get()), (State::Down, 1));
        }
        let bench = Bench::new(harness, 4, 4);
        assert_eq!(bench.call(HAS_NO_THREAD).await, down(false));
        assert_eq!((bench.state().await, bench.counts.made.get()), (State::Down, 1), "known to be down");
    });
}

#[test]
fn those_that_wait_are_refused_when_the_service_is_given_up() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 9);
        let (a, b) = tokio::join!(bench.call(IS_HOPELESS), bench.call(5));
        assert_eq!((a, b), (Err(CallError::Failed(IS_HOPELESS)), down(false)));
    });
}

#[test]
fn an_operator_pauses_drains_resumes_and_restarts_a_front() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        let act = |action| bench.front.front.do_send(Act(action));
        let pause = async {
            tokio::task::yield_now().await;
            act(Action::Pause);
        };
        let (running, waiting, ()) = tokio::join!(bench.call(20), bench.call(20), pause);
        assert_eq!((running, waiting), (Ok(20), down(false)), "what runs ends, what waits is refused");
        assert_eq!((bench.state().await, bench.call(1).await), (State::Paused, down(false)));
        act(Action::Resume);
        assert_eq!(bench.call(1).await, Ok(1));
        let drain = async {
            tokio::task::yield_now().await;
            act(Action::Drain);
        };
        let (running, waiting, ()) = tokio::join!(bench.call(20), bench.call(20), drain);
        assert_eq!((running, waiting), (Ok(20), Ok(20)), "what waits is done as well");
        assert_eq!((bench.state().await, bench.call(1).await), (State::Draining, down(false)));
        act(Action::Resume);
        for _ in 0..20 {
            act(Action::Restart);
        }
        assert_eq!(bench.call(1).await, Ok(1), "an operator's restarts are no failures");
        assert_eq!(bench.counts.made.get(), 21);
    });
}

#[test]
fn a_front_says_how_it_is() {
    Harness::run(async |harness| {
        let bench = Bench::new(harness, 1, 4);
        let look = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            bench.snapshot().await
        };
        let (_, _, busy) = tokio::join!(bench.call(50), bench.call(FAILS), look);
        assert_eq!((busy.in_flight, busy.waiting), (Some(1), Some(1)));
        assert!(busy.oldest_ms.is_some_and(|ms| (10..20).contains(&ms)), "{busy:?}");
        let idle = bench.snapshot().await;
        assert_eq!(
            (idle.in_flight, idle.waiting, idle.mailbox, idle.oldest_ms),
            (Some(0), Some(0), Some(0), None)
        );
        assert_eq!((idle.handled, idle.failed), (Some(2), Some(1)));
        assert!(idle.latency.is_some_and(|latency| latency.max_ms >= 50.0), "{idle:?}");
        assert_eq!(idle.detail["failures"]["error"], 1);
    });
}
