//! Cuts a text into parts that a channel takes.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Cuts `text` into parts of at most `limit` Unicode scalar values: at a paragraph, else a line, a sentence, a space, and at
/// last between two graphemes. Nothing is lost but white space at the cuts, and no part is blank.
///
/// A boundary in the first half of a part is passed over for a lesser one in the second half, since early cuts would only
/// make more parts; a space in the first half is still better than a cut through a word.
#[must_use]
pub fn split(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let Some((end, _)) = rest.char_indices().nth(limit) else {
            push(&mut parts, rest);
            return parts;
        };
        let (head, tail) = rest.split_at(cut(rest, end));
        push(&mut parts, trim_end(head));
        rest = trim_start(tail);
    }
}

/// Keeps a part that is not blank.
fn push(parts: &mut Vec<String>, part: &str) {
    if !part.trim().is_empty() {
        parts.push(part.to_owned());
    }
}

/// Where to cut `text`, at or before the byte `end`, which is the start of the first character beyond the limit.
fn cut(text: &str, end: usize) -> usize {
    let half = end / 2;
    let before = |pattern: &str| text[..end].rfind(pattern);
    let paragraph = before("\n\n").max(before("\r\n\r\n"));
    [paragraph, before("\n"), sentence(text, end), space(text, end)]
        .into_iter()
        .flatten()
        .filter(|at| *at >= half)
        .chain(space(text, end))
        .find(|at| *at > 0 && is_grapheme_boundary(text, *at))
        .unwrap_or_else(|| grapheme(text, end))
}

/// The last sentence boundary within the limit (Unicode Standard Annex 29, which knows the Arabic marks too).
fn sentence(text: &str, end: usize) -> Option<usize> {
    // The end of the slice is a boundary only because it was cut there.
    text[..end].split_sentence_bound_indices().map(|(at, _)| at).last()
}

/// The last white space that begins at or before the limit.
fn space(text: &str, end: usize) -> Option<usize> {
    let beyond = text[end..].chars().next().map_or(0, char::len_utf8);
    text[..end + beyond].rfind(char::is_whitespace)
}

/// The last boundary between graphemes within the limit; `end` itself where one grapheme is longer than the limit.
fn grapheme(text: &str, end: usize) -> usize {
    if is_grapheme_boundary(text, end) {
        return end;
    }
    match GraphemeCursor::new(end, text.len(), true).prev_boundary(text, 0) {
        Ok(Some(at)) if at > 0 => at,
        _ => end,
    }
}

/// Whether no grapheme is cut at `at`.
fn is_grapheme_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(false)
}

/// Drops white space at the start, whole graphemes only: a space can carry a combining mark.
fn trim_start(text: &str) -> &str {
    let at = text.grapheme_indices(true).find(|(_, grapheme)| !is_blank(grapheme)).map(|(at, _)| at);
    &text[at.unwrap_or(text.len())..]
}

/// Drops white space at the end, whole graphemes only.
fn trim_end(text: &str) -> &str {
    let last = text.grapheme_indices(true).rev().find(|(_, grapheme)| !is_blank(grapheme));
    &text[..last.map_or(0, |(at, grapheme)| at + grapheme.len())]
}

fn is_blank(grapheme: &str) -> bool {
    grapheme.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_cut_at_the_best_boundary() {
        for (name, text, limit, expected) in [
            ("empty", "", 10, vec![]),
            ("blank", " \n\n ", 2, vec![]),
            ("fits exactly", "0123456789", 10, vec!["0123456789"]),
            ("short text keeps its spaces", " a ", 10, vec![" a "]),
            ("paragraph before line", "one two\n\nthree\nfour", 15, vec!["one two", "three\nfour"]),
            ("windows paragraph", "one two\r\n\r\nthree\r\nfour", 18, vec!["one two", "three\r\nfour"]),
            ("line before sentence", "one two\nthree. four five", 15, vec!["one two", "three. four", "five"]),
            ("sentence before space", "One two. Three four five", 15, vec!["One two.", "Three four five"]),
            ("arabic question", "كيف الحال؟ نحن بخير", 16, vec!["كيف الحال؟", "نحن بخير"]),
            ("space", "aaaa bbbb cccc", 10, vec!["aaaa bbbb", "cccc"]),
            ("space exactly at the limit", "aaaa bbbb cccc", 9, vec!["aaaa bbbb", "cccc"]),
            (
                "an early paragraph makes no part of its own",
                "a\n\nbbbb cccc dddd",
                12,
                vec!["a\n\nbbbb cccc", "dddd"],
            ),
            ("an early space saves a long word", "see bbbbbbbbbbbb", 13, vec!["see", "bbbbbbbbbbbb"]),
            ("no boundary", "aaaaaaaaaa", 4, vec!["aaaa", "aaaa", "aa"]),
            ("a flag is not cut", "🇩🇪🇫🇷", 3, vec!["🇩🇪", "🇫🇷"]),
            ("a family longer than the limit is cut", "👨‍👩‍👧", 3, vec!["👨‍👩", "\u{200d}👧"]),
            ("leading space over the limit", "     aaaa", 4, vec!["aaaa"]),
        ] {
            assert_eq!(split(text, limit), expected, "{name}");
        }
    }

    #[test]
    fn limits_count_characters_and_not_bytes() {
        let text = "😀".repeat(4_096);
        assert_eq!(split(&text, 4_096), [text.as_str()]);
        let parts = split(&"ء".repeat(4_097), 4_096);
        assert_eq!(parts.iter().map(|part| part.chars().count()).collect::<Vec<_>>(), [4_096, 1]);
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_white_space_and_every_part_fits(
            text in "([a-zé]{1,9}|[\\.!؟] |[ \n\r]|👨‍👩‍👧|🇩🇪|e\u{301}| \u{301}|\u{0}|\u{200f}|مرحبا){0,80}",
            limit in 1_usize..40,
        ) {
            let parts = split(&text, limit);
            prop_assert_eq!(letters(&parts.concat()), letters(&text));
            for part in &parts {
                prop_assert!(part.chars().count() <= limit);
                prop_assert!(!part.trim().is_empty());
            }
        }

        #[test]
        fn no_grapheme_is_cut_that_fits(
            text in "([a-z]{1,9}|[ \n]|👨‍👩‍👧|🇩🇪|e\u{301}| \u{301}|\r\n){0,60}",
            limit in 5_usize..40,
        ) {
            let whole: Vec<&str> = text.graphemes(true).filter(|g| !is_blank(g)).collect();
            let parts = split(&text, limit);
            let cut: Vec<&str> =
                parts.iter().flat_map(|part| part.graphemes(true)).filter(|g| !is_blank(g)).collect();
            prop_assert_eq!(cut, whole);
        }
    }
}
