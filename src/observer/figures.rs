//! What is counted, and what that comes to. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tertulia_actors::domain::{Books, Memory};
use tertulia_actors::supervision::meter::{Answers, Latency};
use tertulia_actors::supervision::policy::ReasonKind;
use tertulia_actors::supervision::snapshot::{Kind, Node};
use tokio::time::Instant;

/// Marks that are kept: those of a quarter of an hour.
const MARKS_MAX: usize = 181;

/// Rates are those of this much time at the least; the marks are a little closer than that.
const RATE_WINDOW: Duration = Duration::from_millis(4_900);

/// Errors by their cause, since the process began; some of them ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ErrorCauses")]
pub struct Causes {
    /// Webhooks and messages that were refused, as overload or since the database was away.
    pub refused: u64,
    /// Messages that failed alone, ever.
    pub dead_lettered: u64,
    /// Parts of replies that their channel refused, or that were cancelled with one, ever.
    pub parts_failed: u64,
    /// Parts of replies whose outcome cannot be known, ever.
    pub parts_ambiguous: u64,
    /// Calls of services and channels that failed.
    pub calls_failed: u64,
    /// Actors, threads and conversations that were started anew.
    pub restarts: u64,
    /// Transactions that failed.
    pub commits_failed: u64,
}

impl Causes {
    const fn each(&self) -> [u64; 7] {
        let Self { refused, dead_lettered, parts_failed, parts_ambiguous, .. } = *self;
        let Self { calls_failed, restarts, commits_failed, .. } = *self;
        [refused, dead_lettered, parts_failed, parts_ambiguous, calls_failed, restarts, commits_failed]
    }

    /// What came since `earlier`; a count that went down, as that of dead letters does by a replay, adds nothing.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            refused: self.refused.saturating_sub(earlier.refused),
            dead_lettered: self.dead_lettered.saturating_sub(earlier.dead_lettered),
            parts_failed: self.parts_failed.saturating_sub(earlier.parts_failed),
            parts_ambiguous: self.parts_ambiguous.saturating_sub(earlier.parts_ambiguous),
            calls_failed: self.calls_failed.saturating_sub(earlier.calls_failed),
            restarts: self.restarts.saturating_sub(earlier.restarts),
            commits_failed: self.commits_failed.saturating_sub(earlier.commits_failed),
        }
    }

    fn sum(&self) -> u64 {
        self.each().into_iter().sum()
    }
}

/// What only grows, or nearly so.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Counters {
    /// Messages that came, ever.
    pub messages: u64,
    /// Turns that ran to an end, since the process began.
    pub turns: u64,
    /// Parts of replies that their channel accepted, ever.
    pub replies: u64,
    /// Errors.
    pub errors: Causes,
}

impl Counters {
    /// What is counted now. What does not answer, or is not there, counts as it did `before`: nothing here goes down.
    #[must_use]
    pub fn of(
        tree: Option<&Node>,
        books: &Books,
        refusals: impl Iterator<Item = (&'static str, u64)>,
        before: Option<&Self>,
    ) -> Self {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let (mut calls_failed, mut restarts, mut commits_failed, mut turns) = (0, 0, 0, 0);
        for node in tree.into_iter().flat_map(nodes) {
            // One that an operator asked for is no error.
            let unasked = node.restarts.iter().filter(|(reason, _)| **reason != ReasonKind::Killed);
            restarts += unasked.map(|(_, count)| count).sum::<u64>();
            let failed = node.snapshot.failed.unwrap_or(0);
            match (node.kind, &*node.path) {
                (_, "store") => commits_failed += failed,
                (Kind::Front, _) => calls_failed += failed,
                _ => {}
            }
            if node.snapshot.answers.is_some() {
                turns += node.snapshot.handled.unwrap_or(0);
            }
        }
        let nothing = Self::default();
        let before = before.unwrap_or(&nothing);
        Self {
            messages: count(books.received),
            turns: turns.max(before.turns),
            replies: count(books.parts_sent),
            errors: Causes {
                refused: refusals.map(|(_, count)| count).sum(),
                dead_lettered: count(books.dead_lettered),
                parts_failed: count(books.parts_failed),
                parts_ambiguous: count(books.parts_ambiguous),
                calls_failed: calls_failed.max(before.errors.calls_failed),
                restarts: restarts.max(before.errors.restarts),
                commits_failed: commits_failed.max(before.errors.commits_failed),
            },
        }
    }
}

/// Everything of a tree, from above.
#[must_use]
pub fn nodes(root: &Node) -> Vec<&Node> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(node) = found.get(next).copied() {
        found.extend(&node.children);
        next += 1;
    }
    found
}

/// How much a second, of late.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Rates {
    /// Messages that came.
    pub messages: f64,
    /// Turns that ran to an end.
    pub turns: f64,
    /// Parts of replies that their channel accepted.
    pub replies: f64,
    /// Errors of all causes.
    pub errors: f64,
    /// Webhooks and messages that were refused.
    pub refused: f64,
    /// Errors of the last quarter of an hour, by cause: how many, not how many a second.
    pub recent_errors: Causes,
}

