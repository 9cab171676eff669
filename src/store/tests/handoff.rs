use std::time::Duration;

use tertulia_actors::domain::*;
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::*;

use super::bench::*;

const IDLE: Duration = Duration::from_secs(60);

fn take(bench: &Bench, conversation: ConversationId, who: &str) {
    bench.wait(bench.store().take_over(conversation, who.into(), None, IDLE)).unwrap();
}

fn write(
    bench: &Bench,
    conversation: ConversationId,
    who: &str,
    text: &str,
) -> Result<Vec<ReplyView>, StoreError> {
    let (turn, part) = (TurnId::new(bench.uuid()), PartId::new(bench.uuid()));
    let parts = vec![ReplyPart { id: part, text: text.into() }];
    bench.wait(bench.store().reply(OperatorReply { conversation, who: who.into(), turn, parts, idle: IDLE }))
}

fn outcome_of(bench: &Bench, position: i64) -> Option<String> {
    bench.text(&format!(
        "SELECT outcome || ': ' || COALESCE(reason, '') FROM turns WHERE position = {position}"
    ))
}

fn assert_balanced(bench: &Bench) {
    let (kept, counted) = (bench.books(), bench.wait(bench.store().count_books()).unwrap());
    assert!(kept.balance());
    assert_eq!(kept, counted);
}

#[test]
fn a_turn_that_runs_while_somebody_takes_over_says_nothing_and_its_message_ends() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let start = bench.turn(conversation, &[1]);
    take(&bench, conversation, "ana");
    let commit = CommitTurn { first_is_sending: true, ..bench.commit_of(&start, &["the bot's answer"]) };
    let CommitOutcome::Committed { parts, replies, disposition, needs_human, .. } = bench.commit(commit)
    else {
        panic!("fenced")
    };
    assert_eq!((disposition, needs_human), (Disposition::Suppressed("taken over by ana".into()), true));
    assert_eq!((parts.len(), replies.len()), (0, 0));
    assert_eq!(bench.number("SELECT count(*) FROM outbox"), 0);
    assert_eq!(outcome_of(&bench, 1).as_deref(), Some("suppressed: taken over by ana"));
    assert_eq!((bench.books().suppressed, bench.books().pending), (1, 0));
    assert_balanced(&bench);
}

#[test]
fn a_turn_that_starts_then_is_told_to_be_quiet_until_the_conversation_is_handed_back_or_nobody_wrote_for_long()
 {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.clock.set(1_000_000);
    take(&bench, conversation, "ana");
    let start = bench.start_of(conversation, &[1]);
    assert_eq!(bench.start(start.clone()), StartOutcome::Quiet);
    let disposition = Disposition::Suppressed("taken over".into());
    bench.commit(CommitTurn { disposition, parts: vec![], ..bench.commit_of(&start, &[]) });
    bench.say("b", "1");
    bench.wait(bench.store().hand_back(conversation, "ana".into(), None)).unwrap();
    let start = bench.start_of(conversation, &[2]);
    assert_eq!(bench.start(start.clone()), StartOutcome::Started, "the bot answers again");
    bench.commit(bench.commit_of(&start, &["the bot's answer"]));
    assert!(matches!(
        bench.wait(bench.store().hand_back(conversation, "ana".into(), None)),
        Err(StoreError::Refused(_))
    ));
    take(&bench, conversation, "ana");
    bench.clock.set(1_000_000 + 61_000);
    bench.say("c", "1");
    assert_eq!(bench.start(bench.start_of(conversation, &[3])), StartOutcome::Started, "her time is up");
    let view = bench.wait(bench.store().conversation(conversation)).unwrap().unwrap();
    assert_eq!((view.taken_by.as_deref(), view.taken_until), (Some("ana"), Some(Tick(1_060_000))));
    assert_balanced(&bench);
}

#[test]
fn what_an_operator_writes_is_sent_once_stands_in_the_history_and_keeps_the_bot_quiet_for_longer() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.answer(conversation, &[1], &["the bot's answer"]);
    assert!(matches!(write(&bench, conversation, "ana", "hello"), Err(StoreError::Refused(_))), "not taken");
    bench.clock.set(1_000_000);
    take(&bench, conversation, "ana");
    assert!(write(&bench, conversation, "olga", "hello").is_err(), "somebody else's");
    bench.all_told();
    bench.clock.set(1_030_000);
    assert_eq!(write(&bench, conversation, "ana", "I am Ana"), Ok(vec![]));
    assert_eq!(bench.next_told(), Told::Changed(conversation), "somebody must send it");
    let lane = bench.lane(conversation);
    let texts: Vec<_> = lane.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(texts, ["the bot's answer", "I am Ana"]);
    let view = bench.wait(bench.store().conversation(conversation)).unwrap().unwrap();
    assert_eq!(view.taken_until, Some(Tick(1_090_000)));
    let lines = bench.wait(bench.store().messages(conversation, 10)).unwrap();
    let said: Vec<_> = lines.iter().map(|line| (line.text.as_deref(), line.author.as_deref())).collect();
    assert_eq!(said[1..], [(Some("the bot's answer"), None), (Some("I am Ana"), Some("ana"))]);
    let history = bench.wait(bench.store().history(conversation, TurnId::new(bench.uuid()), 10)).unwrap();
    assert!(history.iter().any(|item| item.text == "I am Ana" && item.speaker == Speaker::Bot));
    bench.clock.set(1_091_000);
    assert!(write(&bench, conversation, "ana", "too late").is_err());
    assert_balanced(&bench);
}

