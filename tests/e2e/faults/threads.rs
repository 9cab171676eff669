//! The threads of embedding, classifier and search: they panic, freeze, and none of them is left.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::panics::{bench, is_survived, told, wait_until_told};
use super::{Recovery, bursts, check_promises, play};
use crate::support::{Bench, CONSOLE_TOKEN, client, run};

/// People who write meanwhile.
const PEOPLE: usize = 20;

/// The services with threads of their own.
const SERVICES: [&str; 3] = ["embedding", "classifier", "vectors"];

/// A bench whose threads are found to be frozen soon, and that logs whatever is told of them.
fn impatient_bench() -> Bench {
    let mut bench = bench();
    bench.set("supervision.heartbeat_ms", "300");
    bench.set("log.level", "warn,tertulia_actors::supervision=info");
    bench
}

/// Why something happened at a place, as it was told.
fn reasons(bench: &Bench, path: &str, event: &str) -> Vec<String> {
    let log = bench.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = lines.filter(|line| line["path"] == path && line["event"] == event);
    told.filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect()
}

/// The answer to a search: its status, its code, and when to come back.
async fn search(bench: &Bench) -> (u16, Option<String>, Option<String>) {
    let asked = client().get(bench.url("/v1/knowledge/search?q=anything")).bearer_auth(CONSOLE_TOKEN);
    let answer = asked.send().await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body: Value = answer.json().await.expect("JSON");
    let retry_after = headers.get("retry-after").map(|value| value.to_str().expect("a number").to_owned());
    (status, body["code"].as_str().map(str::to_owned), retry_after)
}

#[test]
fn a_panic_on_a_thread_of_each_service_is_survived() {
    is_survived(
        "panic on a thread of each service",
        "embedding.compute=%5*panic;vectors.compute=%6*panic;classifier.compute=%7*panic",
        &[
            "services/embedding/threads/0\"",
            "services/vectors/threads/0\"",
            "services/classifier/threads/0\"",
        ],
    );
}

#[test]
fn a_frozen_thread_of_each_service_is_replaced_and_holds_up_neither_a_turn_nor_the_end() {
    run(async {
        let bench = impatient_bench();
        let frozen: Vec<_> =
            SERVICES.iter().map(|service| format!("{service}.compute=1*stall(120000)")).collect();
        let mut server = bench.start_with_failpoints(&frozen.join(";")).await;
        let some = bursts("frozen", PEOPLE, 0);
        let recovery = Recovery::from("a thread of each service freezes");
        play(&bench, &some).await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(20));
        check_promises(&bench, &some, "frozen");
        for service in SERVICES {
            let path = format!("services/{service}/threads/0");
            let failed = reasons(&bench, &path, "Failed");
            let ms =
                failed.first().and_then(|reason| reason.strip_prefix("frozen for ")?.strip_suffix(" ms"));
            let silent: u64 = ms.and_then(|ms| ms.parse().ok()).expect("frozen for some time");
            assert!((300..3_000).contains(&silent), "{path} was found after {silent} ms");
            assert!(reasons(&bench, &path, "Restarted")[0].starts_with("frozen"), "{}", bench.log());
        }
        let asked = Instant::now();
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
        assert!(asked.elapsed() < Duration::from_secs(10), "the drain took {:?}", asked.elapsed());
        for service in SERVICES {
            let log = bench.log();
            let is_named =
                |line: &str| line.contains("a thread outlived the drain") && line.contains(service);
            assert!(log.lines().any(is_named), "{service}: {log}");
        }
    });
}

#[test]
fn a_service_whose_threads_always_panic_is_given_up_gone_without_and_taken_back() {
    run(async {
        let mut bench = impatient_bench();
        bench.set("turns.patience_ms", "1500");
        bench.set("supervision.backoff_max_ms", "200");
        bench.failpoints("classifier.compute=panic");
        let _server = bench.start().await;
        let some = bursts("always", PEOPLE, 0);
        play(&bench, &some).await;
        wait_until_told(&bench, "\"services/classifier\"", "GaveUp").await;
        let restarts = told(&bench, "services/classifier/threads/0", "Restarted");
        assert!(restarts < 40, "{restarts} restarts: it was called again and again");
        bench.wait_until_idle().await;
        check_promises(&bench, &some, "always");
        let whole =
            "SELECT count(*) FROM turns WHERE state = 'committed' AND journey NOT LIKE '%\"degraded\":true%'";
        assert_eq!(bench.count(whole), 0, "every journey says so");
        assert_eq!(told(&bench, "\"services/classifier\"", "Restarted"), 0, "the service is not to blame");
        bench.failpoints("");
        let recovery = Recovery::from("a service whose threads always panic");
        let more = bursts("always", PEOPLE, 1);
        play(&bench, &more).await;
        wait_until_told(&bench, "\"services/classifier\"", "Recovered").await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        let all: Vec<_> = some.into_iter().chain(more).collect();
        check_promises(&bench, &all, "always");
    });
}

#[test]
fn with_more_frozen_threads_than_may_be_left_behind_a_service_is_down_until_they_come_back() {
    run(async {
        let mut bench = impatient_bench();
        bench.set("supervision.abandoned_max", "1");
        bench.failpoints("vectors.compute=hold");
        let mut server = bench.start().await;
        let some = bursts("held", PEOPLE, 0);
        play(&bench, &some).await;
        wait_until_told(&bench, "\"services/vectors\"", "GaveUp").await;
        assert_eq!(reasons(&bench, "services/vectors/threads/0", "Failed").len(), 2, "{}", bench.log());
        assert_eq!(reasons(&bench, "services/vectors", "GaveUp"), ["error: no thread is left"]);
        let (status, code, retry_after) = search(&bench).await;
        assert_eq!((status, code.as_deref(), retry_after.as_deref()), (503, Some("search_down"), Some("1")));
        assert_eq!(bench.providers.sent_count(), 0);
        bench.failpoints("");
        let recovery = Recovery::from("every thread of the search is frozen");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &some, "held");
        assert_eq!(told(&bench, "\"services/vectors\"", "Recovered"), 1, "{}", bench.log());
        assert_eq!(search(&bench).await.0, 200);
        let degraded = "SELECT count(*) FROM turns WHERE journey LIKE '%\"degraded\":true%'";
        assert_eq!((bench.count(degraded), bench.count("SELECT sum(failures) FROM turns")), (0, 0));
        server.ends_clean(&bench).await;
    });
}
