//! The front of a service: one actor that everybody asks, so that nothing is shared and a service's limits are in one
//! place.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::breaker::{Breaker, BreakerSettings, Pass, Phase};
use super::call::{Call, CallError, FrontHandle};
use super::events::EventKind;
use super::gate::{Entry, Gate, GateSettings, Leaving, Waits};
use super::meter::Meter;
use super::policy::{Reason, ReasonKind, Restarts, Verdict};
use super::service::{Blame, Fault, Service};
use super::snapshot::{Act, Action, Depth, Inspect, Kind, Snapshot, State};
use super::supervised::{Keeper, unwind_for_restart};
use crate::domain::ConversationId;
use crate::failpoint;
use crate::settings::{FrontSettings, SupervisionSettings};

/// A call under way has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Finished {
    life: u32,
    is_probe: bool,
    took: Duration,
    end: End,
}

/// How a call ended, as far as the service's health goes.
enum End {
    /// It answered.
    Well,
    /// It refused the request, which says nothing about the service.
    Refused,
    /// Nobody wanted the answer any more, or the front was stopped.
    Unknown,
    /// It had waited too long to end in time, which says nothing about the service.
    TooLate,
    /// It failed.
    Failed(Reason),
    /// It failed, and so will the next call, for at least this long.
    Hopeless(Reason, Duration),
    /// The service itself panicked, and is made anew; which of its values it was.
    Panicked(Reason, u32),
}

/// Lets the next call find out whether the service is back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProbeNow;

/// Whether calls are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Intake {
    Open,
    Paused,
    Draining,
}

/// Owns a service's adapter, the calls under way, those that wait, and what is known of the service's health.
///
/// Sent to by [`FrontHandle`]s and by its own tasks. Bounded by its [`FrontSettings`]: calls under way, calls that wait (and
/// one conversation's share of them), time. A service that panics is made anew; one that fails too often in a row is not
/// called for a while, and then by one call alone. A restart loses the calls that wait; their callers are told that they were
/// not begun.
pub struct Front<S: Service> {
    make: Rc<dyn Fn() -> S>,
    service: Rc<S>,
    settings: FrontSettings,
    limits: SupervisionSettings,
    keeper: Rc<Keeper>,
    gate: Gate<Option<ConversationId>, Call<S>>,
    breaker: Breaker,
    restarts: Restarts,
    intake: Intake,
    meter: Meter,
    failures: BTreeMap<ReasonKind, u64>,
    depth: Depth,
    /// Which of the values that this actor had over time.
    life: u32,
    /// Which of the values that the service had in this life.
    made: u32,
    /// An operator asked for its restart, which is no failure.
    is_killed: bool,
}

impl<S: Service> Front<S> {
    /// Starts the front of what `make` makes, in the current arbiter, and puts it into the tree.
    #[must_use]
    pub fn start_with(
        make: impl Fn() -> S + 'static,
        settings: FrontSettings,
        limits: &SupervisionSettings,
        keeper: &Rc<Keeper>,
    ) -> FrontHandle<S> {
        let front = Self::new(Rc::new(make), settings, limits.clone(), Rc::clone(keeper), Depth::default());
        let (ctx, depth) = (Context::new(), front.depth.clone());
        let address = ctx.address();
        keeper.run(ctx, front);
        FrontHandle { front: address, settings, depth }
    }

    fn new(
        make: Rc<dyn Fn() -> S>,
        settings: FrontSettings,
        limits: SupervisionSettings,
        keeper: Rc<Keeper>,
        depth: Depth,
    ) -> Self {
        let gate = Gate::new(GateSettings {
            in_flight_max: settings.in_flight_max,
            queue_max: settings.queue_max,
            share_max: limits.share_max,
            discard: S::DISCARD,
            worth: if S::WAITING_COUNTS { settings.deadline() / 4 } else { Duration::ZERO },
        });
        Self {
            service: Rc::new(make()),
            make,
            settings,
            breaker: Breaker::new(BreakerSettings::from(&limits)),
            limits,
            keeper,
            gate,
            restarts: Restarts::default(),
            intake: Intake::Open,
            meter: Meter::new(Instant::now()),
            failures: BTreeMap::new(),
            depth,
            life: 0,
            made: 0,
            is_killed: false,
        }
    }

