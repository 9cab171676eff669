//! A collection as a server that is asked sees it, and what is made of its answers.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tertulia_actors::domain::{Entry, Filter, Hit, Language};
use tertulia_actors::ports::{Search, VectorsError, VectorsRequest, VectorsResponse};

use super::*;
use crate::endpoint::tests::client;
use crate::knowledge::search::fusion::fused;

/// A call: path, token and body.
type Seen = (String, Option<String>, Value);

/// What a server answers to the call of this number to a path.
type Answer = fn(usize, &str) -> HttpResponse;

/// What it answers to the call that has a body.
type AnswerTo = fn(usize, &str, &Value) -> HttpResponse;

/// A server that answers as it is told and keeps what it was sent.
struct Server {
    address: SocketAddr,
    calls: Receiver<Seen>,
    handle: ServerHandle,
}

impl Server {
    fn start(answer: Answer) -> Self {
        Self::with(move |n, path, _| answer(n, path))
    }

    fn of(answer: AnswerTo) -> Self {
        Self::with(answer)
    }

    fn with(answer: impl Fn(usize, &str, &Value) -> HttpResponse + Copy + Send + 'static) -> Self {
        let (sender, calls) = channel();
        let count = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = move || {
            let (sender, count): (Sender<Seen>, _) = (sender.clone(), Arc::clone(&count));
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let shown = |name: &str| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
                let token = shown("x-chroma-token").or_else(|| shown("authorization"));
                let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
                let answer = answer(count.fetch_add(1, Ordering::SeqCst) + 1, request.path(), &body);
                sender.send((request.path().to_owned(), token, body)).unwrap();
                async move { answer }
            }))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, calls, handle }
    }

    fn settings(&self) -> ChromaSettings {
        ChromaSettings {
            base_url: format!("http://{}/", self.address),
            collection: "kb".into(),
            token: Secret::new("t0ken"),
            ..ChromaSettings::default()
        }
    }

    fn paths(&self) -> Vec<String> {
        let names = self.calls.try_iter().map(|(path, _, _)| path);
        names.map(|path| path.rsplit_once("/collections/").unwrap().1.to_owned()).collect()
    }
}

fn search() -> Search {
    let embedding = Some(vec![0.6, 0.8].into());
    Search { text: "secret words".into(), embedding, language: None, filter: Filter::default(), limit: 2 }
}

async fn hits(settings: ChromaSettings, search: Search) -> Result<Vec<Hit>, VectorsError> {
    let vectors = ChromaVectors::new(client(), settings, &[Language::ENGLISH], 0.5);
    match vectors.ask(VectorsRequest::Search(search)).await? {
        VectorsResponse::Hits(hits) => Ok(hits),
        other => panic!("a search answered {other:?}"),
    }
}

fn described(id: usize, dimension: usize) -> HttpResponse {
    let configuration = json!({"hnsw": {"space": "cosine"}});
    HttpResponse::Ok()
        .json(json!({"id": format!("id{id}"), "dimension": dimension, "configuration_json": configuration}))
}

fn found() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "ids": [["a"]], "documents": [["q"]], "metadatas": [[{"answer": "A"}]], "distances": [[0.25]],
    }))
}

fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({"error": "NotFoundError", "message": "secret words"}))
}

#[actix_web::test]
async fn a_collection_is_looked_up_once_and_asked_with_the_token_in_its_header() {
    for (header, token, expected) in [
        ("x-chroma-token", "t0ken", Some("t0ken")),
        ("Authorization", "t0ken", Some("Bearer t0ken")),
        ("x-chroma-token", "", None),
    ] {
        let server =
            Server::start(|_, path| if path.ends_with("/query") { found() } else { described(1, 2) });
        let settings = ChromaSettings {
            collection: "a/b c".into(),
            tenant: "ü".into(),
            token_header: header.into(),
            token: Secret::new(token),
            ..server.settings()
        };
        let vectors = ChromaVectors::new(client(), settings, &[Language::ENGLISH], 0.5);
        for _ in 0..2 {
            let answer = vectors.ask(VectorsRequest::Search(search())).await.unwrap();
            let hits = match answer {
                VectorsResponse::Hits(hits) => hits,
                other => panic!("a search answered {other:?}"),
            };
            assert_eq!(*hits[0].entry, Entry::new("a", Language::ENGLISH, "q", "A"));
            // Of the cosine 0.75 half lies beyond that of unrelated texts.
            assert!((hits[0].score - fused(0.5, Some(0.5))).abs() < 1e-6, "{hits:?}");
        }
        let calls: Vec<Seen> = server.calls.try_iter().collect();
        let root = "/api/v2/tenants/%C3%BC/databases/default_database/collections";
        let paths: Vec<_> = calls.iter().map(|(path, _, _)| path.strip_prefix(root).unwrap()).collect();
        assert_eq!(paths, ["/a%2Fb%20c", "/id1/query", "/id1/query"]);
        assert!(calls.iter().all(|(_, token, _)| token.as_deref() == expected), "{calls:?}");
        assert_eq!(calls[1].2["n_results"], 8, "versions in several languages fall together");
        server.handle.stop(false).await;
    }
}

