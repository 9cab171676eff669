//! Classification of texts without a model: by the words that the examples of each class have in common.

use super::features::{Kind, fold, hash, pairs, words_and_pieces};
use super::learner::{Features, Learner, Pace};
use crate::knowledge::text::words::words;

/// Words of a text that are read: what a person wants is said by then.
const WORDS_MAX: usize = 256;

/// 567 examples take 15 ms on one core.
const PACE: Pace = Pace { epochs: 60, step: 2.0, decay: 2e-5 };

/// Dimensions of the features, a power of two: few examples have some 10,000 features, so that few of them collide; more
/// examples get more room, as far as memory allows.
const DIMENSIONS_MIN: usize = 1 << 14;
const DIMENSIONS_MAX: usize = 1 << 17;

/// Numbers that the weights of all classes may take.
const WEIGHTS_MAX: usize = 1 << 24;

/// Tells classes apart by words, pairs of words and pieces of words.
#[derive(Clone, Debug)]
pub(super) struct LexicalClassifier {
    learner: Learner,
    dimensions: usize,
}

impl LexicalClassifier {
    /// Learns from texts, each with the index of its class.
    pub(super) fn train(examples: &[(usize, &str)], classes: usize) -> Self {
        let room = WEIGHTS_MAX / classes.max(1);
        let wanted = (examples.len() * 16).next_power_of_two().clamp(DIMENSIONS_MIN, DIMENSIONS_MAX);
        let dimensions = if wanted > room { (room / 2).next_power_of_two().max(2) } else { wanted };
        let read: Vec<(usize, Features)> =
            examples.iter().map(|(class, text)| (*class, features(text, dimensions))).collect();
        Self { learner: Learner::train(&read, classes, dimensions, PACE), dimensions }
    }

    /// The probability of each class, by what it sees of a text.
    pub(super) fn predict(&self, features: &Features) -> Vec<f32> {
        self.learner.predict(features)
    }

    /// What it sees of a text.
    pub(super) fn features(&self, text: &str) -> Features {
        features(text, self.dimensions)
    }
}

/// What the learner sees of a text.
fn features(text: &str, dimensions: usize) -> Features {
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
