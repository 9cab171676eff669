//! A Chroma server of the benchmark, and its collection.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{HITS, request};

/// Records that are sent at a time.
const PAGE: usize = 500;

const PLACE: &str = "/api/v2/tenants/default_tenant/databases/default_database/collections";

/// A server on a new folder; ended when dropped.
pub(super) struct Chroma {
    child: Child,
    pub(super) address: String,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Chroma {
    pub(super) async fn start() -> Self {
        let python = std::env::var_os("TERTULIA_TEST_CHROMA");
        let python =
            python.expect("TERTULIA_TEST_CHROMA names a Python interpreter that has the package chromadb");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port().to_string();
        drop(listener);
        let path = folder.path().join("chroma").display().to_string();
        let run = "import sys, chromadb_rust_bindings as b; b.cli(['chroma', 'run'] + sys.argv[1:])";
        let child = Command::new(python)
            .args(["-c", run, "--path", &path, "--host", "127.0.0.1", "--port", &port])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python runs");
        let client = tertulia::channels::client(Duration::from_secs(5)).expect("a client");
        let chroma = Self { child, address: format!("127.0.0.1:{port}"), client, _folder: folder };
        let begun = Instant::now();
        while chroma.client.get(chroma.url("/api/v2/heartbeat")).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "chroma does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        chroma
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(self.url(path)).json(body).send().await.expect("chroma answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// Makes a collection of these entries; its path.
    pub(super) async fn fill(&self, entries: &[Value], vectors: &[Vec<f32>]) -> String {
        let made = json!({"name": "bench", "configuration": {"hnsw": {"space": "cosine"}}});
        let made = self.post(PLACE, &made).await;
        let collection = format!("{PLACE}/{}", made["id"].as_str().expect("an id"));
        for (entries, vectors) in entries.chunks(PAGE).zip(vectors.chunks(PAGE)) {
            let all = |key: &str| entries.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
            let metadatas: Vec<Value> =
                entries.iter().map(|entry| json!({"answer": entry["answer"], "language": "en"})).collect();
            let records = json!({"ids": all("id"), "documents": all("question"), "metadatas": metadatas, "embeddings": vectors});
            self.post(&format!("{collection}/upsert"), &records).await;
        }
        collection
    }

    /// Queries that are ready to be written.
    pub(super) fn queries(&self, collection: &str, vectors: &[Value]) -> Vec<Vec<u8>> {
        let line = format!("POST {collection}/query");
        let body = |vector: &Value| {
            let include = ["documents", "metadatas", "distances"];
            json!({"query_embeddings": [vector], "n_results": HITS, "include": include}).to_string()
        };
        let ready =
            |vector| request(&line, &self.address, "content-type: application/json\r\n", &body(vector));
        vectors.iter().map(ready).collect()
    }
}

impl Drop for Chroma {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
