//! The gate of a front: how many calls run, how many wait, whose turn it is, and who goes when there is no room. Pure.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Who goes when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discard {
    /// The one that comes: who waits has waited for something.
    Newest,
    /// The one that has waited the longest: its answer is worth the least by now.
    Oldest,
}

/// The limits of a gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GateSettings {
    /// Calls under way at the same time; at least one.
    pub in_flight_max: usize,
    /// Calls that wait.
    pub queue_max: usize,
    /// Calls of one asker among them; at least one.
    pub share_max: usize,
    /// Who goes when the queue is full.
    pub discard: Discard,
    /// A call that has less time left is not worth starting any more.
    pub worth: Duration,
}

/// What the gate says to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<T> {
    /// It may start now.
    Start(T),
    /// It waits.
    Queued,
    /// It waits, and this one lost its place to it, by this limit.
    Displaced(T, usize),
    /// There is no room for it, by this limit.
    Refused(T, usize),
}

/// A call that left the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving<T> {
    /// It may start now.
    Start(T),
    /// Its deadline passed while it waited.
    Expired(T),
}

/// A call, as the gate needs to know it.
pub trait Waits {
    /// It is not worth starting after this.
    fn deadline(&self) -> Instant;

    /// Whether its caller has gone away, so that it need not start at all.
    fn is_given_up(&self) -> bool;
}

#[derive(Debug)]
struct Waiting<T> {
    since: Instant,
    call: T,
}

/// Limits calls under way and calls that wait. Askers take turns, each with its calls in order, so that one with many calls
/// delays another by one call at the most; none may fill the queue.
#[derive(Debug)]
pub struct Gate<K, T> {
    settings: GateSettings,
    in_flight: usize,
    waiting: usize,
    lines: HashMap<K, VecDeque<Waiting<T>>>,
    /// Every asker with a line, in the order of their turns.
    turns: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, T: Waits> Gate<K, T> {
    /// A gate with at least one place.
    #[must_use]
    pub fn new(settings: GateSettings) -> Self {
        let settings = GateSettings {
            in_flight_max: settings.in_flight_max.max(1),
            share_max: settings.share_max.max(1),
            ..settings
        };
        Self { settings, in_flight: 0, waiting: 0, lines: HashMap::new(), turns: VecDeque::new() }
    }

    /// A call of `asker` asks to start.
    pub fn offer(&mut self, asker: K, call: T, now: Instant) -> Entry<T> {
        if self.in_flight < self.settings.in_flight_max {
            self.in_flight += 1;
            return Entry::Start(call);
        }
        if self.is_full_for(asker) {
            // Places of those that have gone away are free, once somebody needs them.
            self.retain(|call| !call.is_given_up());
        }
        let share = self.lines.get(&asker).map_or(0, VecDeque::len);
        let GateSettings { queue_max, share_max, .. } = self.settings;
        if queue_max == 0 {
            return Entry::Refused(call, queue_max);
        }
        if share >= share_max {
            return Entry::Refused(call, share_max);
        }
        let displaced = match self.settings.discard {
            Discard::Newest if self.waiting >= queue_max => return Entry::Refused(call, queue_max),
            Discard::Oldest if self.waiting >= queue_max => self.take_oldest(),
            Discard::Newest | Discard::Oldest => None,
        };
        self.enter(asker, call, now);
        displaced.map_or(Entry::Queued, |displaced| Entry::Displaced(displaced, queue_max))
    }

    /// Starts a call whatever the limits say; for the one that finds out whether the service is back.
    pub const fn start(&mut self) {
        self.in_flight += 1;
    }

    /// A call under way has ended; answers who leaves the queue: any number of expired calls, then those that start.
    pub fn finished(&mut self, now: Instant) -> Vec<Leaving<T>> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.next(now)
    }

    /// Who leaves the queue now.
    pub fn next(&mut self, now: Instant) -> Vec<Leaving<T>> {
        let mut leaving = Vec::new();
        while self.in_flight < self.settings.in_flight_max {
            let Some(call) = self.take_next() else { break };
            if call.is_given_up() {
                continue;
            }
            if call.deadline() <= now + self.settings.worth {
                leaving.push(Leaving::Expired(call));
            } else {
                self.in_flight += 1;
                leaving.push(Leaving::Start(call));
            }
        }
        leaving
    }