#[test]
fn on_the_chat_page_it_is_seen_at_once() {
    let bench = Bench::new();
    let conversation = bench.admit(vec![web_message("a", "h")])[0].conversation;
    take(&bench, conversation, "ana");
    let seen = write(&bench, conversation, "ana", "I am Ana").unwrap();
    assert_eq!(
        seen.iter().map(|reply| (reply.text.as_str(), reply.state)).collect::<Vec<_>>(),
        [("I am Ana", PartState::Sent)]
    );
    assert_eq!(bench.wait(bench.store().replies_after(conversation, 0, 9)).unwrap(), seen);
    assert!(bench.lane(conversation).is_empty());
    assert_balanced(&bench);
}

#[test]
fn a_turn_that_was_open_meanwhile_stays_the_open_one_and_says_nothing_after_the_hand_back_either() {
    let mut bench = Bench::new();
    let conversation = bench.say("a", "1");
    let start = bench.turn(conversation, &[1]);
    take(&bench, conversation, "ana");
    write(&bench, conversation, "ana", "I am Ana").unwrap();
    let open = bench.load(conversation).open_turn.expect("it is still there");
    assert_eq!((open.id, open.messages.len()), (start.turn, 1));
    bench.wait(bench.store().hand_back(conversation, "ana".into(), None)).unwrap();
    // The process dies: the turn waits, and runs again.
    bench.restart();
    let state = bench.load(conversation);
    assert_eq!(state.open_turn.map(|turn| turn.id), Some(start.turn));
    assert_eq!(state.pending.len(), 0);
    let again = StartTurn { attempt: 2, epoch: Epoch(start.epoch.0 + 1), ..start };
    assert_eq!(bench.start(again.clone()), StartOutcome::Quiet);
    let commit = CommitTurn { attempt: 2, ..bench.commit_of(&again, &["the bot's answer"]) };
    let CommitOutcome::Committed { parts, .. } = bench.commit(commit) else { panic!("fenced") };
    assert_eq!(parts.len(), 0);
    let view = bench.wait(bench.store().conversation(conversation)).unwrap().unwrap();
    assert!(view.needs_human, "nobody has answered it since");
    assert_eq!(bench.number("SELECT count(*) FROM outbox"), 1, "what Ana wrote");
    assert_balanced(&bench);
}

#[test]
fn a_reply_that_is_sent_again_is_stored_once() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let other = bench.say("b", "2");
    take(&bench, conversation, "ana");
    take(&bench, other, "ana");
    let (turn, part) = (TurnId::new(bench.uuid()), PartId::new(bench.uuid()));
    let reply = |conversation| OperatorReply {
        conversation,
        who: "ana".into(),
        turn,
        parts: vec![ReplyPart { id: part, text: "hello".into() }],
        idle: IDLE,
    };
    for _ in 0..2 {
        assert_eq!(bench.wait(bench.store().reply(reply(conversation))), Ok(vec![]));
    }
    assert_eq!(bench.number("SELECT count(*) FROM outbox"), 1);
    assert!(bench.wait(bench.store().reply(reply(other))).is_err(), "another conversation's");
    assert_balanced(&bench);
}

#[test]
fn nobody_takes_a_conversation_from_somebody_without_knowing_it() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    let store = bench.store();
    take(&bench, conversation, "ana");
    let by = |who: &str, from: Option<&str>| {
        bench.wait(store.take_over(conversation, who.into(), from.map(Into::into), IDLE))
    };
    assert!(by("olga", None).is_err());
    assert!(by("olga", Some("vera")).is_err());
    assert!(bench.wait(store.hand_back(conversation, "olga".into(), None)).is_err());
    assert_eq!(by("ana", None), Ok(()));
    assert_eq!(by("olga", Some("ana")), Ok(()));
    assert!(write(&bench, conversation, "ana", "hello").is_err());
    assert_eq!(bench.wait(store.hand_back(conversation, "ana".into(), Some("olga".into()))), Ok(()));
}

#[test]
fn a_take_over_goes_along_when_two_conversations_prove_to_be_one_person() {
    let bench = Bench::new();
    let mut by_user = message("u", "1");
    (by_user.sender.phone, by_user.sender.user_id) = (None, Some("CC.ana".into()));
    let known = bench.admit(vec![by_user])[0].conversation;
    let by_phone = bench.say("p", "1");
    take(&bench, by_phone, "ana");
    let mut both = message("b", "1");
    both.sender.user_id = Some("CC.ana".into());
    assert_eq!(bench.admit(vec![both])[0].conversation, known);
    let view = bench.wait(bench.store().conversation(known)).unwrap().unwrap();
    assert_eq!(view.taken_by.as_deref(), Some("ana"));
    assert!(write(&bench, by_phone, "ana", "hello").is_err(), "it was merged");
    assert!(write(&bench, known, "ana", "hello").is_ok());
}
