//! The store as its callers hold it.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tertulia_actors::domain::{
    Account, Books, ConversationId, HistoryItem, OutboxPart, Tick, Timestamp, TurnId,
};
use tertulia_actors::ports::store::{
    Admission, CommitOutcome, CommitTurn, ConversationState, ConversationView, DeadLetter, Inbox,
    JourneyFilter, JourneyPage, JourneyView, Journeys, Mark, MessageView, Outbox, Overdue, QuarantineView,
    RecordView, ReleaseTurn, ReplyView, StartOutcome, StartTurn, StoreFuture, Stored, TurnView, Turns,
    UnansweredTurn, Views,
};
use tertulia_actors::ports::{Store, StoreError};
use tokio::sync::watch;

use super::error::WriteError;
use super::panics::{PanicLogs, Panics};
use super::readers::{ReadStats, Readers};
use super::writer::{Change, Gauges, Marks, Probe, Queue, Replay, SetAside, WriterStats, paused};
use super::{ledger, reads};

/// The store on one SQLite file.
///
/// Every call queues its request at once, and its future only waits for the answer: a caller that goes away cancels
/// nothing. Writes go through the group-commit writer, reads to threads of their own.
pub struct SqliteStore {
    pub(super) queue: Arc<Queue>,
    pub(super) readers: Readers,
    pub(super) gauges: Arc<Gauges>,
    pub(super) books: watch::Receiver<Books>,
    pub(super) stats: watch::Receiver<WriterStats>,
    pub(super) panics: PanicLogs,
    pub(super) retry_after: Duration,
}

/// The kinds of threads that a store has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreThread {
    /// The one that writes.
    Writer,
    /// The one that copies the write-ahead log.
    Checkpoints,
    /// Those that read.
    Readers,
}

impl SqliteStore {
    /// Reads tables that belong to another module, on the readers' threads.
    pub fn read_with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, WriteError> + Send + 'static,
    ) -> StoreFuture<T> {
        // What the closure refuses is not the database's fault, so its error travels inside.
        let found = self.readers.read(move |conn| Ok(read(conn)));
        Box::pin(async move { found.await?.map_err(StoreError::from) })
    }

    /// Changes tables that belong to another module, in a commit of the writer like any other request. Keep it short:
    /// messages wait for the same commit.
    pub fn write_with<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection, Timestamp) -> Result<T, WriteError> + Send + 'static,
    ) -> StoreFuture<T> {
        self.queue.write(Change::new(change))
    }

    /// A read that fails for the rows of its conversation sets that one aside.
    fn or_set_aside<T: Send + 'static>(
        &self,
        conversation: ConversationId,
        read: StoreFuture<T>,
    ) -> StoreFuture<T> {
        let queue = Arc::clone(&self.queue);
        Box::pin(async move {
            let outcome = read.await;
            if let Err(StoreError::Corrupt(reason)) = &outcome {
                queue
                    .write(SetAside { conversation: conversation.to_string(), reason: reason.clone() })
                    .await?;
            }
            outcome
        })
    }

    /// The books, published after each commit.
    #[must_use]
    pub fn books(&self) -> watch::Receiver<Books> {
        self.books.clone()
    }

    /// How the writer is doing now.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        let stats = self.stats.borrow().clone();
        WriterStats { queued: self.gauges.queued(), wal_pages: self.gauges.wal_pages(), ..stats }
    }

    /// How the writer is doing, told after each commit; ends with the writer.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<WriterStats> {
        self.stats.clone()
    }

    /// Requests in the transaction that is being written.
    #[must_use]
    pub fn in_commit(&self) -> usize {
        self.gauges.in_commit()
    }

    /// How long the transaction that is being written has taken so far; none between two of them.
    #[must_use]
    pub fn in_commit_for(&self) -> Option<Duration> {
        self.gauges.in_commit_for()
    }

    /// How the readers are doing now.
    #[must_use]
    pub fn reads(&self) -> ReadStats {
        self.readers.stats()
    }

    /// The panics of one kind of threads, which were caught.
    #[must_use]
    pub fn panics(&self, of: StoreThread) -> watch::Receiver<Panics> {
        match of {
            StoreThread::Writer => self.panics.writer.watch(),
            StoreThread::Checkpoints => self.panics.checkpoints.watch(),
            StoreThread::Readers => self.panics.readers.watch(),
        }
    }

    /// Refuses admissions from now on, or takes them again. Turns, replies and what is queued already are written all the
    /// same.
    pub fn pause_admissions(&self, paused: bool) {
        self.gauges.set_paused(paused);
    }

    /// Whether admissions are refused because an operator asked for it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.gauges.is_paused()
    }

    /// Whether the last write succeeded; no admission is accepted otherwise.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.gauges.is_healthy()
    }
}

impl Inbox for SqliteStore {
    fn admit(&self, admission: Admission) -> StoreFuture<Vec<Stored>> {
        self.queue.write(admission)
    }

    fn find_conversation(&self, account: Account, handle: String) -> StoreFuture<Option<ConversationId>> {
        self.readers.read(move |conn| reads::inbox::find_conversation(conn, &account, &handle))
    }

    fn overdue(
        &self,
        until: Tick,
        after: Option<(Tick, ConversationId)>,
        limit: usize,
    ) -> StoreFuture<Vec<Overdue>> {
        let page = self.readers.read(move |conn| reads::inbox::overdue(conn, until, after, limit));
        let queue = Arc::clone(&self.queue);
        Box::pin(async move {
            let page = page.await?;
            for (conversation, reason) in page.unreadable {
                queue.write(SetAside { conversation, reason }).await?;
            }
            Ok(page.rows)
        })
    }
}

