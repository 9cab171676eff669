//! The emulated WhatsApp Cloud API.

use std::net::Shutdown;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, rt, web};
use serde::Deserialize;
use serde_json::json;

use super::{Shared, State, Wire};
use crate::load::payloads::{Business, Status, sign};

/// How the emulated WhatsApp API behaves. Probabilities are 0 to 1.
#[derive(Clone, Debug)]
pub struct WhatsappBehaviour {
    /// The token that must be shown.
    pub access_token: String,
    /// How long every answer takes.
    pub delay: Duration,
    /// Probability that a message is accepted and the connection cut before the answer.
    pub cut_rate: f64,
    /// Probability of 429 with code 130429.
    pub throttle_rate: f64,
    /// Probability of 500 with code 131000; the message is not accepted.
    pub fail_rate: f64,
    /// Probability of 401 with code 190.
    pub unauthorized_rate: f64,
    /// Whether any token will do, as for a server whose token is its own.
    pub takes_any_token: bool,
    /// The first POSTs that are answered 429, counted from the start.
    pub throttle_first: u64,
    /// Where statuses of accepted messages go.
    pub statuses: Option<StatusTarget>,
}

impl Default for WhatsappBehaviour {
    fn default() -> Self {
        Self {
            access_token: "emulated-token".to_owned(),
            delay: Duration::ZERO,
            cut_rate: 0.0,
            throttle_rate: 0.0,
            fail_rate: 0.0,
            unauthorized_rate: 0.0,
            takes_any_token: false,
            throttle_first: 0,
            statuses: None,
        }
    }
}

/// The webhook that is told what became of messages: `sent`, `delivered`, `read`.
#[derive(Clone, Debug)]
pub struct StatusTarget {
    /// The server's webhook.
    pub url: String,
    /// What the webhooks are signed with.
    pub app_secret: String,
}

/// A message that was accepted.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it arrived.
    pub at: Instant,
    /// The account that sent it.
    pub phone_number_id: String,
    /// The phone number it goes to.
    pub to: Option<String>,
    /// The user id it goes to.
    pub recipient: Option<String>,
    /// Its text.
    pub text: String,
    /// The sender's callback data.
    pub callback_data: Option<String>,
    /// The id it was given.
    pub wamid: String,
    /// Whether its answer was cut off.
    pub cut: bool,
}

impl Sent {
    /// The phone number or user id it goes to.
    #[must_use]
    pub fn address(&self) -> &str {
        self.to.as_deref().or(self.recipient.as_deref()).unwrap_or_default()
    }
}

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.route("/{version}/{phone_number_id}/messages", web::post().to(messages));
}

#[derive(Deserialize)]
struct Send {
    messaging_product: String,
    to: Option<String>,
    recipient: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    text: Text,
    biz_opaque_callback_data: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    body: String,
}

/// What is done with one POST.
enum Verdict {
    Error { status: StatusCode, code: i64, message: String },
    Accept(Sent),
}

async fn messages(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Bytes,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let arrived = Instant::now();
    let (_, phone_number_id) = path.into_inner();
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let (verdict, delay, statuses) = {
        let mut state = shared.state();
        let verdict = judge(&mut state, bearer, &body, arrived, phone_number_id);
        if let Verdict::Accept(sent) = &verdict {
            state.log_sent(sent.clone());
        }
        (verdict, state.whatsapp.delay, state.whatsapp.statuses.clone())
    };
    shared.news.notify_waiters();
    if !delay.is_zero() {
        rt::time::sleep(delay).await;
    }
    match verdict {
        Verdict::Error { status, code, message } => refusal(status, code, &message),
        Verdict::Accept(sent) => {
            if let Some(target) = statuses {
                rt::spawn(tell_statuses(shared.client.clone(), target, sent.clone()));
            }
            if sent.cut
                && let Some(wire) = request.conn_data::<Wire>()
            {
                // Fails only where the sender has cut it already.
                let _ = wire.0.shutdown(Shutdown::Both);
            }
            let to = sent.address();
            HttpResponse::Ok().json(json!({
                "messaging_product": "whatsapp",
                "contacts": [{"input": to, "wa_id": to}],
                "messages": [{"id": sent.wamid}],
            }))
        }
    }
}

fn judge(
    state: &mut State,
    bearer: Option<&str>,
    body: &[u8],
    at: Instant,
    phone_number_id: String,
) -> Verdict {
    let error = |status, code, message: &str| Verdict::Error { status, code, message: message.to_owned() };
    state.asked += 1;
    let behaviour = &state.whatsapp;
    let token_is_right =
        bearer.and_then(|value| value.strip_prefix("Bearer ")) == Some(&behaviour.access_token);
    if !(token_is_right || behaviour.takes_any_token) || state.prng.chance(behaviour.unauthorized_rate) {
        // Nobody promises that a provider does not quote what it was shown.
        let message = format!("Error validating access token: {}", bearer.unwrap_or_default());
        return error(StatusCode::UNAUTHORIZED, 190, &message);
    }
    let Some(send) = serde_json::from_slice::<Send>(body).ok().filter(is_well_formed) else {
        return error(StatusCode::BAD_REQUEST, 100, "Invalid parameter");
    };
    if state.asked <= behaviour.throttle_first || state.prng.chance(behaviour.throttle_rate) {
        return error(StatusCode::TOO_MANY_REQUESTS, 130_429, "Rate limit hit");
    }
    if state.prng.chance(behaviour.fail_rate) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, 131_000, "Something went wrong");
    }
    let cut = state.prng.chance(behaviour.cut_rate);
    Verdict::Accept(Sent {
        at,
        phone_number_id,
        to: send.to,
        recipient: send.recipient,
        text: send.text.body,
        callback_data: send.biz_opaque_callback_data,
        wamid: format!("wamid.emulated.{}", state.accepted + 1),
        cut,
    })
}

/// Whether the Cloud API would take the body: exactly one recipient, a phone number in `to`, and a text within the limit.
fn is_well_formed(send: &Send) -> bool {
    let digits = |to: &String| !to.is_empty() && to.bytes().all(|byte| byte.is_ascii_digit());
    send.messaging_product == "whatsapp"
        && send.kind == "text"
        && send.to.is_some() != send.recipient.is_some()
        && send.to.as_ref().is_none_or(digits)
        && send.recipient.as_ref().is_none_or(|recipient| recipient.contains('.'))
        && (1..=4_096).contains(&send.text.body.chars().count())
}

fn refusal(status: StatusCode, code: i64, message: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.insert_header(("retry-after", "1"));
    }
    let message = format!("(#{code}) {message}");
    response.json(
        json!({"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A"}}),
    )
}

/// Tells in turn that a message was sent, delivered and read; each is tried three times.
async fn tell_statuses(client: reqwest::Client, target: StatusTarget, sent: Sent) {
    for status in ["sent", "delivered", "read"] {
        let body = status_body(&sent, status);
        for _ in 0..3 {
            let request =
                client.post(&target.url).header("x-hub-signature-256", sign(&target.app_secret, &body));
            let answer = request.timeout(Duration::from_secs(5)).body(body.clone()).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            rt::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn status_body(sent: &Sent, status: &str) -> Vec<u8> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let business = Business { phone_number_id: sent.phone_number_id.clone(), ..Business::default() };
    let callback_data = sent.callback_data.as_deref();
    business.status_body(
        &Status { wamid: &sent.wamid, status, recipient: sent.address(), callback_data },
        seconds,
    )
}
