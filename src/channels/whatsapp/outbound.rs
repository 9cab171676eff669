//! Sending through the Graph API.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use serde::Serialize;
use tertulia_actors::domain::{PartId, Recipient};
use tertulia_actors::ports::{Outbound, OutboundChannel, PortFuture, SendError};

use super::outcome::{judge, retry_after};
use super::{TEXT_MAX_CHARS, WhatsappSettings};
use crate::channels::split::split;
use crate::secret::Secret;

/// The most that is read of an answer; real ones have a few hundred bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1_024;

/// Sends parts of replies to people on WhatsApp.
pub struct WhatsappOutbound {
    client: reqwest::Client,
    base: String,
    access_token: Secret,
    timeout: Duration,
}

impl WhatsappOutbound {
    /// Sends with `client`, which should come from [`crate::channels::client`].
    #[must_use]
    pub fn new(client: reqwest::Client, settings: &WhatsappSettings) -> Self {
        let graph = settings.graph_base_url.trim_end_matches('/');
        Self {
            client,
            base: format!("{graph}/{}", settings.api_version),
            access_token: settings.access_token.clone(),
            timeout: settings.timeout(),
        }
    }

    fn request(&self, outbound: &Outbound) -> Result<reqwest::RequestBuilder, SendError> {
        let message = TextMessage::new(outbound.part, &outbound.recipient, &outbound.text)?;
        let url = format!("{}/{}/messages", self.base, outbound.account.name);
        let request = self.client.post(url).bearer_auth(self.access_token.expose());
        Ok(request.timeout(self.timeout).json(&message))
    }
}

impl OutboundChannel for WhatsappOutbound {
    fn send(&self, outbound: Outbound) -> PortFuture<String, SendError> {
        let request = self.request(&outbound);
        Box::pin(async move {
            let answer = request?.send().await.map_err(|error| unanswered(&error))?;
            let status = answer.status().as_u16();
            let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let wait = retry_after(wait);
            judge(status, wait, &read_bounded(answer).await)
        })
    }

    fn refresh(&self) {
        self.access_token.refresh("channels.whatsapp.access_token");
    }

    fn split(&self, text: &str) -> Vec<String> {
        split(text, TEXT_MAX_CHARS)
    }
}

/// The body of `POST /{phone_number_id}/messages` for a text.
#[derive(Serialize)]
struct TextMessage<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    /// A business-scoped user id; it does not belong into `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    text: Body<'a>,
    biz_opaque_callback_data: PartId,
}

#[derive(Serialize)]
struct Body<'a> {
    body: &'a str,
    preview_url: bool,
}

impl<'a> TextMessage<'a> {
    fn new(part: PartId, recipient: &'a Recipient, text: &'a str) -> Result<Self, SendError> {
        let to = recipient.phone.as_deref();
        let user_id = recipient.user_id.as_deref().filter(|_| to.is_none());
        if to.is_none() && user_id.is_none() {
            return Err(SendError::Refused("the recipient has neither a phone number nor a user id".into()));
        }
        Ok(Self {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to,
            recipient: user_id,
            kind: "text",
            text: Body { body: text, preview_url: false },
            biz_opaque_callback_data: part,
        })
    }
}

/// What it means that no answer came.
fn unanswered(error: &reqwest::Error) -> SendError {
    let reason = describe(error);
    // A request that could not be built, or whose connection was never made, has left no byte behind.
    if error.is_connect() || error.is_builder() {
        SendError::Retryable { reason, retry_after: None }
    } else {
        SendError::Ambiguous(reason)
    }
}

/// The innermost cause, which says what happened; the outer ones name the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() { "cannot connect" } else { "no answer" };
    format!("{what}: {cause}")
}

/// The answer's body; empty where it is cut off or too long, since then it says nothing.
async fn read_bounded(mut answer: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX_BYTES => body.extend_from_slice(&chunk),
            Ok(None) => return body,
            Ok(Some(_)) | Err(_) => return Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
