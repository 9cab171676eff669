//! A sentence-transformers model: `card` reads what its files say of it, `tokens` cuts texts into the tokens of its
//! vocabulary, `scripts` tells which ones it can read, `encoder` computes what tokens mean together, and `ops` is the arithmetic of
//! one layer.

mod card;
mod encoder;
mod ops;
mod scripts;
mod tokens;

use std::path::Path;

use sha2::{Digest, Sha256};
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::Embeddable;

use super::{ModelError, Prefixes};
use card::{Card, Pooling};
use encoder::Encoder;
use scripts::Scripts;
use tokens::Tokens;

/// A model that was read into memory; threads share it, since nothing in it changes.
///
/// BERT and XLM-RoBERTa with mean pooling or that of the first token, as sentence-transformers (<https://sbert.net>) writes
/// them: `config.json`, `tokenizer.json`, `model.safetensors`, and beside them `sentence_bert_config.json`,
/// `1_Pooling/config.json` and `config_sentence_transformers.json`.
pub struct Model {
    card: Card,
    tokens: Tokens,
    scripts: Scripts,
    encoder: Encoder,
    fingerprint: String,
    unrelated: f32,
}

/// Sentences that have nothing to do with each other.
const UNRELATED: [&str; 8] = [
    "The cat sleeps on the sofa.",
    "Interest rates rose by half a percent.",
    "Boil the pasta for nine minutes.",
    "Her flight to Lima leaves at dawn.",
    "The engine needs new spark plugs.",
    "He scored twice in the second half.",
    "The court dismissed the appeal.",
    "Photosynthesis turns light into sugar.",
];

impl Model {
    /// Reads the model in a folder; `prefixes` hold where its files name none.
    ///
    /// # Errors
    /// A file is missing, or the model is of a kind that this program cannot run.
    pub fn load(folder: &Path, prefixes: &Prefixes) -> Result<Self, ModelError> {
        let mut card = Card::read(folder)?;
        if card.prefixes == Prefixes::default() {
            card.prefixes = prefixes.clone();
        }
        let (tokenizer, weights) = (folder.join("tokenizer.json"), folder.join("model.safetensors"));
        let vocabulary = read(&tokenizer)?;
        let tokens = Tokens::new(&vocabulary, &card).map_err(|what| unfit(&tokenizer, what))?;
        let bytes = read(&weights)?;
        let mut hash = Sha256::new();
        hash.update(format!("{card:?}"));
        hash.update(&vocabulary);
        hash.update(&bytes);
        let fingerprint = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let encoder = Encoder::new(bytes, &card).map_err(|error| unfit(&weights, error.to_string()))?;
        let scripts = Scripts::of(tokens.vocabulary().iter().map(String::as_str));
        let mut model = Self { card, tokens, scripts, encoder, fingerprint, unrelated: 0.0 };
        let vectors = model.meanings(&UNRELATED.map(Embeddable::query))?;
        model.unrelated = average_cosine(&vectors.into_iter().flatten().collect::<Vec<_>>());
        Ok(model)
    }

    /// Numbers of a vector.
    #[must_use]
    pub const fn dimensions(&self) -> usize {
        self.card.dimensions
    }

    /// Tokens of a text that are read at the most, those at its ends included.
    #[must_use]
    pub const fn tokens_max(&self) -> usize {
        self.card.tokens_max
    }

    /// Whether the model can read a text: whether its vocabulary has enough of the script that most letters are of.
    #[must_use]
    pub fn reads(&self, text: &str) -> bool {
        self.scripts.read(text)
    }

    /// The vectors of texts, in their order; none of one that the model cannot read.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn meanings(&self, texts: &[Embeddable]) -> Result<Vec<Option<Embedding>>, ModelError> {
        let are_read: Vec<bool> = texts.iter().map(|text| self.reads(&text.text)).collect();
        let read = texts.iter().zip(&are_read).filter(|(_, is_read)| **is_read);
        let read: Vec<Embeddable> = read.map(|(text, _)| text.clone()).collect();
        let mut vectors = self.embed(&read)?.into_iter();
        Ok(are_read.into_iter().map(|is_read| if is_read { vectors.next() } else { None }).collect())
    }

    /// A short hash of everything that its vectors depend on: vectors of two models with the same one may be compared.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The cosine of texts that have nothing to do with each other: near 0 for some models, above 0.7 for E5's. By some English
    /// sentences; 0 for a model that cannot read them.
    #[must_use]
    pub const fn unrelated(&self) -> f32 {
        self.unrelated
    }

    /// The vectors of texts, in their order, each of unit length.
    ///
    /// A text alone has the same vector as among others, but for the last bits. One that is longer than the card allows
    /// ([`Self::tokens_max`]) is cut there.
    ///
    /// # Errors
    /// [`ModelError::Failed`], of which no text is the cause.
    pub fn embed(&self, texts: &[Embeddable]) -> Result<Vec<Embedding>, ModelError> {
        let cut = |text: &Embeddable| self.tokens.of(self.card.prefixes.of(text.role), &text.text);
        let sequences = texts.iter().map(cut).collect::<candle_core::Result<Vec<_>>>().map_err(failed)?;
        let mut vectors = Vec::with_capacity(texts.len());
        for some in parts(&sequences) {
            let hidden = self.encoder.run(some).map_err(failed)?;
            let mut rows = hidden.as_slice();
            for sequence in some {
                let (own, others) = rows.split_at(sequence.len() * self.card.dimensions);
                vectors.push(self.pool(own));
                rows = others;
            }
        }
        Ok(vectors)
    }

    /// One vector of unit length from those of a text's tokens.
    fn pool(&self, tokens: &[f32]) -> Embedding {
        let dimensions = self.card.dimensions;
        let mut vector = tokens[..dimensions].to_vec();
        if self.card.pooling == Pooling::Mean {
            for token in tokens.chunks_exact(dimensions).skip(1) {
                vector.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
            }
        }
        ops::normalise(&mut vector);
        vector.into()
    }
}

/// Tokens that go through the model together at the most: what one layer holds of them, some 20 KiB a token for 384
/// dimensions, stays within a processor's cache for a few and within some tens of MiB for many.
const TOKENS_TOGETHER_MAX: usize = 2_048;

/// Sequences that go through the model together.
fn parts(sequences: &[Vec<u32>]) -> impl Iterator<Item = &[Vec<u32>]> {
    let mut rest = sequences;
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fits = |sequence: &&Vec<u32>| {
            tokens += sequence.len();
            tokens <= TOKENS_TOGETHER_MAX
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (part, others) = rest.split_at(count);
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

/// The average cosine of two of some vectors of unit length; 0 where there are not two.
fn average_cosine(vectors: &[Embedding]) -> f32 {
    let cosine =
        |one: &Embedding, other: &Embedding| one.iter().zip(&**other).map(|(a, b)| a * b).sum::<f32>();
    let pairs = vectors
        .iter()
        .enumerate()
        .flat_map(|(n, one)| vectors[n + 1..].iter().map(move |other| (one, other)));
    let cosines: Vec<f32> = pairs.map(|(one, other)| cosine(one, other)).collect();
    #[expect(clippy::cast_precision_loss, reason = "some pairs")]
    let count = cosines.len().max(1) as f32;
    cosines.iter().sum::<f32>() / count
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: candle_core::Error) -> ModelError {
    ModelError::Failed(error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Missing { path: path.to_owned(), source })
}

fn unfit(path: &Path, what: impl Into<String>) -> ModelError {
    ModelError::Unfit { path: path.to_owned(), what: what.into() }
}

#[cfg(test)]
mod tests;
