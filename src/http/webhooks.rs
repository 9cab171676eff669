//! The webhooks of providers.

use std::borrow::Cow;

use actix_web::{HttpRequest, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tertulia_actors::ports::InboundChannel;
use tertulia_actors::ports::store::Admission;

use super::answer::{Empty, Plain};
use super::body::SignedBody;
use super::parameters::Query;
use super::problem::Problem;
use super::state::HttpState;
use super::trace::note_conversation;

/// The parameters of the handshake. They hold a secret: a query is never logged.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Handshake {
    /// `subscribe`.
    #[serde(rename = "hub.mode", default)]
    mode: String,
    /// The token that was agreed on: `channels.whatsapp.verify_token`.
    #[serde(rename = "hub.verify_token", default)]
    verify_token: String,
    /// What is answered.
    #[serde(rename = "hub.challenge", default)]
    challenge: String,
}

/// What WhatsApp posts. What of it is not understood is kept in quarantine, and acknowledged all the same.
pub(super) struct Webhook;

impl JsonSchema for Webhook {
    fn schema_name() -> Cow<'static, str> {
        "WhatsappWebhook".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A webhook of the WhatsApp Cloud API, as Meta describes it: messages and delivery statuses.",
        })
    }
}

fn whatsapp(state: &HttpState) -> Result<&dyn InboundChannel, Problem> {
    let disabled = || Problem::new(404, "channel_disabled", "WhatsApp is not enabled here");
    state.whatsapp.as_deref().ok_or_else(disabled)
}

/// Meta asks whether it may subscribe; the challenge is the answer.
pub(super) async fn handshake(
    query: Query<Handshake>,
    state: web::Data<HttpState>,
) -> Result<Plain, Problem> {
    let channel = whatsapp(&state)?;
    let asked = query
        .read()
        .map_err(|_| Problem::query("hub.mode, hub.verify_token and hub.challenge are expected once each"))?;
    if !channel.accepts_handshake(&asked.mode, &asked.verify_token) {
        return Err(Problem::new(403, "wrong_verify_token", "the mode or the verify token is wrong"));
    }
    Ok(Plain(asked.challenge))
}

/// A webhook is acknowledged only after everything it brought is durable.
pub(super) async fn receive(
    request: HttpRequest,
    body: SignedBody<Webhook>,
    state: web::Data<HttpState>,
) -> Result<Empty<200>, Problem> {
    let channel = whatsapp(&state)?;
    state.admissions.may_read().map_err(|error| state.problem(&error))?;
    let body = body.bytes(&state.settings.server).await?;
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
    Ok(Empty)
}
