//! A store in memory: conversations by handle, messages by their dedupe key, replies as they are put in.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::TryFutureExt;
use tertulia_actors::domain::{
    Account, Books, Class, ConversationId, Entry, HistoryItem, InboundMessage, Language, OutboxPart, PartId,
    PartState, Speaker, Tick, Timestamp, TurnId, Version,
};
use tertulia_actors::ports::store::{
    Admission, AuditView, CommitOutcome, CommitTurn, ConversationState, ConversationView, DeadLetter, Inbox,
    Mark, MessageView, Outbox, Overdue, QuarantineView, RecordView, ReleaseTurn, ReplyView, SignedOut,
    StartOutcome, StartTurn, Store, StoreError, StoreFuture, Stored, TurnView, Turns, Views,
};
use tertulia_actors::ports::{
    ClassExample, ClassExamples, Corrected, ExampleOrigin, ExampleRow, KeptExample, KnowledgeBase,
    KnowledgeFuture, KnowledgeStatus, ModelVectors,
};
use tokio::sync::Notify;
use uuid::Uuid;

#[derive(Default)]
pub(super) struct FakeStore {
    state: Mutex<State>,
    /// Told at every admission.
    news: Notify,
}

#[derive(Default)]
pub(super) struct State {
    /// Everything that was admitted, duplicates included.
    pub(super) admissions: Vec<Admission>,
    pub(super) messages: Vec<(ConversationId, InboundMessage)>,
    conversations: HashMap<(Account, String), ConversationId>,
    pub(super) replies: HashMap<ConversationId, Vec<ReplyView>>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) replayed: Vec<i64>,
    pub(super) entries: Vec<Entry>,
    pub(super) versions: Vec<Version>,
    pub(super) status: KnowledgeStatus,
    pub(super) examples: Vec<ExampleRow>,
    /// Turns that operators corrected.
    pub(super) corrected: Vec<(TurnId, Class)>,
    pub(super) records: Vec<RecordView>,
    /// Conversations that need a person.
    pub(super) flagged: Vec<ConversationId>,
    /// The audit log, the oldest first.
    pub(super) audit: Vec<AuditView>,
    /// Sessions that were signed out of.
    pub(super) signed_out: Vec<SignedOut>,
    /// Who has taken a conversation over, and what operators wrote.
    pub(super) taken_by: Option<String>,
    pub(super) written: Vec<(String, String)>,
    /// What the audit log answers from now on.
    pub(super) audit_failure: Option<StoreError>,
    /// What every call answers from now on.
    pub(super) failure: Option<StoreError>,
    /// Whether a probe never ends.
    pub(super) hangs: bool,
}

pub(super) fn answer<T: Send + 'static>(result: Result<T, StoreError>) -> StoreFuture<T> {
    Box::pin(ready(result))
}

fn unused<T: Send + 'static>() -> StoreFuture<T> {
    answer(Err(StoreError::Refused("not part of this store".into())))
}

impl FakeStore {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut State) -> T) -> StoreFuture<T> {
        let mut state = self.state();
        answer(match state.failure.clone() {
            Some(failure) => Err(failure),
            None => Ok(act(&mut state)),
        })
    }

    /// Waits until the store holds what `enough` asks for.
    pub(super) async fn wait_until(&self, enough: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if enough(&self.state()) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    }

    pub(super) fn reply(&self, conversation: ConversationId, position: i64, text: &str) {
        let reply = ReplyView {
            id: PartId::new(Uuid::from_u128(position.unsigned_abs().into())),
            position,
            turn: TurnId::new(Uuid::nil()),
            text: text.to_owned(),
            state: PartState::Sent,
            at: Timestamp(0),
        };
        self.state().replies.entry(conversation).or_default().push(reply);
    }
}

impl State {
    fn store(&mut self, message: InboundMessage) -> Stored {
        let known = self.messages.iter().find(|(_, stored)| {
            stored.account == message.account && stored.provider_id == message.provider_id
        });
        if let Some((conversation, _)) = known {
            return Stored { conversation: *conversation, duplicate: true };
        }
        let sender = &message.sender;
        let name = sender.handle.clone().or(sender.user_id.clone()).or(sender.phone.clone()).unwrap();
        let next = Uuid::from_u128(1_000 + self.conversations.len() as u128);
        let key = (message.account.clone(), name);
        let conversation = *self.conversations.entry(key).or_insert(ConversationId::new(next));
        self.messages.push((conversation, message));
        Stored { conversation, duplicate: false }
    }

