use futures_util::future::join_all;
use tertulia_actors::domain::*;
use tertulia_actors::ports::Store;
use tertulia_actors::ports::store::*;

use super::bench::*;

#[test]
fn messages_of_a_payload_are_numbered_in_its_order_and_told_after_the_commit() {
    let bench = Bench::new();
    let stored = bench.admit(vec![message("a", "1"), message("b", "2"), message("c", "1")]);
    assert_eq!(stored[0].conversation, stored[2].conversation);
    assert_ne!(stored[0].conversation, stored[1].conversation);
    assert!(stored.iter().all(|stored| !stored.duplicate));
    for (who, seq, pending, text) in [(0, 1, 1, "text of a"), (1, 1, 1, "text of b"), (0, 2, 2, "text of c")]
    {
        let Told::Admitted(admitted) = bench.next_told() else { panic!("not admitted") };
        assert_eq!(admitted.conversation, stored[who].conversation);
        assert_eq!((admitted.message.seq, admitted.pending), (seq, pending));
        assert_eq!(admitted.message.text.as_deref(), Some(text));
        assert!(!admitted.account.channel.is_read_from_store());
    }
    assert_eq!(bench.load(stored[0].conversation).pending.len(), 2);
}

#[test]
fn the_same_webhook_five_times_at_once_is_stored_and_told_once() {
    let bench = Bench::new();
    let store = bench.store();
    let again = || store.admit(Admission { messages: vec![message("wamid.1", "1")], ..Admission::default() });
    let answers = bench.wait(join_all((0..5).map(|_| again())));
    let stored: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()[0]).collect();
    assert_eq!(stored.iter().filter(|stored| !stored.duplicate).count(), 1);
    assert!(stored.iter().all(|one| one.conversation == stored[0].conversation));
    assert_eq!(bench.number("SELECT count(*) FROM messages"), 1);
    assert_eq!(bench.all_told().len(), 1);
    let books = bench.books();
    assert_eq!((books.received, books.pending, books.duplicates), (1, 1, 4));
}

#[test]
fn a_duplicate_names_its_conversation_and_moves_no_alias() {
    let bench = Bench::new();
    let first = bench.say("a", "1");
    let mut again = message("a", "2");
    again.sender.user_id = Some("US.1".into());
    let stored = bench.admit(vec![again]);
    assert_eq!((stored[0].conversation, stored[0].duplicate), (first, true));
    assert_eq!(bench.number("SELECT count(*) FROM aliases"), 1);
    assert_eq!(bench.number("SELECT count(*) FROM conversations"), 1);
}

#[test]
fn the_same_provider_id_on_another_account_is_another_message() {
    let bench = Bench::new();
    let mut other = message("a", "1");
    other.account.name = "another".into();
    let stored = bench.admit(vec![message("a", "1"), other]);
    assert!(!stored[1].duplicate);
    assert_ne!(stored[0].conversation, stored[1].conversation);
}

