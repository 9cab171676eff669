//! A collection of a real Chroma server: as the knowledge base, and imported from.

mod kept;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client, free_address, run};

/// Ports on which a server is tried to be started: another program may take one at the same time.
const PORTS_MAX: usize = 5;

/// Where collections are.
const PLACE: &str = "/api/v2/tenants/default_tenant/databases/default_database/collections";

/// A Chroma server on a port and a folder of its own, killed and started again as a test likes; killed when dropped.
pub struct Chroma {
    python: PathBuf,
    folder: TempDir,
    address: String,
    child: Option<Child>,
}

impl Chroma {
    /// Starts a server; none where these tests are skipped.
    pub async fn start() -> Option<Self> {
        if ["TERTULIA_SKIP_CHROMA", "TERTULIA_SKIP_MODEL"].iter().any(|name| std::env::var_os(name).is_some())
        {
            return None;
        }
        let python = std::env::var_os("TERTULIA_TEST_CHROMA").map(PathBuf::from).unwrap_or_else(|| {
            let home = PathBuf::from(std::env::var_os("HOME").expect("a home"));
            home.join(".cache/tertulia-tools/chromadb@1.5.9/bin/python3")
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut chroma = Self { python, folder, address: free_address().to_string(), child: None };
        for _ in 1..PORTS_MAX {
            if chroma.runs().await {
                return Some(chroma);
            }
            chroma.kill();
            chroma.address = free_address().to_string();
        }
        chroma.run().await;
        Some(chroma)
    }

    /// Starts the server on what is there, where it was.
    pub async fn run(&mut self) {
        assert!(self.runs().await, "chroma does not start");
    }

    /// Starts the server on what is there, and tells whether it runs: it ends at once where another program has its port.
    async fn runs(&mut self) -> bool {
        let (_, port) = self.address.rsplit_once(':').expect("a port");
        let program = "import sys, chromadb_rust_bindings as b; b.cli(['chroma', 'run'] + sys.argv[1:])";
        let path = self.folder.path().join("chroma").display().to_string();
        let child = Command::new(&self.python)
            .args(["-c", program, "--path", &path, "--host", "127.0.0.1", "--port", port])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child =
            self.child.insert(child.expect("python with the package chromadb, which tests/run installs"));
        let heartbeat = format!("http://{}/api/v2/heartbeat", self.address);
        let begun = Instant::now();
        loop {
            let answers = client().get(&heartbeat).send().await.is_ok();
            if child.try_wait().expect("a child").is_some() {
                return false;
            }
            if answers {
                return true;
            }
            assert!(begun.elapsed() < PATIENCE, "chroma does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().expect("a child");
        }
    }

    /// A path of its interface.
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where the configuration says it is.
    pub fn base_url(&self) -> String {
        self.url("")
    }

    /// Asks it as any other program does.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = client().post(self.url(path)).json(body).send().await.expect("chroma answers");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Makes a collection; its path.
    pub async fn create(&self, name: &str, space: &str) -> String {
        let made = json!({"name": name, "configuration": {"hnsw": {"space": space}}});
        let made = self.post(PLACE, &made).await;
        format!("{PLACE}/{}", made["id"].as_str().expect("an id"))
    }

    /// How many records a collection has.
    pub async fn count(&self, collection: &str) -> u64 {
        let answer = client().get(self.url(&format!("{collection}/count"))).send().await;
        answer.expect("chroma answers").json().await.expect("a number")
    }
}

impl Drop for Chroma {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the weights of all-MiniLM-L6-v2 are.
fn models() -> String {
    let model = std::env::var_os("TERTULIA_TEST_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME").expect("a home"));
        home.join(".cache/tertulia-models/all-MiniLM-L6-v2")
    });
    model.parent().expect("a folder of models").display().to_string()
}

/// Lets a bench's servers embed by the model and search in a collection.
pub fn use_collection(bench: &mut Bench, chroma: &Chroma, collection: &str) {
    bench.set("embedding.backend", "model");
    bench.set("embedding.models", &models());
    bench.set("vectors.backend", "chroma");
    bench.set("vectors.chroma.base_url", &chroma.base_url());
    bench.set("vectors.chroma.collection", collection);
    bench.set("supervision.probe_ms", "50");
    bench.set("supervision.probe_max_ms", "100");
}

/// What the model makes of texts.
fn embed(bench: &Bench, texts: &[&str]) -> Vec<Value> {
    use std::io::Write;
    let mut command = bench.command(&["model", "embed"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(texts.join("\n").as_bytes()).expect("the command reads");
    drop(input);
    let done = child.wait_with_output().expect("the command ends");
    let lines = String::from_utf8(done.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["vector"].take()).collect()
}

/// Asks the server's interface: status and answer.
async fn ask(bench: &Bench, request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.bearer_auth(CONSOLE_TOKEN).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {}", bench.log()));
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn search(bench: &Bench, query: &[(&str, &str)]) -> (u16, Value) {
    let url = reqwest::Url::parse_with_params(&bench.url("/v1/knowledge/search"), query).expect("an address");
    ask(bench, client().get(url)).await
}

/// The id of the best hit, and its score.
async fn best(bench: &Bench, question: &str) -> (String, f64) {
    let (_, found) = search(bench, &[("q", question)]).await;
    let hit = &found["hits"][0];
    let id = hit["entry"]["id"].as_str().unwrap_or_else(|| panic!("{question}: {found}"));
    (id.to_owned(), hit["score"].as_f64().expect("a score"))
}

async fn put(bench: &Bench, entries: &Value) -> (u16, Value) {
    ask(bench, client().post(bench.url("/v1/knowledge")).json(entries)).await
}

/// Runs a command of the knowledge base: exit code, standard output, standard error.
fn knowledge(bench: &Bench, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = ["knowledge"].iter().chain(arguments).copied().collect();
    let done = bench.command(&arguments).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

fn entry(id: &str, language: &str, question: &str, answer: &str) -> Value {
    json!({"id": id, "language": language, "question": question, "answer": answer})
}

#[test]
fn a_collection_is_searched_filled_listed_and_emptied_through_the_server() {
    run(async {
        let Some(chroma) = Chroma::start().await else { return };
        let collection = chroma.create("kb-live", "cosine").await;
        let mut bench = Bench::new();
        use_collection(&mut bench, &chroma, "kb-live");
        let mut server = bench.start().await;
        let parcel = entry("parcel", "en", "When will my parcel arrive?", "Within two days. 📦");
        let german = entry("parcel", "de", "Wann kommt mein Paket an?", "In zwei Tagen.");
        let mut refund = entry("refund", "en", "Can I get my money back?", "Yes, within two weeks.");
        refund["tags"] = json!(["money"]);
        refund["accounts"] = json!(["100"]);
        refund["valid_from"] = json!("2020-01-01T00:00:00.000Z");
        let put_all = put(&bench, &json!([parcel, german, refund, parcel])).await;
        assert_eq!(put_all, (200, json!({"imported": 4})));
        assert_eq!(chroma.count(&collection).await, 3, "an entry has one record a language");
        // Again, and changed: nothing is doubled.
        refund["answer"] = json!("Within a month.");
        assert_eq!(put(&bench, &json!([parcel, refund])).await.0, 200);
        assert_eq!(chroma.count(&collection).await, 3);

        let (id, score) = best(&bench, "When will my parcel arrive?").await;
        assert!(id == "parcel" && score > 0.99, "{id} {score}");
        assert_eq!(best(&bench, "I want to be reimbursed").await.0, "refund");
        let tagged = [("q", "When will my parcel arrive?"), ("tags", "money"), ("account", "100")];
        let (_, found) = search(&bench, &tagged).await;
        assert_eq!(found["hits"].as_array().map(Vec::len), Some(1), "{found}");
        assert_eq!(found["hits"][0]["entry"], refund, "all of it is read back");
        let elsewhere = [("q", "money back"), ("account", "200")];
        let (_, found) = search(&bench, &elsewhere).await;
        assert_eq!(found["hits"].as_array().map(Vec::len), Some(1), "{found}");
        let (_, found) = search(&bench, &[("q", "When will my parcel arrive?"), ("language", "de")]).await;
        assert_eq!((&found["hits"][0]["entry"], found["hits"].as_array().map(Vec::len)), (&german, Some(1)));

        let (_, page) = ask(&bench, client().get(bench.url("/v1/knowledge?limit=2"))).await;
        assert_eq!(page["entries"], json!([german, parcel]));
        assert_eq!(knowledge(&bench, &["list"]).1.lines().count(), 3);
        let (_, exported, _) = knowledge(&bench, &["export"]);
        let last: Value = serde_json::from_str(exported.lines().last().expect("three lines")).expect("JSON");
        assert_eq!(last, refund);
        let (_, found, _) = knowledge(&bench, &["search", "how long does shipping take", "-n", "1"]);
        assert!(found.contains("Within two days. 📦"), "{found}");
        let (code, _, said) = knowledge(&bench, &["reindex"]);
        assert!(code == Some(1) && said.contains("its own index"), "{said}");

        let (status, told) = put(&bench, &json!([entry("ar", "ar", "متى تفتحون؟", "في التاسعة")])).await;
        assert!(status == 409 && told["detail"].as_str().is_some_and(|told| told.contains("'ar'")), "{told}");

        let (_, removed, _) = knowledge(&bench, &["remove", "parcel", "nothing"]);
        assert_eq!((removed.as_str(), chroma.count(&collection).await), ("2 entries were removed\n", 1));
        assert_eq!(bench.count("SELECT count(*) FROM knowledge"), 0, "the collection alone has the entries");
        server.ends_clean(&bench).await;
        let (code, _, said) = knowledge(&bench, &["list"]);
        assert!(code == Some(1) && said.contains("start the server"), "{said}");
    });
}

/// What the server tells of an entry.
async fn told_of(bench: &Bench, id: &str) -> Value {
    let (_, mut told) = ask(bench, client().get(bench.url(&format!("/v1/knowledge/entry?id={id}")))).await;
    told["entries"].take()
}

/// How many entries the server says that there are.
async fn entries(bench: &Bench) -> Value {
    let (_, mut status) = ask(bench, client().get(bench.url("/v1/knowledge/status"))).await;
    status["entries"].take()
}

/// Fills a collection as a program of somebody else does: ids that mean nothing, squares for distances, and some records that
/// are no entries.
async fn fill_foreign(bench: &Bench, chroma: &Chroma, collection: &str) {
    // As a model of many languages would have it, an Arabic question lies where its meaning does.
    let vectors = embed(bench, &["When do you open?", "Can I pay by card?", "Do you sell gift vouchers?"]);
    let records = json!({
        "ids": ["7f3a", "91bc", "c0de"],
        "embeddings": vectors,
        "documents": ["متى تفتحون؟", "Can I pay by card?", "Do you sell gift vouchers?"],
        "metadatas": [{"answer": "نفتح في التاسعة صباحا 🕘", "source": "faq"}, {"answer": "Yes."}, {"source": "faq"}],
    });
    chroma.post(&format!("{collection}/upsert"), &records).await;
}

#[test]
fn a_collection_that_somebody_else_filled_answers_in_whatever_language_it_is() {
    run(async {
        let Some(chroma) = Chroma::start().await else { return };
        let collection = chroma.create("faq", "l2").await;
        let mut bench = Bench::new();
        use_collection(&mut bench, &chroma, "faq");
        fill_foreign(&bench, &chroma, &collection).await;
        let mut server = bench.start().await;
        let (_, found) = search(&bench, &[("q", "When do you open?")]).await;
        let hits = found["hits"].as_array().expect("hits");
        assert_eq!(hits[0]["entry"], entry("7f3a", "ar", "متى تفتحون؟", "نفتح في التاسعة صباحا 🕘"));
        assert!(hits[0]["score"].as_f64().is_some_and(|score| score > 0.99), "{found}");
        assert_eq!(hits.len(), 2, "what has no answer is never a hit: {found}");

        // A turn gives the stored answer.
        let words = json!({"from": "visitor", "text": "When do you open?"});
        let told = client().post(bench.url("/v1/messages")).json(&words).send().await.expect("an answer");
        assert_eq!(told.status().as_u16(), 202);
        bench.wait_until_idle().await;
        let reply: String =
            bench.read().query_row("SELECT text FROM outbox", [], |row| row.get(0)).expect("a reply");
        assert_eq!(reply, "نفتح في التاسعة صباحا 🕘");

        // An entry takes the place of the record of its id, and what that one says beside it stays.
        assert_eq!(put(&bench, &json!([entry("91bc", "en", "Can I pay by card?", "Not yet.")])).await.0, 200);
        assert_eq!(chroma.count(&collection).await, 3);
        let (_, found) = search(&bench, &[("q", "Can I pay by card?"), ("n", "1")]).await;
        assert_eq!(found["hits"][0]["entry"]["answer"], "Not yet.");
        assert_eq!(told_of(&bench, "91bc").await[0]["answer"], "Not yet.");

        // Also where its name is a number.
        let numbered = json!({
            "ids": ["n1", "n2"],
            "embeddings": embed(&bench, &["Do you have a lift?", "Is there a gym?"]),
            "documents": ["Do you have a lift?", "Is there a gym?"],
            "metadatas": [{"id": 7, "language": "en", "answer": "No."}, {"id": 2.5, "language": "en", "answer": "No."}],
        });
        chroma.post(&format!("{collection}/upsert"), &numbered).await;
        let changed = [
            entry("7", "en", "Do you have a lift?", "Since May."),
            entry("2.5", "en", "Is there a gym?", "Since June."),
        ];
        assert_eq!(put(&bench, &json!(changed)).await.0, 200);
        assert_eq!(chroma.count(&collection).await, 5);
        assert_eq!(told_of(&bench, "7").await, json!([changed[0]]));
        let (_, removed, _) = knowledge(&bench, &["remove", "7", "2.5"]);
        assert_eq!((removed.as_str(), chroma.count(&collection).await), ("2 entries were removed\n", 3));
        server.ends_clean(&bench).await;
    });
}

#[test]
fn what_is_wrong_with_a_collection_is_said_and_mended_without_a_restart() {
    run(async {
        let Some(chroma) = Chroma::start().await else { return };
        let mut bench = Bench::new();
        use_collection(&mut bench, &chroma, "late");
        // Each call finds out for itself what is wrong.
        bench.set("supervision.breaker_failures", "1000");
        let mut server = bench.start().await;
        let told = async |question| {
            let (status, told) = search(&bench, &[("q", question)]).await;
            (status, told["detail"].as_str().unwrap_or_default().to_owned())
        };
        let (status, missing) = told("anything").await;
        assert_eq!(status, 503);
        for part in
            ["no collection 'late'", "default_tenant", "default_database", "vectors.chroma.collection"]
        {
            assert!(missing.contains(part), "{missing}");
        }
        let (status, refused) = put(&bench, &json!([entry("a", "en", "q?", "a")])).await;
        assert_eq!((status, refused["code"].as_str()), (503, Some("knowledge_unavailable")), "{refused}");
        assert!(bench.log().contains("no collection 'late'"), "it is said at the start: {}", bench.log());

        let collection = chroma.create("late", "cosine").await;
        let upsert = format!("{collection}/upsert");
        chroma.post(&upsert, &json!({"ids": ["a"], "embeddings": [[1, 0, 0]], "documents": ["q"]})).await;
        let (status, mismatch) = told("anything").await;
        assert_eq!(status, 503);
        for part in ["vectors of 3 numbers", "384", "embedding.model"] {
            assert!(mismatch.contains(part), "{mismatch}");
        }
        // Made anew under the same name, with vectors that fit.
        let remove =
            client().delete(chroma.url(&format!("{PLACE}/late"))).send().await.expect("chroma answers");
        assert!(remove.status().is_success());
        chroma.create("late", "ip").await;
        assert_eq!(put(&bench, &json!([entry("a", "en", "Do you have camels?", "Two.")])).await.0, 200);
        let (id, score) = best(&bench, "Do you have camels?").await;
        assert!(id == "a" && score > 0.99, "{score}");
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_collection_is_imported_again_and_again_and_what_is_no_entry_is_named() {
    run(async {
        let Some(chroma) = Chroma::start().await else { return };
        let collection = chroma.create("faq", "cosine").await;
        let count = 1_100;
        for first in (0..count).step_by(500) {
            let some: Vec<usize> = (first..count.min(first + 500)).collect();
            let all = |made: &dyn Fn(usize) -> Value| some.iter().map(|n| made(*n)).collect::<Vec<_>>();
            let metadata = |n: usize| match n {
                7 => Value::Null,
                8 => json!({"answer": " "}),
                _ => json!({"answer": format!("Answer {n}"), "language": "en", "tags": ["faq"]}),
            };
            let records = json!({
                "ids": all(&|n| json!(n.to_string())),
                "embeddings": all(&|n| json!([n, 1])),
                "documents": all(&|n| json!(format!("Question {n}?"))),
                "metadatas": all(&metadata),
            });
            chroma.post(&format!("{collection}/upsert"), &records).await;
        }
        let mut bench = Bench::new();
        bench.set("vectors.chroma.base_url", &chroma.base_url());
        let (code, _, said) = knowledge(&bench, &["import-chroma"]);
        assert!(code == Some(2) && said.contains("vectors.chroma.collection"), "{said}");
        bench.set("vectors.chroma.collection", "fqa");
        let (code, _, said) = knowledge(&bench, &["import-chroma"]);
        assert!(code == Some(1) && said.contains("no collection 'fqa'"), "{said}");
        bench.set("vectors.chroma.collection", "faq");
        let imported = |server: &str| {
            let (code, said, left_out) = knowledge(&bench, &["import-chroma"]);
            assert_eq!(
                (code, said.as_str()),
                (Some(0), "1098 entries were imported\n"),
                "{server}: {left_out}"
            );
            for part in ["record '7' was left out", "record '8' was left out", "2 of 1100 records"] {
                assert!(left_out.contains(part), "{server}: {left_out}");
            }
            assert_eq!(bench.count("SELECT count(*) FROM knowledge"), 1_098);
        };
        imported("without a server");
        let mut server = bench.start().await;
        imported("beside a server");
        let (_, found) = search(&bench, &[("q", "Question 1042?"), ("tags", "faq")]).await;
        assert_eq!(found["hits"][0]["entry"]["answer"], "Answer 1042");
        server.ends_clean(&bench).await;
    });
}
