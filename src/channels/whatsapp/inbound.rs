//! Webhooks: handshake, signature, and everything a body brings.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use tertulia_actors::domain::{Account, Channel, DeliveryStatus, InboundMessage, StatusUpdate, Timestamp};
use tertulia_actors::ports::store::{Admission, Quarantined};
use tertulia_actors::ports::{InboundChannel, ReceiptSource};

use super::identity::{contacts, is_echo, sender};
use super::payload::{
    Change, Contact, Entry, Envelope, Items, Message, Metadata, Seconds, Status, Text, Value,
};
use crate::secret::Secret;

/// Reads the webhooks of one WhatsApp app.
pub struct WhatsappInbound {
    verify_token: Secret,
    app_secret: Secret,
}

impl WhatsappInbound {
    /// `verify_token` is what the handshake must show, `app_secret` what bodies are signed with. An empty one accepts
    /// nothing.
    #[must_use]
    pub fn new(verify_token: &Secret, app_secret: &Secret) -> Self {
        Self { verify_token: verify_token.clone(), app_secret: app_secret.clone() }
    }
}

impl InboundChannel for WhatsappInbound {
    fn accepts_handshake(&self, mode: &str, token: &str) -> bool {
        self.verify_token.matches(token) && mode == "subscribe"
    }

    fn verifies(&self, signature: Option<&str>, body: &[u8]) -> bool {
        let given = signature.and_then(|header| header.strip_prefix("sha256=")).and_then(digest_from_hex);
        let secret = self.app_secret.expose();
        // Keyed anew for each body, which costs two blocks of SHA-256: the secret may have changed.
        let keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok().filter(|_| !secret.is_empty());
        let (Some(given), Some(mut mac)) = (given, keyed) else { return false };
        mac.update(body);
        mac.verify_slice(&given).is_ok()
    }

    fn read(&self, body: &[u8], receipts: &dyn ReceiptSource) -> Admission {
        let mut reader = Reader { receipts, admission: Admission::default(), faults: Vec::new(), more: 0 };
        reader.read_body(body);
        reader.finish(body)
    }
}

/// The 32 bytes of a SHA-256 in 64 hexadecimal digits.
fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(pair[0])? << 4 | nibble(pair[1])?).ok()?;
    }
    Some(bytes)
}

/// How many faults of one body are named; the rest is counted.
const FAULTS_MAX: usize = 8;

/// Fields whose changes tell of the account or repeat what was said elsewhere, and never bring words to answer.
const SILENT_FIELDS: [&str; 24] = [
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_status_update",
    "calls",
    "flows",
    "history",
    "message_echoes",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "smb_message_echoes",
    "template_category_update",
    "tracking_events",
    "user_preferences",
];

/// Reads one body.
struct Reader<'r> {
    receipts: &'r dyn ReceiptSource,
    admission: Admission,
    /// What was not understood. One quarantined row keeps the body for all of them, so that a body with a thousand
    /// malformed messages is not stored a thousand times.
    faults: Vec<String>,
    /// Faults beyond [`FAULTS_MAX`].
    more: usize,
}

/// What the messages of one change have in common.
struct Context<'c, 'a> {
    at: &'c str,
    account: Account,
    metadata: &'c Metadata<'a>,
    contacts: Vec<Contact<'a>>,
    /// Whether there is just one message and just one contact, which then belong together.
    is_pair: bool,
}

