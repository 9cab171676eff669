//! What the benchmarks of a whole server have in common: a server on a new database, and raw keep-alive connections that
//! write prepared requests, so that as little as possible of the cost is the generator's own.

use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tertulia::load::bursts::{Burst, Bursts};
use tertulia::load::payloads::{Business, sign};
use tertulia::load::providers::{EmulatedProviders, ProviderOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take before a benchmark gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// People who write at the same time.
const AT_A_TIME: usize = 4_000;

/// Connections over which they write.
const CONNECTIONS: usize = 32;

const SECRET: &str = "the-app-secret";

/// A server on a new database; ended when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
    _folder: tempfile::TempDir,
    _providers: EmulatedProviders,
}

impl Server {
    pub(super) async fn start(settings: &[&str]) -> Self {
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
    pub(super) fn anonymous_bytes(&self) -> u64 {
        anonymous_bytes(self.child.id()).expect("a process")
    }

    /// Seconds of processor time so far.
    pub(super) fn cpu_seconds(&self) -> f64 {
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

/// Anonymous resident memory of a process, in bytes; none if there is no such process.
pub(super) fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1_024)
}

/// A request with one message of a burst, ready to be written.
pub(super) fn request(address: &str, burst: &Burst, message: usize) -> Vec<u8> {
    let written_at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let written_at = i64::try_from(written_at).expect("before the year 2262");
    let messages = &burst.messages[message..=message];
    let body = Business::default().webhook_body(&burst.person, messages, written_at);
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
pub(super) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> u16 {
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

/// These people write one message each and are answered, a few thousand at a time, so that no backlog comes of it.
pub(super) async fn write_once(server: &Server, people: Range<usize>) {
    let bursts = Bursts::new(1, "bench");
    for first in people.clone().step_by(AT_A_TIME) {
        let some = first..people.end.min(first + AT_A_TIME);
        let requests: Vec<_> =
            some.clone().map(|person| request(&server.address, &bursts.burst(person, 0), 0)).collect();
        let sent = requests.chunks(requests.len().div_ceil(CONNECTIONS)).map(|requests| async move {
            let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
            for request in requests {
                assert_eq!(exchange(&mut stream, request).await, 200, "not acknowledged");
            }
        });
        join_all(sent).await;
        settle(server, some.end).await;
    }
}

/// A client for questions beside the load.
pub(super) fn client() -> reqwest::Client {
    tertulia::channels::client(Duration::from_secs(5)).expect("a client")
}

/// Waits until all messages are answered, and so many people are in memory.
async fn settle(server: &Server, people: usize) {
    let url = format!("http://{}/metrics", server.address);
    let (client, deadline) = (client(), Instant::now() + PATIENCE);
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
