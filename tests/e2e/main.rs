//! End-to-end tests against the real binary: a child process, a database on disk, emulated providers on loopback.

#![expect(unreachable_pub, reason = "modules of one test binary")]
#![expect(clippy::panic, reason = "a test that cannot go on says so")]

mod bad_input;
mod bursts;
mod channel;
mod chat_page;
mod chroma;
mod classifier;
mod console;
mod crash;
mod durability;
mod eval;
mod faults;
mod hot_user;
mod knowledge;
mod load;
mod meaning;
mod operations;
mod overload;
mod resilience;
mod secrets;
mod slow_connections;
mod supervision;
mod support;
mod traces;
mod webdriver;
