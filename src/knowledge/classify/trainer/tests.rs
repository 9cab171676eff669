//! A trainer, its thread, and models that are here, elsewhere, away or broken.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tertulia_actors::domain::{Class, Embedding, Timestamp};
use tertulia_actors::ports::{ClassExample, EmbedderError};

use super::super::vectors::tests::By;
use super::*;
use crate::knowledge::examples::{EXAMPLES_MIGRATION, put};

/// A database with the table of examples.
fn base(folder: &tempfile::TempDir) -> (PathBuf, Connection) {
    let path = folder.path().join("t.db");
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute_batch(EXAMPLES_MIGRATION).unwrap();
    (path, conn)
}

fn parts(path: PathBuf, embed: EmbedBy) -> TrainerParts {
    TrainerParts { path, languages: vec![Language::ENGLISH], extra: Examples::new(), embed }
}

fn zorblax(class: Class) -> ClassExample {
    ClassExample { text: "zorblax frimble".into(), class, language: None }
}

/// Classifies until the class is another one than before, and the trainer has nothing to do any more.
fn class_after(classifier: &mut LiveClassifier, generation: i64) -> Class {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let class = classifier.compute(("zorblax frimble".into(), None)).unwrap().class;
        if classifier.trainer.trained.borrow().generation == Some(generation) {
            return classifier.compute(("zorblax frimble".into(), None)).unwrap().class;
        }
        assert!(std::time::Instant::now() < deadline, "still {class}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_change_of_the_examples_is_learnt_and_the_newest_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (path, conn) = base(&folder);
    let mut classifier = LiveClassifier::new(Trainer::start(parts(path, EmbedBy::Nothing)).unwrap());
    for class in [Class::Complaint, Class::Suggestion] {
        put(&conn, &[zorblax(class)], Timestamp(0)).unwrap();
        assert_eq!(class_after(&mut classifier, generation(&conn).unwrap()), class);
    }
}

#[test]
fn an_example_that_cannot_be_read_keeps_nobody_from_learning_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (path, conn) = base(&folder);
    let bad = ClassExample { text: "qux".into(), class: Class::Other, language: None };
    put(&conn, &[bad, zorblax(Class::Complaint)], Timestamp(0)).unwrap();
    conn.execute("UPDATE classifier_examples SET class = 'rage' WHERE id = 1", []).unwrap();
    let mut classifier = LiveClassifier::new(Trainer::start(parts(path, EmbedBy::Nothing)).unwrap());
    assert_eq!(class_after(&mut classifier, generation(&conn).unwrap()), Class::Complaint);
    put(&conn, &[zorblax(Class::Suggestion)], Timestamp(0)).unwrap();
    assert_eq!(class_after(&mut classifier, generation(&conn).unwrap()), Class::Suggestion);
}

/// Makes what embeds by a function of a text.
fn by(
    function: impl FnMut(&str) -> Result<Option<Embedding>, EmbedderError> + Send + 'static,
) -> MakeEmbedder {
    Box::new(move || Box::new(By::new(function).0))
}

fn away() -> EmbedderError {
    EmbedderError::Unavailable("no connection".into())
}

#[test]
fn only_new_examples_are_embedded_and_a_model_that_fails_leaves_the_words() {
    let folder = tempfile::tempdir().unwrap();
    let (path, conn) = base(&folder);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let embed = by(move |text| {
        if text.contains("zorblax") {
            return Err(EmbedderError::Failed("broken".into()));
        }
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Some(vec![1.0, text.len() as f32].into()))
    });
    let mut classifier = LiveClassifier::new(Trainer::start(parts(path, EmbedBy::Here(embed))).unwrap());
    let at_start = count.load(Ordering::Relaxed);
    assert!(at_start > 500, "{at_start}");
    put(&conn, &[zorblax(Class::Complaint)], Timestamp(0)).unwrap();
    assert_eq!(class_after(&mut classifier, generation(&conn).unwrap()), Class::Complaint);
    let other = ClassExample { text: "qux corge".into(), class: Class::Other, language: None };
    put(&conn, &[other], Timestamp(0)).unwrap();
    class_after(&mut classifier, generation(&conn).unwrap());
    // Once alone, and once at the most in a page that fails because of the other.
    assert!(count.load(Ordering::Relaxed) <= at_start + 2);
}

