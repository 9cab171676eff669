use super::*;
use crate::load::bursts::{Burst, Bursts, Writing};

const QUIET: Moment = 200_000;

/// A record of people who each write a burst of two messages 50 ms apart, all acknowledged.
struct Story {
    ledger: Ledger,
    bursts: Vec<Burst>,
    now: Circumstances,
}

impl Story {
    fn of(people: usize) -> Self {
        let mut story = Self {
            ledger: Ledger::new("r"),
            bursts: vec![],
            now: Circumstances { quiet: QUIET, messages_max: 20, ..Circumstances::default() },
        };
        (0..people).for_each(|person| story.write(person, 0, 1_000_000));
        story
    }

    fn write(&mut self, person: usize, number: usize, at: Moment) {
        let writing = Writing { messages: [2, 2], gap_ms: [50, 50], ..Writing::default() };
        let burst = Bursts::new(1, "r").written(writing).burst(person, number);
        let place = self.ledger.begin(&burst, 0, &[at, at + 50_000]);
        for message in 0..2 {
            let sent = at + 50_000 * message as Moment;
            self.ledger.sent(place, message, sent, i64::try_from(sent / 1_000_000).unwrap());
            self.ledger.acknowledge(place, message, sent + 2_000);
        }
        self.bursts.push(burst);
    }

    /// A reply to the writer of a burst with the words of these messages: burst and message.
    fn reply(&mut self, to: usize, words: &[(usize, usize)], at: Moment) {
        let texts: Vec<_> =
            words.iter().map(|(burst, message)| &*self.bursts[*burst].messages[*message].text).collect();
        let address = self.bursts[to].person.address().to_owned();
        self.ledger.replied(&address, &texts.join("\n"), at);
    }

    /// The database says this of a message of a burst.
    fn store(&mut self, burst: usize, message: usize, stored: StoredMessage) {
        let token = self.bursts[burst].messages[message].token;
        self.now.stored.get_or_insert_default().messages.insert(token, stored);
    }

    /// Promises that are broken, and how often.
    fn broken(&self) -> Vec<(String, u64)> {
        let promises = judge(&self.ledger, &self.now);
        promises.into_iter().filter(|p| p.broken > 0).map(|p| (p.name, p.broken)).collect()
    }
}

fn stored(state: StoredState, turn: u32, received_ms: i64) -> StoredMessage {
    StoredMessage { state, turn: Some(turn), received_ms, alone: false }
}

fn one(name: &str) -> Vec<(String, u64)> {
    vec![(name.to_owned(), 1)]
}

#[test]
fn a_run_in_which_everybody_is_answered_once_breaks_nothing() {
    let mut story = Story::of(2);
    story.reply(0, &[(0, 0), (0, 1)], 1_300_000);
    story.reply(1, &[(1, 0), (1, 1)], 1_300_000);
    assert_eq!(story.broken(), []);
}

#[test]
fn what_is_never_answered_is_lost_unless_its_end_is_on_record() {
    let mut story = Story::of(1);
    story.reply(0, &[(0, 0)], 1_300_000);
    assert_eq!(story.broken(), one("lost"));
    for (state, is_unsent, expected) in [
        (StoredState::Suppressed, false, vec![]),
        (StoredState::DeadLettered, false, vec![]),
        (StoredState::Pending, false, one("lost")),
        (StoredState::Answered, false, one("lost")),
        (StoredState::Answered, true, vec![]),
    ] {
        let mut story = Story::of(1);
        story.reply(0, &[(0, 0)], 1_300_000);
        story.store(0, 0, stored(StoredState::Answered, 1, 0));
        story.store(0, 1, stored(state, 2, 0));
        let all = story.now.stored.as_mut().unwrap();
        all.sent = 1;
        all.unsent_turns.extend(is_unsent.then_some(2));
        assert_eq!(story.broken(), expected, "{state:?}");
    }
}

#[test]
fn a_second_answer_is_a_breach_and_so_is_a_strangers_word() {
    let mut story = Story::of(2);
    story.reply(0, &[(0, 0), (0, 1)], 1_300_000);
    story.reply(1, &[(1, 0), (1, 1)], 1_300_000);
    story.reply(1, &[(1, 0), (1, 1)], 1_400_000);
    assert_eq!(story.broken(), [("doubled".to_owned(), 2)]);
    let mut story = Story::of(2);
    story.reply(0, &[(0, 0), (0, 1), (1, 1)], 1_300_000);
    story.reply(1, &[(1, 0)], 1_300_000);
    assert!(story.broken().contains(&("cross_user".to_owned(), 1)), "{:?}", story.broken());
}

