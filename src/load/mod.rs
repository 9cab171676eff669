//! The test bench: emulated providers and realistic people.
