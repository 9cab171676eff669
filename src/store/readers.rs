//! The threads that read: a bounded queue of closures, each run on a pooled connection that cannot write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::{Limit, StoreFuture};
use tokio::sync::oneshot;

use super::connect;
use super::error::{OpenError, overloaded, read_error};
use super::settings::StoreSettings;

type Pool = r2d2::Pool<SqliteConnectionManager>;
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

enum Message {
    Read(Job),
    Stop,
}

/// The way to the threads.
pub(super) struct Readers {
    sender: SyncSender<Message>,
    limit: usize,
}

impl Readers {
    /// Starts the threads on an existing database.
    ///
    /// # Errors
    /// When no connection can be opened or no thread started.
    pub(super) fn start(settings: &StoreSettings) -> Result<(Self, Vec<JoinHandle<()>>), OpenError> {
        let pool = pool(settings)?;
        let (sender, receiver) = sync_channel(settings.read_queue_max);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..settings.readers.max(1))
            .map(|number| {
                let (pool, receiver) = (pool.clone(), Arc::clone(&receiver));
                std::thread::Builder::new()
                    .name(format!("store-read-{number}"))
                    .spawn(move || run(&pool, &receiver))
                    .map_err(OpenError::Thread)
            })
            .collect::<Result<_, _>>()?;
        Ok((Self { sender, limit: settings.read_queue_max }, threads))
    }

    /// Queues a read at once; the future waits for its answer.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            // The caller may have given up.
            let _ = answer.send(conn.and_then(|conn| guarded(read, conn)));
        });
        match self.sender.try_send(Message::Read(job)) {
            Ok(()) => Box::pin(async move { receiver.await.unwrap_or(Err(StoreError::Closed)) }),
            Err(TrySendError::Full(_)) => {
                let error = overloaded(Limit::Reads, self.limit);
                Box::pin(async move { Err(error) })
            }
            Err(TrySendError::Disconnected(_)) => Box::pin(async { Err(StoreError::Closed) }),
        }
    }

    /// Asks one thread to end after what is queued.
    pub(super) fn stop_one(&self) {
        // The threads are gone already when this fails.
        let _ = self.sender.send(Message::Stop);
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

fn run(pool: &Pool, receiver: &Mutex<Receiver<Message>>) {
    loop {
        // Nothing panics while this lock is held, and a receiver cannot be left half changed.
        let message = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Message::Read(job)) = message else { return };
        match pool.get() {
            Ok(conn) => job(Ok(&conn)),
            Err(error) => job(Err(StoreError::Unavailable(error.to_string()))),
        }
    }
}

/// A read that panics fails alone; its thread goes on.
fn guarded<T>(
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    conn: &Connection,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(|| read(conn))) {
        Ok(outcome) => outcome.map_err(|error| read_error(&error)),
        Err(_) => {
            tracing::error!("a read panicked");
            Err(StoreError::Unavailable("the read panicked".into()))
        }
    }
}
