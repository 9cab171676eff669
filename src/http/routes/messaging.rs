//! Messages, conversations, and what became of them.

use super::Access::{Open, Reader, Signature, Supervisor, Writer};
use super::{Operation, RESUMED, get, post};
use crate::http::console::Role::{Admin, Operator, Viewer};
use crate::http::openapi::{Failure, STORED};
use crate::http::{
    classifier, conversations, events, handoff, journeys, leftovers, messages, review, webhooks,
};

/// Nothing was changed since what is stored does not allow it.
const REFUSED: &[Failure] = &[(409, "refused")];

/// How messages come in.
pub(super) fn ways_in() -> Vec<Operation> {
    vec![
        post(
            "/v1/messages",
            ("postMessage", "Stores one message, which is answered in its conversation"),
            Writer,
            messages::receive,
        )
        .about(
            "It is durable when this is answered. A message that the same sender sends again with the same `id` is stored once. The \
             reply comes by the conversation's stream of events, and can be read with its messages.",
        )
        .fails(STORED)
        .fails(&[(409, "id_in_use"), (429, "rate_limited"), (500, "internal")]),
        get(
            "/webhooks/whatsapp",
            ("verifyWhatsappWebhook", "Answers Meta's question whether it may post webhooks"),
            Open,
            webhooks::handshake,
        )
        .fails(&[(403, "wrong_verify_token"), (404, "channel_disabled")]),
        post(
            "/webhooks/whatsapp",
            ("postWhatsappWebhook", "Takes a webhook of WhatsApp"),
            Signature,
            webhooks::receive,
        )
        .about("Everything in it is durable when this is answered. Anything but 200 lets Meta send it again.")
        .fails(STORED)
        .fails(&[(401, "wrong_signature"), (404, "channel_disabled"), (409, "refused")]),
    ]
}

/// Conversations.
pub(super) fn of_conversations() -> Vec<Operation> {
    vec![
        get(
            "/v1/conversations",
            ("findConversations", "Conversations that need a person, or that are called as told"),
            Supervisor(Viewer),
            review::conversations,
        )
        .fails(STORED),
        get(
            "/v1/conversations/{id}",
            ("getConversation", "A conversation, without its words"),
            Reader(Viewer),
            conversations::show,
        )
        .fails(STORED),
        get(
            "/v1/conversations/{id}/messages",
            ("listMessages", "The last lines of a conversation, the oldest first"),
            Reader(Operator),
            conversations::messages,
        )
        .fails(STORED),
        get(
            "/v1/conversations/{id}/turns",
            ("listTurns", "The last turns of a conversation with their steps, the newest first"),
            Supervisor(Viewer),
            conversations::turns,
        )
        .fails(STORED),
        post(
            "/v1/conversations/{id}/turns/{turn}/class",
            ("correctClass", "Makes the text of a turn an example of what it really was"),
            Supervisor(Operator),
            classifier::correct,
        )
        .about("The classifier learns from it by itself. The turn stays as it was answered.")
        .fails(STORED)
        .fails(&[(409, "refused"), (422, "invalid_class")]),
        get(
            "/v1/conversations/{id}/events",
            ("streamConversation", "Streams the replies after a position, then everything that happens"),
            Reader(Operator),
            events::stream,
        )
        .headers(RESUMED)
        .fails(STORED),
    ]
}

/// Operators who answer in the place of the bot.
pub(super) fn of_handoff() -> Vec<Operation> {
    vec![
        post(
            "/v1/conversations/{id}/take-over",
            ("takeOver", "Lets an operator answer in the place of the bot"),
            Supervisor(Operator),
            handoff::take_over,
        )
        .about("The bot answers again when they have written nothing for `handoff.idle_ms`.")
        .fails(STORED)
        .fails(REFUSED),
        post(
            "/v1/conversations/{id}/hand-back",
            ("handBack", "Lets the bot answer again"),
            Supervisor(Operator),
            handoff::hand_back,
        )
        .fails(STORED)
        .fails(REFUSED),
        post(
            "/v1/conversations/{id}/reply",
            ("replyAsOperator", "Sends what an operator writes, who has taken the conversation over"),
            Supervisor(Operator),
            handoff::reply,
        )
        .fails(STORED)
        .fails(REFUSED),
    ]
}

/// How turns came to their answers.
pub(super) fn of_journeys() -> Vec<Operation> {
    vec![
        get(
            "/v1/journeys",
            ("listJourneys", "Turns and how they came to their answers, the newest first"),
            Supervisor(Viewer),
            journeys::list,
        )
        .about("Looking for a text takes the role operator. Why a turn ended as it did is told to operators.")
        .fails(STORED)
        .fails(&[(403, "forbidden")]),
        get(
            "/v1/journeys/{position}",
            ("getJourney", "One turn, from its first message to the last delivery status"),
            Supervisor(Viewer),
            journeys::show,
        )
        .about("What errors say is told to operators.")
        .fails(STORED),
    ]
}

/// Messages that failed alone, and what turns recorded.
pub(super) fn of_letters() -> Vec<Operation> {
    vec![
        get(
            "/v1/dead-letters",
            ("listDeadLetters", "Messages that failed alone, the oldest first"),
            Supervisor(Operator),
            leftovers::dead_letters,
        )
        .fails(STORED),
        post(
            "/v1/dead-letters/replay",
            ("replayDeadLetters", "Makes dead letters pending again, so that they are answered"),
            Supervisor(Operator),
            leftovers::replay,
        )
        .fails(STORED)
        .fails(REFUSED),
        post(
            "/v1/dead-letters/discard",
            ("discardDeadLetters", "Lets dead letters end without an answer"),
            Supervisor(Admin),
            leftovers::discard_letters,
        )
        .fails(STORED)
        .fails(REFUSED),
        get(
            "/v1/records",
            ("listRecords", "Complaints, suggestions and answers to templates, the oldest first"),
            Supervisor(Operator),
            review::records,
        )
        .fails(STORED),
    ]
}

/// Parts of replies that may have arrived, and bodies that were not understood.
pub(super) fn of_parts_and_bodies() -> Vec<Operation> {
    vec![
        get(
            "/v1/ambiguous",
            ("listAmbiguousParts", "Parts of replies of which nobody knows whether they arrived"),
            Supervisor(Operator),
            leftovers::ambiguous,
        )
        .fails(STORED),
        post(
            "/v1/ambiguous/resend",
            ("resendAmbiguousParts", "Sends ambiguous parts again; whoever got one already gets it twice"),
            Supervisor(Operator),
            leftovers::resend,
        )
        .fails(STORED)
        .fails(REFUSED),
        post(
            "/v1/ambiguous/discard",
            ("discardAmbiguousParts", "Gives ambiguous parts up as failed"),
            Supervisor(Admin),
            leftovers::discard_ambiguous,
        )
        .fails(STORED)
        .fails(REFUSED),
        get(
            "/v1/quarantine",
            ("listQuarantine", "Bodies that were signed and not understood, the newest first"),
            Supervisor(Operator),
            leftovers::quarantine,
        )
        .fails(STORED),
        post(
            "/v1/quarantine/replay",
            (
                "replayQuarantine",
                "Reads quarantined bodies once more, as a newer program may understand them",
            ),
            Supervisor(Operator),
            leftovers::replay_quarantined,
        )
        .fails(STORED)
        .fails(&[(409, "refused"), (409, "channel_disabled")]),
        post(
            "/v1/quarantine/discard",
            ("discardQuarantine", "Removes quarantined bodies"),
            Supervisor(Admin),
            leftovers::discard_quarantined,
        )
        .fails(STORED)
        .fails(REFUSED),
    ]
}
