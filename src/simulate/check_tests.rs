use super::*;

const fn token(person: usize, burst: usize, message: usize) -> Token {
    Token { person, burst, message }
}

fn message(token: Token, received: i64, turn: &str) -> Message {
    Message {
        token: Some(token),
        conversation: format!("c{}", token.person),
        received,
        receipt_seq: received,
        state: "answered".into(),
        turn: Some(turn.into()),
        alone: false,
    }
}

fn turn(id: &str, conversation: &str, ended: i64) -> Turn {
    let (id, conversation) = (id.to_owned(), conversation.to_owned());
    Turn { id, conversation, state: "committed".into(), ended: Some(ended) }
}

fn part(id: &str, turn: &str, position: i64, tokens: &[Token]) -> Part {
    Part {
        id: id.into(),
        conversation: format!("c{}", tokens[0].person),
        turn: turn.into(),
        position,
        state: "sent".into(),
        tokens: tokens.to_vec(),
    }
}

fn accepted(part: &Part, at: i64) -> Accepted {
    let address = Person::new(part.tokens[0].person).address().to_owned();
    Accepted { at: Timestamp(at), part: part.id.clone(), address, tokens: part.tokens.clone() }
}

/// Two people, one of whom wrote two bursts; everything as promised.
fn fine() -> Record {
    let (a, b, c, d) = (token(0, 0, 0), token(0, 0, 1), token(0, 1, 0), token(1, 0, 0));
    let parts = vec![part("p1", "t1", 1, &[a, b]), part("p2", "t2", 2, &[d]), part("p3", "t3", 3, &[c])];
    let prompt = |conversation: &str, asked, text: &[Token], history: &[Token]| Prompt {
        conversation: conversation.into(),
        asked: Timestamp(asked),
        ended: Some(Timestamp(asked + 500)),
        text: text.to_vec(),
        history: history.to_vec(),
    };
    Record {
        limits: Limits { quiet_ms: 1_000, max_wait_ms: 5_000, max_messages: 10, patience_ms: 9_000 },
        written: [a, b, c, d].map(|token| (token, true)).to_vec(),
        messages: vec![
            message(a, 100, "t1"),
            message(b, 300, "t1"),
            message(d, 350, "t2"),
            message(c, 5_000, "t3"),
        ],
        turns: vec![turn("t1", "c0", 2_000), turn("t2", "c1", 2_000), turn("t3", "c0", 7_000)],
        accepted: parts.iter().zip([2_100, 2_200, 7_100]).map(|(part, at)| accepted(part, at)).collect(),
        parts,
        prompts: vec![
            prompt("c0", 1_300, &[a, b], &[]),
            prompt("c1", 1_350, &[d], &[]),
            prompt("c0", 6_000, &[c], &[a, b]),
        ],
        books: vec![(Timestamp(0), Books { received: 4, answered: 4, ..Books::default() })],
        model_fails: false,
        oddities: vec![],
    }
}

/// The kinds of breaches that a change makes.
fn kinds(change: impl FnOnce(&mut Record)) -> Vec<&'static str> {
    let mut record = fine();
    change(&mut record);
    let mut kinds: Vec<_> = check(&record).into_iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_world_that_keeps_its_promises_has_no_findings() {
    assert_eq!(check(&fine()), []);
}

#[test]
fn each_breach_is_found_by_its_kind() {
    type Change = fn(&mut Record);
    let cases: [(&str, Change, &[&str]); 21] = [
        ("not stored", |r| drop(r.messages.pop()), &["books", "lost"]),
        ("never acknowledged", |r| r.written[0].1 = false, &["lost"]),
        ("still waits", |r| r.messages[3].state = "pending".into(), &["lost"]),
        ("stored twice", |r| r.messages.push(r.messages[0].clone()), &["books", "doubled", "lost"]),
        ("sent twice", |r| r.accepted.insert(1, r.accepted[0].clone()), &["doubled"]),
        ("part never sent", |r| drop(r.accepted.pop()), &["lost"]),
        ("part still pending", |r| r.parts[2].state = "pending".into(), &["lost"]),
        ("no reply", |r| drop((r.parts.pop(), r.accepted.pop())), &["lost"]),
        ("half a reply", |r| r.parts[0].tokens.truncate(1), &["lost"]),
        ("phrase without a fault", |r| r.parts[2].tokens.clear(), &["lost"]),
        ("another's words in the prompt", |r| r.prompts[0].text[0].person = 1, &["foreign"]),
        ("another's words in the history", |r| r.prompts[2].history[0].person = 1, &["foreign"]),
        ("another's address", |r| r.accepted[0].address = "x".into(), &["foreign"]),
        ("another's conversation", |r| r.messages[1].token = Some(token(1, 7, 7)), &["foreign", "lost"]),
        ("parts swapped", |r| r.accepted.swap(0, 2), &["reordered"]),
        ("answered late", |r| r.turns[2].ended = Some(15_000), &["late"]),
        ("two turns at once", |r| r.prompts[2].asked = Timestamp(1_500), &["reordered"]),
        ("a burst split", |r| r.messages[3].received = 1_200, &["split"]),
        ("bursts merged", |r| r.limits.quiet_ms = 50, &["merged"]),
        ("books that do not balance", |r| r.books[0].1.answered = 3, &["books"]),
        ("a panic", |r| r.oddities.push("a panic".into()), &["odd"]),
    ];
    for (name, change, expected) in cases {
        let found = kinds(change);
        // A breach may show in other ways, too.
        assert!(expected.iter().all(|kind| found.contains(kind)), "{name}: {found:?}");
    }
}

#[test]
fn a_phrase_is_an_answer_where_the_model_failed() {
    assert!(
        kinds(|r| (r.parts[2].tokens, r.accepted[2].tokens, r.model_fails) = (vec![], vec![], true))
            .is_empty()
    );
}

#[test]
fn a_burst_may_be_split_where_a_limit_closed_it_or_the_gap_was_long() {
    let close = |record: &mut Record| record.messages[3].received = 2_500;
    assert!(kinds(close).is_empty(), "2,200 ms lie between the two");
    let full = |record: &mut Record| {
        record.messages[3].received = 1_200;
        record.limits.max_messages = 2;
    };
    assert!(kinds(full).is_empty());
    let during_the_turn_before = |record: &mut Record| {
        record.messages[3].received = 1_200;
        record.messages[3].alone = true;
    };
    assert!(kinds(during_the_turn_before).is_empty());
}
