//! A store in a directory of its own, and short ways to use it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender as Channel_, channel};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;
use tertulia_actors::ports::{Admitted, Clock, Entropy, Tells};
use uuid::Uuid;

use super::super::*;

pub(super) const QUIET: Duration = Duration::from_millis(3_000);
pub(super) const HOLD: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(20);

/// What the writer told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Admitted(Admitted),
    Changed(ConversationId),
}

struct Recorder(Channel_<Told>);

impl Tells for Recorder {
    fn admitted(&self, admitted: Admitted) {
        let _ = self.0.send(Told::Admitted(admitted));
    }

    fn changed(&self, conversation: ConversationId) {
        let _ = self.0.send(Told::Changed(conversation));
    }
}

/// Both timelines; moves only when told.
pub(super) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(super) fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn tick(&self) -> Tick {
        Tick(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(
            0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.0.fetch_add(1, Ordering::SeqCst)),
        )
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

pub(super) struct Bench {
    pub(super) dir: TempDir,
    pub(super) settings: StoreSettings,
    pub(super) clock: Arc<FakeClock>,
    ids: Arc<Counter>,
    pub(super) takeover: Takeover,
    running: Option<RunningStore>,
    told: Receiver<Told>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut StoreSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = StoreSettings { path: dir.path().join("data/t.db"), ..StoreSettings::default() };
        change(&mut settings);
        let clock = Arc::new(FakeClock(AtomicI64::new(1_000_000)));
        let ids = Arc::new(Counter::default());
        let (running, told, takeover) = start(&settings, &clock, &ids);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { dir, settings, clock, ids, takeover, running: Some(running), told, runtime }
    }

    pub(super) fn store(&self) -> Arc<SqliteStore> {
        self.running.as_ref().unwrap().handle()
    }

    /// Waits for a future, but not for ever.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("an answer in time") })
    }

    pub(super) fn shutdown(&mut self) {
        self.running.take().unwrap().shutdown();
    }

    pub(super) fn restart(&mut self) {
        self.shutdown();
        (self.running, self.told, self.takeover) = {
            let (running, told, takeover) = start(&self.settings, &self.clock, &self.ids);
            (Some(running), told, takeover)
        };
    }

    pub(super) fn next_told(&self) -> Told {
        self.told.recv_timeout(DEADLINE).expect("a tell")
    }

    /// Everything told until now: a write that is answered later was told of later.
    pub(super) fn all_told(&self) -> Vec<Told> {
        // The second probe is written after the first one's group was told of.
        self.wait(self.store().probe()).unwrap();
        self.wait(self.store().probe()).unwrap();
        self.told.try_iter().collect()
    }

    pub(super) fn sql(&self) -> Connection {
        let conn = Connection::open(&self.settings.path).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        conn
    }

    pub(super) fn number(&self, sql: &str) -> i64 {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(super) fn text(&self, sql: &str) -> Option<String> {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(super) fn uuid(&self) -> Uuid {
        self.ids.uuid()
    }

    pub(super) fn admit(&self, messages: Vec<InboundMessage>) -> Vec<Stored> {
        self.wait(self.store().admit(Admission { messages, ..Admission::default() })).unwrap()
    }

    /// One message of one person; its conversation.
    pub(super) fn say(&self, id: &str, phone: &str) -> ConversationId {
        self.admit(vec![message(id, phone)])[0].conversation
    }

    /// The file of the write-ahead log.
    pub(super) fn log(&self) -> PathBuf {
        self.settings.path.with_extension("db-wal")
    }

    pub(super) fn status(&self, update: StatusUpdate) {
        self.wait(self.store().admit(Admission { statuses: vec![update], ..Admission::default() })).unwrap();
    }

    pub(super) fn load(&self, conversation: ConversationId) -> ConversationState {
        self.wait(self.store().load_conversation(conversation, 20)).unwrap().unwrap()
    }

    pub(super) fn start_of(&self, conversation: ConversationId, seqs: &[u64]) -> StartTurn {
        StartTurn {
            conversation,
            epoch: self.takeover.epoch,
            turn: TurnId::new(self.uuid()),
            attempt: 1,
            seqs: seqs.to_vec(),
            known_seq: seqs.iter().max().copied().unwrap_or(0),
            closes_at: None,
            at: self.clock.now(),
        }
    }

    pub(super) fn start(&self, start: StartTurn) -> StartOutcome {
        self.wait(self.store().start_turn(start)).unwrap()
    }

    /// A started turn of these messages.
    pub(super) fn turn(&self, conversation: ConversationId, seqs: &[u64]) -> StartTurn {
        let start = self.start_of(conversation, seqs);
        assert_eq!(self.start(start.clone()), StartOutcome::Started);
        start
    }

    pub(super) fn commit_of(&self, start: &StartTurn, parts: &[&str]) -> CommitTurn {
        let part = |text: &&str| ReplyPart { id: PartId::new(self.uuid()), text: (*text).into() };
        CommitTurn {
            conversation: start.conversation,
            epoch: start.epoch,
            turn: start.turn,
            attempt: start.attempt,
            disposition: Disposition::Answered,
            parts: parts.iter().map(part).collect(),
            first_is_sending: false,
            needs_human: false,
            records: Vec::new(),
            class: Some(Class::Inquiry),
            language: Some(Language::ARABIC),
            journey: Journey::default(),
            at: self.clock.now(),
            tick: self.clock.tick(),
        }
    }

    pub(super) fn commit(&self, commit: CommitTurn) -> CommitOutcome {
        self.wait(self.store().commit_turn(Box::new(commit))).unwrap()
    }

    /// Answers messages with these parts, and gives the parts as stored.
    pub(super) fn answer(
        &self,
        conversation: ConversationId,
        seqs: &[u64],
        parts: &[&str],
    ) -> Vec<OutboxPart> {
        let start = self.turn(conversation, seqs);
        match self.commit(self.commit_of(&start, parts)) {
            CommitOutcome::Committed { parts, .. } => parts,
            CommitOutcome::Fenced => panic!("fenced"),
        }
    }

    pub(super) fn mark(&self, mark: Mark) -> bool {
        self.wait(self.store().mark_parts(vec![mark])).unwrap()[0]
    }

    pub(super) fn sending(&self, part: &OutboxPart, attempt: u32) -> bool {
        self.mark(Mark::Sending { part: part.id, attempt, recipient: part.recipient.clone() })
    }

    pub(super) fn sent(&self, part: &OutboxPart, provider_id: &str) -> bool {
        let at = self.clock.now();
        self.mark(Mark::Sent { part: part.id, attempt: 1, provider_id: provider_id.into(), began: at, at })
    }

    pub(super) fn part_state(&self, part: &OutboxPart) -> String {
        self.text(&format!("SELECT state FROM outbox WHERE id = '{}'", part.id)).unwrap()
    }

    pub(super) fn lane(&self, conversation: ConversationId) -> Vec<OutboxPart> {
        self.wait(self.store().load_lane(conversation, self.clock.tick(), 16)).unwrap()
    }

    /// The books, which must balance and be the same stored and counted.
    pub(super) fn books(&self) -> Books {
        let counted = self.wait(self.store().count_books()).unwrap();
        assert!(counted.balance(), "{counted:?}");
        let stored = ledger::load(&self.sql()).unwrap().books;
        assert_eq!(stored, counted, "stored and counted");
        counted
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown();
        }
    }
}

