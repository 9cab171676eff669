use tertulia_actors::domain::*;
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::*;

use super::bench::*;

/// A conversation whose only message failed alone.
fn dead_letter(bench: &Bench, id: &str) -> DeadLetter {
    let conversation = bench.say(id, id);
    let start = bench.turn(conversation, &[1]);
    let disposition = Disposition::DeadLettered("it broke".into());
    bench.commit(CommitTurn { disposition, parts: vec![], ..bench.commit_of(&start, &["sorry"]) });
    let letters = bench.wait(bench.store().dead_letters(i64::MIN, 100)).unwrap();
    letters.into_iter().find(|letter| letter.conversation == conversation).unwrap()
}

/// A part whose outcome nobody knows.
fn ambiguous_part(bench: &Bench, id: &str) -> OutboxPart {
    let conversation = bench.say(id, id);
    let parts = bench.answer(conversation, &[1], &["one", "two"]);
    assert!(bench.sending(&parts[0], 1));
    let hold_until = Tick(i64::MAX);
    assert!(bench.mark(Mark::Ambiguous { part: parts[0].id, attempt: 1, hold_until, error: "cut".into() }));
    parts.into_iter().next().unwrap()
}

fn assert_balanced(bench: &Bench) {
    let (kept, counted) = (bench.books(), bench.wait(bench.store().count_books()).unwrap());
    assert!(kept.balance());
    assert_eq!(kept, counted);
}

#[test]
fn a_dead_letter_that_is_discarded_ends_with_its_reason_and_cannot_be_replayed_any_more() {
    let bench = Bench::new();
    let (one, two) = (dead_letter(&bench, "a"), dead_letter(&bench, "b"));
    let store = bench.store();
    assert_eq!(bench.wait(store.discard_dead_letters(vec![one.id, one.id], "spam".into())), Ok(1));
    let left = bench.wait(store.dead_letters(i64::MIN, 100)).unwrap();
    assert_eq!(left.iter().map(|letter| letter.id).collect::<Vec<_>>(), [two.id]);
    assert!(matches!(bench.wait(store.replay(vec![one.id])), Err(StoreError::Refused(_))));
    let reason = bench.text(&format!("SELECT reason FROM messages WHERE receipt_seq = {}", one.id));
    assert_eq!(reason.as_deref(), Some("discarded: spam"));
    // One that is none refuses all of it.
    let refused = bench.wait(store.discard_dead_letters(vec![two.id, 99_999_999], "x".into()));
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(bench.books().dead_lettered, 1);
    assert_balanced(&bench);
}

#[test]
fn an_ambiguous_part_is_sent_again_or_given_up_and_what_waited_behind_it_goes_on() {
    let bench = Bench::new();
    let (again, given_up) = (ambiguous_part(&bench, "a"), ambiguous_part(&bench, "b"));
    let store = bench.store();
    let listed = bench.wait(store.ambiguous(0, 10)).unwrap();
    assert_eq!(listed.iter().map(|part| part.id).collect::<Vec<_>>(), [again.id, given_up.id]);
    assert_eq!((listed[0].text.as_str(), listed[0].error.as_deref()), ("one", Some("cut")));
    assert_eq!(bench.wait(store.ambiguous(listed[0].position, 10)).unwrap().len(), 1);
    bench.all_told();
    bench.clock.set(9_000_000);
    assert_eq!(bench.wait(store.resend(vec![again.position])), Ok(1));
    assert_eq!(bench.next_told(), Told::Changed(again.conversation), "somebody must look at it");
    let lane = bench.lane(again.conversation);
    assert!(lane[0].created > again.created, "it has as much time as a new one");
    assert!(bench.sending(&again, 2), "with an attempt of its own");
    assert_eq!(bench.wait(store.discard_ambiguous(vec![given_up.position], "they called".into())), Ok(1));
    assert_eq!(bench.part_state(&given_up), "failed");
    let lane = bench.lane(given_up.conversation);
    assert_eq!(lane.iter().map(|part| part.text.as_str()).collect::<Vec<_>>(), ["two"]);
    for position in [again.position, given_up.position, 999] {
        assert!(
            matches!(bench.wait(store.resend(vec![position])), Err(StoreError::Refused(_))),
            "{position}"
        );
    }
    assert_balanced(&bench);
}

#[test]
fn a_quarantined_body_is_read_as_it_came_and_removed() {
    let bench = Bench::new();
    let body = |text: &str| Quarantined {
        channel: Channel::Whatsapp,
        reason: "nonsense".into(),
        body: text.as_bytes().to_vec(),
        received_at: Timestamp(5),
    };
    let admission = Admission { quarantined: vec![body("{\"a\":1}"), body("\u{0}")], ..Admission::default() };
    bench.wait(bench.store().admit(admission)).unwrap();
    let store = bench.store();
    let listed = bench.wait(store.quarantined(None, 10)).unwrap();
    let found = bench.wait(store.quarantined_body(listed[1].id)).unwrap();
    assert_eq!(found, Some((Channel::Whatsapp, b"{\"a\":1}".to_vec())));
    assert_eq!(bench.wait(store.discard_quarantined(vec![listed[1].id])), Ok(1));
    assert_eq!(bench.wait(store.quarantined_body(listed[1].id)), Ok(None));
    assert!(bench.wait(store.discard_quarantined(vec![listed[0].id, listed[1].id])).is_err());
    assert_eq!(bench.wait(store.quarantined(None, 10)).unwrap().len(), 1);
}
