use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;

use super::bench::*;

fn ambiguous(part: &OutboxPart, hold_until: i64) -> Mark {
    Mark::Ambiguous { part: part.id, attempt: 1, hold_until: Tick(hold_until), error: "cut".into() }
}

#[test]
fn parts_go_out_one_after_the_other() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let parts = bench.answer(conversation, &[1], &["one", "two"]);
    assert!(!bench.sending(&parts[1], 1), "an earlier part is pending");
    assert!(!bench.sending(&parts[0], 2), "attempt 1 comes first");
    assert!(bench.sending(&parts[0], 1));
    assert!(!bench.sending(&parts[0], 1), "once");
    assert!(!bench.sending(&parts[1], 1), "an earlier part is being sent");
    assert!(bench.sent(&parts[0], "wamid.1"));
    assert!(bench.sending(&parts[1], 1));
    assert_eq!(bench.books().parts_sent, 1);
}

#[test]
fn a_commit_marks_its_first_part_only_when_nothing_is_before_it() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let answer = |id: Option<&str>, seq| {
        if let Some(id) = id {
            bench.say(id, "1");
        }
        let start = bench.turn(conversation, &[seq]);
        let commit = CommitTurn { first_is_sending: true, ..bench.commit_of(&start, &["x", "y"]) };
        let CommitOutcome::Committed { parts, .. } = bench.commit(commit) else { panic!("fenced") };
        parts
    };
    let first = answer(None, 1);
    assert_eq!((first[0].state, first[0].attempt), (PartState::Sending, 1));
    assert_eq!((first[1].state, first[1].attempt), (PartState::Pending, 0));
    let second = answer(Some("b"), 2);
    assert_eq!((second[0].state, second[0].attempt), (PartState::Pending, 0));
    assert!(bench.sent(&first[0], "wamid.1"));
    assert_eq!(bench.books().parts_pending, 3);
}

#[test]
fn replies_of_the_chat_page_are_sent_when_they_are_stored() {
    let bench = Bench::new();
    let conversation = bench.admit(vec![web_message("a", "h")])[0].conversation;
    let start = bench.turn(conversation, &[1]);
    let commit = CommitTurn { first_is_sending: true, ..bench.commit_of(&start, &["one", "two"]) };
    let CommitOutcome::Committed { parts, replies, .. } = bench.commit(commit) else { panic!("fenced") };
    assert!(parts.is_empty());
    assert_eq!(replies, bench.wait(bench.store().replies_after(conversation, 0, 9)).unwrap());
    assert_eq!(replies.iter().map(|reply| reply.state).collect::<Vec<_>>(), [PartState::Sent; 2]);
    let rest = bench.wait(bench.store().replies_after(conversation, replies[0].position, 9)).unwrap();
    assert_eq!(rest, replies[1..]);
    assert!(bench.lane(conversation).is_empty());
    assert_eq!(bench.books().parts_sent, 2);
    let lines = bench.wait(bench.store().messages(conversation, 9)).unwrap();
    assert_eq!(
        lines.iter().map(|line| line.text.as_deref().unwrap()).collect::<Vec<_>>(),
        ["text of a", "one", "two"]
    );
}

#[test]
fn a_retry_is_pending_again_and_due_when_it_says() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let part = bench.answer(conversation, &[1], &["one"]).remove(0);
    let due = |until| bench.wait(bench.store().due_lanes(Tick(until), None, 9)).unwrap();
    assert_eq!(due(1_000_000), [conversation]);
    assert!(bench.sending(&part, 1));
    assert_eq!(due(2_000_000), []);
    let retry = |attempt| Mark::Retry {
        part: part.id,
        attempt,
        not_before: Tick(1_000_500),
        error: "throttled".into(),
    };
    assert!(!bench.mark(retry(2)));
    assert!(bench.mark(retry(1)));
    assert_eq!(due(1_000_499), []);
    assert_eq!(due(1_000_500), [conversation]);
    assert!(bench.wait(bench.store().due_lanes(Tick(1_000_500), Some(conversation), 9)).unwrap().is_empty());
    assert!(bench.sending(&part, 2));
    assert!(!bench.sent(&part, "wamid.1"), "attempt 1 is over");
}