fn start(
    settings: &StoreSettings,
    clock: &Arc<FakeClock>,
    ids: &Arc<Counter>,
) -> (RunningStore, Receiver<Told>, Takeover) {
    let mut prepared = SqliteStore::open(settings).unwrap();
    let takeover = prepared.take_over(clock.tick(), HOLD).unwrap();
    let deps = StoreDeps { clock: clock.clone(), entropy: ids.clone(), quiet: QUIET };
    let (tell, told) = channel();
    (prepared.start(deps, Box::new(Recorder(tell))).unwrap(), told, takeover)
}

pub(super) fn account() -> Account {
    Account::new(Channel::Whatsapp, "106540352242922")
}

static RECEIPTS: AtomicI64 = AtomicI64::new(1);

pub(super) fn message(id: &str, phone: &str) -> InboundMessage {
    InboundMessage {
        account: account(),
        provider_id: id.into(),
        sender: Sender { phone: Some(phone.into()), ..Sender::default() },
        kind: "text".into(),
        text: Some(format!("text of {id}")),
        content: None,
        provider_at: None,
        suppressed: None,
        receipt: Receipt {
            at: Timestamp(1_000_000),
            tick: Tick(1_000_000),
            seq: RECEIPTS.fetch_add(1, Ordering::SeqCst),
        },
    }
}

pub(super) fn web_message(id: &str, handle: &str) -> InboundMessage {
    InboundMessage {
        account: Account::new(Channel::Web, "site"),
        sender: Sender { handle: Some(handle.into()), ..Sender::default() },
        ..message(id, "")
    }
}

pub(super) fn status_of(part: Option<PartId>, provider_id: &str, status: DeliveryStatus) -> StatusUpdate {
    StatusUpdate {
        account: account(),
        provider_id: provider_id.into(),
        part,
        status,
        at: Some(Timestamp(1_000_500)),
        error: (status == DeliveryStatus::Failed).then(|| "131026".into()),
    }
}
