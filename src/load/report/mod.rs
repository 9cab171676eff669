//! What a run of the harness found, and the forms in which it is told: a file, a table for the terminal, a page to look at;
//! and two or more runs side by side.
//!
//! All of it is pure: a [`run::Run`] goes in, text comes out. Only [`read()`] and [`write()`] touch the disk.

pub mod run;

mod compare;
mod compare_page;
mod distribution;
mod file;
mod format;
mod ground;
mod markup;
mod measures;
mod page;
mod plot;
mod scale;
mod sections;
mod series;
mod svg;
mod table;
mod terminal;
mod verdict;

#[cfg(test)]
mod tests;

pub use compare::compare_table;
pub use compare_page::compare_html;
pub use file::{ReportError, json, read, write};
pub use page::html;
pub use table::table;