    fn jitter(&self) -> f64 {
        self.keeper.entropy.fraction()
    }

    fn refuse(call: Call<S>) {
        call.reply.send(Err(CallError::Down { service: S::NAME, started: false }));
    }

    fn overloaded(call: Call<S>, limit: usize) {
        call.reply.send(Err(CallError::Overloaded { service: S::NAME, limit }));
    }

    fn take(&mut self, leaving: Vec<Leaving<Call<S>>>, ctx: &Context<Self>) {
        for leaving in leaving {
            match leaving {
                Leaving::Start(call) => self.begin(call, false, ctx),
                Leaving::Expired(call) => {
                    let error = CallError::DeadlineExceeded { service: S::NAME, started: false };
                    call.reply.send(Err(error));
                }
            }
        }
    }

    fn begin(&self, call: Call<S>, is_probe: bool, ctx: &Context<Self>) {
        let (asked_at, end) = (call.asked_at, End::Unknown);
        let mut finished = Finishing { front: ctx.address(), life: self.life, is_probe, asked_at, end };
        if call.is_given_up() {
            return;
        }
        let Call { request, deadline, mut reply, .. } = call;
        let (service, made) = (Rc::clone(&self.service), self.made);
        let deadline = if S::WAITING_COUNTS { deadline } else { Instant::now() + self.settings.deadline() };
        // Who had little time because it had waited says nothing about the service.
        let is_its_fault = deadline.saturating_duration_since(Instant::now()) >= self.settings.deadline() / 2;
        self.keeper.spawn(async move {
            reply.start();
            let work = AssertUnwindSafe(async move { service.call(request).await }).catch_unwind();
            let ended = tokio::select! {
                biased;
                ended = tokio::time::timeout_at(deadline, work) => ended,
                // That its caller left says nothing about the service.
                () = reply.given_up(), if S::ENDS_WITH_CALLER => return,
            };
            let (result, end) = match ended {
                Ok(Ok(result)) => judge::<S>(result),
                Ok(Err(panic)) => {
                    let error = CallError::Down { service: S::NAME, started: true };
                    (Err(error), End::Panicked(Reason::of_panic(&*panic), made))
                }
                Err(_elapsed) => {
                    let error = CallError::DeadlineExceeded { service: S::NAME, started: true };
                    (Err(error), if is_its_fault { End::Failed(Reason::Timeout) } else { End::TooLate })
                }
            };
            finished.ended(end);
            reply.send(result);
        });
    }

    /// The service failed. What fails again and again is not called for a while.
    /// `hopeless_for` says that the next call fails as well, for at least so long.
    fn failed(&mut self, reason: Reason, hopeless_for: Option<Duration>, is_probe: bool) {
        *self.failures.entry(reason.kind()).or_default() += 1;
        let (now, jitter) = (Instant::now(), self.jitter());
        let was_closed = self.breaker.phase() == Phase::Closed;
        let opened = match hopeless_for {
            Some(wait) => self.breaker.trip(wait, is_probe, now, jitter),
            None => self.breaker.failed(is_probe, now, jitter),
        };
        if opened && was_closed {
            self.keeper.reporter.tell_why(EventKind::GaveUp, reason);
            self.gate.flush().into_iter().for_each(Self::refuse);
        }
    }

    /// Makes the service anew; calls under way go on with the old one. How long it is given up, if that was so too often. A
    /// value that is not here any more was replaced already.
    fn renew(&mut self, reason: Reason, made: u32) -> Option<Duration> {
        if made != self.made {
            return None;
        }
        self.keeper.reporter.tell_why(EventKind::Failed, reason.clone());
        self.service = Rc::new((self.make)());
        self.made = self.made.wrapping_add(1);
        self.keeper.reporter.tell_why(EventKind::Restarted, reason);
        match self.restarts.failed(&self.keeper.policy, Instant::now(), self.jitter()) {
            Verdict::GiveUp(wait) => Some(wait),
            Verdict::Restart(_) => None,
        }
    }

