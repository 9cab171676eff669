//! The webhooks of providers.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use tertulia_actors::ports::InboundChannel;
use tertulia_actors::ports::store::Admission;

use super::body::read_body;
use super::problem::Problem;
use super::state::HttpState;
use super::trace::note_conversation;

/// The parameters of the handshake. They hold a secret: a query is never logged.
#[derive(Deserialize)]
struct Handshake {
    #[serde(rename = "hub.mode", default)]
    mode: String,
    #[serde(rename = "hub.verify_token", default)]
    verify_token: String,
    #[serde(rename = "hub.challenge", default)]
    challenge: String,
}

fn whatsapp(state: &HttpState) -> Result<&dyn InboundChannel, Problem> {
    let disabled = || Problem::new(404, "channel_disabled", "WhatsApp is not enabled here");
    state.whatsapp.as_deref().ok_or_else(disabled)
}

/// Meta asks whether it may subscribe; the challenge is the answer.
pub(super) async fn handshake(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let channel = whatsapp(&state)?;
    let asked = web::Query::<Handshake>::from_query(request.query_string())
        .map_err(|_| Problem::query("hub.mode, hub.verify_token and hub.challenge are expected once each"))?;
    if !channel.accepts_handshake(&asked.mode, &asked.verify_token) {
        return Err(Problem::new(403, "wrong_verify_token", "the mode or the verify token is wrong"));
    }
    Ok(HttpResponse::Ok().insert_header(ContentType::plaintext()).body(asked.0.challenge))
}

/// A webhook is acknowledged only after everything it brought is durable.
pub(super) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let channel = whatsapp(&state)?;
    state.admissions.may_read().map_err(|error| state.problem(&error))?;
    let body = read_body(&request, payload.into_inner(), &state.settings.server).await?;
    let signature = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    if !channel.verifies(signature, &body) {
        return Err(Problem::new(
            401,
            "wrong_signature",
            "the signature is missing or does not fit the body",
        ));
    }
    let admission = channel.read(&body, state.admissions.receipts());
    if admission != Admission::default() {
        let stored = state.admissions.admit(admission).await.map_err(|error| state.problem(&error))?;
        // A webhook that brings messages of several people belongs to none of their conversations.
        if let Some(first) = stored.first()
            && stored.iter().all(|stored| stored.conversation == first.conversation)
        {
            note_conversation(first.conversation);
        }
    }
    Ok(HttpResponse::Ok().finish())
}
