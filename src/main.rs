//! The `tertulia` binary.

fn main() {}
