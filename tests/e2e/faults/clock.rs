//! A wall clock that jumps a day, in either direction.

use std::time::Duration;

use futures_util::future::join;
use serde_json::json;
use tertulia::load::bursts::Burst;

use super::{Recovery, bursts, check_promises, play};
use crate::bursts::neighbours;
use crate::support::{Bench, FAILPOINTS_DELAY, QUIET, client, run};

/// Where the wall clock jumps to, one after another, in milliseconds from the true time.
const JUMPS: [i64; 5] = [86_400_000, -86_400_000, 86_400_000, 0, -86_400_000];

fn shift(ms: i64) -> String {
    format!("clock.wall=shift({ms})")
}

/// No burst was split, suppressed, or answered in two.
fn check(bench: &Bench, all: &[Burst]) {
    check_promises(bench, all, "clock");
    let paused = bench.count(&neighbours("gap >= 200"));
    let turns = bench.count("SELECT count(*) FROM turns");
    // The bursts of one person are themselves such pauses.
    assert_eq!(turns, 30 + paused, "more or fewer turns than bursts");
    assert_eq!(i64::try_from(bench.providers.prompts().len()), Ok(turns));
    assert_eq!(bench.books().suppressed, 0);
}

#[test]
fn a_wall_clock_that_jumps_a_day_while_people_write_neither_storms_nor_stalls() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let mut all = vec![];
        for (number, jump) in JUMPS.into_iter().enumerate() {
            let now = bursts("clock", 30, number);
            let jumps = async {
                // In the middle of everybody's burst.
                tokio::time::sleep(QUIET / 2).await;
                bench.failpoints(&shift(jump));
            };
            join(play(&bench, &now), jumps).await;
            let recovery = Recovery::from("the wall clock jumped a day");
            bench.wait_until_idle().await;
            recovery.within(QUIET + Duration::from_secs(3));
            all.extend(now);
        }
        let seen = "SELECT max(received_at) - min(received_at) > 2 * 86400000 - 60000 FROM messages";
        assert_eq!(bench.count(seen), 1, "the clock did not jump");
        check(&bench, &all);
    });
}

#[test]
fn a_wall_clock_that_jumps_a_day_over_a_restart_neither_storms_nor_stalls() {
    run(async {
        let bench = Bench::new();
        let mut all = vec![];
        for (number, jump) in JUMPS.into_iter().enumerate() {
            bench.failpoints(&shift(jump));
            let mut server = bench.start().await;
            let recovery = Recovery::from("the wall clock jumped a day over a restart");
            bench.wait_until_idle().await;
            recovery.within(Duration::from_secs(5));
            let now = bursts("clock", 30, number);
            play(&bench, &now).await;
            all.extend(now);
            // Batches wait for their quiet period, turns run.
            assert_eq!(server.terminate().await.code(), Some(0), "{}", bench.log());
            assert!(bench.books().pending > 0, "it stopped too late to leave anything");
        }
        bench.failpoints("");
        let _server = bench.start().await;
        bench.wait_until_idle().await;
        check(&bench, &all);
    });
}

#[test]
fn words_without_a_providers_time_keep_their_order_when_the_wall_clock_jumps() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "1000");
        let _server = bench.start().await;
        for (word, jump) in ["one", "two", "three"].into_iter().zip([0, -86_400_000, 86_400_000]) {
            bench.failpoints(&shift(jump));
            tokio::time::sleep(FAILPOINTS_DELAY).await;
            let words = json!({"from": "someone", "text": word});
            let told = client().post(bench.url("/v1/messages")).json(&words).send().await.expect("an answer");
            assert_eq!(told.status(), 202);
        }
        bench.wait_until_idle().await;
        let prompts = bench.providers.prompts();
        assert_eq!(prompts.len(), 1, "more than one turn");
        let asked = &prompts[0].messages.last().expect("a question").content;
        assert_eq!(asked.split_whitespace().collect::<Vec<_>>(), ["one", "two", "three"]);
    });
}
