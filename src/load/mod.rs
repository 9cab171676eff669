//! The test bench: emulated providers and realistic people.

pub mod bursts;
pub mod payloads;
pub mod prng;
pub mod providers;
pub mod report;
pub mod sender;
mod texts;
