//! Whether there is room for what comes in, decided before anything is stored or acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::domain::{Books, Memory};
use crate::ports::StoreError;
use crate::ports::store::{Admission, Limit};

/// What bounds admissions beside the writer's queue, which bounds itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PressureLimits {
    /// Messages that wait or are in a turn: `inbox.backlog_max`.
    pub backlog_max: u64,
    /// Anonymous memory of the process, in bytes; 0 for no limit: `runtime.memory_max_bytes`.
    pub memory_max_bytes: u64,
}

impl PressureLimits {
    /// Whether `new` messages that will wait may come in while `pending` wait already and the process takes `memory`.
    ///
    /// Memory that has passed its limit refuses everything, unless nothing waits: then what the process holds is what its
    /// allocator keeps, which is used again and may never be given back, so that a refusal would last for ever. The backlog refuses only what adds to it: statuses end work,
    /// and suppressed messages and quarantined bodies make none. A webhook of any size finds room in an empty backlog,
    /// since it would be refused for ever.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] with the limit that is met.
    pub fn check(self, new: u64, pending: u64, memory: Memory) -> Result<(), StoreError> {
        let Self { backlog_max, memory_max_bytes } = self;
        if memory_max_bytes > 0 && pending > 0 && memory.anonymous_bytes > memory_max_bytes {
            return Err(StoreError::Overloaded { by: Limit::Memory, limit: memory_max_bytes });
        }
        if new > 0 && pending > 0 && pending.saturating_add(new) > backlog_max {
            return Err(StoreError::Overloaded { by: Limit::Backlog, limit: backlog_max });
        }
        Ok(())
    }
}

/// How many of its messages will wait for a turn.
#[must_use]
pub fn waiting(admission: &Admission) -> u64 {
    let waiting = admission.messages.iter().filter(|message| message.suppressed.is_none());
    u64::try_from(waiting.count()).unwrap_or(u64::MAX)
}

/// Why an admission was refused, as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A limit was met.
    Overloaded(Limit),
    /// The database cannot be written now, or the process is ending.
    Unavailable,
}

impl Refusal {
    /// All of them, in the order in which they are counted.
    const ALL: [Self; 5] = [
        Self::Overloaded(Limit::Backlog),
        Self::Overloaded(Limit::Memory),
        Self::Overloaded(Limit::Queue),
        Self::Overloaded(Limit::QueueBytes),
        Self::Unavailable,
    ];

    /// What an error of the store means; none where the request itself is at fault.
    const fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Overloaded { by, .. } => Some(Self::Overloaded(*by)),
            StoreError::Unavailable(_) | StoreError::Closed => Some(Self::Unavailable),
            StoreError::Refused(_) | StoreError::Corrupt(_) => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Overloaded(limit) => limit.name(),
            Self::Unavailable => "unavailable",
        }
    }
}

/// Counts refused admissions by reason. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<[AtomicU64; Refusal::ALL.len()]>);

impl Refusals {
    /// Counts a refusal; an error that is the request's own fault is none.
    pub fn note(&self, error: &StoreError) {
        let reason = Refusal::of(error);
        if let Some(at) = Refusal::ALL.iter().position(|refusal| Some(*refusal) == reason) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every reason by name, with how many admissions it has refused.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Refusal::ALL.into_iter().map(Refusal::name).zip(counts)
    }
}

/// The limits, where the process stands, and what was refused.
#[derive(Clone, Debug)]
pub struct Pressure {
    limits: PressureLimits,
    books: watch::Receiver<Books>,
    memory: watch::Receiver<Memory>,
    refusals: Refusals,
}

impl Pressure {
    /// Keeps `limits`; `books` are what the writer publishes after each commit, so that what is still in its queue comes on
    /// top of the backlog.
    #[must_use]
    pub fn new(
        limits: PressureLimits,
        books: watch::Receiver<Books>,
        memory: watch::Receiver<Memory>,
    ) -> Self {
        Self { limits, books, memory, refusals: Refusals::default() }
    }

    /// Whether `new` messages may come in now.
    ///
    /// # Errors
    /// See [`PressureLimits::check`].
    pub fn check(&self, new: u64) -> Result<(), StoreError> {
        let pending = u64::try_from(self.books.borrow().pending).unwrap_or(0);
        let memory = *self.memory.borrow();
        self.limits.check(new, pending, memory)
    }

    /// What was refused so far.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_is_refused_by_the_first_limit_it_meets() {
        let limits = |backlog_max, memory_max_bytes| PressureLimits { backlog_max, memory_max_bytes };
        let (backlog, memory) = (Some(Limit::Backlog), Some(Limit::Memory));
        for (limits, new, pending, anonymous_bytes, met) in [
            (limits(10, 0), 1, 9, 0, None),
            (limits(10, 0), 1, 10, 0, backlog),
            (limits(10, 0), 2, 9, 0, backlog),
            (limits(10, 0), 1, 11, 0, backlog),
            // Nothing that will wait: statuses, suppressed messages, quarantined bodies.
            (limits(10, 0), 0, 10, 0, None),
            (limits(10, 0), 0, u64::MAX, 0, None),
            // A webhook of any size finds room in an empty backlog.
            (limits(10, 0), 1_000, 0, 0, None),
            (limits(10, 0), 1_000, 1, 0, backlog),
            (limits(u64::MAX, 0), u64::MAX, 1, 0, None),
            // Memory: 0 is no limit, and nothing comes in beyond it while something waits, whatever it is.
            (limits(10, 0), 1, 1, u64::MAX, None),
            (limits(10, 500), 1, 1, 500, None),
            (limits(10, 500), 1, 1, 501, memory),
            (limits(10, 500), 0, 1, 501, memory),
            // An allocator may keep what it was given: where nothing waits, it is used again.
            (limits(10, 500), 0, 0, 501, None),
            (limits(10, 500), 1_000, 0, u64::MAX, None),
            (limits(10, 500), 1, 10, 501, memory),
        ] {
            let memory = Memory { resident_bytes: u64::MAX, anonymous_bytes };
            let said = limits.check(new, pending, memory);
            let found = match said {
                Err(StoreError::Overloaded { by, limit }) => {
                    let limits =
                        [(Limit::Backlog, limits.backlog_max), (Limit::Memory, limits.memory_max_bytes)];
                    assert!(limits.contains(&(by, limit)), "{by:?} {limit}");
                    Some(by)
                }
                _ => None,
            };
            assert_eq!(found, met, "{limits:?}: {new} new, {pending} pending, {anonymous_bytes} bytes");
        }
    }

    #[test]
    fn refusals_are_counted_by_their_reason_and_a_fault_of_the_request_is_none() {
        let refusals = Refusals::default();
        for error in [
            StoreError::Overloaded { by: Limit::Memory, limit: 1 },
            StoreError::Overloaded { by: Limit::QueueBytes, limit: 1 },
            StoreError::Overloaded { by: Limit::Memory, limit: 1 },
            StoreError::Unavailable("disk full".into()),
            StoreError::Closed,
            StoreError::Refused("contradiction".into()),
        ] {
            refusals.clone().note(&error);
        }
        let counts: Vec<_> = refusals.counts().collect();
        let expected = [("backlog", 0), ("memory", 2), ("queue", 0), ("queue_bytes", 1), ("unavailable", 2)];
        assert_eq!(counts, expected);
    }
}
