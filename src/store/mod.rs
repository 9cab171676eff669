//! The store on SQLite: the port [`Store`](tertulia_actors::ports::Store) on one file.
//!
//! `open` (start and end) -> `handle` (the port) -> `writer` (one thread, group commit) and `readers` (several threads, no
//! writes), with `checkpoint` beside them; in a simulation `inline` does the work of the threads. `damage` looks for
//! broken pages at a start. `schema` and its migrations say what is stored, `ledger` keeps the books of
//! promise H, `unreadable` names conversations whose rows are damaged, `db` is for commands that work without a server.

mod audit;
mod batch;
mod checkpoint;
mod connect;
mod damage;
pub mod db;
mod error;
mod handle;
mod handoff;
mod inline;
mod ledger;
mod leftovers;
mod open;
mod panics;
mod readers;
mod reads;
mod row;
mod schema;
mod settings;
mod unreadable;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{OpenError, WriteError};
pub use handle::{SqliteStore, StoreThread};
pub use inline::{InlineWriter, Pace};
pub use open::{PreparedStore, RunningStore, Takeover};
pub use panics::Panics;
pub use readers::ReadStats;
pub use settings::{Backend, StoreSettings};
pub use writer::{StoreDeps, WriterStats};