#[test]
fn a_suppressed_message_has_a_number_and_a_reason_but_wakes_nobody() {
    let bench = Bench::new();
    let stale = InboundMessage { suppressed: Some("stale"), ..message("a", "1") };
    let conversation = bench.admit(vec![stale])[0].conversation;
    bench.say("b", "1");
    let told = bench.all_told();
    let [Told::Admitted(admitted)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((admitted.message.seq, admitted.pending), (2, 1));
    assert_eq!(bench.text("SELECT reason FROM messages WHERE seq = 1").as_deref(), Some("stale"));
    assert_eq!(bench.load(conversation).last_seq, 2);
    let books = bench.books();
    assert_eq!((books.suppressed, books.pending), (1, 1));
}

#[test]
fn the_first_message_sets_the_deadline_that_the_sweep_finds() {
    let bench = Bench::new();
    let first = bench.say("a", "1");
    let mut later = message("b", "1");
    later.receipt.tick = Tick(1_000_900);
    bench.admit(vec![later]);
    let second = bench.say("c", "2");
    let overdue = |until, after, limit| bench.wait(bench.store().overdue(Tick(until), after, limit)).unwrap();
    assert_eq!(overdue(1_002_999, None, 9), []);
    let page = overdue(1_003_000, None, 1);
    assert_eq!(page[0].wake_at, Tick(1_000_000).after(QUIET));
    assert_eq!((page[0].conversation, page[0].last_seq), (first, 2));
    let rest = overdue(1_003_000, Some((page[0].wake_at, page[0].conversation)), 9);
    assert_eq!(rest.iter().map(|one| one.conversation).collect::<Vec<_>>(), [second]);
}

#[test]
fn a_person_is_found_by_handle_on_the_account_only() {
    let bench = Bench::new();
    let stored = bench.admit(vec![web_message("a", "secret"), web_message("b", "secret")]);
    assert_eq!(stored[0].conversation, stored[1].conversation);
    let find = |account: Account, handle: &str| {
        bench.wait(bench.store().find_conversation(account, handle.into())).unwrap()
    };
    assert_eq!(find(Account::new(Channel::Web, "site"), "secret"), Some(stored[0].conversation));
    assert_eq!(find(Account::new(Channel::Web, "site"), "other"), None);
    assert_eq!(find(Account::new(Channel::Api, "site"), "secret"), None);
    let Told::Admitted(admitted) = bench.next_told() else { panic!("not admitted") };
    assert!(admitted.account.channel.is_read_from_store());
}

#[test]
fn the_oldest_quarantined_body_goes_when_there_are_too_many_and_is_counted() {
    let bench = Bench::with(|settings| settings.quarantine_max = 2);
    let body = |n: u8| Quarantined {
        channel: Channel::Whatsapp,
        reason: format!("reason {n}"),
        body: vec![b'0' + n, 0xff],
        received_at: Timestamp(i64::from(n)),
    };
    for n in 1..=3 {
        bench
            .wait(bench.store().admit(Admission { quarantined: vec![body(n)], ..Admission::default() }))
            .unwrap();
    }
    let kept = bench.wait(bench.store().quarantined(None, 9)).unwrap();
    assert_eq!(kept.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>(), ["reason 3", "reason 2"]);
    assert_eq!(kept[0].body, "3\u{fffd}");
    bench.wait(bench.store().probe()).unwrap();
    assert_eq!(bench.number("SELECT quarantine_lost FROM ledger"), 1);
}

#[test]
fn the_oldest_quarantined_bodies_go_when_all_together_are_too_large() {
    let bench = Bench::with(|settings| settings.quarantine_bytes = 10);
    for n in 0..4 {
        let body = Quarantined {
            channel: Channel::Whatsapp,
            reason: n.to_string(),
            body: vec![b'x'; 4],
            received_at: Timestamp(n),
        };
        let admission = Admission { quarantined: vec![body], ..Admission::default() };
        bench.wait(bench.store().admit(admission)).unwrap();
    }
    let kept = bench.wait(bench.store().quarantined(None, 9)).unwrap();
    assert_eq!(kept.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>(), ["3", "2"]);
    bench.wait(bench.store().probe()).unwrap();
    assert_eq!(bench.number("SELECT quarantine_lost FROM ledger"), 2);
}

#[test]
fn nul_bytes_marks_and_emoji_are_stored_as_they_came() {
    let bench = Bench::new();
    let text = format!("a\0b\u{200f}مرحبا{}", "🙂".repeat(4_096));
    let odd = InboundMessage { text: Some(text.clone()), ..message("a", "1") };
    let empty = InboundMessage { text: Some(String::new()), ..message("b", "1") };
    let conversation = bench.admit(vec![odd, empty])[0].conversation;
    let pending = bench.load(conversation).pending;
    assert_eq!(pending[0].text.as_deref(), Some(text.as_str()));
    assert_eq!(pending[1].text.as_deref(), Some(""));
}
