//! Panics, lost hints, drains and actors that come and go: nothing of it loses, doubles or holds up anybody's words.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tertulia::load::bursts::{Burst, Bursts};
use tertulia::load::providers::{ModelBehaviour, ProviderOptions};

use crate::bursts::judge;
use crate::support::{Bench, PATIENCE, run};

fn bursts(run: &str, people: usize, number: usize) -> Vec<Burst> {
    let made = Bursts::new(29, run);
    (0..people).map(|person| made.burst(person, number)).collect()
}

async fn play(bench: &Bench, bursts: &[Burst]) {
    let sender = bench.sender();
    for played in join_all(bursts.iter().map(|burst| sender.play(burst))).await {
        played.expect("acknowledged");
    }
}

fn check(bench: &Bench, bursts: &[Burst], run: &str) {
    let verdict = judge(bursts, &bench.providers.sent(), run);
    assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
    assert!(verdict.swapped.is_empty(), "{:?}", verdict.swapped);
    let books = bench.books();
    assert!(books.balance() && books.pending == 0 && books.parts_ambiguous == 0, "{books:?}");
}

#[test]
fn conversations_that_leave_memory_and_come_back_at_any_moment_lose_nothing() {
    run(async {
        let mut bench = Bench::new();
        // They leave right after each turn, while the next message may be on its way to them.
        bench.set("conversation.idle_ms", "1");
        bench.set("conversation.quiet_ms", "20");
        let _server = bench.start().await;
        let mut all = vec![];
        for number in 0..10 {
            let now = bursts("leave", 30, number);
            play(&bench, &now).await;
            all.extend(now);
        }
        bench.wait_until_idle().await;
        check(&bench, &all, "leave");
        let left = async {
            while bench.metric("tertulia_conversations_live").await > 0.5 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, left).await.is_ok(), "some never leave");
    });
}

#[test]
fn a_panic_outside_of_the_pipeline_counts_as_a_failure_and_the_turn_runs_again() {
    run(async {
        let mut bench = Bench::new();
        bench.set("turns.retry_base_ms", "20");
        let mut server = bench.start_with_failpoints("turn.before_commit=1*panic").await;
        let one = bursts("panic", 1, 0);
        play(&bench, &one).await;
        bench.wait_until_idle().await;
        check(&bench, &one, "panic");
        assert_eq!(bench.count("SELECT failures FROM turns"), 1);
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_turn_that_always_panics_is_given_up_without_asking_the_model_for_ever() {
    run(async {
        let mut bench = Bench::new();
        bench.set("turns.retry_base_ms", "20");
        bench.set("turns.retry_max_ms", "50");
        let mut server = bench.start_with_failpoints("turn.before_commit=panic").await;
        let one = bursts("poison", 1, 0);
        let written = i64::try_from(one[0].messages.len()).expect("a few");
        play(&bench, &one).await;
        // Three times together, then three times alone; from then on only the dead letter is tried.
        bench.wait_for("SELECT count(*) FROM turns WHERE state <> 'split' AND failures >= 6", 1).await;
        assert!(bench.providers.prompts().len() <= 6, "{} prompts", bench.providers.prompts().len());
        server.kill();
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        let books = bench.books();
        assert!(books.balance(), "{books:?}");
        assert_eq!((books.dead_lettered, books.answered), (1, written - 1), "only the one that failed alone");
    });
}

#[test]
fn a_panic_in_a_send_is_ambiguous_and_holds_nobody_up() {
    run(async {
        let mut bench = Bench::new();
        bench.set("outbox.ambiguous_hold_ms", "100");
        let mut server = bench.start_with_failpoints("outbox.before_post=1*panic").await;
        play(&bench, &bursts("send", 1, 0)).await;
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'ambiguous'", 1).await;
        play(&bench, &bursts("send", 1, 1)).await;
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        assert!(bench.books().balance());
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_reply_that_is_committed_while_the_server_drains_is_sent_and_not_ambiguous() {
    run(async {
        let mut bench = Bench::new();
        bench.set("server.drain_ms", "2000");
        // The commit of the turn takes longer than turns are waited for.
        let mut server = bench.start_with_failpoints("turn.before_commit=stall(1300)").await;
        let some = bursts("drain", 1, 0);
        play(&bench, &some).await;
        bench.wait_for("SELECT count(*) FROM turns WHERE state = 'running'", 1).await;
        server.ends_clean(&bench).await;
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        check(&bench, &some, "drain");
    });
}

#[test]
fn a_turn_that_a_drain_cuts_off_is_neither_failed_nor_interrupted() {
    run(async {
        let model = ModelBehaviour { latency: Duration::from_secs(20), ..ModelBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model, ..ProviderOptions::default() });
        bench.set("server.drain_ms", "800");
        let mut server = bench.start().await;
        let some = bursts("cut", 5, 0);
        play(&bench, &some).await;
        bench.wait_for("SELECT count(*) FROM turns WHERE state = 'running'", 5).await;
        let asked = Instant::now();
        assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
        // Twice the limit: the machine may be busy.
        assert!(asked.elapsed() < Duration::from_millis(1_600), "the drain took {:?}", asked.elapsed());
        assert_eq!(bench.count("SELECT count(*) FROM turns WHERE state = 'waiting'"), 5);
        bench.providers.set_model(ModelBehaviour::default());
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        check(&bench, &some, "cut");
        assert_eq!(bench.count("SELECT sum(failures + interruptions) FROM turns"), 0);
    });
}

#[test]
fn a_server_that_cannot_listen_exits_1_and_takes_nothing_over() {
    let mut bench = Bench::new();
    assert!(bench.command(&["db", "migrate"]).status().expect("the binary runs").success());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    bench.set("server.bind", &address);
    let refused = bench.command(&["serve"]).output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&address), "{said}");
    assert_eq!(bench.count("SELECT max(epoch) FROM partitions"), 0, "it took the database over");
}

#[test]
fn a_hangup_does_not_end_the_server() {
    run(async {
        let bench = Bench::new();
        let mut server = bench.start().await;
        server.signal("HUP");
        let one = bursts("hup", 1, 0);
        play(&bench, &one).await;
        bench.wait_until_idle().await;
        check(&bench, &one, "hup");
        assert!(server.is_alive());
    });
}