#[actix_web::test]
async fn a_collection_that_was_made_anew_is_looked_up_again() {
    // The second collection has taken the place of the first before the fourth call.
    let server = Server::start(|n, path| match (n, path.rsplit('/').next().unwrap()) {
        (1, "kb") => described(1, 2),
        (_, "kb") => described(2, 2),
        (3, _) => not_found(),
        _ => found(),
    });
    let vectors = ChromaVectors::new(client(), server.settings(), &[Language::ENGLISH], 0.5);
    for _ in 0..3 {
        assert!(vectors.ask(VectorsRequest::Search(search())).await.is_ok());
    }
    assert_eq!(server.paths(), ["kb", "id1/query", "id1/query", "kb", "id2/query", "id2/query"]);
    server.handle.stop(false).await;
}

#[actix_web::test]
async fn what_finds_nothing_is_no_call() {
    let server = Server::start(|_, _| HttpResponse::InternalServerError().finish());
    for nothing in [Search { embedding: None, ..search() }, Search { limit: 0, ..search() }] {
        assert_eq!(hits(server.settings(), nothing).await, Ok(vec![]));
    }
    assert_eq!(server.paths(), Vec::<String>::new());
    server.handle.stop(false).await;
}

#[actix_web::test]
async fn what_is_wrong_is_said_with_what_to_do_and_without_anything_secret() {
    fn said(code: u16) -> HttpResponse {
        HttpResponse::build(actix_web::http::StatusCode::from_u16(code).unwrap()).body("secret words t0ken")
    }
    fn then(path: &str, answer: HttpResponse) -> HttpResponse {
        if path.ends_with("/query") { answer } else { described(1, 2) }
    }
    let cases: [(Answer, &str, &[&str]); 10] = [
        (|_, _| said(401), "Unavailable", &["status 401", "vectors.chroma.token"]),
        (|_, _| said(403), "Unavailable", &["status 403", "token_header"]),
        (
            |_, _| not_found(),
            "Unavailable",
            &["no collection 'kb'", "'default_database'", "vectors.chroma.collection"],
        ),
        (|_, path| then(path, not_found()), "Unavailable", &["no collection 'kb'"]),
        (|_, _| said(503), "Unavailable", &["status 503", "vectors.chroma.base_url"]),
        (|_, _| described(1, 3), "Unavailable", &["vectors of 3 numbers", "have 2", "embedding.model"]),
        (
            |_, _| HttpResponse::TooManyRequests().insert_header(("retry-after", "7")).finish(),
            "Throttled",
            &["status 429", "7 s"],
        ),
        (|_, path| then(path, said(400)), "Refused", &["status 400"]),
        (|_, path| then(path, said(200)), "Failed", &["not as expected"]),
        (
            |_, _| HttpResponse::Ok().body(vec![b' '; 2_000]),
            "TooLong",
            &["longer than 1500 bytes", "raise vectors.chroma.response_limit_bytes"],
        ),
    ];
    for (n, (answer, kind, parts)) in cases.into_iter().enumerate() {
        let server = Server::start(answer);
        let settings = ChromaSettings { response_limit_bytes: 1_500, ..server.settings() };
        let error = hits(settings, search()).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(format!("{error:?}").starts_with(kind), "case {n}: {told}");
        for part in parts {
            assert!(told.contains(part), "case {n}: {told}");
        }
        assert!(!told.contains("secret") && !told.contains("t0ken"), "case {n}: {told}");
        server.handle.stop(false).await;
    }
}

#[actix_web::test]
async fn a_server_that_is_silent_or_absent_is_unavailable() {
    // Accepts into the kernel's queue and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", silent.local_addr().unwrap());
    let settings =
        ChromaSettings { base_url, collection: "kb".into(), timeout_ms: 100, ..ChromaSettings::default() };
    let told = |found: Result<Vec<Hit>, VectorsError>| match found {
        Err(VectorsError::Unavailable(told)) => told,
        other => panic!("{other:?}"),
    };
    assert!(told(hits(settings.clone(), search()).await).contains("timed out"));
    drop(silent);
    let settings = ChromaSettings { timeout_ms: 5_000, ..settings };
    assert!(told(hits(settings, search()).await).contains("cannot connect"));
}

