//! More than there is room for: refused before anything is stored, and taken once there is room again.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tertulia::load::bursts::{Burst, Bursts};
use tertulia::load::payloads::{Business, sign};
use tertulia::load::providers::{ModelBehaviour, ModelFault, ProviderOptions};

use crate::bursts::judge;
use crate::support::{APP_SECRET, Bench, PATIENCE, client, run};

/// A webhook with all the messages of a burst.
fn webhook(burst: &Burst) -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = i64::try_from(now.as_secs()).expect("before the year 292 billion");
    Business::default().webhook_body(&burst.person, &burst.messages, now)
}

async fn post(bench: &Bench, body: Vec<u8>) -> Response {
    let request = client().post(bench.url("/webhooks/whatsapp"));
    let request = request.header("x-hub-signature-256", sign(APP_SECRET, &body)).body(body);
    request.timeout(PATIENCE).send().await.expect("an answer")
}

/// The limit that a refusal names.
async fn limit_of(answer: Response) -> String {
    assert_eq!(answer.status(), 503);
    let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    assert!(wait.is_some_and(|wait| wait.parse::<u32>().is_ok_and(|wait| wait > 0)), "{wait:?}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.expect("a problem document");
    assert_eq!(problem["code"], "overloaded", "{problem}");
    problem["limit"].as_str().expect("a limit").to_owned()
}

async fn ready(bench: &Bench) -> Response {
    client().get(bench.url("/readyz")).send().await.expect("an answer")
}

/// Bursts with at least two messages each.
fn bursts(run: &str, count: usize) -> Vec<Burst> {
    let made = Bursts::new(31, run);
    (0..).map(|person| made.burst(person, 0)).filter(|burst| burst.messages.len() > 1).take(count).collect()
}

#[test]
fn a_full_backlog_refuses_a_webhook_whole_and_takes_it_once_there_is_room() {
    run(async {
        // The model answers after the test has had its time, but not before.
        let stalled = ModelBehaviour { latency: PATIENCE * 10, ..ModelBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model: stalled, ..ProviderOptions::default() });
        let all = bursts("backlog", 4);
        let first: usize = all[..3].iter().map(|burst| burst.messages.len()).sum();
        // Room for one message of the last webhook, but not for all of it.
        bench.set("inbox.backlog_max", &(first + 1).to_string());
        bench.set("query.llm.timeout_ms", "1000");
        bench.set("turns.unavailable_retry_ms", "100");
        let _server = bench.start().await;
        for burst in &all[..3] {
            assert_eq!(post(&bench, webhook(burst)).await.status(), 200);
        }
        assert_eq!(limit_of(post(&bench, webhook(&all[3])).await).await, "backlog");
        assert_eq!(ready(&bench).await.status(), 200, "there is room for one");
        let stored = |bench: &Bench| {
            let rows = ["messages", "dedupe_keys"]
                .map(|table| bench.count(&format!("SELECT count(*) FROM {table}")));
            let people = bench.count("SELECT count(*) FROM conversations");
            (rows, people)
        };
        let first = i64::try_from(first).expect("a few");
        assert_eq!(stored(&bench), ([first, first], 3), "nothing of what was refused is stored");
        let refused = "tertulia_admissions_refused_total{reason=\"backlog\"}";
        assert!((bench.metric(refused).await - 1.0).abs() < 0.5);
        bench.providers.set_model(ModelBehaviour::default());
        bench.sender().deliver_body(webhook(&all[3])).await.expect("acknowledged");
        bench.wait_until_idle().await;
        let verdict = judge(&all, &bench.providers.sent(), "backlog");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
        let books = bench.books();
        assert!(books.balance() && books.answered == books.received, "{books:?}");
    });
}

#[test]
fn a_server_whose_backlog_is_full_is_not_ready_until_it_has_shrunk() {
    run(async {
        let stalled = ModelBehaviour { latency: PATIENCE * 10, ..ModelBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model: stalled, ..ProviderOptions::default() });
        let one = bursts("full", 1).remove(0);
        bench.set("inbox.backlog_max", &one.messages.len().to_string());
        bench.set("query.llm.timeout_ms", "1000");
        bench.set("turns.unavailable_retry_ms", "100");
        let server = bench.start().await;
        assert_eq!(post(&bench, webhook(&one)).await.status(), 200);
        assert_eq!(limit_of(ready(&bench).await).await, "backlog");
        bench.providers.set_model(ModelBehaviour::default());
        bench.wait_until_ready(server).await;
        assert_eq!(bench.count("SELECT count(*) FROM messages WHERE state = 'pending'"), 0);
    });
}

#[test]
fn a_server_without_memory_left_refuses_everything_until_nothing_waits_and_says_why() {
    run(async {
        let fault = ModelFault::Status { status: 500, retry_after_s: None };
        let mut bench =
            Bench::with(ProviderOptions { model: ModelBehaviour::failing(fault), ..Default::default() });
        bench.set("runtime.memory_max_bytes", "4096");
        bench.set("turns.unavailable_retry_ms", "100");
        bench.set("supervision.probe_ms", "100");
        bench.set("supervision.probe_max_ms", "500");
        // Nothing waits, so that there is room for this one, though its server is beyond its limit as ever.
        let _server = bench.start().await;
        assert!(bench.metric("tertulia_memory_anonymous_bytes").await > 4_096.0);
        let [first, second] = [0, 1].map(|number| bursts("memory", 2).remove(number));
        bench.sender().deliver_body(webhook(&first)).await.expect("acknowledged");
        // Who is answered may be a moment ahead of the books.
        while bench.metric("tertulia_messages_pending").await < 0.5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(limit_of(post(&bench, webhook(&second)).await).await, "memory");
        assert_eq!(limit_of(ready(&bench).await).await, "memory");
        assert!(
            (bench.metric("tertulia_admissions_refused_total{reason=\"memory\"}").await - 1.0).abs() < 0.5
        );
        bench.providers.set_model(ModelBehaviour::default());
        bench.wait_until_idle().await;
        // Its memory is no less than before, and it is not refused for ever.
        bench.sender().deliver_body(webhook(&second)).await.expect("acknowledged");
        bench.wait_until_idle().await;
        let verdict = judge(&[first, second], &bench.providers.sent(), "memory");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
    });
}
