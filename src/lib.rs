//! Tertulia: a conversation server. One binary; see `docs/ARCHITECTURE.md`.

pub mod channels;
pub mod http;
pub mod knowledge;
pub mod llm;
pub mod load;
pub mod secret;
pub mod store;
