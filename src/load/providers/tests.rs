//! What the emulations must be relied on for.

use serde_json::{Value, json};

use super::*;

fn start(whatsapp: WhatsappBehaviour) -> EmulatedProviders {
    EmulatedProviders::start(ProviderOptions { whatsapp, ..ProviderOptions::default() }).unwrap()
}

async fn post(url: String, token: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
    let client = crate::channels::client(Duration::from_secs(2)).unwrap();
    let answer = client.post(url).bearer_auth(token).json(body).send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

fn message(to: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "hi"}})
}

#[actix_web::test]
async fn the_whatsapp_api_takes_only_what_meta_would_take() {
    let providers = start(WhatsappBehaviour::default());
    let url = || format!("{}/v23.0/1065/messages", providers.graph_base_url());
    let long = "x".repeat(4_097);
    let mut both = message("1");
    both["recipient"] = json!("SA.1");
    let mut too_long = message("1");
    too_long["text"]["body"] = json!(long);
    for (name, token, body, expected) in [
        ("wrong token", "nope", message("1"), 401),
        ("no recipient", "emulated-token", json!({"messaging_product": "whatsapp", "type": "text"}), 400),
        ("two recipients", "emulated-token", both, 400),
        ("a user id where a phone number belongs", "emulated-token", message("SA.1"), 400),
        ("too long", "emulated-token", too_long, 400),
        ("good", "emulated-token", message("1"), 200),
    ] {
        assert_eq!(post(url(), token, &body).await.unwrap().0, expected, "{name}");
    }
    assert_eq!((providers.sent_count(), providers.asked_count()), (1, 6));
}

#[actix_web::test]
async fn the_model_echoes_only_the_last_user_message() {
    let providers = start(WhatsappBehaviour::default());
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let messages = json!([
        said("system", "s"),
        said("user", "one"),
        said("assistant", "two"),
        said("user", "مرحبا\nthree")
    ]);
    let url = format!("{}/chat/completions", providers.model_base_url());
    let (status, answer) = post(url, "any", &json!({"model": "m", "messages": messages})).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(answer["choices"][0]["message"]["content"], "مرحبا\nthree");
    assert_eq!(answer["usage"]["prompt_tokens"], 5);
    assert_eq!(providers.prompts()[0].messages.len(), 4);
}

#[actix_web::test]
async fn a_model_misbehaves_for_as_long_as_it_is_told() {
    let providers = start(WhatsappBehaviour::default());
    let url = format!("{}/chat/completions", providers.model_base_url());
    let ask = || {
        let client = crate::channels::client(Duration::from_secs(2)).unwrap();
        client.post(&url).json(&json!({"messages": [{"role": "user", "content": "hi"}]})).send()
    };
    let refused = ModelFault::Status { status: 429, retry_after_s: Some(7) };
    providers.set_model(ModelBehaviour { fault_first: Some(1), ..ModelBehaviour::failing(refused) });
    let answer = ask().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(ask().await.unwrap().status(), 200, "only the first call meets it");
    providers.set_model(ModelBehaviour::failing(ModelFault::Garbage));
    assert!(ask().await.unwrap().json::<Value>().await.is_err());
    providers.set_model(ModelBehaviour::failing(ModelFault::Huge(1 << 20)));
    let answer: Value = ask().await.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"].as_str().map(str::len), Some(1 << 20));
    providers.set_model(ModelBehaviour::failing(ModelFault::Trickle(Duration::from_millis(1))));
    let answer: Value = ask().await.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    providers.set_model(ModelBehaviour::failing(ModelFault::Silence));
    assert!(tokio::time::timeout(Duration::from_millis(200), ask()).await.is_err());
}
