//! Health, metrics, the page, and what is not there.

use serde_json::json;
use tertulia_actors::domain::{ConversationId, TurnId};
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::{DeadLetter, RecordView};

use super::*;

#[actix_web::test]
async fn readiness_tells_why_it_is_missing() {
    let app = TestApp::with(|settings| settings.server.ready_timeout_ms = 20);
    assert_eq!(app.call(get("/readyz")).await.status.as_u16(), 200);
    app.store.state().failure = Some(StoreError::Unavailable("disk full".into()));
    app.call(get("/readyz")).await.assert_problem(503, "store_unavailable");
    app.store.state().failure = None;
    app.store.state().hangs = true;
    app.call(get("/readyz")).await.assert_problem(503, "store_timeout");
    app.store.state().hangs = false;
    assert_eq!(app.call(get("/readyz")).await.status.as_u16(), 200, "back by itself");
    app.draining.send(true).unwrap();
    app.call(get("/readyz")).await.assert_problem(503, "draining");
    assert_eq!(app.call(get("/livez")).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn metrics_are_served_as_they_are_given() {
    let answer = TestApp::new().call(get("/metrics")).await;
    assert_eq!(answer.body, "tertulia_up 1\n# EOF\n");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let app = TestApp::new();
    app.call(get("/nowhere")).await.assert_problem(404, "not_found");
    app.call(get("/v1/messages")).await.assert_problem(405, "method_not_allowed");
    app.call(TestRequest::delete().uri("/webhooks/whatsapp")).await.assert_problem(405, "method_not_allowed");
    let limits = TestApp::with_tokens();
    for uri in ["/v1/quarantine?limit=0", "/v1/quarantine?limit=1001", "/v1/quarantine?limit=x"] {
        limits.call(bearer(get(uri), CONSOLE_TOKEN)).await.assert_problem(400, "invalid_query");
    }
}

#[actix_web::test]
async fn every_answer_carries_the_request_id() {
    let app = TestApp::new();
    let given = app.call(get("/livez").insert_header(("x-request-id", "abc-1"))).await;
    assert_eq!(given.header("x-request-id"), Some("abc-1"));
    let long = "x".repeat(200);
    for wrong in ["", "two words", long.as_str()] {
        let made = app.call(get("/nowhere").insert_header(("x-request-id", wrong))).await;
        assert!(made.header("x-request-id").unwrap().parse::<Uuid>().is_ok(), "{wrong}");
    }
}

#[actix_web::test]
async fn the_page_runs_only_its_own_files_and_sets_a_visitors_cookie_once() {
    let app = TestApp::new();
    let page = app.call(get("/")).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.body.contains("<script>") && !page.body.contains("style=\""), "nothing inline");
    assert_eq!(
        (page.header("x-content-type-options"), page.header("referrer-policy")),
        (Some("nosniff"), Some("no-referrer"))
    );
    assert!(!page.header("set-cookie").unwrap().contains("Secure"));
    for id in ["composer", "text", "send", "log", "status"] {
        assert!(page.body.contains(&format!("id=\"{id}\"")), "{id}");
    }
    let again = app.call(cookie(get("/"), &app.visit().await)).await;
    assert_eq!(again.header("set-cookie"), None);
    for (path, content_type) in [("/chat.js", "text/javascript"), ("/chat.css", "text/css")] {
        let file = app.call(get(path)).await;
        assert!(
            page.body.contains(path) && file.header("content-type").unwrap().starts_with(content_type),
            "{path}"
        );
    }
    let off = TestApp::with(|settings| settings.web.enabled = false);
    off.call(get("/")).await.assert_problem(404, "channel_disabled");
    let secure = TestApp::with(|settings| settings.web.secure_cookie = true);
    assert!(secure.call(get("/")).await.header("set-cookie").unwrap().contains("Secure"));
}

#[actix_web::test]
async fn dead_letters_are_replayed_by_id_or_all_at_once() {
    let app = TestApp::with_tokens();
    let letter = |id| DeadLetter {
        id,
        conversation: ConversationId::new(Uuid::nil()),
        seq: 1,
        kind: "text".into(),
        text: None,
        reason: "x".into(),
        received_at: Timestamp(0),
    };
    app.store.state().dead_letters = (1..=1_001).map(letter).collect();
    let replay = |body: Value| bearer(post("/v1/dead-letters/replay", &body), CONSOLE_TOKEN);
    assert_eq!(app.call(replay(json!({"ids": [3, 1]}))).await.json(), json!({"replayed": 2}));
    assert_eq!(app.store.state().replayed, [3, 1]);
    app.call(replay(json!({"ids": [5_000]}))).await.assert_problem(409, "refused");
    app.call(replay(json!({"ids": "all"}))).await.assert_problem(422, "invalid_field");
    assert_eq!(app.call(replay(json!({"all": true}))).await.json(), json!({"replayed": 1_001}));
    let page = app.call(bearer(get("/v1/dead-letters?after=999&limit=5"), CONSOLE_TOKEN)).await.json();
    assert_eq!(page["dead_letters"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn records_are_read_page_by_page_with_their_conversation_and_time() {
    let app = TestApp::with_tokens();
    let record = |id| RecordView {
        id,
        class: "complaint".into(),
        text: format!("late {id}"),
        conversation: ConversationId::new(Uuid::from_u128(7)),
        turn: TurnId::new(Uuid::nil()),
        at: Timestamp(1_700_000_000_000),
    };
    app.store.state().records = (1..=5).map(record).collect();
    let read = async |query: &str| app.call(bearer(get(&format!("/v1/records{query}")), CONSOLE_TOKEN)).await;
    assert_eq!(read("").await.json()["records"].as_array().unwrap().len(), 5);
    let page = read("?after=3&limit=1").await.json();
    assert_eq!(page["records"][0]["text"], "late 4");
    assert_eq!(page["records"][0]["class"], "complaint");
    assert_eq!(page["records"][0]["conversation"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(page["records"][0]["at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(page["records"].as_array().unwrap().len(), 1);
    read("?limit=0").await.assert_problem(400, "invalid_query");
    read("?after=x").await.assert_problem(400, "invalid_query");
}

#[actix_web::test]
async fn conversations_that_need_a_person_are_listed_page_by_page_and_no_others() {
    let app = TestApp::with_tokens();
    let mut ids = vec![];
    for from in ["ada", "bea", "cid"] {
        let written = app.call(bearer(post("/v1/messages", &json!({"from": from, "text": "x"})), API_TOKEN));
        ids.push(written.await.json()["conversation_id"].as_str().unwrap().to_owned());
    }
    app.store.state().flagged = [&ids[0], &ids[2]].map(|id| id.parse().unwrap()).into();
    let list =
        async |query: &str| app.call(bearer(get(&format!("/v1/conversations{query}")), CONSOLE_TOKEN)).await;
    let page = list("?needs_human=true&limit=1").await.json();
    assert_eq!((&page["conversations"][0]["id"], &page["conversations"][1]), (&json!(ids[0]), &Value::Null));
    assert_eq!(page["conversations"][0]["needs_human"], true);
    let rest = list(&format!("?needs_human=true&after={}", ids[0])).await.json();
    assert_eq!((&rest["conversations"][0]["id"], &rest["conversations"][1]), (&json!(ids[2]), &Value::Null));
    for query in ["", "?needs_human=false", "?needs_human=true&after=x", "?needs_human=true&limit=1001"] {
        list(query).await.assert_problem(400, "invalid_query");
    }
}
