//! Threads of a service, for work that takes the processor: never a shard's, an HTTP worker's, or that of the fronts.
//!
//! Each thread makes its own worker and is handed one piece of work at a time, over a channel of its own. A panic is caught
//! on the thread, which ends and is replaced; one that shows no sign of life is left behind and replaced. Who decides that is
//! the [`Roster`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::events::Reporter;
use super::policy::Reason;
use super::roster::{Counts, Roster, RosterSettings, ThreadId};
use super::service::{Fault, Work};
use super::snapshot::{Depth, Kind};
use super::supervised::Keeper;
use crate::domain::panic_text;
use crate::ports::Compute;
use crate::settings::SupervisionSettings;

/// A worker, whatever it is made of.
type Worker<Q, R, E> = Box<dyn Compute<Request = Q, Response = R, Error = E>>;

/// Makes a worker, on its thread.
type Make<Q, R, E> = Arc<dyn Fn() -> Worker<Q, R, E> + Send + Sync>;

/// Who waits for an answer.
type Caller<R, E> = oneshot::Sender<Result<R, Fault<E>>>;

/// How long threads wait for room before they are tried again.
const HELD_BACK: Duration = Duration::from_millis(100);

/// How many threads a service has, and how many are left of all that its values had over time. Kept by what makes the service,
/// so that those which one value leaves behind count for the next.
#[derive(Clone, Debug)]
pub struct Crew {
    threads: usize,
    living: Depth,
}

impl Crew {
    /// For a service with so many threads.
    #[must_use]
    pub fn of(threads: usize) -> Self {
        Self { threads, living: Depth::default() }
    }

    /// Threads that have not ended, whoever started them.
    #[must_use]
    pub fn living(&self) -> usize {
        self.living.get()
    }
}

/// The threads of one service, which do its work one piece each at a time.
///
/// Owned by the service, on the front's thread. Bounded by the number of threads, by `supervision.abandoned_max` more that are
/// frozen, those of earlier values of the service included, and by the calls that its front has under way: those that find no idle thread wait in order. Dropping it ends each
/// thread after the work that it is at.
pub struct Threads<Q, R, E> {
    pool: Rc<RefCell<Pool<Q, R, E>>>,
    driver: JoinHandle<()>,
}

impl<Q: Send + 'static, R: Send + 'static, E: Send + 'static> Threads<Q, R, E> {
    /// Starts the threads of `crew`, in the arbiter of the front that `keeper` keeps alive; each has what `make` makes on it. What happens
    /// is told at `threads/0` and so on, below the front's place.
    #[must_use]
    pub fn start<C>(
        keeper: &Rc<Keeper>,
        limits: &SupervisionSettings,
        crew: &Crew,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self
    where
        C: Compute<Request = Q, Response = R, Error = E>,
    {
        let settings = RosterSettings {
            threads: crew.threads,
            heartbeat: Duration::from_millis(limits.heartbeat_ms),
            abandoned_max: limits.abandoned_max,
            policy: keeper.policy,
        };
        let make: Make<Q, R, E> = Arc::new(move || Box::new(make()));
        let (reports, heard) = unbounded_channel();
        let nudge = Rc::new(Notify::new());
        let pool = Pool::new((make, crew), settings, Rc::clone(keeper), reports, Rc::clone(&nudge));
        let pool = Rc::new(RefCell::new(pool));
        pool.borrow_mut().step(Instant::now());
        let driver = actix_rt::spawn(drive(Rc::downgrade(&pool), heard, nudge));
        Self { pool, driver }
    }

    /// Hands work to an idle thread, or lets it wait for one. Whoever drops the future is not waited for: work that has not
    /// begun is skipped, and a thread that is at it is watched on.
    pub fn call(&self, request: Q) -> Work<R, E> {
        assert!(!self.driver.is_finished(), "nobody watches over these threads any more");
        let wanted = Arc::new(());
        let answer = self.pool.borrow_mut().ask(request, Arc::downgrade(&wanted));
        Box::pin(async move {
            let answer = answer.await;
            drop(wanted);
            // A caller that is let go without an answer had no thread to work for it.
            answer.unwrap_or(Err(Fault::NoWorker))
        })
    }

    /// What its front says of it: how many threads there are, how many of them work, and how many more are frozen.
    #[must_use]
    pub fn detail(&self) -> Map<String, Value> {
        let pool = self.pool.borrow();
        let Counts { threads, busy, abandoned } = pool.roster.counts();
        let counts = [("threads", threads), ("busy", busy), ("abandoned", abandoned + pool.left_by_others())];
        counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
    }

    /// Counts the threads that have not ended, also after this is dropped.
    #[must_use]
    pub fn alive(&self) -> Depth {
        self.pool.borrow().alive.clone()
    }
}

