//! People who write a thought in several short messages, and the webhooks that bring them.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::prng::Prng;
use crate::secret::hex;

/// A person who writes on WhatsApp. A third has a phone number and a user id, a third only the one, a third only the other.
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
        let phone = (number % 3 != 2).then(|| format!("9665{number:08}"));
        let user_id = (number % 3 != 1).then(|| format!("SA.9{number:012}"));
        Self { number, phone, user_id, name: format!("Person {number}") }
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

    fn parse(word: &str, run: &str) -> Option<Self> {
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
    /// The messages, 1 to 5, 20 to 100 ms apart.
    pub messages: Vec<BurstMessage>,
}

/// Makes bursts. The same seed and run give the same bursts, in whichever order they are asked for.
#[derive(Clone, Debug)]
pub struct Bursts {
    seed: u64,
    run: String,
}

/// What people begin their messages with; the words must not match a stored answer by themselves.
const OPENINGS: [&str; 6] = ["please note", "about", "regarding", "بخصوص", "لو سمحت", "one more thing"];

impl Bursts {
    /// Bursts of one run; `run` is part of every token and id, and has no spaces.
    #[must_use]
    pub fn new(seed: u64, run: impl Into<String>) -> Self {
        Self { seed, run: run.into() }
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
        let count = usize::try_from(prng.between(1, 5)).unwrap_or(1);
        let messages = (0..count).map(|message| {
            let token = Token { person, burst: number, message };
            let opening = usize::try_from(prng.next() % OPENINGS.len() as u64).unwrap_or(0);
            let mark = token.text(&self.run);
            let gap = if message == 0 { Duration::ZERO } else { prng.millis(20, 100) };
            BurstMessage {
                id: format!("wamid.{mark}"),
                token,
                text: format!("{} {mark}", OPENINGS[opening]),
                gap,
            }
        });
        Burst { person: Person::new(person), number, messages: messages.collect() }
    }
}

/// The business's phone number, as payloads name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Business {
    /// The account.
    pub phone_number_id: String,
    /// The number people dial.
    pub display_phone_number: String,
}

impl Default for Business {
    fn default() -> Self {
        Self { phone_number_id: "106540352242922".into(), display_phone_number: "15550783881".into() }
    }
}

impl Business {
    /// The body of a webhook that brings messages of one person, as the Cloud API writes it.
    #[must_use]
    pub fn webhook_body(&self, person: &Person, messages: &[BurstMessage], written_at_s: i64) -> Vec<u8> {
        let mut contact = json!({"profile": {"name": person.name}});
        if let Some(phone) = &person.phone {
            contact["wa_id"] = json!(phone);
        }
        if let Some(user_id) = &person.user_id {
            contact["user_id"] = json!(user_id);
        }
        let messages: Vec<Value> =
            messages.iter().map(|message| message_json(person, message, written_at_s)).collect();
        self.envelope(&json!({"contacts": [contact], "messages": messages}))
    }

    /// The body of a webhook around what a change tells.
    #[must_use]
    pub fn envelope(&self, told: &Value) -> Vec<u8> {
        let mut value = told.clone();
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] = json!({
            "display_phone_number": self.display_phone_number,
            "phone_number_id": self.phone_number_id,
        });
        let change = json!({"field": "messages", "value": value});
        let entry = json!({"id": "102290129340398", "changes": [change]});
        json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string().into_bytes()
    }
}

fn message_json(person: &Person, message: &BurstMessage, written_at_s: i64) -> Value {
    let mut json = json!({
        "id": message.id,
        "timestamp": written_at_s.to_string(),
        "type": "text",
        "text": {"body": message.text},
    });
    if let Some(phone) = &person.phone {
        json["from"] = json!(phone);
    }
    if let Some(user_id) = &person.user_id {
        json["from_user_id"] = json!(user_id);
    }
    json
}

/// The value of `X-Hub-Signature-256` for a body.
#[must_use]
pub fn sign(app_secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::whatsapp::WhatsappInbound;
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
