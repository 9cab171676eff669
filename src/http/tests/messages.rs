//! `POST /v1/messages`.

use serde_json::json;

use super::*;

async fn send(app: &TestApp, body: &Value) -> Answer {
    app.call(post("/v1/messages", body)).await
}

#[actix_web::test]
async fn a_message_is_accepted_once_and_recognised_when_it_is_sent_again() {
    let app = TestApp::new();
    let body = json!({"from": "ada", "text": "a\u{0}b", "id": "m-1"});
    let first = send(&app, &body).await;
    assert_eq!(first.status.as_u16(), 202);
    let accepted = first.json();
    assert_eq!((&accepted["message_id"], &accepted["duplicate"]), (&json!("m-1"), &json!(false)));
    let again = send(&app, &body).await.json();
    assert_eq!(
        (&again["conversation_id"], &again["duplicate"]),
        (&accepted["conversation_id"], &json!(true))
    );
    assert_eq!(app.store.state().messages.len(), 1);
    assert_eq!(app.store.state().messages[0].1.text.as_deref(), Some("a\0b"));
}

#[actix_web::test]
async fn a_message_without_an_id_gets_one() {
    let app = TestApp::new();
    let id = send(&app, &json!({"from": "ada", "text": "x"})).await.json()["message_id"].clone();
    assert!(id.as_str().unwrap().parse::<Uuid>().is_ok(), "{id}");
}

#[actix_web::test]
async fn an_id_of_another_sender_is_no_repetition() {
    let app = TestApp::new();
    send(&app, &json!({"from": "ada", "text": "x", "id": "1"})).await;
    send(&app, &json!({"from": "bob", "text": "y", "id": "1"})).await.assert_problem(409, "id_in_use");
}

#[actix_web::test]
async fn every_complaint_names_its_field() {
    let app = TestApp::with(|settings| settings.api.text_max_chars = 3);
    let long = "é".repeat(201);
    for (body, field) in [
        (json!({"text": "x"}), "from"),
        (json!({"from": "", "text": "x"}), "from"),
        (json!({"from": long, "text": "x"}), "from"),
        (json!({"from": 5, "text": "x"}), "from"),
        (json!({"from": "a"}), "text"),
        (json!({"from": "a", "text": ""}), "text"),
        (json!({"from": "a", "text": "éééé"}), "text"),
        (json!({"from": "a", "text": ["x"]}), "text"),
        (json!({"from": "a", "text": "x", "id": long}), "id"),
        (json!({"from": "a", "text": "x", "to": "b"}), "to"),
    ] {
        let answer = send(&app, &body).await;
        answer.assert_problem(422, "invalid_field");
        assert_eq!(answer.json()["field"], field, "{body}");
    }
    let longest = json!({"from": "é".repeat(200), "text": "ééé", "id": "é".repeat(200)});
    assert_eq!(send(&app, &longest).await.status.as_u16(), 202);
}

#[actix_web::test]
async fn only_json_is_read() {
    let app = TestApp::new();
    let request = |content_type: &'static str, body: &'static str| {
        let request = TestRequest::post().uri("/v1/messages").insert_header(("content-type", content_type));
        request.set_payload(body)
    };
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let answer = app.call(request(content_type, r#"{"from":"a","text":"x"}"#)).await;
        answer.assert_problem(415, "unsupported_media_type");
    }
    for body in ["", "{", "[]", "{\"from\":\"a\",\"text\":\"\u{1}\"}"] {
        app.call(request("application/json", body)).await.assert_problem(400, "malformed_json");
    }
    let charset = request("application/json; charset=utf-8", r#"{"from":"a","text":"x"}"#);
    assert_eq!(app.call(charset).await.status.as_u16(), 202);
}

#[actix_web::test]
async fn a_visitor_is_who_the_cookie_says_and_shares_no_id_with_others() {
    let app = TestApp::new();
    let (one, two) = (app.visit().await, app.visit().await);
    let body = json!({"text": "hello", "id": "1"});
    let first = app.call(cookie(post("/v1/messages", &body), &one)).await.json();
    let second = app.call(cookie(post("/v1/messages", &body), &two)).await.json();
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(false)));
    assert_ne!(first["conversation_id"], second["conversation_id"]);
    let again = app.call(cookie(post("/v1/messages", &body), &one)).await.json();
    assert_eq!((&again["duplicate"], &again["message_id"]), (&json!(true), &json!("1")));
    let own = app.call(cookie(get("/v1/conversations/me/messages"), &one)).await.json();
    assert_eq!((&own["messages"][0]["id"], own["messages"].as_array().unwrap().len()), (&json!("1"), 1));

    let token = one.split_once('=').unwrap().1;
    assert!(!app.store.state().messages[0].1.provider_id.contains(token), "the store must not hold tokens");
    let forged = json!({"from": "somebody", "text": "x"});
    app.call(cookie(post("/v1/messages", &forged), &one)).await.assert_problem(422, "invalid_field");
}

#[actix_web::test]
async fn visitors_are_kept_within_their_rates() {
    let app = TestApp::with(|settings| {
        settings.web.messages_per_minute = 2;
        settings.web.visitors_per_minute = 3;
    });
    let visitor = app.visit().await;
    let write = |cookie_value: String| {
        let app = &app;
        async move { app.call(cookie(post("/v1/messages", &json!({"text": "x"})), &cookie_value)).await }
    };
    for _ in 0..2 {
        assert_eq!(write(visitor.clone()).await.status.as_u16(), 202);
    }
    let refused = write(visitor.clone()).await;
    refused.assert_problem(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());

    app.visit().await;
    app.visit().await;
    app.call(get("/")).await.assert_problem(429, "rate_limited");
    assert_eq!(
        app.call(cookie(get("/"), &visitor)).await.status.as_u16(),
        200,
        "a known visitor may come back"
    );
    let made_up = |n: u8| format!("tertulia_visitor={}", format!("{n:02x}").repeat(32));
    for n in 0..2 {
        assert_eq!(write(made_up(n)).await.status.as_u16(), 202);
    }
    write(made_up(9)).await.assert_problem(429, "rate_limited");
}