    fn view(&self, id: ConversationId) -> Option<ConversationView> {
        let account =
            self.conversations.iter().find(|(_, known)| **known == id).map(|((account, _), _)| account)?;
        Some(ConversationView {
            id,
            channel: account.channel,
            account: account.name.clone(),
            created_at: Timestamp(0),
            messages: self.messages.iter().filter(|(of, _)| *of == id).count() as u64,
            pending: 0,
            needs_human: self.flagged.contains(&id),
            language: None,
            merged_into: None,
            taken_by: None,
            taken_until: None,
        })
    }
}

impl Inbox for FakeStore {
    fn admit(&self, admission: Admission) -> StoreFuture<Vec<Stored>> {
        let stored = self.with(|state| {
            state.admissions.push(admission.clone());
            admission.messages.into_iter().map(|message| state.store(message)).collect()
        });
        self.news.notify_waiters();
        stored
    }

    fn find_conversation(&self, account: Account, handle: String) -> StoreFuture<Option<ConversationId>> {
        self.with(|state| state.conversations.get(&(account, handle)).copied())
    }

    fn overdue(&self, _: Tick, _: Option<(Tick, ConversationId)>, _: usize) -> StoreFuture<Vec<Overdue>> {
        unused()
    }
}

impl Turns for FakeStore {
    fn load_conversation(&self, _: ConversationId, _: usize) -> StoreFuture<Option<ConversationState>> {
        unused()
    }

    fn history(&self, _: ConversationId, _: TurnId, _: usize) -> StoreFuture<Vec<HistoryItem>> {
        unused()
    }

    fn start_turn(&self, _: StartTurn) -> StoreFuture<StartOutcome> {
        unused()
    }

    fn commit_turn(&self, _: Box<CommitTurn>) -> StoreFuture<CommitOutcome> {
        unused()
    }

    fn release_turn(&self, _: ReleaseTurn) -> StoreFuture<bool> {
        unused()
    }
}

impl Outbox for FakeStore {
    fn mark_parts(&self, _: Vec<Mark>) -> StoreFuture<Vec<bool>> {
        unused()
    }

    fn load_lane(&self, _: ConversationId, _: Tick, _: usize) -> StoreFuture<Vec<OutboxPart>> {
        unused()
    }

    fn due_lanes(&self, _: Tick, _: Option<ConversationId>, _: usize) -> StoreFuture<Vec<ConversationId>> {
        unused()
    }

    fn sending_lanes(&self, _: usize) -> StoreFuture<Vec<ConversationId>> {
        unused()
    }
}

impl Views for FakeStore {
    fn conversation(&self, id: ConversationId) -> StoreFuture<Option<ConversationView>> {
        self.with(|state| state.view(id))
    }

    fn messages(&self, id: ConversationId, limit: usize) -> StoreFuture<Vec<MessageView>> {
        self.with(|state| {
            let of = state.messages.iter().filter(|(of, _)| *of == id).take(limit);
            of.map(|(_, message)| MessageView {
                speaker: Speaker::Customer,
                id: message.provider_id.clone(),
                kind: message.kind.clone(),
                text: message.text.clone(),
                content: None,
                at: message.receipt.at,
                state: "pending".into(),
                turn: None,
                position: None,
                author: None,
            })
            .collect()
        })
    }

    fn replies_after(&self, id: ConversationId, position: i64, limit: usize) -> StoreFuture<Vec<ReplyView>> {
        self.with(|state| {
            let replies = state.replies.get(&id).into_iter().flatten();
            replies.filter(|reply| reply.position > position).take(limit).cloned().collect()
        })
    }

    fn turns(&self, _: ConversationId, _: usize) -> StoreFuture<Vec<TurnView>> {
        self.with(|_| Vec::new())
    }

    fn count_books(&self) -> StoreFuture<Books> {
        unused()
    }

    fn dead_letters(&self, after: i64, limit: usize) -> StoreFuture<Vec<DeadLetter>> {
        self.with(|state| {
            state.dead_letters.iter().filter(|letter| letter.id > after).take(limit).cloned().collect()
        })
    }

    fn replay(&self, ids: Vec<i64>) -> StoreFuture<usize> {
        let known = ids.iter().all(|id| self.state().dead_letters.iter().any(|letter| letter.id == *id));
        if !known {
            return answer(Err(StoreError::Refused("message 9 is not dead-lettered".into())));
        }
        self.with(|state| {
            state.replayed.extend(&ids);
            ids.len()
        })
    }

