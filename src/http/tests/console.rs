//! The console: signing in, roles, the audit log, the page.

use serde_json::json;
use tertulia_actors::domain::Timestamp;
use tertulia_actors::ports::store::AuditView;

use super::*;
use crate::http::console::{Role, User, hash_password};

const SESSION: &str = "/console/session";
const ORIGIN: &str = "http://console.test";
const PASSWORD: &str = "correct horse battery";

impl TestApp {
    /// With tokens, and a user of each role.
    pub(super) fn with_users() -> Self {
        Self::with(|settings| {
            settings.api.token = API_TOKEN.into();
            settings.console.token = CONSOLE_TOKEN.into();
            settings.console.sign_ins_per_minute = 100;
            let hash = hash_password(PASSWORD).unwrap();
            for (name, role) in [("vera", Role::Viewer), ("olga", Role::Operator), ("ada", Role::Admin)] {
                let user = User { role, password_hash: hash.as_str().into() };
                settings.console.users.insert(name.into(), user);
            }
        })
    }

    async fn sign_in(&self, body: &Value) -> Answer {
        self.call(own(post(SESSION, body))).await
    }

    /// The cookie of somebody who has signed in.
    pub(super) async fn session_of(&self, name: &str) -> String {
        let answer = self.sign_in(&json!({"name": name, "password": PASSWORD})).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
        first_part(&answer)
    }

    fn audit(&self) -> Vec<AuditView> {
        self.store.state().audit.clone()
    }
}

/// A request of the console's own page.
pub(super) fn own(request: TestRequest) -> TestRequest {
    request.insert_header(("host", "console.test")).insert_header(("origin", ORIGIN))
}

fn first_part(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[actix_web::test]
async fn who_shows_the_token_or_a_password_is_signed_in_by_a_cookie_that_no_script_and_no_other_site_can_use()
{
    let app = TestApp::with_users();
    for (body, name, role) in [
        (json!({"token": CONSOLE_TOKEN}), "token", "admin"),
        (json!({"name": "vera", "password": PASSWORD}), "vera", "viewer"),
        (json!({"name": "olga", "password": PASSWORD}), "olga", "operator"),
    ] {
        let answer = app.sign_in(&body).await;
        assert_eq!(
            (answer.json()["name"].as_str(), answer.json()["role"].as_str()),
            (Some(name), Some(role))
        );
        let set = answer.header("set-cookie").unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(set.contains(part), "{set}");
        }
        let shown = app.call(cookie(get(SESSION), &first_part(&answer))).await;
        assert_eq!(shown.json()["name"], name);
    }
    let secure = TestRequest::post().uri(SESSION).insert_header(("x-forwarded-proto", "https"));
    let secure = secure
        .insert_header(("content-type", "application/json"))
        .set_payload(json!({"token": CONSOLE_TOKEN}).to_string());
    let answer = app.call(own(secure)).await;
    assert!(answer.header("set-cookie").unwrap().contains("Secure"));
}

