//! Threads of actors.

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::oneshot;

/// Threads of an arbiter's pool for blocking work; the actors block nowhere, the pool only must not grow.
const BLOCKING_THREADS_MAX: usize = 1;

/// A thread with an arbiter on it.
///
/// # Panics
/// When the thread's runtime cannot be built.
#[must_use]
pub fn arbiter() -> Arbiter {
    Arbiter::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()
            .expect("a thread that could be started can poll its events")
    })
}

/// Starts `make` on an arbiter and answers what it made.
///
/// # Errors
/// None when the arbiter is gone.
pub async fn start_on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    make: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (made, answer) = oneshot::channel();
    arbiter.spawn_fn(move || {
        // The caller waits right below.
        let _ = made.send(make());
    });
    answer.await.ok()
}
