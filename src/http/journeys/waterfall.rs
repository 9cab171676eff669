//! A journey's steps on one timeline, from the first message to the last delivery status. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tertulia_actors::domain::{PartState, Timestamp};
use tertulia_actors::ports::store::{JourneyPart, JourneyView};

/// One step. Times are in milliseconds since the first message of the turn came.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TimelineStep")]
pub(super) struct StepView {
    /// What was done.
    name: String,
    /// When it began.
    start_ms: f64,
    /// How long it took; none where it is not over, or that is not known.
    duration_ms: Option<f64>,
    /// How it ended.
    outcome: String,
    /// What is worth knowing.
    #[serde(skip_serializing_if = "Value::is_null")]
    detail: Value,
}

/// The steps in the order in which they began.
pub(super) fn steps(view: &JourneyView) -> Vec<StepView> {
    let row = &view.row;
    let zero = row.received_at.unwrap_or(row.started_at);
    let mut steps = messages(view, zero);
    let came_last = view.messages.iter().map(|message| message.received_at).max().unwrap_or(zero);
    steps.push(StepView {
        name: "batch wait".into(),
        start_ms: since(zero, zero),
        duration_ms: Some(since(zero, row.started_at)),
        outcome: "closed".into(),
        detail: json!({
            "messages": view.messages.len(), "quiet_ms_after_the_last": since(came_last, row.started_at),
        }),
    });
    steps.extend(pipeline(view, zero));
    steps.extend(reply(view, zero));
    steps.sort_by(|one, other| one.start_ms.total_cmp(&other.start_ms));
    steps
}

/// Milliseconds between two moments; none where the wall clock was set back in between.
fn since(earlier: Timestamp, later: Timestamp) -> f64 {
    later.0.saturating_sub(earlier.0).max(0) as f64
}

/// Each message's webhook.
fn messages(view: &JourneyView, zero: Timestamp) -> Vec<StepView> {
    let steps = view.messages.iter().map(|message| StepView {
        name: "webhook".into(),
        start_ms: since(zero, message.received_at),
        duration_ms: Some(0.0),
        outcome: message.state.clone(),
        detail: json!({
            "message": message.seq, "kind": message.kind, "written_at": message.provider_at,
            "received_at": message.received_at,
        }),
    });
    steps.collect()
}

/// The steps of the last attempt, which ended when its commit was asked for; before it, the attempts that failed.
fn pipeline(view: &JourneyView, zero: Timestamp) -> Vec<StepView> {
    let row = &view.row;
    let ms = |us: u64| us as f64 / 1_000.0;
    let took = view.journey.steps.iter().map(|step| ms(step.start_us + step.duration_us)).fold(0.0, f64::max);
    let begun =
        row.ended_at.map_or(since(zero, row.started_at), |ended| (since(zero, ended) - took).max(0.0));
    let mut steps = vec![];
    if row.attempt > 1 {
        let start_ms = since(zero, row.started_at);
        steps.push(StepView {
            name: "earlier attempts".into(),
            start_ms,
            duration_ms: Some((begun - start_ms).max(0.0)),
            outcome: if row.failures > 0 { "failed".into() } else { "given back".into() },
            detail: json!({
                "attempts": row.attempt - 1, "failures": row.failures, "interruptions": row.interruptions,
            }),
        });
    }
    steps.extend(view.journey.steps.iter().map(|step| StepView {
        name: step.name.clone(),
        start_ms: begun + ms(step.start_us),
        duration_ms: Some(ms(step.duration_us)),
        outcome: step.outcome.clone(),
        detail: step.detail.clone(),
    }));
    steps
}

