//! What the bytes of a font mean, and how wide they are.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Encoding, Error, Object, dictionary};

use super::UNKNOWN;

/// A character's width where a font tells none, in thousandths of its size: about that of a letter of Helvetica.
const WIDTH: f32 = 500.0;

/// Widths of one font at the most; more characters than any has.
const WIDTHS_MAX: usize = 1 << 16;

/// Names of characters of one font at the most that are looked at; it has no more than 256, each behind its number.
const NAMES_MAX: usize = 512;

/// A font of a page.
pub(super) struct Font<'a> {
    name: String,
    letters: Letters<'a>,
    /// Whether a character is two bytes.
    is_wide: bool,
    widths: HashMap<u32, f32>,
    other: f32,
}

/// What the bytes of a font say.
enum Letters<'a> {
    /// What each byte says; none where the font has no name for it.
    Bytes(Vec<Option<String>>),
    /// By a table of codes.
    Codes(Encoding<'a>),
    /// That cannot be known.
    Unreadable,
}

impl<'a> Font<'a> {
    /// Reads a font; what is wrong with its widths is passed over.
    ///
    /// # Errors
    /// It would unpack to more than so many bytes.
    pub(super) fn read(
        document: &'a Document,
        font: &'a Dictionary,
        bytes_max: usize,
    ) -> Result<Self, Error> {
        let below = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array).ok();
        let below = below.and_then(|fonts| document.dereference(fonts.first()?).ok()?.1.as_dict().ok());
        let letters = if below.is_some() { composite_letters } else { simple_letters };
        let letters = match letters(document, font, bytes_max) {
            Err(error) if super::budget::is_of_size(&error) => return Err(error),
            letters => letters.unwrap_or(Letters::Unreadable),
        };
        let (widths, other) =
            below.map_or_else(|| simple(document, font), |below| composite(document, below));
        let name =
            font.get_deref(b"BaseFont", document).and_then(Object::as_name).unwrap_or(b"without a name");
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(Self { name, letters, is_wide: below.is_some(), widths, other })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What some bytes say; a character that the font does not name is [`UNKNOWN`]. None where it is not known of any.
    pub(super) fn text(&self, bytes: &[u8]) -> Option<String> {
        match &self.letters {
            Letters::Bytes(letters) => Some(bytes.iter().map(|byte| letter(letters, *byte)).collect()),
            Letters::Codes(codes) => {
                let unknown = || std::iter::repeat_n(UNKNOWN, self.width(bytes).1).collect();
                Some(codes.bytes_to_string(bytes).unwrap_or_else(|_| unknown()))
            }
            Letters::Unreadable => None,
        }
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

/// What a byte says. One that is a blank in no font, or shows nothing, needs no name.
fn letter(letters: &[Option<String>], byte: u8) -> &str {
    const UNKNOWN_TEXT: &str = "\u{FFFD}";
    let is_blank = matches!(byte, 0..=0x20 | 0x7F | 0xA0 | 0xAD);
    let named = letters.get(usize::from(byte)).and_then(Option::as_deref);
    named.unwrap_or(if is_blank { "" } else { UNKNOWN_TEXT })
}

/// Of a font whose characters are two bytes: by its table. Without one the library would read every byte as a Latin letter.
fn composite_letters<'a>(
    document: &'a Document,
    font: &'a Dictionary,
    bytes_max: usize,
) -> Result<Letters<'a>, Error> {
    match font.get_font_encoding_with_limit(document, bytes_max)? {
        codes @ Encoding::UnicodeMapEncoding(_) => Ok(Letters::Codes(codes)),
        codes @ Encoding::SimpleEncoding(_) if codes.bytes_to_string(&[]).is_ok() => {
            Ok(Letters::Codes(codes))
        }
        _ => Ok(table(document, font, bytes_max)?.map_or(Letters::Unreadable, Letters::Codes)),
    }
}

