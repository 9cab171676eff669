//! Identifiers and chance from outside, so that a simulation can repeat itself.

use uuid::Uuid;

/// A source of identifiers and jitter.
pub trait Entropy: Send + Sync + 'static {
    /// A new time-ordered identifier (UUIDv7, RFC 9562).
    fn uuid(&self) -> Uuid;

    /// A number in [0, 1), for jitter.
    fn fraction(&self) -> f64;
}
