//! Whether a record of what was written, acknowledged, asked, replied and stored keeps the promises. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tertulia_actors::domain::{Books, Timestamp};

use super::order;
use super::trace::Tokens;
use crate::load::bursts::{Person, Token};

/// When batches close, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) quiet_ms: i64,
    pub(super) max_wait_ms: i64,
    pub(super) max_messages: usize,
    /// How long after its receipt a message may be answered.
    pub(super) patience_ms: i64,
}

/// A message as stored.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) token: Option<Token>,
    pub(super) conversation: String,
    pub(super) received: i64,
    pub(super) receipt_seq: i64,
    pub(super) state: String,
    pub(super) turn: Option<String>,
    /// It ran by itself, after a batch that failed too often.
    pub(super) alone: bool,
}

/// A turn as stored.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) conversation: String,
    pub(super) state: String,
    pub(super) ended: Option<i64>,
}

/// A part of a reply as stored.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) conversation: String,
    pub(super) turn: String,
    pub(super) position: i64,
    pub(super) state: String,
    pub(super) tokens: Vec<Token>,
}

/// A call of the model.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    pub(super) conversation: String,
    pub(super) asked: Timestamp,
    /// None where the server died first.
    pub(super) ended: Option<Timestamp>,
    pub(super) text: Vec<Token>,
    pub(super) history: Vec<Token>,
}

/// A part that the channel accepted.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) at: Timestamp,
    pub(super) part: String,
    pub(super) address: String,
    pub(super) tokens: Vec<Token>,
}

/// Everything that is known at the end.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) limits: Limits,
    /// Every message that was written, and whether it was acknowledged.
    pub(super) written: Vec<(Token, bool)>,
    pub(super) messages: Vec<Message>,
    /// By position.
    pub(super) turns: Vec<Turn>,
    /// By position.
    pub(super) parts: Vec<Part>,
    pub(super) prompts: Vec<Prompt>,
    /// In the order in which they were accepted.
    pub(super) accepted: Vec<Accepted>,
    /// Counted in one read transaction each; the last one at the end.
    pub(super) books: Vec<(Timestamp, Books)>,
    /// Whether the model may have failed a turn, which is answered with a phrase then.
    pub(super) model_fails: bool,
    /// What must not happen at all: panics, the server ending itself, a damaged database.
    pub(super) oddities: Vec<String>,
}

/// A promise that was not kept, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What kind of breach it is: `lost`, `late`, `doubled`, `foreign`, `reordered`, `split`, `merged`, `books`, `odd`.
    pub kind: &'static str,
    /// The case.
    pub what: String,
}

/// Collects breaches.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, kind: &'static str, what: String) {
        self.0.push(Finding { kind, what });
    }
}

/// All breaches.
pub(super) fn check(record: &Record) -> Vec<Finding> {
    let mut findings = Findings::default();
    lost(record, &mut findings);
    doubled(record, &mut findings);
    replies(record, &mut findings);
    foreign(record, &mut findings);
    order::check(record, &mut findings);
    books(record, &mut findings);
    for oddity in &record.oddities {
        findings.add("odd", oddity.clone());
    }
    findings.0
}

/// Promise A: what was acknowledged is stored, and everything stored has ended.
fn lost(record: &Record, findings: &mut Findings) {
    let stored: BTreeSet<Token> = record.messages.iter().filter_map(|message| message.token).collect();
    for (token, is_acknowledged) in &record.written {
        if *is_acknowledged && !stored.contains(token) {
            findings.add("lost", format!("{} was acknowledged and is not stored", Tokens(&[*token])));
        }
        if !is_acknowledged {
            findings.add("lost", format!("{} was never acknowledged", Tokens(&[*token])));
        }
    }
    for message in record.messages.iter().filter(|message| message.state == "pending") {
        findings.add("lost", format!("{} still waits at the end", name(message)));
    }
    for part in record.parts.iter().filter(|part| matches!(part.state.as_str(), "pending" | "sending")) {
        findings.add("lost", format!("part {} of turn {} is still {}", part.id, part.turn, part.state));
    }
}

fn name(message: &Message) -> String {
    message.token.map_or_else(
        || format!("message {} of {}", message.receipt_seq, message.conversation),
        |t| Tokens(&[t]).to_string(),
    )
}

