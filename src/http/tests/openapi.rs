//! The description of the interface says all of it, and nothing else.

use std::collections::BTreeSet;

use serde_json::json;

use super::conformity::{DOCUMENT, referred};
use super::console::own;
use super::*;
use crate::http::openapi::{CODES, openapi, template};
use crate::http::routes::{Access, Operation, TAGS, operations};

/// Every operation of the description: its path, its method, and what is said of it.
fn described() -> Vec<(&'static str, &'static str, &'static Value)> {
    let mut all = vec![];
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((path.as_str(), method.as_str(), operation));
        }
    }
    all
}

/// Calls `visit` with every object of a document, and where it stands.
fn walk(value: &'static Value, place: &str, visit: &mut impl FnMut(&str, &'static Value)) {
    match value {
        Value::Object(fields) => {
            visit(place, value);
            fields.iter().for_each(|(name, value)| walk(value, &format!("{place}/{name}"), visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, place, visit)),
        _ => {}
    }
}

/// The path of an operation with something in the place of its parameters.
fn filled(path: &str) -> String {
    let nobody = Uuid::from_u128(9).to_string();
    let values = [("{id}", &*nobody), ("{turn}", &nobody), ("{path}", "nowhere"), ("{action}", "restart")];
    let path = values.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    path.replace("{position}", "1").replace("{file}", "index.html")
}

#[test]
fn every_operation_is_described_and_no_other() {
    let mut served = BTreeSet::new();
    for operation in operations() {
        let Operation { id, summary, tag, path, method, .. } = &operation;
        let place = format!("{method} {path}");
        assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()), "{place}: {id}");
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{place}: a summary is a line: {summary}");
        assert!(TAGS.iter().any(|(known, _)| known == tag), "{place}: {tag} is no tag");
        served.insert((template(path), method.as_str().to_ascii_lowercase()));
        if operation.is_headed {
            served.insert((template(path), "head".to_owned()));
        }
    }
    let told: BTreeSet<_> =
        described().iter().map(|(path, method, _)| ((*path).to_owned(), (*method).to_owned())).collect();
    assert_eq!(served, told);
    assert!(served.len() > 60, "{}", served.len());
}

#[test]
fn the_operations_of_a_path_stand_together_since_the_first_of_them_serves_it() {
    let mut seen: Vec<&str> = vec![];
    for path in operations().iter().map(|operation| operation.path) {
        if seen.last() != Some(&path) {
            assert!(!seen.contains(&path), "{path} stands in two places of the table");
            seen.push(path);
        }
    }
}

#[actix_web::test]
async fn what_is_described_is_served_and_what_is_not_is_refused_with_the_methods_that_are() {
    let app = TestApp::with_tokens();
    let all = ["get", "head", "post", "put", "patch", "delete"];
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for method in all {
            let upper = method.to_uppercase().parse().unwrap();
            let response = app.answer(TestRequest::with_uri(&filled(path)).method(upper)).await;
            let allow = response.headers().get("allow").map(|allow| allow.to_str().unwrap().to_lowercase());
            assert_eq!(response.status().as_u16() != 405, methods.get(method).is_some(), "{method} {path}");
            if let Some(allow) = allow {
                let allow: BTreeSet<_> = allow.split(", ").collect();
                assert_eq!(allow, methods.as_object().unwrap().keys().map(String::as_str).collect());
            }
        }
    }
}

#[actix_web::test]
async fn each_operation_takes_the_role_that_is_described_and_no_less() {
    let app = TestApp::with_users();
    let signed_in = [app.session_of("vera").await, app.session_of("olga").await, app.session_of("ada").await];
    for operation in operations() {
        let needed = match operation.access {
            Access::Supervisor(role) => role,
            Access::Reader(role) => role,
            Access::Open | Access::Writer | Access::Signature => continue,
        };
        // Whoever signs out is signed out.
        if operation.id == "signOut" {
            continue;
        }
        let place = format!("{} {}", operation.method, operation.path);
        let asked = || {
            let request =
                TestRequest::with_uri(&filled(&template(operation.path))).method(operation.method.clone());
            own(request.insert_header(("content-type", "application/json")))
        };
        let nobody = app.answer(asked()).await.status().as_u16();
        assert_eq!(nobody, 401, "{place}");
        for (cookie_of, role) in signed_in.iter().zip([Role::Viewer, Role::Operator, Role::Admin]) {
            let status = app.answer(cookie(asked(), cookie_of)).await.status().as_u16();
            assert_eq!(status == 403, role < needed, "{place} for {role:?}: {status}");
            assert_ne!(status, 401, "{place} for {role:?}");
        }
        let shown = &DOCUMENT["paths"][template(operation.path)][operation.method.as_str().to_lowercase()];
        assert_eq!(shown["x-role"], needed.as_str());
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let mut used = BTreeSet::new();
    walk(&DOCUMENT, "", &mut |_, value| {
        if let Some(name) = value["$ref"].as_str() {
            assert!(referred(name).is_object(), "{name}");
            used.insert(name.rsplit('/').next().unwrap());
        }
    });
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    let unused: Vec<_> = schemas.keys().filter(|name| !used.contains(name.as_str())).collect();
    assert!(unused.is_empty(), "{unused:?}");
    for name in schemas.keys() {
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "two types are called {name}");
    }
}

