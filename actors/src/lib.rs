//! The actors of Tertulia, and the ports they speak through.
//!
//! `domain <- ports <- (supervision, services, pipeline, conversation, inbox, outbox) <- runtime <- the binary`. Actors own
//! their state and share nothing; only messages pass between them. There is no IO here: adapters in the binary implement
//! the [`ports`].

pub mod domain;
pub mod feed;
pub mod inbox;
pub mod ports;
pub mod settings;
