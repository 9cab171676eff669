//! End-to-end tests against the real binary: a child process, a database on disk, emulated providers on loopback.

mod bursts;
mod crash;
mod support;
