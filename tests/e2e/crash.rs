//! `kill -9` at random moments and at named places: promises A, B, C, D and H hold, told by the channel's log and the
//! database together.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tertulia::load::bursts::{Burst, Bursts, Token};
use tertulia::load::prng::Prng;

use crate::bursts::judge;
use crate::support::{Bench, run};

/// Parts that were recorded as ambiguous, by the tokens they hold.
fn ambiguous(bench: &Bench, run: &str) -> Vec<Token> {
    let conn = bench.read();
    let mut statement = conn.prepare("SELECT text FROM outbox WHERE state = 'ambiguous'").expect("a query");
    let texts = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    texts.flat_map(|text| Token::find_all(&text.expect("a text"), run)).collect()
}

/// Checks the promises over everything that was written.
pub fn check_promises(bench: &Bench, bursts: &[Burst], run: &str) {
    let sent = bench.providers.sent();
    let verdict = judge(bursts, &sent, run);
    let ambiguous = ambiguous(bench, run);
    assert_eq!(verdict.doubled, [], "answered twice");
    assert!(verdict.swapped.is_empty(), "somebody else's words: {:?}", verdict.swapped);
    for (person, number) in &verdict.unanswered {
        let is_known = ambiguous.iter().any(|token| (token.person, token.burst) == (*person, *number));
        assert!(is_known, "burst {number} of person {person} is lost");
    }
    check_order(bench);
    let books = bench.books();
    assert!(books.balance(), "{books:?}");
    assert_eq!((books.pending, books.dead_lettered, books.parts_pending), (0, 0, 0), "{books:?}");
    let written: usize = bursts.iter().map(|burst| burst.messages.len()).sum();
    assert_eq!(usize::try_from(books.received), Ok(written), "{books:?}");
    let astray = "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM turns t WHERE t.id = m.turn_id \
                  AND t.conversation_id = m.conversation_id AND t.state = 'committed' \
                  AND m.seq BETWEEN t.first_seq AND t.last_seq)";
    assert_eq!(bench.count(astray), 0, "answered outside of a turn");
}

/// Turns of one person go out in the order of their bursts.
fn check_order(bench: &Bench) {
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for reply in bench.providers.sent() {
        let Some(burst) =
            reply.text.split('-').nth(1).and_then(|b| b.strip_prefix('b')?.parse::<usize>().ok())
        else {
            continue;
        };
        let before = last.insert(reply.address().to_owned(), burst);
        assert!(
            before.is_none_or(|before| before <= burst),
            "{} got burst {burst} after {before:?}",
            reply.address()
        );
    }
}

