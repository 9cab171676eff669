//! Classification of texts by any labels: by their words, and by what they mean where there is a model that can read them.

use std::collections::BTreeMap;

use tertulia_actors::domain::Embedding;

use super::learner::Features;
use super::lexical::LexicalClassifier;
use super::meaning::MeaningClassifier;

/// How much of the logarithm of a probability comes from what a text means, where that is known; the rest comes from its words. Words
/// tell the more the more examples of each label there are: on the development data 0.85 did best with ten of them, 0.6 with a
/// hundred and more.
const MEANING_SHARE: (f32, f32) = (0.88, 0.6);

/// Examples of each label from which on the second share holds.
const MANY_EXAMPLES: f32 = 100.0;

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

/// Labels texts.
#[derive(Clone, Debug)]
pub struct LabelClassifier {
    labels: Vec<String>,
    words: LexicalClassifier,
    meaning: Option<MeaningClassifier>,
    /// How much what a text means counts beside its words.
    share: f32,
}

impl LabelClassifier {
    /// Learns from examples, and from the vectors of those that have one; `embeddings` may be shorter. Deterministic, whatever their
    /// order of labels.
    #[must_use]
    pub fn train(examples: &[Example], embeddings: &[Option<Embedding>]) -> Self {
        let mut labels: Vec<String> = examples.iter().map(|example| example.label.clone()).collect();
        labels.sort_unstable();
        labels.dedup();
        let class = |example: &Example| labels.binary_search(&example.label).unwrap_or_default();
        let texts: Vec<_> = examples.iter().map(|example| (class(example), example.text.as_str())).collect();
        let with_vector = examples.iter().zip(embeddings);
        let vectors: Vec<_> =
            with_vector.filter_map(|(example, vector)| Some((class(example), vector.as_deref()?))).collect();
        #[expect(clippy::cast_precision_loss, reason = "some thousand examples")]
        let share = share(examples.len() as f32 / labels.len().max(1) as f32);
        Self {
            share,
            words: LexicalClassifier::train(&texts, labels.len()),
            meaning: MeaningClassifier::train(&vectors, labels.len()),
            labels,
        }
    }

    /// What a text is taken for; none if there are no labels.
    #[must_use]
    pub fn classify(&self, text: &str, embedding: Option<&[f32]>) -> Option<Found<'_>> {
        let words = self.words.predict(text);
        let meaning =
            self.meaning.as_ref().zip(embedding).and_then(|(meaning, vector)| meaning.predict(vector));
        let probabilities = match meaning {
            Some(meaning) => mixed((&meaning, self.share), &words),
            None => words,
        };
        let (label, probability) =
            self.labels.iter().zip(probabilities).max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some(Found { label, probability })
    }
}

/// How much what a text means counts, by the average number of examples of a label.
fn share(of_label: f32) -> f32 {
    let (few, many) = MEANING_SHARE;
    few + (many - few) * (of_label / MANY_EXAMPLES).min(1.0)
}

/// The weighted geometric mean of two opinions.
fn mixed((meaning, share): (&[f32], f32), words: &[f32]) -> Vec<f32> {
    let mix = |(meaning, words): (&f32, &f32)| {
        let least = f32::MIN_POSITIVE;
        meaning.max(least).powf(share) * words.max(least).powf(1.0 - share)
    };
    let mut mixed: Vec<f32> = meaning.iter().zip(words).map(mix).collect();
    let sum: f32 = mixed.iter().sum();
    if sum > 0.0 {
        mixed.iter_mut().for_each(|probability| *probability /= sum);
    }
    mixed
}

/// The examples of a classifier, to say whether a text belongs to any label at all.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Of each dimension of the features, which examples have it, and how much of it.
    holders: BTreeMap<usize, Vec<(u32, f32)>>,
    examples: usize,
    vectors: Vec<Embedding>,
}

impl Scope {
    /// Of the examples and their vectors that a classifier was trained on.
    #[must_use]
    pub fn of(classifier: &LabelClassifier, examples: &[Example], embeddings: &[Option<Embedding>]) -> Self {
        let mut holders: BTreeMap<usize, Vec<(u32, f32)>> = BTreeMap::new();
        for (number, example) in (0..).zip(examples) {
            for (dimension, weight) in classifier.words.features(&example.text) {
                holders.entry(dimension).or_default().push((number, weight));
            }
        }
        Self { holders, examples: examples.len(), vectors: embeddings.iter().flatten().cloned().collect() }
    }

    /// How likely it is that a text belongs to any label, 0 to 1: half of it the probability of what it was taken for, half
    /// the cosine of the nearest example, in meaning if that is known.
    #[must_use]
    pub fn score(
        &self,
        classifier: &LabelClassifier,
        (text, embedding): (&str, Option<&[f32]>),
        found: Found<'_>,
    ) -> f32 {
        let nearest = match embedding {
            Some(vector) if !self.vectors.is_empty() => {
                let cosine =
                    |other: &Embedding| -> f32 { other.iter().zip(vector).map(|(a, b)| a * b).sum() };
                self.vectors.iter().map(cosine).fold(0.0, f32::max).min(1.0)
            }
            _ => self.nearest(&classifier.words.features(text)),
        };
        0.5 * found.probability + 0.5 * nearest
    }

    /// The cosine of the example that is nearest in words.
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
        let scope = Scope::of(&classifier, &examples, &[]);
        let judged = |text: &str| {
            let found = classifier.classify(text, None).unwrap();
            (found, scope.score(&classifier, (text, None), found))
        };
        let (found, in_scope) = judged("is my card coming");
        assert_eq!(found.label, "card");
        let (_, stranger) = judged("zorblax frimble qux");
        assert!(in_scope > stranger + 0.1, "{in_scope} {stranger}");
        let (found, itself) = judged("where is my new card");
        assert!(itself > 0.5 + found.probability / 2.0 - 1e-3, "it is an example itself: {itself}");
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
        let scope = Scope::of(&classifier, &examples, &vectors);
        let found = classifier.classify("omega", Some(&[1.0, 0.0])).unwrap();
        let near = scope.score(&classifier, ("omega", Some(&[1.0, 0.0])), found);
        assert!((near - 0.5 - found.probability / 2.0).abs() < 1e-5);
    }

    #[test]
    fn words_count_the_more_the_more_examples_there_are() {
        for (of_label, expected) in [(0.0, 0.88), (10.0, 0.852), (50.0, 0.74), (100.0, 0.6), (10_000.0, 0.6)]
        {
            assert!((share(of_label) - expected).abs() < 1e-6, "{of_label}");
        }
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
}
