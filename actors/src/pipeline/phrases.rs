//! The stored phrases that the pipeline speaks.

use crate::domain::{Class, Language};
use crate::settings::Phrases;

/// Nothing known fits; a person will answer.
pub const FALLBACK: &str = "fallback";
/// The message is of a kind that cannot be read.
pub const UNSUPPORTED: &str = "unsupported";
/// The message failed; a person will look.
pub const DEAD_LETTER: &str = "dead_letter";
/// The class is handed to a person.
pub const HUMAN: &str = "human";

/// The phrase of this name in the person's language, else in the default language, else in any.
///
/// The configuration is refused when a name is missing, so the empty text is never spoken.
#[must_use]
pub fn phrase(phrases: &Phrases, name: &str, language: Language, default: Language) -> String {
    let Some(versions) = phrases.get(name) else { return String::new() };
    versions
        .get(&language)
        .or_else(|| versions.get(&default))
        .or_else(|| versions.values().next())
        .cloned()
        .unwrap_or_default()
}

/// The names of all phrases the pipeline may speak.
pub fn names() -> impl Iterator<Item = &'static str> {
    [FALLBACK, UNSUPPORTED, DEAD_LETTER, HUMAN].into_iter().chain(Class::ALL.map(Class::as_str))
}

/// The names among [`names`] that have no text at all.
#[must_use]
pub fn missing(phrases: &Phrases) -> Vec<&'static str> {
    let is_spoken = |name: &&str| {
        phrases.get(*name).is_some_and(|versions| versions.values().any(|text| !text.trim().is_empty()))
    };
    names().filter(|name| !is_spoken(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases() -> Phrases {
        let versions = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(code, text)| (code.parse().unwrap(), (*text).to_owned())).collect()
        };
        Phrases::from([
            ("thanks".to_owned(), versions(&[("en", "welcome"), ("ar", "عفوا")])),
            ("human".to_owned(), versions(&[("fr", "un collègue")])),
        ])
    }

    #[test]
    fn a_phrase_is_spoken_in_the_persons_language_else_in_the_default_one() {
        let spoken = |name, code: &str| phrase(&phrases(), name, code.parse().unwrap(), Language::ENGLISH);
        assert_eq!(spoken("thanks", "ar"), "عفوا");
        assert_eq!(spoken("thanks", "de"), "welcome");
        assert_eq!(spoken("human", "ar"), "un collègue");
    }

    #[test]
    fn missing_phrases_are_named() {
        let missing = missing(&phrases());
        assert!(missing.contains(&FALLBACK) && !missing.contains(&"thanks"));
    }
}
