//! The store against real files, with clocks and ids that a test controls.

mod audit;
mod bench;
mod books;
mod damage;
mod database;
mod failures;
mod handoff;
mod identity;
mod inbox;
mod journeys;
mod leftovers;
mod log;
mod outbox;
mod search;
mod statuses;
mod survival;
mod turns;