    fn needing_human(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreFuture<Vec<ConversationView>> {
        self.with(|state| {
            let behind = state.flagged.iter().filter(|id| after.is_none_or(|after| **id > after));
            behind.take(limit).filter_map(|id| state.view(*id)).collect()
        })
    }

    fn find_conversations(
        &self,
        _: String,
        _: Option<ConversationId>,
        _: usize,
    ) -> StoreFuture<Vec<ConversationView>> {
        unused()
    }

    fn records(&self, after: i64, limit: usize) -> StoreFuture<Vec<RecordView>> {
        self.with(|state| {
            state.records.iter().filter(|record| record.id > after).take(limit).cloned().collect()
        })
    }

    fn quarantined(&self, _: Option<i64>, _: usize) -> StoreFuture<Vec<QuarantineView>> {
        self.with(|_| Vec::new())
    }
}

impl KnowledgeBase for FakeStore {
    fn list(&self, after: Option<(String, Language)>, limit: usize) -> KnowledgeFuture<Vec<Entry>> {
        let done = self.with(|state| {
            let follows = |entry: &&Entry| after.as_ref().is_none_or(|(id, _)| entry.id > *id);
            state.entries.iter().filter(follows).take(limit).cloned().collect()
        });
        Box::pin(done.err_into())
    }

    fn put(&self, entries: Vec<Entry>) -> KnowledgeFuture<usize> {
        let done = self.with(|state| {
            state.entries.extend(entries.iter().cloned());
            entries.len()
        });
        Box::pin(done.err_into())
    }

    fn remove(&self, id: String, language: Option<Language>) -> KnowledgeFuture<usize> {
        let done = self.with(|state| {
            let before = state.entries.len();
            let is_other = |entry: &Entry| language.is_some_and(|language| language != entry.language);
            state.entries.retain(|entry| entry.id != id || is_other(entry));
            before - state.entries.len()
        });
        Box::pin(done.err_into())
    }

    fn get(&self, id: String, language: Option<Language>) -> KnowledgeFuture<Vec<Entry>> {
        let done = self.with(|state| {
            let is_asked =
                |entry: &&Entry| entry.id == id && language.is_none_or(|language| language == entry.language);
            state.entries.iter().filter(is_asked).cloned().collect()
        });
        Box::pin(done.err_into())
    }

    fn history(&self, id: String, _: Option<Language>) -> KnowledgeFuture<Vec<Version>> {
        let done = self
            .with(|state| state.versions.iter().filter(|version| version.entry.id == id).cloned().collect());
        Box::pin(done.err_into())
    }

    fn restore(&self, version: i64) -> KnowledgeFuture<Option<Entry>> {
        let done = self.with(|state| {
            state.versions.iter().find(|kept| kept.version == version).map(|kept| kept.entry.clone())
        });
        Box::pin(done.err_into())
    }

    fn status(&self) -> KnowledgeFuture<KnowledgeStatus> {
        let done =
            self.with(|state| KnowledgeStatus { entries: state.entries.len(), ..state.status.clone() });
        Box::pin(done.err_into())
    }

    fn put_vectors(&self, made: ModelVectors) -> KnowledgeFuture<usize> {
        Box::pin(self.with(|_| made.embedded.len()).err_into())
    }

    fn remove_vectors(&self, but: Option<String>, limit: usize) -> KnowledgeFuture<usize> {
        let done = self.with(|state| {
            let mut left = limit;
            for model in state.status.models.iter_mut().filter(|model| Some(&model.model) != but.as_ref()) {
                let some = left.min(model.embedded);
                model.embedded -= some;
                left -= some;
            }
            limit - left
        });
        Box::pin(done.err_into())
    }
}

impl ClassExamples for FakeStore {
    fn list(&self, after: i64, limit: usize) -> StoreFuture<Vec<ExampleRow>> {
        self.with(|state| state.examples.iter().filter(|one| one.id() > after).take(limit).cloned().collect())
    }

    fn put(&self, examples: Vec<ClassExample>) -> StoreFuture<usize> {
        self.with(|state| {
            for example in &examples {
                let id = state.examples.last().map_or(1, |last| last.id() + 1);
                let (origin, at) = (ExampleOrigin::Import, Timestamp(0));
                let kept = KeptExample { id, example: example.clone(), origin, at };
                state.examples.push(ExampleRow::Kept(kept));
            }
            examples.len()
        })
    }

    fn remove(&self, ids: Vec<i64>) -> StoreFuture<usize> {
        self.with(|state| {
            let before = state.examples.len();
            state.examples.retain(|one| !ids.contains(&one.id()));
            before - state.examples.len()
        })
    }

    fn correct(&self, _: ConversationId, turn: TurnId, class: Class) -> StoreFuture<Option<Corrected>> {
        self.with(|state| {
            state.corrected.push((turn, class));
            (!turn.uuid().is_nil()).then(|| Corrected { example: 1, was: Some("inquiry".into()) })
        })
    }
}

impl Store for FakeStore {
    fn probe(&self) -> StoreFuture<()> {
        if self.state().hangs { Box::pin(std::future::pending()) } else { self.with(|_| ()) }
    }

    fn retry_after(&self) -> Duration {
        Duration::from_millis(1_500)
    }
}
