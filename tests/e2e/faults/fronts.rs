//! Fronts at their limits: full queues, deadlines, circuit breakers; and threads that stand still.

use std::time::{Duration, Instant};

use tertulia::load::providers::{ModelBehaviour, ModelFault, ProviderOptions, WhatsappBehaviour};

use super::panics::{bench_with, told, wait_until_told};
use super::{Recovery, bursts, check_promises, play};
use crate::support::{Bench, run};

/// People who write at the same time.
const PEOPLE: usize = 20;

/// Everybody is answered once although calls were refused for this reason.
fn is_waited_for(fault: &'static str, bench: &Bench, failpoints: &str, refusal: &str) {
    run(async {
        let mut server = bench.start_with_failpoints(failpoints).await;
        let some = bursts("limit", PEOPLE, 0);
        play(bench, &some).await;
        let recovery = Recovery::from(fault);
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(30));
        check_promises(bench, &some, "limit");
        assert!(bench.log().contains(refusal), "nothing was refused: {}", bench.log());
        assert_eq!(bench.count("SELECT sum(failures) FROM turns"), 0, "no turn is to blame");
        server.ends_clean(bench).await;
    });
}

fn slow_model(latency: Duration) -> ProviderOptions {
    let model = ModelBehaviour { latency, ..ModelBehaviour::default() };
    ProviderOptions { model, ..ProviderOptions::default() }
}

#[test]
fn a_full_queue_in_front_of_each_service_delays_turns_and_loses_nothing() {
    for (front, slow, refusal) in [
        ("embedding", "embedding.compute=1-5*stall(40)", "embedding is overloaded"),
        ("vectors", "vectors.compute=1-5*stall(40)", "vectors is overloaded"),
        ("classifier", "classifier.compute=1-5*stall(40)", "classifier is overloaded"),
        ("query", "", "query is overloaded"),
        ("channels", "", "channel is overloaded"),
    ] {
        let whatsapp = WhatsappBehaviour { delay: Duration::from_millis(20), ..Default::default() };
        let mut bench = bench_with(ProviderOptions { whatsapp, ..slow_model(Duration::from_millis(20)) });
        // What computes has one thread.
        if slow.is_empty() {
            bench.set(&format!("{front}.front.in_flight_max"), "1");
        }
        bench.set(&format!("{front}.front.queue_max"), "0");
        // One text under way, and one that gathers meanwhile.
        bench.set("embedding.batch_texts_max", "1");
        bench.set("outbox.retry_base_ms", "50");
        is_waited_for("a full queue", &bench, slow, refusal);
    }
}

#[test]
fn deadlines_that_pass_in_the_queue_and_in_flight_delay_turns_and_lose_nothing() {
    let mut bench = bench_with(slow_model(Duration::from_millis(120)));
    bench.set("query.front.in_flight_max", "2");
    bench.set("query.llm.timeout_ms", "250");
    bench.set("query.front.deadline_ms", "300");
    // More than half of what waits is late; the breaker must not hide that.
    bench.set("supervision.breaker_failures", "1000");
    is_waited_for("deadlines pass", &bench, "", "query gave no answer in time");
}

#[test]
fn a_circuit_opens_lets_one_call_at_a_time_find_out_and_closes() {
    run(async {
        let fault = ModelFault::Status { status: 500, retry_after_s: None };
        let model = ModelBehaviour::failing(fault);
        let bench = bench_with(ProviderOptions { model, ..ProviderOptions::default() });
        let mut server = bench.start().await;
        let some = bursts("circuit", PEOPLE, 0);
        play(&bench, &some).await;
        wait_until_told(&bench, "services/query", "GaveUp").await;
        // Everybody tries again ten times a second, and nobody is let through but one every 100 to 500 ms.
        let before = bench.providers.prompts().len();
        bench.wait_for("SELECT min(attempt) >= 15 FROM turns", 1).await;
        let asked = bench.providers.prompts().len() - before;
        assert!((1..=20).contains(&asked), "{asked} calls of {PEOPLE} people");
        bench.providers.set_model(ModelBehaviour::default());
        let recovery = Recovery::from("a model behind an open circuit");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        wait_until_told(&bench, "services/query", "Recovered").await;
        check_promises(&bench, &some, "circuit");
        server.ends_clean(&bench).await;
    });
}

/// Limits after which a thread is reported, and ends the process.
fn bench_with_watchdog() -> Bench {
    let mut bench = bench_with(ProviderOptions::default());
    bench.set("supervision.heartbeat_ms", "200");
    bench.set("supervision.frozen_exit_ms", "1500");
    bench
}

#[test]
fn a_frozen_shard_ends_the_process_and_the_next_one_answers() {
    run(async {
        let bench = bench_with_watchdog();
        let mut server = bench.start_with_failpoints("router.route=3*stall(120000)").await;
        let some = bursts("frozen", PEOPLE, 0);
        play(&bench, &some).await;
        assert_eq!(server.ended().await.code(), Some(1), "{}", bench.log());
        assert!(told(&bench, "shards/", "Failed") > 0, "reported before: {}", bench.log());
        assert!(bench.log().contains("is frozen for"), "{}", bench.log());
        let recovery = Recovery::from("a frozen shard ended the process");
        let mut server = bench.start().await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &some, "frozen");
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_shard_that_stands_still_for_a_moment_is_reported_and_goes_on() {
    run(async {
        let bench = bench_with_watchdog();
        let mut server = bench.start_with_failpoints("router.route=3*stall(700)").await;
        let some = bursts("thawed", PEOPLE, 0);
        play(&bench, &some).await;
        let recovery = Recovery::from("a shard stood still for 700 ms");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        wait_until_told(&bench, "shards/", "Failed").await;
        wait_until_told(&bench, "shards/", "Recovered").await;
        check_promises(&bench, &some, "thawed");
        assert!(server.is_alive());
        server.ends_clean(&bench).await;
    });
}

#[test]
fn an_actor_that_nothing_works_without_and_that_always_panics_ends_the_process() {
    run(async {
        let bench = bench_with_watchdog();
        let mut server = bench.start_with_failpoints("router.route=panic").await;
        let some = bursts("hopeless", PEOPLE, 0);
        play(&bench, &some).await;
        assert_eq!(server.ended().await.code(), Some(1), "{}", bench.log());
        assert!(
            bench.log().contains("router failed too often: panic: failpoint router.route"),
            "{}",
            bench.log()
        );
        let recovery = Recovery::from("a router that always panics ended the process");
        let mut server = bench.start().await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &some, "hopeless");
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_drain_does_not_wait_for_a_thread_that_is_frozen() {
    run(async {
        let mut bench = bench_with(ProviderOptions::default());
        bench.set("server.drain_ms", "2000");
        bench.set("supervision.frozen_exit_ms", "60000");
        let mut server = bench.start_with_failpoints("services.query=1*stall(120000)").await;
        let some = bursts("stuck", PEOPLE, 0);
        play(&bench, &some).await;
        bench.wait_for("SELECT count(*) > 0 FROM turns WHERE state = 'running'", 1).await;
        let asked = Instant::now();
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
        // Twice the limit: the machine may be busy.
        assert!(asked.elapsed() < Duration::from_secs(4), "the drain took {:?}", asked.elapsed());
        let mut server = bench.start().await;
        let recovery = Recovery::from("a drain with a frozen thread");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &some, "stuck");
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
    });
}
