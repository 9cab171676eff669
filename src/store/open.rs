//! From a file to a running store, in the steps that a start takes: open, take over, start; and the way back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tertulia_actors::domain::{Epoch, PartState, Tick};
use tertulia_actors::ports::Tells;
use tokio::sync::{Notify, watch};

use super::checkpoint::{self, Restart, Thresholds};
use super::error::OpenError;
use super::handle::SqliteStore;
use super::inline::{InlineReader, InlineWriter, Pace};
use super::ledger::{self, Ledger, move_parts};
use super::panics::PanicLogs;
use super::readers::Readers;
use super::row::int;
use super::settings::StoreSettings;
use super::writer::{Gauges, Message, Publications, Queue, StoreDeps, Writer, WriterStats};
use super::{connect, damage, schema};

/// An open database whose writer does not run yet.
///
/// Its handle works already: what is queued waits for the writer. So the actors, which need the handle, can be made before
/// the writer, which tells them.
pub struct PreparedStore {
    settings: StoreSettings,
    conn: Connection,
    ledger: Ledger,
    epoch: i64,
    handle: Arc<SqliteStore>,
    receiver: Receiver<Message>,
    books: watch::Sender<tertulia_actors::domain::Books>,
    stats: watch::Sender<WriterStats>,
    readers: Vec<JoinHandle<()>>,
    /// Of a store without threads: what is rung when there is something to write, and how long things take.
    inline: Option<(Arc<Notify>, Pace)>,
}

/// What a takeover found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takeover {
    /// The epoch in which this process owns all partitions.
    pub epoch: Epoch,
    /// Turns that the end of the last process cut off.
    pub interrupted_turns: u64,
    /// Parts whose send it cut off, so that nobody knows whether they were accepted.
    pub ambiguous_parts: u64,
}

impl SqliteStore {
    /// Opens the database, creates or migrates it, and starts the threads that read.
    ///
    /// # Errors
    /// When the file cannot be used, is damaged, belongs to another program, or was written by a newer one.
    pub fn open(settings: &StoreSettings) -> Result<PreparedStore, OpenError> {
        let conn = Self::connect(settings)?;
        let panics = PanicLogs::default();
        let (readers, threads) = Readers::start(settings, &panics.readers)?;
        Self::prepare(settings, conn, panics, (readers, threads), None)
    }

    /// Opens the database like [`open`](Self::open), without a thread: whoever polls an answer reads, and what is written is
    /// written by [`InlineWriter::run`](super::InlineWriter::run). Nothing is synced to the disk, so that this is for
    /// databases whose machine may not fail, as in a simulation. Each read takes the `pace` twice: before it and after it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_inline(settings: &StoreSettings, pace: Pace) -> Result<PreparedStore, OpenError> {
        let conn = Self::connect(settings)?;
        conn.pragma_update(None, "synchronous", "OFF")?;
        let panics = PanicLogs::default();
        let reader = InlineReader::open(settings, Arc::clone(&pace))?;
        let readers = Readers::inline(reader, &panics.readers);
        Self::prepare(settings, conn, panics, (readers, vec![]), Some(pace))
    }

    /// The connection that writes, to a database of the newest schema.
    fn connect(settings: &StoreSettings) -> Result<Connection, OpenError> {
        connect::create_file(&settings.path)?;
        let mut conn = connect::writer(settings)?;
        // Before anything is written: a start that refuses leaves the file as it found it.
        damage::refuse(&conn, settings)?;
        schema::migrate(&mut conn, &settings.path)?;
        Ok(conn)
    }

    fn prepare(
        settings: &StoreSettings,
        conn: Connection,
        panics: PanicLogs,
        (readers, threads): (Readers, Vec<JoinHandle<()>>),
        pace: Option<Pace>,
    ) -> Result<PreparedStore, OpenError> {
        let (ledger, epoch) = (ledger::load(&conn)?, ledger::epoch(&conn)?);
        let gauges = Arc::new(Gauges::default());
        let (queue, receiver) = Queue::new(settings, Arc::clone(&gauges));
        let inline = pace.map(|pace| (Arc::new(Notify::new()), pace));
        let queue = match &inline {
            Some((bell, _)) => queue.ringing(Arc::clone(bell)),
            None => queue,
        };
        let (books, books_seen) = watch::channel(ledger.books);
        let (stats, stats_seen) = watch::channel(WriterStats::begin(&ledger));
        let handle = Arc::new(Self {
            queue: Arc::new(queue),
            readers,
            gauges,
            books: books_seen,
            stats: stats_seen,
            panics,
            retry_after: Duration::from_millis(settings.retry_after_ms),
        });
        let settings = settings.clone();
        let readers = threads;
        Ok(PreparedStore { settings, conn, ledger, epoch, handle, receiver, books, stats, readers, inline })
    }
}

