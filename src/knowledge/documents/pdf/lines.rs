//! The lines of pages, and what they make: headings by the size of their letters, paragraphs by the room between them.

use std::collections::BTreeMap;

use unicode_bidi::{BidiClass, BidiInfo, Level, bidi_class};
use unicode_normalization::UnicodeNormalization;

use super::layout::Piece;
use crate::knowledge::documents::blocks::{Block, Blocks};

/// How far from a line what belongs to it may stand, as a share of the size: raised and lowered signs.
const SAME_LINE: f32 = 0.4;

/// The least room between two words, as a share of the size. A space of most fonts is a quarter of it.
const WORD_GAP: f32 = 0.15;

/// From which distance on, as a multiple of the size, two lines are of different paragraphs.
const PARAGRAPH_GAP: f32 = 1.7;

/// From which multiple of the usual size on a line is a heading.
const HEADING_SIZE: f32 = 1.15;

/// The heading's levels.
const LEVELS_MAX: u8 = 6;

/// A line of a page.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    size: f32,
    /// How far it is below the line before it; none for the first one of a page.
    below: Option<f32>,
}

/// The lines of one page, from its pieces in the order in which they were set.
pub(super) fn lines(pieces: Vec<Piece>) -> Vec<Line> {
    let mut groups: Vec<Vec<Piece>> = vec![];
    for piece in pieces.into_iter().filter(|piece| !piece.text.is_empty()) {
        match groups.last_mut().filter(|group| is_of(&piece, group)) {
            Some(group) => group.push(piece),
            None => groups.push(vec![piece]),
        }
    }
    let mut before = None;
    groups.into_iter().filter_map(|group| line(&group, &mut before)).collect()
}

fn is_of(piece: &Piece, line: &[Piece]) -> bool {
    let Some(first) = line.first() else { return false };
    (piece.height - first.height).abs() <= SAME_LINE * first.size.max(piece.size)
}

fn line(pieces: &[Piece], before: &mut Option<f32>) -> Option<Line> {
    let mut text = String::new();
    let mut end: Option<f32> = None;
    for piece in pieces {
        let gap = end.map_or(0.0, |end| piece.left - end);
        // A piece further to the left was set later than what stands behind it.
        let is_apart = gap > WORD_GAP * piece.size || gap < -piece.size;
        if is_apart && !text.ends_with(char::is_whitespace) && !piece.text.starts_with(char::is_whitespace) {
            text.push(' ');
        }
        text.push_str(&piece.text);
        end = Some(piece.right);
    }
    let text = as_read(text.trim());
    if text.is_empty() {
        return None;
    }
    let height = pieces.first()?.height;
    let size = pieces.iter().map(|piece| piece.size).fold(0.0, f32::max);
    let below = before.replace(height).map(|before| (before - height).abs());
    Some(Line { text, size, below })
}

/// A line as it is read, from how it is seen: letters that are written from right to left are turned round, and the shapes of Arabic
/// letters and of ligatures become letters.
fn as_read(seen: &str) -> String {
    let count = |wanted: fn(BidiClass) -> bool| seen.chars().filter(|c| wanted(bidi_class(*c))).count();
    let right = count(|class| matches!(class, BidiClass::R | BidiClass::AL));
    let text = if right == 0 {
        seen.to_owned()
    } else {
        let left = count(|class| class == BidiClass::L);
        let level = if right >= left { Level::rtl() } else { Level::ltr() };
        let order = BidiInfo::new(seen, Some(level));
        // What the rules make of a text that is seen is the text that is read: they turn round the same runs.
        let turned = order.paragraphs.iter().map(|part| order.reorder_line(part, part.range.clone()));
        turned.collect()
    };
    let letters = |c: char| {
        let is_shape =
            matches!(c, '\u{FB00}'..='\u{FB4F}' | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}');
        if is_shape { c.nfkc().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(letters).collect()
}

/// The headings and paragraphs of all lines.
pub(super) fn blocks(lines: Vec<Line>) -> Vec<Block> {
    let usual = usual_size(&lines);
    let levels = levels(&lines, usual);
    let mut blocks = Blocks::default();
    let mut open = Open::default();
    for line in lines {
        let level = levels.get(&tenths(line.size)).copied();
        if open.ends_before(&line, level) {
            open.push_to(&mut blocks);
        }
        open.add(&line, level);
    }
    open.push_to(&mut blocks);
    blocks.into_inner()
}

/// Sizes are compared in tenths of a point.
#[expect(clippy::cast_possible_truncation, reason = "a conversion from float to int saturates")]
fn tenths(size: f32) -> i64 {
    (size * 10.0).round() as i64
}

/// The size that most characters have.
fn usual_size(lines: &[Line]) -> i64 {
    let mut chars = BTreeMap::new();
    for line in lines {
        *chars.entry(tenths(line.size)).or_insert(0) += line.text.chars().count();
    }
    chars.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(size, _)| size)
}

/// The levels of the sizes of headings, the largest first.
fn levels(lines: &[Line], usual: i64) -> BTreeMap<i64, u8> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    let is_heading = |size: &i64| *size as f32 >= usual as f32 * HEADING_SIZE;
    let mut sizes: Vec<i64> = lines.iter().map(|line| tenths(line.size)).filter(is_heading).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let levels = (1..=LEVELS_MAX).chain(std::iter::repeat(LEVELS_MAX));
    sizes.into_iter().rev().zip(levels).collect()
}

/// The paragraph or heading that is being read.
#[derive(Default)]
struct Open {
    text: String,
    level: Option<u8>,
}

impl Open {
    /// Whether a line begins something else.
    fn ends_before(&self, line: &Line, level: Option<u8>) -> bool {
        let is_far = match line.below {
            Some(below) => below > PARAGRAPH_GAP * line.size,
            // The next page goes on with a sentence that did not end.
            None => {
                self.level.is_some() || self.text.trim_end().ends_with(['.', '!', '?', '؟', '。', '：', ':'])
            }
        };
        !self.text.is_empty() && (level != self.level || is_far || is_item(&line.text))
    }

    fn add(&mut self, line: &Line, level: Option<u8>) {
        let begins_small = line.text.chars().next().is_some_and(char::is_lowercase);
        if begins_small && self.text.ends_with(['-', '\u{AD}']) {
            self.text.pop();
        } else if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&line.text);
        self.level = level;
    }

    fn push_to(&mut self, blocks: &mut Blocks) {
        let text = std::mem::take(&mut self.text);
        match self.level.take() {
            Some(level) => blocks.heading(level, &text),
            None => blocks.text(&text),
        }
    }
}

fn is_item(line: &str) -> bool {
    ["•", "- ", "– ", "▪", "●"].iter().any(|mark| line.starts_with(mark))
}
