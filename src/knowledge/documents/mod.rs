//! Reads documents into entries: pure functions over the bytes of a file.
//!
//! Tables (CSV, JSON Lines) hold entries. Of everything else (Markdown, HTML, plain text, PDF) each reader makes the same
//! [`blocks`]: headings and paragraphs, which are cut into [chunks](chunk). A chunk below a heading that asks something is a
//! question with its answer; any other is a passage, which has no question and is found by what it says.
//!
//! The readers' libraries were chosen for what they bring along: `pulldown-cmark` and `html5gum` next to nothing. The
//! latter is the tokenizer of the HTML standard; a tree, as `scraper` builds one of html5ever's, is not needed to find
//! headings, and `tl` has had no release since 2023. `lopdf` reads PDF with limits of depth and size; `pdf-extract`, which stands on an older
//! version of it, panics by intent over what it does not know (its issues 47 and 141), and `pdf_oxide` would bring 140 crates.

mod blocks;
mod chunk;
mod decode;
mod html;
mod ids;
mod markdown;
mod pdf;
mod plain;
pub mod plan;
mod question;
mod quotes;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use tertulia_actors::domain::{Entry, Language};
use thiserror::Error;

use self::blocks::Block;
use self::chunk::{Chunk, chunks};
use self::ids::Ids;
use super::entries::KnowledgeError;
use super::text::language::Languages;

pub use self::ids::{belongs, clean_name};
pub use self::table::{Columns, to_csv};

/// What a chunk is cut to, in characters: what a small model of meaning reads at once (all-MiniLM-L6-v2 reads 256 tokens), and
/// short enough that three of them leave a language model its mind.
pub const CHUNK_CHARS: usize = 800;

/// The least that a chunk may be cut to, in characters.
pub const CHUNK_CHARS_MIN: usize = 100;

/// The most, so that a passage always fits into an entry.
pub const CHUNK_CHARS_MAX: usize = 8_000;

/// The kinds of files that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Comma-separated values with a head.
    Csv,
    /// Values separated by tabs, with a head.
    Tsv,
    /// An entry a line, as the export writes them.
    Jsonl,
    /// Markdown.
    Markdown,
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// PDF.
    Pdf,
}

impl Format {
    /// All of them, with the endings of their files; the first one names the format.
    const ENDINGS: [(Self, &'static [&'static str]); 7] = [
        (Self::Csv, &["csv"]),
        (Self::Tsv, &["tsv"]),
        (Self::Jsonl, &["jsonl", "ndjson"]),
        (Self::Markdown, &["md", "markdown"]),
        (Self::Text, &["txt", "text"]),
        (Self::Html, &["html", "htm", "xhtml"]),
        (Self::Pdf, &["pdf"]),
    ];

    /// The format of a file, by its ending.
    ///
    /// # Errors
    /// It has none that is known.
    pub fn of(path: &Path) -> Result<Self, DocumentError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        ending.as_deref().and_then(Self::by).ok_or(DocumentError::Kind)
    }

    fn by(ending: &str) -> Option<Self> {
        let known = Self::ENDINGS.iter().find(|(_, endings)| endings.contains(&ending));
        known.map(|(format, _)| *format)
    }
}

impl FromStr for Format {
    type Err = DocumentError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::by(name).ok_or(DocumentError::Kind)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ENDINGS.iter().find(|(format, _)| format == self);
        f.write_str(own.map_or("", |(_, endings)| endings[0]))
    }
}

/// Why a document was not read. Says what to do, and not which file it was: that is known to whoever read it.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// It is of no kind that is read.
    #[error("its kind is not read; these are: csv, tsv, jsonl, md, txt, html, pdf (--format names one)")]
    Kind,
    /// Its bytes are no text.
    #[error("it is not UTF-8 (byte {at}): save it as UTF-8")]
    Encoding {
        /// The first byte that is wrong, counted from 1.
        at: usize,
    },
    /// A line is not what it should be.
    #[error("line {line}: {wrong}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it, and what is expected.
        wrong: String,
    },
    /// There is nothing in it.
    #[error("there is no {0} in it")]
    Empty(&'static str),
    /// A PDF cannot be read.
    #[error("the PDF cannot be read: {0}")]
    Pdf(String),
    /// A line is no entry.
    #[error(transparent)]
    Entry(#[from] KnowledgeError),
}

/// How a document is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it is called: its entries' ids begin with it where they have none of their own. See [`clean_name`].
    pub name: String,
    /// Its language; none: it is found out.
    pub language: Option<Language>,
    /// The languages that are expected, likeliest first.
    pub expected: Vec<Language>,
    /// The columns of a table.
    pub columns: Columns,
    /// What a chunk is cut to, in characters.
    pub chunk_chars: usize,
}