impl PreparedStore {
    /// The store; usable now, though writes wait for [`start`](Self::start).
    #[must_use]
    pub fn handle(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.handle)
    }

    /// The last tick that an earlier process stored. The steady clock starts behind it: at the later of the wall clock
    /// and this plus one.
    #[must_use]
    pub const fn last_tick(&self) -> Tick {
        self.ledger.last_tick
    }

    /// The greatest receipt number that was stored; the next process counts on from it.
    #[must_use]
    pub const fn last_receipt_seq(&self) -> i64 {
        self.ledger.last_receipt_seq
    }

    /// Takes all partitions over, in one transaction: a new epoch fences every earlier owner, turns left running wait
    /// again with one interruption more, parts left in the middle of a send become ambiguous and hold their lanes for
    /// `ambiguous_hold`, no stored deadline lies after `now`, and what was set aside is tried again.
    ///
    /// # Errors
    /// Nothing was changed when it fails.
    pub fn take_over(&mut self, now: Tick, ambiguous_hold: Duration) -> Result<Takeover, OpenError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let epoch = ledger::epoch(&tx)? + 1;
        tx.execute("UPDATE partitions SET epoch = ?1", [epoch])?;
        let turns = tx.execute(
            "UPDATE turns SET state = 'waiting', interruptions = interruptions + 1, not_before = ?1, \
             reason = 'the process ended during the turn' \
             WHERE state IN ('running', 'waiting') AND state = 'running'",
            [now.0],
        )?;
        let parts = tx.execute(
            "UPDATE outbox SET state = 'ambiguous', not_before = ?1, error = 'the process ended during the send' \
             WHERE state IN ('pending', 'sending', 'ambiguous') AND state = 'sending'",
            [now.after(ambiguous_hold).0],
        )?;
        tx.execute(
            "UPDATE conversations SET wake_at = ?1 WHERE wake_at IS NOT NULL AND wake_at > ?1",
            params![now.0],
        )?;
        // They may have been mended; those that were not are set aside again.
        tx.execute("UPDATE conversations SET set_aside = NULL WHERE set_aside IS NOT NULL", [])?;
        let mut entry = ledger::Entry::default();
        move_parts(&mut entry.books, PartState::Sending, PartState::Ambiguous, int(parts));
        let ledger = self.ledger.after(&entry, now);
        ledger::save(&tx, &ledger, epoch)?;
        tx.commit()?;
        self.ledger = ledger;
        self.epoch = epoch;
        self.books.send_replace(ledger.books);
        Ok(Takeover {
            epoch: Epoch(epoch.unsigned_abs()),
            interrupted_turns: turns as u64,
            ambiguous_parts: parts as u64,
        })
    }

    /// Starts the writer, which tells `tells` after each commit.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self, deps: StoreDeps, tells: Box<dyn Tells>) -> Result<RunningStore, OpenError> {
        let (committed, wake) = sync_channel(1);
        let restart = Arc::new(Restart::default());
        let checkpointer = start_checkpoints(&self.settings, &self.handle, &restart, wake)?;
        let (writer, handle, readers) = self.writer((deps, tells), (committed, restart));
        let writer = std::thread::Builder::new()
            .name("store-write".into())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(RunningStore { handle, writer, checkpointer, readers })
    }

    /// The writer of a store that was opened [inline](SqliteStore::open_inline); none for any other one. It tells `tells`
    /// after each commit. The log is copied to the database by commits, once it is long.
    #[must_use]
    pub fn start_inline(mut self, deps: StoreDeps, tells: Box<dyn Tells>) -> Option<InlineWriter> {
        let (bell, pace) = self.inline.take()?;
        // Nobody waits at the other end, which the writer takes as a checkpointer that is busy.
        let (committed, _) = sync_channel(1);
        let gauges = Arc::clone(&self.handle.gauges);
        let (writer, ..) = self.writer((deps, tells), (committed, Arc::default()));
        Some(InlineWriter::new(writer, gauges, bell, pace))
    }

    fn writer(
        self,
        deps: (StoreDeps, Box<dyn Tells>),
        (committed, restart): (SyncSender<()>, Arc<Restart>),
    ) -> (Writer, Arc<SqliteStore>, Vec<JoinHandle<()>>) {
        let out = Publications {
            books: self.books,
            stats: self.stats,
            gauges: Arc::clone(&self.handle.gauges),
            panics: self.handle.panics.writer.clone(),
            committed,
            restart,
        };
        let owned = (self.ledger, self.epoch);
        let writer = Writer::new(self.settings, self.conn, self.receiver, owned, deps, out);
        (writer, self.handle, self.readers)
    }
}

fn start_checkpoints(
    settings: &StoreSettings,
    store: &SqliteStore,
    restart: &Arc<Restart>,
    wake: Receiver<()>,
) -> Result<JoinHandle<()>, OpenError> {
    let conn = connect::checkpointer(settings)?;
    let (restart, gauges, panics) =
        (Arc::clone(restart), Arc::clone(&store.gauges), store.panics.checkpoints.clone());
    let thresholds = Thresholds { passive: settings.wal_checkpoint_pages, limit: settings.wal_limit_pages };
    std::thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || checkpoint::run(&conn, &wake, (&restart, &gauges, &panics), thresholds))
        .map_err(OpenError::Thread)
}

/// A store whose threads run.
pub struct RunningStore {
    handle: Arc<SqliteStore>,
    writer: JoinHandle<Connection>,
    checkpointer: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
}

impl RunningStore {
    /// The store.
    #[must_use]
    pub fn handle(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.handle)
    }

    /// Ends the store: everything queued is committed, the log is copied to the database, all threads are joined. Blocks
    /// for that long, for ever where one of them is frozen; later calls on a handle find the store closed.
    pub fn shutdown(self) {
        self.handle.queue.stop();
        let conn = self.writer.join();
        if self.checkpointer.join().is_err() {
            tracing::error!("the checkpointing thread had panicked");
        }
        for _ in &self.readers {
            self.handle.readers.stop_one();
        }
        for reader in self.readers {
            if reader.join().is_err() {
                tracing::error!("a reading thread had panicked");
            }
        }
        match conn {
            Ok(conn) => last_checkpoint(&conn),
            Err(_) => tracing::error!("the writing thread had panicked; the log is copied at the next start"),
        }
    }
}

fn last_checkpoint(conn: &Connection) {
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log was not copied; the next start does it");
    }
}
