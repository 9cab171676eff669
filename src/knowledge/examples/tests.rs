use tertulia_actors::domain::Language;

use super::*;

fn base() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(EXAMPLES_MIGRATION).unwrap();
    conn.execute_batch(
        "CREATE TABLE turns (id TEXT, conversation_id TEXT, state TEXT, class TEXT);
         CREATE TABLE messages (conversation_id TEXT, turn_id TEXT, text TEXT, provider_at, received_tick, receipt_seq, seq);",
    )
    .unwrap();
    conn
}

fn example(text: &str, class: Class) -> ClassExample {
    ClassExample { text: text.into(), class, language: Some(Language::ENGLISH) }
}

/// A row that can be read.
fn read(row: ExampleRow) -> KeptExample {
    match row {
        ExampleRow::Kept(kept) => kept,
        ExampleRow::Unreadable(row) => panic!("{row:?}"),
    }
}

fn all(conn: &Connection) -> Vec<(String, Class, ExampleOrigin)> {
    let all = list(conn, 0, usize::MAX).unwrap().into_iter().map(read);
    all.map(|kept| (kept.example.text, kept.example.class, kept.origin)).collect()
}

fn id(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

#[test]
fn of_texts_with_the_same_words_the_latest_is_kept() {
    let conn = base();
    let given = [
        example("Where is it?", Class::Inquiry),
        example("أهلاً", Class::Greeting),
        example("🎈", Class::Other),
        example("where is IT", Class::Complaint),
    ];
    assert_eq!(put(&conn, &given, Timestamp(7)).unwrap(), 4);
    let kept: Vec<_> = all(&conn).into_iter().map(|(text, class, _)| (text, class)).collect();
    let expected = [("where is IT", Class::Complaint), ("أهلاً", Class::Greeting), ("🎈", Class::Other)];
    assert_eq!(kept, expected.map(|(text, class)| (text.to_owned(), class)));
    let page: Vec<_> = list(&conn, 1, 1).unwrap().into_iter().map(read).collect();
    assert_eq!((page.len(), page[0].id, page[0].at), (1, 2, Timestamp(7)));
    assert_eq!(page[0].example.language, Some(Language::ENGLISH));
}

#[test]
fn what_is_not_acceptable_changes_nothing_and_is_named() {
    let conn = base();
    let before = generation(&conn).unwrap();
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    for wrong in [" ", long.as_str()] {
        let error = put(&conn, &[example("fine", Class::Other), example(wrong, Class::Other)], Timestamp(0));
        assert!(error.unwrap_err().to_string().starts_with("example 2 has a text"));
    }
    let many: Vec<_> = (0..=EXAMPLES_MAX).map(|n| example(&format!("text {n}"), Class::Other)).collect();
    assert!(matches!(put(&conn, &many, Timestamp(0)), Err(ExampleError::Full)));
    assert_eq!((all(&conn).len(), generation(&conn).unwrap()), (0, before));
    assert_eq!(put(&conn, &many[1..], Timestamp(0)).unwrap(), EXAMPLES_MAX);
}

#[test]
fn every_change_has_a_generation_of_its_own() {
    let conn = base();
    let mut seen = vec![generation(&conn).unwrap()];
    put(&conn, &[example("a b", Class::Other)], Timestamp(0)).unwrap();
    seen.push(generation(&conn).unwrap());
    put(&conn, &[example("a b", Class::Thanks)], Timestamp(0)).unwrap();
    seen.push(generation(&conn).unwrap());
    assert_eq!(remove(&conn, &[1, 99]).unwrap(), 1);
    seen.push(generation(&conn).unwrap());
    assert!(seen.windows(2).all(|two| two[0] < two[1]), "{seen:?}");
    assert_eq!(remove(&conn, &[1]).unwrap(), 0);
}

#[test]
fn a_corrected_turn_is_an_example_and_the_latest_correction_wins() {
    let conn = base();
    let (conversation, turn, open, wordless) =
        (ConversationId::new(id(1)), TurnId::new(id(2)), TurnId::new(id(3)), TurnId::new(id(4)));
    let row = |turn: TurnId, state: &str| {
        let ids = params![turn.to_string(), conversation.to_string(), state];
        conn.execute("INSERT INTO turns VALUES (?1, ?2, ?3, 'inquiry')", ids).unwrap();
    };
    row(turn, "committed");
    row(open, "running");
    row(wordless, "committed");
    for (seq, of, text) in [
        (2, turn, Some("is broken")),
        (1, turn, Some("my cooler")),
        (3, turn, None),
        (4, wordless, Some(" ")),
    ] {
        let values = params![conversation.to_string(), of.to_string(), text, seq];
        conn.execute("INSERT INTO messages VALUES (?1, ?2, ?3, NULL, ?4, ?4, ?4)", values).unwrap();
    }
    let correct = |turn, class| correct(&conn, (conversation, turn), class, Timestamp(9));
    let first = correct(turn, Class::Suggestion).unwrap().unwrap();
    assert_eq!(first.was.as_deref(), Some("inquiry"));
    let second = correct(turn, Class::Complaint).unwrap().unwrap();
    assert_eq!(first.example, second.example);
    assert_eq!(
        all(&conn),
        [("my cooler\nis broken".to_owned(), Class::Complaint, ExampleOrigin::Correction)]
    );
    assert_eq!(correct(TurnId::new(id(5)), Class::Other).unwrap(), None);
    assert!(matches!(correct(open, Class::Other), Err(ExampleError::NotEnded(_))));
    assert!(matches!(correct(wordless, Class::Other), Err(ExampleError::NoText(_))));
    let elsewhere = (ConversationId::new(id(9)), turn);
    assert_eq!(super::correct(&conn, elsewhere, Class::Other, Timestamp(9)).unwrap(), None);
}

#[test]
fn a_row_that_cannot_be_read_is_told_by_its_number_and_keeps_nobody_from_the_others() {
    let conn = base();
    put(&conn, &["a", "b", "c", "d"].map(|text| example(text, Class::Thanks)), Timestamp(0)).unwrap();
    for change in [
        "class = 'rage' WHERE id = 1",
        "language = 'english' WHERE id = 2",
        "text = CAST(x'ff' AS TEXT) WHERE id = 4",
    ] {
        conn.execute(&format!("UPDATE classifier_examples SET {change}"), []).unwrap();
    }
    let (examples, unreadable) = super::all(&conn).unwrap();
    assert_eq!(examples, [example("c", Class::Thanks)]);
    let told: Vec<_> = unreadable.iter().map(|row| (row.id, row.reason.as_str())).collect();
    assert_eq!(told[..2].iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    assert!(told[0].1.contains("'rage'") && told[1].1.contains("'english'"), "{told:?}");
    assert!(told[2].0 == 4 && told[2].1.starts_with("its text cannot be read"), "{told:?}");
    let ids: Vec<_> = list(&conn, 0, 3).unwrap().iter().map(ExampleRow::id).collect();
    assert_eq!(ids, [1, 2, 3], "a page is as long as it was asked for");
    let shown = serde_json::to_value(&list(&conn, 0, 1).unwrap()[0]).unwrap();
    assert_eq!(shown, serde_json::json!({"id": 1, "unreadable": unreadable[0].reason}));
    assert_eq!(put(&conn, &[example("a", Class::Thanks)], Timestamp(0)).unwrap(), 1);
    assert_eq!(remove(&conn, &[2, 4]).unwrap(), 2);
    assert_eq!(super::all(&conn).unwrap().1, [], "put again, or removed");
}
