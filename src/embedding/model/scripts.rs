//! What a model can read: the scripts that its vocabulary has enough pieces of.

use std::collections::BTreeSet;

use whatlang::{Script, detect_script};

/// Pieces of a script from which on it is read, whatever the size of the vocabulary; below, a model knows little more than its letters,
/// and takes all texts in it for each other. all-MiniLM-L6-v2 has 27,762 Latin ones, 488 of Chinese characters and 86 of
/// Arabic: it found 0.8 % of the passages of XQuAD-ar, where words alone found 90.
const PIECES_MIN: usize = 1_000;

/// The same as a share of the vocabulary, one in so many, for small ones.
const SHARE_MIN: usize = 50;

/// The scripts that a model reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scripts(BTreeSet<String>);

impl Scripts {
    /// Of the pieces of a vocabulary.
    pub(super) fn of<'a>(pieces: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        let mut all = 0;
        for piece in pieces {
            all += 1;
            if let Some(script) = detect_script(piece) {
                *counts.entry(script.to_string()).or_default() += 1;
            }
        }
        let enough = PIECES_MIN.min(all / SHARE_MIN).max(1);
        Self(counts.into_iter().filter(|(_, count)| *count >= enough).map(|(script, _)| script).collect())
    }

    /// Whether most letters of a text are of these. One without letters is of none.
    pub(super) fn read(&self, text: &str) -> bool {
        detect_script(text).is_some_and(|script: Script| self.0.contains(&script.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_of_which_the_vocabulary_has_enough() {
        let latin: Vec<String> = (0..3_000).map(|n| format!("word{n}")).collect();
        let cyrillic = ["а", "б", "в", "г"].map(str::to_owned);
        let scripts = Scripts::of(latin.iter().chain(&cyrillic).map(String::as_str));
        for (text, is_read) in [
            ("Do you deliver?", true),
            ("Où est-ce ?", true),
            ("где мой заказ", false),
            ("где мой iPhone, которого я жду", false),
            ("كم سعر القارورة؟", false),
            ("👍 12", false),
            ("", false),
        ] {
            assert_eq!(scripts.read(text), is_read, "{text}");
        }
        let small = Scripts::of(cyrillic.iter().map(String::as_str));
        assert!(small.read("где"), "a small vocabulary of one script");
    }
}
