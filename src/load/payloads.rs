//! The webhooks of the WhatsApp Cloud API, as Meta writes and signs them.

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::bursts::{BurstMessage, Person};
use crate::secret::hex;

/// The business's phone number, as payloads name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Business {
    /// The account.
    pub phone_number_id: String,
    /// The number people dial.
    pub display_phone_number: String,
}

impl Default for Business {
    fn default() -> Self {
        Self { phone_number_id: "106540352242922".into(), display_phone_number: "15550783881".into() }
    }
}

impl Business {
    /// The body of a webhook that brings messages of one person, as the Cloud API writes it.
    #[must_use]
    pub fn webhook_body(&self, person: &Person, messages: &[BurstMessage], written_at_s: i64) -> Vec<u8> {
        let (from, from_user_id) = (person.phone.as_deref(), person.user_id.as_deref());
        let contact = Contact { profile: Profile { name: &person.name }, wa_id: from, user_id: from_user_id };
        let timestamp = written_at_s.to_string();
        let messages = messages.iter().map(|message| Message {
            id: &message.id,
            timestamp: &timestamp,
            kind: "text",
            text: Text { body: &message.text },
            from,
            from_user_id,
        });
        self.envelope(&Told { contacts: [contact], messages: messages.collect() })
    }

    /// The body of a webhook around what a change tells.
    #[must_use]
    pub fn envelope(&self, told: &impl Serialize) -> Vec<u8> {
        let metadata = Metadata {
            display_phone_number: &self.display_phone_number,
            phone_number_id: &self.phone_number_id,
        };
        let value = Change { messaging_product: "whatsapp", metadata, told };
        let entry = Entry { id: "102290129340398", changes: [Field { field: "messages", value }] };
        let whole = Envelope { object: "whatsapp_business_account", entry: [entry] };
        serde_json::to_vec(&whole).expect("strings and lists become JSON")
    }

    /// The body of a webhook that tells what became of a message that was sent.
    #[must_use]
    pub fn status_body(&self, status: &Status<'_>, at_s: u64) -> Vec<u8> {
        let mut told: Value = json!({
            "id": status.wamid,
            "status": status.status,
            "timestamp": at_s.to_string(),
            "recipient_id": status.recipient,
        });
        if let Some(data) = status.callback_data {
            told["biz_opaque_callback_data"] = json!(data);
        }
        self.envelope(&json!({"statuses": [told]}))
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The id that the message was given.
    pub wamid: &'a str,
    /// `sent`, `delivered`, `read` or `failed`.
    pub status: &'a str,
    /// Whom it went to.
    pub recipient: &'a str,
    /// What its sender wanted back.
    pub callback_data: Option<&'a str>,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    object: &'a str,
    entry: [Entry<'a, T>; 1],
}

#[derive(Serialize)]
struct Entry<'a, T> {
    id: &'a str,
    changes: [Field<'a, T>; 1],
}

#[derive(Serialize)]
struct Field<'a, T> {
    field: &'a str,
    value: Change<'a, T>,
}

#[derive(Serialize)]
struct Change<'a, T> {
    messaging_product: &'a str,
    metadata: Metadata<'a>,
    #[serde(flatten)]
    told: T,
}

#[derive(Serialize)]
struct Metadata<'a> {
    display_phone_number: &'a str,
    phone_number_id: &'a str,
}

#[derive(Serialize)]
struct Told<'a> {
    contacts: [Contact<'a>; 1],
    messages: Vec<Message<'a>>,
}

#[derive(Serialize)]
struct Contact<'a> {
    profile: Profile<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Profile<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    timestamp: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    text: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_user_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
}

/// The value of `X-Hub-Signature-256` for a body.
#[must_use]
pub fn sign(app_secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}
