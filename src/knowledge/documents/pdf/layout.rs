//! Where the words of a page stand: the operators of text that move and show (ISO 32000-1, 8.4.4 and 9.4).

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use lopdf::Object;

use super::font::Font;

/// How deep a page may save how it draws; deeper ones go on with what is there.
const SAVED_MAX: usize = 64;

/// Bytes of a text that are read at a time; it shows no more at once than is allowed (ISO 32000-1, annex C).
const SHOWN_BYTES: usize = 32 * 1024;

/// What stands for a font that is not in the file.
const NO_FONT: &str = "one that is missing";

/// A piece of text that stands in one place.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Where it begins and ends, from the left.
    pub(super) left: f32,
    pub(super) right: f32,
    /// Its line, from below.
    pub(super) height: f32,
    /// The size of its letters.
    pub(super) size: f32,
}

/// How a page's own measure is turned into that of the paper: `[a b c d e f]`.
type Matrix = [f32; 6];

const AS_IT_IS: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// What comes of two matrices, the first one applied first.
fn product(one: Matrix, other: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = one;
    let [g, h, i, j, k, l] = other;
    [a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l]
}

/// What the operators change.
#[derive(Clone, Copy)]
struct State<'a> {
    paper: Matrix,
    font: Option<&'a Font<'a>>,
    size: f32,
    leading: f32,
    letter_space: f32,
    /// How wide letters are, as a share of their usual width.
    stretch: f32,
}

/// What is on a page.
#[derive(Default, Debug)]
pub(super) struct Seen {
    pub(super) pieces: Vec<Piece>,
    /// Characters that cannot be read, by the fonts that they are set in.
    pub(super) unread: BTreeMap<String, usize>,
    /// Whether something is drawn by way of a picture or a form.
    pub(super) draws: bool,
    /// Bytes of text that are more than may be read.
    pub(super) is_too_long: bool,
}

/// A page as it is read.
pub(super) struct Page<'a> {
    fonts: &'a HashMap<Vec<u8>, Rc<Font<'a>>>,
    /// Bytes of text that may still be read.
    text_left: usize,
    state: State<'a>,
    saved: Vec<State<'a>>,
    /// Where the next letter stands, and where its line begins.
    at: Matrix,
    line: Matrix,
    seen: Seen,
}

impl<'a> Page<'a> {
    /// A page with these fonts, of which no more than so many bytes of text are read.
    pub(super) fn new(fonts: &'a HashMap<Vec<u8>, Rc<Font<'a>>>, text_bytes_max: usize) -> Self {
        let state =
            State { paper: AS_IT_IS, font: None, size: 1.0, leading: 0.0, letter_space: 0.0, stretch: 1.0 };
        let (at, line) = (AS_IT_IS, AS_IT_IS);
        Self { fonts, text_left: text_bytes_max, state, saved: vec![], at, line, seen: Seen::default() }
    }

    /// Does what an operator says. One that is not as it should be does nothing.
    pub(super) fn take(&mut self, operator: &str, operands: &[Object]) {
        let number = |n: usize| operands.get(n).and_then(|operand| operand.as_float().ok()).unwrap_or(0.0);
        match operator {
            "q" if self.saved.len() < SAVED_MAX => self.saved.push(self.state),
            "Q" => self.state = self.saved.pop().unwrap_or(self.state),
            "cm" => self.state.paper = product(matrix(operands), self.state.paper),
            "BT" => (self.at, self.line) = (AS_IT_IS, AS_IT_IS),
            "Tf" => {
                let name = operands.first().and_then(|name| name.as_name().ok());
                let font = name.and_then(|name| self.fonts.get(name)).map(Rc::as_ref);
                (self.state.font, self.state.size) = (font, number(1));
            }
            "TL" => self.state.leading = number(0),
            "Tc" => self.state.letter_space = number(0),
            "Tz" => self.state.stretch = number(0) / 100.0,
            "Tm" => self.set(matrix(operands)),
            "Td" => self.next_line(number(0), number(1)),
            "TD" => {
                self.state.leading = -number(1);
                self.next_line(number(0), number(1));
            }
            "T*" => self.next_line(0.0, -self.state.leading),
            "Tj" => operands.iter().take(1).for_each(|said| self.show(said)),
            "'" | "\"" => {
                self.next_line(0.0, -self.state.leading);
                operands.iter().rev().take(1).for_each(|said| self.show(said));
            }
            "TJ" => {
                let said = operands.first().and_then(|said| said.as_array().ok());
                said.into_iter().flatten().for_each(|said| self.show(said));
            }
            "Do" | "BI" => self.seen.draws = true,
            _ => {}
        }
    }

    pub(super) fn finish(self) -> Seen {
        self.seen
    }

    const fn set(&mut self, matrix: Matrix) {
        (self.at, self.line) = (matrix, matrix);
    }

    fn next_line(&mut self, right: f32, up: f32) {
        self.set(product([1.0, 0.0, 0.0, 1.0, right, up], self.line));
    }

    fn forward(&mut self, right: f32) {
        self.at = product([1.0, 0.0, 0.0, 1.0, right, 0.0], self.at);
    }

    /// Shows a text, or moves by a number between texts, which is in thousandths of the size, and to the left.
    fn show(&mut self, said: &Object) {
        let State { font, size, stretch, letter_space, paper, .. } = self.state;
        let Ok(bytes) = said.as_str() else {
            self.forward(-said.as_float().unwrap_or(0.0) / 1_000.0 * size * stretch);
            return;
        };
        let Some(font) = font else {
            self.miss(NO_FONT, bytes.len());
            return;
        };
        let begin = product(self.at, paper);
        let (width, count) = font.width(bytes);
        #[expect(clippy::cast_precision_loss, reason = "few characters are shown at a time")]
        let spaces = count as f32 * letter_space;
        self.forward((width * size + spaces) * stretch);
        let end = product(self.at, paper);
        let size = (size * begin[2].hypot(begin[3])).abs();
        let [left, right, height] = [begin[4], end[4], begin[5]];
        let Some(text) = self.text(font, bytes) else {
            self.miss(font.name(), count);
            return;
        };
        if !text.is_empty() && [left, right, height, size].iter().all(|value| value.is_finite()) {
            self.seen.pieces.push(Piece { text, left, right, height, size });
        }
    }

    /// What some bytes say, as much of it as may be read; none where the font cannot be.
    fn text(&mut self, font: &Font<'_>, bytes: &[u8]) -> Option<String> {
        let mut text = String::new();
        for some in bytes.chunks(SHOWN_BYTES) {
            let said = font.text(some)?;
            self.seen.is_too_long |= said.len() > self.text_left;
            if self.seen.is_too_long {
                break;
            }
            self.text_left -= said.len();
            text.push_str(&said);
        }
        Some(text)
    }

    /// Takes note of characters that cannot be read.
    fn miss(&mut self, font: &str, count: usize) {
        match self.seen.unread.get_mut(font) {
            Some(missed) => *missed += count,
            None => drop(self.seen.unread.insert(font.to_owned(), count)),
        }
    }
}

fn matrix(operands: &[Object]) -> Matrix {
    let mut matrix = AS_IT_IS;
    for (place, operand) in matrix.iter_mut().zip(operands) {
        *place = operand.as_float().unwrap_or(*place);
    }
    matrix
}
