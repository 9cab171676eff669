//! People who write a thought in several short messages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prng::Prng;
use super::texts::{Texts, text};

/// How people write. Ranges are from the least to the most, both included.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Writing {
    /// Messages in a burst.
    pub messages: [u64; 2],
    /// Milliseconds between two messages of a burst.
    pub gap_ms: [u64; 2],
    /// What they write.
    pub texts: Texts,
    /// How the provider names them.
    pub identity: Identity,
}

impl Default for Writing {
    fn default() -> Self {
        Self { messages: [1, 5], gap_ms: [20, 100], texts: Texts::default(), identity: Identity::default() }
    }
}

/// How the provider names people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A third by phone number and user id, a third only by the one, a third only by the other.
    #[default]
    Mixed,
    /// All by phone number alone, as before there were user ids; older servers know nothing else.
    Phone,
}

/// A person who writes on WhatsApp.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// The number of the person.
    pub number: usize,
    /// The phone number in digits.
    pub phone: Option<String>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
    /// The name of the profile.
    pub name: String,
}

impl Person {
    /// The person with this number; always the same.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self::named(number, Identity::Mixed)
    }

    /// The same, named in a certain way.
    #[must_use]
    pub fn named(number: usize, identity: Identity) -> Self {
        let (has_phone, has_user_id) = match identity {
            Identity::Mixed => (number % 3 != 2, number % 3 != 1),
            Identity::Phone => (true, false),
        };
        let phone = has_phone.then(|| format!("9665{number:08}"));
        let user_id = has_user_id.then(|| format!("SA.9{number:012}"));
        Self { number, phone, user_id, name: format!("Person {number}") }
    }

    /// The number of the person with this address; the reverse of [`Self::address`].
    #[must_use]
    pub fn number_of(address: &str) -> Option<usize> {
        address.strip_prefix("9665").or_else(|| address.strip_prefix("SA.9"))?.parse().ok()
    }

    /// How a reply to this person is addressed: by phone where it is known.
    #[must_use]
    pub fn address(&self) -> &str {
        self.phone.as_deref().or(self.user_id.as_deref()).unwrap_or_default()
    }
}

/// What marks a text as the words of one person, one burst and one message: `u17-b3-m2-<run>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token {
    /// The person.
    pub person: usize,
    /// The burst of that person.
    pub burst: usize,
    /// The message of that burst.
    pub message: usize,
}

impl Token {
    /// The token as it stands in a text.
    #[must_use]
    pub fn text(self, run: &str) -> String {
        format!("u{}-b{}-m{}-{run}", self.person, self.burst, self.message)
    }

    /// All tokens of a run in a text, in order.
    #[must_use]
    pub fn find_all(text: &str, run: &str) -> Vec<Self> {
        text.split_whitespace().filter_map(|word| Self::parse(word, run)).collect()
    }

    /// The token that is this word.
    pub(super) fn parse(word: &str, run: &str) -> Option<Self> {
        let mut fields = word.strip_suffix(run)?.strip_suffix('-')?.split('-');
        let mut field = |letter: char| fields.next()?.strip_prefix(letter)?.parse().ok();
        let token = Self { person: field('u')?, burst: field('b')?, message: field('m')? };
        fields.next().is_none().then_some(token)
    }
}

/// One message of a burst.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BurstMessage {
    /// The provider's id.
    pub id: String,
    /// What marks its words.
    pub token: Token,
    /// Its text, with the token in it.
    pub text: String,
    /// How long after the message before it was written.
    pub gap: Duration,
}

/// A thought in several messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Burst {
    /// Who writes.
    pub person: Person,
    /// The number of the burst of this person.
    pub number: usize,
    /// The messages, with the pauses between them.
    pub messages: Vec<BurstMessage>,
}

/// Makes bursts. The same seed, run and way of writing give the same bursts, in whichever order they are asked for.
#[derive(Clone, Debug)]
pub struct Bursts {
    seed: u64,
    run: String,
    writing: Writing,
}

impl Bursts {
    /// Bursts of one run; `run` is part of every token and id, and has no spaces.
    #[must_use]
    pub fn new(seed: u64, run: impl Into<String>) -> Self {
        Self { seed, run: run.into(), writing: Writing::default() }
    }

