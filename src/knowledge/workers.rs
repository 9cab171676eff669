//! A few named threads that do blocking work for futures.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use thiserror::Error;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Why a job has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum WorkerError {
    /// As many jobs wait as may.
    #[error("the search queue is full, try again later")]
    Full,
    /// The job panicked; its thread goes on.
    #[error("the search panicked, see the panic message on standard error")]
    Panicked,
    /// No thread is left.
    #[error("the search threads have ended")]
    Ended,
}

/// The threads and the bounded queue before them. Dropping it lets the threads end after the jobs that wait.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: SyncSender<Job>,
}

impl Workers {
    /// Starts `threads` (at least one) named `name-0`, `name-1`, …; at most `queue_max` jobs wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(name: &str, threads: usize, queue_max: usize) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(queue_max.max(1));
        let receiver = Arc::new(Mutex::new(receiver));
        for n in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new().name(format!("{name}-{n}")).spawn(move || work(&receiver))?;
        }
        Ok(Self { jobs })
    }

    /// Runs a job on one of the threads. It is queued at once, also if the future is never polled, and skipped if the
    /// future is dropped before a thread takes it.
    pub(super) fn run<T, J>(&self, job: J) -> impl Future<Output = Result<T, WorkerError>> + Send + use<T, J>
    where
        T: Send + 'static,
        J: FnOnce() -> T + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let queued = self.jobs.try_send(Box::new(move || {
            if !answer.is_closed() {
                // The asker may be gone by now; nobody misses the result then.
                drop(answer.send(job()));
            }
        }));
        async move {
            match queued {
                Ok(()) => result.await.map_err(|_| WorkerError::Panicked),
                Err(TrySendError::Full(_)) => Err(WorkerError::Full),
                Err(TrySendError::Disconnected(_)) => Err(WorkerError::Ended),
            }
        }
    }
}

/// What a thread does until the queue is closed.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The guard is gone before the job runs. Nothing panics while it is held, and a receiver cannot be left half-changed.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic drops the job's sender, which tells the asker. Jobs own what they use, so nothing is left broken.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[actix_web::test]
    async fn a_panic_ends_its_job_and_not_its_thread() {
        let workers = Workers::start("test", 1, 4).unwrap();
        let failed = workers.run(|| -> u32 { panic!("meant to") }).await;
        assert_eq!(failed, Err(WorkerError::Panicked));
        let name = workers.run(|| thread::current().name().map(str::to_owned)).await;
        assert_eq!(name, Ok(Some("test-0".to_owned())));
    }

    #[actix_web::test]
    async fn more_jobs_than_may_wait_are_refused_and_abandoned_ones_are_skipped() {
        let workers = Workers::start("test", 1, 1).unwrap();
        let (started, has_started) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let busy = workers.run(move || {
            started.send(()).unwrap();
            may_go_on.recv().unwrap();
        });
        has_started.recv().unwrap();
        let (ran, has_run) = channel::<()>();
        let waiting = workers.run(move || ran.send(()));
        assert_eq!(workers.run(|| ()).await, Err(WorkerError::Full));
        drop(waiting);
        go_on.send(()).unwrap();
        assert_eq!(busy.await, Ok(()));
        // The only thread does jobs in order, and the sender of the abandoned one is dropped unused.
        assert!(has_run.recv().is_err(), "the abandoned job ran");
    }
}
