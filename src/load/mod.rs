//! The load harness: emulated providers, realistic people, faults, a verdict and a report.
//!
//! A run goes one way: a [`profile`] and a seed become a [`plan`]; [`people`] follow it and write bursts at the [`desk`], which
//! posts them over its [`wire`] to the server under test (a [`child`]); what reaches the [`providers`] comes back to the desk
//! and into the [`ledger`]; [`meters`] and [`sampler`] keep the figures, [`misfortune`] sees to the [`faults`]. In the end
//! [`judge`] reads the ledger beside what the database has [`stored`], and [`outcome`] writes the [`report`].

pub mod bursts;
pub mod child;
pub mod desk;
pub mod disk;
pub mod faults;
pub mod judge;
pub mod ledger;
pub mod meters;
pub mod misfortune;
pub mod objectives;
pub mod outcome;
pub mod payloads;
pub mod people;
pub mod plan;
pub mod prng;
pub mod profile;
pub mod providers;
pub mod report;
pub mod run;
pub mod sampler;
pub mod search;
pub mod sender;
pub mod stored;
pub mod texts;
pub mod watch;
pub mod wire;
