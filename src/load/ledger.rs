//! What was written and what came back: the record that a run is judged by. Pure: it is told times, and asks for none.

use std::collections::HashMap;

use super::bursts::{Burst, Person, Token};
use super::plan::Moment;

/// One message, as the generator saw it. Moments are 0 where something has not happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// When it was meant to be sent.
    pub intended: Moment,
    /// When its first webhook was on its way.
    pub sent: Moment,
    /// When its first webhook was acknowledged.
    pub acknowledged: Moment,
    /// When it first stood in a prompt, that is, when its turn had begun.
    pub prompted: Moment,
    /// The provider's time in its webhooks, in seconds since the epoch.
    pub provider_s: i64,
    /// Accepted replies that hold its words.
    pub answers: u16,
}

/// A burst.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrittenBurst {
    /// Who wrote it.
    pub person: usize,
    /// Its number among theirs.
    pub number: usize,
    /// The stage it began in.
    pub stage: usize,
    /// Its messages.
    pub messages: Vec<Written>,
    /// How long the model took for it.
    pub model: Moment,
    /// When the answer to its last message arrived; 0: it has not.
    pub answered: Moment,
}

/// A reply that the provider accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// When it arrived.
    pub at: Moment,
    /// Whom it went to; none: nobody of this run.
    pub person: Option<usize>,
    /// Whose words are in it, in their order.
    pub tokens: Vec<Token>,
}

/// A breach that can be seen the moment it happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foreign {
    /// `prompt` or `reply`.
    pub place: &'static str,
    /// Whose it was.
    pub person: Option<usize>,
    /// The words that do not belong there.
    pub token: Token,
}

/// A burst whose last message was just answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Its place in the ledger.
    pub burst: usize,
    /// Who is waiting no longer.
    pub person: usize,
    /// The stage it began in.
    pub stage: usize,
    /// When the last of its messages that are answered was meant to be sent.
    pub last_intended: Moment,
    /// How long the model took.
    pub model: Moment,
}

/// The record.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    run: String,
    bursts: Vec<WrittenBurst>,
    places: HashMap<(usize, usize), usize>,
    replies: Vec<Reply>,
    foreign: Vec<Foreign>,
    prompts: u64,
    /// Replies without a word of anybody: phrases for what could not be answered.
    phrases: u64,
    acknowledged: u64,
    answered: u64,
    doubled: u64,
    people: u64,
    /// Nothing of the bursts before this place waits for an answer.
    settled: usize,
}

impl Ledger {
    /// The record of a run of this name.
    #[must_use]
    pub fn new(run: impl Into<String>) -> Self {
        Self { run: run.into(), ..Self::default() }
    }

    /// Somebody begins a burst, whose messages are meant to be sent at these moments. Gives its place.
    pub fn begin(&mut self, burst: &Burst, stage: usize, intended: &[Moment]) -> usize {
        let messages = intended.iter().map(|at| Written { intended: *at, ..Written::default() });
        let written = WrittenBurst {
            person: burst.person.number,
            number: burst.number,
            stage,
            messages: messages.collect(),
            model: 0,
            answered: 0,
        };
        let place = self.bursts.len();
        self.people += u64::from(written.number == 0);
        self.places.insert((written.person, written.number), place);
        self.bursts.push(written);
        place
    }

    /// A message is on its way for the first time.
    pub fn sent(&mut self, burst: usize, message: usize, at: Moment, provider_s: i64) {
        let written = &mut self.bursts[burst].messages[message];
        written.sent = at;
        written.provider_s = provider_s;
    }

    /// A message was acknowledged.
    pub fn acknowledge(&mut self, burst: usize, message: usize, at: Moment) {
        let written = &mut self.bursts[burst].messages[message];
        if written.acknowledged == 0 {
            written.acknowledged = at;
            self.acknowledged += 1;
        }
    }

