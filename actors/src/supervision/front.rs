//! The front of a service: one actor that everybody asks, so that nothing is shared and a service's limits are in one
//! place.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::gate::{Entry, Gate, Leaving};
use crate::settings::FrontSettings;

/// The work of one call. Stays on the front's thread.
pub type Work<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;

/// A service that stands behind a front.
pub trait Service: Unpin + 'static {
    /// What it is asked.
    type Request: Send + Unpin + 'static;
    /// What it answers.
    type Response: Send + Unpin + 'static;
    /// How it fails.
    type Error: fmt::Display + fmt::Debug + Send + Unpin + 'static;

    /// Its name in logs and journeys.
    const NAME: &'static str;

    /// Whether a call that waited gets less time to run. Not where a call that is cut off has an unknown outcome: such a
    /// service keeps time-outs of its own, and the front's deadline lies above them.
    const WAITING_COUNTS: bool = true;

    /// Does the work. Runs beside the front, never inside it, so that a panic here reaches the caller only.
    fn call(&self, request: Self::Request) -> Work<Self::Response, Self::Error>;
}

/// Why a front gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallError<E> {
    /// Its queue is full.
    #[error("{service} is overloaded: {limit} calls are waiting")]
    Overloaded {
        /// The service.
        service: &'static str,
        /// The limit that was met.
        limit: usize,
    },
    /// No answer in time.
    #[error("{service} gave no answer in time")]
    DeadlineExceeded {
        /// The service.
        service: &'static str,
        /// Whether the work had begun, so that it may have had an effect.
        started: bool,
    },
    /// The front is gone, or the work panicked.
    #[error("{service} is down")]
    Down {
        /// The service.
        service: &'static str,
        /// Whether the work had begun, so that it may have had an effect.
        started: bool,
    },
    /// The service answered with an error.
    #[error(transparent)]
    Failed(E),
}

/// How a call ends.
pub type CallResult<S> = Result<<S as Service>::Response, CallError<<S as Service>::Error>>;

/// A request on its way to a service.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Call<S: Service> {
    request: S::Request,
    deadline: Instant,
    reply: oneshot::Sender<CallResult<S>>,
}

/// A call under way has ended, however it did.
#[derive(Message)]
#[rtype(result = "()")]
struct Finished;

/// Owns a service's adapter, the number of calls under way and the queue of those that wait.
///
/// Sent to by [`FrontHandle`]s. Bounded by its [`FrontSettings`]: calls under way, calls that wait, time. A restart loses
/// the calls that wait; their callers see `Down`.
pub struct Front<S: Service> {
    service: Rc<S>,
    settings: FrontSettings,
    gate: Gate<Call<S>, Instant>,
}

impl<S: Service> Front<S> {
    /// Starts the front of `service` in the current arbiter.
    #[must_use]
    pub fn start_with(service: S, settings: FrontSettings) -> FrontHandle<S> {
        let gate = Gate::new(settings.in_flight_max, settings.queue_max);
        let front = Self { service: Rc::new(service), settings, gate };
        FrontHandle { front: front.start(), settings }
    }

    fn begin(&self, call: Call<S>, ctx: &Context<Self>) {
        let finished = FinishedGuard(ctx.address());
        if call.reply.is_closed() {
            return;
        }
        let service = Rc::clone(&self.service);
        let Call { request, deadline, reply } = call;
        let deadline = if S::WAITING_COUNTS { deadline } else { Instant::now() + self.settings.deadline() };
        actix_rt::spawn(async move {
            let _finished = finished;
            let work = async move { service.call(request).await };
            let result = tokio::time::timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await;
            let answer = match result {
                Ok(Ok(Ok(response))) => Ok(response),
                Ok(Ok(Err(error))) => Err(CallError::Failed(error)),
                Ok(Err(_panic)) => {
                    tracing::error!(service = S::NAME, "a call panicked");
                    Err(CallError::Down { service: S::NAME, started: true })
                }
                Err(_elapsed) => Err(CallError::DeadlineExceeded { service: S::NAME, started: true }),
            };
            // A caller that has gone away needs no answer.
            let _ = reply.send(answer);
        });
    }
}

/// Tells the front that a call has ended, whatever ended it, so that no place leaks.
struct FinishedGuard<S: Service>(Addr<Front<S>>);

impl<S: Service> Drop for FinishedGuard<S> {
    fn drop(&mut self) {
        self.0.do_send(Finished);
    }
}

impl<S: Service> Actor for Front<S> {
    type Context = Context<Self>;
}

impl<S: Service> Handler<Call<S>> for Front<S> {
    type Result = ();

