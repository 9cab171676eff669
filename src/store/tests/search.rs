use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;

use super::bench::*;

#[test]
fn a_conversation_is_found_by_its_id_its_phone_number_or_its_handle_or_how_they_begin() {
    let bench = Bench::new();
    let store = bench.store();
    let (one, two) = (bench.say("a", "966501"), bench.say("b", "966502"));
    let web = bench.admit(vec![web_message("c", "handle-x")])[0].conversation;
    let find = |text: &str, after: Option<ConversationId>, limit: usize| {
        let found = bench.wait(store.find_conversations(text.into(), after, limit)).unwrap();
        found.into_iter().map(|view| view.id).collect::<Vec<_>>()
    };
    assert_eq!(find("966501", None, 9), [one]);
    assert_eq!(find("+966 50-2", None, 9), [two]);
    assert_eq!(find("9665", None, 9), [one, two]);
    assert_eq!(find("9665", None, 1), [one]);
    assert_eq!(find("9665", Some(one), 9), [two]);
    assert_eq!(find("handle", None, 9), [web]);
    assert_eq!(find(&one.to_string(), None, 9), [one]);
    assert_eq!(find(&two.to_string()[..8], None, 9).len(), 3, "all ids begin with the time");
    for nobody in ["5", "966503", "HANDLE", "%", "x"] {
        assert_eq!(find(nobody, None, 9), [], "{nobody}");
    }
}
