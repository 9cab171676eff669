//! What a run of the harness found, and the forms in which it is told.

pub mod run;
