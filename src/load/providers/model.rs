//! The emulated language model, compatible with OpenAI's chat completions. It answers with exactly the last user message,
//! so that an answer shows which words reached it.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, rt, web};
use futures_util::{Stream, StreamExt, future, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Shared, State};

/// How the emulated model behaves.
#[derive(Clone, Debug, Default)]
pub struct ModelBehaviour {
    /// How long an answer takes: always, or half of them at the most, where `latency_p99` is longer.
    pub latency: Duration,
    /// How long 99 of a hundred answers take at the most; log-normal in between. Zero: all take `latency`.
    pub latency_p99: Duration,
    /// Probability of 500, 0 to 1.
    pub error_rate: f64,
    /// Probability that a call is never answered, 0 to 1.
    pub stall_rate: f64,
    /// The key that must be shown; none asks for none. Others get 401.
    pub api_key: Option<String>,
    /// What it does instead of answering.
    pub fault: Option<ModelFault>,
    /// How many calls meet the fault, counted from when the behaviour was set; none: all of them.
    pub fault_first: Option<u64>,
}

impl ModelBehaviour {
    /// Every call meets the fault.
    #[must_use]
    pub fn failing(fault: ModelFault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// The fault that the call with this number meets, counted from 0.
    fn fault_of(&self, call: u64) -> Option<ModelFault> {
        self.fault.filter(|_| self.fault_first.is_none_or(|first| call < first))
    }
}

/// What a model does instead of answering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelFault {
    /// Refuses with this status, and says when to come again.
    Status {
        /// The status.
        status: u16,
        /// Seconds in `Retry-After`, where there is one.
        retry_after_s: Option<u64>,
    },
    /// Takes the call and never says a word.
    Silence,
    /// Answers rightly, one byte after the other, this far apart.
    Trickle(Duration),
    /// Answers 200 with what is no JSON.
    Garbage,
    /// Answers rightly, with a text of so many bytes and without telling its length ahead.
    Huge(usize),
}

/// What the model was asked.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// When.
    pub at: Instant,
    /// How long its answer takes.
    pub latency: Duration,
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
    /// Whether the answer is wanted in pieces.
    #[serde(default)]
    stream: bool,
}

pub(super) fn configure(config: &mut web::ServiceConfig) {
    for path in ["/v1/chat/completions", "/chat/completions"] {
        config.route(path, web::post().to(complete));
    }
}

async fn complete(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let at = Instant::now();
    let Ok(ask) = serde_json::from_slice::<Ask>(&body) else {
        let error = json!({"message": "malformed request", "type": "invalid_request_error"});
        return HttpResponse::BadRequest().json(json!({"error": error}));
    };
    let answer = answer_to(&ask);
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let shown = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let (latency, conduct) = {
        let mut state = shared.state();
        let latency = state.draw_latency();
        let streams = ask.stream;
        state.log_prompt(Prompt { at, latency, model: ask.model, messages: ask.messages });
        if state.model.api_key.as_deref().is_some_and(|key| shown != Some(key)) {
            let error = json!({"message": "Incorrect API key provided", "type": "invalid_request_error"});
            return HttpResponse::Unauthorized().json(json!({"error": error}));
        }
        (latency, state.draw_conduct(streams))
    };
    shared.news.notify_waiters();
    if !latency.is_zero() {
        rt::time::sleep(latency).await;
    }
    match conduct {
        Conduct::Fault(fault) => misbehave(fault, answer.to_json()).await,
        Conduct::Stream => answer.in_pieces(),
        Conduct::Answer => HttpResponse::Ok().content_type("application/json").body(answer.to_json()),
    }
}

/// What becomes of one call.
enum Conduct {
    Fault(ModelFault),
    Stream,
    Answer,
}

impl State {
    fn draw_latency(&mut self) -> Duration {
        self.prng.log_normal(self.model.latency, self.model.latency_p99)
    }