/// People who write burst after burst while the server is killed again and again.
async fn write_all(bench: &Bench, bursts: &[Burst]) {
    let sender = bench.sender().with_tries(2_000, Duration::from_millis(30));
    let mut people: BTreeMap<usize, Vec<&Burst>> = BTreeMap::new();
    for burst in bursts {
        people.entry(burst.person.number).or_default().push(burst);
    }
    let people = people.values().map(async |own| {
        for burst in own {
            sender.play(burst).await.expect("acknowledged in the end");
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    });
    join_all(people).await;
}

/// People who write burst after burst until it is over; everything they wrote.
pub async fn write_until(bench: &Bench, made: &Bursts, people: usize, is_over: &Cell<bool>) -> Vec<Burst> {
    let sender = bench.sender().with_tries(2_000, Duration::from_millis(30));
    let people = (0..people).map(async |person| {
        let mut own = vec![];
        while !is_over.get() {
            let burst = made.burst(person, own.len());
            sender.play(&burst).await.expect("acknowledged in the end");
            own.push(burst);
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        own
    });
    join_all(people).await.concat()
}

fn written(seed: u64, run: &str, people: usize, each: usize) -> Vec<Burst> {
    let made = Bursts::new(seed, run);
    (0..people)
        .flat_map(|person| (0..each).map(move |number| (person, number)))
        .map(|(p, n)| made.burst(p, n))
        .collect()
}

#[test]
fn fifty_kills_at_random_moments_lose_double_and_mix_nothing() {
    run(async {
        let mut bench = Bench::new();
        bench.set("outbox.ambiguous_hold_ms", "200");
        let mut server = bench.start().await;
        let is_over = Cell::new(false);
        let kills = async {
            let mut prng = Prng::new(5);
            let mut ambiguous = 0;
            let mut at_work = 0;
            for _ in 0..50 {
                tokio::time::sleep(Duration::from_millis(prng.between(0, 400))).await;
                server.kill();
                at_work += bench.count("SELECT EXISTS (SELECT 1 FROM messages WHERE state = 'pending')");
                let in_flight = bench.count("SELECT count(*) FROM outbox WHERE state = 'sending'");
                server = bench.start().await;
                let now = bench.count("SELECT count(*) FROM outbox WHERE state = 'ambiguous'");
                assert!(now <= ambiguous + in_flight, "{now} ambiguous parts, {in_flight} were in flight");
                ambiguous = now;
            }
            is_over.set(true);
            assert!(at_work >= 45, "only {at_work} kills met a server at work");
        };
        let made = Bursts::new(11, "kill");
        let ((), bursts) = tokio::join!(kills, write_until(&bench, &made, 200, &is_over));
        bench.wait_until_idle().await;
        check_promises(&bench, &bursts, "kill");
    });
}

/// Kills the server at a named place, and lets another one finish.
fn kill_at(place: &'static str) {
    run(async move {
        let mut bench = Bench::new();
        bench.set("outbox.ambiguous_hold_ms", "200");
        let bursts = written(23, "place", 20, 1);
        let writing = write_all(&bench, &bursts);
        let kills = async {
            bench.spawn(&format!("{place}=1*kill")).ended().await;
            bench.start().await
        };
        let ((), _server) = tokio::join!(writing, kills);
        bench.wait_until_idle().await;
        check_promises(&bench, &bursts, "place");
    });
}

#[test]
fn a_kill_after_the_commit_and_before_the_200_loses_nothing() {
    kill_at("store.committed");
}

#[test]
fn a_kill_when_a_turn_has_started_loses_nothing() {
    kill_at("turn.started");
}

#[test]
fn a_kill_before_the_model_is_asked_loses_nothing() {
    kill_at("turn.query");
}

#[test]
fn a_kill_before_the_commit_of_a_turn_loses_nothing() {
    kill_at("turn.before_commit");
}

#[test]
fn a_kill_after_the_commit_of_a_turn_loses_nothing() {
    kill_at("turn.committed");
}

#[test]
fn a_kill_before_a_part_is_posted_is_ambiguous_at_worst() {
    kill_at("outbox.before_post");
}

#[test]
fn a_kill_between_the_post_and_its_mark_never_sends_twice() {
    kill_at("outbox.after_post");
}

#[test]
fn a_kill_while_a_timer_runs_loses_nothing() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "1500");
        let mut server = bench.start().await;
        let bursts = written(31, "timer", 20, 1);
        write_all(&bench, &bursts).await;
        server.kill();
        assert_eq!(
            bench.count("SELECT count(*) FROM turns"),
            0,
            "the kill came too late to be one during the timer"
        );
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        check_promises(&bench, &bursts, "timer");
        assert_eq!(bench.providers.sent_count(), 20, "one reply each");
    });
}

#[test]
fn ten_kills_in_a_row_dead_letter_nobody() {
    run(async {
        let bench = Bench::new();
        let mut server = bench.start().await;
        let bursts = written(41, "ten", 3, 1);
        write_all(&bench, &bursts).await;
        bench.wait_until_idle().await;
        server.kill();
        let again: Vec<_> = (0..3).map(|person| Bursts::new(41, "ten").burst(person, 1)).collect();
        let kills = async {
            for _ in 0..10 {
                bench.spawn("turn.started=1*kill").ended().await;
            }
            bench.start().await
        };
        let ((), _server) = tokio::join!(write_all(&bench, &again), kills);
        bench.wait_until_idle().await;
        let all: Vec<_> = bursts.into_iter().chain(again).collect();
        check_promises(&bench, &all, "ten");
    });
}
