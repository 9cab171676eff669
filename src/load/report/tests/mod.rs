//! What several tests of the report need, and the tests of the report as a whole.

pub(super) mod markup;
pub(super) mod sample;

mod pages;
mod tables;
