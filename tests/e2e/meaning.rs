//! Knowledge that is found by what it means: by a model that runs in the server, and by one behind an endpoint.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client, run};

/// What a search finds for a question.
async fn search(bench: &Bench, question: &str) -> Value {
    let mut url = reqwest::Url::parse(&bench.url("/v1/knowledge/search")).expect("an address");
    url.query_pairs_mut().append_pair("q", question);
    let asked = client().get(url).bearer_auth(CONSOLE_TOKEN).send().await.expect("the server answers");
    asked.json().await.expect("JSON")
}

async fn put(bench: &Bench, entries: &Value) {
    let put = client().post(bench.url("/v1/knowledge")).bearer_auth(CONSOLE_TOKEN).json(entries).send().await;
    assert!(put.expect("the server answers").status().is_success());
}

/// Asks until the best hit is the one that is expected, with a score of at least `least`.
async fn finds(bench: &Bench, question: &str, id: &str, least: f64) {
    let begun = Instant::now();
    loop {
        let found = search(bench, question).await;
        let best = &found["hits"][0];
        if best["entry"]["id"] == id && best["score"].as_f64().is_some_and(|score| score >= least) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{question}: {found}\n{}", bench.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn entries() -> Value {
    let entry = |id: &str, language: &str, question: &str, answer: &str| json!({"id": id, "language": language, "question": question, "answer": answer});
    json!([
        entry("parcel", "en", "When will my parcel arrive?", "Within two days."),
        entry("refund", "en", "Can I get my money back?", "Yes, within two weeks."),
        entry("hours", "ar", "متى تفتحون؟", "نفتح في التاسعة صباحا."),
    ])
}

#[test]
fn a_model_finds_what_shares_no_word_and_words_find_what_it_cannot_read() {
    if std::env::var_os("TERTULIA_SKIP_MODEL").is_some() {
        return;
    }
    run(async {
        let mut bench = Bench::new();
        let model =
            std::env::var_os("TERTULIA_TEST_MODEL").map(std::path::PathBuf::from).unwrap_or_else(|| {
                let home = std::env::var_os("HOME").expect("a home");
                std::path::Path::new(&home).join(".cache/tertulia-models/all-MiniLM-L6-v2")
            });
        bench.set("embedding.backend", "model");
        bench.set("embedding.models", model.parent().and_then(|path| path.to_str()).expect("a folder"));
        let mut server = bench.start().await;
        put(&bench, &entries()).await;
        finds(&bench, "how long does shipping take", "parcel", 0.1).await;
        finds(&bench, "I want to be reimbursed", "refund", 0.1).await;
        finds(&bench, "متى تفتحون اليوم", "hours", 0.5).await;
        // What a text says by now counts.
        put(&bench, &json!([{"id": "refund", "language": "en", "question": "Do you sell umbrellas?", "answer": "No."}])).await;
        finds(&bench, "is there something against the rain", "refund", 0.1).await;
        assert_eq!(bench.count("SELECT count(*) FROM knowledge_vectors"), 3);
        server.ends_clean(&bench).await;
    });
}

/// An endpoint that knows two things and counts its calls; it answers 503 while it is down.
struct Endpoint {
    url: String,
    calls: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
    stop: actix_web::dev::ServerHandle,
}

impl Endpoint {
    fn start() -> Self {
        let (calls, is_down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (told, started) = mpsc::channel();
        let state = (Arc::clone(&calls), Arc::clone(&is_down));
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = move || {
                    App::new().app_data(web::Data::new(state.clone())).default_service(web::to(answer))
                };
                let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0");
                let server = server.expect("a loopback port is free");
                let address = server.addrs()[0];
                let server = server.run();
                told.send((address, server.handle())).expect("the test waits");
                server.await.expect("the endpoint ends");
            });
        });
        let (address, stop) = started.recv().expect("the endpoint starts");
        Self { url: format!("http://{address}/v1"), calls, is_down, stop }
    }
}

