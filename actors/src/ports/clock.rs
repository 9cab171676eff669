//! Time from outside.

use crate::domain::{Receipt, Tick, Timestamp};

/// Both timelines. Timers themselves run on tokio's clock.
pub trait Clock: Send + Sync + 'static {
    /// Wall time: what is stored and shown.
    fn now(&self) -> Timestamp;

    /// The steady timeline: what deadlines are computed from.
    fn tick(&self) -> Tick;
}

/// Stamps a body the moment it is complete.
pub trait ReceiptSource: Send + Sync + 'static {
    /// The next receipt. Its `seq` grows with every call and over restarts.
    fn receipt(&self) -> Receipt;
}
