//! Being asked to stop while everything is under way.

use std::time::{Duration, Instant};

use tertulia::load::providers::{ModelBehaviour, ProviderOptions, WhatsappBehaviour};

use super::panics::wait_until_fired;
use super::{Recovery, bursts, check_promises, play};
use crate::support::{Bench, FAILPOINTS_DELAY, PATIENCE, run};

/// What `server.drain_ms` is.
const DRAIN: Duration = Duration::from_secs(4);
/// What the end may take beyond `server.drain_ms` where threads are frozen, on a busy machine.
const SLACK: Duration = Duration::from_secs(4);

#[test]
fn sigterm_in_the_middle_of_sends_turns_and_admissions_of_200_people_loses_and_doubles_nothing() {
    run(async {
        // So slow that much is under way whenever it is asked to stop, and until then.
        let model = ModelBehaviour { latency: Duration::from_millis(700), ..ModelBehaviour::default() };
        let whatsapp = WhatsappBehaviour { delay: Duration::from_secs(1), ..WhatsappBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model, whatsapp, ..ProviderOptions::default() });
        bench.set("server.drain_ms", &DRAIN.as_millis().to_string());
        let mut server = bench.start().await;
        // Those of the first wave are being answered while those of the second write.
        let (first, second) = (bursts("stop", 200, 0), bursts("stop", 200, 1));
        let stop = async {
            assert!(bench.providers.wait_for_sent(20, PATIENCE).await, "{}", bench.log());
            let (turns, sends) = (
                bench.count("SELECT count(*) FROM turns WHERE state = 'running'"),
                bench.count("SELECT count(*) FROM outbox WHERE state = 'sending'"),
            );
            assert!(turns > 0 && sends > 0, "nothing was under way: {turns} turns, {sends} sends");
            let asked = Instant::now();
            assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
            let took = asked.elapsed();
            assert!(took < DRAIN + Duration::from_secs(1), "the drain took {took:?}");
            assert_eq!(bench.count("SELECT count(*) FROM outbox WHERE state IN ('sending', 'ambiguous')"), 0);
            assert_eq!(bench.count("SELECT count(*) FROM turns WHERE state = 'running'"), 0);
            let recovery = Recovery::from("SIGTERM under load");
            (bench.start().await, recovery)
        };
        let writing = async {
            play(&bench, &first).await;
            play(&bench, &second).await;
        };
        let ((_server, recovery), ()) = tokio::join!(stop, writing);
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(15));
        let all: Vec<_> = first.into_iter().chain(second).collect();
        check_promises(&bench, &all, "stop");
        assert_eq!(bench.count("SELECT sum(failures + interruptions) FROM turns"), 0);
    });
}

#[test]
fn a_frozen_thread_of_the_store_does_not_hold_up_the_end_and_what_was_acknowledged_is_answered_by_the_next_one()
 {
    // One that reads, and the one that writes in the middle of a commit.
    for (place, thread) in [("store.read", "store-read"), ("store.before_commit", "store-write")] {
        run(async {
            let mut bench = Bench::new();
            bench.set("server.drain_ms", "2000");
            let mut server = bench.start().await;
            let some = bursts("frozen", 20, 0);
            play(&bench, &some).await;
            bench.failpoints(&format!("{place}=1*hold"));
            tokio::time::sleep(FAILPOINTS_DELAY).await;
            // Its first message makes the server write, and its first turn makes it read.
            let burst = &bursts("frozen", 21, 0)[20..];
            let sender = bench.sender();
            let stop = async {
                wait_until_fired(&bench, place, 1).await;
                let asked = Instant::now();
                assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
                let took = asked.elapsed();
                assert!(took < Duration::from_secs(2) + SLACK, "{place}: the drain took {took:?}");
                let log = bench.log();
                assert!(log.contains("a thread of the store is frozen, and is left behind"), "{log}");
                let named = |line: &str| line.contains("outlived the drain") && line.contains(thread);
                assert!(log.lines().any(named), "{place}: {log}");
                bench.failpoints("");
                bench.start().await
            };
            let (_server, played) = tokio::join!(stop, sender.play(&burst[0]));
            played.expect("acknowledged");
            bench.wait_until_idle().await;
            let all: Vec<_> = some.into_iter().chain(burst.to_vec()).collect();
            crate::crash::check_promises(&bench, &all, "frozen");
        });
    }
}
