//! A Tertulia server of the benchmark, with a knowledge base.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{HITS, request};

const TOKEN: &str = "the-console-token";

/// How texts are embedded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    None,
    Model,
}

/// A server on a new database; ended when dropped.
pub(super) struct Tertulia {
    child: Child,
    pub(super) address: String,
    settings: Vec<String>,
    folder: TempDir,
}

impl Tertulia {
    /// Imports entries, and starts a server on them.
    pub(super) async fn start(backend: Backend, entries: &[Value]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let mut settings = vec![
            format!("server.bind={address}"),
            format!("storage.path={}", folder.path().join("t.db").display()),
            format!("console.token={TOKEN}"),
            "knowledge.sample=false".into(),
            "log.level=warn".into(),
        ];
        if backend == Backend::Model {
            let model = std::env::var_os("TERTULIA_TEST_MODEL").map(PathBuf::from);
            let model = model.expect("TERTULIA_TEST_MODEL names the folder of all-MiniLM-L6-v2");
            let models = model.parent().expect("a folder of models").display().to_string();
            settings.extend(["embedding.backend=model".into(), format!("embedding.models={models}")]);
        }
        let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        std::fs::write(folder.path().join("entries.jsonl"), lines).expect("a writable folder");
        let imported = command(&settings, &folder, &["knowledge", "import", "entries.jsonl"]).status();
        assert!(imported.expect("the binary runs").success(), "the entries are not imported");
        let child = command(&settings, &folder, &["serve"]).spawn().expect("the binary runs");
        while TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { child, address, settings, folder }
    }

    /// The vectors of all entries, in the order of their ids as numbers, once there are so many.
    pub(super) async fn vectors(&self, count: usize) -> Vec<Vec<f32>> {
        let begun = Instant::now();
        let conn = Connection::open(self.folder.path().join("t.db")).expect("a database");
        conn.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        loop {
            let mut select = conn
                .prepare(
                    "SELECT vector FROM knowledge_vectors JOIN knowledge ON knowledge.rowid = entry
                     ORDER BY CAST(id AS INTEGER)",
                )
                .expect("tables");
            let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("rows");
            let vectors: Vec<Vec<f32>> = rows.map(|row| floats(&row.expect("a vector"))).collect();
            if vectors.len() == count {
                return vectors;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(1_800),
                "{} of {count} are embedded",
                vectors.len()
            );
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// The vectors of questions, by the same model.
    pub(super) fn embed(&self, questions: &[String]) -> Vec<Value> {
        let mut command = command(&self.settings, &self.folder, &["model", "embed"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut input = child.stdin.take().expect("a pipe");
        // Beside what is read: the command answers before it has read all.
        let asked = questions.join("\n");
        let writes = std::thread::spawn(move || input.write_all(asked.as_bytes()));
        let done = child.wait_with_output().expect("the command ends");
        writes.join().expect("no panic").expect("the command reads");
        let lines = String::from_utf8(done.stdout).expect("text");
        lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["vector"].take())
            .collect()
    }

    /// Searches that are ready to be written.
    pub(super) fn searches(&self, questions: &[String]) -> Vec<Vec<u8>> {
        let ready = |question: &String| {
            let count = HITS.to_string();
            let asked = [("q", question.as_str()), ("n", &count)];
            let url =
                reqwest::Url::parse_with_params("http://x/v1/knowledge/search", asked).expect("an address");
            let line = format!("GET {}?{}", url.path(), url.query().expect("a query"));
            request(&line, &self.address, &format!("authorization: Bearer {TOKEN}\r\n"), "")
        };
        questions.iter().map(ready).collect()
    }
}

fn command(settings: &[String], folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tertulia"));
    command.args(arguments).current_dir(folder.path()).stdout(Stdio::null());
    for setting in settings {
        command.arg("--set").arg(setting);
    }
    command
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

impl Drop for Tertulia {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
