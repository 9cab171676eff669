//! Classification of texts by any labels: by their words, and by what they mean where there is a model that can read them.

use tertulia_actors::domain::Embedding;

use super::calibrate::{Calibration, scope};
use super::experts::{Experts, Taught};

/// Examples that must have been left out, so that their scores tell what is usual.
const LEFT_OUT_MIN: usize = 20;

/// A text with its label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// What somebody wrote.
    pub text: String,
    /// What it is.
    pub label: String,
}

impl Example {
    /// Whether it is the name of its label, as [`with_names`] adds them.
    #[must_use]
    pub fn is_name(&self) -> bool {
        name(&self.label).is_some_and(|name| name == self.text)
    }
}

/// What a text is taken for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Found<'a> {
    /// The most probable label.
    pub label: &'a str,
    /// How probable it is, 0 to 1; calibrated: of texts like the examples, that share has this label.
    pub probability: f32,
    /// How likely it is that the text belongs to any label, 0 to 1: half of it the probability, half the cosine of the nearest
    /// example, in meaning if that is known, else in words.
    pub scope: f32,
}

/// What is known about the label of a text.
#[derive(Clone, PartialEq, Debug)]
pub struct Judgement {
    /// The probability of each label, in the order of [`LabelClassifier::labels`].
    pub probabilities: Vec<f32>,
    /// The cosine of the nearest example.
    pub nearest: f32,
}

/// Labels texts.
#[derive(Clone, Debug)]
pub struct LabelClassifier {
    labels: Vec<String>,
    experts: Experts,
    calibration: Calibration,
}

/// Adds the name of each label to examples of it: who named it said what it means, which tells the more the fewer examples there
/// are. Of the development data, ten examples a label, 0.6 % more got the right label.
#[must_use]
pub fn with_names(mut examples: Vec<Example>) -> Vec<Example> {
    let mut labels: Vec<String> = examples.iter().map(|example| example.label.clone()).collect();
    labels.sort_unstable();
    labels.dedup();
    let named = labels.into_iter().filter_map(|label| Some(Example { text: name(&label)?, label }));
    let named: Vec<_> = named.filter(|name| !examples.contains(name)).collect();
    examples.extend(named);
    examples
}

/// A label as people would say it; none where it is no words.
fn name(label: &str) -> Option<String> {
    let spoken = label.replace(['_', '-', '.', '/'], " ").to_lowercase();
    let spoken = spoken.split_whitespace().collect::<Vec<_>>().join(" ");
    spoken.contains(char::is_alphabetic).then_some(spoken)
}

impl LabelClassifier {
    /// Learns from examples, and from the vectors of those that have one; `embeddings` may be shorter. Deterministic, whatever their
    /// order of labels.
    #[must_use]
    pub fn train(examples: &[Example], embeddings: &[Option<Embedding>]) -> Self {
        let mut labels: Vec<String> = examples.iter().map(|example| example.label.clone()).collect();
        labels.sort_unstable();
        labels.dedup();
        let vectors = embeddings.iter().map(Option::as_deref).chain(std::iter::repeat(None));
        let taught = examples.iter().zip(vectors).map(|(example, vector)| {
            let class = labels.binary_search(&example.label).unwrap_or_default();
            Taught { class, text: &example.text, vector, is_name: example.is_name() }
        });
        let taught: Vec<_> = taught.collect();
        let experts = Experts::train(&taught, labels.len());
        let calibration = Calibration::of(&taught, labels.len());
        Self { labels, experts, calibration }
    }

    /// The labels, in order.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What is known about the label of a text.
    #[must_use]
    pub fn judge(&self, text: &str, embedding: Option<&[f32]>) -> Judgement {
        let said = self.experts.ask(text, embedding);
        Judgement { probabilities: self.calibration.probabilities(&said), nearest: said.nearest }
    }

