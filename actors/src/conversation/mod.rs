//! One actor per conversation: it gathers messages, decides when a batch closes, and has the one turn in flight.

pub mod actor;
pub mod buffer;
mod trace;
pub mod turn;
pub mod turn_gate;
