//! Classification of texts by any labels, without a model: by what the examples of each label have in common.

use std::collections::BTreeMap;

use super::features::{Kind, fold, hash, pairs, words_and_pieces};
use super::learner::{Features, Learner};
use crate::knowledge::text::words::words;

/// Words of a text that are read: what a person wants is said by then.
const WORDS_MAX: usize = 256;

/// Dimensions of the features, a power of two: few examples have some 10,000 features, so that few of them collide; more
/// examples get more room, as far as memory allows.
const DIMENSIONS_MIN: usize = 1 << 14;
const DIMENSIONS_MAX: usize = 1 << 17;

/// Numbers that the weights of all classes may take.
const WEIGHTS_MAX: usize = 1 << 24;

/// A text with its label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// What somebody wrote.
    pub text: String,
    /// What it is.
    pub label: String,
}

/// What a text is taken for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Found<'a> {
    /// The most probable label.
    pub label: &'a str,
    /// How probable it is, 0 to 1.
    pub probability: f32,
}

/// Labels texts by words, pairs of words and pieces of words. Makes no use of an embedding.
#[derive(Clone, Debug)]
pub struct LexicalClassifier {
    labels: Vec<String>,
    learner: Learner,
    dimensions: usize,
}

impl LexicalClassifier {
    /// Learns from examples. Deterministic, whatever their order of labels.
    #[must_use]
    pub fn train(examples: &[Example]) -> Self {
        let mut labels: Vec<String> = examples.iter().map(|example| example.label.clone()).collect();
        labels.sort_unstable();
        labels.dedup();
        let room = WEIGHTS_MAX / labels.len().max(1);
        let wanted = (examples.len() * 16).next_power_of_two().clamp(DIMENSIONS_MIN, DIMENSIONS_MAX);
        let dimensions = if wanted > room { (room / 2).next_power_of_two().max(2) } else { wanted };
        let read: Vec<(usize, Features)> = examples
            .iter()
            .map(|example| {
                let label = labels.binary_search(&example.label).unwrap_or_default();
                (label, features(&example.text, dimensions))
            })
            .collect();
        let learner = Learner::train(&read, labels.len(), dimensions);
        Self { labels, learner, dimensions }
    }

    /// What a text is taken for; none if there are no labels.
    #[must_use]
    pub fn classify(&self, text: &str) -> Option<Found<'_>> {
        let features = features(text, self.dimensions);
        let probabilities = self.learner.predict(&features);
        let (label, probability) =
            self.labels.iter().zip(probabilities).max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some(Found { label, probability })
    }
}

/// The examples of a classifier, to say whether a text belongs to any label at all.
#[derive(Clone, Debug)]
pub struct Scope {
    dimensions: usize,
    /// Of each dimension, which examples have it, and how much of it.
    holders: BTreeMap<usize, Vec<(u32, f32)>>,
    examples: usize,
}

impl Scope {
    /// Of the examples that a classifier was trained on.
    #[must_use]
    pub fn of(classifier: &LexicalClassifier, examples: &[Example]) -> Self {
        let dimensions = classifier.dimensions;
        let mut holders: BTreeMap<usize, Vec<(u32, f32)>> = BTreeMap::new();
        for (number, example) in (0..).zip(examples) {
            for (dimension, weight) in features(&example.text, dimensions) {
                holders.entry(dimension).or_default().push((number, weight));
            }
        }
        Self { dimensions, holders, examples: examples.len() }
    }

    /// How likely it is that a text belongs to any label, 0 to 1: half of it the probability of what it was taken for, half
    /// the cosine of the nearest example.
    #[must_use]
    pub fn score(&self, text: &str, found: Found<'_>) -> f32 {
        0.5 * found.probability + 0.5 * self.nearest(&features(text, self.dimensions))
    }

    /// The cosine of the example that is nearest.
    fn nearest(&self, features: &Features) -> f32 {
        let mut cosines = vec![0.0_f32; self.examples];
        for (dimension, weight) in features {
            for (example, held) in self.holders.get(dimension).into_iter().flatten() {
                if let Some(cosine) = usize::try_from(*example).ok().and_then(|at| cosines.get_mut(at)) {
                    *cosine += weight * held;
                }
            }
        }
        cosines.into_iter().fold(0.0, f32::max).min(1.0)
    }
}

/// What the learner sees of a text.
pub(super) fn features(text: &str, dimensions: usize) -> Features {
    let mut words = words(text);
    words.truncate(WORDS_MAX);
    let mut hashes = words_and_pieces(&words);
    hashes.extend(pairs(&words));
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        hashes.push(hash(Kind::Cue, &["first", first]));
        hashes.push(hash(Kind::Cue, &["last", last]));
    }
    if text.contains(['?', '؟']) {
        hashes.extend(["question", "question mark", "asks"].map(|cue| hash(Kind::Cue, &[cue])));
    }
    let length = match words.len() {
        0..=2 => "short",
        3..=5 => "middle",
        _ => "long",
    };
    hashes.push(hash(Kind::Cue, &[length]));
    fold(hashes, dimensions)
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
        let classifier = LexicalClassifier::train(&examples);
        let scope = Scope::of(&classifier, &examples);
        let judged = |text: &str| {
            let found = classifier.classify(text).unwrap();
            (found, scope.score(text, found))
        };
        let (found, in_scope) = judged("is my card coming");
        assert_eq!(found.label, "card");
        let (_, stranger) = judged("zorblax frimble qux");
        assert!(in_scope > stranger + 0.1, "{in_scope} {stranger}");
        let (found, itself) = judged("where is my new card");
        assert!(itself > 0.5 + found.probability / 2.0 - 1e-3, "it is an example itself: {itself}");
    }

    #[test]
    fn without_examples_nothing_is_found() {
        assert_eq!(LexicalClassifier::train(&[]).classify("x"), None);
    }

    #[test]
    fn the_order_of_examples_labels_does_not_matter_to_their_names() {
        let classifier = LexicalClassifier::train(&examples(&[("b b", "z"), ("a a", "m"), ("c c", "a")]));
        for (text, label) in [("b b", "z"), ("a a", "m"), ("c c", "a")] {
            assert_eq!(classifier.classify(text).unwrap().label, label);
        }
    }
}