    /// What a text is taken for; none if there are no labels.
    #[must_use]
    pub fn classify(&self, text: &str, embedding: Option<&[f32]>) -> Option<Found<'_>> {
        self.found(&self.judge(text, embedding))
    }

    /// What a text is taken for of which this is known; none if there are no labels.
    #[must_use]
    pub fn found(&self, judgement: &Judgement) -> Option<Found<'_>> {
        let likely = self.labels.iter().zip(&judgement.probabilities);
        let (label, probability) = likely.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some(Found { label, probability: *probability, scope: scope(*probability, judgement.nearest) })
    }

    /// The score of scope that all but this share of the examples exceed, when they are left out of training; none where there are
    /// too few of them to tell.
    #[must_use]
    pub fn scope_of_all_but(&self, share: f32) -> Option<f32> {
        let scopes = self.calibration.scopes();
        #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "some thousands")]
        let place = (scopes.len() as f32 * share.max(0.0)) as usize;
        (scopes.len() >= LEFT_OUT_MIN).then(|| scopes.get(place).copied())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(pairs: &[(&str, &str)]) -> Vec<Example> {
        pairs.iter().map(|(text, label)| Example { text: (*text).into(), label: (*label).into() }).collect()
    }

    #[test]
    fn texts_get_the_label_of_examples_like_them() {
        let examples = examples(&[
            ("my card has not arrived", "card"),
            ("where is my new card", "card"),
            ("the exchange rate is wrong", "rate"),
            ("which exchange rate do you use", "rate"),
        ]);
        let classifier = LabelClassifier::train(&examples, &[]);
        let judged = |text: &str| classifier.classify(text, None).unwrap();
        let found = judged("is my card coming");
        assert_eq!(found.label, "card");
        let stranger = judged("zorblax frimble qux");
        assert!(found.scope > stranger.scope + 0.1, "{found:?} {stranger:?}");
        let itself = judged("where is my new card");
        assert!(itself.scope > 0.5 + itself.probability / 2.0 - 1e-3, "it is an example itself: {itself:?}");
    }

    #[test]
    fn what_a_text_means_tells_more_than_its_words() {
        let examples = examples(&[("alpha", "a"), ("beta", "b"), ("gamma", "a"), ("delta", "b")]);
        let vector = |x: f32, y: f32| Some(Embedding::from(vec![x, y]));
        let vectors = [vector(1.0, 0.0), vector(0.0, 1.0), vector(0.8, 0.6), None];
        let classifier = LabelClassifier::train(&examples, &vectors);
        for (text, vector, label) in [
            ("omega", Some(&[1.0, 0.0][..]), "a"),
            ("omega", Some(&[0.0, 1.0]), "b"),
            ("delta", None, "b"),
            // Of another model: as if there were none.
            ("delta", Some(&[1.0, 0.0, 0.0]), "b"),
        ] {
            assert_eq!(classifier.classify(text, vector).unwrap().label, label, "{text} {vector:?}");
        }
        let found = classifier.classify("omega", Some(&[1.0, 0.0])).unwrap();
        assert!((found.scope - 0.5 - found.probability / 2.0).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn without_examples_nothing_is_found() {
        assert_eq!(LabelClassifier::train(&[], &[]).classify("x", None), None);
    }

    #[test]
    fn the_order_of_examples_labels_does_not_matter_to_their_names() {
        let classifier = LabelClassifier::train(&examples(&[("b b", "z"), ("a a", "m"), ("c c", "a")]), &[]);
        for (text, label) in [("b b", "z"), ("a a", "m"), ("c c", "a")] {
            assert_eq!(classifier.classify(text, None).unwrap().label, label);
        }
    }

    #[test]
    fn probabilities_are_how_often_labels_are_right() {
        // Of texts with the word that tells, one in five has the other label; the other word of each is its own.
        let noise = |n: u32| -> String {
            let hash = n.wrapping_mul(2_654_435_761);
            (0..6).map(|at| char::from(b'a' + (hash >> (4 * at)) as u8 % 16)).collect()
        };
        let pairs = (0..200).flat_map(|n| {
            let (one, other) = if n % 5 == 0 { ("b", "a") } else { ("a", "b") };
            [(format!("alpha {}", noise(2 * n)), one), (format!("omega {}", noise(2 * n + 1)), other)]
        });
        let examples: Vec<_> = pairs.map(|(text, label)| Example { text, label: label.into() }).collect();
        let classifier = LabelClassifier::train(&examples, &[]);
        let found = classifier.classify("alpha", None).unwrap();
        assert_eq!(found.label, "a");
        assert!((0.65..0.95).contains(&found.probability), "{found:?}");
    }

    #[test]
    fn what_is_usual_is_told_by_examples_that_were_left_out() {
        let many: Vec<_> = (0..30).flat_map(|_| examples(&[("red", "a"), ("blue", "b")])).collect();
        let usual = LabelClassifier::train(&many, &[]).scope_of_all_but(0.05).unwrap();
        assert!(usual > 0.9, "all are alike: {usual}");
        assert_eq!(LabelClassifier::train(&many[..10], &[]).scope_of_all_but(0.05), None);
    }

    #[test]
    fn a_label_that_is_words_is_an_example_of_itself() {
        let named =
            with_names(examples(&[("x", "card_arrival"), ("y", "card_arrival"), ("z", "17"), ("no", "no")]));
        let added: Vec<_> = named[4..].iter().map(|name| (name.text.as_str(), name.label.as_str())).collect();
        assert_eq!(added, [("card arrival", "card_arrival")], "17 is no word, and no is there");
        assert!(named[4].is_name() && named[3].is_name() && !named[0].is_name());
    }
}