    /// What the next call meets.
    fn draw_conduct(&mut self, streams: bool) -> Conduct {
        let fault = self.model.fault_of(self.model_calls);
        self.model_calls += 1;
        let (error_rate, stall_rate) = (self.model.error_rate, self.model.stall_rate);
        let (fails, stalls) = (self.prng.chance(error_rate), self.prng.chance(stall_rate));
        let failure = fails.then_some(ModelFault::Status { status: 500, retry_after_s: None });
        match fault.or(failure).or(stalls.then_some(ModelFault::Silence)) {
            Some(fault) => Conduct::Fault(fault),
            None if streams => Conduct::Stream,
            None => Conduct::Answer,
        }
    }
}

/// The answer to a prompt: its last user message.
#[derive(Serialize)]
struct Answer {
    id: &'static str,
    object: &'static str,
    created: u64,
    model: String,
    choices: [Choice; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Choice {
    index: u32,
    message: PromptMessage,
    finish_reason: &'static str,
}

/// Tokens, counted as words.
#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

fn answer_to(ask: &Ask) -> Answer {
    let last = ask.messages.iter().rev().find(|message| message.role == "user");
    let content = last.map(|message| message.content.clone()).unwrap_or_default();
    let words = |text: &str| text.split_whitespace().count();
    let prompt_tokens = ask.messages.iter().map(|message| words(&message.content)).sum();
    let completion_tokens = words(&content);
    Answer {
        id: "chatcmpl-emulated",
        object: "chat.completion",
        created: 0,
        model: ask.model.clone(),
        choices: [Choice {
            index: 0,
            message: PromptMessage { role: "assistant".to_owned(), content },
            finish_reason: "stop",
        }],
        usage: Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    }
}

impl Answer {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers become JSON")
    }

    /// The answer as server-sent events, a word in each, as a client that asks for `stream` gets it.
    fn in_pieces(self) -> HttpResponse {
        let [choice] = self.choices;
        let model = self.model;
        let piece = move |content: &str, finish: Option<&str>| {
            let delta = json!({"content": content});
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            let chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]});
            web::Bytes::from(format!("data: {chunk}\n\n"))
        };
        let words = choice.message.content.split_inclusive(char::is_whitespace);
        let mut pieces: Vec<_> = words.map(|word| piece(word, None)).collect();
        pieces.push(piece("", Some(choice.finish_reason)));
        pieces.push(web::Bytes::from_static(b"data: [DONE]\n\n"));
        let mut response = HttpResponse::Ok();
        response
            .content_type("text/event-stream")
            .streaming(stream::iter(pieces).map(Ok::<_, actix_web::Error>))
    }
}

fn refusal(status: StatusCode) -> HttpResponse {
    let error = json!({"message": "emulated failure", "type": "server_error"});
    HttpResponse::build(status).json(json!({"error": error}))
}

/// What one piece of a huge answer holds.
static PIECE: [u8; 64 * 1_024] = [b'x'; 64 * 1_024];

async fn misbehave(fault: ModelFault, reply: String) -> HttpResponse {
    match fault {
        ModelFault::Status { status, retry_after_s } => {
            let mut response = refusal(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY));
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            response
        }
        ModelFault::Silence => future::pending().await,
        ModelFault::Trickle(pause) => {
            answer_of(stream::iter(reply.into_bytes()).then(move |byte| async move {
                rt::time::sleep(pause).await;
                web::Bytes::from(vec![byte])
            }))
        }
        ModelFault::Garbage => HttpResponse::Ok().content_type("application/json").body("{\"choices\": [}"),
        ModelFault::Huge(bytes) => {
            let pieces = stream::repeat(web::Bytes::from_static(&PIECE)).take(bytes / PIECE.len());
            let (begin, end) = (r#"{"choices": [{"message": {"content": ""#, r#""}}]}"#);
            let whole =
                |text: &'static str| stream::once(future::ready(web::Bytes::from_static(text.as_bytes())));
            answer_of(whole(begin).chain(pieces).chain(whole(end)))
        }
    }
}

/// An answer that comes piece by piece.
fn answer_of(pieces: impl Stream<Item = web::Bytes> + 'static) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").streaming(pieces.map(Ok::<_, actix_web::Error>))
}
