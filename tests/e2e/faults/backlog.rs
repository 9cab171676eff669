//! Far more messages than can be answered at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tertulia::load::bursts::{Burst, BurstMessage, Person, Token};
use tertulia::load::payloads::Business;

use super::{Recovery, bursts, check_promises, forget_peak, memory, play};
use crate::support::{Bench, run};

/// Conversations, each of so many messages: 100,000 in all.
const PEOPLE: usize = 10_000;
const EACH: usize = 10;
/// Messages in one webhook.
const WEBHOOK: usize = 500;

/// A burst of a person as a provider would resend it after an outage: everything at once.
fn burst(person: usize) -> Burst {
    let message = |message| {
        let token = Token { person, burst: 1, message };
        let mark = token.text("backlog");
        BurstMessage {
            id: format!("wamid.{mark}"),
            token,
            text: format!("about {mark}"),
            gap: Duration::ZERO,
        }
    };
    Burst { person: Person::new(person), number: 1, messages: (0..EACH).map(message).collect() }
}

/// A webhook with the messages of many people.
fn webhook(bursts: &[Burst]) -> Vec<u8> {
    let (mut contacts, mut messages) = (vec![], vec![]);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(since).expect("a time within this age");
    for burst in bursts {
        let body = Business::default().webhook_body(&burst.person, &burst.messages, now);
        let body: Value = serde_json::from_slice(&body).expect("our own JSON");
        let value = &body["entry"][0]["changes"][0]["value"];
        contacts.extend(value["contacts"].as_array().cloned().unwrap_or_default());
        messages.extend(value["messages"].as_array().cloned().unwrap_or_default());
    }
    Business::default().envelope(&json!({"contacts": contacts, "messages": messages}))
}

#[test]
fn one_hundred_thousand_messages_for_a_shard_that_stands_still_are_all_answered_when_it_goes_on() {
    run(async {
        let mut bench = Bench::new();
        bench.set("runtime.shards", "1");
        let server = bench.start().await;
        bench.failpoints("turn.started=1*hold");
        let first = bursts("backlog", 1, 0);
        play(&bench, &first).await;
        bench.wait_for("SELECT count(*) FROM turns WHERE state = 'running'", 1).await;
        let before = memory(&server, "RssAnon");
        forget_peak(&server);
        let all: Vec<_> = (0..PEOPLE).map(burst).collect();
        let sender = bench.sender();
        let admitting = Recovery::from("100,000 messages admitted");
        stream::iter(all.chunks(WEBHOOK / EACH))
            .map(|some| sender.deliver_body(webhook(some)))
            .buffer_unordered(16)
            .for_each(|delivered| async { delivered.expect("acknowledged") })
            .await;
        admitting.within(Duration::from_secs(30));
        let books = bench.books();
        assert!(books.balance() && books.answered == 0, "the shard did not stand still: {books:?}");
        assert_eq!(bench.count("SELECT count(*) FROM messages WHERE state = 'pending'"), books.received);
        bench.failpoints("");
        let recovery = Recovery::from("a shard stood still before 100,000 messages");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(50));
        let grown = memory(&server, "VmHWM").saturating_sub(before);
        eprintln!("FAULT 100,000 messages: {} MiB more at the peak", grown >> 20);
        assert!(grown < 512 << 20, "{} MiB more at the peak", grown >> 20);
        let everything: Vec<_> = first.into_iter().chain(all).collect();
        check_promises(&bench, &everything, "backlog");
    });
}
