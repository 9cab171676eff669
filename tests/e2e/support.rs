//! Starts the server under test, and reads what it left behind.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tertulia::load::providers::{EmulatedProviders, ProviderOptions};
use tertulia::load::sender::WebhookSender;
use tertulia_actors::domain::Books;

/// What the emulated provider signs its webhooks with.
pub const APP_SECRET: &str = "the-app-secret";
/// What opens the supervising interface.
pub const CONSOLE_TOKEN: &str = "the-console-token";
/// The quiet period of the server under test.
pub const QUIET: Duration = Duration::from_millis(200);
/// How long a running server may take to see that its failpoints were replaced.
pub const FAILPOINTS_DELAY: Duration = Duration::from_millis(100);
/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a database, a port, and the settings of servers that are started on them one after another.
pub struct Bench {
    folder: TempDir,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    /// What the servers talk to.
    pub providers: EmulatedProviders,
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
}

impl Bench {
    /// A bench whose servers send every turn to the emulated model, which echoes it, and every reply to the emulated
    /// channel.
    pub fn new() -> Self {
        Self::with(ProviderOptions::default())
    }

    /// The same with providers that behave as told.
    pub fn with(options: ProviderOptions) -> Self {
        let mut bench = Self::bare(options);
        let (model, graph) = (bench.providers.model_base_url(), bench.providers.graph_base_url());
        for (key, value) in [
            ("conversation.quiet_ms", &*QUIET.as_millis().to_string()),
            ("channels.whatsapp.enabled", "true"),
            ("channels.whatsapp.verify_token", "the-verify-token"),
            ("channels.whatsapp.app_secret", APP_SECRET),
            ("channels.whatsapp.access_token", "emulated-token"),
            ("channels.whatsapp.graph_base_url", &graph),
            ("query.llm.base_url", &model),
            ("query.llm.model", "echo"),
            ("console.token", CONSOLE_TOKEN),
            ("knowledge.sample", "false"),
            ("pipeline.skip", "false"),
            // Off by default: here every service has its part in every turn.
            ("embedding.backend", "hashed"),
        ] {
            bench.set(key, value);
        }
        for class in tertulia_actors::domain::Class::ALL {
            bench.set(&format!("routes.{class}"), "query");
        }
        bench
    }

    /// A bench whose servers run as they come, but for the place of their database and their port.
    pub fn as_it_comes() -> Self {
        Self::bare(ProviderOptions::default())
    }

    fn bare(options: ProviderOptions) -> Self {
        let providers = EmulatedProviders::start(options).expect("loopback ports are free");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut bench = Self { folder, address: free_address(), settings: vec![], providers };
        let (bind, database) = (bench.address.to_string(), bench.folder().join("tertulia.db"));
        bench.set("server.bind", &bind);
        bench.set("storage.path", database.to_str().expect("a readable path"));
        bench.set("log.level", "warn");
        bench
    }

