//! People who answer in the place of the bot.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tertulia_actors::domain::{ConversationId, PartId, ReplyPart, TurnId};
use tertulia_actors::feed::FeedEvent;
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::{OperatorReply, ReplyView};
use uuid::Uuid;

use super::answer::{Accepted, Json};
use super::auth::operator;
use super::body::{Body, OptionalBody, expect_no_more};
use super::console::{Deed, Operator, REASON_MAX_CHARS, Reason, Role, audited};
use super::parameters::Path;
use super::problem::Problem;
use super::state::{HttpState, no_such_conversation};
use super::trace::note_conversation;

/// The longest text of an operator, in Unicode scalar values: what one message of WhatsApp may have. Source: WhatsApp Cloud API,
/// text messages, `text.body`.
const TEXT_MAX_CHARS: usize = 4_096;

/// Why a conversation changes hands, and whose it is said to be.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct HandOver {
    /// Why: kept in the audit log. Who has signed in must say it.
    #[schemars(with = "Option<String>", length(max = REASON_MAX_CHARS))]
    reason: Reason,
    /// Who has the conversation now, as far as the caller knows; where it is somebody else by then, nothing changes.
    from: Option<String>,
}

/// A conversation that somebody has taken over.
#[derive(Serialize, JsonSchema)]
pub(super) struct TakenOver {
    /// Who answers in the place of the bot.
    taken_by: String,
    /// When the bot answers again, in milliseconds, unless they write something.
    bot_resumes_in_ms: u64,
}

/// A conversation that the bot answers again.
#[derive(Serialize, JsonSchema)]
pub(super) struct HandedBack {
    /// Nobody.
    taken_by: Option<String>,
}

/// A reply that is stored, and about to be sent.
#[derive(Serialize, JsonSchema)]
pub(super) struct StoredReply {
    /// The part of a reply that it is, as the stream of events and the messages of the conversation name it.
    part: PartId,
}

/// Lets an operator answer from now on.
pub(super) async fn take_over(
    request: HttpRequest,
    body: OptionalBody<HandOver>,
    id: Path<ConversationId>,
    state: web::Data<HttpState>,
) -> Result<Json<TakenOver>, Problem> {
    let Asked { who, id, over: HandOver { from, reason } } = asked(&request, body, &id, &state).await?;
    let (target, idle) = (format!("conversations/{id}"), idle(&state));
    let deed = Deed { action: "take_over", target: &target, reason, is_urgent: false };
    let take = || state.stored(state.store.take_over(id, who.name.clone(), from, idle));
    audited(&state, &who, deed, take).await?;
    let bot_resumes_in_ms = state.settings.handoff.idle_ms;
    Ok(Json(TakenOver { taken_by: who.name, bot_resumes_in_ms }))
}

/// Lets the bot answer from now on.
pub(super) async fn hand_back(
    request: HttpRequest,
    body: OptionalBody<HandOver>,
    id: Path<ConversationId>,
    state: web::Data<HttpState>,
) -> Result<Json<HandedBack>, Problem> {
    let Asked { who, id, over: HandOver { from, reason } } = asked(&request, body, &id, &state).await?;
    let target = format!("conversations/{id}");
    let deed = Deed { action: "hand_back", target: &target, reason, is_urgent: false };
    let hand = || state.stored(state.store.hand_back(id, who.name.clone(), from));
    audited(&state, &who, deed, hand).await?;
    Ok(Json(HandedBack { taken_by: None }))
}

/// Sends what an operator writes. The audit log says that they did, never what.
pub(super) async fn reply(
    request: HttpRequest,
    body: Body<Written>,
    id: Path<ConversationId>,
    state: web::Data<HttpState>,
) -> Result<Accepted<StoredReply>, Problem> {
    let who = operator(&request, &state, Role::Operator)?;
    let id = conversation(&id)?;
    let Written { id: part, text } = read_written(body.fields(&state.settings.server).await?)?;
    state.conversation(id).await?;
    let turn = TurnId::new(state.entropy.uuid());
    // The same id is the same message: whoever never heard that it was stored may send it again.
    let part = PartId::new(part.unwrap_or_else(|| state.entropy.uuid()));
    let parts = vec![ReplyPart { id: part, text }];
    let reply = OperatorReply { conversation: id, who: who.name.clone(), turn, parts, idle: idle(&state) };
    let target = format!("conversations/{id}");
    let deed = Deed { action: "reply", target: &target, reason: Reason::none(), is_urgent: false };
    audited(&state, &who, deed, || store_and_tell(&state, reply)).await?;
    Ok(Json(StoredReply { part }))
}

