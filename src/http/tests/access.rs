//! Who may do what.

use serde_json::json;

use super::*;

/// The conversations of a program and of a visitor, and the visitor's cookie.
async fn two_conversations(app: &TestApp) -> (String, String, String) {
    let program = bearer(post("/v1/messages", &json!({"from": "ada", "text": "x"})), API_TOKEN);
    let program = app.call(program).await.json()["conversation_id"].as_str().unwrap().to_owned();
    let visitor_cookie = app.visit().await;
    let visitor = cookie(post("/v1/messages", &json!({"text": "x"})), &visitor_cookie);
    let visitor = app.call(visitor).await.json()["conversation_id"].as_str().unwrap().to_owned();
    (program, visitor, visitor_cookie)
}

#[actix_web::test]
async fn everybody_reads_only_what_is_theirs() {
    let app = TestApp::with_tokens();
    let (program, visitor, visitor_cookie) = two_conversations(&app).await;
    let as_visitor = |uri: &str| cookie(get(uri), &visitor_cookie);
    let as_program = |uri: &str| bearer(get(uri), API_TOKEN);
    let as_console = |uri: &str| bearer(get(uri), CONSOLE_TOKEN);
    for suffix in ["", "/messages"] {
        let path = |id: &str| format!("/v1/conversations/{id}{suffix}");
        for (name, request, expected) in [
            ("visitor, own", as_visitor(&path(&visitor)), 200),
            ("visitor, me", as_visitor(&path("me")), 200),
            ("visitor, foreign", as_visitor(&path(&program)), 404),
            ("program, own", as_program(&path(&program)), 200),
            ("program, a visitor's", as_program(&path(&visitor)), 404),
            ("program, me", as_program(&path("me")), 404),
            ("console, program's", as_console(&path(&program)), 200),
            ("console, visitor's", as_console(&path(&visitor)), 200),
            ("console, unknown", as_console(&path("00000000-0000-0000-0000-000000000009")), 404),
            ("console, malformed", as_console(&path("x")), 404),
            ("nobody", get(&path(&program)), 401),
            ("wrong token", bearer(get(&path(&program)), "wrong"), 401),
            ("wrong token and cookie", bearer(as_visitor(&path("me")), "wrong"), 401),
        ] {
            assert_eq!(app.call(request).await.status.as_u16(), expected, "{name} {suffix}");
        }
    }
}

#[actix_web::test]
async fn a_visitor_who_never_wrote_has_no_messages_and_no_conversation() {
    let app = TestApp::new();
    let visitor = app.visit().await;
    let messages = app.call(cookie(get("/v1/conversations/me/messages"), &visitor)).await;
    assert_eq!(messages.json(), json!({"messages": []}));
    app.call(cookie(get("/v1/conversations/me"), &visitor)).await.assert_problem(404, "not_found");
    app.call(cookie(get("/v1/conversations/me/events"), &visitor)).await.assert_problem(404, "not_found");
}

#[actix_web::test]
async fn reviews_are_for_the_console_only() {
    let app = TestApp::with_tokens();
    let (program, _, visitor_cookie) = two_conversations(&app).await;
    let turns = format!("/v1/conversations/{program}/turns");
    let replay = || post("/v1/dead-letters/replay", &json!({"all": true}));
    let flagged = "/v1/conversations?needs_human=true";
    for uri in [turns.as_str(), flagged, "/v1/records", "/v1/dead-letters", "/v1/quarantine"] {
        assert_eq!(app.call(bearer(get(uri), CONSOLE_TOKEN)).await.status.as_u16(), 200, "{uri}");
        for request in [get(uri), bearer(get(uri), API_TOKEN), cookie(get(uri), &visitor_cookie)] {
            app.call(request).await.assert_problem(401, "unauthorized");
        }
    }
    assert_eq!(app.call(bearer(replay(), CONSOLE_TOKEN)).await.status.as_u16(), 200);
    app.call(bearer(replay(), API_TOKEN)).await.assert_problem(401, "unauthorized");
    let write = bearer(post("/v1/messages", &json!({"from": "a", "text": "x"})), CONSOLE_TOKEN);
    app.call(write).await.assert_problem(403, "forbidden");
}

#[actix_web::test]
async fn an_empty_token_lets_nobody_in_by_showing_nothing() {
    let app = TestApp::new();
    for request in [bearer(get("/v1/quarantine"), ""), get("/v1/quarantine")] {
        app.call(request).await.assert_problem(401, "unauthorized");
    }
}

#[actix_web::test]
async fn without_a_token_the_api_is_open_to_programs_of_this_machine_only() {
    let message = || post("/v1/messages", &json!({"from": "a", "text": "x"}));
    let app = TestApp::new();
    for (name, request, expected) in [
        ("plain", message(), 202),
        ("own origin", message().insert_header(("origin", "http://localhost:8080")), 202),
        ("own host", message().insert_header(("host", "127.0.0.1:8080")), 202),
        ("foreign origin", message().insert_header(("origin", "https://evil.example")), 403),
        ("opaque origin", message().insert_header(("origin", "null")), 403),
        ("rebound name", message().insert_header(("host", "evil.example:8080")), 403),
        ("through a proxy", message().insert_header(("x-forwarded-for", "10.0.0.1")), 403),
    ] {
        assert_eq!(app.call(request).await.status.as_u16(), expected, "{name}");
    }
    let open = TestApp::with(|settings| settings.server.bind = "0.0.0.0:8080".into());
    open.call(message()).await.assert_problem(401, "unauthorized");
    let closed = TestApp::with_tokens();
    closed.call(message()).await.assert_problem(401, "unauthorized");
    assert_eq!(closed.call(bearer(message(), API_TOKEN)).await.status.as_u16(), 202);
}
