//! Faults of the database: it stalls, and parts of it cannot be read.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rusqlite::{Connection, params};
use tertulia::load::bursts::Burst;
use tertulia::load::providers::{ModelBehaviour, ModelFault, ProviderOptions};

use super::panics::{told, wait_until_told};
use super::{Recovery, bursts, check_promises, play};
use crate::supervision::state;
use crate::support::{Bench, CONSOLE_TOKEN, FAILPOINTS_DELAY, PATIENCE, Server, client, run};

#[test]
fn a_disk_that_stalls_for_5_s_delays_acknowledgements_and_splits_no_burst() {
    run(async {
        let mut bench = Bench::new();
        bench.set("supervision.heartbeat_ms", "1000");
        bench.set("log.level", "warn,tertulia_actors::supervision=info");
        let _server = bench.start().await;
        bench.failpoints("store.before_commit=1*stall(5000)");
        tokio::time::sleep(FAILPOINTS_DELAY).await;
        let some = bursts("stall", 100, 0);
        let seen = async {
            wait_until_told(&bench, "\"store/writer\"", "Failed").await;
            assert!(bench.log().contains("frozen for "), "{}", bench.log());
            assert_eq!(state(&bench, "store/writer").await, "frozen");
            assert_eq!(state(&bench, "store").await, "frozen");
        };
        let (sender, began) = (bench.sender(), Instant::now());
        let played = join_all(some.iter().map(|burst| async {
            sender.play(burst).await.expect("acknowledged");
            began.elapsed()
        }));
        let (played, ()) = tokio::join!(played, seen);
        let first = played.into_iter().min().expect("somebody wrote");
        assert!(first >= Duration::from_secs(5), "acknowledged after {first:?}, before it was on the disk");
        let recovery = Recovery::from("the disk stalled for 5 s");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(5));
        check_promises(&bench, &some, "stall");
        wait_until_told(&bench, "\"store/writer\"", "Recovered").await;
        assert_eq!(told(&bench, "\"store/writer\"", "Failed"), 1, "{}", bench.log());
        assert_eq!(state(&bench, "store").await, "running");
    });
}

/// Changes rows behind the server's back, as no statement of its own could.
fn tamper(bench: &Bench, sql: &str) {
    let conn = Connection::open(bench.database()).expect("a database");
    conn.busy_timeout(Duration::from_secs(5)).expect("a timeout");
    conn.pragma_update(None, "ignore_check_constraints", true).expect("a pragma");
    assert!(conn.execute(sql, []).expect("a statement") > 0, "{sql}");
}

/// What is done to a conversation, and what mends it. `{}` is its id.
const WAYS: [(&str, &str); 5] = [
    (
        "UPDATE turns SET id = 'nonsense-' || id WHERE conversation_id = '{}'",
        "UPDATE turns SET id = substr(id, 10) WHERE conversation_id = '{}'",
    ),
    (
        "UPDATE messages SET state = 'nonsense' WHERE conversation_id = '{}'",
        "UPDATE messages SET state = 'pending' WHERE conversation_id = '{}'",
    ),
    (
        "UPDATE conversations SET channel = 'nonsense' WHERE id = '{}'",
        "UPDATE conversations SET channel = 'whatsapp' WHERE id = '{}'",
    ),
    (
        "UPDATE conversations SET phone = CAST(x'ff' AS TEXT), user_id = CAST(x'fe' AS TEXT) WHERE id = '{}'",
        "UPDATE conversations SET \
         phone = (SELECT value FROM aliases WHERE conversation_id = '{}' AND kind = 'phone'), \
         user_id = (SELECT value FROM aliases WHERE conversation_id = '{}' AND kind = 'user_id') WHERE id = '{}'",
    ),
    // The last one, since its person begins anew.
    (
        "UPDATE conversations SET id = 'nonsense' WHERE id = '{}'",
        "UPDATE conversations SET id = '{}' WHERE id = 'nonsense'",
    ),
];

