//! Lets a limited number of turns run at the same time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::failpoint;
use crate::supervision::meter::{Answers, Latency, Meter};
use crate::supervision::snapshot::{Act, Action, Inspect, Kind, Snapshot, State};
use crate::supervision::supervised::{Keeper, obey};

/// Asks for a permit to run a turn.
#[derive(Message)]
#[rtype(result = "()")]
struct Acquire {
    /// The lowest goes first.
    priority: u32,
    permit: oneshot::Sender<TurnPermit>,
}

/// A permit came back.
#[derive(Message)]
#[rtype(result = "()")]
struct Released {
    life: u32,
    held: Duration,
    answered_in: Option<Duration>,
}

/// From now on nobody gets a permit.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseGate;

/// How many permits are out.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountPermits;

/// The right to run one turn; given back when dropped, however the turn ends.
pub struct TurnPermit {
    gate: Addr<TurnGate>,
    life: u32,
    since: Instant,
    answered_in: Option<Duration>,
}

impl TurnPermit {
    /// The turn's answer is durable, so long after its batch was due.
    pub const fn answered(&mut self, after: Duration) {
        self.answered_in = Some(after);
    }
}

impl Drop for TurnPermit {
    fn drop(&mut self) {
        let Self { life, answered_in, .. } = *self;
        self.gate.do_send(Released { life, held: self.since.elapsed(), answered_in });
    }
}

/// Somebody who waits for a permit.
struct Waiting {
    since: Instant,
    permit: oneshot::Sender<TurnPermit>,
}

/// Owns the count of running turns, and the line of those that wait: the lowest priority first, then in order.
///
/// Sent to by conversation actors of its shard; a second one, with a single permit, lets the turns run that are suspected
/// of killing the process. Bounded by `turns.in_flight_max` permits and, in waiting, by the number of live conversations
/// (each asks once). A restart loses the line, whose members are told, and ask again; permits that are out count on.
pub struct TurnGate {
    keeper: Rc<Keeper>,
    in_flight: usize,
    /// Permits of former lives that are out.
    former: usize,
    in_flight_max: usize,
    asked: u64,
    line: BTreeMap<(u32, u64), Waiting>,
    /// The server drains.
    is_closed: bool,
    /// An operator asked that no turn begins.
    is_paused: bool,
    meter: Meter,
    /// How long after its batch was due each answer was durable, of late.
    recent_answers: Meter,
    /// The same since the process began.
    all_answers: Histogram<u64>,
    /// Which of the values that this actor had over time.
    life: u32,
}

impl TurnGate {
    /// A gate with at least one permit.
    #[must_use]
    pub fn new(in_flight_max: usize, keeper: Rc<Keeper>) -> Self {
        Self {
            keeper,
            in_flight: 0,
            former: 0,
            in_flight_max: in_flight_max.max(1),
            asked: 0,
            line: BTreeMap::new(),
            is_closed: false,
            is_paused: false,
            meter: Meter::new(Instant::now()),
            recent_answers: Meter::new(Instant::now()),
            all_answers: Answers::default().all,
            life: 0,
        }
    }

    /// Turns that hold a permit, of whichever life.
    const fn running(&self) -> usize {
        self.in_flight + self.former
    }

    fn admit(&mut self, ctx: &Context<Self>) {
        while !self.is_closed && !self.is_paused && self.running() < self.in_flight_max {
            let Some((_, waiting)) = self.line.pop_first() else { return };
            self.in_flight += 1;
            let (gate, life, since) = (ctx.address(), self.life, Instant::now());
            let permit = TurnPermit { gate, life, since, answered_in: None };
            // The permit of somebody who has gone away comes straight back by its own drop.
            let _ = waiting.permit.send(permit);
        }
    }
}

impl Actor for TurnGate {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        const ACTIONS: &[Action] = &Action::ALL;
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.keeper.reporter.register(Kind::Actor, inspect, Some(act), ACTIONS);
    }
}

impl Supervised for TurnGate {
    fn restarting(&mut self, _: &mut Self::Context) {
        let life = self.life.wrapping_add(1);
        let (is_closed, is_paused) = (self.is_closed, self.is_paused);
        let former = self.running();
        let mut fresh = Self::new(self.in_flight_max, Rc::clone(&self.keeper));
        std::mem::swap(&mut fresh.meter, &mut self.meter);
        std::mem::swap(&mut fresh.recent_answers, &mut self.recent_answers);
        std::mem::swap(&mut fresh.all_answers, &mut self.all_answers);
        *self = Self { life, is_closed, is_paused, former, ..fresh };
    }
}

impl Handler<Acquire> for TurnGate {
    type Result = ();

    fn handle(&mut self, acquire: Acquire, ctx: &mut Self::Context) {
        if self.is_closed {
            return;
        }
        failpoint!("turns.acquire");
        self.asked += 1;
        let waiting = Waiting { since: Instant::now(), permit: acquire.permit };
        self.line.insert((acquire.priority, self.asked), waiting);
        self.admit(ctx);
    }
}

impl Handler<Released> for TurnGate {
    type Result = ();

    fn handle(&mut self, released: Released, ctx: &mut Self::Context) {
        let Released { life, held, answered_in } = released;
        let counted = if life == self.life { &mut self.in_flight } else { &mut self.former };
        *counted = counted.saturating_sub(1);
        let now = Instant::now();
        self.meter.record(held, true, now);
        if let Some(after) = answered_in {
            self.recent_answers.record(after, true, now);
            self.all_answers.saturating_record(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        }
        self.admit(ctx);
    }
}

impl Handler<CloseGate> for TurnGate {
    type Result = ();