#[actix_web::test]
async fn a_token_that_stands_in_a_file_is_read_again_when_it_is_asked_for() {
    let server = Server::start(|_, _| not_found());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let settings = server.settings();
    settings.token.follow(&file);
    let vectors = ChromaVectors::new(client(), settings, &[], 0.0);
    std::fs::write(&file, "new").unwrap();
    drop(vectors.records().await);
    vectors.refresh();
    drop(vectors.records().await);
    let shown: Vec<_> = server.calls.try_iter().filter_map(|(_, token, _)| token).collect();
    assert_eq!(shown, ["t0ken", "new"]);
    server.handle.stop(false).await;
}

#[test]
fn neither_the_token_nor_an_unknown_setting_slips_through() {
    let settings = ChromaSettings { token: Secret::new("t0ken"), ..ChromaSettings::default() };
    assert!(!format!("{settings:?}").contains("t0ken"));
    assert!(toml::from_str::<ChromaSettings>("colection = \"x\"").is_err());
    let settings: ChromaSettings = toml::from_str("document = \"answer\"").unwrap();
    assert_eq!((settings.document, settings.timeout()), (Document::Answer, Duration::from_millis(1_500)));
}

/// Two entries: one that is asked for in many ways, which are all nearer than the other.
fn in_many_ways(path: &str, body: &Value) -> HttpResponse {
    let crowded = json!({"id": "crowd", "language": "en", "answer": "A"});
    let with = |more: Value| {
        let mut metadata = crowded.clone();
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        metadata
    };
    let first = with(json!({"phrasings": ["w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9"]}));
    match path.rsplit('/').next().unwrap() {
        "kb" => described(1, 2),
        // Without what was found, the other one.
        "query" if body["where"] != Value::Null => HttpResponse::Ok().json(json!({
            "ids": [["other"]], "documents": [["o"]], "metadatas": [[{"answer": "O"}]], "distances": [[0.5]],
        })),
        "query" => {
            let ways: Vec<String> = (2..10).map(|n| format!("crowd@en#{n}")).collect();
            // The last of these is one that the entry does not have any more.
            let words: Vec<String> = (2..9).map(|n| format!("w{n}")).chain(["gone".into()]).collect();
            let metadatas = vec![with(json!({"way_of": "crowd@en", "is_way": true})); 8];
            let distances: Vec<f32> = (2..10_u8).map(|n| f32::from(n) / 100.0).collect();
            HttpResponse::Ok().json(json!({
                "ids": [ways], "documents": [words], "metadatas": [metadatas], "distances": [distances],
            }))
        }
        _ => HttpResponse::Ok().json(json!({"ids": ["crowd@en"], "documents": ["w1"], "metadatas": [first]})),
    }
}

#[actix_web::test]
async fn an_entry_that_is_near_in_many_ways_is_one_hit_and_leaves_room_for_others() {
    let server = Server::of(|_, path, body| in_many_ways(path, body));
    let found = hits(server.settings(), search()).await.unwrap();
    let ids: Vec<_> = found.iter().map(|hit| hit.entry.id.as_str()).collect();
    assert_eq!(ids, ["crowd", "other"]);
    assert_eq!(
        (found[0].entry.question.as_str(), found[0].entry.phrasings.len()),
        ("w1", 8),
        "the whole entry"
    );
    // Of the cosine 0.98, which is that of the nearest way.
    assert!((found[0].score - fused(0.96, Some(0.96))).abs() < 1e-5, "{found:?}");
    let calls: Vec<Seen> = server.calls.try_iter().collect();
    let paths: Vec<_> = calls.iter().map(|(path, _, _)| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["kb", "query", "query", "get"]);
    assert_eq!(calls[2].2["where"], json!({"id": {"$nin": ["crowd"]}}));
    assert_eq!(calls[3].2["ids"], json!(["crowd@en"]), "one entry is read, not the collection");
    server.handle.stop(false).await;
}