/// Promise B: nothing is stored, or accepted by the channel, twice.
fn doubled(record: &Record, findings: &mut Findings) {
    let mut stored = BTreeSet::new();
    for token in record.messages.iter().filter_map(|message| message.token) {
        if !stored.insert(token) {
            findings.add("doubled", format!("{} is stored twice", Tokens(&[token])));
        }
    }
    let (mut parts, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    for accepted in &record.accepted {
        if !parts.insert(&accepted.part) {
            findings.add("doubled", format!("part {} was accepted twice", accepted.part));
        }
        for token in &accepted.tokens {
            if !tokens.insert(*token) {
                findings.add("doubled", format!("{} was answered twice", Tokens(&[*token])));
            }
        }
    }
}

/// Promises A and B, message by message: a turn that answers has a reply, with just its own words, and each part's state is
/// what the channel knows of it.
fn replies(record: &Record, findings: &mut Findings) {
    let accepted: BTreeSet<&str> = record.accepted.iter().map(|accepted| accepted.part.as_str()).collect();
    for part in &record.parts {
        let is_accepted = accepted.contains(part.id.as_str());
        match (part.state.as_str(), is_accepted) {
            ("sent" | "delivered" | "read", false) => {
                findings.add("lost", format!("part {} is {} and was never accepted", part.id, part.state));
            }
            ("failed", true) => findings.add("odd", format!("part {} was accepted and has failed", part.id)),
            _ => {}
        }
    }
    let mut of_turn: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in &record.messages {
        match (&message.turn, message.state.as_str()) {
            (Some(turn), "answered" | "dead_lettered") => of_turn.entry(turn).or_default().push(message),
            (None, "answered" | "dead_lettered") => {
                findings.add("odd", format!("{} is {} in no turn", name(message), message.state));
            }
            _ => {}
        }
    }
    for (turn, messages) in of_turn {
        let parts: Vec<_> = record.parts.iter().filter(|part| part.turn == turn).collect();
        let mut said: Vec<_> = parts.iter().flat_map(|part| part.tokens.iter().copied()).collect();
        let mut asked: Vec<_> = messages.iter().filter_map(|message| message.token).collect();
        said.sort_unstable();
        asked.sort_unstable();
        if parts.is_empty() {
            findings.add("lost", format!("turn {turn} answers {} without a reply", Tokens(&asked)));
        } else if said != asked && !(said.is_empty() && record.model_fails) {
            let (asked, said) = (Tokens(&asked), Tokens(&said));
            findings.add("lost", format!("turn {turn} answers {asked} with {said}"));
        }
    }
}

/// Promise D: no token is where its person is not.
fn foreign(record: &Record, findings: &mut Findings) {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &record.messages {
        let Some(token) = message.token else { continue };
        let owner = *owners.entry(&message.conversation).or_insert(token.person);
        if owner != token.person {
            let who = Tokens(&[token]).to_string();
            findings.add("foreign", format!("{who} is stored in the conversation of person {owner}"));
        }
    }
    let is_foreign = |conversation: &str, tokens: &[Token]| {
        let owner = owners.get(conversation);
        tokens.iter().any(|token| Some(&token.person) != owner)
    };
    for prompt in &record.prompts {
        for (tokens, place) in [(&prompt.text, "text"), (&prompt.history, "history")] {
            if is_foreign(&prompt.conversation, tokens) {
                let conversation = &prompt.conversation;
                findings
                    .add("foreign", format!("a prompt of {conversation} has {} as {place}", Tokens(tokens)));
            }
        }
    }
    for accepted in &record.accepted {
        let is_other = |token: &&Token| Person::new(token.person).address() != accepted.address;
        if let Some(token) = accepted.tokens.iter().find(is_other) {
            let (who, address) = (Tokens(std::slice::from_ref(token)), &accepted.address);
            findings.add("foreign", format!("{who} was sent to {address} in part {}", accepted.part));
        }
    }
    for part in record.parts.iter().filter(|part| is_foreign(&part.conversation, &part.tokens)) {
        findings.add(
            "foreign",
            format!("part {} of {} has {}", part.id, part.conversation, Tokens(&part.tokens)),
        );
    }
}

/// Promise H.
fn books(record: &Record, findings: &mut Findings) {
    for (at, books) in record.books.iter().filter(|(_, books)| !books.balance()) {
        findings.add("books", format!("at {} they do not balance: {books:?}", at.rfc3339()));
    }
    let Some((_, last)) = record.books.last() else {
        return findings.add("books", "they were never counted".into());
    };
    let stored = i64::try_from(record.messages.len()).unwrap_or(i64::MAX);
    if last.received != stored {
        findings.add("books", format!("{} were received, {stored} are stored", last.received));
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