/// What was counted at some moments, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(VecDeque<(Instant, Counters)>);

impl Marks {
    /// Remembers what is counted now.
    pub(super) fn mark(&mut self, now: Instant, counters: Counters) {
        while self.0.len() >= MARKS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, counters));
    }

    /// What was counted the last time.
    pub(super) fn last(&self) -> Option<&Counters> {
        self.0.back().map(|(_, counters)| counters)
    }

    /// What `counters` mean beside what was counted before.
    pub(super) fn rates(&self, now: Instant, counters: &Counters) -> Rates {
        let is_far = |(at, _): &&(Instant, Counters)| now.saturating_duration_since(*at) >= RATE_WINDOW;
        let Some((since, before)) = self.0.iter().rev().find(is_far).or_else(|| self.0.front()) else {
            return Rates::default();
        };
        let seconds = now.saturating_duration_since(*since).as_secs_f64().max(1.0);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let first = self.0.front().map_or(before, |(_, first)| first);
        Rates {
            messages: rate(counters.messages, before.messages),
            turns: rate(counters.turns, before.turns),
            replies: rate(counters.replies, before.replies),
            errors: counters.errors.since(&before.errors).sum() as f64 / seconds,
            refused: rate(counters.errors.refused, before.errors.refused),
            recent_errors: counters.errors.since(&first.errors),
        }
    }
}

/// How the store is doing.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct StoreFigures {
    /// Requests that wait for the writer.
    pub queue: u64,
    /// Requests of the last commit.
    pub commit_size: u64,
    /// How long commits took, of late.
    pub commits: Option<Latency>,
    /// Commits a second, of late.
    pub commits_per_s: f64,
    /// Pages in the write-ahead log.
    pub wal_pages: u64,
    /// Reads under way.
    pub reads_in_flight: u64,
    /// Reads that wait for a connection.
    pub reads_waiting: u64,
}

/// How the server is doing.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Figures {
    /// How much a second.
    pub rates: Rates,
    /// How long after their batch was due answers were durable, of late.
    pub answers: Option<Latency>,
    /// The same of all since the process began, in microseconds.
    #[serde(skip)]
    pub all_answers: Box<Histogram<u64>>,
    /// Messages that wait or are in a turn.
    pub backlog: i64,
    /// Parts of replies that wait for their channel.
    pub unsent: i64,
    /// Messages that failed alone and that nobody has looked after.
    pub dead_letters: i64,
    /// Conversations in memory.
    pub conversations: u64,
    /// Memory of the process.
    pub memory: Memory,
    /// The store.
    pub store: StoreFigures,
}

impl Default for Figures {
    fn default() -> Self {
        Self::of(None, &Books::default(), Memory::default(), Rates::default())
    }
}

impl Figures {
    /// The figures of a look.
    #[must_use]
    pub fn of(tree: Option<&Node>, books: &Books, memory: Memory, rates: Rates) -> Self {
        let (mut answers, mut conversations) = (Answers::default(), 0);
        for node in tree.into_iter().flat_map(nodes) {
            if let Some(some) = &node.snapshot.answers {
                answers.add(some);
            }
            if node.kind == Kind::Conversations {
                conversations += number(&node.snapshot.detail, "live");
            }
        }
        Self {
            rates,
            answers: Latency::of(&answers.recent),
            all_answers: Box::new(answers.all),
            backlog: books.pending,
            unsent: books.parts_pending,
            dead_letters: books.dead_lettered,
            conversations,
            memory,
            store: tree.map(store).unwrap_or_default(),
        }
    }
}

