use std::collections::BTreeMap;

use opentelemetry::trace::SpanKind;
use serde_json::{Value, json};
use tertulia_actors::domain::{
    Account, Channel, Class, Disposition, Journey, Language, PartId, PartState, steps,
};
use tertulia_actors::ports::MessageTrace;
use uuid::Uuid;

use super::super::conventions::ModelName;
use super::*;

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n)
}

fn step(name: &str, outcome: &str, start_us: u64, detail: Value) -> Step {
    Step { name: name.into(), start_us, duration_us: 2_000, outcome: outcome.into(), detail }
}

fn turn() -> TurnTrace {
    let message = |seq, at| MessageTrace { seq, kind: "text".into(), received_at: Timestamp(at) };
    let hits = json!([{ "id": "hours", "language": "en", "score": 0.5 }]);
    TurnTrace {
        conversation: ConversationId::new(uuid(1)),
        account: Account::new(Channel::Whatsapp, "1000"),
        turn: TurnId::new(uuid(2)),
        attempt: 1,
        messages: vec![message(4, 1_000), message(5, 1_500)],
        began: Timestamp(5_480),
        prepared: Timestamp(5_500),
        asked: Timestamp(6_000),
        ended: Timestamp(6_004),
        disposition: Disposition::Answered,
        class: Some(Class::Inquiry),
        language: Some(Language::ENGLISH),
        needs_human: false,
        journey: Journey {
            steps: vec![
                step(steps::EMBEDDING, steps::DEGRADED, 0, json!("it said: my number is 555")),
                step(steps::CLASSIFY, "ok", 2_000, json!({ "class": "inquiry", "confidence": 0.75 })),
                step(steps::KNOWLEDGE, "ok", 4_000, hits),
                step(steps::CLASS_BY_MODEL, "ok", 5_000, json!({ "class": "inquiry", "kept": true })),
                step(steps::QUERY, "ok", 6_000, json!({ "prompt_tokens": 12, "completion_tokens": 3 })),
            ],
            degraded: true,
        },
    }
}

fn maker() -> Maker {
    let chat = ModelName { model: "echo".into(), server: Some("models.example".into()) };
    let embeddings = ModelName { model: "minilm".into(), server: None };
    Maker::new(Models { chat: Some(chat), embeddings: Some(embeddings) })
}

fn attributes(span: &SpanData) -> BTreeMap<String, String> {
    span.attributes.iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect()
}

fn millis(at: SystemTime) -> u128 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> Vec<&'a SpanData> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[test]
fn the_span_of_a_turn_links_to_the_spans_of_its_messages_which_have_traces_of_their_own() {
    let spans = maker().spans(&Trace::Turn(Box::new(turn())));
    let messages = named(&spans, "receive whatsapp");
    let [whole] = named(&spans, "process whatsapp")[..] else { panic!("one turn") };
    let linked: Vec<_> = whole.links.iter().map(|link| link.span_context.clone()).collect();
    let contexts: Vec<_> = messages.iter().map(|span| span.span_context.clone()).collect();
    assert_eq!(linked, contexts);
    assert_eq!(contexts.len(), 2);
    assert_ne!(contexts[0].trace_id(), contexts[1].trace_id());
    assert!(contexts.iter().all(|context| context.trace_id() != whole.span_context.trace_id()));
    assert_eq!(whole.span_context.trace_id().to_bytes(), *uuid(2).as_bytes(), "the trace has the turn's id");
    assert_eq!((millis(messages[0].start_time), millis(messages[0].end_time)), (1_000, 5_480));
    assert_eq!((millis(whole.start_time), millis(whole.end_time)), (5_480, 6_004));
    assert_eq!(whole.parent_span_id, SpanId::INVALID);
}

/// What is expected of a step's span: its name, kind, beginning in milliseconds, and attributes.
type Expected<'a> = (&'a str, SpanKind, u128, &'a [(&'a str, &'a str)]);

