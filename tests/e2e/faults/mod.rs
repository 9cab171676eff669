//! The table of faults: one fault each, against the real binary, and what was promised about it. Each test measures how long
//! the server took to recover, prints it, and holds it to a generous bound. `docs/SEMANTICS.md` has the table.

mod backlog;
mod chroma;
mod clock;
mod database;
mod fronts;
mod model;
mod panics;
mod stop;
mod storm;
mod threads;

use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tertulia::load::bursts::{Burst, Bursts};

use crate::bursts::{judge, neighbours};
use crate::support::{Bench, Server};

/// One burst each of so many people.
fn bursts(run: &str, people: usize, number: usize) -> Vec<Burst> {
    let made = Bursts::new(71, run);
    (0..people).map(|person| made.burst(person, number)).collect()
}

/// Writes bursts, all people at once, until all is acknowledged.
async fn play(bench: &Bench, bursts: &[Burst]) {
    let sender = bench.sender();
    for played in join_all(bursts.iter().map(|burst| sender.play(burst))).await {
        played.expect("acknowledged");
    }
}

/// How many messages were written.
fn written(bursts: &[Burst]) -> i64 {
    let written = bursts.iter().map(|burst| burst.messages.len()).sum::<usize>();
    i64::try_from(written).expect("a few")
}

/// Checks the promises: all that was written is answered once, in whole bursts, to whom it belongs, and the books balance.
fn check_promises(bench: &Bench, bursts: &[Burst], run: &str) {
    let verdict = judge(bursts, &bench.providers.sent(), run);
    assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]), "lost, or answered twice");
    assert!(verdict.swapped.is_empty(), "somebody else's words: {:?}", verdict.swapped);
    // On a busy machine the generator may itself pause for longer than the quiet period; only then are there two turns.
    assert_eq!(bench.count(&neighbours("before <> turn_id AND gap < 200")), 0, "{:?}", verdict.split);
    let books = bench.books();
    assert!(books.balance(), "{books:?}");
    let left = (books.pending, books.parts_pending, books.parts_ambiguous, books.dead_lettered);
    assert_eq!((books.received, left), (written(bursts), (0, 0, 0, 0)), "{books:?}");
    check_database(bench);
}

/// Checks that the stored books are what the rows add up to, and that nothing is damaged.
fn check_database(bench: &Bench) {
    let checked = bench.command(&["db", "check"]).output().expect("the binary runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// The time from the end of a fault to the recovery from it.
struct Recovery {
    fault: &'static str,
    mended: Instant,
}

impl Recovery {
    /// The fault has just ended.
    fn from(fault: &'static str) -> Self {
        Self { fault, mended: Instant::now() }
    }

    /// The server has recovered.
    fn within(self, limit: Duration) {
        let took = self.mended.elapsed();
        // Not by a macro: the lints take this for no test.
        writeln!(std::io::stderr(), "FAULT {}: recovered in {} ms", self.fault, took.as_millis())
            .expect("somewhere to print to");
        assert!(took < limit, "{}: recovered only after {took:?}", self.fault);
    }
}

/// A figure of the process's memory in bytes: `RssAnon` now, `VmHWM` at the most since [`forget_peak`].
fn memory(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a figure in KiB") * 1_024
}

/// Begins a new peak of the process's memory.
fn forget_peak(server: &Server) {
    // Source: proc_pid_clear_refs(5), value 5.
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").expect("our own process");
}
