//! Tertulia: a conversation server. One binary; see `docs/ARCHITECTURE.md`.

pub mod app;
pub mod channels;
pub mod cli;
pub mod config;
pub mod embedding;
mod endpoint;
pub mod eval;
pub mod http;
pub mod knowledge;
pub mod llm;
pub mod load;
pub mod lock_file;
pub mod memory;
pub mod metrics;
pub mod observer;
pub mod secret;
pub mod shutdown;
pub mod simulate;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod traces;