    /// What only this front can say, and its service.
    fn detail(&self) -> Value {
        let mut detail = self.service.detail();
        detail.insert("limits".into(), json!(self.settings));
        detail.insert("failures".into(), json!(self.failures));
        Value::Object(detail)
    }

    fn state(&self) -> State {
        match (self.intake, self.breaker.phase()) {
            (Intake::Paused, _) => State::Paused,
            (Intake::Draining, _) => State::Draining,
            (Intake::Open, Phase::Open) => State::Down,
            (Intake::Open, Phase::HalfOpen) => State::Probing,
            (Intake::Open, Phase::Closed) => State::Running,
        }
    }
}

/// What the caller is told, and what it means for the service.
fn judge<S: Service>(
    result: Result<S::Response, Fault<S::Error>>,
) -> (Result<S::Response, CallError<S::Error>>, End) {
    let down = |started| CallError::Down { service: S::NAME, started };
    match result {
        Ok(response) => (Ok(response), End::Well),
        Err(Fault::Failed(error)) => {
            let reason = || Reason::Error(error.to_string());
            let end = match S::blame(&error) {
                Blame::Request => End::Refused,
                Blame::Service => End::Failed(reason()),
                Blame::Hopeless => End::Hopeless(reason(), Duration::ZERO),
                Blame::NotBefore(wait) => End::Hopeless(reason(), wait),
            };
            (Err(CallError::Failed(error)), end)
        }
        Err(Fault::Panicked(text)) => (Err(down(true)), End::Failed(Reason::Panic(text))),
        Err(Fault::Frozen(silent)) => {
            let error = CallError::DeadlineExceeded { service: S::NAME, started: true };
            (Err(error), End::Failed(Reason::Frozen(silent)))
        }
        Err(Fault::NoWorker) => {
            (Err(down(false)), End::Hopeless(Reason::Error("no thread is left".into()), Duration::ZERO))
        }
    }
}

/// Tells the front that a call has ended, whatever ended it, so that no place leaks.
struct Finishing<S: Service> {
    front: Addr<Front<S>>,
    life: u32,
    is_probe: bool,
    asked_at: Instant,
    end: End,
}

impl<S: Service> Finishing<S> {
    /// It ended like this.
    fn ended(&mut self, end: End) {
        self.end = end;
    }
}

impl<S: Service> Drop for Finishing<S> {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::Unknown);
        let took = self.asked_at.elapsed();
        self.front.do_send(Finished { life: self.life, is_probe: self.is_probe, took, end });
    }
}

impl<S: Service> Actor for Front<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let reporter = &self.keeper.reporter;
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        reporter.register(Kind::Front, inspect, Some(act), &Action::ALL);
        if self.life == 0 {
            reporter.tell(EventKind::Started);
        }
    }
}

impl<S: Service> Supervised for Front<S> {
    /// A front that fails too often by itself begins its next life as one that was given up: it refuses at once, which is
    /// all that surely works.
    fn restarting(&mut self, _: &mut Self::Context) {
        let fresh = Self::new(
            Rc::clone(&self.make),
            self.settings,
            self.limits.clone(),
            Rc::clone(&self.keeper),
            self.depth.clone(),
        );
        let restarts = std::mem::take(&mut self.restarts);
        let failures = std::mem::take(&mut self.failures);
        let meter = std::mem::replace(&mut self.meter, Meter::new(Instant::now()));
        let (life, intake, is_killed) = (self.life.wrapping_add(1), self.intake, self.is_killed);
        let (running, mut breaker) = (self.gate.in_flight(), self.breaker.clone());
        // A probe that is under way answers a former value.
        breaker.probe_said_nothing(Instant::now());
        *self = Self { restarts, failures, meter, life, intake, ..fresh };
        for _ in 0..running {
            self.gate.start();
        }
        if is_killed {
            return;
        }
        self.breaker = breaker;
        let (now, jitter) = (Instant::now(), self.jitter());
        if let Verdict::GiveUp(_) = self.restarts.failed(&self.keeper.policy, now, jitter) {
            self.breaker.trip(Duration::ZERO, false, now, jitter);
            let reason = Reason::Error("the front itself fails too often".into());
            self.keeper.reporter.tell_why(EventKind::GaveUp, reason);
        }
    }
}

