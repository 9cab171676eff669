//! The supervising future: runs an actor so that a panic does not end it.
//!
//! `actix::Supervisor` does not survive a panic, keeps the same value and has no pause. This future catches the panic around
//! the poll of the actor's context and calls the public `ContextFut::restart`: address and queued messages survive, the
//! context's timers and futures are gone, and [`Supervised::restarting`] puts a new value in the place of the old one.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::dev::ContextFut;
use actix::prelude::*;
use futures_util::FutureExt;
use tokio::time::{Instant, Sleep, sleep};

use super::events::{EventKind, Reporter};
use super::policy::{KilledByOperator, Reason, RestartPolicy, Restarts, Strategy, Verdict};
use super::snapshot::Action;
use crate::domain::ConversationId;
use crate::ports::Entropy;

/// Ends the process; told why. In a test it may only take note.
pub type EndProcess = Arc<dyn Fn(&str) + Send + Sync>;

/// What all actors of one kind on one thread are kept alive by.
pub struct Keeper {
    /// How often and how fast.
    pub policy: RestartPolicy,
    /// What is done when that does not help.
    pub strategy: Strategy,
    /// Tells what happens.
    pub reporter: Reporter,
    /// Spreads restarts.
    pub entropy: Arc<dyn Entropy>,
    /// For [`Strategy::EndProcess`].
    pub end_process: EndProcess,
    /// Actors of this kind that are alive.
    pub alive: Cell<usize>,
    /// Tasks that they have begun and that have not ended.
    pub tasks: Cell<usize>,
}

/// Counts one task while it is alive.
struct Counted(Rc<Keeper>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.set(self.0.tasks.get().saturating_sub(1));
    }
}

impl Keeper {
    /// Runs a task beside its actors, counted until it ends.
    pub fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        self.tasks.set(self.tasks.get() + 1);
        let counted = Counted(Rc::clone(self));
        actix_rt::spawn(task.map(move |()| drop(counted)));
    }

    /// Runs `actor` in `ctx`, on this thread, until it stops by itself or nobody can send to it any more.
    pub fn run<A>(self: &Rc<Self>, ctx: Context<A>, actor: A)
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        self.run_as(None, ctx, actor);
    }

    /// The same for one conversation of many, which events name.
    pub fn run_as<A>(self: &Rc<Self>, conversation: Option<ConversationId>, ctx: Context<A>, actor: A)
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        self.alive.set(self.alive.get() + 1);
        let future = ctx.into_future(actor);
        actix_rt::spawn(Kept { future: Some(future), keeper: Rc::clone(self), conversation, record: None });
    }
}

/// Unwinds out of a handler, as an operator's restart does: the very way of a panic, but nobody prints it.
pub fn unwind_for_restart() -> ! {
    std::panic::resume_unwind(Box::new(KilledByOperator))
}

/// Does what an operator asks of an actor that can be paused: a restart unwinds out of its handler, all else is told. True if
/// the actor begins nothing new from then on.
pub fn obey(action: Action, reporter: &Reporter) -> bool {
    let kind = match action {
        Action::Restart => unwind_for_restart(),
        Action::Pause => EventKind::Paused,
        Action::Drain => EventKind::Drained,
        Action::Resume => EventKind::Resumed,
    };
    reporter.tell(kind);
    kind != EventKind::Resumed
}

/// What is known of an actor that has failed; most never do.
#[derive(Default)]
struct Record {
    restarts: Restarts,
    /// Why its value must be replaced before it is polled again.
    failed: Option<Reason>,
    waiting: Option<Pin<Box<Sleep>>>,
}

/// An actor and what keeps it alive. The context's future is held directly: an `async` block would hold it twice.
struct Kept<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    /// None once it has ended.
    future: Option<ContextFut<A, Context<A>>>,
    keeper: Rc<Keeper>,
    conversation: Option<ConversationId>,
    record: Option<Box<Record>>,
}

impl<A> Kept<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    fn tell(&self, kind: EventKind, reason: Reason) {
        self.keeper.reporter.tell_of(self.conversation, kind, Some(reason));
    }

    /// Takes the place of a value that failed, then polls the actor. Ready when it has ended.
    fn step(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        if self.record.as_ref().is_some_and(|record| record.failed.is_some()) {
            if !future.restart() {
                return Poll::Ready(());
            }
            if let Some(reason) = self.record.as_mut().and_then(|record| record.failed.take()) {
                self.tell(EventKind::Restarted, reason);
            }
        }
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        Pin::new(future).poll(cx)
    }

    /// It panicked: waits as long as the policy says. Ready when that is for ever.
    fn failed(&mut self, reason: Reason) -> Poll<()> {
        self.tell(EventKind::Failed, reason.clone());
        let (policy, jitter) = (self.keeper.policy, self.keeper.entropy.fraction());
        let record = self.record.get_or_insert_default();
        record.failed = Some(reason.clone());
        if reason == Reason::Killed {
            return Poll::Pending;
        }
        let wait = match record.restarts.failed(&policy, Instant::now(), jitter) {
            Verdict::Restart(Duration::ZERO) => return Poll::Pending,
            Verdict::Restart(wait) => wait,
            Verdict::GiveUp(wait) if self.keeper.strategy != Strategy::EndProcess => wait,
            Verdict::GiveUp(_) => {
                self.give_up(reason);
                return Poll::Ready(());
            }
        };
        record.waiting = Some(Box::pin(sleep(wait)));
        Poll::Pending
    }

    fn give_up(&self, reason: Reason) {
        let text = format!("{} failed too often: {reason}", self.keeper.reporter.path());
        self.tell(EventKind::GaveUp, reason);
        (self.keeper.end_process)(&text);
    }

    /// Waits for the restart, if one is due.
    fn wait(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(record) = &mut self.record
            && let Some(waiting) = &mut record.waiting
        {
            ready!(waiting.as_mut().poll(cx));
            record.waiting = None;
        }
        Poll::Ready(())
    }
}

impl<A> Future for Kept<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            ready!(this.wait(cx));
            match catch_unwind(AssertUnwindSafe(|| this.step(cx))) {
                Ok(polled) => return polled,
                Err(panic) => {
                    if this.failed(Reason::of_panic(&*panic)).is_ready() {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }
}

impl<A> Drop for Kept<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    fn drop(&mut self) {
        self.keeper.alive.set(self.keeper.alive.get().saturating_sub(1));
        // A context that is dropped polls its actor once more.
        if catch_unwind(AssertUnwindSafe(|| drop(self.future.take()))).is_err() {
            tracing::error!(path = &**self.keeper.reporter.path(), "an actor panicked when it was dropped");
        }
    }
}

#[cfg(test)]
#[path = "supervised_tests.rs"]
mod tests;