/// Of a font whose characters are one byte: by the names that it gives them, or else by its table. Where one name alone is not known
/// to the library, it would pass over all of them, and read every byte as in a usual font.
fn simple_letters<'a>(
    document: &'a Document,
    font: &'a Dictionary,
    bytes_max: usize,
) -> Result<Letters<'a>, Error> {
    let differences = differences(document, font);
    let encoding = font.get_font_encoding_with_limit(document, bytes_max)?;
    match encoding {
        Encoding::UnicodeMapEncoding(_) => return Ok(Letters::Codes(encoding)),
        Encoding::Differences(_) => return Ok(bytes(&encoding, &[])),
        Encoding::OneByteEncoding(_) if differences.is_none() => return Ok(bytes(&encoding, &[])),
        Encoding::OneByteEncoding(_) | Encoding::SimpleEncoding(_) => {}
    }
    if let Some(codes) = table(document, font, bytes_max)? {
        return Ok(Letters::Codes(codes));
    }
    let Some((base, differences)) = differences else { return Ok(Letters::Unreadable) };
    let (named, nameless) = divided(document, differences);
    let known = with_names(base, named);
    Ok(bytes(&known.get_font_encoding_with_limit(document, bytes_max)?, &nameless))
}

/// What each byte says; nothing where it is one of `but`.
fn bytes<'a>(encoding: &Encoding<'_>, but: &[u8]) -> Letters<'a> {
    let said = |byte: u8| encoding.bytes_to_string(&[byte]).ok().filter(|said| !said.is_empty());
    let all = 0..=u8::MAX;
    Letters::Bytes(all.map(|byte| said(byte).filter(|_| !but.contains(&byte))).collect())
}

/// The table of a font that says what its codes are in Unicode (ISO 32000-1, 9.10.3), where it has one that can be read.
fn table<'a>(
    document: &Document,
    font: &Dictionary,
    bytes_max: usize,
) -> Result<Option<Encoding<'a>>, Error> {
    let Ok(table) = font.get(b"ToUnicode") else { return Ok(None) };
    // A font that has nothing else: the library takes it.
    let alone = dictionary! { "Type" => "Font", "ToUnicode" => table.clone() };
    match alone.get_font_encoding_with_limit(document, bytes_max)? {
        Encoding::UnicodeMapEncoding(codes) => Ok(Some(Encoding::UnicodeMapEncoding(codes))),
        _ => Ok(None),
    }
}

/// How a font names its characters: those of a usual font, and which are others (ISO 32000-1, 9.6.6.1).
fn differences<'a>(
    document: &'a Document,
    font: &'a Dictionary,
) -> Option<(Option<&'a Object>, &'a [Object])> {
    let encoding = font.get_deref(b"Encoding", document).and_then(Object::as_dict).ok()?;
    let differences = encoding.get_deref(b"Differences", document).and_then(Object::as_array).ok()?;
    Some((encoding.get(b"BaseEncoding").ok(), differences))
}

/// Names that the library knows, each behind its number, and the numbers of others.
fn divided(document: &Document, differences: &[Object]) -> (Vec<Object>, Vec<u8>) {
    let (mut named, mut nameless, mut at) = (vec![], vec![], 0_u8);
    for object in differences.iter().take(NAMES_MAX) {
        if let Ok(code) = object.as_i64() {
            at = u8::try_from(code).unwrap_or(at);
            continue;
        }
        let one = with_names(None, vec![0.into(), object.clone()]);
        match one.get_font_encoding(document) {
            Ok(Encoding::Differences(_)) => named.extend([i64::from(at).into(), object.clone()]),
            _ => nameless.push(at),
        }
        at = at.wrapping_add(1);
    }
    (named, nameless)
}

/// A font that names its characters so.
fn with_names(base: Option<&Object>, names: Vec<Object>) -> Dictionary {
    let mut encoding = dictionary! { "Differences" => names };
    if let Some(base) = base {
        encoding.set("BaseEncoding", base.clone());
    }
    dictionary! { "Type" => "Font", "Encoding" => encoding }
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
