//! Tables for the buffer, and a property test against a simple model.

use proptest::prelude::*;

use super::*;
use crate::domain::{Receipt, Timestamp};

const LIMITS: BatchLimits =
    BatchLimits { quiet: Duration::from_millis(100), max_wait: Duration::from_millis(250), max_messages: 4 };

fn message(seq: u64, tick: i64) -> PendingMessage {
    PendingMessage {
        seq,
        kind: "text".into(),
        text: Some(format!("m{seq}")),
        provider_at: None,
        receipt: Receipt { at: Timestamp(tick), tick: Tick(tick), seq: i64::try_from(seq).unwrap() },
        alone: false,
    }
}

fn buffer(ticks: &[i64], previous_end: Option<i64>) -> Buffer {
    let mut buffer = Buffer::knowing(0, previous_end.map(Tick));
    for (tick, seq) in ticks.iter().zip(1..) {
        buffer.offer(message(seq, *tick), &LIMITS);
    }
    buffer
}

#[test]
fn when_a_batch_closes() {
    let close = |count, at: Option<i64>| Verdict::Close(Batch { count, closed_at: at.map(Tick) });
    for (name, ticks, previous_end, now, expected) in [
        ("nothing held", &[][..], None, 50, Verdict::Empty),
        ("one message waits for quiet", &[10], None, 109, Verdict::Wait(Tick(110))),
        ("one message closes after quiet", &[10], None, 110, close(1, Some(110))),
        ("each message moves the deadline", &[10, 90], None, 110, Verdict::Wait(Tick(190))),
        ("max wait counts from the first", &[0, 90, 180], None, 249, Verdict::Wait(Tick(250))),
        ("max wait closes", &[0, 90, 180], None, 250, close(3, Some(250))),
        ("a full batch closes at once", &[0, 1, 2, 3], None, 4, close(4, None)),
        ("a gap longer than quiet splits, however late we look", &[0, 150], None, 900, close(1, Some(100))),
        ("exactly quiet apart is apart", &[0, 100], None, 100, close(1, Some(100))),
        ("what came during a turn is one batch", &[0, 150], Some(300), 301, close(2, Some(300))),
        ("quiet still runs after a turn", &[290], Some(300), 301, Verdict::Wait(Tick(390))),
        ("max wait counts from the turn's end", &[200, 290, 380], Some(300), 400, Verdict::Wait(Tick(480))),
        ("a clock behind the receipts only waits", &[500], None, 0, Verdict::Wait(Tick(600))),
    ] {
        assert_eq!(buffer(ticks, previous_end).verdict(Tick(now), &LIMITS), expected, "{name}");
    }
}

#[test]
fn a_slow_server_does_not_split_a_burst() {
    let buffer = buffer(&[0, 80, 160], None);
    assert_eq!(
        buffer.verdict(Tick(60_000), &LIMITS),
        Verdict::Close(Batch { count: 3, closed_at: Some(Tick(250)) })
    );
}

#[test]
fn a_message_marked_alone_is_a_batch_of_its_own() {
    let mut buffer = Buffer::knowing(0, None);
    for (seq, alone) in [(1, false), (2, true), (3, true)] {
        buffer.offer(PendingMessage { alone, ..message(seq, 0) }, &LIMITS);
    }
    for (expected, closed_at) in [(1, Some(Tick(100))), (2, None), (3, None)] {
        let Verdict::Close(batch) = buffer.verdict(Tick(0), &LIMITS) else { panic!("not closed") };
        let taken = buffer.peek(&batch);
        assert_eq!(taken.iter().map(|message| message.seq).collect::<Vec<_>>(), [expected]);
        assert_eq!(batch.closed_at, closed_at);
        buffer.remove(&taken);
    }
}

#[test]
fn messages_are_answered_in_the_order_they_were_written() {
    let mut buffer = Buffer::knowing(0, None);
    for (seq, written) in [(1, 2_000), (2, 1_000), (3, 2_000)] {
        let message = PendingMessage { provider_at: Some(Timestamp(written)), ..message(seq, 0) };
        buffer.offer(message, &LIMITS);
    }
    let order: Vec<_> =
        buffer.peek(&Batch { count: 3, closed_at: None }).iter().map(|message| message.seq).collect();
    assert_eq!(order, [2, 1, 3]);
}

