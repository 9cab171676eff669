//! Promise C, and when batches close: the part of the checks that is about order and time. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::check::{Accepted, Findings, Limits, Message, Record, Turn};
use super::trace::Tokens;

/// All breaches of order.
pub(super) fn check(record: &Record, findings: &mut Findings) {
    parts_in_order(record, findings);
    one_turn_at_a_time(record, findings);
    late(record, findings);
    let mut conversations: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in &record.messages {
        conversations.entry(&message.conversation).or_default().push(message);
    }
    for (conversation, mut messages) in conversations {
        messages.sort_by_key(|message| message.receipt_seq);
        let turns: Vec<_> = record.turns.iter().filter(|turn| turn.conversation == conversation).collect();
        batches(record, &turns, &messages, findings);
    }
}

/// Parts of one conversation are accepted in the order in which they were stored.
fn parts_in_order(record: &Record, findings: &mut Findings) {
    let positions: BTreeMap<&str, (&str, i64)> = record
        .parts
        .iter()
        .map(|part| (part.id.as_str(), (part.conversation.as_str(), part.position)))
        .collect();
    let mut last: BTreeMap<&str, (i64, &Accepted)> = BTreeMap::new();
    for accepted in &record.accepted {
        let Some((conversation, position)) = positions.get(accepted.part.as_str()) else {
            findings.add("odd", format!("part {} was accepted and is not stored", accepted.part));
            continue;
        };
        if let Some((before, other)) = last.insert(conversation, (*position, accepted))
            && before > *position
        {
            let (part, other, at) = (&accepted.part, &other.part, accepted.at.rfc3339());
            findings.add("reordered", format!("part {part} was accepted after part {other}, at {at}"));
        }
    }
}

/// The model is asked for one turn of a conversation at a time.
fn one_turn_at_a_time(record: &Record, findings: &mut Findings) {
    let mut last = BTreeMap::new();
    for prompt in &record.prompts {
        let before = last.insert(prompt.conversation.as_str(), prompt);
        if before.and_then(|before| before.ended).is_some_and(|ended| ended > prompt.asked) {
            let (who, at) = (Tokens(&prompt.text), prompt.asked.rfc3339());
            findings.add("reordered", format!("{who} was asked at {at} during another turn"));
        }
    }
}

/// Nothing waits until something else happens to wake it.
fn late(record: &Record, findings: &mut Findings) {
    let ends: BTreeMap<&str, i64> =
        record.turns.iter().filter_map(|turn| Some((turn.id.as_str(), turn.ended?))).collect();
    for message in &record.messages {
        let ended = message.turn.as_deref().and_then(|turn| ends.get(turn));
        let took = ended.map_or(0, |ended| ended - message.received);
        if let Some(token) = message.token.filter(|_| took > record.limits.patience_ms) {
            findings.add("late", format!("{} was answered {took} ms after it came", Tokens(&[token])));
        }
    }
}

/// Whether the messages of a conversation, in order of receipt, are in the turns in which their receipts put them.
fn batches(record: &Record, turns: &[&Turn], messages: &[&Message], findings: &mut Findings) {
    let place = |message: &Message| {
        message.turn.as_deref().and_then(|id| turns.iter().position(|turn| turn.id == id))
    };
    // What is in no turn was not gathered.
    let placed: Vec<_> =
        messages.iter().filter_map(|message| place(message).map(|place| (place, *message))).collect();
    let Some((_, mut begins)) = placed.first().copied() else { return };
    let mut count = 1;
    for pair in placed.windows(2) {
        let [(here, one), (there, other)] = [pair[0], pair[1]];
        if !one.alone && !other.alone {
            let so_far = Batch { begins, count, floor: ended_before(turns, here) };
            if let Some(kind) = so_far.judge(one, other, there.cmp(&here), record.limits) {
                let tokens: Vec<_> = [one, other].iter().filter_map(|message| message.token).collect();
                let (who, gap) = (Tokens(&tokens).to_string(), other.received - one.received);
                findings.add(kind, format!("{who}, received {gap} ms apart, in turns {here} and {there}"));
            }
        }
        if here == there {
            count += 1;
        } else {
            (begins, count) = (other, 1);
        }
    }
}

/// When the last turn ended that was committed before this one.
fn ended_before(turns: &[&Turn], place: usize) -> Option<i64> {
    turns[..place].iter().rev().find(|turn| turn.state == "committed").and_then(|turn| turn.ended)
}

/// A batch, up to a message.
struct Batch<'a> {
    begins: &'a Message,
    count: usize,
    /// The end of the turn before.
    floor: Option<i64>,
}

impl Batch<'_> {
    /// What is wrong with `other`, which was received next after the batch's last message `one`, being in the same turn or in
    /// another one.
    fn judge(&self, one: &Message, other: &Message, turn: Ordering, limits: Limits) -> Option<&'static str> {
        let floor = self.floor.unwrap_or(self.begins.received);
        let hard = self.begins.received.max(floor) + limits.max_wait_ms;
        let closes = (one.received + limits.quiet_ms).min(hard).max(floor);
        let is_open = other.received < closes && self.count < limits.max_messages;
        match turn {
            Ordering::Less => Some("reordered"),
            Ordering::Equal if !is_open => Some("merged"),
            Ordering::Greater if is_open => Some("split"),
            Ordering::Equal | Ordering::Greater => None,
        }
    }
}