async fn answer(
    body: web::Json<Value>,
    state: web::Data<(Arc<AtomicUsize>, Arc<AtomicBool>)>,
) -> HttpResponse {
    let (calls, is_down) = &**state;
    calls.fetch_add(1, Ordering::SeqCst);
    if is_down.load(Ordering::SeqCst) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let texts = body["input"].as_array().expect("a list").iter().map(|text| text.as_str().expect("a text"));
    let vector = |text: &str| {
        let has = |words: &[&str]| u8::from(words.iter().any(|word| text.contains(word)));
        json!([has(&["parcel", "shipping"]), has(&["money", "reimbursed"]), 0.1])
    };
    let data: Vec<Value> =
        texts.enumerate().map(|(n, text)| json!({"index": n, "embedding": vector(text)})).collect();
    HttpResponse::Ok().json(json!({ "data": data }))
}

#[test]
fn an_endpoint_embeds_and_while_it_is_away_words_alone_find() {
    run(async {
        let endpoint = Endpoint::start();
        let mut bench = Bench::new();
        bench.set("embedding.backend", "openai");
        bench.set("embedding.endpoint.base_url", &endpoint.url);
        bench.set("embedding.endpoint.model", "two-things");
        bench.set("supervision.probe_ms", "50");
        bench.set("supervision.probe_max_ms", "50");
        let mut server = bench.start().await;
        put(&bench, &entries()).await;
        finds(&bench, "how long does shipping take", "parcel", 0.6).await;
        let calls = endpoint.calls.load(Ordering::SeqCst);
        finds(&bench, "how  long does shipping take ", "parcel", 0.6).await;
        assert_eq!(endpoint.calls.load(Ordering::SeqCst), calls, "it was embedded lately");
        endpoint.is_down.store(true, Ordering::SeqCst);
        let found = search(&bench, "where is my parcel").await;
        assert_eq!(found["hits"][0]["entry"]["id"], "parcel", "{found}");
        assert!(
            found["degraded"].as_str().is_some_and(|why| why.starts_with("not searched by what it means")),
            "{found}"
        );
        endpoint.is_down.store(false, Ordering::SeqCst);
        finds(&bench, "I want to be reimbursed", "refund", 0.6).await;
        server.ends_clean(&bench).await;
        endpoint.stop.stop(false).await;
    });
}

/// A text that by its words is of no class.
const NOISE: &str = "parcel frumious quux";

/// The class of a message that is answered now.
async fn class_of(bench: &Bench, text: &str) -> String {
    let message = json!({"from": "ann", "text": text});
    let written = client().post(bench.url("/v1/messages")).json(&message).send().await;
    let written: Value = written.expect("the server answers").json().await.expect("JSON");
    bench.wait_until_idle().await;
    let id = written["conversation_id"].as_str().expect("a conversation");
    let url = bench.url(&format!("/v1/conversations/{id}/turns?limit=1"));
    let turns = client().get(url).bearer_auth(CONSOLE_TOKEN).send().await.expect("the server answers");
    let turns: Value = turns.json().await.expect("JSON");
    turns["turns"][0]["class"].as_str().expect("a class").to_owned()
}

