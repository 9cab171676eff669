//! Threads whose workers do what they are asked: answer, fail, panic, or stand still until they are let go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::prelude::*;
use tokio::time::{pause, resume, timeout};

use super::super::events::EventKind;
use super::super::monitor::{GetTree, Monitor, Subscribe};
use super::super::policy::{ReasonKind, RestartPolicy, Strategy};
use super::super::snapshot::{Node, State};
use super::*;
use crate::domain::{Tick, Timestamp};
use crate::ports::Clock;
use crate::testkit::keeper;

/// What a worker is asked.
pub(super) enum Ask {
    /// To tell its thread, and how much it has done.
    Tell,
    Fail,
    Panic,
    /// To say that it has begun, and to go on when it is let to.
    Stand(Sender<()>, Receiver<()>),
}

pub(super) type Told = (String, usize);

struct Hand {
    done: usize,
}

impl Compute for Hand {
    type Request = Ask;
    type Response = Told;
    type Error = &'static str;

    fn compute(&mut self, ask: Ask) -> Result<Told, &'static str> {
        self.done += 1;
        match ask {
            Ask::Tell => {}
            Ask::Fail => return Err("it fails"),
            Ask::Panic => panic!("it panics"),
            Ask::Stand(begun, go_on) => {
                begun.send(()).expect("the test waits");
                // A test that has ended lets everybody go.
                let _ = go_on.recv();
            }
        }
        Ok((std::thread::current().name().unwrap_or_default().to_owned(), self.done))
    }
}

pub(super) type Answer = Result<Told, Fault<&'static str>>;

/// How long a test waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn limits() -> SupervisionSettings {
    SupervisionSettings {
        restarts_max: 2,
        backoff_base_ms: 10,
        backoff_max_ms: 50,
        heartbeat_ms: 30_000,
        abandoned_max: 1,
        ..SupervisionSettings::default()
    }
}

pub(super) struct Bench {
    threads: Threads<Ask, Told, &'static str>,
    made: Arc<AtomicUsize>,
}

impl Bench {
    fn new(threads: usize) -> Self {
        Self::with(threads, &limits())
    }

    fn with(threads: usize, limits: &SupervisionSettings) -> Self {
        Self::kept(&Crew::of(threads), limits, &keeper("services/hand", limits, Strategy::MarkDown))
    }

    pub(super) fn kept(crew: &Crew, limits: &SupervisionSettings, keeper: &Rc<Keeper>) -> Self {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let make = move || {
            count.fetch_add(1, Ordering::Relaxed);
            Hand { done: 0 }
        };
        Self { threads: Threads::start(keeper, limits, crew, make), made }
    }

    pub(super) async fn call(&self, ask: Ask) -> Answer {
        timeout(PATIENCE, self.threads.call(ask)).await.expect("an answer")
    }

    async fn tell(&self) -> Told {
        self.call(Ask::Tell).await.expect("an answer")
    }

    /// A call that stands still, once it does.
    fn stand(&self) -> Standing {
        let ((begun, has_begun), (go_on, may_go_on)) = (channel(), channel());
        let answer = self.threads.call(Ask::Stand(begun, may_go_on));
        Standing { answer, has_begun, go_on }
    }

    /// A call that stands still for so long that its thread is left behind. Nobody else may be at work.
    pub(super) async fn freeze(&self) -> Standing {
        let mut standing = self.stand().begun();
        pause();
        let answer = timeout(PATIENCE, &mut standing.answer).await.expect("it is found to be frozen");
        resume();
        let heartbeat = Duration::from_millis(limits().heartbeat_ms);
        assert!(matches!(answer, Err(Fault::Frozen(silent)) if silent >= heartbeat), "{answer:?}");
        standing
    }

    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let detail = self.threads.detail();
        let count = |name: &str| detail[name].as_u64().and_then(|n| n.try_into().ok()).expect("a count");
        (count("threads"), count("busy"), count("abandoned"))
    }

    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

pub(super) struct Standing {
    answer: Work<Told, &'static str>,
    has_begun: Receiver<()>,
    go_on: Sender<()>,
}

