//! Days of traffic in seconds: the real actors, store and pipeline under a virtual clock, between simulated people, a
//! simulated model and a simulated channel, with faults. The same seed gives the same trace, byte for byte.
//!
//! One thread does everything, since a virtual clock belongs to one thread and waits for no other one. `people` write,
//! `provider` posts what they wrote until it is acknowledged, `world` is one life of the server, `outside` the model and the
//! channel, `faults` what goes wrong, `chance` time and chance; `run` lets lives follow one another, `trace` records what
//! happens, `rows` reads what was stored in the end, `check` and `order` judge all that by the promises.

mod chance;
mod check;
mod faults;
mod order;
mod outside;
mod people;
mod provider;
mod rows;
mod run;
mod trace;
mod world;

#[cfg(test)]
mod tests;

use std::io;

use tertulia_actors::domain::Books;
use tertulia_actors::ports::StoreError;
use thiserror::Error;

pub use check::Finding;
pub use faults::{Fault, Faults};
pub use trace::Trace;

use crate::config::Config;
use crate::store::OpenError;
use outside::Lie;

/// Why a simulation could not be run.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// The database cannot be used.
    #[error("the simulated database cannot be used: {0}")]
    Open(#[from] OpenError),
    /// The database cannot be read.
    #[error("the simulated database cannot be read: {0}")]
    Read(#[from] rusqlite::Error),
    /// The store does not answer.
    #[error("the simulated store does not answer: {0}")]
    Store(#[from] StoreError),
    /// The folder of the database, or the runtime, cannot be made.
    #[error("the simulation cannot begin: {0}")]
    Io(#[from] io::Error),
    /// An actor did not start.
    #[error("an actor did not start")]
    Thread,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// How many people write.
    pub users: usize,
    /// For how many days.
    pub days: u32,
    /// What goes wrong.
    pub faults: Faults,
    /// The server's configuration. What would reach outside of the simulation is replaced.
    pub config: Config,
    /// A deliberate breach, by which the checks are checked.
    lie: Option<Lie>,
}

impl Options {
    /// A simulation of so many people and days.
    #[must_use]
    pub const fn new(seed: u64, (users, days): (usize, u32), faults: Faults, config: Config) -> Self {
        Self { seed, users, days, faults, config, lie: None }
    }
}

/// What a simulation came to.
pub struct Outcome {
    /// What happened.
    pub trace: Trace,
    /// Which promises were not kept, and where.
    pub findings: Vec<Finding>,
    /// The books at the end.
    pub books: Books,
    /// How often the server was started.
    pub lives: u32,
}

/// Runs one simulation, on the current thread.
///
/// # Errors
/// When it cannot be run; that says nothing about the server.
pub fn simulate(options: &Options) -> Result<Outcome, SimulationError> {
    run::Simulation::new(options)?.run()
}