    /// The same, written in a certain way.
    #[must_use]
    pub const fn written(mut self, writing: Writing) -> Self {
        self.writing = writing;
        self
    }

    /// The name of the run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// A burst of a person.
    #[must_use]
    pub fn burst(&self, person: usize, number: usize) -> Burst {
        let stream = (person as u64) << 24 | number as u64;
        let mut prng = Prng::derived(self.seed, stream);
        let ([fewest, most], [shortest, longest]) = (self.writing.messages, self.writing.gap_ms);
        let count = usize::try_from(prng.between(fewest, most)).unwrap_or(1);
        let messages = (0..count).map(|message| {
            let token = Token { person, burst: number, message };
            let mark = token.text(&self.run);
            let text = text(self.writing.texts, &mark, &mut prng);
            let gap = if message == 0 { Duration::ZERO } else { prng.millis(shortest, longest) };
            BurstMessage { id: format!("wamid.{mark}"), token, text, gap }
        });
        let person = Person::named(person, self.writing.identity);
        Burst { messages: messages.collect(), person, number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::whatsapp::WhatsappInbound;
    use crate::load::payloads::{Business, sign};
    use tertulia_actors::domain::{Receipt, Tick, Timestamp};
    use tertulia_actors::ports::{InboundChannel, ReceiptSource};

    struct Fixed;

    impl ReceiptSource for Fixed {
        fn receipt(&self) -> Receipt {
            Receipt { at: Timestamp(0), tick: Tick(0), seq: 0 }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bursts_in_any_order() {
        let (one, two) = (Bursts::new(1, "r"), Bursts::new(1, "r"));
        let (a, b) = (one.burst(3, 1), one.burst(4, 0));
        assert_eq!((two.burst(4, 0), two.burst(3, 1)), (b, a));
        let sizes: std::collections::BTreeSet<_> = (0..100).map(|n| one.burst(n, 0).messages.len()).collect();
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn people_are_known_by_their_addresses() {
        for identity in [Identity::Mixed, Identity::Phone] {
            for number in [0, 1, 2, 99_999] {
                assert_eq!(Person::number_of(Person::named(number, identity).address()), Some(number));
            }
        }
        assert_eq!(Person::number_of("4915112345"), None);
    }

    #[test]
    fn people_write_as_they_are_told() {
        let writing = Writing { messages: [2, 2], gap_ms: [7, 7], ..Writing::default() };
        let burst = Bursts::new(1, "r").written(writing).burst(0, 0);
        let gaps: Vec<_> = burst.messages.iter().map(|message| message.gap.as_millis()).collect();
        assert_eq!(gaps, [0, 7]);
    }

    #[test]
    fn tokens_are_found_in_a_text_and_those_of_other_runs_are_not() {
        let token = Token { person: 17, burst: 3, message: 2 };
        let text = format!("about {}\nplease u1-b1-m1-other u1-b1-run u1-b1-m1-m2-run", token.text("run"));
        assert_eq!(Token::find_all(&text, "run"), [token]);
    }

    #[test]
    fn the_channel_accepts_what_the_generator_signs_and_reads_its_people() {
        let channel = WhatsappInbound::new(&"v".into(), &"secret".into());
        let bursts = Bursts::new(9, "run");
        for number in 0..30 {
            let burst = bursts.burst(number, 0);
            let body = Business::default().webhook_body(&burst.person, &burst.messages, 1_749_416_383);
            assert!(channel.verifies(Some(&sign("secret", &body)), &body));
            let admission = channel.read(&body, &Fixed);
            assert_eq!(admission.quarantined, []);
            assert_eq!(admission.messages.len(), burst.messages.len());
            for (read, written) in admission.messages.iter().zip(&burst.messages) {
                assert_eq!(read.text.as_deref(), Some(written.text.as_str()));
                assert_eq!(read.provider_id, written.id);
                assert_eq!(
                    (&read.sender.phone, &read.sender.user_id),
                    (&burst.person.phone, &burst.person.user_id)
                );
            }
        }
    }
}