    fn handle(&mut self, _: CloseGate, _: &mut Self::Context) {
        self.is_closed = true;
        self.line.clear();
    }
}

impl Handler<CountPermits> for TurnGate {
    type Result = usize;

    fn handle(&mut self, _: CountPermits, _: &mut Self::Context) -> usize {
        self.running()
    }
}

impl Handler<Inspect> for TurnGate {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        let oldest = self.line.values().map(|waiting| now.saturating_duration_since(waiting.since)).max();
        let state = if self.is_paused { State::Paused } else { State::Running };
        let answers = Answers { recent: self.recent_answers.recent(now), all: self.all_answers.clone() };
        MessageResult(Snapshot {
            state: Some(if self.is_closed { State::Draining } else { state }),
            waiting: Some(self.line.len()),
            oldest_ms: oldest.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            in_flight: Some(self.running()),
            handled: Some(self.meter.handled()),
            rate_per_s: Some(self.meter.rate(now)),
            latency: self.meter.latency(now),
            detail: json!({ "answered_after": Latency::of(&answers.recent), "in_flight_max": self.in_flight_max }),
            answers: Some(Box::new(answers)),
            ..Snapshot::default()
        })
    }
}

impl Handler<Act> for TurnGate {
    type Result = ();

    fn handle(&mut self, Act(action): Act, ctx: &mut Self::Context) {
        self.is_paused = obey(action, &self.keeper.reporter);
        self.admit(ctx);
    }
}

/// Waits in a gate's line, behind those with a lower priority; none when the gate closes, because the server drains.
pub async fn acquire(gate: &Addr<TurnGate>, priority: u32) -> Option<TurnPermit> {
    let (permit, granted) = oneshot::channel();
    gate.do_send(Acquire { priority, permit });
    granted.await.ok()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::settings::SupervisionSettings;
    use crate::supervision::policy::Strategy;
    use crate::testkit::Harness;

    fn gate(harness: &Harness, in_flight_max: usize) -> Addr<TurnGate> {
        let keeper = harness.keeper("turns", &SupervisionSettings::default(), Strategy::EndProcess);
        let ctx = Context::new();
        let gate = ctx.address();
        keeper.run(ctx, TurnGate::new(in_flight_max, Rc::clone(&keeper)));
        gate
    }

    #[test]
    fn a_restart_turns_those_who_wait_away_and_counts_the_permits_that_are_out() {
        Harness::run(async |harness| {
            let gate = gate(harness, 1);
            let former = acquire(&gate, 0).await.expect("a free gate");
            let waiting = actix_rt::spawn({
                let gate = gate.clone();
                async move { acquire(&gate, 0).await.is_none() }
            });
            tokio::task::yield_now().await;
            gate.do_send(Act(Action::Restart));
            assert!(waiting.await.expect("no panic"));
            let next = acquire(&gate, 0);
            let look = async {
                let running = gate.send(CountPermits).await.expect("alive");
                drop(former);
                running
            };
            let (next, running) = futures_util::join!(next, look);
            assert_eq!(running, 1, "the former one alone: the next must wait for it");
            assert!(next.is_some());
            assert_eq!(gate.send(CountPermits).await.expect("alive"), 1);
        });
    }

    #[test]
    fn a_paused_gate_lets_nobody_pass_until_it_is_resumed() {
        Harness::run(async |harness| {
            let gate = gate(harness, 1);
            gate.do_send(Act(Action::Pause));
            let waiting = acquire(&gate, 0);
            let look = async {
                let snapshot = gate.send(Inspect).await.expect("alive");
                gate.do_send(Act(Action::Resume));
                snapshot
            };
            let (permit, paused) = futures_util::join!(waiting, look);
            assert!(permit.is_some());
            assert_eq!(
                (paused.state, paused.waiting, paused.in_flight),
                (Some(State::Paused), Some(1), Some(0))
            );
        });
    }

    #[test]
    fn permits_are_limited_and_the_lowest_priority_goes_first() {
        Harness::run(async |harness| {
            let gate = gate(harness, 1);
            let first = acquire(&gate, 9).await.expect("a free gate");
            let order = Rc::new(RefCell::new(Vec::new()));
            let waiting: Vec<_> = [5_u32, 2, 3, 2]
                .into_iter()
                .enumerate()
                .map(|(n, priority)| {
                    let (gate, order) = (gate.clone(), Rc::clone(&order));
                    actix_rt::spawn(async move {
                        let _permit = acquire(&gate, priority).await;
                        order.borrow_mut().push(n);
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            assert_eq!(gate.send(CountPermits).await.expect("alive"), 1);
            assert!(order.borrow().is_empty());
            drop(first);
            for task in waiting {
                task.await.expect("no panic");
            }
            assert_eq!(*order.borrow(), [1, 3, 2, 0]);
            assert_eq!(gate.send(CountPermits).await.expect("alive"), 0);
        });
    }

    #[test]
    fn a_closed_gate_turns_everybody_away() {
        Harness::run(async |harness| {
            let gate = gate(harness, 1);
            let running = acquire(&gate, 0).await;
            let task = actix_rt::spawn({
                let gate = gate.clone();
                async move { acquire(&gate, 0).await.is_none() }
            });
            tokio::task::yield_now().await;
            gate.do_send(CloseGate);
            assert!(task.await.expect("no panic"), "who waits is turned away");
            drop(running);
            assert!(acquire(&gate, 0).await.is_none());
        });
    }
}
