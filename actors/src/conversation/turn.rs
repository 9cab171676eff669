//! One run of a turn: start mark, pipeline, commit. Runs as a task beside its conversation's actor.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;
use tracing::Instrument;

use super::trace;
use crate::domain::{
    Account, ConversationId, Language, OpenTurn, OutboxPart, Retry, Tick, Timestamp, TurnId,
};
use crate::failpoint;
use crate::outbox::dispatcher::{Enqueue, Reserve, SendPermit};
use crate::pipeline::run::is_out_of_patience;
use crate::pipeline::{Plan, TurnError, TurnInput, TurnResult};
use crate::ports::store::{
    CommitOutcome, CommitTurn, ConversationState, ReleaseTurn, ReplyView, StartOutcome, StartTurn,
};
use crate::ports::{StoreError, Trace};
use crate::shard::Shard;
use crate::supervision::events::EventKind;
use crate::supervision::policy::Reason;

/// Everything one run needs to know.
#[derive(Clone)]
pub struct TurnJob {
    /// Whose.
    pub conversation: ConversationId,
    /// The account that answers.
    pub account: Account,
    /// The turn, with its messages in order.
    pub turn: OpenTurn,
    /// The last message the actor knows of.
    pub known_seq: u64,
    /// When the batch closed, for its first start.
    pub closed_at: Option<Tick>,
    /// The language of the conversation so far.
    pub language: Option<Language>,
}

impl TurnJob {
    /// When the answer is due: when the batch closed, and where that is not known, as it was full or runs again, when its last
    /// message came.
    #[must_use]
    pub fn due_at(&self) -> Option<Tick> {
        let came_last = || self.turn.messages.iter().map(|message| message.receipt.tick).max();
        self.closed_at.or_else(came_last)
    }
}

/// How a run ends.
pub enum TurnEnd {
    /// The turn is committed.
    Committed {
        /// When.
        at: Tick,
        /// The person's language.
        language: Language,
        /// The number of the conversation's last message.
        last_seq: u64,
        /// What readers of the conversation see.
        replies: Vec<ReplyView>,
    },
    /// The store knows more than the actor, or may: load and decide again, after this wait.
    Reload(Duration),
    /// The turn waits and runs again.
    Waits(OpenTurn),
}

/// Why a started turn did not commit.
enum Stopped {
    /// The turn itself failed.
    Failed(String),
    /// A service is away or overloaded.
    Unavailable(String),
    /// The server drains and has no time left.
    Drained,
}

impl Stopped {
    /// The same in a word.
    const fn outcome(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Unavailable(_) => "unavailable",
            Self::Drained => "drained",
        }
    }
}

/// Runs a turn once, in a span of its own: what is logged on the way carries the ids.
pub async fn run(shard: Rc<Shard>, job: TurnJob) -> TurnEnd {
    let (turn, attempt) = (job.turn.id, job.turn.attempt + 1);
    let span = tracing::info_span!("turn", conversation.id = %job.conversation, turn.id = %turn, attempt);
    let began = shard.clock.now();
    Run { shard: &shard, job, began, prepared: began }.run().instrument(span).await
}

/// Takes what a conversation panics over out of its way, from what the store says alone: the open turn, where that was before
/// it (several messages are dissolved, a single one is dead-lettered), else the first message that waits, which is
/// dead-lettered.
pub async fn give_up(shard: Rc<Shard>, conversation: ConversationId, is_at_turn: bool) -> TurnEnd {
    let messages = usize::from(!is_at_turn);
    let state = match shard.store.load_conversation(conversation, messages).await {
        Ok(Some(state)) => state,
        Ok(None) => return TurnEnd::Reload(shard.turns.limits().retry_max),
        Err(_away) => return TurnEnd::Reload(shard.store.retry_after()),
    };
    let id = TurnId::new(shard.entropy.uuid());
    let ConversationState { account, last_seq, language, open_turn, pending, .. } = state;
    let mut job = TurnJob::first(conversation, account, id, pending.into_iter().take(1).collect());
    match open_turn {
        Some(turn) if is_at_turn => job.turn = turn,
        // A turn was begun meanwhile: it goes first.
        Some(_) => return TurnEnd::Reload(Duration::ZERO),
        None => {}
    }
    if job.turn.messages.is_empty() {
        return TurnEnd::Reload(Duration::ZERO);
    }
    job.turn.failures = job.turn.failures.max(shard.turns.max_attempts);
    (job.known_seq, job.language) = (last_seq, language);
    run(shard, job).await
}

struct Run<'a> {
    shard: &'a Shard,
    job: TurnJob,
    began: Timestamp,
    /// When the first half of the pipeline began.
    prepared: Timestamp,
}

