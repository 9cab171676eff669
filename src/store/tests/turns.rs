use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;

use super::bench::*;

fn again(start: &StartTurn, attempt: u32) -> StartTurn {
    StartTurn { attempt, seqs: Vec::new(), ..start.clone() }
}

fn release(start: &StartTurn, failed: bool, split: bool) -> ReleaseTurn {
    ReleaseTurn {
        conversation: start.conversation,
        epoch: start.epoch,
        turn: start.turn,
        attempt: start.attempt,
        failed,
        reason: "tried".into(),
        not_before: Tick(1_000_700),
        split,
    }
}

#[test]
fn a_start_fixes_exactly_its_messages() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.say("c", "1");
    let start = bench.turn(conversation, &[1, 3]);
    let state = bench.load(conversation);
    let open = state.open_turn.unwrap();
    assert_eq!((open.id, open.attempt, open.running), (start.turn, 1, true));
    assert_eq!(open.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(state.pending.iter().map(|message| message.seq).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_start_is_fenced_by_an_open_turn_a_taken_message_or_an_old_epoch_and_writes_nothing() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    let unknown = bench.start_of(conversation, &[1, 7]);
    assert_eq!(bench.start(unknown), StartOutcome::Fenced);
    assert_eq!(bench.number("SELECT count(*) FROM turns"), 0);
    let state = bench.load(conversation);
    assert_eq!((state.open_turn, state.pending.len()), (None, 2));
    let old = StartTurn { epoch: Epoch(0), ..bench.start_of(conversation, &[1]) };
    assert_eq!(bench.start(old), StartOutcome::Fenced);
    bench.turn(conversation, &[1]);
    assert_eq!(bench.start(bench.start_of(conversation, &[2])), StartOutcome::Fenced);
}

#[test]
fn a_start_is_refused_by_a_newer_message_that_came_before_the_batch_closed() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let mut newer = message("b", "1");
    newer.receipt.tick = Tick(1_000_500);
    bench.admit(vec![newer]);
    for (closes_at, known_seq, expected) in
        [(Some(Tick(1_000_501)), 1, StartOutcome::Newer), (Some(Tick(1_000_500)), 1, StartOutcome::Started)]
    {
        let start = StartTurn { closes_at, known_seq, ..bench.start_of(conversation, &[1]) };
        assert_eq!(bench.start(start), expected, "{closes_at:?}");
    }
}

#[test]
fn attempts_follow_one_another() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let start = bench.turn(conversation, &[1]);
    assert_eq!(bench.start(again(&start, 3)), StartOutcome::Fenced);
    assert_eq!(bench.start(again(&start, 2)), StartOutcome::Started);
    assert_eq!(bench.start(again(&start, 2)), StartOutcome::Fenced);
    let other = StartTurn { turn: TurnId::new(bench.uuid()), ..again(&start, 3) };
    assert_eq!(bench.start(other), StartOutcome::Fenced);
    assert_eq!(bench.commit(bench.commit_of(&start, &["late"])), CommitOutcome::Fenced);
    let current = again(&start, 2);
    let stale = CommitTurn { epoch: Epoch(start.epoch.0 - 1), ..bench.commit_of(&current, &["stale"]) };
    assert_eq!(bench.commit(stale), CommitOutcome::Fenced);
    assert!(matches!(bench.commit(bench.commit_of(&current, &["x"])), CommitOutcome::Committed { .. }));
    assert_eq!(bench.commit(bench.commit_of(&current, &["twice"])), CommitOutcome::Fenced);
    assert_eq!(bench.number("SELECT count(*) FROM outbox"), 1);
}

