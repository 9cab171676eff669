//! Search in the knowledge base. `query` reads what is asked, `index` asks SQLite's full-text index for candidates and
//! orders them by their `score`; `vocabulary` says how telling each stem is and what a misspelt word means; `memory` keeps what was read until the entries
//! change.

pub mod index;
mod memory;
mod query;
pub(super) mod score;
mod vocabulary;
