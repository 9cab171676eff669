//! A thousand panics, spread over all services, while 200 people write at a steady rate.

use std::collections::BTreeMap;
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
/// So many storms, with a calm behind each, in which the memory is read.
const STORMS: usize = 5;
/// Panics of each.
const PANICS: usize = 200;
/// How long the rate of replies is measured, before and after.
const MEASURED: Duration = Duration::from_secs(4);
/// How long after the last panic the server should take to be as fast as before.
const GRACE: Duration = Duration::from_secs(5);
/// So many stretches are measured after that, until one is as fast: a busy machine may stall in any one of them, and a server
/// that stays slower than people write is slower in all.
const STRETCHES_MAX: u32 = 8;
/// Bursts a second that people begin.
const BEGUN: f64 = PEOPLE as f64 / PERIOD.as_secs() as f64;

/// What a panic may leave in memory, by the median of the storms: what panics leave they leave in each, while a stall of the machine,
/// in which hundreds of people wait, takes memory once that the allocator keeps.
const GROWTH_MAX_BYTES: u64 = 16 << 10;

/// A panic in every fourth call of each service, and now and then in the handler of each front.
const STORM: &str = "services.embedding=%4*panic;services.vectors=%4*panic;services.classifier=%4*panic;\
     services.query=%4*panic;front.call=%400*panic";

/// People who write at a steady rate, whatever the server does, until it is told to end; what they wrote.
async fn write_steadily(bench: &Bench, end: &watch::Receiver<bool>) -> Vec<Burst> {
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
                sender.play(&burst).await.expect("acknowledged");
                played.push(burst);
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

/// Bursts answered a second: before the storms, in the first seconds of the first, and in each stretch after the last; and the
/// memory after each storm.
struct Weather {
    calm: f64,
    stormy: f64,
    after: Vec<f64>,
    memory: Vec<u64>,
}

impl Weather {
    /// What memory a panic took, in bytes: the median, or the lower one of two. The first storm does not count, as it makes warm what
    /// only panics use.
    fn growth(&self) -> u64 {
        let mut grown: Vec<u64> =
            self.memory.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        grown.sort_unstable();
        grown[(grown.len() - 1) / 2] / PANICS as u64
    }
}

/// Whether bursts are answered as fast as before. What a stall of the machine held up before the measured stretch is answered
/// in it beside its own, so no more is asked for than people begin.
fn is_as_before(answered: f64, calm: f64) -> bool {
    answered >= 0.95 * calm.min(BEGUN)
}

/// A calm, and storms with a calm behind each.
async fn make_weather(bench: &Bench, server: &Server, end: watch::Sender<bool>) -> Weather {
    // Everything is warm after a few seconds.
    tokio::time::sleep(2 * PERIOD).await;
    let calm_from = Instant::now();
    tokio::time::sleep(MEASURED).await;
    let storm_from = Instant::now();
    let (mut memory_after, mut calm_again) = (vec![], storm_from);
    for _ in 0..STORMS {
        calm_again = storm(bench).await + GRACE;
        tokio::time::sleep_until(calm_again.into()).await;
        memory_after.push(memory(server, "RssAnon"));
    }
    let (calm, stormy) = (throughput(bench, calm_from), throughput(bench, storm_from));
    let mut after = vec![];
    for stretch in 0..STRETCHES_MAX {
        tokio::time::sleep(MEASURED).await;
        after.push(throughput(bench, calm_again + stretch * MEASURED));
        if after.last().is_some_and(|answered| is_as_before(*answered, calm)) {
            break;
        }
    }
    end.send_replace(true);
    Weather { calm, stormy, after, memory: memory_after }
}

/// Bursts a second whose first message was answered in a stretch of time. So many are begun at all times, whatever the server
/// does, unlike messages, of which one burst has more than another.
fn throughput(bench: &Bench, from: Instant) -> f64 {
    let mut first: BTreeMap<(usize, usize), Instant> = BTreeMap::new();
    for sent in bench.providers.sent() {
        for token in Token::find_all(&sent.text, "storm") {
            let at = first.entry((token.person, token.burst)).or_insert(sent.at);
            *at = sent.at.min(*at);
        }
    }
    let until = from + MEASURED;
    let answered = first.into_values().filter(|at| (from..until).contains(at)).count();
    answered as f64 / MEASURED.as_secs_f64()
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
        let (panics, growth) = (panics(&bench), weather.growth());
        let Weather { calm, stormy, after, memory } = weather;
        writeln!(
            std::io::stderr(),
            "STORM {panics} panics: bursts answered a second before {calm:.1}, in the first seconds {stormy:.1}, in \
             stretches from 5 s after the last {after:.1?}; memory {memory:?} bytes after each storm, {growth} a panic more",
        )
        .expect("somewhere to print to");
        assert!(panics >= STORMS * PANICS);
        assert!(after.iter().any(|answered| is_as_before(*answered, calm)), "slower than before");
        assert!(growth <= GROWTH_MAX_BYTES, "memory grew by {growth} bytes a panic");
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
