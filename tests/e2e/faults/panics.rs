//! Panics: in every service, in every actor, twice in a row, always, and by the fault of one message.

use std::time::{Duration, Instant};

use tertulia::load::providers::{ModelBehaviour, ModelFault, ProviderOptions};

use super::{Recovery, bursts, check_database, check_promises, play, written};
use crate::bursts::judge;
use crate::supervision::ask;
use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client, run};

/// People who write while something panics.
const PEOPLE: usize = 20;

/// A bench whose turns try again soon.
pub(super) fn bench() -> Bench {
    bench_with(ProviderOptions::default())
}

/// The same with providers that behave as told.
pub(super) fn bench_with(options: ProviderOptions) -> Bench {
    let mut bench = Bench::with(options);
    bench.set("turns.unavailable_retry_ms", "100");
    bench.set("sweep.sweep_ms", "200");
    bench.set("turns.retry_base_ms", "20");
    bench.set("turns.retry_max_ms", "100");
    bench.set("supervision.probe_ms", "100");
    bench.set("supervision.probe_max_ms", "500");
    bench
}

/// What was told of a place of the tree, whose path holds `path`, so far.
pub(super) fn told(bench: &Bench, path: &str, event: &str) -> usize {
    let event = format!("\"event\":\"{event}\"");
    bench.log().lines().filter(|line| line.contains(path) && line.contains(&event)).count()
}

