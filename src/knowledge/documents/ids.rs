//! The ids of what a document brings: the same each time it is read, and known to be the document's.
//!
//! An id is the document's name, `#`, and the headings above it: `guide.md#delivery/fees`, and `guide.md#delivery/fees.2` for
//! the next chunk below the same headings. So an id tells where an entry comes from, wherever it is listed, exported or found,
//! and a document that is read again replaces what it brought.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// What stands between the name of a document and a place in it.
const MARK: char = '#';

/// A name, in bytes at the most.
const NAME_BYTES_MAX: usize = 48;

/// The headings of an id, in bytes at the most; with the rest, less than an id may have.
const PLACE_BYTES_MAX: usize = 64;

/// Where a chunk is that has no heading above it.
const NO_HEADING: &str = "text";

/// What is left of a heading in which there is no letter.
const NO_LETTER: &str = "-";

/// A document's name as its ids begin with it: without what would end it there, and not too long.
#[must_use]
pub fn clean_name(name: &str) -> String {
    let name: String = name.chars().map(|c| if c == MARK || c.is_control() { '-' } else { c }).collect();
    short(name.trim(), NAME_BYTES_MAX)
}

/// Whether an id is of a document's making.
#[must_use]
pub fn belongs(id: &str, name: &str) -> bool {
    id.strip_prefix(name).is_some_and(|rest| rest.starts_with(MARK))
}

/// Gives the ids of one document.
pub(super) struct Ids<'a> {
    name: &'a str,
    /// How many there are of each place.
    given: HashMap<String, usize>,
}

impl<'a> Ids<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self { name, given: HashMap::new() }
    }

    /// The id of the next chunk below these headings.
    pub(super) fn next<T: AsRef<str>>(&mut self, path: &[T]) -> String {
        let place: Vec<String> = path.iter().map(|heading| letters(heading.as_ref())).collect();
        let place = if place.is_empty() { NO_HEADING.to_owned() } else { place.join("/") };
        let place = short(&place, PLACE_BYTES_MAX);
        let given = self.given.entry(place.clone()).or_default();
        *given += 1;
        let name = self.name;
        // No place has a full stop, so that no two are the same.
        if *given == 1 { format!("{name}{MARK}{place}") } else { format!("{name}{MARK}{place}.{given}") }
    }
}

/// The letters and digits of a heading, in lower case, with a hyphen between its words.
fn letters(heading: &str) -> String {
    let words = heading.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    if words.is_empty() { NO_LETTER.to_owned() } else { words.join("-") }
}

/// A text of so many bytes at the most: of a longer one the beginning, and a hash of the whole.
fn short(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let hash = Sha256::digest(text.as_bytes());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let end = (0..=bytes_max - hash.len() - 1).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}~{hash}", &text[..end])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::knowledge::entries::ID_BYTES_MAX;

    #[test]
    fn an_id_says_which_document_and_where_in_it() {
        let mut ids = Ids::new("guide.md");
        for (path, expected) in [
            (&["Delivery", "Fees & times"][..], "guide.md#delivery/fees-times"),
            (&["Delivery", "Fees (times)"], "guide.md#delivery/fees-times.2"),
            (&["Delivery"], "guide.md#delivery"),
            (&[], "guide.md#text"),
            (&["Text"], "guide.md#text.2"),
            (&["كم السعر؟"], "guide.md#كم-السعر"),
            (&["价格"], "guide.md#价格"),
            (&["!!!"], "guide.md#-"),
            (&["Delivery", "Fees times"], "guide.md#delivery/fees-times.3"),
            (&["v1.2"], "guide.md#v1-2"),
        ] {
            assert_eq!(ids.next(path), expected);
        }
    }

    #[test]
    fn long_names_and_headings_make_ids_that_fit_and_differ() {
        let name = clean_name(&"文".repeat(100));
        let mut ids = Ids::new(&name);
        let paths = (0..30).map(|n| vec![format!("{} {n}", "a long heading ".repeat(20))]);
        let all: Vec<String> = paths.map(|path| ids.next(&path)).collect();
        assert!(all.iter().all(|id| id.len() <= ID_BYTES_MAX && belongs(id, &name)), "{all:?}");
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 30);
    }

    #[test]
    fn an_id_belongs_to_one_document_only() {
        assert_eq!(clean_name(" a#b\n.md "), "a-b-.md");
        for (id, name, expected) in [
            ("guide.md#text", "guide.md", true),
            ("guide.md", "guide.md", false),
            ("guide.mdx#text", "guide.md", false),
            ("my-guide.md#text", "guide.md", false),
            ("camels", "guide.md", false),
        ] {
            assert_eq!(belongs(id, name), expected, "{id}");
        }
    }
}
