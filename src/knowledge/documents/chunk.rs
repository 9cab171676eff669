//! Cuts a document into chunks: the headings above, and whole sentences below them.

use unicode_segmentation::UnicodeSegmentation;

use super::blocks::Block;
use super::question::question;

/// What stands between the headings of a passage.
const BETWEEN: &str = " › ";

/// An answer below a question, in characters at the most: about a screen of a telephone, and within one message of every channel. What
/// is longer is cut into passages, since half an answer is none.
const ANSWER_CHARS_MAX: usize = 2_000;

/// A piece of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chunk {
    /// The headings above, outermost first.
    pub(super) path: Vec<String>,
    /// What the last of them asks, if this is the whole answer.
    pub(super) question: Option<String>,
    /// Its sentences, each paragraph in a line of its own.
    pub(super) text: String,
}

impl Chunk {
    /// As it stands without its document.
    pub(super) fn passage(&self) -> String {
        let headings = self.path.join(BETWEEN);
        let lines = [headings.as_str(), self.text.as_str()];
        lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// What stands between two headings.
struct Section {
    /// The headings above with their levels.
    path: Vec<(u8, String)>,
    paragraphs: Vec<String>,
    /// Whether a heading below its own follows.
    has_below: bool,
}

/// Cuts a document so that a passage has at most so many characters, its headings included as far as they leave half of them to its
/// sentences.
pub(super) fn chunks(blocks: Vec<Block>, chars_max: usize) -> Vec<Chunk> {
    sections(blocks).into_iter().flat_map(|section| section.chunks(chars_max)).collect()
}

fn sections(blocks: Vec<Block>) -> Vec<Section> {
    // What nothing stands above, or below, needs no chunk of its own.
    let mut sections = vec![Section { path: vec![], paragraphs: vec![], has_below: true }];
    for block in blocks {
        let Some(open) = sections.last_mut() else { break };
        let mut path = open.path.clone();
        let has_below = match block {
            Block::Text(text) => {
                open.paragraphs.push(text);
                continue;
            }
            Block::Heading { level, text } => {
                path.retain(|(above, _)| *above < level);
                open.has_below |= path.len() == open.path.len();
                path.push((level, text));
                false
            }
            Block::End(level) => {
                path.retain(|(above, _)| *above < level);
                true
            }
        };
        sections.push(Section { path, paragraphs: vec![], has_below });
    }
    sections
}

impl Section {
    fn chunks(self, chars_max: usize) -> Vec<Chunk> {
        let path: Vec<String> = self.path.into_iter().map(|(_, heading)| heading).collect();
        if self.paragraphs.is_empty() {
            let alone = Chunk { path, question: None, text: String::new() };
            return if self.has_below { vec![] } else { vec![alone] };
        }
        let asked = path.last().and_then(|heading| question(heading));
        let whole = self.paragraphs.join("\n");
        if asked.is_some() && length(&whole) <= ANSWER_CHARS_MAX {
            return vec![Chunk { path, question: asked, text: whole }];
        }
        let path = innermost(path, chars_max / 2);
        let above = length(&path.join(BETWEEN));
        let texts = packed(&self.paragraphs, chars_max.saturating_sub(above + 1).max(chars_max / 2));
        texts.into_iter().map(|text| Chunk { path: path.clone(), question: None, text }).collect()
    }
}

/// The innermost headings that have room; the last one always.
fn innermost(mut path: Vec<String>, chars_max: usize) -> Vec<String> {
    while path.len() > 1 && length(&path.join(BETWEEN)) > chars_max {
        path.remove(0);
    }
    path
}

/// Paragraphs in texts of at most so many characters, cut between sentences, and within one only where it is longer.
fn packed(paragraphs: &[String], chars_max: usize) -> Vec<String> {
    let mut texts = vec![];
    let mut text = String::new();
    let mut chars = 0;
    for paragraph in paragraphs {
        let mut between = "\n";
        for sentence in paragraph.split_sentence_bounds().flat_map(|sentence| pieces(sentence, chars_max)) {
            let added = length(sentence.trim_end()) + usize::from(!text.is_empty() && !between.is_empty());
            if !text.is_empty() && chars + added > chars_max {
                texts.push(std::mem::take(&mut text).trim_end().to_owned());
            }
            if !text.is_empty() {
                text.push_str(between);
            }
            text.push_str(sentence);
            chars = length(&text);
            between = "";
        }
        text.truncate(text.trim_end().len());
        chars = length(&text);
    }
    texts.push(text);
    texts.retain(|text| !text.is_empty());
    texts
}

/// A sentence, or, where it is too long, pieces of it: whole words, and parts of what is too long for a word.
fn pieces(sentence: &str, chars_max: usize) -> Vec<&str> {
    let mut pieces = vec![];
    let mut rest = sentence;
    // What is left is never counted as a whole: it may be all of a file.
    while let Some((end, _)) = rest.char_indices().nth(chars_max) {
        if rest[end..].trim_end().is_empty() {
            break;
        }
        let words = rest.split_word_bound_indices().map(|(at, _)| at).take_while(|at| *at <= end);
        let cut = words.last().filter(|at| *at > 0).unwrap_or(end);
        pieces.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    pieces.push(rest);
    pieces
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