    /// Sets a key for the servers started from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        let last = self.settings.iter().rev().find(|(key, _)| key == "storage.path");
        last.map(|(_, path)| path.into()).expect("every bench has a database")
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path of the server's HTTP interface.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where the server listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command that runs the binary with the bench's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(&[], arguments)
    }

    /// The same under another program, with that one's arguments.
    pub fn command_under(&self, program: &[&str], arguments: &[&str]) -> Command {
        let mut words = program.iter().copied().chain([env!("CARGO_BIN_EXE_tertulia")]);
        let mut command = Command::new(words.next().expect("at least the binary"));
        command.args(words).args(arguments).current_dir(self.folder()).stdin(Stdio::null());
        // The symbols of a backtrace are kept in memory, which some tests measure.
        command.env("RUST_BACKTRACE", "0");
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command
    }

    /// Starts a server and waits until it is ready.
    pub async fn start(&self) -> Server {
        self.start_with_failpoints("").await
    }

    /// The same with failpoints set.
    pub async fn start_with_failpoints(&self, failpoints: &str) -> Server {
        self.wait_until_ready(self.spawn(failpoints)).await
    }

    /// Waits until a server is ready.
    pub async fn wait_until_ready(&self, mut server: Server) -> Server {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready().await {
            assert!(server.is_alive(), "the server ended: {}", self.log());
            assert!(Instant::now() < deadline, "the server is not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    /// Starts a server without waiting.
    pub fn spawn(&self, failpoints: &str) -> Server {
        let mut command = self.command(&["serve"]);
        command.env("TERTULIA_FAILPOINTS", failpoints);
        command.env("TERTULIA_FAILPOINTS_FILE", self.failpoints_file());
        self.run(command)
    }

    /// Sets the failpoints of the running server, and of those started later; in force after [`FAILPOINTS_DELAY`] at the
    /// latest. Those of [`Self::start_with_failpoints`] stay.
    pub fn failpoints(&self, failpoints: &str) {
        // Replaced as a whole, so that no half of it is read.
        let (new, file) = (self.folder().join("failpoints.new"), self.failpoints_file());
        std::fs::write(&new, failpoints).expect("a writable folder");
        std::fs::rename(&new, &file).expect("a writable folder");
    }

    fn failpoints_file(&self) -> PathBuf {
        self.folder().join("failpoints")
    }

    /// Runs a command that serves; what it logs is kept.
    pub fn run(&self, mut command: Command) -> Server {
        let log = File::options().create(true).append(true).open(self.folder().join("log")).expect("a log");
        let output = File::create(self.folder().join("stdout")).expect("a file");
        command.stdout(output).stderr(log);
        Server { child: command.spawn().expect("the binary runs") }
    }

    async fn is_ready(&self) -> bool {
        let answer = client().get(self.url("/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// What the servers logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// What the last server printed.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.folder().join("stdout")).unwrap_or_default()
    }

    /// A sender of signed webhooks that resends like the provider.
    pub fn sender(&self) -> WebhookSender {
        WebhookSender::new(client(), self.url("/webhooks/whatsapp"), APP_SECRET)
    }

    /// A connection that reads the database.
    pub fn read(&self) -> Connection {
        let conn = Connection::open_with_flags(self.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("a database");
        conn.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        conn
    }

    /// One number from the database.
    pub fn count(&self, sql: &str) -> i64 {
        self.read().query_row(sql, [], |row| row.get(0)).expect("a number")
    }

    /// Waits until a number in the database is what it should become.
    pub async fn wait_for(&self, sql: &str, expected: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.count(sql) != expected {
            let now = self.count(sql);
            assert!(Instant::now() < deadline, "{sql}: {now}, not {expected}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no message and no part of a reply is under way.
    pub async fn wait_until_idle(&self) {
        self.wait_for(
            "SELECT (SELECT count(*) FROM messages WHERE state = 'pending') \
             + (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending'))",
            0,
        )
        .await;
    }

    /// The books as the rows say, counted in one read transaction.
    pub fn books(&self) -> Books {
        let conn = self.read();
        let tx = conn.unchecked_transaction().expect("a transaction");
        let count = |sql: &str| tx.query_row(sql, [], |row| row.get(0)).expect("a number");
        let messages = |state| count(&format!("SELECT count(*) FROM messages WHERE state = '{state}'"));
        let parts = |states| count(&format!("SELECT count(*) FROM outbox WHERE state IN ({states})"));
        Books {
            received: count("SELECT count(*) FROM messages"),
            answered: messages("answered"),
            suppressed: messages("suppressed"),
            dead_lettered: messages("dead_lettered"),
            pending: messages("pending"),
            parts_created: count("SELECT count(*) FROM outbox"),
            parts_pending: parts("'pending', 'sending'"),
            parts_sent: parts("'sent', 'delivered', 'read'"),
            parts_failed: parts("'failed'"),
            parts_ambiguous: parts("'ambiguous'"),
            duplicates: 0,
        }
    }

    /// One figure of `/metrics`.
    pub async fn metric(&self, name: &str) -> f64 {
        let text =
            client().get(self.url("/metrics")).send().await.expect("metrics").text().await.expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
    }
}

impl Server {
    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor's time that it has taken so far, in hundredths of a second.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("a process");
        // Behind the name in brackets; proc_pid_stat(5), fields 14 and 15.
        let fields = stat.rsplit(')').next().expect("a name in brackets").split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Asks it to stop, and sees that it ends well, within its time, and that no actor, task, permit or thread is left.
    pub async fn ends_clean(&mut self, bench: &Bench) {
        let asked = Instant::now();
        assert_eq!(self.terminate().await.code(), Some(0), "{}", bench.log());
        assert!(asked.elapsed() < Duration::from_secs(10), "the drain took {:?}", asked.elapsed());
        for left in ["outlived the drain", "left behind"] {
            assert!(!bench.log().contains(left), "{}", bench.log());
        }
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client for tests.
pub fn client() -> reqwest::Client {
    tertulia::channels::client(Duration::from_secs(5)).expect("a client")
}

/// Ports below those that the system gives away by itself, so that no connection of another test takes one before its server does.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that was free a moment ago, so that servers can be started on it one after another.
pub fn free_address() -> SocketAddr {
    use std::hash::{BuildHasher, RandomState};
    // At random, since other tests look for one at the same time.
    let random = RandomState::new().hash_one(std::process::id()) % PORTS.len() as u64;
    let first = usize::try_from(random).expect("a small number");
    let ports = PORTS.cycle().skip(first).take(PORTS.len());
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    ports.into_iter().find_map(|port| free(port).ok()).expect("a free port")
}

/// Runs a test on one thread.
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}
