//! PDF, by `lopdf`: the text of its pages, line by line, and what is set larger as headings.
//!
//! What is a picture of a text has none, and what is drawn by way of a form is not read. A file from elsewhere may be made to
//! break its reader. So it is read on a thread of its own, within limits of time and size, and a panic ends that thread alone.

mod font;
mod layout;
mod lines;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lopdf::content::Content;
use lopdf::{Document, LoadOptions, ObjectId};

use self::font::Font;
use self::layout::Page;
use self::lines::Line;
use super::DocumentError;
use super::blocks::Block;

/// How long a file is read at the most.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a compressed part of a file may become, in bytes.
const UNPACKED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of text of all pages at the most: some twenty thick books.
const TEXT_BYTES_MAX: usize = 20_000_000;

/// The stack of the thread: the reader goes down into what is nested.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Its headings and paragraphs.
///
/// # Errors
/// It is damaged, locked or too large, or there is no text that can be read.
pub(super) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, DocumentError> {
    let bytes = bytes.to_vec();
    guarded(move || lines_of(&bytes), PATIENCE)
        .and_then(readable)
        .map(lines::blocks)
        .map_err(DocumentError::Pdf)
}

/// Does work that may panic or not end. What does not end is left behind, on its thread.
fn guarded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
    patience: Duration,
) -> Result<T, String> {
    let (told, done) = mpsc::channel();
    let thread = thread::Builder::new().name("pdf".into()).stack_size(STACK_BYTES);
    let started = thread.spawn(move || drop(told.send(work())));
    started.map_err(|error| format!("no thread to read it: {error}"))?;
    match done.recv_timeout(patience) {
        Ok(found) => found,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(format!("it takes longer than {} s; save it anew, or as text", patience.as_secs()))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err("its structure breaks the reader; save it anew, or as text".into())
        }
    }
}

/// The lines of all pages.
fn lines_of(bytes: &[u8]) -> Result<Vec<Line>, String> {
    let options = LoadOptions { max_decompressed_size: Some(UNPACKED_BYTES_MAX), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(|error| match error {
        lopdf::Error::InvalidPassword => "it is locked by a password: save it without".to_owned(),
        error => error.to_string(),
    })?;
    if document.is_encrypted() {
        return Err("it is locked by a password: save it without".into());
    }
    let mut lines = vec![];
    let mut bytes = 0;
    for (number, page) in document.get_pages() {
        let found = page_lines(&document, page).map_err(|error| format!("page {number}: {error}"))?;
        bytes += found.iter().map(|line| line.text.len()).sum::<usize>();
        if bytes > TEXT_BYTES_MAX {
            return Err(format!("its text is longer than {TEXT_BYTES_MAX} bytes; divide it"));
        }
        lines.extend(found);
    }
    Ok(lines)
}

fn page_lines(document: &Document, page: ObjectId) -> Result<Vec<Line>, lopdf::Error> {
    let mut fonts = std::collections::HashMap::new();
    for (name, font) in document.get_page_fonts(page)? {
        fonts.insert(name, Font::read(document, font, UNPACKED_BYTES_MAX)?);
    }
    let content = document.get_page_content_with_limit(page, UNPACKED_BYTES_MAX)?;
    let mut text = Page::new(&fonts);
    for operation in Content::decode_iter(&content) {
        let operation = operation?;
        text.take(&operation.operator, &operation.operands);
    }
    Ok(lines::lines(text.finish()))
}

/// What stands for a character that a font has no name for.
const UNKNOWN: char = '\u{FFFD}';

/// How many of a hundred characters may be unknown: the bullets and pictures of some fonts are.
const UNKNOWN_PERCENT_MAX: usize = 2;

/// Leaves out the few characters that have no name, and refuses what would be stored with gaps.
fn readable(mut lines: Vec<Line>) -> Result<Vec<Line>, String> {
    let chars = || lines.iter().flat_map(|line| line.text.chars()).filter(|c| !c.is_whitespace());
    let (all, unknown) = (chars().count(), chars().filter(|c| *c == UNKNOWN).count());
    if all == 0 {
        return Err("it has no text: its pages may be pictures, which an OCR program makes readable".into());
    }
    if unknown * 100 > all * UNKNOWN_PERCENT_MAX {
        let what_to_do = "save it anew, or as text";
        return Err(format!("{unknown} of its {all} characters have no name in its fonts: {what_to_do}"));
    }
    lines.iter_mut().for_each(|line| line.text.retain(|c| c != UNKNOWN));
    Ok(lines)
}

#[cfg(test)]
mod tests;
