//! What supervision costs: messages a second and bytes for each actor, with and without it, in one run.
//!
//! Both variants are measured in processes of their own, alternating, several rounds; medians and ratios are printed.
//! `cargo bench -p tertulia-actors --features testkit --bench supervision`

#![expect(clippy::print_stdout, reason = "a benchmark's result")]
#![expect(clippy::panic, reason = "a benchmark that cannot go on says so")]

use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use actix::prelude::*;
use tertulia_actors::supervision::supervised::Keeper;
use tertulia_actors::testkit::silent_keeper;

/// Actors of a round; as many as a big shop has conversations.
const ACTORS: usize = 100_000;
/// Messages of a round, spread over the actors.
const MESSAGES: usize = 2_000_000;
/// Messages that are sent before the actors get their turn.
const BATCH: usize = 10_000;
/// Rounds of each variant.
const ROUNDS: usize = 5;
/// What a conversation's actor owns, about.
const STATE_BYTES: usize = 256;

struct Worker {
    handled: u64,
    _state: [u8; STATE_BYTES],
}

impl Worker {
    const fn new() -> Self {
        Self { handled: 0, _state: [1; STATE_BYTES] }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Work;

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Supervised for Worker {
    fn restarting(&mut self, _: &mut Self::Context) {
        *self = Self::new();
    }
}

impl Handler<Work> for Worker {
    type Result = ();

    fn handle(&mut self, _: Work, _: &mut Self::Context) {
        self.handled += 1;
    }
}

/// The variants, by their arguments.
const VARIANTS: [&str; 2] = ["plain", "supervised"];

fn start(keeper: Option<&Rc<Keeper>>) -> Addr<Worker> {
    let Some(keeper) = keeper else { return Worker::new().start() };
    let ctx = Context::new();
    let address = ctx.address();
    keeper.run(ctx, Worker::new());
    address
}

/// The anonymous memory of this process in bytes.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    let kib: f64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
    kib * 1_024.0
}

/// Measures one variant in this process: bytes for each actor, and messages a second.
async fn measure(variant: &str) -> (f64, f64) {
    let kept = silent_keeper("workers");
    let kept = (variant == VARIANTS[1]).then_some(&kept);
    let mut workers = Vec::with_capacity(ACTORS);
    let before = memory();
    workers.extend((0..ACTORS).map(|_| start(kept)));
    settle(&workers).await;
    let bytes = (memory() - before) / ACTORS as f64;
    let begin = Instant::now();
    for batch in 0..MESSAGES / BATCH {
        for n in 0..BATCH {
            workers[(batch * BATCH + n) % ACTORS].do_send(Work);
        }
        tokio::task::yield_now().await;
    }
    settle(&workers[..1]).await;
    (bytes, MESSAGES as f64 / begin.elapsed().as_secs_f64())
}

/// Waits until every worker has begun and handled what it was sent.
async fn settle(workers: &[Addr<Worker>]) {
    for worker in workers {
        worker.send(Work).await.expect("alive");
    }
}

fn main() {
    let variant = std::env::args().find(|argument| VARIANTS.contains(&argument.as_str()));
    if let Some(variant) = variant {
        let (bytes, rate) = System::new().block_on(measure(&variant));
        println!("{bytes} {rate}");
        return;
    }
    let mut figures = [(vec![], vec![]), (vec![], vec![])];
    for _ in 0..ROUNDS {
        for (variant, (bytes, rates)) in VARIANTS.iter().zip(&mut figures) {
            let (b, r) = run(variant);
            bytes.push(b);
            rates.push(r);
        }
    }
    let [(plain_bytes, plain_rate), (bytes, rate)] =
        figures.map(|(bytes, rates)| (median(bytes), median(rates)));
    println!("{ACTORS} actors of {STATE_BYTES} bytes, {MESSAGES} messages, median of {ROUNDS} rounds");
    println!("bytes an actor:    plain {plain_bytes:.0}, supervised {bytes:.0}: {:+.0}", bytes - plain_bytes);
    println!(
        "messages a second: plain {plain_rate:.0}, supervised {rate:.0}: {:.3} times",
        rate / plain_rate
    );
}

/// Runs a variant in a process of its own.
fn run(variant: &str) -> (f64, f64) {
    let this = std::env::current_exe().expect("the path of this benchmark");
    let output = Command::new(this).arg(variant).output().expect("this benchmark runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match figures[..] {
        [bytes, rate] => (bytes, rate),
        _ => panic!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
