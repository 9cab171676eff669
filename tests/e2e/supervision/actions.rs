//! What operators ask for, while people write.

use std::cell::Cell;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tertulia::load::bursts::Bursts;

use super::listener::Listener;
use super::{ask, bursts, call, check_promises, figure, play, state, tree};
use crate::crash::write_until;
use crate::support::{Bench, PATIENCE, run};

fn is(event: &Value, path: &str, kind: &str) -> bool {
    event["path"] == path && event["kind"] == kind
}

/// Waits until a figure of the tree is what it should become.
async fn wait_for_figure(bench: &Bench, path: &str, name: &str, expected: u64) {
    let waiting = async {
        while figure(bench, path, name).await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "{path} has {}, not {expected}, {name}",
        figure(bench, path, name).await
    );
}

#[test]
fn while_the_query_service_is_paused_turns_wait_and_a_resume_answers_them() {
    run(async {
        let mut bench = Bench::new();
        bench.set("turns.unavailable_retry_ms", "50");
        let _server = bench.start().await;
        let listener = Listener::start(&bench);
        ask(&bench, "services/query", "pause").await;
        listener.wait_for(&bench, "the pause", |event| is(event, "services/query", "paused")).await;
        let some = bursts("pause", 20, 0);
        play(&bench, &some).await;
        // Each has asked, was refused, and asks again.
        bench.wait_for("SELECT count(*) FROM turns WHERE attempt >= 2", 20).await;
        assert_eq!(state(&bench, "services/query").await, "paused");
        assert_eq!((bench.providers.prompts().len(), bench.providers.sent_count()), (0, 0));
        ask(&bench, "services/query", "resume").await;
        listener.wait_for(&bench, "the resume", |event| is(event, "services/query", "resumed")).await;
        bench.wait_until_idle().await;
        check_promises(&bench, &some, "pause");
        assert_eq!(bench.count("SELECT sum(failures + interruptions) FROM turns"), 0);
    });
}

#[test]
fn paused_turns_and_paused_sends_wait_where_they_are() {
    run(async {
        let mut bench = Bench::new();
        bench.set("runtime.shards", "1");
        let _server = bench.start().await;
        ask(&bench, "shards/0/turns", "pause").await;
        ask(&bench, "shards/0/dispatcher", "pause").await;
        let some = bursts("hold", 20, 0);
        play(&bench, &some).await;
        wait_for_figure(&bench, "shards/0/turns", "waiting", 20).await;
        assert_eq!(bench.count("SELECT count(*) FROM turns"), 0, "a turn was begun");
        ask(&bench, "shards/0/turns", "resume").await;
        bench.wait_for("SELECT count(*) FROM turns WHERE state = 'committed'", 20).await;
        assert_eq!(bench.providers.sent_count(), 0, "a part was sent");
        ask(&bench, "shards/0/dispatcher", "resume").await;
        bench.wait_until_idle().await;
        check_promises(&bench, &some, "hold");
    });
}

#[test]
fn a_paused_store_refuses_messages_with_503_and_turns_and_replies_still_commit() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let mut all = bursts("closed", 20, 0);
        play(&bench, &all).await;
        ask(&bench, "store", "pause").await;
        let written = bench.count("SELECT count(*) FROM messages");
        let refused = bursts("closed", 1, 1);
        let once = bench.sender().with_tries(1, Duration::ZERO);
        let error = once.play(&refused[0]).await.expect_err("refused").to_string();
        assert!(error.contains("503"), "{error}");
        let ready = crate::support::client().get(bench.url("/readyz")).send().await.expect("an answer");
        assert_eq!((ready.status().as_u16(), state(&bench, "store").await.as_str()), (503, "paused"));
        bench.wait_until_idle().await;
        assert_eq!(bench.count("SELECT count(*) FROM messages"), written, "half of a refusal is there");
        check_promises(&bench, &all, "closed");
        ask(&bench, "store", "resume").await;
        play(&bench, &refused).await;
        bench.wait_until_idle().await;
        all.extend(refused);
        check_promises(&bench, &all, "closed");
    });
}