impl<Q, R, E> Drop for Threads<Q, R, E> {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A piece of work on its way to a thread.
struct Job<Q> {
    request: Q,
    /// Whether anybody waits for the answer.
    wanted: std::sync::Weak<()>,
}

/// What a thread says.
enum Said<R, E> {
    /// Its worker is made.
    Ready,
    /// It has answered.
    Answer(Result<R, E>),
    /// Nobody wanted the answer any more.
    Skipped,
    /// It panicked, and ends.
    Panicked(String),
}

/// What a thread says, and which.
struct Report<R, E> {
    from: ThreadId,
    said: Said<R, E>,
}

/// What a thread does until its channel is closed. It says something whenever it is idle again.
fn work<Q, R, E>(make: &Make<Q, R, E>, jobs: &Receiver<Job<Q>>, mut say: impl FnMut(Said<R, E>))
where
    Q: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    let mut worker = match catch_unwind(AssertUnwindSafe(|| make())) {
        Ok(worker) => worker,
        Err(panic) => return say(Said::Panicked(panic_text(&*panic).to_owned())),
    };
    say(Said::Ready);
    for Job { request, wanted } in jobs {
        if wanted.strong_count() == 0 {
            say(Said::Skipped);
            continue;
        }
        // The worker is thrown away after a panic, so nobody sees what that left of it.
        match catch_unwind(AssertUnwindSafe(|| worker.compute(request))) {
            Ok(answer) => say(Said::Answer(answer)),
            Err(panic) => {
                say(Said::Panicked(panic_text(&*panic).to_owned()));
                break;
            }
        }
    }
    // Nobody waits for this thread any more, whatever its worker does when it is dropped.
    drop(catch_unwind(AssertUnwindSafe(|| drop(worker))));
}

/// A call that waits for an idle thread.
struct Waiting<Q, R, E> {
    job: Job<Q>,
    caller: Caller<R, E>,
}

/// The way to the thread of a place, and who waits for it.
struct Line<Q, R, E> {
    reporter: Reporter,
    jobs: Option<Sender<Job<Q>>>,
    caller: Option<Caller<R, E>>,
}

struct Pool<Q, R, E> {
    make: Make<Q, R, E>,
    keeper: Rc<Keeper>,
    heartbeat: Duration,
    crew: Crew,
    /// Threads that all values of the service may have together, where any is left of an earlier one.
    room: usize,
    roster: Roster,
    lines: Vec<Line<Q, R, E>>,
    waiting: VecDeque<Waiting<Q, R, E>>,
    reports: UnboundedSender<Report<R, E>>,
    alive: Depth,
    /// When the driver looks again by itself; at first at once.
    armed: Option<Instant>,
    /// Lets the driver look now.
    nudge: Rc<Notify>,
}