/// The seconds of processor time a process has used.
fn cpu_seconds(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("a process");
    // Source: proc_pid_stat(5): utime and stime are the 14th and 15th field, in ticks of 10 ms; the name may hold spaces.
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

#[test]
fn conversations_that_cannot_be_read_stop_alone_and_go_on_once_they_are_mended() {
    run(async {
        let down = ModelBehaviour::failing(ModelFault::Status { status: 500, retry_after_s: None });
        let mut bench = Bench::with(ProviderOptions { model: down, ..ProviderOptions::default() });
        bench.set("turns.unavailable_retry_ms", "100");
        let mut server = bench.start().await;
        let mut all = bursts("rows", 40, 0);
        play(&bench, &all).await;
        bench.wait_for("SELECT count(*) FROM turns WHERE attempt > 0", 40).await;
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
        let bad: Vec<String> = {
            let conn = bench.read();
            let mut statement =
                conn.prepare("SELECT id FROM conversations ORDER BY id LIMIT 5").expect("a query");
            statement.query_map([], |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect()
        };
        for ((break_it, _), id) in WAYS.iter().zip(&bad) {
            tamper(&bench, &break_it.replace("{}", id));
        }
        bench.providers.set_model(ModelBehaviour::default());
        let recovery = Recovery::from("5 of 40 conversations cannot be read");
        let server = bench.start().await;
        assert!(bench.providers.wait_for_sent(35, PATIENCE).await, "{}", bench.log());
        recovery.within(Duration::from_secs(10));
        bench.wait_for("SELECT count(*) FROM conversations WHERE set_aside IS NOT NULL", 5).await;
        // All write on, also those who are set aside; but not the one whose conversation has lost its id, who would begin anew.
        let more: Vec<_> =
            bursts("rows", 40, 1).into_iter().filter(|burst| !is_of(&bench, &bad[4], burst)).collect();
        play(&bench, &more).await;
        assert!(bench.providers.wait_for_sent(70, PATIENCE).await, "{}", bench.log());
        all.extend(more);
        // Set aside means left alone: two seconds in which nothing else is to be done.
        let before = (cpu_seconds(&server), Instant::now());
        while before.1.elapsed() < Duration::from_secs(2) {
            assert!(
                client().get(bench.url("/readyz")).send().await.expect("an answer").status().is_success()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let used = cpu_seconds(&server) - before.0;
        assert!(used < 1.0, "{used} s of processor time in 2 s");
        assert_eq!(bench.providers.sent_count(), 70, "somebody who is set aside was answered");
        let people = client().get(bench.url("/v1/conversations?needs_human=true")).bearer_auth(CONSOLE_TOKEN);
        let people = people.send().await.expect("an answer").text().await.expect("a text");
        assert!(people.contains(&bad[0]) && people.contains(&bad[1]), "{people}");
        let log = bench.log();
        let told = log.lines().filter(|line| line.contains("a conversation cannot be read and is set aside"));
        assert_eq!(told.count(), 5, "{log}");
        let found = bench.command(&["db", "check"]).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found.status.code(), Some(1), "{said}");
        assert!(bad[..4].iter().all(|id| said.contains(id)) && said.contains("nonsense"), "{said}");
        drop(server);
        for ((_, mend_it), id) in WAYS.iter().zip(&bad) {
            tamper(&bench, &mend_it.replace("{}", id));
        }
        let recovery = Recovery::from("5 conversations were mended");
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &all, "rows");
    });
}

/// Whether a burst is of the person whose conversation this was.
fn is_of(bench: &Bench, conversation: &str, burst: &Burst) -> bool {
    let sql = "SELECT count(*) FROM aliases WHERE conversation_id = ?1 AND value IN (?2, ?3)";
    let person = &burst.person;
    let found = bench
        .read()
        .query_row(sql, params![conversation, person.phone, person.user_id], |row| row.get::<_, i64>(0));
    found.expect("a number") > 0
}

#[test]
fn a_file_with_a_broken_page_is_refused_with_the_remedy_and_a_backup_serves_again() {
    run(async {
        let bench = Bench::new();
        let mut server = bench.start().await;
        let some = bursts("page", 20, 0);
        play(&bench, &some).await;
        bench.wait_until_idle().await;
        let copy = bench.folder().join("copy.db");
        let copied = bench.command(&["db", "backup", copy.to_str().expect("a readable path")]).status();
        assert!(copied.expect("the binary runs").success());
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
        let page = bench.count("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'");
        let mut file = File::options().write(true).open(bench.database()).expect("the database");
        file.seek(SeekFrom::Start((page.unsigned_abs() - 1) * 4_096)).expect("a page");
        file.write_all(&[0x5a; 4_096]).expect("a page");
        drop(file);
        let refused = bench.spawn("").ended().await;
        let said = bench.log();
        assert_eq!(refused.code(), Some(1), "{said}");
        for word in ["tertulia.db", "damaged", "tertulia db check", "restore a backup"] {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
        let found = bench.command(&["db", "check"]).output().expect("the binary runs");
        let named = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!((found.status.code(), named.contains(&format!("age {page}"))), (Some(1), true), "{named}");
        let recovery = Recovery::from("a page of the database was broken");
        std::fs::rename(&copy, bench.database()).expect("a file");
        for beside in ["tertulia.db-wal", "tertulia.db-shm"] {
            // Only a server that was killed leaves them.
            let _ = std::fs::remove_file(bench.folder().join(beside));
        }
        let _server = bench.start().await;
        let more = bursts("page", 20, 1);
        play(&bench, &more).await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        let all: Vec<_> = some.into_iter().chain(more).collect();
        check_promises(&bench, &all, "page");
    });
}

#[test]
fn a_message_whose_write_panics_every_time_holds_nobody_else_up_and_is_taken_once_that_is_mended() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let mut all = bursts("poison", 50, 0);
        all[7].messages.truncate(1);
        bench.failpoints(&format!("store.admit=panic@{}", all[7].messages[0].token.text("poison")));
        tokio::time::sleep(FAILPOINTS_DELAY).await;
        let others = async {
            // Whoever shares a commit with it is taken all the same, at the first try.
            let sender = bench.sender().with_tries(1, Duration::ZERO);
            let healthy = all.iter().filter(|burst| burst.person.number != 7);
            for played in join_all(healthy.map(|burst| sender.play(burst))).await {
                played.expect("acknowledged");
            }
            assert!(bench.providers.wait_for_sent(49, PATIENCE).await, "{}", bench.log());
            assert_eq!(bench.count("SELECT count(*) FROM messages WHERE text LIKE '%u7-b0-%'"), 0);
            bench.failpoints("");
            Recovery::from("the write of a message panicked every time")
        };
        // It is sent again and again, as its provider would, and each time fails alone.
        let sender = bench.sender();
        let (recovery, poison) = tokio::join!(others, sender.play(&all[7]));
        poison.expect("acknowledged");
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(5));
        check_promises(&bench, &all, "poison");
        assert!(bench.metric("tertulia_store_panics_total").await > 0.5);
    });
}
