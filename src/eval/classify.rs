//! How well texts get their labels.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measures::{Calibration, Confusion, OfLabel, auroc, macro_f1, share};
use super::table;
use super::{EvalError, Meaning};
use crate::knowledge::classify::labels::{Example, Found, LabelClassifier, with_names};
use crate::load::prng::Prng;

/// The share of texts in scope that lie below the threshold, of those that were left out of training.
const PASSED: f32 = 0.05;

/// Mistakes that are shown.
const MISTAKES_MAX: usize = 10;

/// What is measured.
#[derive(Clone, Default, Debug)]
pub struct Order {
    /// Training texts of each label, drawn by the seed; all if not given.
    pub shots: Option<usize>,
    /// What draws them.
    pub seed: u64,
    /// The label of texts that belong to no other one. They are not trained on.
    pub oos_label: Option<String>,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Texts that were trained on.
    pub trained: usize,
    /// Texts in scope that were tested.
    pub tested: usize,
    /// Seconds that training took, what the texts mean included.
    pub train_s: f64,
    /// Microseconds that a text takes, on average, what it means included.
    pub classify_us: f64,
    /// The share of texts in scope that got their label.
    pub accuracy: Option<f64>,
    /// The mean F1 of the labels that were tested.
    pub macro_f1: Option<f64>,
    /// How far probabilities are from how often they are right: the expected calibration error over 15 bins of the same width.
    pub ece: Option<f64>,
    /// The mean of the squared distances of all labels' probabilities from the truth (Brier score), 0 to 2.
    pub brier: Option<f64>,
    /// Of texts out of scope, if there are any.
    pub out_of_scope: Option<OutOfScope>,
    /// How well each label was found.
    pub labels: Vec<OfLabel>,
    /// How often each was taken for each other.
    pub confusion: Confusion,
}

/// How well texts that belong to no label are told from the others.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct OutOfScope {
    /// Texts out of scope.
    pub texts: usize,
    /// The score below which a text is out of scope: what nineteen of twenty texts exceed that were left out of training; none
    /// where there were too few.
    pub threshold: Option<f32>,
    /// The share of them below it.
    pub recall: Option<f64>,
    /// The share of the texts in scope below it.
    pub false_alarms: Option<f64>,
    /// The probability that a text in scope scores higher than one out of it.
    pub auroc: Option<f64>,
}

/// Trains on some texts and tests on others, by what they mean, too, where there is a model; `done` is told of each text that was
/// tested.
///
/// # Errors
/// When nothing is left to train on, no text has the label of texts out of scope, or the model failed.
pub fn run(
    train: &[Example],
    test: &[Example],
    order: &Order,
    meaning: &mut Meaning,
    mut done: impl FnMut(),
) -> Result<Report, EvalError> {
    if let Some(label) = &order.oos_label
        && !train.iter().chain(test).any(|example| example.label == *label)
    {
        return Err(EvalError::Asked(format!("no text has the label '{label}' of --oos-label")));
    }
    let is_out = |example: &&Example| order.oos_label.as_deref() == Some(example.label.as_str());
    let chosen = choose(train.iter().filter(|example| !is_out(example)), order);
    if chosen.is_empty() {
        return Err(EvalError::Asked("there is nothing to train on".into()));
    }
    let shown = chosen.len();
    let chosen = with_names(chosen);
    let began = std::time::Instant::now();
    let vectors = meaning.of_all(&chosen)?;
    let classifier = LabelClassifier::train(&chosen, &vectors);
    let train_s = began.elapsed().as_secs_f64();
    let (mut confusion, mut calibration) = (Confusion::default(), Calibration::default());
    let (mut inside, mut outside) = (vec![], vec![]);
    let mut spent = std::time::Duration::ZERO;
    for example in test {
        let began = std::time::Instant::now();
        let vector = meaning.of(&example.text)?;
        let judgement = classifier.judge(&example.text, vector.as_deref());
        spent += began.elapsed();
        done();
        let Some(Found { label, scope, .. }) = classifier.found(&judgement) else { continue };
        if is_out(&example) {
            outside.push(scope);
        } else {
            inside.push(scope);
            confusion.add(&example.label, label);
            let truth = classifier.labels().iter().position(|label| *label == example.label);
            calibration.add(&judgement.probabilities, truth);
        }
    }
    let below = |scores: &[f32], least: Option<f32>| {
        least.and_then(|least| share(scores.iter().filter(|score| **score < least).count(), scores.len()))
    };
    let threshold = classifier.scope_of_all_but(PASSED);
    let out_of_scope = (!outside.is_empty()).then(|| OutOfScope {
        texts: outside.len(),
        threshold,
        recall: below(&outside, threshold),
        false_alarms: below(&inside, threshold),
        auroc: auroc(&inside, &outside),
    });
    let labels = confusion.by_label();
    #[expect(clippy::cast_precision_loss, reason = "some thousand texts")]
    let classify_us = spent.as_secs_f64() * 1e6 / test.len().max(1) as f64;
    Ok(Report {
        trained: shown,
        tested: confusion.all(),
        train_s,
        classify_us,
        accuracy: confusion.accuracy(),
        macro_f1: macro_f1(&labels),
        ece: calibration.ece(),
        brier: calibration.brier(),
        out_of_scope,
        labels,
        confusion,
    })
}

/// The training texts: so many of each label, drawn by the seed, in the order of their labels.
fn choose<'a>(train: impl Iterator<Item = &'a Example>, order: &Order) -> Vec<Example> {
    let mut by_label: BTreeMap<&str, Vec<&Example>> = BTreeMap::new();
    for example in train {
        by_label.entry(&example.label).or_default().push(example);
    }
    let mut prng = Prng::new(order.seed);
    let mut chosen = Vec::new();
    for examples in by_label.values_mut() {
        shuffle(examples, &mut prng);
        let shots = order.shots.unwrap_or(examples.len());
        chosen.extend(examples.iter().take(shots).map(|example| (*example).clone()));
    }
    chosen
}

