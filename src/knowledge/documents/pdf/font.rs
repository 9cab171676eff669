//! What the bytes of a font mean, and how wide they are.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Encoding, Error, Object};

/// A character's width where a font tells none, in thousandths of its size: about that of a letter of Helvetica.
const WIDTH: f32 = 500.0;

/// Widths of one font at the most; more characters than any has.
const WIDTHS_MAX: usize = 1 << 16;

/// A font of a page.
pub(super) struct Font<'a> {
    encoding: Encoding<'a>,
    /// Whether a character is two bytes.
    is_wide: bool,
    widths: HashMap<u32, f32>,
    other: f32,
}

impl<'a> Font<'a> {
    /// Reads a font; what is wrong with its widths is passed over.
    ///
    /// # Errors
    /// It would unpack to more than so many bytes, or is none.
    pub(super) fn read(
        document: &'a Document,
        font: &'a Dictionary,
        bytes_max: usize,
    ) -> Result<Self, Error> {
        let encoding = font.get_font_encoding_with_limit(document, bytes_max)?;
        let below = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array).ok();
        let below = below.and_then(|fonts| document.dereference(fonts.first()?).ok()?.1.as_dict().ok());
        let (widths, other) =
            below.map_or_else(|| simple(document, font), |below| composite(document, below));
        Ok(Self { encoding, is_wide: below.is_some(), widths, other })
    }

    /// What some bytes say; a character that the font does not name is [`UNKNOWN`](super::UNKNOWN).
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let unknown = || std::iter::repeat_n(super::UNKNOWN, self.width(bytes).1).collect();
        // Of two bytes each without a table, the library would read every byte as a Latin letter.
        if self.is_wide && matches!(self.encoding, Encoding::OneByteEncoding(_)) {
            return unknown();
        }
        self.encoding.bytes_to_string(bytes).unwrap_or_else(|_| unknown())
    }

    /// How wide some bytes are, in parts of the font's size, and how many characters they are.
    pub(super) fn width(&self, bytes: &[u8]) -> (f32, usize) {
        let codes: Vec<u32> = if self.is_wide {
            bytes
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |code, byte| code << 8 | u32::from(*byte)))
                .collect()
        } else {
            bytes.iter().map(|byte| u32::from(*byte)).collect()
        };
        let sum: f32 = codes.iter().map(|code| self.widths.get(code).unwrap_or(&self.other)).sum();
        (sum / 1_000.0, codes.len())
    }
}

/// Of a font whose characters are one byte (ISO 32000-1, 9.6.2.1).
fn simple(document: &Document, font: &Dictionary) -> (HashMap<u32, f32>, f32) {
    let first = font.get_deref(b"FirstChar", document).and_then(Object::as_i64).unwrap_or(0);
    let first = u32::try_from(first).unwrap_or(0);
    let widths = font.get_deref(b"Widths", document).and_then(Object::as_array);
    let widths = widths.map(|widths| (first..).zip(numbers(document, widths)).collect());
    (widths.unwrap_or_default(), WIDTH)
}

/// Of a font whose characters are two bytes (ISO 32000-1, 9.7.4.3): `c [w1 w2 …]` and `from to w`, one after another.
fn composite(document: &Document, font: &Dictionary) -> (HashMap<u32, f32>, f32) {
    let other = font.get_deref(b"DW", document).and_then(Object::as_float).unwrap_or(1_000.0);
    let mut widths = HashMap::new();
    let list = font.get_deref(b"W", document).and_then(Object::as_array);
    let mut rest = list.map(Vec::as_slice).unwrap_or_default();
    let code = |object: &Object| object.as_i64().ok().and_then(|code| u32::try_from(code).ok());
    while let [first, second, more @ ..] = rest {
        let Some(from) = code(first) else { break };
        let second = document.dereference(second).map_or(second, |(_, object)| object);
        match (second.as_array(), code(second), more) {
            (Ok(several), ..) => {
                widths.extend((from..).zip(numbers(document, several)));
                rest = more;
            }
            (_, Some(to), [width, more @ ..]) => {
                let width = width.as_float().unwrap_or(other);
                widths.extend((from..=to).take(WIDTHS_MAX).map(|code| (code, width)));
                rest = more;
            }
            _ => break,
        }
        if widths.len() > WIDTHS_MAX {
            break;
        }
    }
    (widths, other)
}

fn numbers(document: &Document, list: &[Object]) -> Vec<f32> {
    let number = |object: &Object| document.dereference(object).ok()?.1.as_float().ok();
    list.iter().take(WIDTHS_MAX).map(|object| number(object).unwrap_or(WIDTH)).collect()
}
