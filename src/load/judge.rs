//! Judges a run: every message against what came of it, at the provider's side and in the database. Pure.

use std::collections::{HashMap, HashSet};

use super::bursts::Token;
use super::ledger::{Ledger, WrittenBurst};
use super::plan::Moment;
use super::report::run::Promise;

/// What the server's database says of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredMessage {
    /// What became of it.
    pub state: StoredState,
    /// The turn that it belongs to, by a number of this reading; none: it has none.
    pub turn: Option<u32>,
    /// When it was received, on the server's steady timeline, in milliseconds.
    pub received_ms: i64,
    /// Whether it was run alone, after its batch had failed.
    pub alone: bool,
}

/// What became of a message, as the database says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredState {
    /// It waits.
    Pending,
    /// Its reply is committed.
    Answered,
    /// It needed none, for a stated reason.
    Suppressed,
    /// It failed alone, and a person is asked for.
    DeadLettered,
}

/// What the database says at the end.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// All messages of the run.
    pub messages: HashMap<Token, StoredMessage>,
    /// How many messages each turn has.
    pub turn_sizes: HashMap<u32, usize>,
    /// Turns with a reply part that was not sent, or whose outcome is unknown.
    pub unsent_turns: HashSet<u32>,
    /// Reply parts whose outcome is unknown.
    pub ambiguous: u64,
    /// Reply parts that the provider accepted, as the database knows.
    pub sent: u64,
    /// Books that do not balance, and figures that differ between the books, the rows and `/metrics`; each in a sentence.
    pub differences: Vec<String>,
}

/// What the judge must know beside the record.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The quiet period, in microseconds.
    pub quiet: Moment,
    /// Most messages of a batch.
    pub messages_max: usize,
    /// When the server was killed.
    pub kills: Vec<Moment>,
    /// What its database says, where it can be read.
    pub stored: Option<Stored>,
}

/// How many cases of a breach are told.
const EXAMPLES: usize = 5;

/// Counts one promise.
struct Count {
    promise: Promise,
}

impl Count {
    fn new(name: &str, says: &str) -> Self {
        let (name, says) = (name.to_owned(), says.to_owned());
        Self { promise: Promise { name, says, ..Promise::default() } }
    }

    fn check(&mut self, holds: bool, case: impl FnOnce() -> String) {
        self.promise.checked += 1;
        if !holds {
            self.promise.broken += 1;
            if self.promise.examples.len() < EXAMPLES {
                self.promise.examples.push(case());
            }
        }
    }

    fn note(mut self, note: Option<String>) -> Promise {
        self.promise.note = note;
        self.promise
    }
}

/// The record with everything that the promises are judged by.
struct Judge<'a> {
    ledger: &'a Ledger,
    now: &'a Circumstances,
    /// The replies that hold each message, by their place, in order.
    replies_of: HashMap<Token, Vec<usize>>,
}

/// Judges all promises.
#[must_use]
pub fn judge(ledger: &Ledger, now: &Circumstances) -> Vec<Promise> {
    let mut replies_of: HashMap<Token, Vec<usize>> = HashMap::new();
    for (place, reply) in ledger.replies().iter().enumerate() {
        for token in &reply.tokens {
            replies_of.entry(*token).or_default().push(place);
        }
    }
    let judge = Judge { ledger, now, replies_of };
    let mut promises = vec![
        judge.lost(),
        judge.doubled(),
        judge.split(),
        judge.merged(),
        judge.reordered(),
        judge.cross_user(),
    ];
    promises.extend(now.stored.as_ref().map(|stored| judge.books(stored)));
    promises
}

