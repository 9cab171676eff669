//! The emulated language model, compatible with OpenAI's chat completions. It answers with exactly the last user message,
//! so that an answer shows which words reached it.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, rt, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Shared;

/// How the emulated model behaves.
#[derive(Clone, Debug, Default)]
pub struct ModelBehaviour {
    /// How long every answer takes.
    pub latency: Duration,
    /// Probability of 500, 0 to 1.
    pub error_rate: f64,
}

/// What the model was asked.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// When.
    pub at: Instant,
    /// The model's name that was asked for.
    pub model: String,
    /// All messages of the prompt.
    pub messages: Vec<PromptMessage>,
}

/// One message of a prompt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromptMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

#[derive(Deserialize)]
struct Ask {
    #[serde(default)]
    model: String,
    messages: Vec<PromptMessage>,
}

pub(super) fn configure(config: &mut web::ServiceConfig) {
    for path in ["/v1/chat/completions", "/chat/completions"] {
        config.route(path, web::post().to(complete));
    }
}

async fn complete(body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let Ok(ask) = serde_json::from_slice::<Ask>(&body) else {
        let error = json!({"message": "malformed request", "type": "invalid_request_error"});
        return HttpResponse::BadRequest().json(json!({"error": error}));
    };
    let prompt = Prompt { at: Instant::now(), model: ask.model, messages: ask.messages };
    let last = prompt.messages.iter().rev().find(|message| message.role == "user");
    let answer = last.map(|message| message.content.clone()).unwrap_or_default();
    let words = |text: &str| text.split_whitespace().count();
    let prompt_tokens: usize = prompt.messages.iter().map(|message| words(&message.content)).sum();
    let reply = json!({
        "id": "chatcmpl-emulated",
        "object": "chat.completion",
        "created": 0,
        "model": prompt.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer},
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": words(&answer),
            "total_tokens": prompt_tokens + words(&answer),
        },
    });
    let (latency, fails) = {
        let mut state = shared.state();
        state.prompts.push(prompt);
        let error_rate = state.model.error_rate;
        (state.model.latency, state.prng.chance(error_rate))
    };
    shared.news.notify_waiters();
    if !latency.is_zero() {
        rt::time::sleep(latency).await;
    }
    if fails {
        let error = json!({"message": "emulated failure", "type": "server_error"});
        return HttpResponse::InternalServerError().json(json!({"error": error}));
    }
    HttpResponse::Ok().json(reply)
}