/// Fisher and Yates' shuffle.
fn shuffle<T>(items: &mut [T], prng: &mut Prng) {
    for last in (1..items.len()).rev() {
        let other = prng.between(0, last as u64);
        items.swap(last, usize::try_from(other).unwrap_or_default());
    }
}

impl Report {
    /// As tables for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let mut facts = vec![
            ("trained on", self.trained.to_string()),
            ("tested", self.tested.to_string()),
            ("accuracy", table::percent(self.accuracy)),
            ("macro F1", table::percent(self.macro_f1)),
            ("calibration error", table::percent(self.ece)),
            ("Brier score", self.brier.map_or_else(|| "-".to_owned(), |brier| format!("{brier:.3}"))),
            ("training", format!("{:.2} s", self.train_s)),
            ("one text", format!("{:.0} us", self.classify_us)),
        ];
        if let Some(out) = &self.out_of_scope {
            facts.extend([
                ("out of scope", out.texts.to_string()),
                ("found to be so", table::percent(out.recall)),
                ("false alarms", table::percent(out.false_alarms)),
                ("AUROC", table::percent(out.auroc)),
                (
                    "threshold",
                    out.threshold.map_or_else(|| "too few texts".to_owned(), |least| format!("{least:.3}")),
                ),
            ]);
        }
        let labels = self.labels.iter().map(|label| {
            let figures = [label.precision, label.recall, label.f1].map(table::percent);
            [vec![label.label.clone(), label.texts.to_string()], figures.to_vec()].concat()
        });
        let mistakes = self.confusion.mistakes(MISTAKES_MAX).into_iter();
        let mistakes =
            mistakes.map(|(label, other, count)| vec![label.into(), other.into(), count.to_string()]);
        let tables = [
            table::facts(&facts),
            table::rows(&["label", "texts", "precision", "recall", "F1"], labels),
            table::rows(&["it is", "taken for", "times"], mistakes),
        ];
        tables.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(label: &str, texts: &[&str]) -> Vec<Example> {
        texts.iter().map(|text| Example { text: (*text).into(), label: label.into() }).collect()
    }

    fn corpus() -> Vec<Example> {
        [
            examples(
                "card",
                &["my card is lost", "where is my card", "the card did not come", "a card please"],
            ),
            examples(
                "rate",
                &["the rate is wrong", "which rate is it", "a better rate please", "rates today"],
            ),
        ]
        .concat()
    }

    #[test]
    fn known_texts_get_their_label_and_strangers_are_told_apart() {
        let mut test = corpus();
        test.extend(examples("oos", &["zorblax frimble", "qux quux corge"]));
        let order = Order { oos_label: Some("oos".into()), ..Order::default() };
        let mut told = 0;
        let report = run(&corpus(), &test, &order, &mut Meaning::default(), || told += 1).unwrap();
        assert_eq!((report.trained, report.tested, told), (8, 8, 10));
        assert_eq!(report.accuracy, Some(1.0));
        assert!(report.brier.is_some_and(|brier| brier < 0.5) && report.ece.is_some(), "{report:?}");
        let out = report.out_of_scope.unwrap();
        assert_eq!(
            (out.auroc, out.threshold, out.recall),
            (Some(1.0), None, None),
            "eight texts are too few"
        );
        assert_eq!(report.labels.len(), 2);
        assert!(report.table().contains("accuracy") && report.table().contains("Brier score"));
    }

    #[test]
    fn shots_are_drawn_by_the_seed() {
        let drawn = |seed| {
            let order = Order { shots: Some(2), seed, oos_label: None };
            choose(corpus().iter(), &order)
        };
        assert_eq!(drawn(1), drawn(1));
        assert!((2..9).any(|seed| drawn(seed) != drawn(1)));
        assert_eq!(drawn(1).len(), 4);
        assert_eq!(choose(corpus().iter(), &Order { shots: Some(99), ..Order::default() }).len(), 8);
    }

    #[test]
    fn the_threshold_is_found_with_texts_that_are_left_out() {
        let many: Vec<Example> = (0..20).flat_map(|_| corpus()).collect();
        let mut test = many.clone();
        test.extend(examples("oos", &["zorblax frimble", "qux quux corge"]));
        let order = Order { oos_label: Some("oos".into()), ..Order::default() };
        let out = run(&many, &test, &order, &mut Meaning::default(), || {}).unwrap().out_of_scope.unwrap();
        assert_eq!(out.recall, Some(1.0));
        assert!(out.false_alarms.is_some_and(|share| share <= 0.1), "{out:?}");
        let one_each = Order { shots: Some(1), ..order };
        assert_eq!(
            run(&many, &test, &one_each, &mut Meaning::default(), || {})
                .unwrap()
                .out_of_scope
                .unwrap()
                .threshold,
            None
        );
    }

    #[test]
    fn a_label_out_of_scope_that_no_text_has_is_named() {
        let order = Order { oos_label: Some("OOS".into()), ..Order::default() };
        let error = run(&corpus(), &corpus(), &order, &mut Meaning::default(), || {}).unwrap_err();
        assert_eq!(error.to_string(), "no text has the label 'OOS' of --oos-label");
    }

    #[test]
    fn without_anything_to_train_on_it_says_so() {
        let order = Order { oos_label: Some("card".into()), ..Order::default() };
        let error =
            run(&examples("card", &["x"]), &corpus(), &order, &mut Meaning::default(), || {}).unwrap_err();
        assert_eq!(error.to_string(), "there is nothing to train on");
    }
}
