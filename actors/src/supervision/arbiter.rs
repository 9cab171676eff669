//! Threads of actors.

use std::time::Duration;

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

/// Stops arbiters and waits until their threads have ended, at most for `patience`: one that is frozen never does. False if
/// that was not so, or could not be waited for.
#[must_use]
pub fn stop(arbiters: Vec<Arbiter>, patience: Duration) -> bool {
    let join = move || {
        for arbiter in arbiters {
            arbiter.stop();
            // A thread that panicked has ended as well.
            let _ = arbiter.join();
        }
    };
    within(patience, join).is_some()
}

/// What work on a thread of its own finds, at most after `patience`: none if it takes longer, if it panics, or if the system
/// gives no thread. Work that takes longer is left behind.
#[must_use]
pub fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, is_done) = std::sync::mpsc::channel();
    let worker = std::thread::Builder::new().name("patience".into()).spawn(move || {
        // Nobody may wait any longer.
        let _ = done.send(work());
    });
    worker.ok()?;
    is_done.recv_timeout(patience).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_not_waited_for_longer_than_the_patience_and_its_panic_is_no_result() {
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(50), move || may_go_on.recv().unwrap_err()), None);
        assert_eq!(within(Duration::from_secs(60), || 5), Some(5));
        assert_eq!(within(Duration::from_secs(60), || -> u8 { panic!("as told") }), None);
        drop(go_on);
    }

    #[test]
    fn a_frozen_thread_is_not_waited_for_longer_than_the_patience() {
        let _system = actix_rt::System::new();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let (standing, stands_still) = std::sync::mpsc::channel();
        let (frozen, fine) = (arbiter(), arbiter());
        frozen.spawn_fn(move || {
            standing.send(()).unwrap();
            // Ends when the other end is dropped.
            may_go_on.recv().unwrap_err();
        });
        stands_still.recv().unwrap();
        assert!(!stop(vec![frozen], Duration::from_millis(50)));
        assert!(stop(vec![fine], Duration::from_secs(60)));
        drop(go_on);
    }
}