#[test]
fn a_commit_leaves_everything_at_once() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.say("c", "1");
    let start = bench.turn(conversation, &[1, 2]);
    let step = Step {
        name: "classify".into(),
        start_us: 1,
        duration_us: 2,
        outcome: "ok".into(),
        detail: serde_json::Value::Null,
    };
    let commit = CommitTurn {
        needs_human: true,
        records: vec![Record { class: Class::Complaint, text: "late".into() }],
        journey: Journey { steps: vec![step], degraded: true },
        ..bench.commit_of(&start, &["one", "two"])
    };
    let CommitOutcome::Committed { parts, replies, last_seq, pending, .. } = bench.commit(commit.clone())
    else {
        panic!("fenced")
    };
    assert_eq!((last_seq, pending, replies.len()), (3, 1, 0));
    assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(parts[0].position < parts[1].position);
    assert_eq!((parts[0].state, parts[0].attempt), (PartState::Pending, 0));
    assert_eq!(parts, bench.lane(conversation));
    let view = bench.wait(bench.store().conversation(conversation)).unwrap().unwrap();
    assert!(view.needs_human);
    assert_eq!((view.messages, view.pending, view.language.as_deref()), (3, 1, Some("ar")));
    let turn = bench.wait(bench.store().turns(conversation, 5)).unwrap().remove(0);
    assert_eq!((turn.state.as_str(), turn.outcome.as_deref()), ("committed", Some("answered")));
    assert_eq!(turn.journey, commit.journey);
    assert_eq!(bench.text("SELECT text FROM records").as_deref(), Some("late"));
    assert_eq!(bench.load(conversation).previous_end, Some(Tick(1_000_000)));
    let books = bench.books();
    assert_eq!((books.answered, books.pending, books.parts_pending), (2, 1, 2));
}

#[test]
fn the_deadline_goes_with_the_last_pending_message() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.clock.set(1_000_100);
    bench.answer(conversation, &[1], &[]);
    assert_eq!(bench.number("SELECT wake_at FROM conversations"), 1_000_100);
    bench.answer(conversation, &[2], &[]);
    assert_eq!(bench.number("SELECT count(wake_at) FROM conversations"), 0);
    let told = bench.all_told().len();
    bench.say("c", "1");
    let Told::Admitted(admitted) = bench.next_told() else { panic!("after {told}") };
    assert_eq!((admitted.pending, admitted.previous_end), (1, Some(Tick(1_000_100))));
}

#[test]
fn a_dead_lettered_message_keeps_its_reason_and_a_person_stays_asked_for() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let start = bench.turn(conversation, &[1]);
    let disposition = Disposition::DeadLettered("panicked".into());
    bench.commit(CommitTurn { disposition, needs_human: true, ..bench.commit_of(&start, &["sorry"]) });
    let letters = bench.wait(bench.store().dead_letters(0, 9)).unwrap();
    assert_eq!((letters[0].conversation, letters[0].reason.as_str()), (conversation, "panicked"));
    bench.say("b", "1");
    bench.answer(conversation, &[2], &[]);
    assert!(bench.wait(bench.store().conversation(conversation)).unwrap().unwrap().needs_human);
    assert_eq!(bench.books().dead_lettered, 1);
}

#[test]
fn people_page_through_records_and_through_conversations_that_need_them() {
    let bench = Bench::new();
    let people: Vec<_> = ["1", "2", "3"].map(|phone| bench.say(phone, phone)).into();
    for (n, conversation) in people.iter().enumerate() {
        let start = bench.turn(*conversation, &[1]);
        let record = |text: &str| Record { class: Class::Complaint, text: text.into() };
        bench.commit(CommitTurn {
            needs_human: n != 1,
            records: vec![record(&format!("late {n}")), record("again")],
            ..bench.commit_of(&start, &[])
        });
    }
    let flagged = |after, limit| {
        let found = bench.wait(bench.store().needing_human(after, limit)).unwrap();
        assert!(found.iter().all(|view| view.needs_human));
        found.into_iter().map(|view| view.id).collect::<Vec<_>>()
    };
    assert_eq!(flagged(None, 9), [people[0], people[2]]);
    assert_eq!(flagged(None, 1), [people[0]]);
    assert_eq!(flagged(Some(people[0]), 9), [people[2]]);
    assert_eq!(flagged(Some(people[2]), 9), []);
    let all = bench.wait(bench.store().records(0, 9)).unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!((all[2].text.as_str(), all[2].class.as_str()), ("late 1", "complaint"));
    assert_eq!((all[2].conversation, all[2].at), (people[1], Timestamp(1_000_000)));
    assert_eq!(bench.wait(bench.store().records(all[2].id, 2)).unwrap(), all[3..5]);
}

