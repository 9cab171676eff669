//! The knowledge base over HTTP.

use actix_web::test::TestRequest;
use serde_json::json;
use tertulia_actors::domain::{Timestamp, Version};
use tertulia_actors::ports::{ModelStatus, VectorsError};

use super::*;

fn entry(id: &str) -> Value {
    json!({"id": id, "language": "en", "question": "q?", "answer": "a"})
}

fn import(body: &Value) -> TestRequest {
    bearer(post("/v1/knowledge", body), CONSOLE_TOKEN)
}

fn read(uri: &str) -> TestRequest {
    bearer(get(uri), CONSOLE_TOKEN)
}

fn remove(id: &str) -> TestRequest {
    bearer(TestRequest::delete().uri(&format!("/v1/knowledge?id={id}")), CONSOLE_TOKEN)
}

#[actix_web::test]
async fn entries_are_imported_listed_page_by_page_and_removed() {
    let app = TestApp::with_tokens();
    let three = json!([entry("a"), entry("b"), entry("c")]);
    assert_eq!(app.call(import(&three)).await.json(), json!({"imported": 3}));
    let first = app.call(read("/v1/knowledge?limit=2")).await.json();
    assert_eq!(first["entries"], json!([entry("a"), entry("b")]));
    assert_eq!(first["next"], json!({"after": "b", "after_language": "en"}));
    let second = app.call(read("/v1/knowledge?limit=2&after=b&after_language=en")).await.json();
    assert_eq!(second, json!({"entries": [entry("c")], "next": null}));
    assert_eq!(app.call(remove("b")).await.json(), json!({"removed": 1}));
    assert_eq!(app.call(remove("b")).await.json(), json!({"removed": 0}));
    for (language, removed) in [("ar", 0), ("en", 1)] {
        let uri = format!("/v1/knowledge?id=c&language={language}");
        let one = bearer(TestRequest::delete().uri(&uri), CONSOLE_TOKEN);
        assert_eq!(app.call(one).await.json(), json!({ "removed": removed }));
    }
    let nameless = bearer(TestRequest::delete().uri("/v1/knowledge"), CONSOLE_TOKEN);
    app.call(nameless).await.assert_problem(400, "invalid_query");
    app.call(read("/v1/knowledge?after=b")).await.assert_problem(400, "invalid_query");
}

#[actix_web::test]
async fn a_search_gives_hits_with_scores() {
    let app = TestApp::with_tokens();
    let found = app.call(read("/v1/knowledge/search?q=anything&n=1")).await.json();
    assert_eq!((&found["hits"][0]["score"], found["hits"].as_array().unwrap().len()), (&json!(0.5), 1));
    for wrong in ["/v1/knowledge/search", "/v1/knowledge/search?q=x&n=0", "/v1/knowledge/search?q=x&n=51"] {
        app.call(read(wrong)).await.assert_problem(400, "invalid_query");
    }
}

#[actix_web::test]
async fn a_search_that_cannot_be_made_now_may_be_tried_again_later() {
    let mut app = TestApp::with_tokens();
    app.state.vectors = vectors(Err(VectorsError::Failed("no index".into())));
    let failed = || app.call(read("/v1/knowledge/search?q=anything"));
    let first = failed().await;
    assert!(first.body.contains("no index"), "{}", first.body);
    for code in ["search_failed"; 4].into_iter().chain(["search_down"]) {
        let answer = failed().await;
        assert_eq!(answer.header("retry-after"), Some("2"));
        answer.assert_problem(503, code);
    }
}

#[actix_web::test]
async fn what_is_no_list_of_entries_is_refused() {
    let app = TestApp::with_tokens();
    let many: Vec<_> = (0..501).map(|n| entry(&n.to_string())).collect();
    for wrong in [json!({}), json!([{"id": "a"}]), json!(many)] {
        app.call(import(&wrong)).await.assert_problem(422, "invalid_entries");
    }
    let malformed = bearer(post("/v1/knowledge", &json!(null)).set_payload("["), CONSOLE_TOKEN);
    app.call(malformed).await.assert_problem(400, "malformed_json");
    assert!(app.store.state().entries.is_empty());
}

