//! From what has ended to spans. Pure.
//!
//! The trace of a turn has the turn's id, so that whoever has one finds the other. Each message has a trace of its own, to whose span
//! the turn's span links: a turn has several messages, and a span one parent. All ids follow from those of the turn, the message, the
//! part, so that spans that are made apart, also by another process after a restart, belong together.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sha2::{Digest, Sha256};
use tertulia_actors::domain::{ConversationId, Step, Timestamp, TurnId};
use tertulia_actors::ports::{RunTrace, SendTrace, Trace, TurnTrace};

use super::conventions::{self, Models, Shape};

/// When a span began and ended.
type Times = (SystemTime, SystemTime);

/// What makes spans.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    pub(super) models: Models,
    pub(super) scope: InstrumentationScope,
}

impl Maker {
    /// What makes spans of calls of these models.
    pub(super) fn new(models: Models) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self { models, scope }
    }

    /// The spans of what has ended.
    pub(super) fn spans(&self, trace: &Trace) -> Vec<SpanData> {
        match trace {
            Trace::Turn(turn) => self.turn(turn),
            Trace::Run(run) => vec![self.run(run)],
            Trace::Send(send) => vec![self.send(send)],
        }
    }

    /// A turn, its messages, the steps of its journey, and its commit.
    fn turn(&self, turn: &TurnTrace) -> Vec<SpanData> {
        let began = moment(turn.began);
        let mut links = SpanLinks::default();
        let mut spans = vec![];
        for message in &turn.messages {
            let context = message_context(turn.conversation, message.seq);
            let number =
                KeyValue::new("tertulia.message.number", i64::try_from(message.seq).unwrap_or(i64::MAX));
            links.links.push(Link::new(context.clone(), vec![number], 0));
            let times = (moment(message.received_at), began);
            spans.push(self.span(conventions::message(turn, message), context, SpanId::INVALID, times));
        }
        let context = turn_context(turn.turn);
        let parent = context.span_id();
        let mut whole =
            self.span(conventions::turn(turn), context, SpanId::INVALID, (began, moment(turn.ended)));
        whole.links = links;
        spans.push(whole);
        for (n, step) in turn.journey.steps.iter().enumerate() {
            let shape = conventions::step(step, turn.conversation, &self.models);
            let context = child(turn.turn, &[b"step", &turn.attempt.to_be_bytes(), &n.to_be_bytes()]);
            spans.push(self.span(shape, context, parent, step_times(step, moment(turn.prepared))));
        }
        let context = child(turn.turn, &[b"commit"]);
        let times = (moment(turn.asked), moment(turn.ended));
        spans.push(self.span(conventions::commit(), context, parent, times));
        spans
    }

    fn run(&self, run: &RunTrace) -> SpanData {
        let context = child(run.turn, &[b"attempt", &run.attempt.to_be_bytes()]);
        let times = (moment(run.began), moment(run.ended));
        self.span(conventions::run(run), context, turn_context(run.turn).span_id(), times)
    }

    fn send(&self, send: &SendTrace) -> SpanData {
        let part = send.part.uuid();
        let context = child(send.turn, &[b"send", part.as_bytes(), &send.attempt.to_be_bytes()]);
        let times = (moment(send.began), moment(send.ended));
        self.span(conventions::send(send), context, turn_context(send.turn).span_id(), times)
    }

    fn span(&self, shape: Shape, span_context: SpanContext, parent: SpanId, (start, end): Times) -> SpanData {
        SpanData {
            span_context,
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: shape.kind,
            name: shape.name.into(),
            start_time: start,
            // The wall clock may have been set back in between.
            end_time: end.max(start),
            attributes: shape.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: shape.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// Where a turn stands among all, 0 to 1; the same for all of its spans, so that it is traced with its sends or not at all.
pub(super) fn place(turn: TurnId) -> f64 {
    let drawn = u64::from_be_bytes(short(&[b"place", turn.uuid().as_bytes()]));
    // The upper half is exact in a float.
    f64::from(u32::try_from(drawn >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
}

fn step_times(step: &Step, prepared: SystemTime) -> Times {
    let start = prepared + Duration::from_micros(step.start_us);
    (start, start + Duration::from_micros(step.duration_us))
}

fn moment(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0.max(0).unsigned_abs())
}

fn turn_context(turn: TurnId) -> SpanContext {
    child(turn, &[b"turn"])
}

/// The context of a span in the trace of a turn.
fn child(turn: TurnId, names: &[&[u8]]) -> SpanContext {
    let bytes = *turn.uuid().as_bytes();
    let mut all: Vec<&[u8]> = vec![&bytes];
    all.extend(names);
    context(TraceId::from_bytes(bytes), SpanId::from_bytes(short(&all)))
}

fn message_context(conversation: ConversationId, seq: u64) -> SpanContext {
    let digest = hash(&[b"message", conversation.uuid().as_bytes(), &seq.to_be_bytes()]);
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&digest[..16]);
    span.copy_from_slice(&digest[16..24]);
    context(TraceId::from_bytes(trace), SpanId::from_bytes(span))
}

fn context(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn short(names: &[&[u8]]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&hash(names)[..8]);
    short
}

fn hash(names: &[&[u8]]) -> [u8; 32] {
    names.iter().fold(Sha256::new(), |hash, name| hash.chain_update(name)).finalize().into()
}

#[cfg(test)]
mod tests;
