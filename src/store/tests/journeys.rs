use serde_json::json;
use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;

use super::bench::*;

/// A turn that committed with a step, and what was missing.
fn answered(bench: &Bench, id: &str, class: Class, degraded: bool) -> Vec<OutboxPart> {
    let conversation = bench.say(id, id);
    let start = bench.turn(conversation, &[1]);
    let step = Step {
        name: "query".into(),
        start_us: 5,
        duration_us: 1_000,
        outcome: "ok".into(),
        detail: json!({"prompt_tokens": 7}),
    };
    let journey = Journey { steps: vec![step], degraded };
    let commit = CommitTurn { class: Some(class), journey, ..bench.commit_of(&start, &["one", "two"]) };
    let CommitOutcome::Committed { parts, .. } = bench.commit(commit) else { panic!("fenced") };
    parts
}

fn positions(bench: &Bench, filter: JourneyFilter) -> Vec<i64> {
    let page = bench.wait(bench.store().journeys(filter, None, 100)).unwrap();
    page.journeys.into_iter().map(|journey| journey.position).collect()
}

#[test]
fn journeys_are_found_by_what_stands_out_about_them() {
    let bench = Bench::new();
    let _plain = answered(&bench, "a", Class::Inquiry, false);
    let ambiguous = answered(&bench, "b", Class::Complaint, false);
    let failed = answered(&bench, "c", Class::Inquiry, true);
    assert!(bench.sending(&ambiguous[0], 1));
    bench.mark(Mark::Ambiguous {
        part: ambiguous[0].id,
        attempt: 1,
        hold_until: Tick(0),
        error: "cut".into(),
    });
    assert!(bench.sending(&failed[0], 1));
    bench.mark(Mark::Failed { part: failed[0].id, attempt: 1, error: "131026".into() });
    let all = JourneyFilter::default();
    assert_eq!(positions(&bench, all.clone()), [3, 2, 1]);
    for (filter, expected) in [
        (JourneyFilter { conversation: Some(failed[0].conversation), ..all.clone() }, vec![3]),
        (JourneyFilter { failed: true, ..all.clone() }, vec![3]),
        (JourneyFilter { ambiguous: true, ..all.clone() }, vec![2]),
        (JourneyFilter { degraded: true, ..all.clone() }, vec![3]),
        // A reply that failed asks for a person.
        (JourneyFilter { needs_human: true, ..all.clone() }, vec![3]),
        (JourneyFilter { class: Some("complaint".into()), ..all.clone() }, vec![2]),
        (JourneyFilter { language: Some("xx".into()), ..all.clone() }, vec![]),
        (JourneyFilter { slow_ms: Some(0), ..all.clone() }, vec![3, 2, 1]),
        (JourneyFilter { slow_ms: Some(86_400_000), ..all.clone() }, vec![]),
        (JourneyFilter { text: Some("no such words".into()), ..all.clone() }, vec![]),
        (JourneyFilter { failed: true, class: Some("complaint".into()), ..all.clone() }, vec![]),
    ] {
        assert_eq!(positions(&bench, filter.clone()), expected, "{filter:?}");
    }
    let text = bench.text("SELECT upper(text) FROM messages WHERE seq = 1 LIMIT 1");
    assert!(!positions(&bench, JourneyFilter { text, ..all }).is_empty());
}

#[test]
fn a_page_goes_on_where_the_one_before_ended() {
    let bench = Bench::new();
    for id in ["a", "b", "c"] {
        answered(&bench, id, Class::Inquiry, false);
    }
    let store = bench.store();
    let first = bench.wait(store.journeys(JourneyFilter::default(), None, 2)).unwrap();
    assert_eq!((first.journeys.len(), first.next), (2, Some(2)));
    let rest = bench.wait(store.journeys(JourneyFilter::default(), first.next, 2)).unwrap();
    assert_eq!((rest.journeys.len(), rest.next), (1, None));
    let empty = Bench::new();
    let none = empty.wait(empty.store().journeys(JourneyFilter::default(), None, 2)).unwrap();
    assert_eq!((none.journeys.len(), none.next), (0, None));
}

#[test]
fn one_journey_has_its_messages_steps_and_what_became_of_each_part() {
    let bench = Bench::new();
    let parts = answered(&bench, "a", Class::Inquiry, false);
    assert!(bench.sending(&parts[0], 1));
    assert!(bench.sent(&parts[0], "wamid.1"));
    let view = bench.wait(bench.store().journey(1)).unwrap().unwrap();
    assert_eq!(view.row.conversation, parts[0].conversation);
    assert_eq!(view.row.parts, [PartState::Sent, PartState::Pending]);
    assert_eq!(view.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(view.journey.steps[0].detail, json!({"prompt_tokens": 7}));
    assert!(view.reply[0].sending_at.is_some() && view.reply[0].sent_at.is_some(), "{:?}", view.reply);
    assert_eq!((view.reply[1].sending_at, view.reply[1].sent_at), (None, None));
    assert_eq!(bench.wait(bench.store().journey(99)).unwrap(), None);
}

#[test]
fn what_no_stored_answer_fitted_is_told_with_what_was_nearest_and_what_one_answered_is_not() {
    let bench = Bench::new();
    let ask = |id: &str, detail: serde_json::Value| {
        let conversation = bench.say(id, id);
        let start = bench.turn(conversation, &[1]);
        let step = |name: &str, detail: serde_json::Value| Step {
            name: name.into(),
            start_us: 0,
            duration_us: 1,
            outcome: "ok".into(),
            detail,
        };
        let found = json!([{"id": "hours", "language": "en", "score": 0.25}]);
        let steps = vec![step("knowledge", found), step("query", detail)];
        let journey = Journey { steps, degraded: false };
        bench.commit(CommitTurn { journey, ..bench.commit_of(&start, &["x"]) });
    };
    ask("a", json!("not known"));
    ask("b", json!({"prompt_tokens": 9, "completion_tokens": 3}));
    ask("c", json!({"prompt_tokens": null, "completion_tokens": null}));
    let turns = bench.wait(bench.store().unanswered(100)).unwrap();
    let nearest: Vec<_> =
        turns.iter().map(|turn| turn.nearest.as_ref().map(|entry| entry.id.as_str())).collect();
    assert_eq!(nearest, [Some("hours"), Some("hours")], "{turns:?}");
    assert!(turns.iter().all(|turn| !turn.text.is_empty()));
    assert_eq!(bench.wait(bench.store().unanswered(1)).unwrap().len(), 0, "of the last turn alone");
}