impl Run<'_> {
    /// Runs the turn; a panic outside of the pipeline counts like any other, so that a turn that always panics ends.
    async fn run(mut self) -> TurnEnd {
        let panicked = match AssertUnwindSafe(self.once()).catch_unwind().await {
            Ok(end) => return end,
            Err(panic) => Stopped::Failed(Reason::of_panic(&*panic).to_string()),
        };
        let input = self.input();
        match AssertUnwindSafe(self.stop(&input, panicked)).catch_unwind().await {
            Ok(end) => end,
            Err(panic) => {
                let wait = self.shard.turns.limits().retry_max;
                self.release(true, &Reason::of_panic(&*panic).to_string(), wait, false).await
            }
        }
    }

    async fn once(&mut self) -> TurnEnd {
        let input = self.input();
        let next = self.shard.turns.limits().next(&self.job.turn);
        let start = self.shard.store.start_turn(self.start());
        let overlaps = matches!(next, Retry::Again(_)) && !self.may_end_the_process();
        let (started, plan) = if overlaps {
            let (started, plan) = futures_util::join!(start, self.prepare(&input));
            (started, Some(plan))
        } else {
            (start.await, None)
        };
        match started {
            Ok(StartOutcome::Started) => self.job.turn.attempt += 1,
            Ok(StartOutcome::Quiet) => {
                self.job.turn.attempt += 1;
                let quiet = self.shard.pipeline.quiet(&input);
                return self.end(&input, quiet).await;
            }
            Ok(StartOutcome::Newer) => return TurnEnd::Reload(Duration::ZERO),
            Ok(StartOutcome::Fenced) => return self.fenced(),
            Err(error) => return self.store_away(&error),
        }
        failpoint!("turn.started");
        match next {
            Retry::Again(_) => match self.answer(&input, plan).await {
                Ok(result) => self.end(&input, result).await,
                Err(stopped) => self.stop(&input, stopped).await,
            },
            Retry::Split => self.release(false, "exhausted", Duration::ZERO, true).await,
            Retry::DeadLetter => {
                let OpenTurn { failures, interruptions, .. } = self.job.turn;
                let reason = format!(
                    "it, or its conversation over it, failed {failures} times, and the process died {interruptions} times in it"
                );
                self.dead_letter(&input, reason).await
            }
        }
    }

    /// Whether the turn may be what ended an earlier process: it was cut off before, or its messages were there already.
    /// It is not looked at until its start is on the disk, so that it counts when it does so again.
    fn may_end_the_process(&self) -> bool {
        let started = self.shard.started;
        self.job.turn.interruptions > 0
            || self.job.turn.messages.iter().any(|message| message.receipt.tick < started)
    }

    /// The first half of the pipeline.
    async fn prepare(&self, input: &TurnInput) -> Result<Plan, Stopped> {
        let prepare = async {
            failpoint!("turn.prepare", text: &format!("{:?}", input.messages));
            self.shard.pipeline.prepare(input).await
        };
        self.guard(prepare).await
    }

    /// Both halves of the pipeline, the first one unless it is done. A class that a model named is kept for the next run, however
    /// this one ends.
    async fn answer(
        &mut self,
        input: &TurnInput,
        plan: Option<Result<Plan, Stopped>>,
    ) -> Result<TurnResult, Stopped> {
        let plan = match plan {
            Some(plan) => plan?,
            None => {
                self.prepared = self.shard.clock.now();
                self.prepare(input).await?
            }
        };
        let (shard, mut named) = (self.shard, self.job.turn.named);
        let finish = async {
            failpoint!("turn.query");
            shard.pipeline.finish(input, plan, &mut named).await
        };
        let result = self.guard(finish).await;
        self.job.turn.named = named;
        result
    }

    /// Runs a half of the pipeline against the clock, the end of a drain, and its own panics.
    async fn guard<T>(&self, half: impl Future<Output = Result<T, TurnError>>) -> Result<T, Stopped> {
        let limit = Duration::from_millis(self.shard.turns.timeout_ms);
        let half = timeout(limit, AssertUnwindSafe(half).catch_unwind());
        let mut cutoff = self.shard.cutoff.clone();
        tokio::select! {
            biased;
            result = half => match result {
                Ok(Ok(result)) => result.map_err(Stopped::from),
                Ok(Err(panic)) => Err(Stopped::Failed(Reason::of_panic(&*panic).to_string())),
                Err(_elapsed) => Err(Stopped::Failed(format!("no answer within {} ms", limit.as_millis()))),
            },
            _ = cutoff.wait_for(|is_over| *is_over) => Err(Stopped::Drained),
        }
    }

    /// Commits what the pipeline came to; a commit that the store refuses is a failure of the turn.
    async fn end(&mut self, input: &TurnInput, result: TurnResult) -> TurnEnd {
        match self.commit(result).await {
            Ok(end) => end,
            Err(refused) => self.stop(input, Stopped::Failed(refused)).await,
        }
    }

    /// Dead-letters the turn's message.
    async fn dead_letter(&self, input: &TurnInput, reason: String) -> TurnEnd {
        let told = Reason::Error(reason.clone());
        match self.commit(self.shard.pipeline.dead_letter(input, reason)).await {
            Ok(end) => {
                if matches!(end, TurnEnd::Committed { .. }) {
                    let who = Some(self.job.conversation);
                    self.shard.keepers.conversation.reporter.tell_of(
                        who,
                        EventKind::DeadLettered,
                        Some(told),
                    );
                }
                end
            }
            Err(refused) => self.release(true, &refused, self.shard.turns.limits().retry_max, false).await,
        }
    }

    /// Commits, for as long as it takes: the answer is at hand, and a store that was away wrote nothing.
    ///
    /// # Errors
    /// The store refuses this commit for good; the reason.
    async fn commit(&self, result: TurnResult) -> Result<TurnEnd, String> {
        let permit = self.reserve(&result).await;
        let mut commit = self.commit_of(result, permit.is_some());
        let language = commit.language.unwrap_or(Language::ENGLISH);
        loop {
            failpoint!("turn.before_commit");
            match self.shard.store.commit_turn(Box::new(commit.clone())).await {
                Ok(CommitOutcome::Committed {
                    parts, replies, last_seq, disposition, needs_human, ..
                }) => {
                    failpoint!("turn.committed");
                    self.enqueue(parts, permit);
                    (commit.disposition, commit.needs_human) = (disposition, needs_human);
                    self.trace(|ended| {
                        trace::of_turn(&self.job, &commit, (self.began, self.prepared), ended)
                    });
                    return Ok(TurnEnd::Committed { at: commit.tick, language, last_seq, replies });
                }
                Ok(CommitOutcome::Fenced) => return Ok(self.fenced()),
                // Its conversation is set aside, which the next load finds.
                Err(StoreError::Corrupt(_)) => return Ok(TurnEnd::Reload(Duration::ZERO)),
                Err(StoreError::Refused(reason)) => {
                    tracing::error!(turn.id = %self.job.turn.id, reason, "the store refused a commit");
                    return Err(format!("the store refused its commit: {reason}"));
                }
                Err(StoreError::Closed) => return Ok(TurnEnd::Reload(self.shard.store.retry_after())),
                Err(StoreError::Overloaded { .. } | StoreError::Unavailable(_)) => {
                    tokio::time::sleep(self.shard.store.retry_after()).await;
                }
            }
        }
    }

    /// Tells whoever traces what has ended now.
    fn trace(&self, ended: impl FnOnce(Timestamp) -> Trace) {
        if let Some(tracer) = &self.shard.tracer {
            tracer.told(ended(self.shard.clock.now()));
        }
    }

    /// Hands committed parts to the dispatcher; a hint, since the sweep finds them too.
    fn enqueue(&self, parts: Vec<OutboxPart>, permit: Option<SendPermit>) {
        failpoint!("tells.drop", return);
        if !parts.is_empty() {
            self.shard.dispatcher.do_send(Enqueue { conversation: self.job.conversation, parts, permit });
        }
    }

    /// A permit for the first part, so that the commit carries its `sending` mark.
    async fn reserve(&self, result: &TurnResult) -> Option<SendPermit> {
        failpoint!("tells.drop", return None);
        if result.text.is_none() || !self.shard.channels.contains_key(&self.job.account.channel) {
            return None;
        }
        self.shard.dispatcher.send(Reserve(self.job.conversation)).await.ok().flatten()
    }

    /// Gives a started turn back, or dead-letters it.
    async fn stop(&mut self, input: &TurnInput, stopped: Stopped) -> TurnEnd {
        let limits = self.shard.turns.limits();
        let outcome = stopped.outcome();
        let (failed, reason) = match stopped {
            Stopped::Failed(reason) => (true, reason),
            Stopped::Unavailable(reason) => (false, reason),
            Stopped::Drained => (false, "the server drains".to_owned()),
        };
        self.trace(|ended| trace::of_run(&self.job, outcome, self.began, ended));
        tracing::warn!(
            conversation.id = %self.job.conversation, turn.id = %self.job.turn.id,
            attempt = self.job.turn.attempt, failed, reason, "a turn did not end"
        );
        let next = if failed {
            self.job.turn.failures += 1;
            limits.next(&self.job.turn)
        } else {
            Retry::Again(Duration::from_millis(self.shard.turns.unavailable_retry_ms))
        };
        match next {
            Retry::Again(wait) => {
                let wait = wait.mul_f64(1.0 + self.shard.entropy.fraction() / 4.0);
                self.release(failed, &reason, wait, false).await
            }
            Retry::Split => self.release(failed, &reason, Duration::ZERO, true).await,
            Retry::DeadLetter => self.dead_letter(input, reason).await,
        }
    }

    /// Gives the turn back to the store, to run again after `wait` or to run message by message.
    async fn release(&self, failed: bool, reason: &str, wait: Duration, split: bool) -> TurnEnd {
        let not_before = self.shard.clock.tick().after(wait);
        let release = ReleaseTurn {
            conversation: self.job.conversation,
            epoch: self.shard.epoch,
            turn: self.job.turn.id,
            attempt: self.job.turn.attempt,
            failed,
            reason: reason.to_owned(),
            not_before,
            split,
        };
        match self.shard.store.release_turn(release).await {
            Ok(true) if !split => {
                TurnEnd::Waits(OpenTurn { running: false, not_before, ..self.job.turn.clone() })
            }
            Ok(true) => TurnEnd::Reload(Duration::ZERO),
            Ok(false) => self.fenced(),
            Err(error) => self.store_away(&error),
        }
    }

    /// Another owner or attempt was faster: looks again after a while, so that two owners do not race each other.
    fn fenced(&self) -> TurnEnd {
        tracing::warn!(
            conversation.id = %self.job.conversation, turn.id = %self.job.turn.id,
            "a turn belongs to another attempt; it is loaded again"
        );
        TurnEnd::Reload(self.shard.store.retry_after())
    }

    fn store_away(&self, error: &StoreError) -> TurnEnd {
        tracing::warn!(conversation.id = %self.job.conversation, %error, "the store is away; a turn waits");
        TurnEnd::Reload(self.shard.store.retry_after())
    }

    fn input(&self) -> TurnInput {
        let turn = &self.job.turn;
        let last = turn.messages.iter().map(|message| message.receipt.tick).max().unwrap_or_default();
        let waited = self.shard.clock.tick().since(last);
        TurnInput {
            conversation: self.job.conversation,
            account: self.job.account.clone(),
            now: self.shard.clock.now(),
            turn: turn.id,
            messages: turn.messages.clone(),
            language: self.job.language,
            out_of_patience: turn.attempt > 0 && is_out_of_patience(waited, self.shard.turns.patience_ms),
        }
    }

    fn start(&self) -> StartTurn {
        let turn = &self.job.turn;
        StartTurn {
            conversation: self.job.conversation,
            epoch: self.shard.epoch,
            turn: turn.id,
            attempt: turn.attempt + 1,
            seqs: turn.messages.iter().map(|message| message.seq).collect(),
            known_seq: self.job.known_seq,
            closes_at: self.job.closed_at,
            at: self.shard.clock.now(),
        }
    }

    fn commit_of(&self, result: TurnResult, first_is_sending: bool) -> CommitTurn {
        let parts = self.parts_of(result.text.as_deref());
        CommitTurn {
            conversation: self.job.conversation,
            epoch: self.shard.epoch,
            turn: self.job.turn.id,
            attempt: self.job.turn.attempt,
            disposition: result.disposition,
            parts,
            first_is_sending,
            needs_human: result.needs_human,
            records: result.records,
            class: result.class,
            language: Some(result.language),
            journey: result.journey,
            at: self.shard.clock.now(),
            tick: self.shard.clock.tick(),
        }
    }

    fn parts_of(&self, text: Option<&str>) -> Vec<crate::domain::ReplyPart> {
        let Some(text) = text else { return vec![] };
        let texts = match self.shard.channels.get(&self.job.account.channel) {
            Some(channel) => channel.port.split(text),
            None => vec![text.to_owned()],
        };
        let id = || crate::domain::PartId::new(self.shard.entropy.uuid());
        texts.into_iter().map(|text| crate::domain::ReplyPart { id: id(), text }).collect()
    }
}

impl TurnJob {
    /// A job for a batch that has just closed.
    #[must_use]
    pub fn first(
        conversation: ConversationId,
        account: Account,
        id: TurnId,
        messages: Vec<crate::domain::PendingMessage>,
    ) -> Self {
        let turn = OpenTurn {
            id,
            attempt: 0,
            running: false,
            failures: 0,
            interruptions: 0,
            not_before: Tick::default(),
            messages,
            named: None,
        };
        Self { conversation, account, turn, known_seq: 0, closed_at: None, language: None }
    }
}

impl From<TurnError> for Stopped {
    fn from(error: TurnError) -> Self {
        match error {
            TurnError::Unavailable(reason) => Self::Unavailable(reason),
            TurnError::Failed(reason) => Self::Failed(reason),
        }
    }
}
