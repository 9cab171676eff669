//! The embedded embedder: no model, only counted words and pieces of words.

use tertulia_actors::domain::Embedding;
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Compute, Embeddable, EmbedderError};

use super::classify::features::{fold, words_and_pieces};
use super::text::words::words;

/// Dimensions of the vectors.
pub const DIMENSIONS: usize = 512;

/// Hashes a text's words and their pieces of three and four characters into [`DIMENSIONS`] dimensions.
///
/// Texts are near each other when they share words or parts of words, in any language; it knows nothing of meaning.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashedEmbedder;

impl HashedEmbedder {
    /// The vector of a text: of unit length, also for a text without any word.
    #[must_use]
    pub fn embed_now(text: &str) -> Embedding {
        let mut vector = vec![0.0_f32; DIMENSIONS];
        for (dimension, weight) in fold(words_and_pieces(&words(text)), DIMENSIONS) {
            vector[dimension] = weight;
        }
        // The port promises unit length; a text without words, or whose features cancel out, lies on the first axis.
        if vector.iter().all(|weight| *weight == 0.0) {
            vector[0] = 1.0;
        }
        vector.into()
    }
}

impl Compute for HashedEmbedder {
    type Request = Vec<Embeddable>;
    type Response = Vec<Option<Embedding>>;
    type Error = EmbedderError;

    fn compute(&mut self, texts: Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
        let embed = |Embeddable { text, .. }: Embeddable| {
            failpoint!("embedding.compute", text: &text, return Err(EmbedderError::Failed("failpoint".into())));
            Ok(Some(Self::embed_now(&text)))
        };
        texts.into_iter().map(embed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(one: &str, other: &str) -> f32 {
        let (one, other) = (HashedEmbedder::embed_now(one), HashedEmbedder::embed_now(other));
        one.iter().zip(other.iter()).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn every_vector_has_unit_length() {
        let long = "water ".repeat(100_000);
        for text in ["", "👍", "\0", "hi", "كم سعر القارورة؟", long.as_str()] {
            let vector = HashedEmbedder::embed_now(text);
            let length: f32 = vector.iter().map(|weight| weight * weight).sum();
            assert_eq!(vector.len(), DIMENSIONS);
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
    }

    #[test]
    fn texts_that_share_words_are_nearer_than_those_that_do_not() {
        for (text, near, far) in [
            ("how much is a bottle", "how much are the bottles", "my dispenser leaks"),
            ("كم سعر القارورة", "ما سعر القوارير", "أين طلبي"),
        ] {
            assert!(similarity(text, near) > similarity(text, far) + 0.1, "{text}");
        }
        assert!((similarity("Same words", "same WORDS!") - 1.0).abs() < 1e-4);
    }
}
