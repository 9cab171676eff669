//! People who write over days, and the webhooks that bring what they write.

use std::rc::Rc;
use std::time::Duration;

use tertulia_actors::domain::{PartId, Timestamp};

use super::chance::{Dice, Of};
use super::faults::{Fault, Faults};
use crate::load::bursts::{Burst, BurstMessage, Bursts, Token};
use crate::load::payloads::Business;
use crate::load::prng::Prng;

/// A simulated day in milliseconds.
pub(super) const DAY_MS: i64 = 86_400_000;

/// How busy each hour of the day is: people sleep, and write most in the evening.
const HOURS: [u64; 24] =
    [2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 12, 12, 11, 11, 12, 13, 14, 16, 18, 20, 16, 10, 5];

/// What a webhook brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Brings {
    /// Messages of one person.
    Messages(Vec<Token>),
    /// What became of a part.
    Status { part: PartId, status: &'static str },
}

/// A webhook of the provider.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) body: Rc<[u8]>,
    pub(super) brings: Brings,
    /// When it is posted: the first time, and again although it was acknowledged.
    pub(super) posts: Vec<Timestamp>,
}

/// Everything that people write in so many days from `begin` on, in the order in which it comes.
pub(super) fn plan(
    (seed, run): (u64, &str),
    (users, days): (usize, u32),
    begin: Timestamp,
    faults: &Faults,
) -> Vec<Webhook> {
    let bursts = Bursts::new(seed, run);
    let mut webhooks = vec![];
    for person in 0..users {
        let dice = Dice::new(seed, Of::People, u32::try_from(person).unwrap_or(u32::MAX));
        let mut prng = dice.roll().1;
        for (number, at) in times(days, begin, &mut prng).into_iter().enumerate() {
            let burst = bursts.burst(person, number);
            webhooks.extend(webhooks_of(&burst, at, faults, &mut prng));
        }
    }
    webhooks.sort_by_key(|webhook| webhook.posts.first().copied());
    webhooks
}

/// When one person begins a burst, in order. Some write again while they are being answered.
fn times(days: u32, begin: Timestamp, prng: &mut Prng) -> Vec<Timestamp> {
    let mut times = vec![];
    for day in 0..i64::from(days) {
        for _ in 0..prng.between(1, 5) {
            let mut at = begin.0 + day * DAY_MS + hour(prng) * 3_600_000 + ms(prng, 0, 3_599_999);
            times.push(Timestamp(at));
            while prng.chance(0.3) {
                at += ms(prng, 800, 25_000);
                times.push(Timestamp(at));
            }
        }
    }
    times.sort_unstable();
    times
}

/// An hour of the day.
fn hour(prng: &mut Prng) -> i64 {
    let mut left = prng.next() % HOURS.iter().sum::<u64>();
    let found = HOURS.iter().position(|weight| {
        let is_here = left < *weight;
        left = left.saturating_sub(*weight);
        is_here
    });
    i64::try_from(found.unwrap_or(12)).unwrap_or(12)
}

/// Milliseconds in `low..=high`.
fn ms(prng: &mut Prng, low: u64, high: u64) -> i64 {
    i64::try_from(prng.between(low, high)).unwrap_or(i64::MAX)
}

/// The webhooks of one burst: mostly one for each message. How fast the person types is drawn, too: from a program's pace to
/// one at which a burst is no burst any more.
fn webhooks_of(burst: &Burst, at: Timestamp, faults: &Faults, prng: &mut Prng) -> Vec<Webhook> {
    const PACES: [u32; 5] = [1, 10, 20, 30, 45];
    let pace = PACES[usize::try_from(prng.next() % 5).unwrap_or(0)];
    let mut written = at;
    let mut webhooks = vec![];
    let mut messages = burst.messages.as_slice();
    while !messages.is_empty() {
        let together = if messages.len() > 1 && prng.chance(0.2) { 2 } else { 1 };
        let (these, rest) = messages.split_at(together);
        for message in these {
            written = later(written, message.gap * pace);
        }
        webhooks.push(webhook(burst, these, written, faults, prng));
        messages = rest;
    }
    webhooks
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

fn webhook(
    burst: &Burst,
    messages: &[BurstMessage],
    written: Timestamp,
    faults: &Faults,
    prng: &mut Prng,
) -> Webhook {
    let body = Business::default().webhook_body(&burst.person, messages, written.0 / 1_000);
    let mut at = written.0 + ms(prng, 5, 80);
    if faults.has(Fault::Shuffle) && prng.chance(0.3) {
        at += ms(prng, 0, 4_000);
    }
    if faults.has(Fault::Late) && prng.chance(0.03) {
        at += ms(prng, 3_600_000, 6 * 3_600_000);
    }
    let mut posts = vec![Timestamp(at)];
    while faults.has(Fault::Redeliver) && posts.len() < 5 && prng.chance(0.15) {
        // At once, while the first is being stored, or long after its answer was sent.
        let again = [0, ms(prng, 0, 20), ms(prng, 1_000, 10_000), ms(prng, 60_000, 86_400_000)];
        posts.push(Timestamp(at + again[usize::try_from(prng.next() % 4).unwrap_or(0)]));
    }
    let tokens = messages.iter().map(|message| message.token).collect();
    Webhook { body: body.into(), brings: Brings::Messages(tokens), posts }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Timestamp = Timestamp(1_000_000 * DAY_MS);

    fn tokens(webhooks: &[Webhook]) -> Vec<Token> {
        let brought = webhooks.iter().filter_map(|webhook| match &webhook.brings {
            Brings::Messages(tokens) => Some(tokens.clone()),
            Brings::Status { .. } => None,
        });
        brought.flatten().collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_days_and_every_message_is_brought_once() {
        let plan = |seed| plan((seed, "r"), (20, 2), BEGIN, &Faults::all());
        let (one, two, other) = (plan(1), plan(1), plan(2));
        let bodies = |webhooks: &[Webhook]| {
            webhooks.iter().map(|webhook| (webhook.body.to_vec(), webhook.posts.clone())).collect::<Vec<_>>()
        };
        assert_eq!(bodies(&one), bodies(&two));
        assert_ne!(bodies(&one), bodies(&other));
        let mut brought = tokens(&one);
        let count = brought.len();
        brought.sort_unstable();
        brought.dedup();
        assert_eq!(brought.len(), count);
        assert!(one.iter().any(|webhook| webhook.posts.len() > 1));
    }

    #[test]
    fn people_sleep_at_night() {
        let webhooks = plan((3, "r"), (200, 1), BEGIN, &Faults::default());
        let in_hour = |low: i64, high: i64| {
            let hour =
                |webhook: &&Webhook| (low..high).contains(&((webhook.posts[0].0 - BEGIN.0) / 3_600_000));
            webhooks.iter().filter(hour).count()
        };
        assert!(in_hour(1, 5) * 5 < in_hour(18, 22), "{} {}", in_hour(1, 5), in_hour(18, 22));
        assert!(webhooks.iter().all(|webhook| webhook.posts.len() == 1));
    }
}
