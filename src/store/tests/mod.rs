//! The store against real files, with clocks and ids that a test controls.

mod bench;
mod books;
mod damage;
mod database;
mod failures;
mod identity;
mod inbox;
mod log;
mod outbox;
mod statuses;
mod survival;
mod turns;
