//! What stands behind a front: how it is called, and what its failures mean.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Map, Value};

use super::gate::Discard;

/// The work of one call. Stays on the front's thread.
pub type Work<T, E> = Pin<Box<dyn Future<Output = Result<T, Fault<E>>>>>;

/// Why a call came to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault<E> {
    /// The service answered with an error.
    Failed(E),
    /// The thread that worked on it panicked, and is replaced by whoever has the threads; what the panic said.
    Panicked(String),
    /// The thread that worked on it gave no sign of life for this long, and is replaced by whoever has the threads.
    Frozen(Duration),
    /// No thread is left to work on it, for now.
    NoWorker,
}

impl<E> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

/// Whose fault an error is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The request's: another one may do well. Says nothing about the service.
    Request,
    /// The service's: failures in a row open the circuit breaker.
    Service,
    /// The service's, and the next call will fail as well: the breaker opens at once.
    Hopeless,
    /// The service's, which asked not to be called for this long: the breaker opens at once, and so long.
    NotBefore(Duration),
}

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

    /// Who goes when its queue is full.
    const DISCARD: Discard = Discard::Newest;

    /// Whether a call that waited gets less time to run. Not where a call that is cut off has an unknown outcome: such a
    /// service keeps time-outs of its own, and the front's deadline lies above them.
    const WAITING_COUNTS: bool = true;

    /// Whether work that is under way ends when nobody waits for its answer any more, which frees its place at once. Not where it
    /// is to be done whoever waits, nor where a call that is cut off has an unknown outcome.
    const ENDS_WITH_CALLER: bool = false;

    /// Does the work. Runs beside the front, never inside it, so that a panic here reaches the caller only; the service is made
    /// anew then, which a thread of its own that panicked ([`Fault::Panicked`]) does not ask for. Takes next to no time of
    /// its thread, which is that of all fronts.
    fn call(&self, request: Self::Request) -> Work<Self::Response, Self::Error>;

    /// Whose fault an error is.
    fn blame(error: &Self::Error) -> Blame;

    /// Reads again what may have changed outside, such as its secrets; called before a call that finds out whether the
    /// service is back.
    fn refresh(&self) {}

    /// What only this service can say of itself, for people to see.
    fn detail(&self) -> Map<String, Value> {
        Map::new()
    }
}