    fn handle(&mut self, call: Call<S>, ctx: &mut Self::Context) {
        let deadline = call.deadline;
        match self.gate.offer(call, deadline) {
            Entry::Start(call) => self.begin(call, ctx),
            Entry::Queued => {}
            Entry::Refused(call) => {
                let limit = self.gate.queue_max();
                let _ = call.reply.send(Err(CallError::Overloaded { service: S::NAME, limit }));
            }
        }
    }
}

impl<S: Service> Handler<Finished> for Front<S> {
    type Result = ();

    fn handle(&mut self, _: Finished, ctx: &mut Self::Context) {
        for leaving in self.gate.finished(Instant::now()) {
            match leaving {
                Leaving::Start(call) => self.begin(call, ctx),
                Leaving::Expired(call) => {
                    let error = CallError::DeadlineExceeded { service: S::NAME, started: false };
                    let _ = call.reply.send(Err(error));
                }
            }
        }
    }
}

/// The way to a front, with its deadline.
pub struct FrontHandle<S: Service> {
    front: Addr<Front<S>>,
    settings: FrontSettings,
}

impl<S: Service> Clone for FrontHandle<S> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), settings: self.settings }
    }
}

impl<S: Service> FrontHandle<S> {
    /// Asks the service.
    ///
    /// # Errors
    /// The front refused, the deadline passed, or the service failed.
    pub async fn call(&self, request: S::Request) -> CallResult<S> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + self.settings.deadline();
        self.front.do_send(Call { request, deadline, reply });
        match answer.await {
            Ok(result) => result,
            Err(_dropped) => Err(CallError::Down { service: S::NAME, started: true }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;

    struct Slow {
        started: Rc<Cell<usize>>,
    }

    impl Service for Slow {
        type Request = u64;
        type Response = u64;
        type Error = String;
        const NAME: &'static str = "slow";

        fn call(&self, ms: u64) -> Work<u64, String> {
            self.started.set(self.started.get() + 1);
            assert!(ms != 17, "the service fails before it begins");
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                match ms {
                    13 => panic!("the service fails"),
                    7 => Err("seven".to_owned()),
                    ms => Ok(ms),
                }
            })
        }
    }

    fn front(in_flight_max: usize, queue_max: usize) -> (FrontHandle<Slow>, Rc<Cell<usize>>) {
        let started = Rc::new(Cell::new(0));
        let settings = FrontSettings { in_flight_max, queue_max, deadline_ms: 100 };
        (Front::start_with(Slow { started: Rc::clone(&started) }, settings), started)
    }

    fn run<F: Future<Output = ()>>(test: F) {
        System::new().block_on(async {
            tokio::time::pause();
            test.await;
        });
    }

    #[test]
    fn a_front_answers_and_passes_the_services_errors_on() {
        run(async {
            let (front, _) = front(4, 4);
            assert_eq!(front.call(5).await, Ok(5));
            assert_eq!(front.call(7).await, Err(CallError::Failed("seven".to_owned())));
        });
    }

    #[test]
    fn a_panic_in_a_call_reaches_its_caller_only_and_frees_its_place() {
        run(async {
            let (front, _) = front(1, 4);
            for panics in [13, 17] {
                let (panicked, fine) = tokio::join!(front.call(panics), front.call(5));
                assert_eq!(panicked, Err(CallError::Down { service: "slow", started: true }));
                assert_eq!(fine, Ok(5));
            }
        });
    }

    #[test]
    fn a_call_beyond_the_queue_is_refused_at_once() {
        run(async {
            let (front, started) = front(1, 1);
            let (a, b, c) = tokio::join!(front.call(20), front.call(20), front.call(20));
            assert_eq!((a, b), (Ok(20), Ok(20)));
            assert_eq!(c, Err(CallError::Overloaded { service: "slow", limit: 1 }));
            assert_eq!(started.get(), 2);
        });
    }

    #[test]
    fn a_deadline_ends_a_call_under_way_and_one_that_waits() {
        run(async {
            let (front, started) = front(1, 4);
            let (a, b) = tokio::join!(front.call(5_000), front.call(1));
            assert_eq!(a, Err(CallError::DeadlineExceeded { service: "slow", started: true }));
            assert_eq!(b, Err(CallError::DeadlineExceeded { service: "slow", started: false }));
            assert_eq!(started.get(), 1, "the second one was never worth starting");
        });
    }

    #[test]
    fn a_caller_that_gave_up_is_skipped_before_work_starts() {
        run(async {
            let (front, started) = front(1, 4);
            let first = front.call(50);
            let given_up = tokio::time::timeout(Duration::from_millis(10), front.call(1));
            let (first, given_up) = tokio::join!(first, given_up);
            assert!(first.is_ok() && given_up.is_err());
            assert_eq!(front.call(1).await, Ok(1));
            assert_eq!(started.get(), 2);
        });
    }
}
