use std::collections::{BTreeMap, BTreeSet};

use tertulia_actors::domain::Language;

use super::*;

const NONE: &str = "";

/// A vocabulary with "water" in every second question of 100, all other stems of some texts in one.
fn vocabulary(stems: &Stems, texts: &[&str]) -> Vocabulary {
    let parts = texts.iter().flat_map(|text| sentences(text).chain([*text]));
    let all = parts.flat_map(|text| stems.terms(text, None)).flat_map(|term| {
        let mut held = pieces(&term.stem);
        held.push(term.stem);
        held
    });
    let mut counts: BTreeMap<_, _> = all.map(|stem| (stem, 1)).collect();
    counts.insert("water".into(), 50);
    let mut vocabulary = Vocabulary::default();
    for (stem, count) in counts {
        let id = vocabulary.add(stems, &stem);
        (0..count).for_each(|_| vocabulary.occurs(id, true, false, true));
    }
    (0..100).for_each(|_| vocabulary.know_entry(None, 1));
    vocabulary.lengthen(800);
    vocabulary.settle();
    vocabulary
}

fn asked(stems: &Stems, vocabulary: &Vocabulary, query: &str) -> Asked {
    let meant = |stem: &str| {
        let id = vocabulary.id(stem).unwrap();
        let (weight, is_subject) = (vocabulary.weight(id), stems.is_subject(stem));
        Meant { ids: vec![id], weight, certainty: 1.0, is_subject }
    };
    let way = |text: &str| -> Vec<Meant> {
        let distinct: BTreeSet<_> = stems.terms(text, None).into_iter().map(|term| term.stem).collect();
        distinct.iter().map(|stem| meant(stem)).collect()
    };
    let mut ways: Vec<_> =
        sentences(query).map(way).filter(|way| way.iter().any(|term| term.is_subject)).collect();
    ways.push(way(query));
    let cut: BTreeSet<_> = stems.terms(query, None).iter().flat_map(|term| pieces(&term.stem)).collect();
    Asked::new(vocabulary, ways, cut.iter().map(|piece| meant(piece)).collect())
}

fn entry(question: &str, answer: &str) -> Entry {
    Entry::new("e", Language::ENGLISH, question, answer)
}

fn check(query: &str, question: &str, answer: &str) -> f32 {
    let stems = Stems::new();
    let vocabulary = vocabulary(&stems, &[query, question, answer]);
    let stored = Stored::new(&stems, &vocabulary, &entry(question, answer));
    score(&vocabulary, &asked(&stems, &vocabulary, query), &stored)
}

#[test]
fn scores_fit_the_thresholds_for_replies_and_passages() {
    let (reply, stored, passage) = (0.6, 0.5, 0.15);
    let answer = "Order before four and it comes the same day.";
    for (query, question, least, most) in [
        ("How long does delivery take?", "How long does delivery take?", 0.999, 1.0),
        ("how LONG do deliveries take", "How long does delivery take?", 0.999, 1.0),
        ("delivery, how long?", "How long does delivery take? When does my water arrive?", reply, 1.0),
        ("when will my water arrive", "How long does delivery take? When does my water arrive?", 0.999, 1.0),
        ("Hello!\nI live in town.\nHow long does delivery take?", "How long does delivery take?", 0.999, 1.0),
        ("is it the same day", "How long does delivery take?", passage, stored),
        ("do you deliver pizza and burgers", "How long does delivery take?", 0.0, stored),
        ("water", "Where does your water come from?", 0.0, stored),
        ("how long is it", "How long does delivery take? How long is it?", 0.0, stored),
        ("how long is it", "How long is it?", 0.999, 1.0),
        ("my cat is black", "How long does delivery take?", 0.0, 0.0),
        ("كم يستغرق التوصيل", "كم يستغرق التوصيل؟ متى يصل الماء؟", 0.999, 1.0),
    ] {
        let score = check(query, question, answer);
        assert!((least..=most).contains(&score), "{query:?}: {score}, not in {least}..={most}");
    }
}

#[test]
fn nothing_asked_or_stored_scores_nothing() {
    for (query, question, answer) in [(NONE, "a question?", "x"), ("water", NONE, NONE), (NONE, NONE, NONE)] {
        assert!(check(query, question, answer).abs() < f32::EPSILON);
    }
}

#[test]
fn a_passage_is_compared_by_what_it_says() {
    let passage = "The spring lies in the hills. Its water is filtered through sandstone.";
    assert!(check("through what is the water filtered", NONE, passage) > 0.3);
    assert!(check("who owns the town hall", NONE, passage) < 0.01);
}

#[test]
fn a_question_is_put_in_each_of_its_sentences_with_a_subject_and_in_all() {
    let stems = Stems::new();
    let put = |question| -> Vec<String> {
        let vocabulary = vocabulary(&stems, &[question]);
        let stored = Stored::new(&stems, &vocabulary, &entry(question, "x"));
        let name = |way: &Vec<StemId>| {
            let names: BTreeSet<_> = way.iter().map(|id| vocabulary.stem(*id)).collect();
            Vec::from_iter(names).join(" ")
        };
        stored.phrasings[0].ways.iter().map(name).collect()
    };
    assert_eq!(put("Water? 1.5 l. Bottles!"), ["water", "1 5 l", "bottl", "1 5 bottl l water"]);
    assert_eq!(put("A deposit? How much is it?"), ["deposit", "deposit much"]);
    assert_eq!(put("Who are you?"), ["are who you"]);
}

#[test]
fn what_a_courtesy_takes_from_the_whole_is_in_none_of_its_sentences() {
    let stems = Stems::new();
    let vocabulary = vocabulary(&stems, &["morning delivery", "good evening"]);
    let stored = Stored::new(&stems, &vocabulary, &entry("Is it good! Morning delivery?", "Yes."));
    let whole = stored.phrasings[0].ways.last().unwrap();
    assert!(!whole.contains(&vocabulary.id("morn").unwrap()), "it is a greeting there");
    assert!(stored.phrasings[0].ways.iter().flatten().all(|id| whole.contains(id)));
}
