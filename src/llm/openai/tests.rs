use std::net::TcpListener;
use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use tertulia_actors::domain::{Class, ConversationId, Entry, Language};

use super::*;
use crate::endpoint::tests::{Endpoint, Respond, client};

fn settings_of(endpoint: &Endpoint) -> LlmSettings {
    LlmSettings {
        base_url: endpoint.base_url(),
        model: "small".into(),
        system_prompt: "Be kind.".into(),
        ..LlmSettings::default()
    }
}

fn ask(settings: LlmSettings, query: Query) -> PortFuture<Answer, QueryError> {
    let api_key = Secret::new("k3y");
    OpenAiQuery::new(client(), LlmSettings { api_key, ..settings }).answer(query)
}

fn conversation(n: u128) -> ConversationId {
    ConversationId::new(uuid::Uuid::from_u128(n))
}

fn query() -> Query {
    let said =
        |speaker, text: &str| HistoryItem { conversation: conversation(1), speaker, text: text.into() };
    let hit =
        |question: &str, answer: &str| Hit::new(Entry::new("x", Language::ENGLISH, question, answer), 0.3);
    Query {
        task: Task::Answer,
        conversation: conversation(1),
        text: "  how much\nis it? كم  ".into(),
        class: Class::Inquiry,
        language: Language::ENGLISH,
        passages: vec![hit("Price?", "14."), hit("Open?", "At 8."), hit("", "Hours\nClosed on Fridays.")],
        history: vec![said(Speaker::Customer, "hi"), said(Speaker::Bot, "Hello!")],
    }
}

fn completion() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": " 14 dirhams.\n"}}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45},
    }))
}

