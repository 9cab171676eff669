//! What the store in memory does for the console.

use std::time::Duration;

use tertulia_actors::domain::{Channel, ConversationId, Timestamp};
use tertulia_actors::ports::store::{
    AmbiguousPart, Audit, AuditEntry, AuditView, Handoff, JourneyFilter, JourneyPage, JourneyView, Journeys,
    Leftovers, OperatorReply, ReplyView, SignedOut, StoreFuture, UnansweredTurn,
};

use super::fake_store::{FakeStore, answer};

impl Audit for FakeStore {
    fn begin_audit(&self, entry: AuditEntry) -> StoreFuture<i64> {
        if let Some(failure) = self.state().audit_failure.clone() {
            return answer(Err(failure));
        }
        self.with(|state| {
            let id = i64::try_from(state.audit.len()).unwrap() + 1;
            let AuditEntry { who, role, action, target, reason } = entry;
            let at = Timestamp(1_700_000_000_000);
            state.audit.push(AuditView { id, at, who, role, action, target, reason, outcome: None });
            id
        })
    }

    fn end_audit(&self, id: i64, outcome: String) -> StoreFuture<()> {
        self.with(|state| {
            let entry = state.audit.iter_mut().find(|entry| entry.id == id).unwrap();
            entry.outcome = Some(outcome);
        })
    }

    fn audit_entries(&self, before: Option<i64>, limit: usize) -> StoreFuture<Vec<AuditView>> {
        self.with(|state| {
            let before = before.unwrap_or(i64::MAX);
            state.audit.iter().rev().filter(|entry| entry.id < before).take(limit).cloned().collect()
        })
    }

    fn sign_out(&self, ended: SignedOut) -> StoreFuture<()> {
        if let Some(failure) = self.state().audit_failure.clone() {
            return answer(Err(failure));
        }
        self.with(|state| state.signed_out.push(ended))
    }

    fn signed_out(&self) -> StoreFuture<Vec<SignedOut>> {
        self.with(|state| state.signed_out.clone())
    }
}

impl Journeys for FakeStore {
    fn journeys(&self, _: JourneyFilter, _: Option<i64>, _: usize) -> StoreFuture<JourneyPage> {
        self.with(|_| JourneyPage { journeys: vec![], next: None })
    }

    fn unanswered(&self, _: usize) -> StoreFuture<Vec<UnansweredTurn>> {
        self.with(|_| vec![])
    }

    fn journey(&self, _: i64) -> StoreFuture<Option<JourneyView>> {
        self.with(|_| None)
    }
}

impl Leftovers for FakeStore {
    fn discard_dead_letters(&self, ids: Vec<i64>, _: String) -> StoreFuture<usize> {
        self.with(|state| {
            let before = state.dead_letters.len();
            state.dead_letters.retain(|letter| !ids.contains(&letter.id));
            before - state.dead_letters.len()
        })
    }

    fn discard_quarantined(&self, ids: Vec<i64>) -> StoreFuture<usize> {
        self.with(|_| ids.len())
    }

    fn quarantined_body(&self, _: i64) -> StoreFuture<Option<(Channel, Vec<u8>)>> {
        self.with(|_| None)
    }

    fn ambiguous(&self, _: i64, _: usize) -> StoreFuture<Vec<AmbiguousPart>> {
        self.with(|_| vec![])
    }

    fn resend(&self, positions: Vec<i64>) -> StoreFuture<usize> {
        self.with(|_| positions.len())
    }

    fn discard_ambiguous(&self, positions: Vec<i64>, _: String) -> StoreFuture<usize> {
        self.with(|_| positions.len())
    }
}

impl Handoff for FakeStore {
    fn take_over(&self, _: ConversationId, who: String, _: Option<String>, _: Duration) -> StoreFuture<()> {
        self.with(|state| state.taken_by = Some(who))
    }

    fn hand_back(&self, _: ConversationId, _: String, _: Option<String>) -> StoreFuture<()> {
        self.with(|state| state.taken_by = None)
    }

    fn reply(&self, reply: OperatorReply) -> StoreFuture<Vec<ReplyView>> {
        self.with(|state| {
            state.written.extend(reply.parts.into_iter().map(|part| (reply.who.clone(), part.text)));
            vec![]
        })
    }
}