/// Restarts everything that can be, three times, and some conversations; what it was.
async fn restart_everything(bench: &Bench) -> (Vec<String>, Vec<String>) {
    bench.wait_for("SELECT count(*) > 20 FROM conversations", 1).await;
    let can_restart = |node: &Value| {
        node["actions"].as_array().is_some_and(|actions| actions.iter().any(|action| action == "restart"))
    };
    let paths: Vec<_> =
        tree(bench).await.into_iter().filter(|(_, node)| can_restart(node)).map(|(path, _)| path).collect();
    for _ in 0..3 {
        for path in &paths {
            ask(bench, path, "restart").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let ids: Vec<String> = {
        let conn = bench.read();
        let mut ids = conn.prepare("SELECT id FROM conversations LIMIT 10").expect("a query");
        ids.query_map([], |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect()
    };
    for id in ids.iter().cycle().take(30) {
        ask(bench, &format!("conversations/{id}"), "restart").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (paths, ids)
}

#[test]
fn restarting_everything_under_load_loses_doubles_and_mixes_nothing() {
    run(async {
        let mut bench = Bench::new();
        bench.set("runtime.shards", "2");
        bench.set("sweep.sweep_ms", "100");
        bench.set("turns.unavailable_retry_ms", "50");
        let mut server = bench.start().await;
        let listener = Listener::start(&bench);
        let is_over = Cell::new(false);
        let restarts = async {
            let restarted = restart_everything(&bench).await;
            is_over.set(true);
            restarted
        };
        let made = Bursts::new(13, "restart");
        let ((paths, ids), all) = tokio::join!(restarts, write_until(&bench, &made, 50, &is_over));
        bench.wait_until_idle().await;
        check_promises(&bench, &all, "restart");
        for path in
            ["shards/0/router", "shards/0/dispatcher", "shards/0/turns", "shards/1/feed", "sweep", "monitor"]
        {
            assert!(paths.iter().any(|known| known == path), "{path} was not restarted: {paths:?}");
        }
        for path in ["services/query", "services/vectors", "channels/whatsapp", "store", "suspects"] {
            assert!(paths.iter().any(|known| known == path), "{path} was not restarted: {paths:?}");
        }
        let tree = tree(&bench).await;
        for path in &paths {
            assert_eq!(
                (&tree[path]["restarts"]["killed"], &tree[path]["state"]),
                (&3.into(), &"running".into()),
                "{path}"
            );
            let was_killed = |event: &Value| is(event, path, "restarted") && event["reason"] == "killed";
            listener.wait_for(&bench, path, was_killed).await;
        }
        for id in &ids {
            let was_killed = |event: &Value| {
                event["conversation"] == **id && event["kind"] == "restarted" && event["reason"] == "killed"
            };
            listener.wait_for(&bench, id, was_killed).await;
        }
        let heard: Vec<_> =
            listener.heard().iter().map(|event| event["id"].as_u64().expect("a number")).collect();
        assert!(heard.is_sorted_by(|a, b| a + 1 == *b), "an event is missing or came twice: {heard:?}");
        assert!(server.is_alive());
        // Each was written down with what was asked of what.
        let log = bench.log();
        let asked = |path: &str| {
            log.lines()
                .filter(|line| line.contains("an operator asks") && line.contains(&format!("\"{path}\"")))
                .count()
        };
        assert!(paths.iter().all(|path| asked(path) == 3), "{log}");
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
    });
}

#[test]
fn a_read_changes_nothing_and_only_the_console_is_heard() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let (status, problem) = call(&bench, Method::GET, "services/query/pause").await;
        assert_eq!((status, problem["code"].as_str()), (405, Some("method_not_allowed")));
        let url = bench.url("/v1/supervision/services/query/pause");
        let refused = crate::support::client().post(url).send().await.expect("an answer");
        assert_eq!(
            (refused.status().as_u16(), state(&bench, "services/query").await.as_str()),
            (401, "running")
        );
    });
}