/// The commit, and each part of the reply from there on.
fn reply(view: &JourneyView, zero: Timestamp) -> Vec<StepView> {
    let Some(ended) = view.row.ended_at else { return vec![] };
    // The first part is sent as soon as the commit is on disk. Where it was sent again, nobody knows when that was.
    let first = view.reply.first();
    let on_disk = first.filter(|part| part.attempt == 1).and_then(|part| part.sending_at);
    let outcome = view.row.outcome.clone().unwrap_or_else(|| view.row.state.clone());
    let mut steps = vec![StepView {
        name: "commit".into(),
        start_ms: since(zero, ended),
        duration_ms: on_disk.map(|on_disk| since(ended, on_disk)),
        outcome,
        detail: json!({ "parts": view.reply.len() }),
    }];
    for (index, part) in view.reply.iter().enumerate() {
        if part.attempt > 1 {
            steps.push(earlier_sends(index, part, ended, zero));
        }
        steps.extend(send(index, part, zero));
    }
    steps
}

/// The sends of a part that were not accepted, and the waits between them.
fn earlier_sends(index: usize, part: &JourneyPart, ended: Timestamp, zero: Timestamp) -> StepView {
    StepView {
        name: "earlier sends".into(),
        start_ms: since(zero, ended),
        duration_ms: part.sending_at.map(|sending| since(ended, sending)),
        outcome: "not accepted".into(),
        detail: json!({ "part": index + 1, "sends": part.attempt - 1 }),
    }
}

