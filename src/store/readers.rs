//! The threads that read: a bounded queue of closures, each run on a pooled connection that cannot write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;
use tertulia_actors::failpoint;
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::{Limit, StoreFuture};
use tokio::sync::oneshot;

use super::connect;
use super::error::{OpenError, overloaded, read_error};
use super::inline::InlineReader;
use super::panics::PanicLog;
use super::settings::StoreSettings;

type Pool = r2d2::Pool<SqliteConnectionManager>;
pub(super) type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

enum Message {
    Read(Job),
    Stop,
}

/// How the readers are doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadStats {
    /// Reads that wait for a thread.
    pub waiting: usize,
    /// Reads under way.
    pub in_flight: usize,
    /// Reads that were answered since the process began.
    pub handled: u64,
}

/// The same as it changes.
#[derive(Default)]
struct Tally {
    waiting: AtomicUsize,
    in_flight: AtomicUsize,
    handled: AtomicU64,
}

impl Tally {
    fn enter(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn begin(&self) {
        self.leave();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who reads.
enum Way {
    /// Threads.
    Threads(SyncSender<Message>),
    /// Whoever polls the answer.
    Inline(Arc<InlineReader>),
}

/// The way to those who read.
pub(super) struct Readers {
    way: Way,
    limit: usize,
    tally: Arc<Tally>,
    panics: PanicLog,
}

impl Readers {
    /// Starts the threads on an existing database.
    ///
    /// # Errors
    /// When no connection can be opened or no thread started.
    pub(super) fn start(
        settings: &StoreSettings,
        panics: &PanicLog,
    ) -> Result<(Self, Vec<JoinHandle<()>>), OpenError> {
        let pool = pool(settings)?;
        let tally = Arc::new(Tally::default());
        let (sender, receiver) = sync_channel(settings.read_queue_max);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..settings.readers.max(1))
            .map(|number| {
                let (pool, receiver) = (pool.clone(), Arc::clone(&receiver));
                let (tally, panics) = (Arc::clone(&tally), panics.clone());
                std::thread::Builder::new()
                    .name(format!("store-read-{number}"))
                    .spawn(move || run(&pool, &receiver, &tally, &panics))
                    .map_err(OpenError::Thread)
            })
            .collect::<Result<_, _>>()?;
        let (limit, panics) = (settings.read_queue_max, panics.clone());
        Ok((Self { way: Way::Threads(sender), limit, tally, panics }, threads))
    }

    /// Reads on the thread that asks, by one connection; there is no queue.
    pub(super) fn inline(reader: InlineReader, panics: &PanicLog) -> Self {
        let (way, tally) = (Way::Inline(Arc::new(reader)), Arc::new(Tally::default()));
        Self { way, limit: usize::MAX, tally, panics: panics.clone() }
    }

    /// Queues a read at once; the future waits for its answer.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let (answer, receiver) = oneshot::channel();
        let panics = self.panics.clone();
        let job: Job = Box::new(move |conn| {
            // The caller may have given up.
            let _ = answer.send(conn.and_then(|conn| guarded(read, conn, &panics)));
        });
        let sender = match &self.way {
            Way::Threads(sender) => sender,
            Way::Inline(reader) => return self.read_inline(reader, job, receiver),
        };
        self.tally.enter();
        let queued = sender.try_send(Message::Read(job));
        if queued.is_err() {
            self.tally.leave();
        }
        match queued {
            Ok(()) => Box::pin(async move { receiver.await.unwrap_or(Err(StoreError::Closed)) }),
            Err(TrySendError::Full(_)) => {
                let error = overloaded(Limit::Reads, self.limit);
                Box::pin(async move { Err(error) })
            }
            Err(TrySendError::Disconnected(_)) => Box::pin(async { Err(StoreError::Closed) }),
        }
    }

    fn read_inline<T: Send + 'static>(
        &self,
        reader: &Arc<InlineReader>,
        job: Job,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> StoreFuture<T> {
        let (reader, tally) = (Arc::clone(reader), Arc::clone(&self.tally));
        Box::pin(async move {
            let job: Job = Box::new(move |conn| {
                tally.enter();
                tally.begin();
                job(conn);
                tally.end();
            });
            reader.read(job).await;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// How the threads are doing now.
    pub(super) fn stats(&self) -> ReadStats {
        ReadStats {
            waiting: self.tally.waiting.load(Ordering::Relaxed),
            in_flight: self.tally.in_flight.load(Ordering::Relaxed),
            handled: self.tally.handled.load(Ordering::Relaxed),
        }
    }

    /// Asks one thread to end after what is queued.
    pub(super) fn stop_one(&self) {
        if let Way::Threads(sender) = &self.way {
            // The threads are gone already when this fails.
            let _ = sender.send(Message::Stop);
        }
    }
}

fn pool(settings: &StoreSettings) -> Result<Pool, OpenError> {
    let own = settings.clone();
    let manager = SqliteConnectionManager::file(&settings.path)
        .with_flags(connect::reader_flags())
        .with_init(move |conn| connect::configure_reader(conn, &own));
    let size = u32::try_from(settings.readers.max(1)).unwrap_or(u32::MAX);
    Ok(r2d2::Pool::builder()
        .max_size(size)
        // A local file needs no ping before each use.
        .test_on_check_out(false)
        .connection_timeout(settings.busy_timeout())
        .build(manager)?)
}

fn run(pool: &Pool, receiver: &Mutex<Receiver<Message>>, tally: &Tally, panics: &PanicLog) {
    loop {
        // Nothing panics while this lock is held, and a receiver cannot be left half changed.
        let message = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Message::Read(job)) = message else { return };
        tally.begin();
        let served = catch_unwind(AssertUnwindSafe(|| match pool.get() {
            Ok(conn) => job(Ok(&conn)),
            Err(error) => job(Err(StoreError::Unavailable(error.to_string()))),
        }));
        tally.end();
        if let Err(panic) = served {
            tracing::error!("a reading thread panicked, and goes on");
            panics.restarted(&*panic);
        }
    }
}

/// A read that panics fails alone, and leaves no transaction open; its thread goes on.
fn guarded<T>(
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    conn: &Connection,
    panics: &PanicLog,
) -> Result<T, StoreError> {
    let read = || {
        failpoint!("store.read");
        read(conn)
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(outcome) => outcome.map_err(|error| read_error(&error)),
        Err(panic) => {
            tracing::error!("a read panicked");
            panics.caught(&*panic);
            if !conn.is_autocommit()
                && let Err(error) = conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "the transaction of a read that panicked cannot be ended");
            }
            Err(StoreError::Unavailable("the read panicked".into()))
        }
    }
}