#[actix_web::test]
async fn one_entry_is_asked_for_by_its_name_and_by_its_own_id() {
    let server = Server::of(|_, path, body| {
        let own = json!({"ids": ["a", "b"], "documents": ["q", "q"], "metadatas": [{"answer": "A"}, {"answer": "B", "id": "c"}]});
        let named = json!({"ids": ["a@de"], "documents": ["f"], "metadatas": [{"answer": "D", "id": "a", "language": "de"}]});
        match path.rsplit('/').next().unwrap() {
            "kb" => described(1, 2),
            _ if body["ids"] == json!(["a"]) => HttpResponse::Ok().json(own),
            _ if body["where"] == json!({"id": {"$in": ["a"]}}) => HttpResponse::Ok().json(named),
            _ => HttpResponse::InternalServerError().finish(),
        }
    });
    let vectors = ChromaVectors::new(client(), server.settings(), &[Language::ENGLISH], 0.5);
    for (language, expected) in [(None, vec!["D", "A"]), (Some(Language::ENGLISH), vec!["A"])] {
        let answer = vectors.ask(VectorsRequest::Get { id: "a".into(), language }).await;
        let Ok(VectorsResponse::Page(page)) = answer else { panic!("{answer:?}") };
        let answers: Vec<_> = page.entries.iter().map(|entry| entry.answer.as_str()).collect();
        assert_eq!(answers, expected);
    }
    server.handle.stop(false).await;
}

/// An entry with its question and two ways of asking, as it is there.
fn three_records(path: &str, body: &Value) -> HttpResponse {
    let of = |more: Value| {
        let mut metadata = json!({"id": "a", "language": "en", "answer": "A"});
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        metadata
    };
    let way = || of(json!({"way_of": "a@en", "is_way": true}));
    let there = json!({
        "ids": ["a@en", "a@en#2", "a@en#3"], "documents": ["q", "p", "r"],
        "metadatas": [of(json!({"phrasings": ["p", "r"]})), way(), way()],
    });
    match path.rsplit('/').next().unwrap() {
        "kb" => described(1, 2),
        "get" if body["where"] == json!({"id": {"$in": ["a"]}}) => HttpResponse::Ok().json(there),
        "get" if body["where"] == json!({"is_way": true}) => {
            HttpResponse::Ok().json(json!({"ids": ["a@en#2", "a@en#3"]}))
        }
        "get" if body["limit"] == 10 => HttpResponse::Ok().json(there),
        "get" => HttpResponse::Ok().json(json!({"ids": []})),
        "count" => HttpResponse::Ok().json(3),
        _ => HttpResponse::Ok().json(json!({})),
    }
}

#[actix_web::test]
async fn ways_that_an_entry_does_not_have_any_more_go_and_the_rest_is_one_entry() {
    let server = Server::of(|_, path, body| three_records(path, body));
    let vectors = ChromaVectors::new(client(), server.settings(), &[Language::ENGLISH], 0.5);
    let entry = Entry { phrasings: vec!["s".into()], ..Entry::new("a", Language::ENGLISH, "q", "A") };
    let vector = || Some(vec![0.6, 0.8].into());
    let changed = |vectors_of: Vec<Option<_>>| {
        server.calls.try_iter().for_each(drop);
        vectors.ask(VectorsRequest::Upsert(vec![(entry.clone(), vectors_of)]))
    };
    let sent = || {
        let ids = |(path, _, body): Seen| match path.rsplit('/').next().unwrap() {
            what @ ("upsert" | "delete") => Some(format!("{what} {}", body["ids"])),
            _ => None,
        };
        server.calls.try_iter().filter_map(ids).collect::<Vec<_>>()
    };
    assert_eq!(changed(vec![vector(), vector()]).await, Ok(VectorsResponse::Count(1)));
    assert_eq!(sent(), [r#"upsert ["a@en","a@en#2"]"#, r#"delete ["a@en#3"]"#]);
    // A way that the model cannot read has no record.
    assert_eq!(changed(vec![vector(), None]).await, Ok(VectorsResponse::Count(1)));
    assert_eq!(sent(), [r#"upsert ["a@en"]"#, r#"delete ["a@en#2","a@en#3"]"#]);
    assert!(matches!(changed(vec![None, vector()]).await, Err(VectorsError::Refused(_))));
    assert_eq!(sent(), Vec::<String>::new());
    let removed = vectors.ask(VectorsRequest::Delete { id: "a".into(), language: None }).await;
    assert_eq!(removed, Ok(VectorsResponse::Count(1)));
    assert_eq!(sent(), [r#"delete ["a@en","a@en#2","a@en#3"]"#]);
    assert_eq!(vectors.ask(VectorsRequest::Count).await, Ok(VectorsResponse::Count(1)));
    let page = vectors.read(0, 10).await.unwrap();
    assert_eq!((page.records, page.entries.len()), (3, 1));
    assert_eq!(page.entries[0].as_ref().unwrap().phrasings, ["p", "r"]);
    server.handle.stop(false).await;
}
