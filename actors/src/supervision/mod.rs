//! Fronts: the supervisor actors that stand before every service.

pub mod front;
pub mod gate;

pub use front::{CallError, Front, FrontHandle, Service};
