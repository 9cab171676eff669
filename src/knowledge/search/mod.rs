//! Search in the knowledge base. `query` reads what is asked, `index` asks SQLite's full-text index and `nearest` for candidates
//! and orders them by the `score` of their words and the cosine of their meaning, which `fusion` puts together; `vocabulary` says
//! how telling each stem is and what a misspelt word means; `memory` keeps what was read until the entries change. `results` keeps what was found; `audiences` says
//! which entries a search looks at; `whole` is the arithmetic of `nearest`.

mod audiences;
pub(super) mod fusion;
pub mod index;
mod memory;
pub(in crate::knowledge) mod nearest;
mod query;
mod results;
pub(super) mod score;
mod vocabulary;
mod whole;

pub(super) use nearest::dot;