/// Waits until it is told.
pub(super) async fn wait_until_told(bench: &Bench, path: &str, event: &str) {
    let deadline = Instant::now() + PATIENCE;
    while told(bench, path, event) == 0 {
        assert!(Instant::now() < deadline, "{path}: not {event}: {}", bench.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until so many of the failpoints that are set for a place have acted at least once.
pub(super) async fn wait_until_fired(bench: &Bench, place: &str, points: usize) {
    let place_is = format!("\"place\":\"{place}\"");
    let fired = |log: &str| {
        log.lines().filter(|line| line.contains("a failpoint acts") && line.contains(&place_is)).count()
    };
    let deadline = Instant::now() + PATIENCE;
    while fired(&bench.log()) < points {
        assert!(Instant::now() < deadline, "{place} was passed too seldom: {}", bench.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until each of these failpoints has acted at least once: without that their fault has not been.
async fn wait_until_all_fired(bench: &Bench, failpoints: &str) {
    let places = || failpoints.split(';').filter_map(|point| point.trim().split('=').next());
    for place in places() {
        wait_until_fired(bench, place, places().filter(|other| *other == place).count()).await;
    }
}

/// With these failpoints everybody is answered once, soon, and every path is told to have been restarted.
pub(super) fn is_survived(fault: &'static str, failpoints: &str, paths: &[&str]) {
    run(async {
        let bench = bench();
        let mut server = bench.start_with_failpoints(failpoints).await;
        let mut all = vec![];
        for number in 0..2 {
            let some = bursts("panic", PEOPLE, number);
            play(&bench, &some).await;
            all.extend(some);
        }
        let recovery = Recovery::from(fault);
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        wait_until_all_fired(&bench, failpoints).await;
        // The last one may have been behind the last answer.
        bench.wait_until_idle().await;
        check_promises(&bench, &all, "panic");
        for path in paths {
            assert!(told(&bench, path, "Restarted") > 0, "{path} was not restarted: {}", bench.log());
        }
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_panic_in_the_handler_of_each_front_is_survived() {
    is_survived(
        "panic in each front's handler",
        "front.call=3*panic@embedding;front.call=4*panic@vectors;front.call=5*panic@classifier;\
         front.call=6*panic@query;front.call=7*panic@channel",
        &[
            "services/embedding",
            "services/vectors",
            "services/classifier",
            "services/query",
            "channels/whatsapp",
        ],
    );
}

#[test]
fn a_panic_in_a_call_of_each_service_is_survived() {
    is_survived(
        "panic in a call of each service",
        "services.embedding=%5*panic;services.vectors=%6*panic;services.classifier=%7*panic;services.query=%8*panic",
        &["services/embedding", "services/vectors", "services/classifier", "services/query"],
    );
}

#[test]
fn a_panic_in_a_send_leaves_its_part_ambiguous_and_sends_nothing_twice() {
    run(async {
        let mut bench = bench();
        bench.set("outbox.ambiguous_hold_ms", "200");
        let mut server = bench.start_with_failpoints("services.channel=3*panic").await;
        let mut all = bursts("send", PEOPLE, 0);
        play(&bench, &all).await;
        let recovery = Recovery::from("panic in a send");
        wait_until_fired(&bench, "services.channel", 1).await;
        bench.wait_until_idle().await;
        // Everybody is answered afterwards, also who waits for the part that nobody knows of.
        let more = bursts("send", PEOPLE, 1);
        play(&bench, &more).await;
        all.extend(more);
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(20));
        assert_eq!(bench.count("SELECT count(*) FROM outbox WHERE state = 'ambiguous' AND attempt = 1"), 1);
        assert_eq!(bench.count("SELECT count(*) FROM outbox WHERE state NOT IN ('ambiguous', 'sent')"), 0);
        // It had not come to the channel yet, which only this test knows.
        let verdict = judge(&all, &bench.providers.sent(), "send");
        assert_eq!((verdict.unanswered.len(), verdict.doubled), (1, vec![]), "{}", bench.log());
        crate::crash::check_promises(&bench, &all, "send");
        for event in ["Failed", "Restarted"] {
            assert_eq!(told(&bench, "channels/whatsapp", event), 1, "{}", bench.log());
        }
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_panic_in_each_handler_of_a_conversation_is_survived() {
    for place in ["deliver", "timer", "granted", "turn_ended"] {
        is_survived(
            "panic in a conversation",
            &format!("conversation.{place}=3*panic;conversation.{place}=7*panic"),
            &["router/conversations"],
        );
    }
}

#[test]
fn a_panic_in_a_turn_is_survived() {
    is_survived("panic in a turn", "turn.prepare=3*panic;turn.query=5*panic;turn.before_commit=7*panic", &[]);
}

#[test]
fn a_double_panic_of_a_conversation_is_survived() {
    is_survived(
        "a conversation's fresh value panics as well",
        "conversation.timer=4*panic;conversation.recover=1*panic",
        &["router/conversations"],
    );
}

#[test]
fn a_panic_in_each_actor_of_a_shard_and_beside_it_is_survived() {
    is_survived(
        "panic in each actor of a shard",
        "router.route=5*panic;router.wake=1*panic;router.rests=4*panic;turns.acquire=6*panic;sweep.rows=2*panic;\
         dispatcher.reserve=3*panic;dispatcher.enqueue=4*panic;dispatcher.send_ended=5*panic",
        &["/router\"", "/turns\"", "/dispatcher\"", "\"sweep\""],
    );
}

#[test]
fn a_panic_of_a_dispatcher_that_the_sweep_wakes_is_survived() {
    run(async {
        let bench = bench();
        let mut server = bench.start_with_failpoints("dispatcher.wake=1*panic").await;
        // Parts of a channel that is paused are due and wait, and the sweep asks for them.
        ask(&bench, "channels/whatsapp", "pause").await;
        let some = bursts("woken", PEOPLE, 0);
        play(&bench, &some).await;
        wait_until_fired(&bench, "dispatcher.wake", 1).await;
        ask(&bench, "channels/whatsapp", "resume").await;
        let recovery = Recovery::from("panic in a dispatcher that is woken");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(20));
        check_promises(&bench, &some, "woken");
        assert_eq!(told(&bench, "/dispatcher\"", "Restarted"), 1, "{}", bench.log());
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_service_that_always_panics_is_given_up_and_taken_back_when_it_is_mended() {
    run(async {
        let bench = bench();
        bench.failpoints("services.query=panic");
        let mut server = bench.start().await;
        let some = bursts("always", PEOPLE, 0);
        play(&bench, &some).await;
        wait_until_told(&bench, "services/query", "GaveUp").await;
        let restarts = told(&bench, "services/query", "Restarted");
        assert_eq!(bench.providers.sent_count(), 0);
        bench.failpoints("");
        let recovery = Recovery::from("a service that panics on every call");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &some, "always");
        assert_eq!(bench.count("SELECT sum(failures) FROM turns"), 0, "no turn is to blame");
        assert!(restarts < 40, "{restarts} restarts: it was called again and again");
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_service_that_stays_down_is_gone_without_when_patience_ends() {
    run(async {
        let mut bench = bench();
        bench.set("turns.patience_ms", "500");
        let mut server = bench
            .start_with_failpoints(
                "services.embedding=panic;services.vectors=panic;services.classifier=panic",
            )
            .await;
        let some = bursts("without", PEOPLE, 0);
        play(&bench, &some).await;
        let recovery = Recovery::from("embedding, search and classifier stay down");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(20));
        check_promises(&bench, &some, "without");
        let degraded =
            "SELECT count(*) FROM turns WHERE state = 'committed' AND journey NOT LIKE '%\"degraded\":true%'";
        assert_eq!(bench.count(degraded), 0, "every journey says so");
        assert_eq!(
            bench.count("SELECT count(*) FROM conversations WHERE needs_human = 0"),
            0,
            "nobody classified them"
        );
        server.ends_clean(&bench).await;
    });
}

/// A message whose words make something panic is dead-lettered, and everything else of its conversation is answered.
fn is_set_apart(fault: &'static str, points: &[&str]) {
    run(async {
        let mut bench = bench();
        bench.set("supervision.backoff_max_ms", "200");
        // The middle one of a burst of several, in a conversation that goes on afterwards.
        let some: Vec<_> =
            bursts("poison", 40, 0).into_iter().filter(|burst| burst.messages.len() >= 3).take(5).collect();
        let poison = some[0].messages[1].token;
        let points: Vec<_> =
            points.iter().map(|point| format!("{point}=panic@{}", poison.text("poison"))).collect();
        let mut server = bench.start_with_failpoints(&points.join(";")).await;
        play(&bench, &some).await;
        let recovery = Recovery::from(fault);
        bench.wait_until_idle().await;
        let after: Vec<_> =
            bursts("poison", 40, 1).into_iter().filter(|burst| burst.person == some[0].person).collect();
        play(&bench, &after).await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(30));
        wait_until_all_fired(&bench, &points.join(";")).await;
        let books = bench.books();
        assert!(books.balance(), "{books:?}");
        let all: Vec<_> = some.into_iter().chain(after).collect();
        assert_eq!(
            (books.dead_lettered, books.answered),
            (1, written(&all) - 1),
            "{books:?}\n{}",
            bench.log()
        );
        let verdict = judge(&all, &bench.providers.sent(), "poison");
        let lost = vec![(poison.person, poison.burst)];
        assert_eq!((verdict.unanswered, verdict.doubled), (lost, vec![]), "{}", bench.log());
        let is_answered =
            bench.providers.sent().iter().any(|sent| sent.text.contains(&poison.text("poison")));
        assert!(!is_answered);
        assert!(verdict.swapped.is_empty(), "{:?}", verdict.swapped);
        check_database(&bench);
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_message_that_makes_its_turn_panic_is_dead_lettered_alone() {
    is_set_apart("a message that makes its turn panic", &["turn.prepare"]);
}

#[test]
fn a_message_that_makes_its_conversation_panic_is_dead_lettered_alone() {
    is_set_apart(
        "a message that makes its conversation panic",
        &["conversation.deliver", "conversation.loaded"],
    );
}

#[test]
fn a_message_that_makes_its_conversation_panic_spares_the_turn_that_waits_before_it() {
    run(async {
        let fault = ModelFault::Status { status: 500, retry_after_s: None };
        let mut bench =
            bench_with(ProviderOptions { model: ModelBehaviour::failing(fault), ..Default::default() });
        bench.set("supervision.backoff_max_ms", "200");
        bench.set("supervision.restarts_max", "50");
        let find =
            |run: &str, number| bursts(run, 40, number).into_iter().find(|burst| burst.messages.len() == 1);
        let first = find("before", 0).expect("somebody says one thing");
        let mut second = bursts("before", 40, 1).swap_remove(first.person.number);
        second.messages.truncate(1);
        let token = second.messages[0].token.text("before");
        let points = format!("conversation.deliver=panic@{token};conversation.loaded=panic@{token}");
        let mut server = bench.start_with_failpoints(&points).await;
        play(&bench, std::slice::from_ref(&first)).await;
        // The first one's turn has begun, and waits for its model.
        bench.wait_for("SELECT count(*) FROM turns WHERE attempt >= 1", 1).await;
        play(&bench, std::slice::from_ref(&second)).await;
        wait_until_told(&bench, "router/conversations", "Restarted").await;
        // The turn goes on trying, alone, although what waits behind it makes the actor panic.
        let attempts = bench.count("SELECT max(attempt) FROM turns");
        bench.wait_for(&format!("SELECT max(attempt) > {} FROM turns", attempts + 5), 1).await;
        assert_eq!(bench.books().dead_lettered, 0, "nobody is to blame yet");
        bench.providers.set_model(ModelBehaviour::default());
        bench.wait_until_idle().await;
        let books = bench.books();
        assert_eq!((books.answered, books.dead_lettered), (1, 1), "{books:?}");
        let answered = bench.providers.sent();
        let first_token = first.messages[0].token.text("before");
        assert!(answered.iter().any(|sent| sent.text.contains(&first_token)), "the innocent one is answered");
        assert!(!answered.iter().any(|sent| sent.text.contains(&token)));
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_panic_that_quotes_what_people_wrote_shows_none_of_it() {
    run(async {
        let bench = bench();
        let some = bursts("quoted", 1, 0);
        let token = some[0].messages[0].token.text("quoted");
        let points = "turn.prepare=1*quote;conversation.deliver=1*quote;store.admit=1*quote";
        let mut server = bench.start_with_failpoints(points).await;
        play(&bench, &some).await;
        bench.wait_until_idle().await;
        check_promises(&bench, &some, "quoted");
        wait_until_all_fired(&bench, points).await;
        let log = bench.log();
        for place in ["failpoint.rs", "withheld"] {
            assert!(log.contains(place), "no panic was logged: {log}");
        }
        let tree = client().get(bench.url("/v1/supervision/events?after=0")).bearer_auth(CONSOLE_TOKEN);
        let events = tree.header("accept", "application/json").send().await.expect("an answer");
        let events = events.text().await.expect("a text");
        assert!(events.contains("\"failed\""), "{events}");
        let reasons: String = bench
            .read()
            .query_row("SELECT coalesce(group_concat(reason), '') FROM turns", [], |row| row.get(0))
            .expect("a text");
        for (name, text) in [("log", &log), ("events", &events), ("reasons", &reasons)] {
            assert!(!text.contains(&token), "{name}: {text}");
        }
        server.ends_clean(&bench).await;
    });
}
