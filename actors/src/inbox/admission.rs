//! Admission: what a webhook brought becomes durable before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{InboundMessage, Receipt, Timestamp};
use crate::ports::store::{Admission, Stored};
use crate::ports::{Clock, ReceiptSource, Store, StoreError};

/// The way in for all channels. Has no state; the writer's queue is what bounds it.
#[derive(Clone)]
pub struct Admissions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    receipts: Arc<dyn ReceiptSource>,
    dedupe: Duration,
}

/// The reason of a message that is too old to know whether it was answered.
pub const STALE: &str = "stale";

impl Admissions {
    /// Admits into `store`. A message whose provider says it was written longer than `dedupe` ago is stored and
    /// suppressed as [`STALE`], since its dedupe key may be gone.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        receipts: Arc<dyn ReceiptSource>,
        dedupe: Duration,
    ) -> Self {
        Self { store, clock, receipts, dedupe }
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
    /// # Errors
    /// Nothing was stored, and nothing must be acknowledged.
    pub async fn admit(&self, mut admission: Admission) -> Result<Vec<Stored>, StoreError> {
        let oldest = self.clock.now().before(self.dedupe);
        for message in &mut admission.messages {
            suppress_if_stale(message, oldest);
        }
        self.store.admit(admission).await
    }
}

/// Suppresses a message that was written before `oldest`.
fn suppress_if_stale(message: &mut InboundMessage, oldest: Timestamp) {
    if message.suppressed.is_none() && message.provider_at.is_some_and(|at| at < oldest) {
        message.suppressed = Some(STALE);
    }
}