/// What a document holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// Its entries, in its order.
    pub entries: Vec<Entry>,
    /// Whether their ids were made from the document's name: then it replaces all that it brought before.
    pub is_source: bool,
    /// What of the document could not be read, in sentences about it.
    pub missing: Vec<String>,
}

/// Reads a document.
///
/// # Errors
/// Names what is wrong with it and what to do.
pub fn read(bytes: &[u8], format: Format, reading: &Reading) -> Result<Draft, DocumentError> {
    let mut missing = vec![];
    let blocks = match format {
        Format::Csv => return table::read(&decode::text(bytes)?, b',', reading),
        Format::Tsv => return table::read(&decode::text(bytes)?, b'\t', reading),
        Format::Jsonl => return table::lines(&decode::text(bytes)?),
        Format::Markdown => markdown::blocks(&decode::text(bytes)?),
        Format::Text => plain::blocks(&decode::text(bytes)?),
        Format::Html => html::blocks(&decode::text(bytes)?),
        Format::Pdf => {
            let (blocks, told) = pdf::blocks(bytes)?;
            missing = told;
            blocks
        }
    };
    let entries = entries(blocks, reading);
    if entries.is_empty() {
        Err(DocumentError::Empty("text"))
    } else {
        Ok(Draft { entries, is_source: true, missing })
    }
}

/// The entries of a document's blocks.
fn entries(blocks: Vec<Block>, reading: &Reading) -> Vec<Entry> {
    let chunks = chunks(blocks, reading.chunk_chars);
    let all: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    let tongue = Tongue::of(&all.join("\n"), reading);
    let mut ids = Ids::new(&reading.name);
    let mut asked: HashMap<String, usize> = HashMap::new();
    for question in chunks.iter().filter_map(|chunk| chunk.question.clone()) {
        *asked.entry(question).or_default() += 1;
    }
    let entry = |chunk: Chunk| {
        let id = ids.next(&chunk.path);
        let language = tongue.of_part(&[&chunk.text, chunk.path.last().map_or("", String::as_str)]);
        let (question, answer) = match chunk.question {
            // Asked of several things: what is above it says of which.
            Some(question) if asked[&question] > 1 && chunk.path.len() > 1 => {
                (format!("{}: {question}", chunk.path[chunk.path.len() - 2]), chunk.text)
            }
            Some(question) => (question, chunk.text),
            None => (String::new(), chunk.passage()),
        };
        Entry::new(id, language, question, answer)
    };
    chunks.into_iter().map(entry).collect()
}

/// Which language the parts of a document are written in.
struct Tongue {
    named: Option<Language>,
    main: Language,
    languages: Languages,
}

impl Tongue {
    /// Of a whole text, of which there is more to go by than of its parts.
    fn of(text: &str, reading: &Reading) -> Self {
        let languages = Languages::new(&reading.expected);
        let main = Languages::sure(text).or_else(|| languages.detect(text));
        let main = main.or_else(|| reading.expected.first().copied()).unwrap_or(Language::ENGLISH);
        Self { named: reading.language, main, languages }
    }

    /// Of a part: the document's, unless it is written in another script.
    fn of_part(&self, texts: &[&str]) -> Language {
        if let Some(named) = self.named {
            return named;
        }
        let text = texts.join("\n");
        if Languages::writes(self.main, &text) {
            return self.main;
        }
        self.languages.detect(&text).or_else(|| Languages::sure(&text)).unwrap_or(self.main)
    }
}

#[cfg(test)]
mod tests;
