//! A thousand panics, spread over all services, while 200 people write at a steady rate.

use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tertulia::load::bursts::{Burst, Bursts, Token};
use tokio::sync::watch;

use super::{check_database, memory, written};
use crate::bursts::judge;
use crate::support::{Bench, FAILPOINTS_DELAY, PATIENCE, Server, run};

const PEOPLE: usize = 200;
/// Each person begins a burst this often.
const PERIOD: Duration = Duration::from_secs(2);
/// Panics of each of two storms.
const PANICS: usize = 500;
/// How long the rate of replies is measured, before and after.
const MEASURED: Duration = Duration::from_secs(4);
/// How long after the last panic the server may take to be as fast as before.
const GRACE: Duration = Duration::from_secs(5);

/// A panic in every fourth call of each service, and now and then in the handler of each front.
const STORM: &str = "services.embedding=%4*panic;services.vectors=%4*panic;services.classifier=%4*panic;\
     services.query=%4*panic;front.call=%400*panic";

/// People who write at a steady rate until it is told to end; what they wrote, and when each burst began.
async fn write_steadily(bench: &Bench, end: &watch::Receiver<bool>) -> Vec<(Instant, Burst)> {
    let (made, sender) = (Bursts::new(73, "storm"), bench.sender());
    let people = (0..PEOPLE).map(|person| {
        let (made, sender, mut end) = (&made, &sender, end.clone());
        async move {
            let mut played = vec![];
            // Spread over the period, so that the rate is steady.
            let mut next = tokio::time::Instant::now() + PERIOD.mul_f64(person as f64 / PEOPLE as f64);
            for number in 0.. {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    _ = end.wait_for(|is_over| *is_over) => break,
                }
                let burst = made.burst(person, number);
                let began = Instant::now();
                sender.play(&burst).await.expect("acknowledged");
                played.push((began, burst));
                next += PERIOD;
            }
            played
        }
    });
    join_all(people).await.into_iter().flatten().collect()
}

/// Panics that the server has told of.
fn panics(bench: &Bench) -> usize {
    bench
        .log()
        .lines()
        .filter(|line| line.contains("\"event\":\"Failed\"") && line.contains("panic: failpoint"))
        .count()
}

/// One storm: until so many panics have happened. When its last one was.
async fn storm(bench: &Bench) -> Instant {
    let (began, before) = (Instant::now(), panics(bench));
    bench.failpoints(STORM);
    while panics(bench) < before + PANICS {
        assert!(began.elapsed() < PATIENCE, "only {} panics", panics(bench) - before);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.failpoints("");
    tokio::time::sleep(FAILPOINTS_DELAY).await;
    Instant::now()
}

/// When what happened, and the memory after each storm.
struct Weather {
    calm_from: Instant,
    storm_from: Instant,
    storm_until: Instant,
    memory: [u64; 2],
}

/// Calm, a storm, calm, a storm as long, calm.
async fn make_weather(bench: &Bench, server: &Server, end: watch::Sender<bool>) -> Weather {
    // Everything is warm after a few seconds.
    tokio::time::sleep(2 * PERIOD).await;
    let calm_from = Instant::now();
    tokio::time::sleep(MEASURED).await;
    let storm_from = Instant::now();
    storm(bench).await;
    tokio::time::sleep(GRACE).await;
    let after_one = memory(server, "RssAnon");
    let storm_until = storm(bench).await;
    tokio::time::sleep(GRACE).await;
    let after_both = memory(server, "RssAnon");
    tokio::time::sleep(MEASURED).await;
    end.send_replace(true);
    Weather { calm_from, storm_from, storm_until, memory: [after_one, after_both] }
}

/// Messages answered for each message written, in a stretch of time; writing leads by about a quiet period and a burst, which
/// is the same before and after.
fn throughput(bench: &Bench, bursts: &[(Instant, Burst)], from: Instant) -> f64 {
    let until = from + MEASURED;
    let sent = bench.providers.sent();
    let replied = sent.iter().filter(|sent| (from..until).contains(&sent.at));
    let replied: usize = replied.map(|sent| Token::find_all(&sent.text, "storm").len()).sum();
    let written = bursts.iter().filter(|(began, _)| (from..until).contains(began));
    let written: usize = written.map(|(_, burst)| burst.messages.len()).sum();
    replied as f64 / written as f64
}

#[test]
fn a_thousand_panics_in_all_services_lose_and_double_nothing_and_leave_no_trace() {
    run(async {
        let mut bench = Bench::new();
        bench.set("turns.unavailable_retry_ms", "500");
        // What the database keeps in memory grows with it, panics or not.
        bench.set("storage.cache_kib", "1024");
        let mut server = bench.start().await;
        let (end, ends) = watch::channel(false);
        let (bursts, weather) =
            tokio::join!(write_steadily(&bench, &ends), make_weather(&bench, &server, end));
        bench.wait_until_idle().await;
        let calm = throughput(&bench, &bursts, weather.calm_from);
        let stormy = throughput(&bench, &bursts, weather.storm_from);
        let after = throughput(&bench, &bursts, weather.storm_until + GRACE);
        let [first, second] = weather.memory;
        let (panics, growth) = (panics(&bench), second as f64 / first as f64);
        writeln!(
            std::io::stderr(),
            "STORM {panics} panics: answered of what was written before {calm:.3}, in the first seconds {stormy:.3}, from 5 s \
             after the last {after:.3} ({:.3} times as before); memory {first} and {second} bytes after each half",
            after / calm,
        )
        .expect("somewhere to print to");
        assert!(panics >= 2 * PANICS);
        assert!(after / calm >= 0.95, "slower than before");
        assert!(growth < 1.5, "memory grew {growth:.2} times");
        let bursts: Vec<_> = bursts.into_iter().map(|(_, burst)| burst).collect();
        let verdict = judge(&bursts, &bench.providers.sent(), "storm");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]), "lost, or answered twice");
        assert!(verdict.swapped.is_empty(), "somebody else's words: {:?}", verdict.swapped);
        let books = bench.books();
        let left = (books.pending, books.parts_pending, books.parts_ambiguous, books.dead_lettered);
        assert_eq!((books.received, left), (written(&bursts), (0, 0, 0, 0)), "{books:?}");
        check_database(&bench);
        server.ends_clean(&bench).await;
    });
}