impl Reader<'_> {
    fn read_body(&mut self, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        if matches!(text, Cow::Owned(_)) {
            self.fault("not UTF-8; what is not was replaced".to_owned());
        }
        let envelope: Envelope<'_> = match serde_json::from_str(&text) {
            Ok(envelope) => envelope,
            Err(error) => return self.fault(format!("not a webhook: {error}")),
        };
        match envelope.object.as_ref().map(Text::as_str) {
            Some("whatsapp_business_account") => {}
            Some(object) => return self.fault(format!("unknown object '{}'", clip(object))),
            None => return self.fault("no object".to_owned()),
        }
        let Some(entries) = envelope.entry else { return self.fault("no entry".to_owned()) };
        for (number, entry) in entries.into_iter().enumerate() {
            self.read_entry(number, entry);
        }
    }

    fn read_entry(&mut self, number: usize, raw: &RawValue) {
        let at = format!("entry {number}");
        let Some(entry) = self.parse::<Entry<'_>>(&at, raw) else { return };
        let Some(changes) = entry.changes else { return self.fault(format!("{at}: no changes")) };
        for (index, change) in changes.into_iter().enumerate() {
            self.read_change(&format!("{at} change {index}"), change);
        }
    }

    fn read_change(&mut self, at: &str, raw: &RawValue) {
        let Some(change) = self.parse::<Change<'_>>(at, raw) else { return };
        let field = change.field.as_ref().map_or("messages", Text::as_str);
        if SILENT_FIELDS.contains(&field) {
            return;
        }
        let Some(raw) = change.value else { return self.fault(format!("{at}: no value")) };
        let Some(value) = self.parse::<Value<'_>>(at, raw) else { return };
        for failure in value.errors.iter().flatten() {
            self.fault(format!("{at}: error {}", clip(&failure.to_string())));
        }
        if value.messages.is_none() && value.statuses.is_none() {
            if value.errors.is_none() {
                self.fault(format!("{at}: field '{}' without messages or statuses", clip(field)));
            }
            return;
        }
        self.read_value(at, value);
    }

    fn read_value(&mut self, at: &str, value: Value<'_>) {
        let Some(metadata) = value.metadata else { return self.fault(format!("{at}: no metadata")) };
        let Some(id) = metadata.phone_number_id.as_ref().filter(|id| !id.as_str().is_empty()) else {
            return self.fault(format!("{at}: no metadata.phone_number_id"));
        };
        let account = Account::new(Channel::Whatsapp, id.as_str());
        let is_one = |items: &Items<'_>| items.as_ref().is_some_and(|items| items.len() == 1);
        let is_pair = is_one(&value.messages) && is_one(&value.contacts);
        let contacts = contacts(value.contacts);
        let context = Context { at, account, metadata: &metadata, contacts, is_pair };
        for (index, message) in value.messages.into_iter().flatten().enumerate() {
            self.read_message(&context, index, message);
        }
        for (index, status) in value.statuses.into_iter().flatten().enumerate() {
            self.read_status(&context, index, status);
        }
    }

    fn read_message(&mut self, context: &Context<'_, '_>, index: usize, raw: &RawValue) {
        let message = match serde_json::from_str::<Message<'_>>(raw.get()) {
            Ok(message) if message.id.as_str().is_empty() => {
                return self.fault(format!("{} message {index}: empty id", context.at));
            }
            Ok(message) => message,
            Err(error) => return self.fault(format!("{} message {index}: {error}", context.at)),
        };
        if is_echo(&message, context.metadata.display_phone_number.as_ref()) {
            return;
        }
        let sender = sender(&message, &context.contacts, context.is_pair);
        if sender.is_anonymous() {
            let fault = "neither a phone number nor a user id";
            return self.fault(format!("{} message {index}: {fault}", context.at));
        }
        let text = message.words().map(str::to_owned);
        let kind = message.kind.as_ref().map(Text::as_str);
        let kind = kind.unwrap_or(if text.is_some() { "text" } else { "unknown" });
        // A text is all there is to a text; of other kinds people may want to see where, what or whom.
        let content = (kind != "text").then(|| raw.get().to_owned());
        self.admission.messages.push(InboundMessage {
            account: context.account.clone(),
            provider_id: message.id.as_str().to_owned(),
            sender,
            kind: kind.to_owned(),
            text,
            content,
            provider_at: seconds(message.timestamp.as_ref()),
            suppressed: None,
            receipt: self.receipts.receipt(),
        });
    }

    fn read_status(&mut self, context: &Context<'_, '_>, index: usize, raw: &RawValue) {
        let status = match serde_json::from_str::<Status<'_>>(raw.get()) {
            Ok(status) => status,
            Err(error) => return self.fault(format!("{} status {index}: {error}", context.at)),
        };
        let Some(told) = delivery_status(status.status.as_str()) else { return };
        let callback = status.biz_opaque_callback_data.as_ref();
        let errors: Vec<String> = status.errors.iter().flatten().map(ToString::to_string).collect();
        self.admission.statuses.push(StatusUpdate {
            account: context.account.clone(),
            provider_id: status.id.as_str().to_owned(),
            part: callback.and_then(|data| data.as_str().parse().ok()),
            status: told,
            at: seconds(status.timestamp.as_ref()),
            error: (!errors.is_empty()).then(|| errors.join("; ")),
        });
    }

    /// Reads one item, or notes why it cannot be read.
    fn parse<'a, T: Deserialize<'a>>(&mut self, at: &str, raw: &'a RawValue) -> Option<T> {
        serde_json::from_str(raw.get()).map_err(|error| self.fault(format!("{at}: {error}"))).ok()
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self, body: &[u8]) -> Admission {
        if !self.faults.is_empty() {
            let mut reason = self.faults.join("; ");
            if self.more > 0 {
                reason.push_str(&format!("; and {} more", self.more));
            }
            self.admission.quarantined.push(Quarantined {
                channel: Channel::Whatsapp,
                reason,
                body: body.to_vec(),
                received_at: self.receipts.receipt().at,
            });
        }
        self.admission
    }
}

/// What a status says. Others (`deleted`, `warning`, …) do not change where a part stands.
fn delivery_status(name: &str) -> Option<DeliveryStatus> {
    match name {
        "sent" => Some(DeliveryStatus::Sent),
        "delivered" => Some(DeliveryStatus::Delivered),
        // A voice message that was played was seen.
        "read" | "played" => Some(DeliveryStatus::Read),
        "failed" => Some(DeliveryStatus::Failed),
        _ => None,
    }
}

fn seconds(seconds: Option<&Seconds>) -> Option<Timestamp> {
    seconds.and_then(|seconds| seconds.0)
}

/// The beginning of a provider's text, for a reason that people read.
fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
