use tertulia_actors::domain::*;
use tertulia_actors::ports::store::Mark;

use super::bench::*;

fn from(id: &str, phone: Option<&str>, user_id: Option<&str>) -> InboundMessage {
    let sender =
        Sender { phone: phone.map(Into::into), user_id: user_id.map(Into::into), ..Sender::default() };
    InboundMessage { sender, ..message(id, "") }
}

fn say(bench: &Bench, id: &str, phone: Option<&str>, user_id: Option<&str>) -> ConversationId {
    bench.admit(vec![from(id, phone, user_id)])[0].conversation
}

#[test]
fn a_person_is_the_same_by_phone_by_bsuid_and_by_both() {
    let bench = Bench::new();
    let by_phone = say(&bench, "a", Some("1"), None);
    assert_eq!(say(&bench, "b", Some("1"), Some("US.X")), by_phone);
    assert_eq!(say(&bench, "c", None, Some("US.X")), by_phone);
    assert_eq!(say(&bench, "d", Some("1"), None), by_phone);
}

#[test]
fn a_phone_given_to_somebody_else_starts_a_conversation_without_the_history() {
    let bench = Bench::new();
    let old = say(&bench, "a", Some("1"), Some("US.X"));
    let part = bench.answer(old, &[1], &["for X"]).remove(0);
    assert_eq!(part.recipient.phone.as_deref(), Some("1"));
    let new = say(&bench, "b", Some("1"), Some("US.Y"));
    assert_ne!(new, old);
    assert_eq!(say(&bench, "c", Some("1"), None), new);
    assert_eq!(say(&bench, "d", None, Some("US.X")), old);
    let lane = bench.lane(old);
    assert_eq!(lane[0].recipient, Recipient { phone: None, user_id: Some("US.X".into()) });
    assert!(bench.all_told().contains(&Told::Changed(old)));
}

#[test]
fn a_person_with_a_new_number_leaves_the_old_one_to_others() {
    let bench = Bench::new();
    let person = say(&bench, "a", Some("1"), Some("US.X"));
    assert_eq!(say(&bench, "b", Some("2"), Some("US.X")), person);
    assert_ne!(say(&bench, "c", Some("1"), None), person);
    let part = bench.answer(person, &[1, 2], &["x"]).remove(0);
    assert_eq!(part.recipient.phone.as_deref(), Some("2"));
}

#[test]
fn two_conversations_of_one_person_are_merged_and_the_old_one_still_reaches_them() {
    let bench = Bench::new();
    let by_phone = say(&bench, "a", Some("1"), None);
    let by_user = say(&bench, "b", None, Some("US.X"));
    assert_ne!(by_phone, by_user);
    assert_eq!(say(&bench, "c", Some("1"), Some("US.X")), by_user);
    assert_eq!(say(&bench, "d", Some("1"), None), by_user);
    assert!(bench.all_told().contains(&Told::Changed(by_phone)));
    let merged = format!("SELECT merged_into FROM conversations WHERE id = '{by_phone}'");
    assert_eq!(bench.text(&merged), Some(by_user.to_string()));
    let part = bench.answer(by_phone, &[1], &["late"]).remove(0);
    assert_eq!(part.recipient, Recipient { phone: Some("1".into()), user_id: Some("US.X".into()) });
}

#[test]
fn aliases_of_one_account_say_nothing_on_another() {
    let bench = Bench::new();
    let here = say(&bench, "a", Some("1"), Some("US.X"));
    let mut there = from("b", Some("1"), Some("US.X"));
    there.account.name = "another".into();
    assert_ne!(bench.admit(vec![there])[0].conversation, here);
}

#[test]
fn a_message_without_a_sender_is_refused_with_its_whole_webhook() {
    let bench = Bench::new();
    let admission = tertulia_actors::ports::store::Admission {
        messages: vec![message("a", "1"), from("b", None, None)],
        ..Default::default()
    };
    use tertulia_actors::ports::store::Inbox;
    let error = bench.wait(bench.store().admit(admission)).unwrap_err();
    assert!(error.to_string().contains("sender"), "{error}");
    assert_eq!(bench.number("SELECT count(*) FROM messages"), 0);
    assert_eq!(bench.books(), Books::default());
    assert_eq!(bench.all_told(), []);
}

#[test]
fn replies_of_a_merged_conversation_follow_the_person_to_the_number_they_write_from_now() {
    let bench = Bench::new();
    let person = say(&bench, "a", Some("old"), Some("US.X"));
    let by_phone = say(&bench, "b", Some("new"), None);
    bench.answer(by_phone, &[1], &["for X"]);
    assert_eq!(say(&bench, "c", Some("new"), Some("US.X")), person);
    assert_eq!(bench.lane(by_phone)[0].recipient.phone.as_deref(), Some("new"));
    assert_eq!(say(&bench, "d", Some("newest"), Some("US.X")), person);
    assert_eq!(bench.lane(by_phone)[0].recipient.phone.as_deref(), Some("newest"));
}

#[test]
fn a_part_is_not_sent_to_where_its_person_was_before() {
    let bench = Bench::new();
    let old = say(&bench, "a", Some("1"), Some("US.X"));
    let held = bench.answer(old, &[1], &["for X"]).remove(0);
    say(&bench, "b", Some("1"), Some("US.Y"));
    assert!(!bench.sending(&held, 1), "the number is somebody else's by now");
    let part = bench.lane(old).remove(0);
    assert!(bench.sending(&part, 1));
}

#[test]
fn a_number_that_was_given_on_gets_no_reply_of_its_last_owner_whose_row_was_unreadable_and_is_mended() {
    let mut bench = Bench::new();
    let old = say(&bench, "a", Some("1"), Some("US.X"));
    bench.answer(old, &[1], &["for X"]);
    let break_it = format!("UPDATE conversations SET user_id = CAST(x'fe' AS TEXT) WHERE id = '{old}'");
    bench.sql().execute_batch(&break_it).unwrap();
    assert_ne!(say(&bench, "b", Some("1"), Some("US.Y")), old);
    let mend_it = format!("UPDATE conversations SET user_id = 'US.X' WHERE id = '{old}'");
    bench.sql().execute_batch(&mend_it).unwrap();
    bench.restart();
    assert_eq!(bench.lane(old)[0].recipient, Recipient { phone: None, user_id: Some("US.X".into()) });
}

#[test]
fn a_part_that_is_sent_again_goes_to_where_its_person_is_now() {
    let bench = Bench::new();
    let old = say(&bench, "a", Some("1"), Some("US.X"));
    let part = bench.answer(old, &[1], &["for X"]).remove(0);
    assert!(bench.sending(&part, 1));
    say(&bench, "b", Some("1"), Some("US.Y"));
    bench.mark(Mark::Retry { part: part.id, attempt: 1, not_before: Tick(0), error: "429".into() });
    assert_eq!(bench.lane(old)[0].recipient, Recipient { phone: None, user_id: Some("US.X".into()) });
}

#[test]
fn a_message_knows_the_language_of_its_conversation() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    bench.answer(conversation, &[1], &["x"]);
    bench.all_told();
    bench.say("b", "1");
    let Told::Admitted(admitted) = bench.next_told() else { panic!("a message was admitted") };
    assert_eq!(admitted.language, Some(Language::ARABIC));
}
