//! The batch buffer of one conversation: a pure state machine over receipts.
//!
//! Which messages share a turn depends on their receipts alone, never on when the server got round to them: a slow
//! commit, a slow turn or a restart neither splits a burst nor joins two.

use std::time::Duration;

use crate::domain::{PendingMessage, Tick};
use crate::settings::ConversationSettings;

/// When a batch closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchLimits {
    /// After the last message.
    pub quiet: Duration,
    /// After the first message, or after the previous turn's end if that is later.
    pub max_wait: Duration,
    /// Messages in a batch, and in memory.
    pub max_messages: usize,
}

impl From<&ConversationSettings> for BatchLimits {
    fn from(settings: &ConversationSettings) -> Self {
        Self {
            quiet: settings.quiet(),
            max_wait: settings.max_wait(),
            max_messages: settings.max_messages.max(1),
        }
    }
}

/// What the buffer did with a message it was told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It is held.
    Held,
    /// The buffer is full; the message stays in the store until there is room.
    LeftInStore,
    /// It was known already.
    Known,
    /// A message before it was never told; the conversation must be loaded.
    Gap,
}

/// What there is to do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is held.
    Empty,
    /// The batch is open until this tick, unless another message moves it.
    Wait(Tick),
    /// The batch is closed and can be started.
    Close(Batch),
}

/// A closed batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// How many of the held messages belong to it, from the first.
    pub count: usize,
    /// When it closed; none where a message that comes later cannot belong to it however early it was received.
    pub closed_at: Option<Tick>,
}

/// The messages of a conversation that wait for a turn, in order of receipt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Buffer {
    held: Vec<PendingMessage>,
    /// Every message up to this one is held, ended, in the turn, or known to be left in the store.
    known_seq: u64,
    /// The highest number anybody told of.
    told_seq: u64,
    more_in_store: bool,
    previous_end: Option<Tick>,
}

impl Buffer {
    /// A buffer that knows everything up to `known_seq` and holds nothing.
    #[must_use]
    pub fn knowing(known_seq: u64, previous_end: Option<Tick>) -> Self {
        Self { known_seq, told_seq: known_seq, previous_end, ..Self::default() }
    }

    /// Replaces the content by what the store says; what was told meanwhile is remembered as told.
    pub fn replace(
        &mut self,
        pending: Vec<PendingMessage>,
        last_seq: u64,
        more: bool,
        previous_end: Option<Tick>,
    ) {
        self.held = pending;
        self.known_seq = last_seq;
        self.more_in_store = more;
        self.previous_end = previous_end;
    }

    /// Takes a message that was told.
    pub fn offer(&mut self, message: PendingMessage, limits: &BatchLimits) -> Offer {
        self.told_seq = self.told_seq.max(message.seq);
        if message.seq <= self.known_seq {
            return Offer::Known;
        }
        if message.seq > self.known_seq + 1 {
            return Offer::Gap;
        }
        self.known_seq = message.seq;
        if self.more_in_store || self.held.len() >= limits.max_messages {
            self.more_in_store = true;
            return Offer::LeftInStore;
        }
        let place = self.held.partition_point(|held| held.receipt.seq <= message.receipt.seq);
        self.held.insert(place, message);
        Offer::Held
    }

    /// Hears that the conversation has messages up to `seq`.
    pub fn hear(&mut self, seq: u64) {
        self.told_seq = self.told_seq.max(seq);
    }

    /// Whether the store has messages that the buffer should hold, or that it does not know.
    #[must_use]
    pub const fn is_behind(&self, limits: &BatchLimits) -> bool {
        self.told_seq > self.known_seq || (self.more_in_store && self.held.len() < limits.max_messages)
    }

    /// How many messages are held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The last message the buffer knows of.
    #[must_use]
    pub const fn known_seq(&self) -> u64 {
        self.known_seq
    }

    /// What there is to do at `now`.
    #[must_use]
    pub fn verdict(&self, now: Tick, limits: &BatchLimits) -> Verdict {
        let Some(first) = self.held.first() else { return Verdict::Empty };
        if first.alone {
            return Verdict::Close(Batch { count: 1, closed_at: None });
        }
        let floor = self.previous_end.unwrap_or(first.receipt.tick);
        let hard_close = first.receipt.tick.max(floor).after(limits.max_wait);
        let mut count = 0;
        let mut closes_at = first.receipt.tick;
        for message in &self.held {
            let is_late = count > 0 && message.receipt.tick >= closes_at;
            if message.alone || is_late {
                return Verdict::Close(Batch { count, closed_at: Some(closes_at) });
            }
            count += 1;
            if count == limits.max_messages {
                return Verdict::Close(Batch { count, closed_at: None });
            }
            closes_at = message.receipt.tick.after(limits.quiet).min(hard_close).max(floor);
        }
        if now >= closes_at {
            Verdict::Close(Batch { count, closed_at: Some(closes_at) })
        } else {
            Verdict::Wait(closes_at)
        }
    }

    /// The messages of a batch, in the order in which they are answered: the provider's time, then receipt. Where the provider
    /// tells none, the steady timeline stands for it, since the wall clock may be set back between two messages.
    #[must_use]
    pub fn peek(&self, batch: &Batch) -> Vec<PendingMessage> {
        let mut messages: Vec<_> = self.held.iter().take(batch.count).cloned().collect();
        let written =
            |message: &PendingMessage| message.provider_at.map_or(message.receipt.tick.0, |at| at.0);
        messages.sort_by_key(|message| (written(message), message.receipt.seq));
        messages
    }

    /// Forgets messages that a turn has taken.
    pub fn remove(&mut self, taken: &[PendingMessage]) {
        self.held.retain(|held| !taken.iter().any(|message| message.seq == held.seq));
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// Hears that a turn has ended.
    pub const fn turn_ended(&mut self, at: Tick) {
        self.previous_end = Some(at);
    }
}

#[cfg(test)]
#[path = "buffer_tests.rs"]
mod tests;
