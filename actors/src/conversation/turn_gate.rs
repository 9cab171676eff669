//! Lets a limited number of turns run at the same time.

use std::collections::BTreeMap;

use actix::prelude::*;
use tokio::sync::oneshot;

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
struct Released;

/// From now on nobody gets a permit.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseGate;

/// How many permits are out.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct CountPermits;

/// The right to run one turn; given back when dropped, however the turn ends.
pub struct TurnPermit(Addr<TurnGate>);

impl Drop for TurnPermit {
    fn drop(&mut self) {
        self.0.do_send(Released);
    }
}

/// Owns the count of running turns, and the line of those that wait: the lowest priority first, then in order.
///
/// Sent to by conversation actors of its shard; a second one, with a single permit, lets the turns run that are suspected
/// of killing the process. Bounded by `turns.in_flight_max` permits and, in waiting, by the number of live conversations
/// (each asks once). A restart loses the line; the conversations ask again at the next sweep.
pub struct TurnGate {
    in_flight: usize,
    in_flight_max: usize,
    asked: u64,
    line: BTreeMap<(u32, u64), oneshot::Sender<TurnPermit>>,
    is_closed: bool,
}

impl TurnGate {
    /// A gate with at least one permit.
    #[must_use]
    pub fn new(in_flight_max: usize) -> Self {
        Self {
            in_flight: 0,
            in_flight_max: in_flight_max.max(1),
            asked: 0,
            line: BTreeMap::new(),
            is_closed: false,
        }
    }

    fn admit(&mut self, ctx: &Context<Self>) {
        while !self.is_closed && self.in_flight < self.in_flight_max {
            let Some((_, waiting)) = self.line.pop_first() else { return };
            self.in_flight += 1;
            // The permit of somebody who has gone away comes straight back by its own drop.
            let _ = waiting.send(TurnPermit(ctx.address()));
        }
    }
}

impl Actor for TurnGate {
    type Context = Context<Self>;
}

impl Handler<Acquire> for TurnGate {
    type Result = ();

    fn handle(&mut self, acquire: Acquire, ctx: &mut Self::Context) {
        if self.is_closed {
            return;
        }
        self.asked += 1;
        self.line.insert((acquire.priority, self.asked), acquire.permit);
        self.admit(ctx);
    }
}

impl Handler<Released> for TurnGate {
    type Result = ();

    fn handle(&mut self, _: Released, ctx: &mut Self::Context) {
        self.in_flight = self.in_flight.saturating_sub(1);
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
        self.in_flight
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

    #[test]
    fn permits_are_limited_and_the_lowest_priority_goes_first() {
        System::new().block_on(async {
            let gate = TurnGate::new(1).start();
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
        System::new().block_on(async {
            let gate = TurnGate::new(1).start();
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