    /// The model was asked with these texts at `at`, and takes `model` for its answer.
    pub fn prompted<'a>(&mut self, texts: impl Iterator<Item = &'a str>, at: Moment, model: Moment) {
        self.prompts += 1;
        let tokens: Vec<_> = texts.flat_map(|text| Token::find_all(text, &self.run)).collect();
        // The last words are those that are answered; the others are history.
        let Some(last) = tokens.last().copied() else { return };
        let strangers = tokens.iter().filter(|token| token.person != last.person);
        self.foreign.extend(strangers.map(|token| Foreign {
            place: "prompt",
            person: Some(last.person),
            token: *token,
        }));
        if let Some(place) = self.places.get(&(last.person, last.burst)) {
            self.bursts[*place].model = model;
        }
        for token in tokens {
            let burst = self.places.get(&(token.person, token.burst)).map(|place| &mut self.bursts[*place]);
            if let Some(message) = burst.and_then(|burst| burst.messages.get_mut(token.message))
                && message.prompted == 0
            {
                message.prompted = at;
            }
        }
    }

    /// The provider accepted a reply. Gives the bursts that are answered by it.
    pub fn replied(&mut self, address: &str, text: &str, at: Moment) -> Vec<Answered> {
        let tokens = Token::find_all(text, &self.run);
        let person = Person::number_of(address);
        let mut answered = Vec::new();
        if tokens.is_empty() {
            self.phrases += 1;
        }
        for token in &tokens {
            if Some(token.person) != person {
                self.foreign.push(Foreign { place: "reply", person, token: *token });
            }
            answered.extend(self.answer(*token, at));
        }
        self.replies.push(Reply { at, person, tokens });
        answered
    }

    fn answer(&mut self, token: Token, at: Moment) -> Option<Answered> {
        let place = *self.places.get(&(token.person, token.burst))?;
        let burst = &mut self.bursts[place];
        let last = burst.messages.len() - 1;
        let message = burst.messages.get_mut(token.message)?;
        message.answers = message.answers.saturating_add(1);
        match message.answers {
            1 => self.answered += 1,
            2 => self.doubled += 1,
            _ => {}
        }
        if token.message != last || message.answers > 1 {
            return None;
        }
        let are_answered = burst.messages.iter().filter(|message| message.answers > 0);
        let last_intended = are_answered.map(|message| message.intended).max().unwrap_or_default();
        burst.answered = at;
        Some(Answered {
            burst: place,
            person: burst.person,
            stage: burst.stage,
            last_intended,
            model: burst.model,
        })
    }

    /// The name of the run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// All bursts in the order in which they began.
    #[must_use]
    pub fn bursts(&self) -> &[WrittenBurst] {
        &self.bursts
    }

    /// All replies in their order of arrival.
    #[must_use]
    pub fn replies(&self) -> &[Reply] {
        &self.replies
    }

    /// Words of one person where another's belong.
    #[must_use]
    pub fn foreign(&self) -> &[Foreign] {
        &self.foreign
    }

    /// The place of a burst.
    #[must_use]
    pub fn place(&self, token: Token) -> Option<usize> {
        self.places.get(&(token.person, token.burst)).copied()
    }

    /// A message as it was written.
    #[must_use]
    pub fn message(&self, token: Token) -> Option<&Written> {
        self.bursts[self.place(token)?].messages.get(token.message)
    }

    /// How many people have written.
    #[must_use]
    pub const fn people(&self) -> u64 {
        self.people
    }

    /// Messages answered more than once.
    #[must_use]
    pub const fn doubled(&self) -> u64 {
        self.doubled
    }

    /// How often the model was asked.
    #[must_use]
    pub const fn prompts(&self) -> u64 {
        self.prompts
    }

    /// Replies that hold nobody's words.
    #[must_use]
    pub const fn phrases(&self) -> u64 {
        self.phrases
    }

    /// Messages acknowledged.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Messages answered at least once.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Messages that were acknowledged before `until` and are not answered yet. Where none is lost this looks only at the bursts
    /// that wait. Bursts begin in the order in which they were meant to.
    pub fn overdue(&mut self, until: Moment) -> u64 {
        let is_overdue = |message: &&Written| {
            message.answers == 0 && (1..until).contains(&message.acknowledged) && message.intended < until
        };
        let is_settled = |burst: &WrittenBurst| {
            burst.messages.iter().all(|message| message.answers > 0 && message.intended < until)
        };
        self.settled += self.bursts[self.settled..].iter().take_while(|burst| is_settled(burst)).count();
        let waiting = self.bursts[self.settled..].iter();
        let begun =
            waiting.take_while(|burst| burst.messages.first().is_some_and(|first| first.intended < until));
        begun.map(|burst| burst.messages.iter().filter(is_overdue).count() as u64).sum()
    }

    /// Messages acknowledged and not answered yet.
    #[must_use]
    pub const fn backlog(&self) -> u64 {
        self.acknowledged.saturating_sub(self.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::bursts::{Bursts, Writing};

    fn burst_of(person: usize, messages: u64) -> Burst {
        let writing = Writing { messages: [messages, messages], ..Writing::default() };
        Bursts::new(1, "r").written(writing).burst(person, 0)
    }

    #[test]
    fn a_burst_is_answered_with_its_last_message_once() {
        let mut ledger = Ledger::new("r");
        let burst = burst_of(0, 2);
        let place = ledger.begin(&burst, 1, &[1_000, 51_000]);
        ledger.acknowledge(place, 0, 2_000);
        ledger.acknowledge(place, 0, 3_000);
        ledger.acknowledge(place, 1, 2_500);
        assert_eq!((ledger.acknowledged(), ledger.backlog()), (2, 2));
        ledger.prompted(["system", &burst.messages[1].text].into_iter(), 4_000, 70);
        assert_eq!(
            ledger.bursts()[place].messages.iter().map(|m| m.prompted).collect::<Vec<_>>(),
            [0, 4_000]
        );
        let (first, second) = (&burst.messages[0].text, &burst.messages[1].text);
        assert_eq!(ledger.replied(burst.person.address(), first, 5_000), []);
        let answered = Answered { burst: place, person: 0, stage: 1, last_intended: 51_000, model: 70 };
        assert_eq!(ledger.replied(burst.person.address(), second, 6_000), [answered]);
        assert_eq!(ledger.replied(burst.person.address(), second, 7_000), []);
        assert_eq!(ledger.bursts()[place].messages[1].answers, 2);
        assert_eq!((ledger.answered(), ledger.backlog(), ledger.bursts()[place].answered), (2, 0, 6_000));
        assert_eq!(ledger.foreign(), []);
    }

    #[test]
    fn what_waits_for_its_answer_too_long_is_overdue_until_it_comes() {
        let mut ledger = Ledger::new("r");
        let bursts: Vec<_> = (0..3).map(|person| burst_of(person, 2)).collect();
        for (burst, from) in bursts.iter().zip([1_000, 2_000, 9_000]) {
            let place = ledger.begin(burst, 0, &[from, from + 100]);
            ledger.acknowledge(place, 0, from + 50);
            ledger.acknowledge(place, 1, from + 150);
        }
        let said = |burst: &Burst| {
            burst.messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>().join(" ")
        };
        for (until, overdue) in [(1_000, 0), (1_100, 1), (2_100, 3), (3_000, 4), (9_000, 4), (9_100, 5)] {
            assert_eq!(ledger.overdue(until), overdue, "{until}");
        }
        ledger.replied(bursts[0].person.address(), &said(&bursts[0]), 9_500);
        assert_eq!(ledger.overdue(10_000), 4);
        ledger.replied(bursts[2].person.address(), &said(&bursts[2]), 9_600);
        assert_eq!(ledger.overdue(10_000), 2, "the second still waits, between two that were answered");
        ledger.replied(bursts[1].person.address(), &said(&bursts[1]), 9_700);
        assert_eq!((ledger.overdue(20_000), ledger.settled), (0, 3));
    }

    #[test]
    fn words_of_others_are_seen_in_prompts_and_in_replies() {
        let mut ledger = Ledger::new("r");
        let (one, two) = (burst_of(0, 1), burst_of(1, 1));
        ledger.begin(&one, 0, &[0]);
        ledger.begin(&two, 0, &[0]);
        let (mine, theirs) = (&one.messages[0], &two.messages[0]);
        ledger.prompted([theirs.text.as_str(), mine.text.as_str()].into_iter(), 1, 0);
        ledger.replied(one.person.address(), &theirs.text, 1);
        ledger.replied("4912345", &mine.text, 1);
        let foreign = |place, person, token| Foreign { place, person, token };
        assert_eq!(
            ledger.foreign(),
            [
                foreign("prompt", Some(0), theirs.token),
                foreign("reply", Some(0), theirs.token),
                foreign("reply", None, mine.token)
            ]
        );
        ledger.replied(one.person.address(), "We are sorry", 1);
        assert_eq!(ledger.phrases(), 1);
    }
}
