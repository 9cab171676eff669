//! What memory the process takes.

use schemars::JsonSchema;
use serde::Serialize;

/// The memory of the process, as the system counts it. Zero where it cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Memory {
    /// All that lies in memory, in bytes, with the pages of files that are mapped.
    pub resident_bytes: u64,
    /// What belongs to no file, in bytes: the system cannot take it back, so this is what a limit is about.
    pub anonymous_bytes: u64,
}