impl<S: Service> Handler<Call<S>> for Front<S> {
    type Result = ();

    fn handle(&mut self, mut call: Call<S>, ctx: &mut Self::Context) {
        drop(call.ticket.take());
        if self.intake != Intake::Open {
            return Self::refuse(call);
        }
        failpoint!("front.call", text: S::NAME);
        let now = Instant::now();
        match self.breaker.ask(now) {
            Pass::Refused(_) => Self::refuse(call),
            Pass::Probe => {
                self.service.refresh();
                self.gate.start();
                self.begin(call, true, ctx);
            }
            Pass::Go => match self.gate.offer(call.whose, call, now) {
                Entry::Start(call) => self.begin(call, false, ctx),
                Entry::Queued => {}
                Entry::Displaced(call, limit) | Entry::Refused(call, limit) => Self::overloaded(call, limit),
            },
        }
    }
}

impl<S: Service> Handler<Finished> for Front<S> {
    type Result = ();

    fn handle(&mut self, finished: Finished, ctx: &mut Self::Context) {
        let Finished { life, is_probe, took, end } = finished;
        let now = Instant::now();
        if life != self.life {
            // What an earlier value of this actor began takes a place, and says nothing more.
            let leaving = self.gate.finished(now);
            return self.take(leaving, ctx);
        }
        if !matches!(end, End::Unknown) {
            self.meter.record(took, matches!(end, End::Well | End::Refused), now);
        }
        match end {
            End::Well => {
                self.restarts.succeeded();
                if self.breaker.succeeded(is_probe) {
                    self.keeper.reporter.tell(EventKind::Recovered);
                }
            }
            End::Refused | End::TooLate | End::Unknown if is_probe => self.breaker.probe_said_nothing(now),
            End::Refused | End::TooLate | End::Unknown => {}
            End::Failed(reason) => self.failed(reason, None, is_probe),
            End::Hopeless(reason, wait) => self.failed(reason, Some(wait), is_probe),
            End::Panicked(reason, made) => {
                let hopeless_for = self.renew(reason.clone(), made);
                self.failed(reason, hopeless_for, is_probe);
            }
        }
        let leaving = self.gate.finished(now);
        self.take(leaving, ctx);
    }
}

impl<S: Service> Handler<ProbeNow> for Front<S> {
    type Result = ();

    fn handle(&mut self, _: ProbeNow, _: &mut Self::Context) {
        self.service.refresh();
        self.breaker.probe_now(Instant::now());
    }
}

impl<S: Service> Handler<Inspect> for Front<S> {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        MessageResult(Snapshot {
            state: Some(self.state()),
            mailbox: Some(self.depth.get()),
            waiting: Some(self.gate.waiting()),
            oldest_ms: self.gate.oldest(now).map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            in_flight: Some(self.gate.in_flight()),
            handled: Some(self.meter.handled()),
            failed: Some(self.meter.failed()),
            rate_per_s: Some(self.meter.rate(now)),
            latency: self.meter.latency(now),
            detail: self.detail(),
            ..Snapshot::default()
        })
    }
}

impl<S: Service> Handler<Act> for Front<S> {
    type Result = ();

    fn handle(&mut self, Act(action): Act, _: &mut Self::Context) {
        let kind = match action {
            Action::Restart => {
                self.is_killed = true;
                unwind_for_restart()
            }
            Action::Pause => {
                self.intake = Intake::Paused;
                self.gate.flush().into_iter().for_each(Self::refuse);
                EventKind::Paused
            }
            Action::Drain => {
                self.intake = Intake::Draining;
                EventKind::Drained
            }
            Action::Resume => {
                self.intake = Intake::Open;
                EventKind::Resumed
            }
        };
        self.keeper.reporter.tell(kind);
    }
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