#[test]
fn an_endpoint_tells_classes_by_what_texts_mean_once_it_has_embedded_the_examples() {
    run(async {
        let endpoint = Endpoint::start();
        let mut bench = Bench::new();
        for (key, value) in [
            ("embedding.backend", "openai"),
            ("embedding.endpoint.base_url", &endpoint.url),
            ("embedding.endpoint.model", "two-things"),
            ("supervision.probe_ms", "50"),
            ("supervision.probe_max_ms", "50"),
            ("conversation.quiet_ms", "10"),
        ] {
            bench.set(key, value);
        }
        let examples: Vec<String> = (0..12).map(|n| format!("shipping zork{n}")).collect();
        let words = ["classifier", "examples", "add", "complaint"].into_iter();
        let words: Vec<&str> = words.chain(examples.iter().map(String::as_str)).collect();
        assert!(bench.command(&words).status().expect("the binary runs").success());
        let found = bench.command(&["classify", NOISE]).output().expect("the binary runs");
        let found: Value = serde_json::from_slice(&found.stdout).expect("a line of JSON");
        assert_eq!(found["class"], "complaint", "a command asks the endpoint itself");
        endpoint.is_down.store(true, Ordering::SeqCst);
        let mut server = bench.start().await;
        assert_ne!(class_of(&bench, NOISE).await, "complaint", "by its words alone");
        let begun = Instant::now();
        while !bench.log().contains("examples of the classes cannot be embedded now") {
            assert!(begun.elapsed() < PATIENCE, "{}", bench.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        endpoint.is_down.store(false, Ordering::SeqCst);
        while class_of(&bench, NOISE).await != "complaint" {
            assert!(begun.elapsed() < PATIENCE, "{}", bench.log());
        }
        server.ends_clean(&bench).await;
        endpoint.stop.stop(false).await;
    });
}

#[test]
fn a_model_embeds_without_a_server_and_what_another_one_left_is_listed_and_removed() {
    run(async {
        let endpoint = Endpoint::start();
        let mut bench = Bench::new();
        bench.set("embedding.backend", "openai");
        bench.set("embedding.endpoint.base_url", &endpoint.url);
        bench.set("embedding.endpoint.model", "two-things");
        let lines: Vec<String> = entries().as_array().expect("a list").iter().map(Value::to_string).collect();
        std::fs::write(bench.folder().join("entries.jsonl"), lines.join("\n")).expect("a file");
        let knowledge = |bench: &Bench, words: &[&str]| {
            let words: Vec<&str> = ["knowledge"].iter().chain(words).copied().collect();
            let done = bench.command(&words).output().expect("the binary runs");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (done.status.success(), text(&done.stdout), text(&done.stderr))
        };
        let status = |bench: &Bench| -> Value {
            serde_json::from_str(&knowledge(bench, &["status"]).1).expect("JSON")
        };
        assert!(knowledge(&bench, &["import", "entries.jsonl"]).0);
        for embedded in [3, 0] {
            let (is_done, said, refused) = knowledge(&bench, &["embed"]);
            assert_eq!((is_done, said), (true, format!("{embedded} entries were embedded\n")), "{refused}");
        }
        let told = status(&bench);
        assert_eq!(
            (&told["entries"], &told["embedded"], &told["models"][0]["model"]),
            (&json!(3), &json!(3), &told["model"])
        );

        bench.set("embedding.endpoint.model", "two-things-anew");
        assert_eq!(status(&bench)["embedded"], 0, "another model has its own vectors");
        let mut server = bench.start().await;
        let begun = Instant::now();
        while status(&bench)["embedded"] != 3 {
            assert!(begun.elapsed() < PATIENCE, "{}", bench.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let asked = client().get(bench.url("/v1/knowledge/status")).bearer_auth(CONSOLE_TOKEN).send().await;
        let there: Value = asked.expect("the server answers").json().await.expect("JSON");
        assert_eq!(there, status(&bench));
        assert_eq!(there["models"].as_array().map(Vec::len), Some(2));
        let (is_done, _, refused) = knowledge(&bench, &["embed"]);
        assert!(
            !is_done && refused.contains("the server embeds the entries by this model itself"),
            "{refused}"
        );
        assert_eq!(knowledge(&bench, &["vacuum"]).1, "3 vectors were removed\n");
        let told = status(&bench);
        assert_eq!((&told["embedded"], told["models"].as_array().map(Vec::len)), (&json!(3), Some(1)));
        // What the next model makes of the entries is ready before the server changes to it.
        bench.set("embedding.endpoint.model", "two-things-next");
        for embedded in [3, 0] {
            let (is_done, said, refused) = knowledge(&bench, &["embed"]);
            assert_eq!((is_done, said), (true, format!("{embedded} entries were embedded\n")), "{refused}");
        }
        assert_eq!(status(&bench)["embedded"], 3);
        bench.set("embedding.endpoint.model", "two-things-anew");
        assert_eq!(status(&bench)["model"], there["model"], "the server stays with its own");
        finds(&bench, "how long does shipping take", "parcel", 0.6).await;
        server.ends_clean(&bench).await;
        bench.set("embedding.backend", "none");
        let (is_done, _, refused) = knowledge(&bench, &["vacuum"]);
        assert!(!is_done && refused.contains("no model is configured"), "{refused}");
        endpoint.stop.stop(false).await;
    });
}