#[actix_web::test]
async fn nobody_is_signed_in_by_what_is_wrong_and_attempts_are_limited() {
    let app = TestApp::with_users();
    for body in [
        json!({"token": "wrong"}),
        json!({"token": ""}),
        json!({"token": API_TOKEN}),
        json!({"name": "vera", "password": "wrong"}),
        json!({"name": "nobody", "password": PASSWORD}),
        json!({"name": "token", "password": CONSOLE_TOKEN}),
    ] {
        let answer = app.sign_in(&body).await;
        answer.assert_problem(401, "unauthorized");
        assert!(answer.header("set-cookie").is_none());
    }
    // Browsers give a host's cookies to all of its ports.
    let ada = app.session_of("ada").await;
    let (name, _) = ada.split_once('=').unwrap();
    assert_eq!(name, "tertulia_console_8080");
    for forged in ["", "9999999999999:00:ada:00", "x"] {
        app.call(cookie(get(SESSION), &format!("{name}={forged}"))).await.assert_problem(401, "unauthorized");
    }
    let limited = TestApp::with(|settings| {
        settings.console.token = CONSOLE_TOKEN.into();
        settings.console.sign_ins_per_minute = 3;
    });
    for _ in 0..3 {
        limited.sign_in(&json!({"token": "wrong"})).await.assert_problem(401, "unauthorized");
    }
    let refused = limited.sign_in(&json!({"token": CONSOLE_TOKEN})).await;
    refused.assert_problem(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    let open = TestApp::new();
    open.sign_in(&json!({"token": ""})).await.assert_problem(401, "unauthorized");
}

#[actix_web::test]
async fn a_session_ends_when_it_is_signed_out_of_and_when_its_password_changes() {
    let app = TestApp::with_users();
    let (olga, other) = (app.session_of("olga").await, app.session_of("olga").await);
    let third = app.session_of("olga").await;
    let out = app.call(own(cookie(TestRequest::delete().uri(SESSION), &olga))).await;
    assert_eq!(out.status.as_u16(), 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    app.call(cookie(get(SESSION), &olga)).await.assert_problem(401, "unauthorized");
    assert_eq!(app.call(cookie(get(SESSION), &other)).await.status.as_u16(), 200);
    // Whoever signs out is out, also where that cannot be kept.
    app.store.state().audit_failure =
        Some(tertulia_actors::ports::StoreError::Unavailable("disk full".into()));
    assert_eq!(app.call(own(cookie(TestRequest::delete().uri(SESSION), &third))).await.status.as_u16(), 204);
    app.call(cookie(get(SESSION), &third)).await.assert_problem(401, "unauthorized");
    assert_eq!(app.store.state().signed_out.len(), 1);
    // Another server with the same token, and another password of the same user.
    let changed = TestApp::with_users();
    changed.call(cookie(get(SESSION), &other)).await.assert_problem(401, "unauthorized");
}

#[actix_web::test]
async fn each_role_may_what_it_may_and_no_more() {
    let app = TestApp::with_users();
    let message = bearer(post("/v1/messages", &json!({"from": "ada", "text": "secret words"})), API_TOKEN);
    let id = app.call(message).await.json()["conversation_id"].as_str().unwrap().to_owned();
    let (vera, olga, ada) =
        (app.session_of("vera").await, app.session_of("olga").await, app.session_of("ada").await);
    let texts = format!("/v1/conversations/{id}/messages");
    let conversation = format!("/v1/conversations/{id}");
    for (uri, viewer, operator) in [
        ("/v1/supervision/tree", 200, 200),
        ("/v1/supervision/overview", 200, 200),
        (conversation.as_str(), 200, 200),
        (texts.as_str(), 403, 200),
        ("/v1/dead-letters", 403, 200),
        ("/v1/records", 403, 200),
        ("/v1/quarantine", 403, 200),
        ("/v1/audit", 403, 200),
        ("/v1/classifier/examples", 403, 200),
        ("/v1/knowledge", 200, 200),
    ] {
        for (who, expected) in [(&vera, viewer), (&olga, operator), (&ada, operator)] {
            let answer = app.call(cookie(get(uri), who)).await;
            assert_eq!(answer.status.as_u16(), expected, "{uri} {who}: {}", answer.body);
        }
    }
    let refused = app.call(cookie(get(&texts), &vera)).await;
    refused.assert_problem(403, "forbidden");
    assert!(!refused.body.contains("secret words"));
    let pause = |who: &str| own(cookie(post("/v1/supervision/nowhere/pause", &json!({"reason": "x"})), who));
    app.call(pause(&vera)).await.assert_problem(403, "forbidden");
    app.call(pause(&olga)).await.assert_problem(404, "not_found");
    let vacuum = own(cookie(TestRequest::delete().uri("/v1/knowledge/vectors"), &olga));
    app.call(vacuum).await.assert_problem(403, "forbidden");
}

#[actix_web::test]
async fn what_changes_something_must_come_from_the_consoles_own_page() {
    let app = TestApp::with_users();
    let olga = app.session_of("olga").await;
    let pause = || {
        cookie(post("/v1/supervision/nowhere/pause", &json!({"reason": "x"})), &olga)
            .insert_header(("host", "console.test"))
    };
    for (name, request, expected) in [
        ("own", pause().insert_header(("origin", ORIGIN)), 404),
        ("own, told otherwise", pause().insert_header(("sec-fetch-site", "same-origin")), 404),
        ("nothing is told", pause(), 403),
        ("foreign", pause().insert_header(("origin", "https://evil.example")), 403),
        (
            "foreign name that begins the same",
            pause().insert_header(("origin", "http://console.test.evil.example")),
            403,
        ),
        ("another port", pause().insert_header(("origin", "http://console.test:81")), 403),
        ("opaque", pause().insert_header(("origin", "null")), 403),
        ("same site", pause().insert_header(("sec-fetch-site", "same-site")), 403),
    ] {
        assert_eq!(app.call(request).await.status.as_u16(), expected, "{name}");
    }
    let foreign =
        post(SESSION, &json!({"token": CONSOLE_TOKEN})).insert_header(("origin", "https://evil.example"));
    app.call(foreign.insert_header(("host", "console.test"))).await.assert_problem(403, "foreign_origin");
    // Who shows the token has no browser that others could use.
    let program = bearer(TestRequest::post().uri("/v1/supervision/nowhere/pause"), CONSOLE_TOKEN);
    app.call(program).await.assert_problem(404, "not_found");
}

#[actix_web::test]
async fn everything_that_is_done_is_written_down_with_who_why_and_what_came_of_it() {
    let app = TestApp::with_users();
    let olga = app.session_of("olga").await;
    let ask = |body: Value| own(cookie(post("/v1/supervision/nowhere/restart", &body), &olga));
    app.call(ask(json!({}))).await.assert_problem(422, "invalid_field");
    app.call(ask(json!({"reason": "  "}))).await.assert_problem(422, "invalid_field");
    app.call(ask(json!({"reason": "x".repeat(501)}))).await.assert_problem(422, "invalid_field");
    app.call(ask(json!({"reason": "x", "force": true}))).await.assert_problem(422, "invalid_field");
    assert!(app.audit().is_empty(), "something was done");
    app.call(ask(json!({"reason": " it hangs "}))).await.assert_problem(404, "not_found");
    let program = bearer(TestRequest::post().uri("/v1/supervision/nowhere/drain"), CONSOLE_TOKEN);
    app.call(program).await.assert_problem(404, "not_found");
    let replay =
        own(cookie(post("/v1/dead-letters/replay", &json!({"all": true, "reason": "mended"})), &olga));
    assert_eq!(app.call(replay).await.status.as_u16(), 200);
    let told = app.audit();
    let told: Vec<_> = told
        .iter()
        .map(|entry| {
            let outcome = entry.outcome.as_deref().unwrap_or("none").split(':').next().unwrap();
            let AuditView { who, action, target, reason, .. } = entry;
            (who.as_str(), action.as_str(), target.as_str(), reason.as_deref(), outcome)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("olga", "restart", "nowhere", Some("it hangs"), "not_found"),
            ("token", "drain", "nowhere", None, "not_found"),
            ("olga", "replay", "dead-letters/all", Some("mended"), "done"),
        ]
    );
    let page = app.call(cookie(get("/v1/audit?limit=2"), &olga)).await.json();
    assert_eq!(page["entries"][0]["action"], "replay");
    assert_eq!(page["entries"][1]["id"], 2);
    let rest = app.call(cookie(get("/v1/audit?before=2"), &olga)).await.json();
    assert_eq!(rest["entries"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn what_somebody_reads_of_peoples_words_is_written_down_once_a_minute() {
    let app = TestApp::with_users();
    let message = bearer(post("/v1/messages", &json!({"from": "ada", "text": "x"})), API_TOKEN);
    let id = app.call(message).await.json()["conversation_id"].as_str().unwrap().to_owned();
    let (olga, ada) = (app.session_of("olga").await, app.session_of("ada").await);
    let texts = format!("/v1/conversations/{id}/messages");
    for who in [&olga, &olga, &ada] {
        assert_eq!(app.call(cookie(get(&texts), who)).await.status.as_u16(), 200);
    }
    // A program that shows the token is not somebody who reads.
    assert_eq!(app.call(bearer(get(&texts), CONSOLE_TOKEN)).await.status.as_u16(), 200);
    let target = format!("conversations/{id}");
    let who: Vec<_> = app.audit().into_iter().map(|entry| (entry.who, entry.action, entry.target)).collect();
    let read = |who: &str| (who.to_owned(), "read_texts".to_owned(), target.clone());
    assert_eq!(who, [read("olga"), read("ada")]);
}

#[actix_web::test]
async fn an_operator_acts_also_while_nothing_can_be_written_down() {
    let app = TestApp::with_users();
    let olga = app.session_of("olga").await;
    app.store.state().failure = Some(tertulia_actors::ports::StoreError::Unavailable("disk full".into()));
    let restart = own(cookie(post("/v1/supervision/monitor/restart", &json!({"reason": "x"})), &olga));
    assert_eq!(app.call(restart).await.status.as_u16(), 202);
    let replay = own(cookie(post("/v1/dead-letters/replay", &json!({"all": true, "reason": "x"})), &olga));
    app.call(replay).await.assert_problem(503, "store_unavailable");
}

#[actix_web::test]
async fn what_cannot_be_written_down_is_neither_done_nor_read() {
    let app = TestApp::with_users();
    let message = bearer(post("/v1/messages", &json!({"from": "ada", "text": "secret words"})), API_TOKEN);
    let id = app.call(message).await.json()["conversation_id"].as_str().unwrap().to_owned();
    let ada = app.session_of("ada").await;
    app.store.state().audit_failure =
        Some(tertulia_actors::ports::StoreError::Unavailable("disk full".into()));
    let entry = json!({"id": "x", "language": "en", "question": "q", "answer": "a"});
    let put =
        TestRequest::put().uri("/v1/knowledge/entry").insert_header(("content-type", "application/json"));
    for request in [
        post("/v1/dead-letters/replay", &json!({"ids": [1], "reason": "x"})),
        post("/v1/dead-letters/discard", &json!({"ids": [1], "reason": "x"})),
        post("/v1/ambiguous/resend", &json!({"ids": [1], "reason": "x"})),
        post("/v1/knowledge", &json!([entry])),
        put.set_payload(entry.to_string()),
    ] {
        app.call(own(cookie(request, &ada))).await.assert_problem(503, "store_unavailable");
    }
    {
        let state = app.store.state();
        assert!(state.replayed.is_empty() && state.entries.is_empty(), "something was done");
    }
    // Also not at the second attempt.
    for _ in 0..2 {
        let read = app.call(cookie(get(&format!("/v1/conversations/{id}/messages")), &ada)).await;
        read.assert_problem(503, "store_unavailable");
    }
}

#[actix_web::test]
async fn taking_over_takes_an_operator_and_a_reason_and_what_is_written_is_in_no_log() {
    let app = TestApp::with_users();
    let message = bearer(post("/v1/messages", &json!({"from": "ada", "text": "x"})), API_TOKEN);
    let id = app.call(message).await.json()["conversation_id"].as_str().unwrap().to_owned();
    let (vera, olga) = (app.session_of("vera").await, app.session_of("olga").await);
    let path = |action: &str| format!("/v1/conversations/{id}/{action}");
    for (action, body) in [
        ("take-over", json!({"reason": "x"})),
        ("hand-back", json!({"reason": "x"})),
        ("reply", json!({"text": "x"})),
    ] {
        let asked = || post(&path(action), &body);
        app.call(own(cookie(asked(), &vera))).await.assert_problem(403, "forbidden");
        app.call(bearer(asked(), API_TOKEN)).await.assert_problem(401, "unauthorized");
        let nobody =
            post("/v1/conversations/00000000-0000-0000-0000-000000000009/take-over", &json!({"reason": "x"}));
        app.call(own(cookie(nobody, &olga))).await.assert_problem(404, "not_found");
    }
    app.call(own(cookie(post(&path("take-over"), &json!({})), &olga)))
        .await
        .assert_problem(422, "invalid_field");
    assert_eq!(app.store.state().taken_by, None);
    let taken =
        app.call(own(cookie(post(&path("take-over"), &json!({"reason": "they asked"})), &olga))).await;
    assert_eq!(taken.json(), json!({"taken_by": "olga", "bot_resumes_in_ms": 900_000}));
    for wrong in [json!({}), json!({"text": " "}), json!({"text": "x", "to": "y"})] {
        app.call(own(cookie(post(&path("reply"), &wrong), &olga))).await.assert_problem(422, "invalid_field");
    }
    let written = app.call(own(cookie(post(&path("reply"), &json!({"text": "secret words"})), &olga))).await;
    assert_eq!(written.status.as_u16(), 202);
    assert_eq!(app.store.state().written, [("olga".to_owned(), "secret words".to_owned())]);
    assert!(app.audit().iter().all(|entry| !format!("{entry:?}").contains("secret words")));
    let deeds: Vec<_> = app.audit().into_iter().map(|entry| entry.action).collect();
    assert_eq!(deeds, ["take_over", "reply"]);
}

#[actix_web::test]
async fn a_new_entry_overwrites_none() {
    let app = TestApp::with_users();
    let put = |answer: &str| {
        let entry = json!({"id": "x", "language": "en", "question": "q", "answer": answer});
        let request =
            TestRequest::put().uri("/v1/knowledge/entry").insert_header(("content-type", "application/json"));
        bearer(request.set_payload(entry.to_string()), CONSOLE_TOKEN)
    };
    let new = |answer: &str| put(answer).insert_header(("if-none-match", "*"));
    assert_eq!(app.call(new("one")).await.status.as_u16(), 200);
    app.call(new("two")).await.assert_problem(412, "exists");
    assert_eq!(app.store.state().entries[0].answer, "one");
    assert_eq!(app.call(put("three")).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn the_page_is_served_to_everybody_and_may_do_little() {
    let app = TestApp::with_users();
    for (path, kind) in [
        ("/console/", "text/html"),
        ("/console/tree", "text/html"),
        ("/console/place/shards/0/turns", "text/html"),
        ("/console/main.js", "text/javascript"),
        ("/console/console.css", "text/css"),
        ("/console/vendor/preact.js", "text/javascript"),
        ("/console/vendor/LICENSES.txt", "text/plain"),
    ] {
        let answer = app.call(get(path)).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
    let page = app.call(get("/console/")).await.body;
    assert!(!page.contains("<style") && !page.contains("onclick") && !page.contains("http://www.example"));
    assert_eq!(app.call(get("/console")).await.header("location"), Some("/console/"));
    for path in ["/console/nothing.js", "/console/../secret.js", "/console/vendor/update.sh"] {
        assert_eq!(app.call(get(path)).await.status.as_u16(), 404, "{path}");
    }
}

#[actix_web::test]
async fn the_stream_is_for_those_who_have_signed_in() {
    let app = TestApp::with_users();
    for uri in ["/console/live?show=overview", "/v1/supervision/overview"] {
        app.call(get(uri)).await.assert_problem(401, "unauthorized");
        app.call(bearer(get(uri), API_TOKEN)).await.assert_problem(401, "unauthorized");
    }
    let vera = app.session_of("vera").await;
    for wrong in ["/console/live", "/console/live?show=everything", "/console/live?show=conversation&id=x"] {
        app.call(cookie(get(wrong), &vera)).await.assert_problem(400, "invalid_query");
    }
    let overview = app.call(cookie(get("/v1/supervision/overview"), &vera)).await.json();
    assert_eq!(overview["warnings"], json!([]));
    assert_eq!(overview["at"], json!(Timestamp::default()));
}
