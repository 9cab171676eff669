//! Texts cut into the tokens of a model's vocabulary.

use std::borrow::Cow;

use tokenizers::{Tokenizer, TruncationParams};

use super::card::Card;

/// Characters that are read for each token that a model takes: words and white space may be long, but nobody writes a text of
/// which the rest would matter.
const CHARS_PER_TOKEN_MAX: usize = 128;

/// A model's tokenizer.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    lowercase: bool,
    chars_max: usize,
}

impl Tokens {
    /// Reads a `tokenizer.json`. Its own length and padding are those of the model's training; the card's hold here.
    pub(super) fn new(json: &[u8], card: &Card) -> Result<Self, String> {
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|error| format!("is not a tokenizer: {error}"))?;
        let truncation = TruncationParams { max_length: card.tokens_max, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or_default();
        if usize::try_from(highest).is_ok_and(|highest| highest >= card.vocabulary) {
            return Err(format!("has a token {highest}, and the model only {} tokens", card.vocabulary));
        }
        let chars_max = card.tokens_max * CHARS_PER_TOKEN_MAX;
        Ok(Self { tokenizer, lowercase: card.lowercase, chars_max })
    }

    /// All pieces of words that it knows.
    pub(super) fn vocabulary(&self) -> Vec<String> {
        self.tokenizer.get_vocab(false).into_keys().collect()
    }

    /// The tokens of a text behind a prefix, those at its ends included.
    pub(super) fn of(&self, prefix: &str, text: &str) -> candle_core::Result<Vec<u32>> {
        // As sentence-transformers does.
        let text = text.trim();
        let end = text.char_indices().nth(self.chars_max).map_or(text.len(), |(end, _)| end);
        let mut text = Cow::Borrowed(&text[..end]);
        if self.lowercase {
            text = text.to_lowercase().into();
        }
        if !prefix.is_empty() {
            text = format!("{prefix}{text}").into();
        }
        let encoded = self.tokenizer.encode_fast(text, true).map_err(candle_core::Error::msg)?;
        Ok(encoded.get_ids().to_vec())
    }
}
