//! Where documents are cut.

use super::*;

fn heading(level: u8, text: &str) -> Block {
    Block::Heading { level, text: text.into() }
}

fn text(text: &str) -> Block {
    Block::Text(text.into())
}

#[test]
fn chunks_are_whole_sentences_and_as_many_as_fit() {
    for (name, paragraphs, chars, expected) in [
        ("two that fit", &["One two. Three."][..], 20, &["One two. Three."][..]),
        ("two that do not", &["One two. Three."], 12, &["One two.", "Three."]),
        ("just", &["One. Two."], 9, &["One. Two."]),
        ("paragraphs are lines", &["One.", "Two.", "Three."], 9, &["One.\nTwo.", "Three."]),
        ("Arabic", &["كم السعر؟ عشرة دراهم. شكرا."], 22, &["كم السعر؟ عشرة دراهم.", "شكرا."]),
        ("Chinese", &["我们送水。每天九点开门。"], 8, &["我们送水。", "每天九点开门。"]),
        ("a number is no end", &["It costs 3.50 dirhams. Yes."], 22, &["It costs 3.50 dirhams.", "Yes."]),
        (
            "a sentence that is too long is cut between words",
            &["one two three four five"],
            9,
            &["one two", "three", "four five"],
        ),
        ("and goes on with what follows", &["one two three. Four."], 10, &["one two", "three.", "Four."]),
        ("a word that is too long is cut", &["abcdefgh ij"], 5, &["abcde", "fgh", "ij"]),
        ("so is a long sentence in Chinese", &["我们每天送水到家"], 3, &["我们每", "天送水", "到家"]),
    ] {
        let paragraphs: Vec<String> = paragraphs.iter().map(|text| (*text).to_owned()).collect();
        let cut = packed(&paragraphs, chars);
        assert_eq!(cut, expected, "{name}");
        assert!(cut.iter().all(|text| length(text) <= chars), "{name}");
    }
}

#[test]
fn the_headings_above_a_chunk_are_those_that_span_it() {
    let blocks = vec![
        text("Before."),
        heading(1, "A"),
        heading(3, "B"),
        text("In B."),
        heading(2, "C"),
        text("In C."),
        heading(2, "D"),
        heading(1, "E"),
        text("In E."),
        heading(7, "F"),
        text("In F."),
        Block::End(7),
        text("In E again."),
    ];
    let found = chunks(blocks, 800);
    let found: Vec<_> = found.iter().map(|chunk| (chunk.path.concat(), chunk.text.as_str())).collect();
    let expected = [
        ("", "Before."),
        ("AB", "In B."),
        ("AC", "In C."),
        ("AD", ""),
        ("E", "In E."),
        ("EF", "In F."),
        ("E", "In E again."),
    ];
    assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text)));
}

#[test]
fn an_answer_is_never_cut_and_one_that_is_too_long_for_one_is_passages() {
    let asked = |answer: &str| chunks(vec![heading(1, "Why?"), text(answer)], 100);
    let long = "A sentence of some words. ".repeat(20);
    assert_eq!(asked(&long).len(), 1, "longer than a passage, and an answer");
    assert_eq!(asked(&long)[0].question.as_deref(), Some("Why?"));
    let too_long = asked(&"A sentence of some words. ".repeat(100));
    assert!(too_long.len() > 20 && too_long.iter().all(|chunk| chunk.question.is_none()));
    assert!(
        too_long.iter().all(|chunk| chunk.passage().starts_with("Why?\n") && length(&chunk.passage()) <= 100)
    );
}

#[test]
fn outer_headings_give_way_to_sentences() {
    let blocks = vec![heading(1, &"x".repeat(90)), heading(2, "Inner"), text("One. Two.")];
    let found = chunks(blocks, 100);
    assert_eq!(found[0].passage(), "Inner\nOne. Two.");
}