#[actix_web::test]
async fn the_prompt_ends_with_the_turns_text_as_it_was_written() {
    let endpoint = Endpoint::start(completion);
    let settings = LlmSettings { max_tokens: Some(200), ..settings_of(&endpoint) };
    let answer = ask(settings, query()).await.unwrap();
    let expected =
        Answer::Text { text: "14 dirhams.".into(), prompt_tokens: Some(40), completion_tokens: Some(5) };
    assert_eq!(answer, expected);
    let (path, key, body) = endpoint.calls.try_recv().unwrap();
    assert_eq!((path.as_str(), key.as_deref()), ("/v1/chat/completions", Some("Bearer k3y")));
    let system = "Be kind.\n\nWhat the business knows:\n1. Question: Price?\n   Answer: 14.\n2. Question: Open?\n   Answer: At 8.\n3. Hours\nClosed on Fridays.";
    assert_eq!(
        body,
        json!({"model": "small", "max_tokens": 200, "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "  how much\nis it? كم  "},
        ]})
    );
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn without_passages_and_history_there_is_the_system_prompt_and_the_text() {
    let endpoint = Endpoint::start(completion);
    let query = Query { passages: vec![], history: vec![], ..query() };
    ask(settings_of(&endpoint), query).await.unwrap();
    let (_, _, body) = endpoint.calls.try_recv().unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(body["messages"][0]["content"], "Be kind.");
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn where_the_class_is_asked_for_the_prompt_lists_all_of_them_and_ends_with_the_text() {
    let endpoint = Endpoint::start(completion);
    let query = Query { task: Task::Classify, passages: vec![], history: vec![], ..query() };
    ask(settings_of(&endpoint), query).await.unwrap();
    let (_, _, body) = endpoint.calls.try_recv().unwrap();
    let system = body["messages"][0]["content"].as_str().unwrap();
    for class in Class::ALL {
        assert_eq!(system.matches(&format!("\n{class}: ")).count(), 1, "{system}");
    }
    assert!(!system.contains("Be kind."), "{system}");
    assert_eq!(body["messages"][1], json!({"role": "user", "content": "  how much\nis it? كم  "}));
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn only_what_may_pass_is_unavailable() {
    fn status(code: u16) -> HttpResponse {
        HttpResponse::build(actix_web::http::StatusCode::from_u16(code).unwrap()).body("secret words")
    }
    fn content(content: &Value) -> HttpResponse {
        HttpResponse::Ok().json(json!({"choices": [{"message": {"content": content}}]}))
    }
    let cases: [(Respond, Result<(), &str>); 18] = [
        (|| status(408), Err("unavailable")),
        (|| status(429), Err("unavailable")),
        (|| status(500), Err("unavailable")),
        (|| status(503), Err("unavailable")),
        (|| status(400), Err("failed")),
        (|| status(401), Err("unavailable")),
        (|| status(404), Err("unavailable")),
        (|| status(422), Err("failed")),
        (|| HttpResponse::Ok().body("secret words {"), Err("failed")),
        (|| HttpResponse::TooManyRequests().insert_header(("retry-after", "7")).finish(), Err("throttled")),
        (
            || HttpResponse::TooManyRequests().insert_header(("retry-after", "soon")).finish(),
            Err("unavailable"),
        ),
        (|| HttpResponse::BadRequest().insert_header(("retry-after", "7")).finish(), Err("failed")),
        (|| HttpResponse::Ok().json(json!({"choices": []})), Err("failed")),
        (|| content(&json!(" \n")), Err("failed")),
        (|| content(&json!(null)), Err("failed")),
        (|| content(&json!({"secret words": 1})), Err("failed")),
        (|| content(&json!("x".repeat(1024 * 1024))), Err("failed")),
        (|| content(&json!("fine")), Ok(())),
    ];
    for (n, (respond, expected)) in cases.into_iter().enumerate() {
        let endpoint = Endpoint::start(respond);
        let found = ask(settings_of(&endpoint), query()).await;
        let kind = match &found {
            Ok(_) => Ok(()),
            Err(QueryError::Unavailable(_)) => Err("unavailable"),
            Err(QueryError::Throttled { .. }) => Err("throttled"),
            Err(QueryError::Failed(_)) => Err("failed"),
        };
        assert_eq!(kind, expected, "case {n}: {found:?}");
        let told = format!("{found:?}");
        assert!(!told.contains("secret") && !told.contains("k3y"), "{told}");
        endpoint.server.stop(false).await;
    }
}

#[actix_web::test]
async fn a_wait_that_the_endpoint_asks_for_is_bounded() {
    for (respond, seconds) in [
        (
            (|| HttpResponse::TooManyRequests().insert_header(("retry-after", "7")).finish())
                as fn() -> HttpResponse,
            7,
        ),
        (|| HttpResponse::ServiceUnavailable().insert_header(("retry-after", "86400")).finish(), 60),
    ] {
        let endpoint = Endpoint::start(respond);
        let found = ask(settings_of(&endpoint), query()).await;
        let expected = Duration::from_secs(seconds);
        assert!(
            matches!(found, Err(QueryError::Throttled { retry_after, .. }) if retry_after == expected),
            "{found:?}"
        );
        endpoint.server.stop(false).await;
    }
}

#[actix_web::test]
async fn a_body_of_unknown_length_is_read_up_to_the_limit_only() {
    let endpoint = Endpoint::start(|| {
        let chunk = web::Bytes::from(vec![b' '; 64 * 1024]);
        let endless = futures_util::stream::repeat_with(move || Ok::<_, actix_web::Error>(chunk.clone()));
        HttpResponse::Ok().streaming(endless)
    });
    let found = ask(settings_of(&endpoint), query()).await;
    assert!(matches!(&found, Err(QueryError::Failed(why)) if why.contains("longer")), "{found:?}");
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn a_model_that_is_silent_or_absent_or_hangs_up_is_unavailable() {
    // Accepts into the kernel's queue and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", silent.local_addr().unwrap());
    let settings = LlmSettings { base_url, timeout_ms: 100, ..LlmSettings::default() };
    let began = Instant::now();
    let found = ask(settings.clone(), query()).await;
    assert_eq!(found, Err(QueryError::Unavailable("timed out".into())));
    assert!(began.elapsed() < Duration::from_secs(5));

    drop(silent);
    let found = ask(LlmSettings { timeout_ms: 5_000, ..settings }, query()).await;
    assert_eq!(found, Err(QueryError::Unavailable("cannot connect".into())));

    let endpoint = Endpoint::start(|| {
        let cut = std::io::Error::other("cut");
        let start = web::Bytes::from_static(b"{\"choices\": [");
        let parts = [Ok(start), Err(actix_web::Error::from(cut))];
        HttpResponse::Ok().streaming(futures_util::stream::iter(parts))
    });
    let found = ask(settings_of(&endpoint), query()).await;
    assert_eq!(found, Err(QueryError::Unavailable("the connection broke".into())));
    endpoint.server.stop(false).await;
}

#[actix_web::test]
async fn an_address_that_is_none_fails_and_is_not_told() {
    let settings = LlmSettings { base_url: "nonsense k3y".into(), ..LlmSettings::default() };
    let found = ask(settings, query()).await;
    assert!(matches!(&found, Err(QueryError::Failed(why)) if !why.contains("k3y")), "{found:?}");
}

#[actix_web::test]
async fn a_history_with_another_conversation_in_it_never_leaves() {
    let endpoint = Endpoint::start(completion);
    let mut query = query();
    query.history[0].conversation = conversation(2);
    assert!(matches!(ask(settings_of(&endpoint), query).await, Err(QueryError::Failed(_))));
    assert!(endpoint.calls.try_recv().is_err(), "the endpoint was called");
    endpoint.server.stop(false).await;
}

#[test]
fn neither_the_key_nor_an_unknown_setting_slips_through() {
    let settings = LlmSettings { api_key: Secret::new("k3y"), ..LlmSettings::default() };
    assert!(!format!("{settings:?}").contains("k3y"));
    assert!(toml::from_str::<LlmSettings>("modle = \"x\"").is_err());
    let settings: LlmSettings = toml::from_str("model = \"x\"").unwrap();
    assert_eq!((settings.model.as_str(), settings.timeout_ms), ("x", 30_000));
}

#[actix_web::test]
async fn a_key_that_stands_in_a_file_is_read_again_when_it_is_asked_for() {
    let endpoint = Endpoint::start(|| HttpResponse::Unauthorized().finish());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let api_key = Secret::new("old");
    api_key.follow(&file);
    let client = crate::channels::client(Duration::from_secs(5)).unwrap();
    let service = OpenAiQuery::new(client, LlmSettings { api_key, ..settings_of(&endpoint) });
    std::fs::write(&file, "new").unwrap();
    drop(service.answer(query()).await);
    service.refresh();
    drop(service.answer(query()).await);
    let shown: Vec<_> = endpoint.calls.try_iter().filter_map(|(_, key, _)| key).collect();
    assert_eq!(shown, ["Bearer old", "Bearer new"]);
    endpoint.server.stop(false).await;
}
