//! The examples of the classes over HTTP.

use actix_web::test::TestRequest;
use serde_json::json;
use tertulia_actors::domain::{Class, TurnId};
use tertulia_actors::ports::StoreError;

use super::*;

fn example(text: &str, class: &str) -> Value {
    json!({"text": text, "class": class})
}

fn add(body: &Value) -> TestRequest {
    bearer(post("/v1/classifier/examples", body), CONSOLE_TOKEN)
}

fn remove(id: &str) -> TestRequest {
    bearer(TestRequest::delete().uri(&format!("/v1/classifier/examples?id={id}")), CONSOLE_TOKEN)
}

fn correct(turn: &str, body: &Value) -> TestRequest {
    let conversation = Uuid::from_u128(1);
    bearer(post(&format!("/v1/conversations/{conversation}/turns/{turn}/class"), body), CONSOLE_TOKEN)
}

#[actix_web::test]
async fn examples_are_added_listed_page_by_page_and_removed() {
    let app = TestApp::with_tokens();
    let three = json!([
        example("a", "other"),
        {"text": "b", "class": "thanks", "language": "ar"},
        example("c", "complaint")
    ]);
    assert_eq!(app.call(add(&three)).await.json(), json!({"added": 3}));
    let read = |uri: &str| app.call(bearer(get(uri), CONSOLE_TOKEN));
    let first = read("/v1/classifier/examples?limit=2").await.json();
    let expected = json!({"id": 2, "text": "b", "class": "thanks", "language": "ar", "origin": "import"});
    let found = first["examples"][1].as_object().unwrap();
    assert!(expected.as_object().unwrap().iter().all(|(name, value)| found[name] == *value), "{found:?}");
    assert_eq!(first["next"], 2);
    let second = read("/v1/classifier/examples?limit=2&after=2").await.json();
    assert_eq!((second["examples"].as_array().unwrap().len(), &second["next"]), (1, &json!(null)));
    assert_eq!(app.call(remove("2")).await.json(), json!({"removed": 1}));
    assert_eq!(app.call(remove("2")).await.json(), json!({"removed": 0}));
    for wrong in ["two", ""] {
        app.call(remove(wrong)).await.assert_problem(400, "invalid_query");
    }
    read("/v1/classifier/examples?limit=0").await.assert_problem(400, "invalid_query");
}

#[actix_web::test]
async fn what_is_no_list_of_examples_is_refused_with_the_classes_that_there_are() {
    let app = TestApp::with_tokens();
    let many: Vec<_> = (0..101).map(|n| example(&n.to_string(), "other")).collect();
    for wrong in [json!({}), json!([{"text": "a"}]), json!([example("a", "rage")]), json!(many)] {
        app.call(add(&wrong)).await.assert_problem(422, "invalid_examples");
    }
    let unknown = app.call(add(&json!([example("a", "rage")]))).await;
    assert!(unknown.body.contains("service_request"), "{}", unknown.body);
    let malformed = bearer(post("/v1/classifier/examples", &json!(null)).set_payload("["), CONSOLE_TOKEN);
    app.call(malformed).await.assert_problem(400, "malformed_json");
    assert!(app.store.state().examples.is_empty());
}

#[actix_web::test]
async fn an_operator_says_what_a_turn_really_was() {
    let app = TestApp::with_tokens();
    let turn = Uuid::from_u128(7);
    let answer = app.call(correct(&turn.to_string(), &json!({"class": "complaint"}))).await.json();
    assert_eq!(answer, json!({"example": 1, "was": "inquiry"}));
    assert_eq!(app.store.state().corrected, [(TurnId::new(turn), Class::Complaint)]);
    for wrong in [json!({}), json!({"class": "rage"}), json!({"class": "other", "x": 1})] {
        app.call(correct(&turn.to_string(), &wrong)).await.assert_problem(422, "invalid_class");
    }
    for unknown in [Uuid::nil().to_string(), "zorblax".to_owned()] {
        app.call(correct(&unknown, &json!({"class": "other"}))).await.assert_problem(404, "not_found");
    }
    app.store.state().failure = Some(StoreError::Refused("the turn has not ended".into()));
    app.call(correct(&turn.to_string(), &json!({"class": "other"}))).await.assert_problem(409, "refused");
}

#[actix_web::test]
async fn examples_and_corrections_are_for_the_console_only() {
    let app = TestApp::with_tokens();
    let visitor = app.visit().await;
    let uri = "/v1/classifier/examples";
    for request in [get(uri), bearer(get(uri), API_TOKEN), cookie(get(uri), &visitor)] {
        app.call(request).await.assert_problem(401, "unauthorized");
    }
    let (ones, class) = (json!([example("a", "other")]), json!({"class": "other"}));
    let turn = format!("/v1/conversations/{0}/turns/{0}/class", Uuid::from_u128(7));
    for request in [post(uri, &ones), post(&turn, &class), TestRequest::delete().uri(&format!("{uri}?id=1"))]
    {
        app.call(bearer(request, API_TOKEN)).await.assert_problem(401, "unauthorized");
    }
    assert!(app.store.state().corrected.is_empty());
}