#[test]
fn steps_lie_below_their_turn_under_the_names_that_others_know() {
    let spans = maker().spans(&Trace::Turn(Box::new(turn())));
    let [whole] = named(&spans, "process whatsapp")[..] else { panic!("one turn") };
    let cases: [Expected<'_>; 4] = [
        (
            "embeddings minilm",
            SpanKind::Internal,
            5_500,
            &[
                ("gen_ai.operation.name", "embeddings"),
                ("gen_ai.provider.name", "tertulia"),
                ("error.type", "degraded"),
            ],
        ),
        (
            "classify",
            SpanKind::Internal,
            5_502,
            &[("tertulia.step.class", "inquiry"), ("tertulia.step.confidence", "0.75")],
        ),
        (
            "retrieval knowledge",
            SpanKind::Internal,
            5_504,
            &[("gen_ai.retrieval.documents", r#"[{"id":"hours","score":0.5}]"#)],
        ),
        (
            "chat echo",
            SpanKind::Client,
            5_506,
            &[
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.provider.name", "openai"),
                ("gen_ai.request.model", "echo"),
                ("gen_ai.usage.input_tokens", "12"),
                ("gen_ai.usage.output_tokens", "3"),
                ("server.address", "models.example"),
            ],
        ),
    ];
    for (name, kind, start, expected) in cases {
        let [span] = named(&spans, name)[..] else { panic!("one {name}") };
        assert_eq!((span.span_kind.clone(), millis(span.start_time)), (kind, start), "{name}");
        assert_eq!(span.parent_span_id, whole.span_context.span_id(), "{name}");
        assert_eq!(span.span_context.trace_id(), whole.span_context.trace_id(), "{name}");
        let found = attributes(span);
        for (key, value) in expected {
            assert_eq!(found.get(*key).map(String::as_str), Some(*value), "{name}: {key}");
        }
    }
    assert_eq!(named(&spans, "chat echo").len(), 1, "a class that is kept asks for nothing");
    assert_eq!(named(&spans, steps::CLASS_BY_MODEL)[0].span_kind, SpanKind::Internal);
    assert!(!format!("{spans:?}").contains("555"), "what an error quotes is told to nobody");
}

#[test]
fn every_span_has_an_id_of_its_own_and_the_same_one_when_it_is_made_again() {
    let (conversation, account) = (ConversationId::new(uuid(1)), Account::new(Channel::Whatsapp, "1000"));
    let send = |part, attempt| {
        Trace::Send(SendTrace {
            conversation,
            account: account.clone(),
            turn: TurnId::new(uuid(2)),
            part: PartId::new(uuid(part)),
            attempt,
            began: Timestamp(6_004),
            ended: Timestamp(6_100),
            outcome: PartState::Sent,
        })
    };
    let run = |attempt| {
        Trace::Run(RunTrace {
            conversation,
            account: account.clone(),
            turn: TurnId::new(uuid(2)),
            attempt,
            began: Timestamp(1),
            ended: Timestamp(2),
            outcome: "failed",
        })
    };
    let all = [Trace::Turn(Box::new(turn())), send(3, 1), send(3, 2), send(4, 1), run(1), run(2)];
    let made = || all.iter().flat_map(|trace| maker().spans(trace)).collect::<Vec<_>>();
    let ids: std::collections::BTreeSet<_> =
        made().iter().map(|span| span.span_context.span_id().to_bytes()).collect();
    assert_eq!(ids.len(), made().len());
    assert_eq!(made(), made());
    let parent = named(&made(), "process whatsapp")[0].span_context.span_id();
    assert!(
        made()
            .iter()
            .filter(|span| span.parent_span_id != SpanId::INVALID)
            .all(|span| span.parent_span_id == parent)
    );
}

#[test]
fn a_span_says_whether_it_ended_well() {
    for (outcome, error) in [
        (PartState::Sent, None),
        (PartState::Pending, Some("pending")),
        (PartState::Failed, Some("failed")),
        (PartState::Ambiguous, Some("ambiguous")),
    ] {
        let send = SendTrace {
            conversation: ConversationId::new(uuid(1)),
            account: Account::new(Channel::Whatsapp, "1000"),
            turn: TurnId::new(uuid(2)),
            part: PartId::new(uuid(3)),
            attempt: 1,
            began: Timestamp(2),
            // The clock was set back.
            ended: Timestamp(1),
            outcome,
        };
        let spans = maker().spans(&Trace::Send(send));
        assert_eq!(attributes(&spans[0]).get("error.type").map(String::as_str), error);
        assert_eq!(spans[0].status, error.map_or(Status::Unset, Status::error));
        assert!(spans[0].end_time >= spans[0].start_time);
    }
}

#[test]
fn the_places_of_turns_are_spread_evenly() {
    let below = (0..10_000).filter(|n| place(TurnId::new(uuid(*n))) < 0.25).count();
    assert!((2_300..2_700).contains(&below), "{below}");
}
