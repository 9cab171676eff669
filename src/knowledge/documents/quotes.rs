//! Quotation marks of a table that nothing closes. The reader of tables takes all that follows one for a cell, to the next mark or to
//! the end of the file, so that entries would be lost without a word. Pure.

/// Where in a table the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a cell.
    Begin,
    /// In a cell without quotation marks, in which one is part of the text.
    Plain,
    /// Between the quotation marks of a cell.
    Quoted,
    /// Behind a mark that ends a cell, or is the first one of two that stand for one.
    Behind,
}

/// The line, counted from 1, on which a quotation mark opens a cell that does not end as one: none closes it, or one of a later line
/// within whose cell the text goes on.
pub(super) fn unclosed(text: &str, delimiter: u8) -> Option<u64> {
    let (mut place, mut line, mut opened) = (Place::Begin, 1, 1);
    for byte in text.bytes() {
        let ends = byte == delimiter || matches!(byte, b'\n' | b'\r');
        place = match place {
            Place::Begin if byte == b'"' => {
                opened = line;
                Place::Quoted
            }
            Place::Quoted if byte == b'"' => Place::Behind,
            Place::Behind if byte == b'"' => Place::Quoted,
            Place::Behind if !ends && opened < line => return Some(opened),
            Place::Quoted => Place::Quoted,
            Place::Begin | Place::Plain | Place::Behind if ends => Place::Begin,
            Place::Begin | Place::Plain | Place::Behind => Place::Plain,
        };
        line += u64::from(byte == b'\n');
    }
    (place == Place::Quoted).then_some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_nothing_closes_is_found_on_its_line() {
        for (text, expected) in [
            ("", None),
            ("a,b\n1,2\n", None),
            ("a,\"b\"\n\"1\",\"2\n3\"\n", None),
            ("a,\"b \"\"c\"\", d\ne\"\r\n1,2", None),
            ("a,\"\"\n\"\"\"\",2\n", None),
            ("a,5\" pipe\nb,6\" pipe\n", None),
            ("a,\"b\" and more\nc,d\n", None),
            ("a,\"b\n1,2\n", Some(1)),
            ("a,b\n1,\"2\n3,4\n", Some(2)),
            ("a,b\r\n\r\n1,\"2\"\"\r\n3,4\r\n", Some(3)),
            ("a,b\n1,\"", Some(2)),
            // The mark that opens another cell closes this one.
            ("a,b\n1,\"2\n3,\"4\"\n", Some(2)),
            ("a,b\n1,\"2\n3,4\n\"5\",6\n", Some(2)),
        ] {
            assert_eq!(unclosed(text, b','), expected, "{text:?}");
        }
        assert_eq!(unclosed("a\t\"b\nc\td\n", b'\t'), Some(1));
    }
}
