//! The whole server under load: `cargo bench --bench server`. Prints a table; takes about a minute. What to measure can be
//! named behind `--`: throughput, latency, memory.
//!
//! The generator is in this process and shares the machine's cores with the server: raw keep-alive connections that write
//! prepared requests, so that as little as possible of the cost is its own.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tertulia::load::bursts::Bursts;
use tertulia::load::payloads::{Business, sign};
use tertulia::load::providers::{EmulatedProviders, ProviderOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "the-app-secret";

/// A server on a new database; ended when dropped.
struct Server {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
    _providers: EmulatedProviders,
}

impl Server {
    async fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let providers = EmulatedProviders::start(ProviderOptions::default()).expect("loopback ports");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tertulia"));
        let database = folder.path().join("t.db");
        for setting in [
            format!("server.bind={address}"),
            format!("storage.path={}", database.display()),
            format!("channels.whatsapp.app_secret={SECRET}"),
            "channels.whatsapp.enabled=true".into(),
            "channels.whatsapp.access_token=emulated-token".into(),
            format!("channels.whatsapp.graph_base_url={}", providers.graph_base_url()),
            "log.level=warn".into(),
        ] {
            command.arg("--set").arg(setting);
        }
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        command.current_dir(folder.path()).stdout(Stdio::null());
        let child = command.spawn().expect("the binary runs");
        let server = Self { child, address, _folder: folder, _providers: providers };
        while TcpStream::connect(&server.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    /// Anonymous resident memory, in bytes.
    fn anonymous_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("linux");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1_024
    }

    /// Seconds of processor time so far.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a process");
        let after = stat.rsplit(')').next().expect("a name in brackets");
        let ticks =
            |n: usize| after.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that is ready to be written.
fn request(address: &str, person: usize, number: usize) -> Vec<u8> {
    let burst = Bursts::new(1, "bench").burst(person, number);
    let written_at =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let written_at = i64::try_from(written_at).expect("before the year 2262");
    let body = Business::default().webhook_body(&burst.person, &burst.messages[..1], written_at);
    let mut request = format!(
        "POST /webhooks/whatsapp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         x-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
        sign(SECRET, &body),
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}

/// Writes a request and reads its answer; the status.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> u16 {
    stream.write_all(request).await.expect("the server reads");
    let mut answer = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut answer).await.expect("the server answers");
        assert!(read > 0, "the server closed the connection");
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if answer.len() >= head + 4 + length.unwrap_or(0) {
            return text.split_whitespace().nth(1).and_then(|status| status.parse().ok()).expect("a status");
        }
    }
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
        Arc::new((0..total).map(|n| request(&server.address, n % people, n / people)).collect());
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
        Arc::new((0..total).map(|n| request(&server.address, n % 10_000, n / 10_000)).collect());
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

/// Memory of conversations that are in memory and have nothing to do: 100,000 people write once and are answered, a few
/// thousand at a time, so that what a backlog takes is not counted with them.
async fn measure_memory() {
    const PEOPLE: usize = 100_000;
    const AT_A_TIME: usize = 4_000;
    let server = Server::start(&[
        "conversation.quiet_ms=500",
        "conversation.idle_ms=3600000",
        "storage.cache_kib=2000",
    ])
    .await;
    write_once(&server, 0..AT_A_TIME).await;
    settle(&server, AT_A_TIME).await;
    let before = server.anonymous_bytes();
    for first in (AT_A_TIME..AT_A_TIME + PEOPLE).step_by(AT_A_TIME) {
        write_once(&server, first..first + AT_A_TIME).await;
        settle(&server, first + AT_A_TIME).await;
    }
    let after = server.anonymous_bytes();
    println!(
        "memory: {} bytes for each of {PEOPLE} idle conversations ({} MiB before, {} MiB after)",
        after.saturating_sub(before) / PEOPLE as u64,
        before >> 20,
        after >> 20
    );
}

/// Each of these people writes one message, over 32 connections.
async fn write_once(server: &Server, people: std::ops::Range<usize>) {
    let requests: Vec<_> = people.map(|person| request(&server.address, person, 0)).collect();
    let sent = requests.chunks(requests.len().div_ceil(32)).map(|requests| async move {
        let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
        for request in requests {
            assert_eq!(exchange(&mut stream, request).await, 200, "not acknowledged");
        }
    });
    join_all(sent).await;
}

/// Waits until everybody is answered and in memory.
async fn settle(server: &Server, people: usize) {
    let url = format!("http://{}/metrics", server.address);
    let client = tertulia::channels::client(Duration::from_secs(5)).expect("a client");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let text = client.get(&url).send().await.expect("metrics").text().await.expect("text");
        let figure = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse::<usize>().ok()).unwrap_or(usize::MAX)
        };
        let open = figure("tertulia_messages_pending") + figure("tertulia_reply_parts_pending");
        // Counted once a second.
        if open == 0 && (people..=2 * people).contains(&figure("tertulia_conversations_live")) {
            return;
        }
        assert!(Instant::now() < deadline, "not everybody is answered: {text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
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