fn number(detail: &Value, name: &str) -> u64 {
    detail.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn store(tree: &Node) -> StoreFigures {
    let wide = |count: Option<usize>| count.map_or(0, |count| u64::try_from(count).unwrap_or(u64::MAX));
    let mut figures = StoreFigures::default();
    if let Some(store) = tree.find("store") {
        let snapshot = &store.snapshot;
        figures.queue = wide(snapshot.mailbox);
        figures.commit_size = number(&snapshot.detail, "last_batch");
        figures.wal_pages = number(&snapshot.detail, "wal_pages");
        figures.commits = snapshot.latency;
        figures.commits_per_s = snapshot.rate_per_s.unwrap_or(0.0);
    }
    if let Some(readers) = tree.find("store/readers") {
        figures.reads_in_flight = wide(readers.snapshot.in_flight);
        figures.reads_waiting = wide(readers.snapshot.waiting);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::super::warnings::tests::node;
    use super::*;
    use serde_json::json;
    use tertulia_actors::supervision::policy::ReasonKind;
    use tertulia_actors::supervision::snapshot::{Snapshot, State};

    fn gate(path: &str, handled: u64, answered_ms: &[u64]) -> Node {
        let mut answers = Answers::default();
        for ms in answered_ms {
            answers.recent.record(ms * 1_000).unwrap();
            answers.all.record(ms * 1_000).unwrap();
        }
        let snapshot =
            Snapshot { handled: Some(handled), answers: Some(Box::new(answers)), ..Snapshot::default() };
        Node { snapshot, ..node(path, Kind::Actor, State::Running) }
    }

    fn front(path: &str, failed: u64) -> Node {
        let snapshot = Snapshot {
            failed: Some(failed),
            mailbox: Some(7),
            detail: json!({"last_batch": 12, "wal_pages": 40}),
            ..Snapshot::default()
        };
        Node { snapshot, ..node(path, Kind::Front, State::Running) }
    }

    /// Two shards, two fronts and a store.
    fn tree() -> Node {
        let live = |path: &str, live: u64| {
            let snapshot = Snapshot { detail: json!({ "live": live }), ..Snapshot::default() };
            Node { snapshot, ..node(path, Kind::Conversations, State::Running) }
        };
        let mut restarted = gate("shards/1/turns", 5, &[300, 400]);
        restarted.restarts.insert(ReasonKind::Panic, 2);
        restarted.restarts.insert(ReasonKind::Killed, 5);
        Node {
            children: vec![
                gate("shards/0/turns", 10, &[100, 200]),
                restarted,
                live("shards/0/router/conversations", 3),
                live("shards/1/router/conversations", 4),
                front("services/query", 6),
                front("channels/whatsapp", 1),
                front("store", 2),
            ],
            ..node("", Kind::Group, State::Running)
        }
    }

    #[test]
    fn what_shards_and_fronts_say_is_added_up() {
        let books = Books { received: 20, parts_sent: 9, dead_lettered: 1, pending: 3, ..Books::default() };
        let (tree, memory) = (tree(), Memory { resident_bytes: 2, anonymous_bytes: 1 });
        let counters = Counters::of(Some(&tree), &books, [("backlog", 2), ("memory", 3)].into_iter(), None);
        let errors = Causes {
            refused: 5,
            dead_lettered: 1,
            calls_failed: 7,
            restarts: 2,
            commits_failed: 2,
            ..Causes::default()
        };
        assert_eq!(counters, Counters { messages: 20, turns: 15, replies: 9, errors });
        let figures = Figures::of(Some(&tree), &books, memory, Rates::default());
        let answers = figures.answers.expect("there were answers");
        assert!((answers.p50_ms - 200.0).abs() < 4.0 && (answers.max_ms - 400.0).abs() < 4.0, "{answers:?}");
        assert_eq!((figures.backlog, figures.conversations, figures.dead_letters), (3, 7, 1));
        assert_eq!((figures.store.queue, figures.store.commit_size, figures.store.wal_pages), (7, 12, 40));
        // What is silent for a look, or a monitor that does not answer, changes nothing of what it said before.
        let mut partial = tree;
        partial.children.retain(|node| &*node.path != "shards/0/turns" && &*node.path != "store");
        let seen = Counters::of(Some(&partial), &books, [("backlog", 5)].into_iter(), Some(&counters));
        assert_eq!(seen, counters);
        let blind = Counters::of(None, &books, [("backlog", 5)].into_iter(), Some(&counters));
        assert_eq!(blind, counters);
    }

    #[test]
    fn rates_are_those_of_some_seconds_and_errors_those_of_a_quarter_of_an_hour() {
        let begin = Instant::now();
        let at = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let counted = |messages, refused| Counters {
            messages,
            errors: Causes { refused, ..Causes::default() },
            ..Counters::default()
        };
        let mut marks = Marks::default();
        assert_eq!(marks.rates(begin, &counted(500, 0)), Rates::default(), "nothing to compare with");
        marks.mark(begin, counted(500, 10));
        assert!(
            (marks.rates(at(0.5), &counted(510, 10)).messages - 10.0).abs() < 1e-9,
            "a second at the least"
        );
        marks.mark(at(5.0), counted(600, 10));
        marks.mark(at(10.0), counted(700, 20));
        let rates = marks.rates(at(12.0), &counted(740, 30));
        // The mark at ten seconds is too near.
        assert!((rates.messages - 20.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.errors - 20.0 / 7.0).abs() < 1e-9, "{rates:?}");
        assert_eq!(rates.recent_errors.refused, 20);
        // A replay takes dead letters back: no negative errors.
        let dead = |dead_lettered| Counters {
            errors: Causes { dead_lettered, ..Causes::default() },
            ..Counters::default()
        };
        let mut marks = Marks::default();
        marks.mark(begin, dead(5));
        assert_eq!(marks.rates(at(6.0), &dead(3)).recent_errors.dead_lettered, 0);
        for n in 0..500 {
            marks.mark(at(5.0 * f64::from(n)), Counters::default());
        }
        assert_eq!(marks.0.len(), MARKS_MAX);
    }
}
