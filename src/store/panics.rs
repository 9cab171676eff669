//! Panics of the store's threads. They are caught, counted and told; the threads go on.

use std::any::Any;
use std::sync::Arc;

use tertulia_actors::domain::panic_text;
use tokio::sync::watch;

/// What is known of the panics of one kind of threads since the process began.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Panics {
    /// How many were caught.
    pub count: u64,
    /// How many of them came from outside of what a caller had asked for, so that the thread had to begin anew.
    pub restarts: u64,
    /// What the last one said, as far as it may be quoted.
    pub last: &'static str,
}

/// Where threads of one kind take note of their panics. Clones share everything.
#[derive(Clone)]
pub(super) struct PanicLog(Arc<watch::Sender<Panics>>);

impl Default for PanicLog {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl PanicLog {
    /// What a caller asked for panicked; the thread itself is as it was.
    pub(super) fn caught(&self, panic: &(dyn Any + Send)) {
        self.note(panic, 0);
    }

    /// The thread itself panicked, and begins anew.
    pub(super) fn restarted(&self, panic: &(dyn Any + Send)) {
        self.note(panic, 1);
    }

    /// Changes with each panic.
    pub(super) fn watch(&self) -> watch::Receiver<Panics> {
        self.0.subscribe()
    }

    fn note(&self, panic: &(dyn Any + Send), restarts: u64) {
        let last = panic_text(panic);
        self.0.send_modify(|panics| {
            *panics = Panics { count: panics.count + 1, restarts: panics.restarts + restarts, last };
        });
    }
}

/// The notes of all threads of a store.
#[derive(Clone, Default)]
pub(super) struct PanicLogs {
    pub(super) writer: PanicLog,
    pub(super) checkpoints: PanicLog,
    pub(super) readers: PanicLog,
}