/// Stores a reply, and tells who reads the conversation, also where the one who wrote it goes away meanwhile.
async fn store_and_tell(state: &HttpState, reply: OperatorReply) -> Result<(), Problem> {
    let (id, feeds, stored) = (reply.conversation, state.feeds.clone(), state.store.reply(reply));
    let told = actix_web::rt::spawn(async move {
        let seen = stored.await?;
        seen.into_iter().for_each(|reply| feeds.publish(id, told(reply)));
        Ok(())
    });
    let ended = told.await.unwrap_or(Err(StoreError::Closed));
    ended.map_err(|error| state.problem(&error))
}

/// What readers of the conversation hear of it.
fn told(reply: ReplyView) -> FeedEvent {
    let ReplyView { id: part, position, turn, text, at, .. } = reply;
    FeedEvent::Reply { part, position, turn, text, at }
}

/// Who asks, about which conversation, from whom it is, and why.
struct Asked {
    who: Operator,
    id: ConversationId,
    over: HandOver,
}

async fn asked(
    request: &HttpRequest,
    body: OptionalBody<HandOver>,
    id: &str,
    state: &HttpState,
) -> Result<Asked, Problem> {
    let who = operator(request, state, Role::Operator)?;
    let id = conversation(id)?;
    let mut fields = body.fields(&state.settings.server).await?;
    let reason = Reason::take(&who, &mut fields)?;
    let from = match fields.remove("from") {
        None | Some(Value::Null) => None,
        Some(Value::String(from)) => Some(from),
        Some(_) => return Err(Problem::invalid("from", "expects the name of who has it now")),
    };
    expect_no_more(&fields, "reason, from")?;
    state.conversation(id).await?;
    Ok(Asked { who, id, over: HandOver { reason, from } })
}

fn conversation(id: &str) -> Result<ConversationId, Problem> {
    let id = id.parse().map_err(|_| no_such_conversation())?;
    note_conversation(id);
    Ok(id)
}

fn idle(state: &HttpState) -> Duration {
    Duration::from_millis(state.settings.handoff.idle_ms)
}

/// What an operator writes.
#[derive(PartialEq, Eq, Debug, JsonSchema)]
#[schemars(rename = "OperatorReply", deny_unknown_fields)]
pub(super) struct Written {
    /// An id of the sender's own for this reply: with the same id it is the same reply, and stored once.
    id: Option<Uuid>,
    /// What the person gets to read.
    #[schemars(length(min = 1, max = TEXT_MAX_CHARS))]
    text: String,
}

fn read_written(mut fields: Map<String, Value>) -> Result<Written, Problem> {
    let text = match fields.remove("text") {
        Some(Value::String(text)) if !text.trim().is_empty() && text.chars().count() <= TEXT_MAX_CHARS => {
            text
        }
        _ => {
            let expected = format!("expects a text of 1 to {TEXT_MAX_CHARS} characters");
            return Err(Problem::invalid("text", expected));
        }
    };
    let id = match fields.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.parse().map_err(|_| Problem::invalid("id", "expects a UUID"))?),
        Some(_) => return Err(Problem::invalid("id", "expects a UUID")),
    };
    expect_no_more(&fields, "text, id")?;
    Ok(Written { id, text })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_taken_that_a_channel_can_send_at_once() {
        let read = |body: Value| read_written(body.as_object().cloned().unwrap());
        assert_eq!(read(json!({"text": " hello "})), Ok(Written { id: None, text: " hello ".into() }));
        let id = Uuid::from_u128(7);
        assert_eq!(read(json!({"text": "x", "id": id})), Ok(Written { id: Some(id), text: "x".into() }));
        assert!(read(json!({"text": "ا".repeat(4_096)})).is_ok());
        for wrong in [
            json!({}),
            json!({"text": ""}),
            json!({"text": " \n"}),
            json!({"text": 5}),
            json!({"text": "x".repeat(4_097)}),
            json!({"text": "x", "to": "y"}),
            json!({"text": "x", "id": "y"}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
