//! `tertulia eval`: how well texts are classified, entries found and answers decided, measured on a business's own data by the
//! code that the server runs.
//!
//! `read` takes files apart, `classify`, `retrieve` and `decide` run what is measured, `meaning` asks the model if there
//! is one, `measures` are the figures (pure), and `table` shows them.

pub mod classify;
pub mod decide;
mod meaning;
mod measures;
pub mod read;
pub mod retrieve;
mod table;

pub use meaning::Meaning;
pub use read::{EvalError, documents, entries, labelled, questions};
