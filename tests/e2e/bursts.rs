//! Bursts of many people at once: one turn and one reply for each, and nobody's words in anybody else's answer.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tertulia::load::bursts::{Burst, Bursts, Token};
use tertulia::load::providers::Sent;

use crate::support::{Bench, PATIENCE, run};

/// What was answered, checked against what was written.
pub struct Verdict {
    /// Bursts with no complete answer.
    pub unanswered: Vec<(usize, usize)>,
    /// Tokens that were answered more than once.
    pub doubled: Vec<Token>,
    /// Replies that hold a token of somebody else.
    pub swapped: Vec<String>,
    /// Replies that hold only a part of a burst, or more than one.
    pub split: Vec<String>,
}

/// Judges the channel's log.
pub fn judge(bursts: &[Burst], sent: &[Sent], run: &str) -> Verdict {
    let people: BTreeMap<usize, &Burst> = bursts.iter().map(|burst| (burst.person.number, burst)).collect();
    let written: BTreeMap<(usize, usize), usize> =
        bursts.iter().map(|burst| ((burst.person.number, burst.number), burst.messages.len())).collect();
    let mut answers: BTreeMap<Token, usize> = BTreeMap::new();
    let mut verdict = Verdict { unanswered: vec![], doubled: vec![], swapped: vec![], split: vec![] };
    for reply in sent {
        let tokens = Token::find_all(&reply.text, run);
        for token in &tokens {
            *answers.entry(*token).or_default() += 1;
            let owner = people.get(&token.person).map(|burst| burst.person.address());
            if owner != Some(reply.address()) {
                verdict.swapped.push(reply.text.clone());
            }
        }
        let first = tokens.first().map(|token| (token.person, token.burst));
        let is_whole = first.is_some_and(|first| {
            written.get(&first) == Some(&tokens.len())
                && tokens
                    .iter()
                    .enumerate()
                    .all(|(n, token)| (token.person, token.burst, token.message) == (first.0, first.1, n))
        });
        if !is_whole {
            verdict.split.push(reply.text.clone());
        }
    }
    verdict.doubled = answers.iter().filter(|(_, count)| **count > 1).map(|(token, _)| *token).collect();
    for burst in bursts {
        if burst.messages.iter().any(|message| !answers.contains_key(&message.token)) {
            verdict.unanswered.push((burst.person.number, burst.number));
        }
    }
    verdict
}

/// Counts messages by their relation to the one their sender wrote before: the turns of both, and the milliseconds between
/// the receipts.
pub fn neighbours(condition: &str) -> String {
    format!(
        "SELECT count(*) FROM (SELECT turn_id, lag(turn_id) OVER w AS before, \
         received_tick - lag(received_tick) OVER w AS gap FROM messages \
         WINDOW w AS (PARTITION BY conversation_id ORDER BY receipt_seq)) WHERE {condition}"
    )
}

/// Counts replies of the echoing model whose words are not those of their turn in the promised order: the provider's time, then
/// receipt.
pub const OUT_OF_ORDER: &str = "SELECT count(*) FROM outbox o WHERE text <> (SELECT group_concat(text, char(10)) FROM \
     (SELECT text FROM messages WHERE turn_id = o.turn_id ORDER BY provider_at, receipt_seq))";

#[test]
fn every_burst_of_200_people_is_one_turn_and_one_reply_with_their_own_words() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let made = Bursts::new(7, "burst");
        let bursts: Vec<_> = (0..200).map(|person| made.burst(person, 0)).collect();
        let sender = bench.sender();
        for played in join_all(bursts.iter().map(|burst| sender.play(burst))).await {
            played.expect("acknowledged");
        }
        assert!(bench.providers.wait_for_sent(200, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        let verdict = judge(&bursts, &bench.providers.sent(), "burst");
        assert_eq!(verdict.unanswered, []);
        assert_eq!(verdict.doubled, []);
        assert!(verdict.swapped.is_empty(), "{:?}", verdict.swapped);
        // On a busy machine this generator may itself pause for longer than the quiet period; only then are there two turns.
        assert_eq!(bench.count(&neighbours("before <> turn_id AND gap < 200")), 0, "{:?}", verdict.split);
        assert_eq!(bench.count(OUT_OF_ORDER), 0, "{:?}", verdict.split);
        let paused = bench.count(&neighbours("gap >= 200"));
        assert_eq!(bench.count("SELECT count(*) FROM turns WHERE state = 'committed'"), 200 + paused);
        assert_eq!(i64::try_from(bench.providers.sent_count()), Ok(200 + paused));
        for prompt in bench.providers.prompts() {
            let text: String = prompt.messages.iter().map(|message| message.content.as_str()).collect();
            let mut people: Vec<_> =
                Token::find_all(&text, "burst").iter().map(|token| token.person).collect();
            people.dedup();
            assert_eq!(people.len(), 1, "a prompt holds the words of {people:?}");
        }
        let books = bench.books();
        assert!(books.balance() && books.pending == 0, "{books:?}");
    });
}

#[test]
fn the_same_webhook_five_times_at_once_is_one_row_and_one_turn() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let burst = Bursts::new(1, "five").burst(0, 0);
        let message = &burst.messages[..1];
        let sender = bench.sender();
        for delivered in join_all((0..5).map(|_| sender.deliver(&burst.person, message))).await {
            delivered.expect("acknowledged");
        }
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await);
        bench.wait_until_idle().await;
        assert_eq!(bench.count("SELECT count(*) FROM messages"), 1);
        assert_eq!(bench.count("SELECT count(*) FROM turns"), 1);
        assert_eq!(bench.providers.sent_count(), 1);
        assert!((bench.metric("tertulia_messages_duplicate_total").await - 4.0).abs() < 0.5);
    });
}

#[test]
fn with_every_tell_dropped_the_sweep_alone_delivers_everything() {
    run(async {
        let mut bench = Bench::new();
        bench.set("sweep.sweep_ms", "100");
        let _server = bench.start_with_failpoints("tells.drop=error").await;
        let made = Bursts::new(3, "sweep");
        let bursts: Vec<_> = (0..50).map(|person| made.burst(person, 0)).collect();
        let sender = bench.sender();
        for played in join_all(bursts.iter().map(|burst| sender.play(burst))).await {
            played.expect("acknowledged");
        }
        assert!(bench.providers.wait_for_sent(50, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        let verdict = judge(&bursts, &bench.providers.sent(), "sweep");
        assert_eq!(verdict.unanswered, []);
        assert_eq!(verdict.doubled, []);
        assert!(verdict.swapped.is_empty(), "{:?}", verdict.swapped);
        // What left within the same second of the provider's clock may overtake on its way here; receipt decides then.
        assert_eq!(bench.count(&neighbours("before <> turn_id AND gap < 200")), 0, "{:?}", verdict.split);
        assert_eq!(bench.count(OUT_OF_ORDER), 0, "{:?}", verdict.split);
    });
}