    /// Everybody who waits, in the order of their turns; nobody does afterwards.
    pub fn flush(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.take_next()).collect()
    }

    /// Calls under way.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Calls that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// How long the one that has waited the longest has waited.
    #[must_use]
    pub fn oldest(&self, now: Instant) -> Option<Duration> {
        let since = self.lines.values().filter_map(VecDeque::front).map(|waiting| waiting.since).min()?;
        Some(now.saturating_duration_since(since))
    }

    fn is_full_for(&self, asker: K) -> bool {
        let share = self.lines.get(&asker).map_or(0, VecDeque::len);
        self.waiting >= self.settings.queue_max || share >= self.settings.share_max
    }

    fn enter(&mut self, asker: K, call: T, now: Instant) {
        let line = self.lines.entry(asker).or_default();
        if line.is_empty() {
            self.turns.push_back(asker);
        }
        line.push_back(Waiting { since: now, call });
        self.waiting += 1;
    }

    fn take_next(&mut self) -> Option<T> {
        let asker = self.turns.pop_front()?;
        let line = self.lines.get_mut(&asker)?;
        let first = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&asker);
        } else {
            self.turns.push_back(asker);
        }
        self.waiting -= 1;
        Some(first.call)
    }

    fn take_oldest(&mut self) -> Option<T> {
        let first = |line: &VecDeque<Waiting<T>>| line.front().map(|waiting| waiting.since);
        let (asker, _) = self.lines.iter().min_by_key(|(_, line)| first(line))?;
        let asker = *asker;
        self.turns.retain(|other| *other != asker);
        self.turns.push_front(asker);
        self.take_next()
    }

    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for line in self.lines.values_mut() {
            line.retain(|waiting| keep(&waiting.call));
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns.retain(|asker| self.lines.contains_key(asker));
        self.waiting = self.lines.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Call {
        name: char,
        deadline: Instant,
        is_given_up: bool,
    }

    impl Waits for Call {
        fn deadline(&self) -> Instant {
            self.deadline
        }

        fn is_given_up(&self) -> bool {
            self.is_given_up
        }
    }

    struct Fixture {
        begin: Instant,
        gate: Gate<u8, Call>,
    }

    impl Fixture {
        fn new(in_flight_max: usize, queue_max: usize, share_max: usize, discard: Discard) -> Self {
            let worth = Duration::ZERO;
            let settings = GateSettings { in_flight_max, queue_max, share_max, discard, worth };
            Self { begin: Instant::now(), gate: Gate::new(settings) }
        }

        fn at(&self, second: u64) -> Instant {
            self.begin + Duration::from_secs(second)
        }

        fn call(&self, name: char, until: u64) -> Call {
            Call { name, deadline: self.at(until), is_given_up: false }
        }

        /// Offers a call at a second; says what became of it.
        fn offer(&mut self, asker: u8, name: char, second: u64) -> String {
            let (call, now) = (self.call(name, 99), self.at(second));
            match self.gate.offer(asker, call, now) {
                Entry::Start(call) => format!("{} starts", call.name),
                Entry::Queued => format!("{name} waits"),
                Entry::Displaced(other, _) => format!("{name} waits instead of {}", other.name),
                Entry::Refused(call, _) => format!("{} is refused", call.name),
            }
        }

        fn finished(&mut self, second: u64) -> String {
            let now = self.at(second);
            let said = self.gate.finished(now).into_iter().map(|leaving| match leaving {
                Leaving::Start(call) => format!("{} starts", call.name),
                Leaving::Expired(call) => format!("{} is too late", call.name),
            });
            said.collect::<Vec<_>>().join(", ")
        }
    }

    #[test]
    fn a_gate_starts_queues_and_refuses_in_this_order() {
        let mut gate = Fixture::new(1, 1, 9, Discard::Newest);
        assert_eq!(gate.offer(1, 'a', 0), "a starts");
        assert_eq!(gate.offer(2, 'b', 3), "b waits");
        assert_eq!(gate.offer(3, 'c', 3), "c is refused");
        assert_eq!((gate.gate.in_flight(), gate.gate.waiting()), (1, 1));
        assert_eq!(gate.gate.oldest(gate.at(8)), Some(Duration::from_secs(5)));
    }

    #[test]
    fn askers_take_turns_and_each_has_its_calls_in_order() {
        let mut gate = Fixture::new(1, 9, 9, Discard::Newest);
        gate.offer(0, 'x', 0);
        for (asker, name) in [(1, 'a'), (1, 'b'), (1, 'c'), (2, 'd'), (3, 'e'), (2, 'f')] {
            assert_eq!(gate.offer(asker, name, 0), format!("{name} waits"));
        }
        let order: Vec<_> = (0..7).map(|_| gate.finished(1)).collect();
        assert_eq!(order, ["a starts", "d starts", "e starts", "b starts", "f starts", "c starts", ""]);
        assert_eq!((gate.gate.in_flight(), gate.gate.waiting()), (0, 0));
    }

    #[test]
    fn nobody_fills_the_queue_alone() {
        let mut gate = Fixture::new(1, 9, 2, Discard::Oldest);
        gate.offer(0, 'x', 0);
        let said: Vec<_> = ['a', 'b', 'c'].into_iter().map(|name| gate.offer(1, name, 0)).collect();
        assert_eq!(said, ["a waits", "b waits", "c is refused"]);
        assert_eq!(gate.offer(2, 'd', 0), "d waits", "there is room for others");
    }

    #[test]
    fn when_it_is_full_the_policy_says_who_goes() {
        for (discard, expected) in
            [(Discard::Newest, "c is refused"), (Discard::Oldest, "c waits instead of a")]
        {
            let mut gate = Fixture::new(1, 2, 9, discard);
            gate.offer(0, 'x', 0);
            gate.offer(2, 'a', 1);
            gate.offer(1, 'b', 2);
            assert_eq!(gate.offer(3, 'c', 3), expected);
            assert_eq!(gate.gate.waiting(), 2);
        }
        let mut gate = Fixture::new(1, 0, 9, Discard::Oldest);
        gate.offer(0, 'x', 0);
        assert_eq!(gate.offer(1, 'a', 0), "a is refused", "nobody waits where nobody may");
    }

    #[test]
    fn the_expired_are_told_and_those_whose_callers_left_are_not_started() {
        let mut gate = Fixture::new(1, 9, 9, Discard::Newest);
        gate.offer(0, 'x', 0);
        for (asker, name, until, is_given_up) in [(1, 'a', 5, false), (2, 'b', 99, true), (3, 'c', 99, false)]
        {
            let call = Call { is_given_up, ..gate.call(name, until) };
            assert_eq!(gate.gate.offer(asker, call, gate.begin), Entry::Queued);
        }
        assert_eq!(gate.finished(5), "a is too late, c starts");
        assert_eq!((gate.finished(6), gate.gate.in_flight()), (String::new(), 0));
    }

    #[test]
    fn places_of_those_that_left_are_free_once_somebody_needs_them() {
        let mut gate = Fixture::new(1, 1, 1, Discard::Newest);
        gate.offer(0, 'x', 0);
        let gone = Call { is_given_up: true, ..gate.call('a', 99) };
        assert_eq!(gate.gate.offer(1, gone, gate.begin), Entry::Queued);
        assert_eq!(gate.offer(1, 'b', 0), "b waits");
        assert_eq!(gate.finished(1), "b starts");
    }

    #[test]
    fn a_flush_leaves_nobody() {
        let mut gate = Fixture::new(1, 9, 9, Discard::Newest);
        for (asker, name) in [(0, 'x'), (1, 'a'), (2, 'b')] {
            gate.offer(asker, name, 0);
        }
        assert_eq!(gate.gate.flush().iter().map(|call| call.name).collect::<String>(), "ab");
        assert_eq!((gate.finished(1), gate.gate.waiting()), (String::new(), 0));
    }

    #[test]
    fn a_gate_always_has_a_place() {
        assert_eq!(Fixture::new(0, 0, 0, Discard::Newest).offer(1, 'a', 0), "a starts");
    }
}