#[test]
fn what_is_in_the_database_is_known_from_the_first_call_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, conn) = base(&folder);
    put(&conn, &[zorblax(Class::Complaint)], Timestamp(0)).unwrap();
    for embed in [
        EmbedBy::Nothing,
        EmbedBy::Here(by(|_| Ok(None))),
        EmbedBy::Here(by(|_| Err(away()))),
        EmbedBy::Elsewhere(by(|_| Err(away()))),
    ] {
        let mut classifier = LiveClassifier::new(Trainer::start(parts(path.clone(), embed)).unwrap());
        let first = classifier.compute(("zorblax frimble".into(), None)).unwrap();
        assert_eq!(first.class, Class::Complaint);
    }
}

/// What texts of a kind mean, and all others.
fn meaning(text: &str) -> Embedding {
    if text.contains("zorblax") { vec![1.0, 0.0] } else { vec![0.0, 1.0] }.into()
}

#[test]
fn a_model_elsewhere_is_tried_again_by_itself_and_words_tell_until_all_has_a_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let (path, conn) = base(&folder);
    let own = (0..12).map(|n| ClassExample { text: format!("zorblax {n}"), ..zorblax(Class::Complaint) });
    put(&conn, &own.collect::<Vec<_>>(), Timestamp(0)).unwrap();
    let is_there = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_there);
    let embed =
        by(move |text| if asked.load(Ordering::SeqCst) { Ok(Some(meaning(text))) } else { Err(away()) });
    let mut classifier = LiveClassifier::new(Trainer::start(parts(path, EmbedBy::Elsewhere(embed))).unwrap());
    // No word of it is in any example, so that only what it means can be near one.
    let mut scope = || classifier.compute(("qux corge".into(), Some(meaning("zorblax")))).unwrap().scope;
    assert!(scope() < 0.5, "by its words");
    is_there.store(true, Ordering::SeqCst);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while scope() < 0.5 {
        assert!(std::time::Instant::now() < deadline, "what it means is not learnt");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_first_classifier_waits_for_a_model_here_and_not_for_one_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _conn) = base(&folder);
    let count = Arc::new(AtomicUsize::new(0));
    let embed = || {
        let counted = Arc::clone(&count);
        by(move |text| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Some(meaning(text)))
        })
    };
    let (school, _) = School::open(parts(path.clone(), EmbedBy::Elsewhere(embed())));
    assert_eq!((count.load(Ordering::Relaxed), school.is_done()), (0, false));
    let (school, _) = School::open(parts(path, EmbedBy::Here(embed())));
    assert!(count.load(Ordering::Relaxed) > 500 && school.is_done());
}

#[test]
fn each_wait_is_twice_as_long_and_none_is_too_long() {
    let mut retry = Some(Duration::ZERO);
    let mut waits = vec![];
    for _ in 0..8 {
        retry = Some(longer(retry));
        waits.extend(retry.map(|wait| wait.as_secs()));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(longer(None), RETRY);
}

#[test]
fn without_a_database_what_is_built_in_serves() {
    let nowhere = parts("/nowhere/t.db".into(), EmbedBy::Nothing);
    let mut classifier = LiveClassifier::new(Trainer::start(nowhere).unwrap());
    assert_eq!(classifier.compute(("hello".into(), None)).unwrap().class, Class::Greeting);
}

#[test]
fn the_trainers_thread_ends_with_the_last_that_can_ask_it() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = Trainer::start(parts(base(&folder).0, EmbedBy::Nothing)).unwrap();
    let trained = trainer.trained.clone();
    drop(trainer);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while trained.has_changed().is_ok() {
        assert!(std::time::Instant::now() < deadline, "the thread is left");
        std::thread::sleep(Duration::from_millis(5));
    }
}