#[test]
fn a_replay_makes_dead_letters_pending_and_alone_or_changes_nothing() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    let start = bench.turn(conversation, &[1]);
    let disposition = Disposition::DeadLettered("panicked".into());
    bench.commit(CommitTurn { disposition, ..bench.commit_of(&start, &[]) });
    bench.all_told();
    let id = bench.wait(bench.store().dead_letters(0, 9)).unwrap()[0].id;
    let refused = bench.wait(bench.store().replay(vec![id, id + 1])).unwrap_err();
    assert!(refused.to_string().contains("not dead-lettered"), "{refused}");
    assert_eq!(bench.books().dead_lettered, 1);
    assert_eq!(bench.wait(bench.store().replay(vec![id])).unwrap(), 1);
    assert_eq!(bench.all_told(), [Told::Changed(conversation)]);
    let pending = bench.load(conversation).pending;
    assert_eq!(pending.iter().map(|one| (one.seq, one.alone)).collect::<Vec<_>>(), [(1, true), (2, false)]);
    assert_eq!(bench.books().pending, 2);
    bench.turn(conversation, &[1]);
}

#[test]
fn a_released_turn_waits_counts_only_its_own_failures_and_may_be_dissolved() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    let start = bench.turn(conversation, &[1, 2]);
    let give_back = |release| bench.wait(bench.store().release_turn(release)).unwrap();
    assert!(!give_back(ReleaseTurn { attempt: 2, ..release(&start, true, false) }));
    assert!(!give_back(ReleaseTurn { epoch: Epoch(0), ..release(&start, true, false) }));
    assert!(give_back(release(&start, false, false)));
    assert!(!give_back(release(&start, false, false)), "it does not run any more");
    let open = bench.load(conversation).open_turn.unwrap();
    assert_eq!((open.failures, open.running, open.not_before), (0, false, Tick(1_000_700)));
    assert_eq!(bench.number("SELECT wake_at FROM conversations"), 1_000_700);
    let second = again(&start, 2);
    assert_eq!(bench.start(second.clone()), StartOutcome::Started);
    assert!(give_back(release(&second, true, true)));
    let state = bench.load(conversation);
    assert_eq!(state.open_turn, None);
    assert!(state.pending.len() == 2 && state.pending.iter().all(|message| message.alone));
    assert_eq!(bench.number("SELECT failures FROM turns WHERE state = 'split'"), 1);
}

#[test]
fn a_takeover_fences_the_last_owner_and_counts_interruptions() {
    let mut bench = Bench::new();
    let conversation = bench.say("a", "1");
    let start = bench.turn(conversation, &[1]);
    bench.say("b", "2");
    bench.restart();
    assert_eq!((bench.takeover.epoch, bench.takeover.interrupted_turns), (Epoch(start.epoch.0 + 1), 1));
    assert_eq!(bench.commit(bench.commit_of(&start, &["stale"])), CommitOutcome::Fenced);
    let open = bench.load(conversation).open_turn.unwrap();
    assert_eq!((open.interruptions, open.failures, open.running), (1, 0, false));
    assert_eq!(bench.number("SELECT MAX(wake_at) FROM conversations"), 1_000_000);
    let next = StartTurn { epoch: bench.takeover.epoch, ..again(&start, 2) };
    assert_eq!(bench.start(next), StartOutcome::Started);
}

