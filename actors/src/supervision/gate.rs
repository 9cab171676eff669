//! The gate of a front: how many calls run, how many wait, and which waited too long. Pure.

use std::collections::VecDeque;

/// What the gate says to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<T> {
    /// It may start now.
    Start(T),
    /// It waits.
    Queued,
    /// The queue is full.
    Refused(T),
}

/// A call that left the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving<T> {
    /// It may start now.
    Start(T),
    /// Its deadline passed while it waited.
    Expired(T),
}

/// Limits calls under way and calls that wait. First come, first served.
#[derive(Debug)]
pub struct Gate<T, I> {
    in_flight: usize,
    in_flight_max: usize,
    queue_max: usize,
    queue: VecDeque<(I, T)>,
}

impl<T, I: Copy + Ord> Gate<T, I> {
    /// A gate with at least one place.
    #[must_use]
    pub fn new(in_flight_max: usize, queue_max: usize) -> Self {
        Self { in_flight: 0, in_flight_max: in_flight_max.max(1), queue_max, queue: VecDeque::new() }
    }

    /// A call asks to start; it is not worth starting after `deadline`.
    pub fn offer(&mut self, call: T, deadline: I) -> Entry<T> {
        if self.in_flight < self.in_flight_max {
            self.in_flight += 1;
            return Entry::Start(call);
        }
        if self.queue.len() >= self.queue_max {
            return Entry::Refused(call);
        }
        self.queue.push_back((deadline, call));
        Entry::Queued
    }

    /// A call under way has ended; answers who leaves the queue: any number of expired calls, then at most one that
    /// starts.
    pub fn finished(&mut self, now: I) -> Vec<Leaving<T>> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let mut leaving = Vec::new();
        while self.in_flight < self.in_flight_max {
            match self.queue.pop_front() {
                Some((deadline, call)) if deadline <= now => leaving.push(Leaving::Expired(call)),
                Some((_, call)) => {
                    self.in_flight += 1;
                    leaving.push(Leaving::Start(call));
                }
                None => break,
            }
        }
        leaving
    }

    /// Calls under way.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The most calls that wait.
    #[must_use]
    pub const fn queue_max(&self) -> usize {
        self.queue_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_starts_queues_and_refuses_in_this_order() {
        let mut gate = Gate::new(1, 1);
        assert_eq!(gate.offer('a', 10), Entry::Start('a'));
        assert_eq!(gate.offer('b', 10), Entry::Queued);
        assert_eq!(gate.offer('c', 10), Entry::Refused('c'));
        assert_eq!((gate.in_flight(), gate.waiting()), (1, 1));
    }

    #[test]
    fn a_finished_call_lets_the_next_one_in_and_drops_the_expired() {
        let mut gate = Gate::new(1, 9);
        for (call, deadline) in [('a', 99), ('b', 5), ('c', 99), ('d', 99)] {
            gate.offer(call, deadline);
        }
        assert_eq!(gate.finished(5), [Leaving::Expired('b'), Leaving::Start('c')]);
        assert_eq!(gate.finished(6), [Leaving::Start('d')]);
        assert_eq!(gate.finished(7), []);
        assert_eq!(gate.in_flight(), 0);
    }

    #[test]
    fn a_gate_always_has_a_place() {
        assert_eq!(Gate::new(0, 0).offer('a', 1), Entry::Start('a'));
    }
}