impl<Q: Send + 'static, R: Send + 'static, E: Send + 'static> Pool<Q, R, E> {
    fn new(
        (make, crew): (Make<Q, R, E>, &Crew),
        settings: RosterSettings,
        keeper: Rc<Keeper>,
        reports: UnboundedSender<Report<R, E>>,
        nudge: Rc<Notify>,
    ) -> Self {
        let line = |number| {
            let reporter = keeper.reporter.at(&format!("{}/threads/{number}", keeper.reporter.path()));
            reporter.register_below(Kind::Thread);
            Line { reporter, jobs: None, caller: None }
        };
        let lines = (0..settings.threads.max(1)).map(line).collect();
        let now = Instant::now();
        let (roster, armed) = (Roster::new(settings, now), Some(now));
        let (alive, waiting) = (Depth::default(), VecDeque::new());
        let (heartbeat, crew) = (settings.heartbeat, crew.clone());
        let room = settings.threads.max(1) + settings.abandoned_max;
        Self { make, keeper, heartbeat, crew, room, roster, lines, waiting, reports, alive, armed, nudge }
    }

    /// Threads that earlier values of the service have left.
    fn left_by_others(&self) -> usize {
        self.crew.living().saturating_sub(self.alive.get())
    }

    /// Whether one more thread may be started; among its own the roster decides.
    fn has_room(&self) -> bool {
        let (left, Counts { threads, abandoned, .. }) = (self.left_by_others(), self.roster.counts());
        left == 0 || left + threads + abandoned < self.room
    }

    fn ask(&mut self, request: Q, wanted: std::sync::Weak<()>) -> oneshot::Receiver<Result<R, Fault<E>>> {
        let (caller, answer) = oneshot::channel();
        // Nobody waits who was let go: so no more wait than the front has calls under way.
        self.waiting.retain(|waiting| !waiting.caller.is_closed());
        self.waiting.push_back(Waiting { job: Job { request, wanted }, caller });
        self.hand_out(Instant::now());
        if self.is_due_before_the_alarm() {
            self.nudge.notify_one();
        }
        answer
    }

    fn is_due_before_the_alarm(&self) -> bool {
        self.roster.next_due().is_some_and(|due| self.armed.is_none_or(|armed| due < armed))
    }

    /// Hands what waits to idle threads, in order.
    fn hand_out(&mut self, now: Instant) {
        if !self.roster.is_any_left() {
            // Whoever waits is told so by being let go.
            self.waiting.clear();
        }
        while let Some(Waiting { job, caller }) = self.waiting.pop_front() {
            if caller.is_closed() {
                continue;
            }
            let Some(place) = self.roster.take(now) else {
                self.waiting.push_front(Waiting { job, caller });
                return;
            };
            let line = &mut self.lines[place];
            line.caller = Some(caller);
            if line.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
                // A thread that cannot be reached is replaced once its silence has lasted; nobody waits for that.
                line.caller = None;
            }
        }
    }

    /// A thread has said something.
    fn hear(&mut self, Report { from, said }: Report<R, E>, now: Instant) {
        let Some(place) = self.roster.place_of(from) else {
            // What it comes back with is too late for anybody.
            return self.roster.came_back(from, now);
        };
        match said {
            Said::Ready => self.roster.ready(from),
            Said::Skipped => {
                self.roster.done(from, false);
                self.lines[place].caller = None;
            }
            Said::Answer(answer) => {
                self.roster.done(from, true);
                self.answer(place, answer.map_err(Fault::Failed));
            }
            Said::Panicked(text) => {
                self.failed(from, &Reason::Panic(text.clone()), now);
                self.lines[place].jobs = None;
                self.answer(place, Err(Fault::Panicked(text)));
            }
        }
    }

    /// Leaves frozen threads behind, starts those that are due, and lets the idle ones work.
    fn step(&mut self, now: Instant) {
        while let Some((id, silent)) = self.roster.frozen(now) {
            if let Some(place) = self.roster.place_of(id) {
                // It ends when it comes back to its closed channel.
                self.lines[place].jobs = None;
                self.answer(place, Err(Fault::Frozen(silent)));
            }
            self.roster.abandon(id, silent, now, self.keeper.entropy.fraction());
        }
        while self.has_room()
            && let Some((place, id)) = self.roster.start(now)
        {
            if let Err(error) = self.spawn(place, id) {
                self.failed(id, &Reason::Error(format!("the system gives no thread: {error}")), now);
            }
        }
        // What is still due finds no room.
        self.roster.hold_back(HELD_BACK, now);
        self.hand_out(now);
        for news in self.roster.take_news() {
            let reporter = &self.lines[news.place].reporter;
            match news.reason {
                Some(reason) => reporter.tell_why(news.kind, reason),
                None => reporter.tell(news.kind),
            }
        }
    }

    fn spawn(&mut self, place: usize, id: ThreadId) -> std::io::Result<()> {
        let (jobs, work_to_do) = channel();
        let (make, reports) = (Arc::clone(&self.make), self.reports.clone());
        let (living, alive) = (self.crew.living.ticket(), self.alive.ticket());
        let path = self.keeper.reporter.path();
        let name = format!("{}-{place}", path.rsplit('/').next().unwrap_or(path));
        std::thread::Builder::new().name(name).spawn(move || {
            work(&make, &work_to_do, |said| {
                // Nobody listens once the threads were dropped.
                let _ = reports.send(Report { from: id, said });
            });
            // In this order, so that it never seems to be somebody else's.
            drop(living);
            drop(alive);
        })?;
        self.lines[place].jobs = Some(jobs);
        Ok(())
    }

    fn failed(&mut self, id: ThreadId, reason: &Reason, now: Instant) {
        self.roster.failed(id, reason, now, self.keeper.entropy.fraction());
    }

    /// Answers whoever waits for a place's thread, if anybody still does.
    fn answer(&mut self, place: usize, answer: Result<R, Fault<E>>) {
        if let Some(caller) = self.lines[place].caller.take() {
            let _ = caller.send(answer);
        }
    }
}

/// Hears what the threads say, and looks after them when it is time to. Ends with the threads' owner.
async fn drive<Q: Send + 'static, R: Send + 'static, E: Send + 'static>(
    pool: Weak<RefCell<Pool<Q, R, E>>>,
    mut reports: UnboundedReceiver<Report<R, E>>,
    nudge: Rc<Notify>,
) {
    let mut alarm = pin!(sleep_until(Instant::now()));
    // As `armed` of the pool says: an alarm that has rung is not waited for again.
    let mut is_armed = true;
    loop {
        let report = tokio::select! {
            biased;
            report = reports.recv() => report,
            () = nudge.notified() => None,
            () = &mut alarm, if is_armed => None,
        };
        let Some(pool) = pool.upgrade() else { return };
        let (mut pool, now) = (pool.borrow_mut(), Instant::now());
        let late = pool.armed.map_or(Duration::ZERO, |armed| now.saturating_duration_since(armed));
        if late > pool.heartbeat / 2 {
            pool.roster.forgive(now);
        }
        // What was said is heard before anybody's silence is judged.
        let mut next = report;
        while let Some(report) = next {
            pool.hear(report, now);
            next = reports.try_recv().ok();
        }
        pool.step(now);
        // One alarm, which may ring too early: work that ends soon does not move it.
        if pool.armed.is_some_and(|armed| armed <= now) || pool.is_due_before_the_alarm() {
            let due = pool.roster.next_due();
            pool.armed = due;
            is_armed = due.is_some();
            if let Some(due) = due {
                alarm.as_mut().reset(due);
            }
        }
    }
}

#[cfg(test)]
#[path = "threads_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "threads_front_tests.rs"]
mod front_tests;
