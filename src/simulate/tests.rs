//! Short simulations: that they repeat themselves, that the server keeps its promises in them, and that a server which does
//! not is found out.

use super::*;

fn run(seed: u64, users: usize, faults: Faults, lie: Option<Lie>) -> Outcome {
    simulate(&Options { lie, ..Options::new(seed, (users, 1), faults, Config::default()) }).unwrap()
}

fn kinds(outcome: &Outcome) -> Vec<&'static str> {
    outcome.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another_one() {
    let [one, again, other] = [7, 7, 8].map(|seed| run(seed, 4, Faults::all(), None));
    assert_eq!(one.trace.text(), again.trace.text());
    assert_eq!(one.trace.sha256(), again.trace.sha256());
    assert_ne!(one.trace.sha256(), other.trace.sha256());
    assert!(one.lives > 1 && one.books.received > 0, "{} lives, {:?}", one.lives, one.books);
}

#[test]
fn a_day_without_faults_keeps_every_promise_and_answers_everything() {
    let outcome = run(1, 8, Faults::default(), None);
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.books.answered, outcome.books.received);
    assert_eq!((outcome.books.parts_ambiguous, outcome.lives), (0, 1));
}

#[test]
fn a_day_with_every_fault_keeps_every_promise() {
    for seed in 1..=3 {
        let outcome = run(seed, 8, Faults::all(), None);
        assert_eq!(outcome.findings, [], "tertulia simulate --seed {seed} --users 8 --days 1 --faults all");
    }
}

#[test]
fn a_model_that_gives_one_person_the_words_of_another_is_found_out() {
    let outcome = run(1, 2, Faults::default(), Some(Lie::EchoesAnother));
    assert!(kinds(&outcome).contains(&"foreign"), "{:?}", outcome.findings);
}

#[test]
fn a_part_that_is_sent_twice_is_found_out() {
    let outcome = run(1, 2, Faults::default(), Some(Lie::SendsTwice));
    assert!(kinds(&outcome).contains(&"doubled"), "{:?}", outcome.findings);
}
