//! `POST /v1/messages`: the JSON channel, which the chat page uses too.

use std::net::IpAddr;

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tertulia_actors::domain::{Account, ConversationId, InboundMessage, Sender};
use tertulia_actors::ports::store::{Admission, Stored};

use super::answer::{self, Json};
use super::auth::{Caller, caller, own_conversation};
use super::body::{Body, read_object};
use super::problem::Problem;
use super::state::HttpState;
use super::trace::note_conversation;

/// The longest `from` and `id`, in Unicode scalar values.
const NAME_MAX_CHARS: usize = 200;

/// The message is durable.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AcceptedMessage")]
pub(super) struct Accepted {
    /// The conversation that the message belongs to.
    conversation_id: ConversationId,
    /// The message's id: the sender's, or one that was made for it.
    message_id: String,
    /// Whether this message had been stored before; then nothing was written.
    duplicate: bool,
}

/// A message of a program or of a visitor.
#[derive(PartialEq, Eq, Debug, JsonSchema)]
#[schemars(rename = "Message", deny_unknown_fields)]
pub(super) struct Posted {
    /// Who wrote it: what the program calls this person. A program must give it, a visitor of the chat page cannot.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    from: Option<String>,
    /// What they wrote. How long it may be is `channels.api.text_max_chars`, of visitors `channels.web.text_max_chars`.
    #[schemars(length(min = 1))]
    text: String,
    /// An id of the sender's own. A message that was stored with the same id already is not stored again, so that a request may be
    /// repeated; without one, each request is a message of its own.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    id: Option<String>,
}

/// Stores one message; 202 only after the commit.
pub(super) async fn receive(
    request: HttpRequest,
    body: Body<Posted>,
    state: web::Data<HttpState>,
) -> Result<answer::Accepted<Accepted>, Problem> {
    let caller = caller(&request, &state)?;
    let Some(account) = caller.account() else {
        return Err(Problem::new(403, "forbidden", "the console's token does not write messages"));
    };
    state.admissions.may_read().map_err(|error| state.problem(&error))?;
    let body = body.bytes(&state.settings.server).await?;
    let receipt = state.admissions.receipt();
    let text_max_chars = match caller {
        Caller::Visitor(_) => state.settings.web.text_max_chars,
        _ => state.settings.api.text_max_chars,
    };
    let posted = read(&body, text_max_chars)?;
    let handle = handle(&caller, posted.from)?;
    if matches!(caller, Caller::Visitor(_)) {
        limit_visitor(&request, &state, &handle).await?;
    }
    let id = posted.id.unwrap_or_else(|| state.entropy.uuid().to_string());
    let message = InboundMessage {
        account: account.clone(),
        provider_id: provider_id(&caller, &id),
        sender: Sender { handle: Some(handle.clone()), ..Sender::default() },
        kind: "text".to_owned(),
        text: Some(posted.text),
        content: None,
        provider_at: None,
        suppressed: None,
        receipt,
    };
    let stored = admit(&state, message).await?;
    note_conversation(stored.conversation);
    if stored.duplicate {
        refuse_foreign_id(&state, account, handle, stored).await?;
    }
    let accepted =
        Accepted { conversation_id: stored.conversation, message_id: id, duplicate: stored.duplicate };
    Ok(Json(accepted))
}

async fn admit(state: &HttpState, message: InboundMessage) -> Result<Stored, Problem> {
    let admission = Admission { messages: vec![message], ..Admission::default() };
    let stored = state.admissions.admit(admission).await.map_err(|error| state.problem(&error))?;
    stored.first().copied().ok_or_else(|| Problem::new(500, "internal", "the store lost count of a message"))
}

/// An id names one message of the account. One that another person's message has must not be taken for a repetition:
/// the words would be lost.
async fn refuse_foreign_id(
    state: &HttpState,
    account: Account,
    handle: String,
    stored: Stored,
) -> Result<(), Problem> {
    let own = state.store.find_conversation(account, handle).await.map_err(|error| state.problem(&error))?;
    if own == Some(stored.conversation) {
        return Ok(());
    }
    let problem = Problem::new(409, "id_in_use", "id: another sender's message has it; choose unique ids");
    Err(problem)
}

/// Who the message is from.
fn handle(caller: &Caller, from: Option<String>) -> Result<String, Problem> {
    match (caller, from) {
        (Caller::Visitor(_), Some(_)) => Err(Problem::invalid("from", "a visitor cannot choose it")),
        (Caller::Visitor(handle), None) => Ok(handle.clone()),
        (_, Some(from)) => Ok(from),
        (_, None) => Err(Problem::invalid("from", "is missing")),
    }
}

/// The dedupe key. Visitors share one account, so theirs carries who they are: nobody can take another's id.
fn provider_id(caller: &Caller, id: &str) -> String {
    match caller {
        Caller::Visitor(handle) => format!("{handle}:{id}"),
        _ => id.to_owned(),
    }
}

/// The id that the sender chose, from the stored one.
pub(super) fn shown_id(provider_id: &str) -> &str {
    match provider_id.split_once(':') {
        Some((handle, id)) if handle.len() == 64 && handle.bytes().all(|b| b.is_ascii_hexdigit()) => id,
        _ => provider_id,
    }
}

/// Keeps a visitor within their rate, and an address within its rate of people who write for the first time.
async fn limit_visitor(request: &HttpRequest, state: &HttpState, handle: &str) -> Result<(), Problem> {
    if !state.rates.knows(handle) && own_conversation(state, handle).await?.is_none() {
        state.rates.newcomer(&peer(request))?;
    }
    state.rates.message(handle)
}

/// The network address that a request comes from; of IPv6 the /64, which is what one customer has.
pub(super) fn peer(request: &HttpRequest) -> String {
    match request.peer_addr().map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V6(address)) => format!("{:x?}", &address.segments()[..4]),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".to_owned(),
    }
}

/// Reads a request by hand, so that every complaint names its field.
fn read(body: &[u8], text_max_chars: usize) -> Result<Posted, Problem> {
    let mut fields = read_object(body)?;
    let from = take_string(&mut fields, "from", NAME_MAX_CHARS)?;
    let text = take_string(&mut fields, "text", text_max_chars)?;
    let id = take_string(&mut fields, "id", NAME_MAX_CHARS)?;
    if let Some(unknown) = fields.keys().next() {
        let name: String = unknown.chars().take(50).collect();
        return Err(Problem::invalid(name, "unknown field; from, text and id are known"));
    }
    let text = text.ok_or_else(|| Problem::invalid("text", "is missing"))?;
    Ok(Posted { from, text, id })
}

/// Takes a field that is a string of 1 to `max` characters, or absent.
fn take_string(fields: &mut Map<String, Value>, name: &str, max: usize) -> Result<Option<String>, Problem> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(Problem::invalid(name, "is empty")),
        // Bytes first: they are at least as many, and counted already.
        Some(Value::String(text)) if text.len() > max && text.chars().count() > max => {
            Err(Problem::invalid(name, format!("is longer than {max} characters")))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::invalid(name, "is not a string")),
    }
}