#[test]
fn a_burst_is_split_only_where_nothing_excuses_it() {
    let split = |change: &dyn Fn(&mut Story)| {
        let mut story = Story::of(1);
        story.reply(0, &[(0, 0)], 1_250_000);
        story.reply(0, &[(0, 1)], 1_500_000);
        change(&mut story);
        story.broken()
    };
    assert_eq!(split(&|_| {}), one("split"));
    let with_receipts = |story: &mut Story, gap_ms: i64, alone: bool, size: usize| {
        story.store(0, 0, StoredMessage { alone, ..stored(StoredState::Answered, 1, 10_000) });
        story.store(0, 1, stored(StoredState::Answered, 2, 10_000 + gap_ms));
        let all = story.now.stored.as_mut().unwrap();
        (all.sent, all.turn_sizes) = (2, HashMap::from([(1, size), (2, 1)]));
    };
    assert_eq!(split(&|story| with_receipts(story, 199, false, 1)), one("split"));
    assert_eq!(
        split(&|story| with_receipts(story, 200, false, 1)),
        [],
        "received too late for the same batch"
    );
    assert_eq!(split(&|story| with_receipts(story, 50, true, 1)), [], "its batch had failed");
    assert_eq!(split(&|story| with_receipts(story, 50, false, 20)), [], "the batch was full");
    assert_eq!(split(&|story| story.now.kills.push(1_051_000)), [], "killed before all was acknowledged");
    assert_eq!(split(&|story| story.now.kills.push(1_060_000)), one("split"), "all was acknowledged before");
}

#[test]
fn thoughts_may_meet_but_not_once_the_turn_of_the_first_has_begun() {
    let meet = |is_begun: bool| {
        let mut story = Story::of(1);
        story.write(0, 1, 2_000_000);
        if is_begun {
            let text = story.bursts[0].messages[1].text.clone();
            story.ledger.prompted([&*text].into_iter(), 1_300_000, 0);
        }
        story.reply(0, &[(0, 0), (0, 1), (1, 0), (1, 1)], 2_300_000);
        story.broken()
    };
    assert_eq!(meet(false), []);
    assert_eq!(meet(true), one("merged"));
}

#[test]
fn order_counts_across_seconds_and_across_replies() {
    let mut story = Story::of(1);
    story.reply(0, &[(0, 1), (0, 0)], 1_300_000);
    assert_eq!(story.broken(), [], "both were written in one second");
    let mut story = Story::of(1);
    story.ledger.sent(0, 1, 1_050_000, 99);
    story.reply(0, &[(0, 1), (0, 0)], 1_300_000);
    assert_eq!(story.broken(), one("reordered"));
    let mut story = Story::of(1);
    story.write(0, 1, 5_000_000);
    story.reply(0, &[(1, 0), (1, 1)], 5_300_000);
    story.reply(0, &[(0, 0), (0, 1)], 5_400_000);
    assert_eq!(story.broken(), one("reordered"), "the second thought was answered first");
}

#[test]
fn the_books_must_say_what_the_provider_says() {
    let books = |sent: u64, ambiguous: u64, differences: Vec<String>| {
        let mut story = Story::of(1);
        story.reply(0, &[(0, 0), (0, 1)], 1_300_000);
        story.store(0, 0, stored(StoredState::Answered, 1, 0));
        story.store(0, 1, stored(StoredState::Answered, 1, 50));
        let all = story.now.stored.as_mut().unwrap();
        (all.sent, all.ambiguous, all.differences) = (sent, ambiguous, differences);
        story.broken()
    };
    assert_eq!(books(1, 0, vec![]), []);
    assert_eq!(books(0, 1, vec![]), []);
    assert_eq!(books(0, 0, vec![]), one("books"), "the provider accepted one more");
    assert_eq!(books(2, 0, vec![]), one("books"), "one never arrived");
    assert_eq!(books(1, 0, vec!["received 3, 2 rows".into()]), one("books"));
    let mut story = Story::of(1);
    story.reply(0, &[(0, 0), (0, 1)], 1_300_000);
    story.store(0, 0, stored(StoredState::Answered, 1, 0));
    story.now.stored.as_mut().unwrap().sent = 1;
    assert_eq!(story.broken(), one("books"), "an acknowledged message is not in the database");
}