#[test]
fn messages_without_a_providers_time_keep_their_order_when_the_wall_clock_is_set_back() {
    let mut buffer = Buffer::knowing(0, None);
    for (seq, wall) in [(1, 2_000), (2, 1_000), (3, 3_000)] {
        let mut message = message(seq, 0);
        message.receipt.at = Timestamp(wall);
        buffer.offer(message, &LIMITS);
    }
    let order: Vec<_> =
        buffer.peek(&Batch { count: 3, closed_at: None }).iter().map(|message| message.seq).collect();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn a_missing_number_is_a_gap_and_a_known_one_is_ignored() {
    let mut buffer = Buffer::knowing(5, None);
    assert_eq!(buffer.offer(message(7, 0), &LIMITS), Offer::Gap);
    assert!(buffer.is_behind(&LIMITS));
    assert_eq!(buffer.offer(message(6, 0), &LIMITS), Offer::Held);
    assert_eq!(buffer.offer(message(6, 0), &LIMITS), Offer::Known);
    assert!(buffer.is_behind(&LIMITS), "7 was told and is not held");
    buffer.replace(vec![message(6, 0), message(7, 0)], 7, false, None);
    assert!(!buffer.is_behind(&LIMITS));
}

#[test]
fn what_is_told_during_a_load_is_not_forgotten() {
    let mut buffer = Buffer::knowing(5, None);
    assert_eq!(buffer.offer(message(9, 0), &LIMITS), Offer::Gap);
    buffer.replace(vec![message(8, 0)], 8, false, None);
    assert!(buffer.is_behind(&LIMITS), "9 was told while 8 was the last one stored");
}

#[test]
fn a_full_buffer_leaves_the_rest_in_the_store() {
    let mut buffer = buffer(&[0, 1, 2, 3], None);
    assert_eq!(buffer.offer(message(5, 4), &LIMITS), Offer::LeftInStore);
    assert_eq!(buffer.len(), 4);
    assert!(!buffer.is_behind(&LIMITS), "there is no room yet");
    let taken = buffer.peek(&Batch { count: 4, closed_at: None });
    buffer.remove(&taken);
    assert!(buffer.is_behind(&LIMITS));
    assert_eq!(buffer.offer(message(6, 5), &LIMITS), Offer::LeftInStore, "5 comes first");
}

#[test]
fn receipts_out_of_order_are_put_in_order() {
    let mut buffer = Buffer::knowing(0, None);
    let receipt = |seq| Receipt { at: Timestamp(0), tick: Tick(0), seq };
    buffer.offer(PendingMessage { receipt: receipt(20), ..message(1, 0) }, &LIMITS);
    buffer.offer(PendingMessage { receipt: receipt(10), ..message(2, 0) }, &LIMITS);
    let order: Vec<_> =
        buffer.peek(&Batch { count: 2, closed_at: None }).iter().map(|message| message.seq).collect();
    assert_eq!(order, [2, 1]);
}

/// The specification in its simplest form: walk the receipts of one conversation and cut where the rules say so,
/// knowing everything from the start. Turns take no time.
fn model(ticks: &[i64]) -> Vec<usize> {
    let (mut sizes, mut at) = (Vec::new(), 0);
    let mut previous_end = i64::MIN;
    while at < ticks.len() {
        let opened = ticks[at].max(previous_end);
        let mut close = (ticks[at] + 100).min(opened + 250).max(previous_end);
        let mut size = 1;
        while at + size < ticks.len() && size < 4 && ticks[at + size] < close {
            close = (ticks[at + size] + 100).min(opened + 250).max(previous_end);
            size += 1;
        }
        previous_end = if size == 4 { ticks[at + 3].max(previous_end) } else { close };
        sizes.push(size);
        at += size;
    }
    sizes
}

proptest! {
    /// However tells are delayed behind their receipts, doubled, or lost and reloaded, the batches are those of the model.
    #[test]
    fn batches_depend_on_receipts_alone(
        gaps in prop::collection::vec(0_i64..260, 1..40),
        faults in prop::collection::vec(0_u8..5, 40),
    ) {
        let ticks: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let stored: Vec<_> = ticks.iter().zip(1..).map(|(tick, seq)| message(seq, *tick)).collect();
        let mut buffer = Buffer::knowing(0, None);
        let (mut sizes, mut ended, mut told) = (Vec::new(), 0, 0);
        while ended < stored.len() {
            // The moment of the next event: the next receipt, or the deadline of what is held.
            let deadline = match buffer.verdict(Tick(i64::MIN), &LIMITS) {
                Verdict::Wait(tick) => tick.0,
                Verdict::Close(_) => i64::MIN,
                Verdict::Empty => i64::MAX,
            };
            if told < stored.len() && ticks[told] < deadline {
                let message = stored[told].clone();
                match faults[told % faults.len()] {
                    0 => buffer.hear(message.seq),
                    1 => { buffer.offer(message.clone(), &LIMITS); buffer.offer(message, &LIMITS); }
                    _ => { buffer.offer(message, &LIMITS); }
                }
                told += 1;
            } else {
                let now = Tick(if deadline == i64::MIN { ticks[told - 1] } else { deadline });
                let Verdict::Close(batch) = buffer.verdict(now, &LIMITS) else { panic!("due, but not closed") };
                let taken = buffer.peek(&batch);
                sizes.push(taken.len());
                buffer.remove(&taken);
                buffer.turn_ended(now);
                ended += taken.len();
            }
            prop_assert!(buffer.len() <= LIMITS.max_messages);
            if buffer.is_behind(&LIMITS) {
                let all: Vec<_> = stored[ended..told].to_vec();
                let more = all.len() > LIMITS.max_messages;
                let end = buffer.previous_end;
                buffer.replace(all.into_iter().take(LIMITS.max_messages).collect(), u64::try_from(told).unwrap(), more, end);
            }
        }
        prop_assert_eq!(sizes, model(&ticks));
    }
}
