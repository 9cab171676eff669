//! What a run comes to, in a word and a sentence; the same in the terminal and on the page.

use super::format::{Unit, count, several};
use super::run::{Objective, Promise, Run};

/// What a run comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Every promise and objective held.
    Held,
    /// One was broken or missed.
    Failed,
    /// Something kept the run from saying so.
    Silent,
}

/// What a run comes to, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// `Held`, `Failed` or `No verdict`.
    pub(super) word: &'static str,
    /// Why, without a full stop.
    pub(super) sentence: String,
}

impl Verdict {
    /// The verdict on a run.
    pub(super) fn on(run: &Run) -> Self {
        let outcome = match &run.failure {
            Some(_) => Outcome::Silent,
            None if run.is_fine() => Outcome::Held,
            None => Outcome::Failed,
        };
        let (word, sentence) = match outcome {
            Outcome::Silent => ("No verdict", run.failure.clone().unwrap_or_default()),
            Outcome::Held => ("Held", held(run)),
            Outcome::Failed => ("Failed", failed(run)),
        };
        Self { outcome, word, sentence }
    }
}

fn held(run: &Run) -> String {
    let kept = match run.promises.len() {
        0 => "no promise was checked".to_owned(),
        number => format!("{} kept", several(number, "promise")),
    };
    let met = match run.objectives.len() {
        0 => "the profile sets no objective".to_owned(),
        number => format!("{} met", several(number, "objective")),
    };
    let unchecked = run.promises.iter().filter(|promise| promise.checked == 0).count();
    let but = match unchecked {
        0 => String::new(),
        number => format!("; {} had no occasion to be broken", several(number, "promise")),
    };
    format!("{kept}, {met}{but}")
}

fn failed(run: &Run) -> String {
    let broken = run.promises.iter().filter(|promise| promise.broken > 0).count();
    let missed = run.objectives.iter().filter(|objective| !objective.held).count();
    let mut parts = vec![];
    if broken > 0 {
        parts.push(format!("{broken} of {} broken", several(run.promises.len(), "promise")));
    }
    if missed > 0 {
        parts.push(format!("{missed} of {} missed", several(run.objectives.len(), "objective")));
    }
    parts.join(", ")
}

/// How a promise fared: `held`, `BROKEN 3`, or that it had no occasion to be broken.
pub(super) fn promise_word(promise: &Promise) -> String {
    match promise {
        Promise { broken: 1.., .. } => format!("BROKEN {}", count(promise.broken)),
        Promise { checked: 0, .. } => "not checked".to_owned(),
        _ => "held".to_owned(),
    }
}

/// How an objective fared.
pub(super) fn objective_word(objective: &Objective) -> &'static str {
    match objective.held {
        true => "held",
        false => "MISSED",
    }
}

/// The limit of an objective: `at most 500 ms`.
pub(super) fn limit(objective: &Objective) -> String {
    let least = if objective.is_minimum { "at least" } else { "at most" };
    format!("{least} {}", Unit::of_name(&objective.name).text(objective.limit))
}

/// What was measured for an objective.
pub(super) fn measured(objective: &Objective) -> String {
    Unit::of_name(&objective.name).text_or_none(objective.measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(broken: &[u64], held: &[bool], failure: Option<&str>) -> Run {
        let promises =
            broken.iter().map(|broken| Promise { checked: 9, broken: *broken, ..Promise::default() });
        let objectives = held.iter().map(|held| Objective { held: *held, ..Objective::default() });
        Run {
            promises: promises.collect(),
            objectives: objectives.collect(),
            failure: failure.map(str::to_owned),
            ..Run::default()
        }
    }

    #[test]
    fn the_verdict_counts_what_was_kept_and_what_was_not() {
        let cases = [
            (run(&[0, 0], &[true], None), "Held", "2 promises kept, 1 objective met"),
            (run(&[], &[], None), "Held", "no promise was checked, the profile sets no objective"),
            (run(&[0, 3], &[true], None), "Failed", "1 of 2 promises broken"),
            (run(&[0], &[false, true], None), "Failed", "1 of 2 objectives missed"),
            (run(&[1], &[false], None), "Failed", "1 of 1 promise broken, 1 of 1 objective missed"),
            (run(&[1], &[false], Some("the server did not start")), "No verdict", "the server did not start"),
        ];
        for (run, word, sentence) in cases {
            let verdict = Verdict::on(&run);
            assert_eq!((verdict.word, verdict.sentence.as_str()), (word, sentence));
            assert_eq!(verdict.outcome == Outcome::Held, run.is_fine());
        }
    }

    #[test]
    fn a_promise_that_was_never_looked_at_is_not_said_to_hold() {
        let mut run = run(&[0, 0], &[], None);
        run.promises[1].checked = 0;
        assert_eq!(run.promises.iter().map(promise_word).collect::<Vec<_>>(), ["held", "not checked"]);
        assert!(Verdict::on(&run).sentence.ends_with("1 promise had no occasion to be broken"));
        run.promises[1].broken = 1_200;
        assert_eq!(promise_word(&run.promises[1]), "BROKEN 1,200");
    }

    #[test]
    fn an_objective_says_its_limit_with_its_unit() {
        let mut objective =
            Objective { name: "overhead_p99_ms".to_owned(), limit: 500.0, ..Objective::default() };
        assert_eq!(
            (limit(&objective).as_str(), measured(&objective).as_str()),
            ("at most 500 ms", "not measured")
        );
        objective = Objective {
            name: "messages_per_s".to_owned(),
            is_minimum: true,
            measured: Some(10.5),
            ..objective
        };
        assert_eq!((limit(&objective).as_str(), measured(&objective).as_str()), ("at least 500/s", "10.5/s"));
    }
}