impl Judge<'_> {
    fn messages(&self) -> impl Iterator<Item = (&WrittenBurst, Token)> {
        self.ledger.bursts().iter().flat_map(|burst| {
            let token = |message| Token { person: burst.person, burst: burst.number, message };
            (0..burst.messages.len()).map(move |message| (burst, token(message)))
        })
    }

    fn stored(&self, token: Token) -> Option<&StoredMessage> {
        self.now.stored.as_ref()?.messages.get(&token)
    }

    fn is_answered(&self, token: Token) -> bool {
        self.replies_of.contains_key(&token)
    }

    /// Why a message without an answer is not lost, where the database says so.
    fn excuse(&self, token: Token) -> Option<&'static str> {
        let stored = self.stored(token)?;
        let is_unsent = |turn| self.now.stored.as_ref().is_some_and(|all| all.unsent_turns.contains(&turn));
        match stored.state {
            StoredState::Suppressed => Some("suppressed"),
            StoredState::DeadLettered => Some("dead-lettered with a person asked for"),
            StoredState::Answered if stored.turn.is_some_and(is_unsent) => {
                Some("answered by a part that is ambiguous or failed")
            }
            StoredState::Answered | StoredState::Pending => None,
        }
    }

    fn lost(&self) -> Promise {
        let mut count = Count::new("lost", "what was acknowledged is answered, or its end is on record");
        let mut excused: HashMap<&str, u64> = HashMap::new();
        for (burst, token) in self.messages() {
            if burst.messages[token.message].acknowledged == 0 {
                continue;
            }
            let excuse = if self.is_answered(token) { None } else { self.excuse(token) };
            if let Some(excuse) = excuse {
                *excused.entry(excuse).or_default() += 1;
            }
            count.check(self.is_answered(token) || excuse.is_some(), || {
                format!("{} was acknowledged and never answered", self.name(token))
            });
        }
        let mut notes: Vec<_> = excused.iter().map(|(why, n)| format!("{n} {why}")).collect();
        notes.sort();
        count.note((!notes.is_empty()).then(|| notes.join(", ")))
    }

    fn doubled(&self) -> Promise {
        let mut count = Count::new("doubled", "no message is answered twice");
        for (burst, token) in self.messages() {
            let answers = burst.messages[token.message].answers;
            count.check(answers < 2, || format!("{} was answered {answers} times", self.name(token)));
        }
        count.note(None)
    }

    fn split(&self) -> Promise {
        let mut count = Count::new("split", "messages within the quiet period are answered together");
        for burst in self.ledger.bursts() {
            if burst.messages.len() < 2 {
                continue;
            }
            let cut = self.cut(burst);
            count.check(cut.is_none(), || {
                let (one, two) = cut.unwrap_or_default();
                format!("{} and m{} have different replies", self.name(self.token(burst, one)), two)
            });
        }
        count.note(None)
    }

    /// Two messages of a burst that had to be answered together, and were not.
    fn cut(&self, burst: &WrittenBurst) -> Option<(usize, usize)> {
        let mut order: Vec<usize> = (0..burst.messages.len()).collect();
        order.sort_by_key(|message| self.received_at(burst, *message));
        let is_cut = |pair: &[usize]| {
            let [one, two] = [pair[0], pair[1]];
            let first_reply = |message| self.replies_of.get(&self.token(burst, message))?.first().copied();
            let (Some(reply), Some(next)) = (first_reply(one), first_reply(two)) else { return false };
            reply != next && self.belong_together(burst, one, two)
        };
        order.windows(2).find(|pair| is_cut(pair)).map(|pair| (pair[0], pair[1]))
    }

    /// Whether nothing excuses that two messages, received one after the other, have different answers.
    fn belong_together(&self, burst: &WrittenBurst, one: usize, two: usize) -> bool {
        let (first, second) = (&burst.messages[one], &burst.messages[two]);
        let gap = self.received_at(burst, two) - self.received_at(burst, one);
        let end = burst.answered.max(second.acknowledged);
        let was_killed = self.now.kills.iter().any(|kill| {
            (first.sent..=end).contains(kill)
                && (first.acknowledged == 0
                    || second.acknowledged == 0
                    || first.acknowledged.max(second.acknowledged) > *kill)
        });
        let stored = self.stored(self.token(burst, one));
        let is_full = stored.and_then(|stored| stored.turn).is_some_and(|turn| {
            let sizes = self.now.stored.as_ref().map(|all| &all.turn_sizes);
            sizes.and_then(|sizes| sizes.get(&turn)).is_some_and(|size| *size >= self.now.messages_max)
        });
        let was_alone = [one, two]
            .iter()
            .any(|message| self.stored(self.token(burst, *message)).is_some_and(|stored| stored.alone));
        gap < i64::try_from(self.now.quiet).unwrap_or(i64::MAX) && !was_killed && !is_full && !was_alone
    }

    /// When the server received a message, in microseconds of any one timeline: as its database says, else when it was sent.
    fn received_at(&self, burst: &WrittenBurst, message: usize) -> i64 {
        let sent = || i64::try_from(burst.messages[message].sent).unwrap_or(i64::MAX);
        self.stored(self.token(burst, message)).map_or_else(sent, |stored| stored.received_ms * 1_000)
    }

    fn merged(&self) -> Promise {
        let mut count = Count::new("merged", "a turn that has begun takes in no later thought");
        let mut met = 0_u64;
        for reply in self.ledger.replies() {
            let pairs = || reply.tokens.windows(2).filter(|pair| pair[0].burst != pair[1].burst);
            let late = pairs().find(|pair| self.had_begun_before(pair[0], pair[1]));
            met += u64::from(pairs().next().is_some());
            count.check(late.is_none(), || {
                let names: Vec<_> = late.into_iter().flatten().map(|token| self.name(*token)).collect();
                format!("one reply for {}", names.join(" and "))
            });
        }
        let note = format!("{met} replies for thoughts that met within a quiet period or behind a turn");
        count.note((met > 0).then_some(note))
    }

    /// Whether the turn of one of two messages had begun before the other was meant to be sent.
    fn had_begun_before(&self, one: Token, two: Token) -> bool {
        let (Some(one), Some(two)) = (self.ledger.message(one), self.ledger.message(two)) else {
            return false;
        };
        let begun = [(one, two), (two, one)];
        begun.iter().any(|(first, second)| first.prompted != 0 && first.prompted < second.intended)
    }

    fn reordered(&self) -> Promise {
        let mut count =
            Count::new("reordered", "words keep their order across seconds of the provider's clock");
        let mut last: HashMap<usize, (Moment, Token)> = HashMap::new();
        for reply in self.ledger.replies() {
            let swapped = reply.tokens.windows(2).find(|pair| {
                pair[0].person == pair[1].person
                    && self.provider_s(pair[0]).zip(self.provider_s(pair[1])).is_some_and(|(a, b)| a > b)
            });
            count.check(swapped.is_none(), || {
                let pair = swapped.unwrap_or_default();
                format!("{} stands before {}", self.name(pair[0]), self.name(pair[1]))
            });
            let Some((person, token)) = reply.person.zip(reply.tokens.first()) else { continue };
            let Some((_, earlier)) = last.insert(person, (reply.at, *token)) else { continue };
            let overtaken = token.burst < earlier.burst && self.was_over_before(*token, earlier);
            count.check(!overtaken, || {
                format!("{} was answered after {}", self.name(*token), self.name(earlier))
            });
        }
        count.note(None)
    }

    fn provider_s(&self, token: Token) -> Option<i64> {
        self.ledger.message(token).map(|message| message.provider_s)
    }

    /// Whether a message was acknowledged before another one was first sent.
    fn was_over_before(&self, token: Token, other: Token) -> bool {
        let message = |token: Token| {
            let burst = &self.ledger.bursts()[self.ledger.place(token)?];
            burst.messages.get(token.message).copied()
        };
        message(token)
            .zip(message(other))
            .is_some_and(|(one, two)| one.acknowledged != 0 && two.sent != 0 && one.acknowledged < two.sent)
    }

    fn cross_user(&self) -> Promise {
        let mut count = Count::new("cross_user", "nobody's words reach anybody else's prompt or reply");
        count.promise.checked = self.ledger.prompts() + self.ledger.replies().len() as u64;
        for foreign in self.ledger.foreign() {
            count.promise.broken += 1;
            if count.promise.examples.len() < EXAMPLES {
                let whose = foreign.person.map_or("a stranger".into(), |person| format!("person {person}"));
                let case = format!("{} is in a {} of {whose}", self.name(foreign.token), foreign.place);
                count.promise.examples.push(case);
            }
        }
        count.note(None)
    }

    /// The database against the provider's side, and against itself.
    fn books(&self, stored: &Stored) -> Promise {
        let mut count = Count::new("books", "the books balance, and say what the provider says");
        for difference in &stored.differences {
            count.check(false, || difference.clone());
        }
        let accepted = self.ledger.replies().len() as u64;
        count.check(stored.sent <= accepted && accepted <= stored.sent + stored.ambiguous, || {
            let (sent, ambiguous) = (stored.sent, stored.ambiguous);
            format!("the provider accepted {accepted} parts; {sent} are on record as sent, {ambiguous} as ambiguous")
        });
        let missing = self.messages().find(|(burst, token)| {
            burst.messages[token.message].acknowledged != 0 && !stored.messages.contains_key(token)
        });
        count.check(missing.is_none(), || {
            let name = missing.map(|(_, token)| self.name(token)).unwrap_or_default();
            format!("{name} was acknowledged and is not in the database")
        });
        let note = format!("{} parts ambiguous", stored.ambiguous);
        count.note((stored.ambiguous > 0).then_some(note))
    }

    const fn token(&self, burst: &WrittenBurst, message: usize) -> Token {
        Token { person: burst.person, burst: burst.number, message }
    }

    fn name(&self, token: Token) -> String {
        token.text(self.ledger.run())
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
