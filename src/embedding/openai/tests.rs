use std::net::TcpListener;
use std::time::Instant;

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::tests::{Endpoint, Respond, client};

fn settings(endpoint: &Endpoint) -> EndpointSettings {
    EndpointSettings {
        base_url: endpoint.base_url(),
        model: "small".into(),
        api_key: Secret::new("k3y"),
        ..EndpointSettings::default()
    }
}

fn embed(settings: EndpointSettings, texts: &[&str]) -> PortFuture<Vec<Embedding>, EmbedderError> {
    OpenAiEmbedder::new(client(), settings).embed(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// A response with these vectors.
fn vectors(items: &[(usize, Value)]) -> HttpResponse {
    let data: Vec<_> = items
        .iter()
        .map(|(index, embedding)| json!({"object": "embedding", "index": index, "embedding": embedding}))
        .collect();
    let usage = json!({"prompt_tokens": 2, "total_tokens": 2});
    HttpResponse::Ok().json(json!({"object": "list", "model": "small", "data": data, "usage": usage}))
}

#[actix_web::test]
async fn each_text_gets_its_own_vector_of_unit_length_in_whatever_order_they_come() {
    let endpoint =
        Endpoint::start(|| vectors(&[(2, json!([0, -2])), (0, json!([3.0, 4.0])), (1, json!([1e30, 0]))]));
    let found = embed(settings(&endpoint), &["مرحبا", "b", "c"]).await.unwrap();
    let found: Vec<&[f32]> = found.iter().map(|vector| &**vector).collect();
    assert_eq!(found, [[0.6, 0.8], [1.0, 0.0], [0.0, -1.0]]);
    let (path, key, body) = endpoint.calls.try_recv().unwrap();
    assert_eq!((path.as_str(), key.as_deref()), ("/v1/embeddings", Some("Bearer k3y")));
    assert_eq!(body, json!({"model": "small", "input": ["مرحبا", "b", "c"], "encoding_format": "float"}));
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn a_length_is_asked_for_where_it_is_given_and_must_be_kept() {
    let endpoint = Endpoint::start(|| vectors(&[(0, json!([1, 0]))]));
    let of_length = |n| EndpointSettings { dimensions: Some(n), ..settings(&endpoint) };
    assert_eq!(embed(of_length(2), &["a"]).await.unwrap().len(), 1);
    let (_, _, body) = endpoint.calls.try_recv().unwrap();
    assert_eq!(body["dimensions"], 2);
    let found = embed(of_length(3), &["a"]).await;
    assert_eq!(found, Err(EmbedderError::Failed("embedding 0 has 2 numbers instead of 3".into())));
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn no_texts_are_no_call() {
    let endpoint = Endpoint::start(|| HttpResponse::InternalServerError().finish());
    assert_eq!(embed(settings(&endpoint), &[]).await, Ok(vec![]));
    assert!(endpoint.calls.try_recv().is_err(), "the endpoint was called");
    endpoint.server.stop(false).await;
}

#[test]
fn an_answer_that_is_not_one_usable_vector_for_each_text_is_refused() {
    let item = |index: usize, embedding: &str| format!(r#"{{"index": {index}, "embedding": {embedding}}}"#);
    let body = |items: &[String]| format!(r#"{{"data": [{}]}}"#, items.join(","));
    let cases = [
        (body(&[]), "0 embeddings came for 2 texts"),
        (body(&[item(0, "[1]")]), "1 embeddings came for 2 texts"),
        (body(&[item(0, "[1]"), item(1, "[1]"), item(2, "[1]")]), "3 embeddings came for 2 texts"),
        (body(&[item(0, "[1]"), item(0, "[1]")]), "embedding 0 came twice"),
        (body(&[item(0, "[1]"), item(2, "[1]")]), "embedding 2 came for 2 texts"),
        (body(&[item(0, "[1]"), item(1, "[1, 2]")]), "embedding 1 has 2 numbers instead of 1"),
        (body(&[item(0, "[1, 1]"), item(1, "[0, 0]")]), "embedding 1 has no direction"),
        (body(&[item(0, "[]"), item(1, "[]")]), "embedding 0 has no direction"),
        // Too great for a number of this size, which makes it infinite.
        (body(&[item(0, "[1, 1e39]"), item(1, "[1, 1]")]), "embedding 0 has no direction"),
        (body(&[item(0, "[1, NaN]"), item(1, "[1, 1]")]), "the response is no list of embeddings, at byte"),
        (body(&[item(0, "[null]"), item(1, "[1]")]), "the response is no list of embeddings, at byte"),
        (body(&[item(0, "\"secret\""), item(1, "[1]")]), "the response is no list of embeddings, at byte"),
        ("secret".into(), "the response is no list of embeddings, at byte"),
        (r#"{"error": "secret"}"#.into(), "the response is no list of embeddings, at byte"),
    ];
    for (body, expected) in cases {
        let found = embeddings(body.as_bytes(), 2, None).unwrap_err();
        assert!(found.starts_with(expected) && !found.contains("secret"), "{body}: {found}");
    }
}

#[actix_web::test]
async fn only_what_may_pass_is_unavailable_and_nothing_secret_is_told() {
    fn status(code: u16) -> HttpResponse {
        HttpResponse::build(actix_web::http::StatusCode::from_u16(code).unwrap()).body("secret words k3y")
    }
    let throttled =
        EmbedderError::Throttled { reason: "status 429".into(), retry_after: Duration::from_secs(7) };
    let too_long = format!(
        "the response is longer than {} bytes: raise embedding.endpoint.response_limit_bytes",
        16 * 1024 * 1024
    );
    let unavailable = |told: &str| EmbedderError::Unavailable(told.into());
    let failed = |told: &str| EmbedderError::Failed(told.into());
    let refused = |told: &str| EmbedderError::Refused(told.into());
    let cases: [(Respond, EmbedderError); 11] = [
        (|| status(500), unavailable("status 500")),
        (|| status(503), unavailable("status 503")),
        (|| status(401), unavailable("status 401")),
        (|| status(403), unavailable("status 403")),
        (|| status(429), unavailable("status 429")),
        (|| HttpResponse::TooManyRequests().insert_header(("retry-after", "7")).finish(), throttled),
        (|| status(400), refused("status 400")),
        (|| status(413), refused("status 413")),
        (|| status(200), failed("the response is no list of embeddings, at byte 1")),
        (|| vectors(&[(0, json!([1])), (1, json!([1]))]), failed("2 embeddings came for 1 texts")),
        (|| HttpResponse::Ok().body(vec![b' '; 16 * 1024 * 1024 + 1]), refused(&too_long)),
    ];
    for (n, (respond, expected)) in cases.into_iter().enumerate() {
        let endpoint = Endpoint::start(respond);
        let found = embed(settings(&endpoint), &["secret words"]).await.unwrap_err();
        assert_eq!(found, expected, "case {n}");
        let told = format!("{found} {found:?}");
        assert!(!told.contains("secret") && !told.contains("k3y"), "{told}");
        endpoint.server.stop(false).await;
    }
}

#[actix_web::test]
async fn an_endpoint_that_is_silent_or_absent_is_unavailable() {
    // Accepts into the kernel's queue and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", silent.local_addr().unwrap());
    let settings = EndpointSettings { base_url, timeout_ms: 100, ..EndpointSettings::default() };
    let began = Instant::now();
    let found = embed(settings.clone(), &["a"]).await;
    assert_eq!(found, Err(EmbedderError::Unavailable("timed out".into())));
    assert!(began.elapsed() < Duration::from_secs(5));

    drop(silent);
    let found = embed(EndpointSettings { timeout_ms: 5_000, ..settings }, &["a"]).await;
    assert_eq!(found, Err(EmbedderError::Unavailable("cannot connect".into())));
}

#[test]
fn neither_the_key_nor_an_unknown_setting_slips_through() {
    let settings = EndpointSettings { api_key: Secret::new("k3y"), ..EndpointSettings::default() };
    assert!(!format!("{settings:?}").contains("k3y"));
    assert!(toml::from_str::<EndpointSettings>("modle = \"x\"").is_err());
    let settings: EndpointSettings = toml::from_str("model = \"x\"\ndimensions = 256").unwrap();
    assert_eq!((settings.model.as_str(), settings.dimensions), ("x", Some(256)));
    assert_eq!((settings.timeout_ms, settings.connect_timeout()), (1_500, Duration::from_secs(1)));
}

#[actix_web::test]
async fn a_key_that_stands_in_a_file_is_read_again_when_it_is_asked_for() {
    let endpoint = Endpoint::start(|| HttpResponse::Unauthorized().finish());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let api_key = Secret::new("old");
    api_key.follow(&file);
    let embedder = OpenAiEmbedder::new(client(), EndpointSettings { api_key, ..settings(&endpoint) });
    std::fs::write(&file, "new").unwrap();
    drop(embedder.embed(vec!["a".into()]).await);
    embedder.refresh();
    drop(embedder.embed(vec!["a".into()]).await);
    let shown: Vec<_> = endpoint.calls.try_iter().filter_map(|(_, key, _)| key).collect();
    assert_eq!(shown, ["Bearer old", "Bearer new"]);
    endpoint.server.stop(false).await;
}