#[actix_web::test]
async fn the_knowledge_base_is_for_the_console_only() {
    let app = TestApp::with_tokens();
    let visitor = app.visit().await;
    for uri in [
        "/v1/knowledge",
        "/v1/knowledge/search?q=x",
        "/v1/knowledge/entry?id=a",
        "/v1/knowledge/history?id=a",
        "/v1/knowledge/status",
    ] {
        for request in [get(uri), bearer(get(uri), API_TOKEN), cookie(get(uri), &visitor)] {
            app.call(request).await.assert_problem(401, "unauthorized");
        }
    }
    let write = bearer(post("/v1/knowledge", &json!([entry("a")])), API_TOKEN);
    app.call(write).await.assert_problem(401, "unauthorized");
    for uri in ["/v1/knowledge?id=a", "/v1/knowledge/vectors"] {
        let delete = bearer(TestRequest::delete().uri(uri), API_TOKEN);
        app.call(delete).await.assert_problem(401, "unauthorized");
    }
    let put = bearer(TestRequest::put().uri("/v1/knowledge/entry").set_json(entry("a")), API_TOKEN);
    app.call(put).await.assert_problem(401, "unauthorized");
    let restore = bearer(post("/v1/knowledge/restore", &json!({"version": 1})), API_TOKEN);
    app.call(restore).await.assert_problem(401, "unauthorized");
}

#[actix_web::test]
async fn tags_are_parted_by_commas_or_a_list_of_json() {
    let app = TestApp::with_tokens();
    for tags in ["a,b", "%5B%22a%2C%20b%22%5D", ""] {
        assert_eq!(
            app.call(read(&format!("/v1/knowledge/search?q=x&tags={tags}"))).await.status.as_u16(),
            200,
            "{tags}"
        );
    }
    let refused = app.call(read("/v1/knowledge/search?q=x&tags=%5Ba")).await;
    assert!(refused.json()["detail"].as_str().unwrap().contains("tags begin like a list of JSON"));
    refused.assert_problem(400, "invalid_query");
}

#[actix_web::test]
async fn one_entry_is_written_read_and_says_again_what_it_said() {
    let app = TestApp::with_tokens();
    let put =
        |body: &Value| bearer(TestRequest::put().uri("/v1/knowledge/entry").set_json(body), CONSOLE_TOKEN);
    assert_eq!(app.call(put(&entry("a/b"))).await.json(), json!({"entry": entry("a/b")}));
    let shown = app.call(read("/v1/knowledge/entry?id=a%2Fb")).await.json();
    assert_eq!(shown, json!({"entries": [entry("a/b")]}));
    for absent in ["/v1/knowledge/entry?id=c", "/v1/knowledge/entry?id=a%2Fb&language=ar"] {
        app.call(read(absent)).await.assert_problem(404, "not_found");
    }
    app.call(put(&json!({"id": "a"}))).await.assert_problem(422, "invalid_entries");
    app.call(read("/v1/knowledge/entry")).await.assert_problem(400, "invalid_query");
    let before = serde_json::from_value(entry("a")).unwrap();
    let kept = Version {
        version: 7,
        entry: before,
        written_at: Timestamp(0),
        replaced_at: None,
        removed_at: Some(Timestamp(1)),
    };
    app.store.state().versions.push(kept);
    let versions = app.call(read("/v1/knowledge/history?id=a")).await.json();
    assert_eq!(
        (&versions["versions"][0]["version"], &versions["versions"][0]["entry"]),
        (&json!(7), &entry("a"))
    );
    let restore = |body: Value| app.call(bearer(post("/v1/knowledge/restore", &body), CONSOLE_TOKEN));
    assert_eq!(restore(json!({"version": 7})).await.json(), json!({"entry": entry("a")}));
    restore(json!({"version": 8})).await.assert_problem(404, "not_found");
    restore(json!({"number": 7})).await.assert_problem(422, "invalid_entries");
}

#[actix_web::test]
async fn the_status_tells_how_far_models_are_and_vectors_of_others_go() {
    let mut app = TestApp::with_tokens();
    let model = |name: &str, embedded| ModelStatus { model: name.into(), embedded };
    app.store.state().status.models = vec![model("current", 3), model("old", 2_500)];
    let status = app.call(read("/v1/knowledge/status")).await.json();
    assert_eq!(
        (&status["model"], &status["embedded"], &status["entries"]),
        (&json!("current"), &json!(3), &json!(0))
    );
    assert_eq!(status["models"][1], json!({"model": "old", "embedded": 2_500}));
    let vacuum = |query: &str| {
        let uri = format!("/v1/knowledge/vectors{query}");
        bearer(TestRequest::delete().uri(&uri), CONSOLE_TOKEN)
    };
    assert_eq!(app.call(vacuum("")).await.json(), json!({"removed": 2_500}));
    app.state.model = None;
    app.call(vacuum("")).await.assert_problem(409, "refused");
    assert_eq!(app.call(vacuum("?all=true")).await.json(), json!({"removed": 3}));
}
