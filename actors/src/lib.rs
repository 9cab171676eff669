//! The actors of Tertulia, and the ports they speak through.
//!
//! `domain <- ports <- (supervision, services, pipeline, conversation, inbox, outbox) <- runtime <- the binary`. Actors own
//! their state and share nothing; only messages pass between them. There is no IO here: adapters in the binary implement
//! the [`ports`].

#![forbid(unsafe_code)]

pub mod conversation;
pub mod domain;
pub mod failpoint;
pub mod feed;
pub mod inbox;
pub mod indexer;
pub mod operations;
pub mod outbox;
pub mod pipeline;
pub mod ports;
pub mod runtime;
pub mod services;
pub mod settings;
pub mod shard;
pub mod supervision;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