impl Standing {
    /// Waits, without letting anything else run on this thread, until it stands.
    fn begun(self) -> Self {
        self.has_begun.recv_timeout(PATIENCE).expect("an idle thread begins at once");
        self
    }
}

async fn until(is: impl Fn() -> bool) {
    let look = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, look).await.expect("it happens");
}

fn run<F: Future<Output = ()>>(test: F) {
    System::new().block_on(test);
}

#[test]
fn work_is_done_on_named_threads_and_never_on_the_one_that_asks() {
    run(async {
        let bench = Bench::new(2);
        bench.tell().await;
        until(|| bench.made() == 2).await;
        let one = bench.stand().begun();
        let (name, done) = bench.tell().await;
        let other = bench.stand().begun();
        assert_eq!(bench.counts(), (2, 2, 0));
        drop((one.go_on, other.go_on));
        let mut names = [one.answer.await.expect("done").0, other.answer.await.expect("done").0];
        names.sort();
        assert_eq!(names, ["hand-0", "hand-1"]);
        assert!(names.contains(&name) && done >= 1, "{name} {done}");
        assert_eq!((bench.counts(), bench.made()), ((2, 0, 0), 2));
    });
}

#[test]
fn a_worker_that_answers_with_an_error_is_kept_and_one_that_panics_is_not() {
    run(async {
        let bench = Bench::new(1);
        assert_eq!(bench.call(Ask::Fail).await, Err(Fault::Failed("it fails")));
        assert_eq!(bench.tell().await.1, 2);
        assert_eq!(bench.call(Ask::Panic).await, Err(Fault::Panicked("it panics".into())));
        assert_eq!((bench.tell().await.1, bench.made()), (1, 2), "a new worker");
        until(|| bench.threads.alive().get() == 1).await;
    });
}

#[test]
fn calls_wait_in_order_for_an_idle_thread_and_those_that_are_given_up_are_not_begun() {
    run(async {
        let bench = Bench::new(1);
        bench.tell().await;
        let standing = bench.stand().begun();
        let (second, given_up, third) =
            (bench.threads.call(Ask::Tell), bench.threads.call(Ask::Panic), bench.threads.call(Ask::Tell));
        drop(given_up);
        drop(standing.go_on);
        let done = [standing.answer.await, second.await, third.await].map(|answer| answer.expect("done").1);
        assert_eq!((done, bench.made()), ([2, 3, 4], 1));
    });
}

#[test]
fn calls_that_wait_and_are_given_up_leave_no_trace() {
    run(async {
        let bench = Bench::new(1);
        bench.tell().await;
        let standing = bench.stand().begun();
        let first = bench.threads.call(Ask::Tell);
        for _ in 0..100 {
            drop(bench.threads.call(Ask::Tell));
        }
        assert!(bench.threads.pool.borrow().waiting.len() <= 2);
        drop(standing.go_on);
        assert_eq!((first.await.expect("done").1, bench.tell().await.1), (3, 4));
    });
}

#[test]
fn a_thread_skips_work_that_nobody_waits_for_any_more() {
    let (jobs, work_to_do) = channel();
    let wanted = Arc::new(());
    jobs.send(Job { request: Ask::Panic, wanted: std::sync::Weak::new() }).expect("open");
    jobs.send(Job { request: Ask::Fail, wanted: Arc::downgrade(&wanted) }).expect("open");
    drop(jobs);
    let make: Make<_, _, _> = Arc::new(|| Box::new(Hand { done: 0 }));
    let mut said = vec![];
    work(&make, &work_to_do, |what| said.push(what));
    assert!(
        matches!(said[..], [Said::Ready, Said::Skipped, Said::Answer(Err("it fails"))]),
        "{} things",
        said.len()
    );
}

#[test]
fn a_frozen_thread_is_left_behind_and_replaced_and_its_late_answer_reaches_nobody() {
    run(async {
        let bench = Bench::new(1);
        bench.tell().await;
        let frozen = bench.freeze().await;
        assert_eq!(bench.counts().2, 1);
        assert_eq!((bench.tell().await.1, bench.made()), (1, 2), "a new worker");
        assert_eq!(bench.threads.alive().get(), 2);
        drop(frozen.go_on);
        until(|| bench.counts() == (1, 0, 0) && bench.threads.alive().get() == 1).await;
        assert_eq!((bench.tell().await.1, bench.made()), (2, 2));
    });
}

