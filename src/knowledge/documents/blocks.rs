//! What every document is made of: headings, and the paragraphs below them.

use crate::knowledge::text::words::is_unspaced;

/// A heading, in characters at the most; what is longer is a paragraph.
const HEADING_CHARS_MAX: usize = 200;

/// A part of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Block {
    /// A heading; the lower its level the more it spans.
    Heading {
        /// 1 and on.
        level: u8,
        /// What it says.
        text: String,
    },
    /// A paragraph, or an item of a list.
    Text(String),
    /// The end of what stands below headings of this level and deeper ones, where a document marks it.
    End(u8),
}

/// Gathers blocks; blank ones are left out.
#[derive(Default)]
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    pub(super) fn heading(&mut self, level: u8, text: &str) {
        let text = joined(text);
        match text.chars().count() {
            0 => {}
            1..=HEADING_CHARS_MAX => self.0.push(Block::Heading { level, text }),
            _ => self.0.push(Block::Text(text)),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        let text = joined(text);
        if !text.is_empty() {
            self.0.push(Block::Text(text));
        }
    }

    pub(super) fn end(&mut self, level: u8) {
        self.0.push(Block::End(level));
    }

    pub(super) fn extend(&mut self, blocks: Vec<Block>) {
        self.0.extend(blocks);
    }

    pub(super) fn into_inner(self) -> Vec<Block> {
        self.0
    }
}

/// A text with one space wherever it has white space, and none where a script that has no spaces goes on in the next line.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let before = joined.chars().next_back();
        let is_close = |c| is_unspaced(c) || is_mark(c);
        let is_one = before.is_some_and(is_close) && word.chars().next().is_some_and(is_close);
        // Hangul has spaces, though its words are not stemmed.
        let is_hangul = before.is_some_and(|c| matches!(c, '\u{AC00}'..='\u{D7AF}'));
        if !joined.is_empty() && (!is_one || is_hangul) {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined
}

/// Whether a character is a mark of punctuation of the scripts without spaces, which has its room within itself.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FF0F}' | '\u{FF1A}'..='\u{FF20}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_as_their_script_wants() {
        for (text, expected) in [
            ("  one\n two\t three ", "one two three"),
            ("我们每天\n送水。", "我们每天送水。"),
            ("배달은\n매일", "배달은 매일"),
            ("سعر\nالقارورة", "سعر القارورة"),
            (" \n ", ""),
        ] {
            assert_eq!(joined(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_heading_that_is_too_long_for_one_is_a_paragraph_and_a_blank_one_is_none() {
        let mut blocks = Blocks::default();
        blocks.heading(1, "x".repeat(HEADING_CHARS_MAX + 1).as_str());
        blocks.heading(1, " ");
        blocks.text("\n");
        assert!(matches!(&blocks.into_inner()[..], [Block::Text(_)]));
    }
}
