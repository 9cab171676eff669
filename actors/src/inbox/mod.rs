//! From a webhook to the conversation's actor.

pub mod admission;
pub mod router;
pub mod sweep;
