//! The whole server under load: `cargo bench --bench server`. Prints a table; takes about a minute. What to measure can be
//! named behind `--`: throughput, latency, memory.
//!
//! The generator is in this process and shares the machine's cores with the server: raw keep-alive connections that write
//! prepared requests, so that as little as possible of the cost is its own.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tertulia::load::bursts::Bursts;
use tokio::net::TcpStream;

use support::{Server, exchange, request, write_once};

/// The request of the first message of a burst.
fn first(address: &str, person: usize, number: usize) -> Vec<u8> {
    request(address, &Bursts::new(1, "bench").burst(person, number), 0)
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default().as_secs_f64() * 1_000.0
}

/// Every connection writes its next message as soon as the last is acknowledged.
async fn closed_loop(
    server: &Server,
    connections: usize,
    people: usize,
    total: usize,
) -> (f64, Vec<Duration>) {
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new((0..total).map(|n| first(&server.address, n % people, n / people)).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let workers = (0..connections).map(|_| {
        let (requests, next, address) = (Arc::clone(&requests), Arc::clone(&next), server.address.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let mut took = vec![];
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                assert_eq!(exchange(&mut stream, request).await, 200, "not acknowledged");
                took.push(sent.elapsed());
            }
            took
        })
    });
    let mut took: Vec<_> =
        join_all(workers).await.into_iter().flat_map(|took| took.expect("no panic")).collect();
    let rate = took.len() as f64 / began.elapsed().as_secs_f64();
    took.sort_unstable();
    (rate, took)
}

/// A constant rate; latency counts from the moment each request was meant to be sent.
async fn open_loop(server: &Server, connections: usize, rate: usize, seconds: usize) -> Vec<Duration> {
    let total = rate * seconds;
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new((0..total).map(|n| first(&server.address, n % 10_000, n / 10_000)).collect());
    let began = Instant::now() + Duration::from_millis(100);
    let workers = (0..connections).map(|worker| {
        let (requests, address) = (Arc::clone(&requests), server.address.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let mut took = vec![];
            for n in (worker..total).step_by(connections) {
                let meant = began + Duration::from_secs_f64(n as f64 / rate as f64);
                tokio::time::sleep_until(meant.into()).await;
                assert_eq!(exchange(&mut stream, &requests[n]).await, 200, "not acknowledged");
                took.push(meant.elapsed());
            }
            took
        })
    });
    let mut took: Vec<_> =
        join_all(workers).await.into_iter().flat_map(|took| took.expect("no panic")).collect();
    took.sort_unstable();
    took
}

async fn measure_throughput(round: usize) {
    let server = Server::start(&[]).await;
    let (rate, took) = closed_loop(&server, 256, 10_000, 100_000).await;
    let cpu = server.cpu_seconds() / 100.0;
    println!(
        "throughput, round {round}: {rate:.0} messages/s at 256 connections, p50 {:.1} ms, p99 {:.1} ms, {cpu:.3} CPU s per 1,000",
        percentile(&took, 50),
        percentile(&took, 99)
    );
}

async fn measure_latency(round: usize) {
    let server = Server::start(&[]).await;
    let took = open_loop(&server, 64, 2_000, 10).await;
    println!(
        "acknowledgement at 2,000/s, round {round}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        percentile(&took, 50),
        percentile(&took, 99),
        percentile(&took, 100)
    );
}

/// Memory of conversations that are in memory and have nothing to do: 100,000 people write once and are answered, so many at a
/// time that what a backlog takes is not counted with them.
async fn measure_memory() {
    const PEOPLE: usize = 100_000;
    const BEFORE: usize = 4_000;
    let server = Server::start(&[
        "conversation.quiet_ms=500",
        "conversation.idle_ms=3600000",
        "storage.cache_kib=2000",
    ])
    .await;
    write_once(&server, 0..BEFORE).await;
    let before = server.anonymous_bytes();
    write_once(&server, BEFORE..BEFORE + PEOPLE).await;
    let after = server.anonymous_bytes();
    println!(
        "memory: {} bytes for each of {PEOPLE} idle conversations ({} MiB before, {} MiB after)",
        after.saturating_sub(before) / PEOPLE as u64,
        before >> 20,
        after >> 20
    );
}

fn main() {
    if !Path::new("/proc/self/status").exists() {
        println!("SKIPPED: this benchmark reads /proc");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let named: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_asked = |what: &str| named.is_empty() || named.iter().any(|name| name == what);
    runtime.block_on(async {
        for round in 1..=3 {
            if is_asked("throughput") {
                measure_throughput(round).await;
            }
            if is_asked("latency") {
                measure_latency(round).await;
            }
        }
        if is_asked("memory") {
            measure_memory().await;
        }
    });
}