#[test]
fn history_is_what_was_said_in_earlier_turns_in_their_order() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.answer(conversation, &[1], &["re a", "more"]);
    bench.answer(conversation, &[2], &["re b"]);
    bench.say("c", "1");
    bench.say("d", "1");
    let other = bench.say("x", "2");
    bench.answer(other, &[1], &["re x"]);
    let current = bench.turn(conversation, &[3]);
    let texts = |limit| -> Vec<String> {
        let lines = bench.wait(bench.store().history(conversation, current.turn, limit)).unwrap();
        assert!(lines.iter().all(|line| line.conversation == conversation));
        lines.into_iter().map(|line| line.text).collect()
    };
    assert_eq!(texts(9), ["text of a", "re a", "more", "text of b", "re b"]);
    assert_eq!(texts(3), ["more", "text of b", "re b"]);
    // What an operator writes while a turn is open is not before it, but before one that has not begun.
    let written = "INSERT INTO turns (id, conversation_id, state, attempt, first_seq, last_seq, outcome, started_at) \
        SELECT 'x', conversation_id, 'committed', 1, 4, 4, 'operator', 0 FROM turns WHERE state = 'running'; \
        UPDATE messages SET turn_id = 'x' WHERE seq = 4";
    bench.sql().execute_batch(written).unwrap();
    assert_eq!(texts(1), ["re b"]);
    let next = bench.wait(bench.store().history(conversation, TurnId::new(bench.uuid()), 1)).unwrap();
    assert_eq!(next[0].text, "text of d");
}

#[test]
fn messages_of_a_turn_are_in_the_order_they_were_written() {
    let bench = Bench::new();
    let written = |id, at| InboundMessage { provider_at: Some(Timestamp(at)), ..message(id, "1") };
    let stored = bench.admit(vec![written("late", 9_000), written("x", 5_000), written("y", 5_000)]);
    let conversation = stored[0].conversation;
    bench.turn(conversation, &[1, 2, 3]);
    let open = bench.load(conversation).open_turn.unwrap();
    assert_eq!(open.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [2, 3, 1]);
}

#[test]
fn an_actor_is_told_that_there_is_more_than_it_may_hold() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    let load = |limit| bench.wait(bench.store().load_conversation(conversation, limit)).unwrap().unwrap();
    assert!(load(1).more && load(1).pending.len() == 1);
    assert!(!load(2).more);
}