/// One part: its send, and what its channel told of it later.
fn send(index: usize, part: &JourneyPart, zero: Timestamp) -> Vec<StepView> {
    let began = part.sending_at.or(part.sent_at).unwrap_or(part.created_at);
    let detail = json!({ "part": index + 1, "attempts": part.attempt, "error": part.error });
    let outcome = if part.sent_at.is_some() { PartState::Sent } else { part.state };
    let mut steps = vec![StepView {
        name: "send".into(),
        start_ms: since(zero, began),
        duration_ms: part.sent_at.map(|sent| since(began, sent)),
        outcome: outcome.as_str().into(),
        detail,
    }];
    let sent = part.sent_at.unwrap_or(began);
    for (name, told) in [("delivered", part.delivered_at), ("read", part.read_at)] {
        steps.extend(told.map(|told| StepView {
            name: name.into(),
            start_ms: since(zero, sent),
            duration_ms: Some(since(sent, told)),
            outcome: "told".into(),
            detail: json!({ "part": index + 1, "at": told }),
        }));
    }
    // Accepted, and reported as failed later: nobody tells when.
    if part.state == PartState::Failed && part.sent_at.is_some() {
        steps.push(StepView {
            name: "failed".into(),
            start_ms: since(zero, sent),
            duration_ms: None,
            outcome: "failed".into(),
            detail: json!({ "part": index + 1, "error": part.error }),
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use tertulia_actors::domain::{Channel, ConversationId, Journey, PartId, Step, TurnId};
    use tertulia_actors::ports::store::{JourneyMessage, JourneyRow};
    use uuid::Uuid;

    use super::*;

    fn view() -> JourneyView {
        let at = |ms: i64| Timestamp(1_000_000 + ms);
        let message = |seq, ms| JourneyMessage {
            seq,
            kind: "text".into(),
            provider_at: Some(at(ms - 500)),
            received_at: at(ms),
            state: "answered".into(),
        };
        let step = |name: &str, start_us, duration_us| Step {
            name: name.into(),
            start_us,
            duration_us,
            outcome: "ok".into(),
            detail: json!({ "of": name }),
        };
        let part = |state, sending: Option<i64>, sent: Option<i64>, read: Option<i64>| JourneyPart {
            id: PartId::new(Uuid::nil()),
            state,
            attempt: 1,
            created_at: at(4_500),
            sending_at: sending.map(at),
            sent_at: sent.map(at),
            delivered_at: sent.map(|sent| at(sent + 100)),
            read_at: read.map(at),
            error: None,
        };
        JourneyView {
            row: JourneyRow {
                position: 7,
                turn: TurnId::new(Uuid::nil()),
                conversation: ConversationId::new(Uuid::nil()),
                channel: Channel::Whatsapp,
                state: "committed".into(),
                outcome: Some("answered".into()),
                class: None,
                language: None,
                attempt: 1,
                failures: 0,
                interruptions: 0,
                received_at: Some(at(0)),
                started_at: at(4_000),
                ended_at: Some(at(4_500)),
                degraded: false,
                needs_human: false,
                parts: vec![],
            },
            messages: vec![message(1, 0), message(2, 1_000)],
            journey: Journey {
                steps: vec![step("knowledge", 1_000, 20_000), step("query", 50_000, 450_000)],
                degraded: false,
            },
            reply: vec![
                part(PartState::Read, Some(4_510), Some(4_700), Some(9_000)),
                part(PartState::Ambiguous, None, None, None),
            ],
        }
    }

    fn outline(view: &JourneyView) -> Vec<(String, f64, Option<f64>, String)> {
        steps(view)
            .into_iter()
            .map(|step| (step.name, step.start_ms, step.duration_ms, step.outcome))
            .collect()
    }

    #[test]
    fn everything_from_the_webhook_to_the_delivery_status_lies_on_one_timeline() {
        let expected: Vec<(String, f64, Option<f64>, String)> = [
            ("webhook", 0.0, Some(0.0), "answered"),
            ("batch wait", 0.0, Some(4_000.0), "closed"),
            ("webhook", 1_000.0, Some(0.0), "answered"),
            ("knowledge", 4_001.0, Some(20.0), "ok"),
            ("query", 4_050.0, Some(450.0), "ok"),
            ("commit", 4_500.0, Some(10.0), "answered"),
            ("send", 4_500.0, None, "ambiguous"),
            ("send", 4_510.0, Some(190.0), "sent"),
            ("delivered", 4_700.0, Some(100.0), "told"),
            ("read", 4_700.0, Some(4_300.0), "told"),
        ]
        .map(|(name, start, took, outcome)| (name.to_owned(), start, took, outcome.to_owned()))
        .into();
        assert_eq!(outline(&view()), expected);
    }

    #[test]
    fn attempts_that_failed_lie_before_the_one_that_ended() {
        let mut view = view();
        (view.row.attempt, view.row.failures, view.row.ended_at) = (3, 2, Some(Timestamp(1_010_500)));
        let found = outline(&view);
        let earlier = found.iter().find(|(name, ..)| name == "earlier attempts").unwrap();
        assert_eq!((earlier.1, earlier.2, earlier.3.as_str()), (4_000.0, Some(6_000.0), "failed"));
        let query = found.iter().find(|(name, ..)| name == "query").unwrap();
        assert_eq!((query.1, query.2), (10_050.0, Some(450.0)));
    }

    #[test]
    fn a_part_that_was_sent_again_or_reported_as_failed_shows_it() {
        let mut view = view();
        (view.reply[0].attempt, view.reply[0].state) = (3, PartState::Failed);
        let found = outline(&view);
        let step = |name: &str| found.iter().find(|(found, ..)| found == name).cloned();
        assert_eq!(step("commit").map(|step| step.2), Some(None), "nobody knows how long it took");
        let earlier = step("earlier sends").unwrap();
        assert_eq!((earlier.1, earlier.2), (4_500.0, Some(10.0)));
        assert_eq!(step("failed").map(|step| step.3).as_deref(), Some("failed"));
    }

    #[test]
    fn a_turn_that_runs_has_no_commit_and_a_clock_set_back_gives_no_negative_times() {
        let mut view = view();
        (view.row.ended_at, view.reply) = (None, vec![]);
        assert!(outline(&view).iter().all(|(name, ..)| name != "commit"));
        view.row.started_at = Timestamp(0);
        assert!(outline(&view).iter().all(|(_, start, took, _)| *start >= 0.0 && took.unwrap_or(0.0) >= 0.0));
    }
}
