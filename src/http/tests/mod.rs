//! The HTTP layer against a store in memory.