impl Turns for SqliteStore {
    fn load_conversation(
        &self,
        conversation: ConversationId,
        limit: usize,
    ) -> StoreFuture<Option<ConversationState>> {
        let load = self.readers.read(move |conn| {
            reads::snapshot(conn, |conn| match reads::turns::set_aside(conn, conversation)? {
                Some(reason) => Ok(Err(StoreError::Corrupt(reason))),
                None => reads::turns::load_conversation(conn, conversation, limit).map(Ok),
            })
        });
        let load = self.or_set_aside(conversation, load);
        Box::pin(async move { load.await? })
    }

    fn history(
        &self,
        conversation: ConversationId,
        before: TurnId,
        limit: usize,
    ) -> StoreFuture<Vec<HistoryItem>> {
        self.readers.read(move |conn| {
            reads::snapshot(conn, |conn| reads::turns::history(conn, conversation, before, limit))
        })
    }

    fn start_turn(&self, start: StartTurn) -> StoreFuture<StartOutcome> {
        self.queue.write(start)
    }

    fn commit_turn(&self, commit: Box<CommitTurn>) -> StoreFuture<CommitOutcome> {
        self.queue.write(commit)
    }

    fn release_turn(&self, release: ReleaseTurn) -> StoreFuture<bool> {
        self.queue.write(release)
    }
}

impl Outbox for SqliteStore {
    fn mark_parts(&self, marks: Vec<Mark>) -> StoreFuture<Vec<bool>> {
        self.queue.write(Marks(marks))
    }

    fn load_lane(
        &self,
        conversation: ConversationId,
        now: Tick,
        limit: usize,
    ) -> StoreFuture<Vec<OutboxPart>> {
        let load = self.readers.read(move |conn| reads::outbox::load_lane(conn, conversation, now, limit));
        self.or_set_aside(conversation, load)
    }

    fn due_lanes(
        &self,
        until: Tick,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationId>> {
        self.readers.read(move |conn| reads::outbox::due_lanes(conn, until, after, limit))
    }

    fn sending_lanes(&self, limit: usize) -> StoreFuture<Vec<ConversationId>> {
        self.readers.read(move |conn| reads::outbox::sending_lanes(conn, limit))
    }
}

impl Views for SqliteStore {
    fn conversation(&self, id: ConversationId) -> StoreFuture<Option<ConversationView>> {
        self.readers.read(move |conn| reads::views::conversation(conn, id))
    }

    fn messages(&self, id: ConversationId, limit: usize) -> StoreFuture<Vec<MessageView>> {
        self.readers.read(move |conn| reads::snapshot(conn, |conn| reads::views::messages(conn, id, limit)))
    }

    fn replies_after(&self, id: ConversationId, position: i64, limit: usize) -> StoreFuture<Vec<ReplyView>> {
        self.readers.read(move |conn| reads::views::replies_after(conn, id, position, limit))
    }

    fn turns(&self, id: ConversationId, limit: usize) -> StoreFuture<Vec<TurnView>> {
        self.readers.read(move |conn| reads::views::turns(conn, id, limit))
    }

    fn count_books(&self) -> StoreFuture<Books> {
        self.readers.read(|conn| reads::snapshot(conn, ledger::count))
    }

    fn dead_letters(&self, after: i64, limit: usize) -> StoreFuture<Vec<DeadLetter>> {
        self.readers.read(move |conn| reads::views::dead_letters(conn, after, limit))
    }

    fn replay(&self, ids: Vec<i64>) -> StoreFuture<usize> {
        self.queue.write(Replay(ids))
    }

    fn needing_human(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationView>> {
        self.readers.read(move |conn| reads::views::needing_human(conn, after, limit))
    }

    fn find_conversations(
        &self,
        text: String,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationView>> {
        self.readers.read(move |conn| {
            reads::snapshot(conn, |conn| reads::search::find_conversations(conn, &text, after, limit))
        })
    }

    fn records(&self, after: i64, limit: usize) -> StoreFuture<Vec<RecordView>> {
        self.readers.read(move |conn| reads::views::records(conn, after, limit))
    }

    fn quarantined(&self, before: Option<i64>, limit: usize) -> StoreFuture<Vec<QuarantineView>> {
        self.readers.read(move |conn| reads::views::quarantined(conn, before, limit))
    }
}

impl Journeys for SqliteStore {
    fn journeys(&self, filter: JourneyFilter, before: Option<i64>, limit: usize) -> StoreFuture<JourneyPage> {
        self.readers.read(move |conn| {
            reads::snapshot(conn, |conn| reads::journeys::journeys(conn, &filter, before, limit))
        })
    }

    fn unanswered(&self, turns: usize) -> StoreFuture<Vec<UnansweredTurn>> {
        self.readers
            .read(move |conn| reads::snapshot(conn, |conn| reads::unanswered::unanswered(conn, turns)))
    }

    fn journey(&self, position: i64) -> StoreFuture<Option<JourneyView>> {
        self.readers.read(move |conn| reads::snapshot(conn, |conn| reads::journeys::journey(conn, position)))
    }
}

impl Store for SqliteStore {
    fn probe(&self) -> StoreFuture<()> {
        if self.is_paused() {
            return Box::pin(std::future::ready(Err(paused())));
        }
        self.queue.write(Probe)
    }

    fn retry_after(&self) -> Duration {
        self.retry_after
    }
}
