//! Being asked to stop while everything is under way.

use std::time::{Duration, Instant};

use tertulia::load::providers::{ModelBehaviour, ProviderOptions, WhatsappBehaviour};

use super::{Recovery, bursts, check_promises, play};
use crate::support::{Bench, PATIENCE, run};

/// What `server.drain_ms` is.
const DRAIN: Duration = Duration::from_secs(4);

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
