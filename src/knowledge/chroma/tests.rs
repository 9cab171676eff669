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

/// A server that answers as it is told and keeps what it was sent.
struct Server {
    address: SocketAddr,
    calls: Receiver<Seen>,
    handle: ServerHandle,
}

impl Server {
    fn start(answer: Answer) -> Self {
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
                sender.send((request.path().to_owned(), token, body)).unwrap();
                let answer = answer(count.fetch_add(1, Ordering::SeqCst) + 1, request.path());
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
        (|_, _| HttpResponse::Ok().body(vec![b' '; 2_000]), "Refused", &["longer than 1500 bytes"]),
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
    drop(vectors.count().await);
    vectors.refresh();
    drop(vectors.count().await);
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
