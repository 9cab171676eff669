//! What the batch buffer costs: a message that is held, and the verdict after it.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tertulia_actors::conversation::buffer::{BatchLimits, Buffer};
use tertulia_actors::domain::{PendingMessage, Receipt, Tick, Timestamp};

const LIMITS: BatchLimits =
    BatchLimits { quiet: Duration::from_secs(3), max_wait: Duration::from_secs(15), max_messages: 20 };

fn message(seq: u64) -> PendingMessage {
    let at = i64::try_from(seq).unwrap_or(i64::MAX);
    PendingMessage {
        seq,
        kind: "text".into(),
        text: Some("Do you deliver on Friday?".into()),
        provider_at: None,
        receipt: Receipt { at: Timestamp(at), tick: Tick(at), seq: at },
        alone: false,
    }
}

/// A buffer that holds `held` messages.
fn holding(held: u64) -> Buffer {
    let mut buffer = Buffer::knowing(0, None);
    for seq in 1..=held {
        buffer.offer(message(seq), &LIMITS);
    }
    buffer
}

fn buffer(criterion: &mut Criterion) {
    for held in [0, 4, 18] {
        criterion.bench_function(&format!("offer and verdict with {held} held"), |bencher| {
            bencher.iter_batched(
                || (holding(held), message(held + 1)),
                |(mut buffer, message)| {
                    buffer.offer(message, &LIMITS);
                    black_box(buffer.verdict(Tick(100), &LIMITS));
                    buffer
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, buffer);
criterion_main!(benches);