#[test]
fn a_wall_clock_that_is_set_back_changes_no_order() {
    let bench = Bench::new();
    let received = |id, at, tick| {
        let mut message = message(id, "1");
        (message.receipt.at, message.receipt.tick) = (Timestamp(at), Tick(tick));
        message
    };
    let stored = bench.admit(vec![received("a", 2_000_000, 1_000_000), received("b", 900_000, 1_000_100)]);
    let conversation = stored[0].conversation;
    bench.turn(conversation, &[1, 2]);
    let turn = bench.load(conversation).open_turn.unwrap();
    assert_eq!(turn.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [1, 2]);
    let lines = bench.wait(bench.store().messages(conversation, 10)).unwrap();
    assert_eq!(lines.iter().map(|line| line.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_turn_with_gaps_ends_its_own_messages_and_those_left_out_are_found_behind_it() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    for id in ["b", "c", "d", "e"] {
        bench.say(id, "1");
    }
    let waiting =
        |state: ConversationState| state.pending.iter().map(|message| message.seq).collect::<Vec<_>>();
    let first_pending = || bench.number("SELECT first_pending FROM conversations");
    assert_eq!(first_pending(), 1);
    bench.answer(conversation, &[1, 2, 4], &["one"]);
    assert_eq!((first_pending(), waiting(bench.load(conversation))), (3, vec![3, 5]));
    bench.answer(conversation, &[3, 5], &["two"]);
    assert_eq!(waiting(bench.load(conversation)), Vec::<u64>::new());
    bench.say("f", "1");
    assert_eq!((first_pending(), waiting(bench.load(conversation))), (6, vec![6]));
    let turns =
        "SELECT group_concat(seq, ' ') FROM messages WHERE turn_id = (SELECT id FROM turns WHERE position = ";
    for (position, seqs) in [(1, "1 2 4"), (2, "3 5")] {
        assert_eq!(bench.text(&format!("{turns}{position})")).as_deref(), Some(seqs));
    }
    assert_eq!((bench.books().pending, bench.books().answered), (1, 5));
}

#[test]
fn a_turn_whose_row_claims_other_messages_ends_none_and_its_conversation_is_set_aside() {
    for damage in ["last_seq = 3", "last_seq = 1 << 40", "first_seq = 0", "seqs = '[1,9]'", "seqs = '[]'"] {
        let bench = Bench::new();
        let conversation = bench.say("a", "1");
        bench.say("b", "1");
        let start = bench.turn(conversation, &[1, 2]);
        bench.sql().execute_batch(&format!("UPDATE turns SET {damage}")).unwrap();
        let commit = bench.wait(bench.store().commit_turn(Box::new(bench.commit_of(&start, &["x"]))));
        assert!(matches!(commit, Err(StoreError::Corrupt(_))), "{damage}: {commit:?}");
        assert_eq!((bench.books().pending, bench.books().parts_created), (2, 0), "{damage}");
        assert!(bench.text("SELECT set_aside FROM conversations").is_some(), "{damage}");
    }
}

#[test]
fn an_old_dead_letter_that_is_replayed_is_found_before_and_between_what_waits() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    for id in ["b", "c", "d", "e", "f"] {
        bench.say(id, "1");
    }
    let seqs = |messages: &[PendingMessage]| messages.iter().map(|message| message.seq).collect::<Vec<_>>();
    for seq in [1, 4] {
        let start = bench.turn(conversation, &[seq]);
        let disposition = Disposition::DeadLettered("panicked".into());
        bench.commit(CommitTurn { disposition, ..bench.commit_of(&start, &[]) });
    }
    bench.answer(conversation, &[2], &["two"]);
    // A turn with a gap where the dead letter lies, and one before it.
    let start = bench.turn(conversation, &[3, 5]);
    let dead: Vec<_> =
        bench.wait(bench.store().dead_letters(0, 9)).unwrap().iter().map(|one| one.id).collect();
    assert_eq!(bench.wait(bench.store().replay(dead)).unwrap(), 2);
    let state = bench.load(conversation);
    assert_eq!(seqs(&state.open_turn.unwrap().messages), [3, 5]);
    assert_eq!(seqs(&state.pending), [1, 4, 6]);
    bench.commit(bench.commit_of(&start, &["three and five"]));
    assert_eq!(seqs(&bench.load(conversation).pending), [1, 4, 6]);
    bench.answer(conversation, &[1, 4, 6], &["the rest"]);
    assert_eq!((bench.books().pending, bench.books().answered), (0, 6));
}

#[test]
fn a_message_that_is_mended_behind_the_mark_is_found_again() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.say("c", "1");
    bench
        .sql()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE messages SET state = 'x' WHERE seq = 2")
        .unwrap();
    bench.answer(conversation, &[1], &["one"]);
    assert_eq!(bench.number("SELECT first_pending FROM conversations"), 3);
    bench.sql().execute_batch("UPDATE messages SET state = 'pending' WHERE seq = 2").unwrap();
    let pending = bench.load(conversation).pending;
    assert_eq!(pending.iter().map(|message| message.seq).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_message_is_seen_in_its_turn_while_that_runs() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.say("c", "1");
    let start = bench.turn(conversation, &[1, 3]);
    let seen = bench.wait(bench.store().messages(conversation, 9)).unwrap();
    let turns: Vec<_> = seen.iter().map(|line| line.turn).collect();
    assert_eq!(turns, [Some(start.turn), None, Some(start.turn)]);
}

#[test]
fn a_list_of_messages_that_cannot_be_read_is_an_error_of_its_conversation() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.say("b", "1");
    bench.say("c", "1");
    bench.turn(conversation, &[1, 3]);
    bench.sql().execute_batch("UPDATE turns SET seqs = '[1,'").unwrap();
    assert_eq!(
        bench.wait(bench.store().messages(conversation, 9)).unwrap().len(),
        3,
        "people still see them"
    );
    let error = bench.wait(bench.store().load_conversation(conversation, 9)).unwrap_err();
    assert!(error.to_string().contains("a turn's list of messages"), "{error}");
}
