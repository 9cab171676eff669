//! Tables of entries that somebody uploads, read as `tertulia knowledge import` reads them.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::http::TableReader;
use crate::knowledge::documents::{CHUNK_CHARS, Columns, Format, Reading, clean_name, read};
use crate::knowledge::entries;

/// Reads the entries of a table by its name and bytes. Documents are read by the command alone, where one that breaks its reader
/// breaks no server.
pub(super) fn reader(config: &Config) -> TableReader {
    let expected = config.pipeline.languages.clone();
    Arc::new(move |name, bytes| {
        let format = Format::of(Path::new(name)).ok().filter(|format| is_table(*format));
        let format = format.ok_or(
            "only tables are taken here: csv, tsv or jsonl; use `tertulia knowledge import` for documents",
        )?;
        let (name, expected) = (clean_name(name), expected.clone());
        let columns = Columns::default();
        let reading = Reading { name, language: None, expected, columns, chunk_chars: CHUNK_CHARS };
        let draft = read(bytes, format, &reading).map_err(|error| error.to_string())?;
        draft.entries.iter().try_for_each(entries::check).map_err(|error| error.to_string())?;
        Ok(draft.entries)
    })
}

const fn is_table(format: Format) -> bool {
    matches!(format, Format::Csv | Format::Tsv | Format::Jsonl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_by_their_names_and_documents_are_not() {
        let read = reader(&Config::default());
        let entries = read("faq.csv", b"question,answer\nWhen do you open?,At eight.\n").unwrap();
        assert_eq!((entries.len(), entries[0].answer.as_str()), (1, "At eight."));
        let entries = read("x.jsonl", br#"{"id":"a","language":"en","question":"q","answer":"a"}"#).unwrap();
        assert_eq!(entries[0].id, "a");
        for (name, bytes, wrong) in [
            ("x.pdf", &b"%PDF"[..], "only tables"),
            ("x", b"", "only tables"),
            ("x.csv", b"question\nx\n", "answer"),
            ("x.jsonl", b"{", "line 1"),
        ] {
            let refused = read(name, bytes).unwrap_err();
            assert!(refused.contains(wrong), "{name}: {refused}");
        }
    }
}
