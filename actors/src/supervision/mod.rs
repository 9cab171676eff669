//! Supervision: what keeps services and actors alive, tells how they are, and gives them up for a while when nothing helps.

pub mod arbiter;
pub mod breaker;
pub mod call;
pub mod events;
pub mod front;
pub mod gate;
pub mod meter;
pub mod monitor;
pub mod policy;
pub mod root;
mod roster;
pub mod service;
pub mod snapshot;
pub mod supervised;
pub mod threads;
mod tree;
pub mod watchdog;

pub use call::{CallError, FrontHandle};
pub use front::Front;
pub use service::Service;
pub use threads::{Crew, Threads};