#[test]
fn a_thread_whose_caller_gave_up_is_watched_until_it_answers_or_freezes() {
    run(async {
        let bench = Bench::new(1);
        bench.tell().await;
        let standing = bench.stand().begun();
        drop(standing.answer);
        assert_eq!(bench.counts(), (1, 1, 0));
        drop(standing.go_on);
        assert_eq!((bench.tell().await.1, bench.made()), (3, 1), "the same worker");
        let standing = bench.stand().begun();
        drop(standing.answer);
        pause();
        // The next call waits for the thread, until that is found to be frozen.
        let next = bench.threads.call(Ask::Tell);
        until(|| bench.counts().2 == 1).await;
        resume();
        assert_eq!((next.await.expect("done").1, bench.made()), (1, 2));
    });
}

#[test]
fn threads_that_were_idle_for_long_are_watched_as_soon_as_they_work() {
    run(async {
        let bench = Bench::new(1);
        bench.tell().await;
        pause();
        tokio::time::sleep(2 * Duration::from_millis(limits().heartbeat_ms)).await;
        resume();
        bench.freeze().await;
        assert_eq!((bench.tell().await.1, bench.made()), (1, 2));
    });
}

#[test]
fn a_thread_is_not_frozen_because_the_one_that_watches_it_stood_still() {
    run(async {
        let bench = Bench::with(1, &SupervisionSettings { heartbeat_ms: 1_000, ..limits() });
        bench.tell().await;
        let standing = bench.stand().begun();
        std::thread::sleep(Duration::from_millis(1_600));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(bench.counts(), (1, 1, 0));
        drop(standing.go_on);
        assert_eq!(standing.answer.await.expect("done").1, 2);
    });
}

#[test]
fn with_too_many_frozen_threads_none_is_left_until_one_comes_back() {
    run(async {
        let bench = Bench::new(1);
        bench.tell().await;
        let first = bench.freeze().await;
        bench.tell().await;
        let second = bench.stand().begun();
        pause();
        let both = async { futures_util::join!(second.answer, bench.threads.call(Ask::Tell)) };
        let (frozen, waiting) = timeout(PATIENCE, both).await.expect("it is found to be frozen");
        resume();
        assert!(matches!(frozen, Err(Fault::Frozen(_))), "{frozen:?}");
        assert_eq!((waiting, bench.call(Ask::Tell).await), (Err(Fault::NoWorker), Err(Fault::NoWorker)));
        assert_eq!(bench.counts(), (0, 0, 2));
        drop(first.go_on);
        until(|| bench.counts() == (1, 0, 1)).await;
        assert_eq!((bench.tell().await.1, bench.made()), (1, 3));
        drop(second.go_on);
        until(|| bench.counts() == (1, 0, 0)).await;
    });
}

#[test]
fn a_worker_that_cannot_be_made_is_tried_a_few_times_and_then_seldom() {
    run(async {
        let (tries, is_mended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, mended) = (Arc::clone(&tries), Arc::clone(&is_mended));
        let make = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            assert!(mended.load(Ordering::Relaxed), "no model");
            Hand { done: 0 }
        };
        let limits = SupervisionSettings { backoff_max_ms: 1_000, ..limits() };
        let keeper = keeper("services/hand", &limits, Strategy::MarkDown);
        let threads: Threads<_, _, _> = Threads::start(&keeper, &limits, &Crew::of(1), make);
        let call = || timeout(PATIENCE, threads.call(Ask::Tell));
        assert_eq!(call().await.expect("an answer"), Err(Fault::NoWorker), "given up");
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        for _ in 0..100 {
            assert_eq!(call().await.expect("an answer"), Err(Fault::NoWorker));
        }
        assert!(tries.load(Ordering::Relaxed) <= 4, "{tries:?} tries");
        is_mended.store(true, Ordering::Relaxed);
        until(|| threads.detail()["threads"] == 1 && threads.pool.borrow().roster.is_any_left()).await;
        assert_eq!(call().await.expect("an answer").expect("done").1, 1);
        until(|| threads.alive().get() == 1).await;
    });
}

