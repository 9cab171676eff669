//! From a webhook to the conversation's actor.

pub mod admission;
