use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;

use super::bench::*;

/// A conversation with parts of which the first is being sent.
fn sending(bench: &Bench, texts: &[&str]) -> (ConversationId, Vec<OutboxPart>) {
    let conversation = bench.say("a", "1");
    let parts = bench.answer(conversation, &[1], texts);
    assert!(bench.sending(&parts[0], 1));
    bench.all_told();
    (conversation, parts)
}

#[test]
fn a_status_is_matched_by_our_id_or_the_providers_and_only_moves_forward() {
    let bench = Bench::new();
    let (_, parts) = sending(&bench, &["one"]);
    assert!(bench.sent(&parts[0], "wamid.1"));
    for (part, status, expected) in [
        (None, DeliveryStatus::Delivered, "delivered"),
        (Some(parts[0].id), DeliveryStatus::Sent, "delivered"),
        (Some(parts[0].id), DeliveryStatus::Read, "read"),
        (None, DeliveryStatus::Failed, "read"),
    ] {
        bench.status(status_of(part, "wamid.1", status));
        assert_eq!(bench.part_state(&parts[0]), expected, "{status:?}");
    }
    assert_eq!(bench.number("SELECT count(sent_at) + count(delivered_at) + count(read_at) FROM outbox"), 3);
    assert_eq!(bench.text("SELECT error FROM outbox"), None);
    assert_eq!(bench.books().parts_sent, 1);
    assert_eq!(bench.all_told(), []);
}

#[test]
fn a_status_of_another_account_is_not_ours() {
    let bench = Bench::new();
    let (_, parts) = sending(&bench, &["one"]);
    let mut update = status_of(Some(parts[0].id), "wamid.1", DeliveryStatus::Read);
    update.account.name = "another".into();
    bench.status(update);
    assert_eq!(bench.part_state(&parts[0]), "sending");
}

#[test]
fn a_status_with_our_id_may_come_before_the_answer_to_the_send() {
    let bench = Bench::new();
    let (conversation, parts) = sending(&bench, &["one", "two"]);
    bench.status(status_of(Some(parts[0].id), "wamid.1", DeliveryStatus::Delivered));
    assert_eq!(bench.part_state(&parts[0]), "delivered");
    assert_eq!(bench.all_told(), [Told::Changed(conversation)]);
    assert!(bench.sent(&parts[0], "wamid.1"), "the answer fills in what is missing");
    assert_eq!(bench.part_state(&parts[0]), "delivered");
    assert_eq!(bench.text("SELECT provider_id FROM outbox ORDER BY position").as_deref(), Some("wamid.1"));
    assert!(bench.sending(&parts[1], 1));
    assert_eq!(bench.books().parts_sent, 1);
}

#[test]
fn a_status_without_our_id_waits_for_the_answer_to_the_send() {
    let bench = Bench::new();
    let (_, parts) = sending(&bench, &["one"]);
    bench.status(status_of(None, "wamid.1", DeliveryStatus::Delivered));
    bench.status(status_of(None, "wamid.other", DeliveryStatus::Read));
    assert_eq!(bench.part_state(&parts[0]), "sending");
    assert!(bench.sent(&parts[0], "wamid.1"));
    assert_eq!(bench.part_state(&parts[0]), "delivered");
    assert_eq!(bench.number("SELECT count(*) FROM early_statuses"), 1);
    assert_eq!(bench.books().parts_sent, 1);
}

#[test]
fn early_statuses_are_bounded_and_the_loss_is_counted() {
    let bench = Bench::with(|settings| settings.early_statuses_max = 2);
    for n in 0..5 {
        bench.status(status_of(None, &format!("wamid.{n}"), DeliveryStatus::Sent));
    }
    assert_eq!(bench.number("SELECT count(*) FROM early_statuses"), 2);
    assert_eq!(bench.number("SELECT statuses_lost FROM ledger"), 3);
}

#[test]
fn a_status_resolves_an_ambiguous_part_and_frees_its_lane() {
    let bench = Bench::new();
    let (conversation, parts) = sending(&bench, &["one", "two"]);
    let hold_until = Tick(9_000_000);
    let error = "cut".into();
    assert!(bench.mark(Mark::Ambiguous { part: parts[0].id, attempt: 1, hold_until, error }));
    assert!(!bench.sending(&parts[1], 1));
    bench.status(status_of(Some(parts[0].id), "wamid.1", DeliveryStatus::Sent));
    assert_eq!(bench.all_told(), [Told::Changed(conversation)]);
    assert_eq!(bench.lane(conversation).len(), 1);
    assert!(bench.sending(&parts[1], 1));
    let books = bench.books();
    assert_eq!((books.parts_ambiguous, books.parts_sent, books.parts_pending), (0, 1, 1));
}

#[test]
fn a_sent_part_that_fails_cancels_the_unsent_rest_of_its_reply() {
    let bench = Bench::new();
    let (conversation, parts) = sending(&bench, &["one", "two", "three"]);
    assert!(bench.sent(&parts[0], "wamid.1"));
    assert!(bench.sending(&parts[1], 1));
    bench.status(status_of(None, "wamid.1", DeliveryStatus::Failed));
    let states: Vec<_> = parts.iter().map(|part| bench.part_state(part)).collect();
    assert_eq!(states, ["failed", "sending", "failed"]);
    assert_eq!(bench.all_told(), [Told::Changed(conversation)]);
    assert_eq!(bench.text("SELECT error FROM outbox ORDER BY position").as_deref(), Some("131026"));
    let books = bench.books();
    assert_eq!((books.parts_failed, books.parts_pending), (2, 1));
}
