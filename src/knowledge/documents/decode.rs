//! The text of a file.

use super::DocumentError;

/// The text of a file in UTF-8, or in UTF-16 where it begins with a byte order mark, as spreadsheets save it.
///
/// # Errors
/// Names the first byte that is no text.
pub(super) fn text(bytes: &[u8]) -> Result<String, DocumentError> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest, 3),
        _ => utf8(bytes, 0),
    }
}

fn utf8(bytes: &[u8], before: usize) -> Result<String, DocumentError> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| DocumentError::Encoding { at: before + error.valid_up_to() + 1 })?;
    // A file with these is of another kind.
    match text.find('\0') {
        Some(at) => Err(DocumentError::Encoding { at: before + at + 1 }),
        None => Ok(text.to_owned()),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, DocumentError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let mut at = 3;
    for c in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let c = c.map_err(|_| DocumentError::Encoding { at })?;
        text.push(c);
        at += 2 * c.len_utf16();
    }
    if rest.is_empty() { Ok(text) } else { Err(DocumentError::Encoding { at }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_editors_and_spreadsheets_save_them() {
        for (bytes, expected) in [
            (&b"plain"[..], "plain"),
            (b"\xEF\xBB\xBFa mark", "a mark"),
            (b"\xFF\xFEa\0\x33\x06", "aس"),
            (b"\xFE\xFF\0a\x06\x33", "aس"),
            (b"", ""),
        ] {
            assert_eq!(text(bytes).unwrap(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        for (bytes, expected) in [
            (&b"caf\xE9"[..], 4),
            (b"\xEF\xBB\xBFab\xFF", 6),
            (b"PK\x03\x04\0\0", 5),
            (b"\xFF\xFEa\0\0", 5),
            (b"\xFF\xFEa\0\x3D\xD8", 5),
        ] {
            let error = text(bytes).unwrap_err();
            assert!(matches!(error, DocumentError::Encoding { at } if at == expected), "{bytes:?}: {error}");
        }
    }
}
