//! From a webhook to the conversation's actor.

pub mod admission;
pub mod pressure;
pub mod router;
pub mod sweep;
