//! Stopping, refusing and recovering, as an operator meets them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::Value;
use tertulia::load::bursts::Bursts;
use tertulia::load::payloads::sign;
use tertulia::load::providers::{ModelBehaviour, ProviderOptions};

use crate::bursts::judge;
use crate::support::{APP_SECRET, Bench, CONSOLE_TOKEN, PATIENCE, Server, client, run};

#[test]
fn sigterm_in_the_middle_of_turns_exits_0_and_the_next_server_answers_once() {
    run(async {
        let model = ModelBehaviour { latency: Duration::from_millis(1_500), ..ModelBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model, ..ProviderOptions::default() });
        bench.set("server.drain_ms", "1000");
        let mut server = bench.start().await;
        let made = Bursts::new(9, "drain");
        let bursts: Vec<_> = (0..20).map(|person| made.burst(person, 0)).collect();
        let sender = bench.sender();
        for played in join_all(bursts.iter().map(|burst| sender.play(burst))).await {
            played.expect("acknowledged");
        }
        bench.wait_for("SELECT count(*) FROM turns WHERE state = 'running'", 20).await;
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
        assert_eq!(bench.count("SELECT count(*) FROM turns WHERE interruptions > 0 OR failures > 0"), 0);
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        assert_eq!(bench.count("SELECT count(*) FROM turns WHERE interruptions > 0 OR failures > 0"), 0);
        let verdict = judge(&bursts, &bench.providers.sent(), "drain");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
        assert!(verdict.split.is_empty() && verdict.swapped.is_empty());
    });
}

#[test]
fn a_second_server_on_the_same_database_exits_1_and_names_the_first() {
    run(async {
        let bench = Bench::new();
        let server = bench.start().await;
        let second = bench.command(&["serve"]).output().expect("the binary runs");
        assert_eq!(second.status.code(), Some(1));
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(said.contains(&server.pid().to_string()), "{said}");
    });
}

#[test]
fn a_bad_value_exits_2_and_names_the_key_the_value_and_what_is_allowed() {
    let mut bench = Bench::new();
    bench.set("routes.thanks", "phone");
    let refused = bench.command(&["check-config"]).output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(["routes.thanks", "phone", "silent"].iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn a_command_whose_output_nobody_reads_ends_quietly() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = bench.command(&["check-config"]).stdout(writer).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn a_variable_that_is_not_text_stops_no_command_unless_it_is_ours() {
    let bench = Bench::new();
    let not_text = OsStr::from_bytes(b"a\xff");
    let check =
        |name: &str| bench.command(&["check-config"]).env(name, not_text).output().expect("the binary runs");
    assert_eq!(check("LS_COLORS").status.code(), Some(0));
    let refused = check("TERTULIA__LOG__LEVEL");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("TERTULIA__LOG__LEVEL"), "{said}");
}

#[test]
fn what_is_logged_of_a_request_and_of_a_turn_carries_their_ids() {
    run(async {
        let mut bench = Bench::new();
        bench.set("log.level", "info,tertulia::http=debug");
        bench.set("turns.retry_base_ms", "20");
        let _server = bench.start_with_failpoints("turn.query=1*panic").await;
        let burst = Bursts::new(3, "spans").burst(0, 0);
        bench.sender().deliver(&burst.person, &burst.messages[..1]).await.expect("acknowledged");
        bench.wait_until_idle().await;
        let text = |sql| bench.read().query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row");
        let (conversation, turn) = (text("SELECT id FROM conversations"), text("SELECT id FROM turns"));
        let shown = client().get(bench.url(&format!("/v1/conversations/{conversation}")));
        let shown = shown.bearer_auth(CONSOLE_TOKEN).header("x-request-id", "my-request").send().await;
        assert_eq!(shown.expect("an answer").status(), 200);
        let log = bench.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let has = |message: &str, fields: &[(&str, &str)]| {
            let mut spans = lines.iter().filter(|line| line["message"] == message).map(|line| &line["span"]);
            spans.any(|span| fields.iter().all(|(name, value)| span[name] == *value))
        };
        assert!(
            has("a turn did not end", &[("conversation.id", &conversation), ("turn.id", &turn)]),
            "{log}"
        );
        let served = [("conversation.id", &*conversation), ("request.id", "my-request")];
        assert!(has("request served", &served), "{log}");
        let webhook = [("conversation.id", &*conversation), ("http.path", "/webhooks/whatsapp")];
        assert!(has("request served", &webhook), "{log}");
        assert!(!log.contains(&burst.messages[0].token.text("spans")), "a text was logged: {log}");
    });
}

#[test]
fn an_unsigned_webhook_writes_nothing_and_one_not_understood_is_quarantined() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let post = |signature: String| {
            client()
                .post(bench.url("/webhooks/whatsapp"))
                .header("x-hub-signature-256", signature)
                .body("{\"a\":1}")
                .send()
        };
        assert_eq!(post("sha256=00".into()).await.expect("an answer").status(), 401);
        assert_eq!(bench.count("SELECT count(*) FROM quarantine"), 0);
        assert_eq!(post(sign(APP_SECRET, b"{\"a\":1}")).await.expect("an answer").status(), 200);
        assert_eq!(bench.count("SELECT count(*) FROM quarantine"), 1);
        let seen = client()
            .get(bench.url("/v1/quarantine"))
            .bearer_auth(CONSOLE_TOKEN)
            .send()
            .await
            .expect("an answer");
        assert!(seen.text().await.expect("a text").contains("{\\\"a\\\":1}"));
    });
}

#[test]
fn a_locked_database_refuses_messages_and_the_server_recovers_by_itself() {
    run(async {
        let mut bench = Bench::new();
        bench.set("storage.busy_timeout_ms", "100");
        bench.set("storage.probe_ms", "100");
        let _server = bench.start().await;
        let other = Connection::open(bench.database()).expect("a database");
        other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        let burst = Bursts::new(2, "locked").burst(0, 0);
        let message = &burst.messages[..1];
        let once = bench.sender().with_tries(1, Duration::ZERO);
        let refused = once.deliver(&burst.person, message).await.expect_err("not acknowledged").to_string();
        assert!(refused.contains("503"), "{refused}");
        let ready = client().get(bench.url("/readyz")).send().await.expect("an answer");
        assert_eq!(ready.status(), 503);
        other.execute_batch("ROLLBACK").expect("no lock");
        bench.sender().deliver(&burst.person, message).await.expect("acknowledged");
        bench.wait_until_idle().await;
        assert_eq!(bench.providers.sent_count(), 1);
        assert_eq!(bench.count("SELECT count(*) FROM messages"), 1);
    });
}

#[test]
fn a_server_that_has_nothing_to_do_takes_no_processor_before_its_first_message_and_after() {
    run(async {
        let bench = Bench::new();
        let server = bench.start().await;
        takes_no_processor(&server).await;
        let burst = Bursts::new(8, "idle").burst(0, 0);
        bench.sender().play(&burst).await.expect("acknowledged");
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        takes_no_processor(&server).await;
    });
}

/// Lets a start, or a turn, end, and measures what comes then.
async fn takes_no_processor(server: &Server) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.processor_time();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let taken = server.processor_time() - before;
    assert!(taken < Duration::from_millis(200), "{taken:?} in two seconds without a message");
}