#[test]
fn dropping_the_threads_ends_them_all_each_after_its_work() {
    run(async {
        let bench = Bench::new(3);
        until(|| bench.made() == 3).await;
        bench.tell().await;
        let (standing, alive) = (bench.stand().begun(), bench.threads.alive());
        drop(bench.threads);
        until(|| alive.get() == 1).await;
        drop(standing.go_on);
        until(|| alive.get() == 0).await;
        assert_eq!(standing.answer.await, Err(Fault::NoWorker), "nobody is left to answer");
    });
}

#[test]
fn a_worker_that_panics_when_it_is_dropped_costs_nothing_more() {
    struct Bomb;

    impl Compute for Bomb {
        type Request = bool;
        type Response = ();
        type Error = ();

        fn compute(&mut self, panics: bool) -> Result<(), ()> {
            assert!(!panics, "it panics");
            Ok(())
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("it panics once more");
        }
    }

    run(async {
        let keeper = keeper("services/bomb", &limits(), Strategy::MarkDown);
        let threads = Threads::start(&keeper, &limits(), &Crew::of(1), || Bomb);
        assert_eq!(threads.call(true).await, Err(Fault::Panicked("it panics".into())));
        assert_eq!(threads.call(false).await, Ok(()));
        let alive = threads.alive();
        drop(threads);
        until(|| alive.get() == 0).await;
    });
}

struct NoTime;

impl Clock for NoTime {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn tick(&self) -> Tick {
        Tick(0)
    }
}

fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    if &*node.path == path {
        return Some(node);
    }
    node.children.iter().find_map(|child| find(child, path))
}

#[test]
fn what_happens_to_a_thread_is_told_at_its_place() {
    run(async {
        let silent = keeper("monitor", &limits(), Strategy::EndProcess);
        let monitor = Monitor::new(Arc::new(NoTime), silent, limits()).start();
        let keeper = Rc::new(Keeper {
            policy: RestartPolicy::from(&limits()),
            reporter: Reporter::new(monitor.clone(), "services/hand".into()),
            strategy: Strategy::MarkDown,
            entropy: Arc::new(crate::testkit::NoChance),
            end_process: Arc::new(|_| {}),
            alive: std::cell::Cell::new(0),
            tasks: std::cell::Cell::new(0),
        });
        let bench = Bench::kept(&Crew::of(1), &limits(), &keeper);
        bench.tell().await;
        assert!(matches!(bench.call(Ask::Panic).await, Err(Fault::Panicked(_))));
        bench.tell().await;
        let first = bench.freeze().await;
        bench.tell().await;
        let second = bench.freeze().await;
        let place = || async {
            let tree = monitor.send(GetTree).await.expect("alive").expect("it answers");
            find(&tree, "services/hand/threads/0").cloned().expect("it is in the tree")
        };
        assert_eq!((place().await.kind, place().await.state), (Kind::Thread, State::Frozen));
        drop(first.go_on);
        bench.tell_when_back().await;
        let now = place().await;
        assert_eq!(now.state, State::Running);
        let restarts: Vec<_> = now.restarts.into_iter().collect();
        assert_eq!(restarts, [(ReasonKind::Panic, 1), (ReasonKind::Frozen, 2)]);
        let told = monitor.send(Subscribe { after: 0 }).await.expect("alive").expect("a reader").history;
        let told: Vec<_> = told.iter().map(|event| (&*event.path, event.kind, event.reason)).collect();
        let (path, panic, frozen) =
            ("services/hand/threads/0", Some(ReasonKind::Panic), Some(ReasonKind::Frozen));
        assert_eq!(
            told,
            [
                (path, EventKind::Started, None),
                (path, EventKind::Failed, panic),
                (path, EventKind::Restarted, panic),
                (path, EventKind::Failed, frozen),
                (path, EventKind::Restarted, frozen),
                (path, EventKind::Failed, frozen),
                (path, EventKind::Restarted, frozen),
            ]
        );
        drop(second.go_on);
    });
}

impl Bench {
    /// Calls until there is a thread again.
    async fn tell_when_back(&self) {
        until(|| self.counts().0 == 1).await;
        self.tell().await;
    }
}
