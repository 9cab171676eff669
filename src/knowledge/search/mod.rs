//! Search in the knowledge base. `query` reads what is asked, `index` asks `inverted` and `nearest` for candidates and orders them
//! by the `score` of their words and the cosine of their meaning, which `fusion` puts together; `vocabulary` says how telling each
//! stem is and what a misspelt word means; `memory` reads all of it from the database and follows what changes there. `results`
//! keeps what was found; `audiences` says which entries a search looks at; `whole` is the arithmetic of `nearest`, and `graph` finds the nearest of very many.

mod audiences;
pub(super) mod fusion;
#[cfg(feature = "usearch")]
mod graph;
pub mod index;
mod inverted;
mod memory;
pub(in crate::knowledge) mod nearest;
mod query;
mod results;
pub(super) mod score;
mod vocabulary;
mod whole;

pub(super) use nearest::dot;