#[test]
fn operations_have_names_of_their_own_and_describe_each_parameter_of_their_path() {
    let mut names = BTreeSet::new();
    for (path, method, operation) in described() {
        let place = format!("{method} {path}");
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{place}: its name is taken");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described: Vec<_> = parameters.iter().filter(|parameter| parameter["in"] == "path").collect();
        assert_eq!(described.len(), path.matches('{').count(), "{place}");
        for parameter in described {
            assert!(path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap())), "{place}");
        }
        for parameter in &parameters {
            let is_described = ["description"].iter().any(|name| parameter[name].is_string());
            let is_path = parameter["in"] == "path";
            assert!(is_described || is_path, "{place}: {parameter} has no description");
        }
    }
}

#[test]
fn no_schema_says_nothing_but_of_what_has_no_fixed_form() {
    // What differs from step to step, from actor to actor, and from message to message.
    let free = ["detail", "content"];
    let mut found = vec![];
    walk(&DOCUMENT, "", &mut |place, value| {
        let fields = value.as_object().unwrap();
        let name = place.rsplit('/').next().unwrap();
        let is_schema =
            place.ends_with(&format!("/properties/{name}")) || ["items", "schema"].contains(&name);
        let says = ["$ref", "type", "anyOf", "oneOf", "allOf", "const", "enum"];
        if is_schema && !says.iter().any(|word| fields.contains_key(*word)) && !free.contains(&name) {
            found.push(place.to_owned());
        }
        for (name, value) in fields {
            let is_open = value == &json!(true) && ["items", "schema"].contains(&name.as_str());
            let is_property = place.ends_with("/properties") && value.is_boolean();
            if is_open || is_property {
                found.push(format!("{place}/{name}"));
            }
        }
        if let Some(description) = fields.get("description").and_then(Value::as_str) {
            assert!(!description.contains("[`") && !description.contains("::"), "{place}: {description}");
        }
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_code_of_a_problem_has_a_meaning_and_is_answered_by_some_operation() {
    let mut told: BTreeSet<&str> = ["method_not_allowed"].into();
    for (path, method, operation) in described() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let codes = response["x-codes"].as_array().into_iter().flatten();
            assert_eq!(response["x-codes"].is_array(), status.as_str() >= "400", "{method} {path} {status}");
            told.extend(codes.map(|code| code.as_str().unwrap()));
        }
    }
    let known: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(told, known);
}

#[actix_web::test]
async fn the_description_is_served_to_everybody_and_is_the_same_each_time() {
    let app = TestApp::with_tokens();
    let answer = app.call(get("/openapi.json")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body, openapi());
    let document = answer.json();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("Tertulia")));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let head = app.call(TestRequest::with_uri("/openapi.json").method(actix_web::http::Method::HEAD)).await;
    assert_eq!(head.status.as_u16(), 200);
}

#[test]
fn a_type_that_is_read_otherwise_than_it_is_written_has_two_schemas() {
    let schemas = &DOCUMENT["components"]["schemas"];
    let put = &DOCUMENT["paths"]["/v1/knowledge/entry"]["put"];
    assert_eq!(
        put["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/EntryInput"
    );
    let days = &schemas["EntryInput"]["properties"]["valid_from"]["anyOf"];
    assert!(days.as_array().unwrap().contains(&json!({"type": "string", "format": "date"})));
    assert!(schemas["Entry"].is_object() && !schemas["Entry"].to_string().contains("\"date\""));
}

#[test]
fn a_reason_may_be_left_out_since_programs_need_none() {
    for (name, required) in [
        ("HandOver", json!(null)),
        ("Why", json!(null)),
        ("Chosen", json!(["ids"])),
        ("ChosenLetters", json!(null)),
    ] {
        let schema = &DOCUMENT["components"]["schemas"][name];
        assert_eq!(schema["properties"]["reason"]["maxLength"], 500, "{name}: {schema}");
        assert_eq!(schema["required"], required, "{name}: {schema}");
    }
}
