//! What there is to say of a text: by its words, by what it means, and by the examples that mean about the same.

use super::lexical::LexicalClassifier;
use super::meaning::MeaningClassifier;
use super::neighbours::{Near, Neighbours};
use super::pool::{Opinion, opinion};
use super::shared::SharedWords;

/// An example as it is learnt from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taught<'a> {
    /// The index of its class.
    pub(super) class: usize,
    /// What somebody wrote.
    pub(super) text: &'a str,
    /// What it means, if that is known.
    pub(super) vector: Option<&'a [f32]>,
    /// Whether it is the name of its class, which nobody writes.
    pub(super) is_name: bool,
}

/// What was learnt from examples in each way.
#[derive(Clone, Debug)]
pub(super) struct Experts {
    words: LexicalClassifier,
    shared: SharedWords,
    meaning: Option<(MeaningClassifier, Neighbours)>,
}

/// What is said of a text.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Said {
    /// By its words; and by what it means and its neighbours, where that is known.
    pub(super) opinions: Vec<Opinion>,
    /// The cosine of the nearest example: in meaning, if that is known, else in words.
    pub(super) nearest: f32,
}

impl Experts {
    /// Learns from examples.
    pub(super) fn train(examples: &[Taught<'_>], classes: usize) -> Self {
        let texts: Vec<_> = examples.iter().map(|example| (example.class, example.text)).collect();
        let vectors: Vec<_> =
            examples.iter().filter_map(|example| Some((example.class, example.vector?))).collect();
        let words = LexicalClassifier::train(&texts, classes);
        let shared = SharedWords::of(texts.iter().map(|(_, text)| words.features(text)));
        let meaning = MeaningClassifier::train(&vectors, classes).zip(Neighbours::of(&vectors, classes));
        Self { words, shared, meaning }
    }

    /// What they say of a text. Of a vector of another model, as if there were none.
    pub(super) fn ask(&self, text: &str, vector: Option<&[f32]>) -> Said {
        let features = self.words.features(text);
        let mut opinions = vec![opinion(&self.words.predict(&features))];
        let meant = self.meaning.as_ref().zip(vector).and_then(|((meaning, neighbours), vector)| {
            let Near { opinion: near, nearest } = neighbours.near(vector)?;
            Some((opinion(&meaning.predict(vector)?), near, nearest))
        });
        let nearest = match meant {
            Some((meaning, near, nearest)) => {
                opinions.extend([meaning, near]);
                nearest
            }
            None => self.shared.nearest(&features),
        };
        Said { opinions, nearest }
    }
}
