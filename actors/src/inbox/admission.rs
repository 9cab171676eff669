//! Admission: what a webhook brought becomes durable before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use super::pressure::{Pressure, Refusals, waiting};
use crate::domain::{InboundMessage, Receipt, Timestamp};
use crate::ports::store::{Admission, Stored};
use crate::ports::{Clock, ReceiptSource, Store, StoreError};

/// The way in for all channels. Bounded by the backlog and the memory of the process, and by the writer's queue; who meets a
/// limit is refused before anything is stored.
#[derive(Clone)]
pub struct Admissions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    receipts: Arc<dyn ReceiptSource>,
    dedupe: Duration,
    pressure: Pressure,
}

/// The reason of a message that is too old to know whether it was answered.
pub const STALE: &str = "stale";

impl Admissions {
    /// Admits into `store` what `pressure` leaves room for. A message whose provider says it was written longer than `dedupe` ago is stored and
    /// suppressed as [`STALE`], since its dedupe key may be gone.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        receipts: Arc<dyn ReceiptSource>,
        dedupe: Duration,
        pressure: Pressure,
    ) -> Self {
        Self { store, clock, receipts, dedupe, pressure }
    }

    /// Whether there is room for one more message, as far as it can be told without asking the store.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] with the limit that is met.
    pub fn has_room(&self) -> Result<(), StoreError> {
        self.pressure.check(1)
    }

    /// Whether a body may be read, before it takes any memory. Whoever is refused here is counted.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] where the process has no memory left for it.
    pub fn may_read(&self) -> Result<(), StoreError> {
        self.counted(self.pressure.check(0))
    }

    /// What was refused so far.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        self.pressure.refusals()
    }

    /// Stamps a body that is complete.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        self.receipts.receipt()
    }

    /// The source of receipts, for a channel that reads several messages from one body.
    #[must_use]
    pub fn receipts(&self) -> &dyn ReceiptSource {
        &*self.receipts
    }

    /// Stores what a webhook brought; resolves after the commit. The writer, not this future, tells the router, so
    /// that a client that goes away loses nothing.
    ///
    /// A message that was seen before is refused like a new one while there is no room: whether it was, only the store can
    /// say, and its sender loses nothing by sending it once more.
    ///
    /// # Errors
    /// Nothing was stored, and nothing must be acknowledged.
    pub async fn admit(&self, mut admission: Admission) -> Result<Vec<Stored>, StoreError> {
        let oldest = self.clock.now().before(self.dedupe);
        for message in &mut admission.messages {
            suppress_if_stale(message, oldest);
        }
        self.counted(self.pressure.check(waiting(&admission)))?;
        let stored = self.store.admit(admission).await;
        self.counted(stored)
    }

    fn counted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.pressure.refusals().note(error))
    }
}

/// Suppresses a message that was written before `oldest`.
fn suppress_if_stale(message: &mut InboundMessage, oldest: Timestamp) {
    if message.suppressed.is_none() && message.provider_at.is_some_and(|at| at < oldest) {
        message.suppressed = Some(STALE);
    }
}
