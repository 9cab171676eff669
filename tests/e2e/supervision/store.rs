//! The store's threads panic: nothing is lost or doubled, the books are exact, and the tree says so.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use super::listener::Listener;
use super::{bursts, check_promises, play, state, tree};
use crate::support::{Bench, FAILPOINTS_DELAY, run};

#[test]
fn a_writer_that_panics_after_a_commit_loses_and_doubles_nothing() {
    run(async {
        let mut bench = Bench::new();
        bench.set("sweep.sweep_ms", "100");
        let mut server = bench.start().await;
        let listener = Listener::start(&bench);
        let commits = "store.committed=3*panic;store.committed=9*panic;store.committed=27*panic";
        bench.failpoints(&format!("{commits};store.read=5*panic;store.checkpoint=2*panic"));
        tokio::time::sleep(FAILPOINTS_DELAY).await;
        let some = bursts("after", 50, 0);
        play(&bench, &some).await;
        bench.wait_until_idle().await;
        check_promises(&bench, &some, "after");
        let caught = |event: &Value, place: &str, kind: &str| {
            event["path"] == place && event["kind"] == kind && event["reason"] == "panic"
        };
        for (place, panics) in [("store/writer", 3), ("store/readers", 1), ("store/checkpoints", 1)] {
            for kind in ["failed", "restarted"] {
                listener.wait_for(&bench, place, |event| caught(event, place, kind)).await;
            }
            let node = &tree(&bench).await[place];
            assert_eq!(
                (&node["restarts"]["panic"], &node["state"]),
                (&panics.into(), &"running".into()),
                "{node}"
            );
        }
        assert!((bench.metric("tertulia_store_panics_total").await - 3.0).abs() < 0.5);
        // What is shown is what the rows say.
        let received = bench.count("SELECT count(*) FROM messages");
        let shown = bench.metric("tertulia_messages_received_total").await;
        assert!(
            (shown - f64::from(i32::try_from(received).expect("a few"))).abs() < 0.5,
            "{shown} of {received}"
        );
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
    });
}

#[test]
fn a_writer_that_panics_too_often_ends_the_process_and_the_next_one_goes_on() {
    run(async {
        let bench = Bench::new();
        let mut server = bench.start().await;
        bench.failpoints("store.committed=panic");
        let some = bursts("often", 30, 0);
        let restart = async {
            assert_eq!(server.ended().await.code(), Some(1), "{}", bench.log());
            assert!(
                bench.log().contains("store/writer failed too often: panic: failpoint store.committed"),
                "{}",
                bench.log()
            );
            bench.failpoints("");
            bench.start().await
        };
        let (_server, ()) = tokio::join!(restart, play(&bench, &some));
        bench.wait_until_idle().await;
        // The process ended at once: a send that it cut off is recorded as such.
        crate::crash::check_promises(&bench, &some, "often");
    });
}

#[test]
fn a_locked_database_is_down_in_the_tree_and_recovers_with_an_event_each() {
    run(async {
        let mut bench = Bench::new();
        bench.set("storage.busy_timeout_ms", "100");
        bench.set("storage.probe_ms", "100");
        let _server = bench.start().await;
        let listener = Listener::start(&bench);
        let other = Connection::open(bench.database()).expect("a database");
        other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        let some = bursts("down", 1, 0);
        let refused = bench.sender().with_tries(1, Duration::ZERO).play(&some[0]).await;
        assert!(refused.is_err(), "it cannot be stored");
        let at_the_store =
            |kind: &'static str| move |event: &Value| event["path"] == "store" && event["kind"] == kind;
        let failed = listener.wait_for(&bench, "the failure", at_the_store("failed")).await;
        assert!(failed["detail"].as_str().is_some_and(|why| why.contains("locked")), "{failed}");
        listener.wait_for(&bench, "the giving up", at_the_store("gave_up")).await;
        assert_eq!(state(&bench, "store").await, "down");
        other.execute_batch("ROLLBACK").expect("no lock");
        listener.wait_for(&bench, "the recovery", at_the_store("recovered")).await;
        assert_eq!(state(&bench, "store").await, "running");
        play(&bench, &some).await;
        bench.wait_until_idle().await;
        check_promises(&bench, &some, "down");
    });
}