#[test]
fn an_ambiguous_part_holds_the_lane_until_its_hold_has_passed() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let parts = bench.answer(conversation, &[1], &["one", "two"]);
    assert!(bench.sending(&parts[0], 1));
    assert!(bench.mark(ambiguous(&parts[0], 1_005_000)));
    assert!(!bench.sending(&parts[1], 1));
    assert_eq!(bench.lane(conversation).len(), 2);
    assert_eq!(bench.wait(bench.store().due_lanes(Tick(1_004_999), None, 9)).unwrap(), []);
    bench.clock.set(1_005_000);
    assert_eq!(bench.wait(bench.store().due_lanes(Tick(1_005_000), None, 9)).unwrap(), [conversation]);
    assert_eq!(bench.lane(conversation).len(), 1);
    assert!(bench.sending(&parts[1], 1));
    assert_eq!(bench.books().parts_ambiguous, 1);
}

#[test]
fn a_failed_part_cancels_the_rest_of_its_own_reply_only() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    let first = bench.answer(conversation, &[1], &["one", "two", "three"]);
    let second = bench.answer(conversation, &[2], &["other"]);
    assert!(bench.sending(&first[0], 1));
    assert!(bench.mark(Mark::Failed { part: first[0].id, attempt: 1, error: "refused".into() }));
    assert_eq!(bench.lane(conversation), second);
    assert_eq!(bench.part_state(&first[2]), "failed");
    let error = bench.text(&format!("SELECT error FROM outbox WHERE id = '{}'", first[2].id));
    assert!(error.unwrap().starts_with("cancelled: "));
    assert_eq!(bench.books().parts_failed, 3);
}

#[test]
fn a_send_that_the_end_of_the_process_cut_off_is_ambiguous_and_held() {
    let mut bench = Bench::new();
    let conversation = bench.say("a", "1");
    let parts = bench.answer(conversation, &[1], &["one", "two"]);
    assert!(bench.sending(&parts[0], 1));
    bench.restart();
    assert_eq!(bench.takeover.ambiguous_parts, 1);
    assert_eq!(bench.part_state(&parts[0]), "ambiguous");
    assert!(!bench.sending(&parts[1], 1));
    assert!(!bench.sent(&parts[0], "late"));
    bench.clock.set(Tick(1_000_000).after(HOLD).0);
    assert!(bench.sending(&parts[1], 1));
    assert_eq!((bench.books().parts_ambiguous, bench.books().parts_pending), (1, 1));
}

#[test]
fn the_replies_of_a_conversation_come_in_pages_from_any_position() {
    let bench = Bench::new();
    let one = bench.admit(vec![web_message("a", "h")])[0].conversation;
    let other = bench.admit(vec![web_message("b", "i")])[0].conversation;
    bench.answer(one, &[1], &["1", "2"]);
    bench.answer(other, &[1], &["not theirs"]);
    bench.admit(vec![web_message("c", "h"), web_message("d", "h")]);
    bench.answer(one, &[2], &[]);
    bench.answer(one, &[3], &["3", "4", "5"]);
    let all = bench.wait(bench.store().replies_after(one, 0, 9)).unwrap();
    let texts = |replies: &[ReplyView]| replies.iter().map(|reply| reply.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&all), ["1", "2", "3", "4", "5"]);
    for after in 0..=all.len() {
        let position = after.checked_sub(1).map_or(0, |index| all[index].position);
        for limit in 1..=5 {
            let page = bench.wait(bench.store().replies_after(one, position, limit)).unwrap();
            assert_eq!(page, all[after..all.len().min(after + limit)], "after {after}, at most {limit}");
        }
    }
    let last = bench.wait(bench.store().messages(one, 4)).unwrap();
    assert_eq!(
        last.iter().map(|line| line.text.as_deref().unwrap()).collect::<Vec<_>>(),
        ["2", "3", "4", "5"]
    );
}
