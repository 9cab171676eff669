//! PDF, by `lopdf`: the text of its pages, line by line, and what is set larger as headings.
//!
//! What is a picture of a text has none, and what is drawn by way of a form is not read; what is missing is told. A file from
//! elsewhere may be made to break its reader. So it is read on a thread of its own, within limits of time and size, and a panic ends
//! that thread alone.

mod budget;
mod font;
mod gaps;
mod layout;
mod lines;

use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lopdf::content::Content;
use lopdf::{Dictionary, Document, Object, ObjectId};

use self::budget::{Budget, is_of_size, told};
use self::font::Font;
use self::gaps::Gaps;
use self::layout::{Page, Seen};
use self::lines::Line;
use super::DocumentError;
use super::blocks::Block;

/// How long a file is read at the most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of text of all pages at the most: some twenty thick books.
const TEXT_BYTES_MAX: usize = 20_000_000;

/// The stack of the thread: the reader goes down into what is nested.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Its headings and paragraphs, and what of it cannot be read, in sentences.
///
/// # Errors
/// It is damaged, locked or too large, or most of it is no text that can be read.
pub(super) fn blocks(bytes: &[u8]) -> Result<(Vec<Block>, Vec<String>), DocumentError> {
    let bytes = bytes.to_vec();
    let read = guarded(move || read(&bytes, Budget::new()), PATIENCE).map_err(DocumentError::Pdf)?;
    match read.gaps.refusal() {
        Some(why) => Err(DocumentError::Pdf(why)),
        None => Ok((lines::blocks(named(read.lines)), read.gaps.told())),
    }
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

/// What is read of a file.
#[derive(Default)]
struct Read {
    lines: Vec<Line>,
    gaps: Gaps,
}

/// The lines of all pages, and what is missing.
fn read(bytes: &[u8], mut budget: Budget) -> Result<Read, String> {
    let document = budget.load(bytes)?;
    if document.is_encrypted() {
        return Err("it is locked by a password: save it without".into());
    }
    let mut fonts = Fonts::default();
    let mut read = Read::default();
    let mut text_left = TEXT_BYTES_MAX;
    for (number, id) in document.get_pages() {
        read.gaps.pages += 1;
        let page = page(&document, id, &mut fonts, &mut budget, text_left)?;
        if page.seen.is_too_long {
            return Err(format!("its text is longer than {TEXT_BYTES_MAX} bytes; divide it"));
        }
        text_left = text_left.saturating_sub(page.seen.pieces.iter().map(|piece| piece.text.len()).sum());
        read.add(number, page);
    }
    Ok(read)
}

impl Read {
    fn add(&mut self, number: u32, PageRead { seen, is_whole }: PageRead) {
        if !is_whole {
            self.gaps.broken.push(number);
        } else if seen.draws && seen.pieces.is_empty() && seen.unread.is_empty() {
            self.gaps.drawn.push(number);
        }
        for (font, count) in seen.unread {
            *self.gaps.unread.entry(font).or_default() += count;
        }
        let lines = lines::lines(seen.pieces);
        for c in lines.iter().flat_map(|line| line.text.chars()).filter(|c| !c.is_whitespace()) {
            self.gaps.chars += 1;
            self.gaps.nameless += usize::from(c == UNKNOWN);
        }
        self.lines.extend(lines);
    }
}

/// What is read of a page, and whether that is all of it.
#[derive(Default)]
struct PageRead {
    seen: Seen,
    is_whole: bool,
}

/// Fonts by where they are, so that one of many pages is read once.
type Fonts<'a> = HashMap<*const Dictionary, Rc<Font<'a>>>;

/// An operator that no page has. The library ends in silence where it does not understand a page; one that is read to its end has
/// this as its last.
const END: &str = "TertuliaEndOfPage";

/// Reads a page; one that is damaged as far as it goes.
///
/// # Errors
/// Its parts are too large.
fn page<'a>(
    document: &'a Document,
    id: ObjectId,
    fonts: &mut Fonts<'a>,
    budget: &mut Budget,
    text_bytes_max: usize,
) -> Result<PageRead, String> {
    let Ok(own) = document.get_page_fonts(id) else { return Ok(PageRead::default()) };
    let mut known = HashMap::new();
    for (name, font) in own {
        known.insert(name, shared(document, font, fonts, budget)?);
    }
    let mut content = match document.get_page_content_with_limit(id, budget.part()) {
        Err(error) if is_of_size(&error) => return Err(told(error)),
        Err(_) => return Ok(PageRead::default()),
        Ok(content) => content,
    };
    budget.spend(content.len())?;
    content.extend_from_slice(format!("\n{END}\n").as_bytes());
    let mut page = Page::new(&known, text_bytes_max);
    let mut is_whole = false;
    for operation in Content::decode_iter(&content) {
        let Ok(operation) = operation else { break };
        is_whole = operation.operator == END;
        page.take(&operation.operator, &operation.operands);
    }
    Ok(PageRead { seen: page.finish(), is_whole })
}

/// A font, read if it has not been before.
fn shared<'a>(
    document: &'a Document,
    font: &'a Dictionary,
    fonts: &mut Fonts<'a>,
    budget: &mut Budget,
) -> Result<Rc<Font<'a>>, String> {
    if let Some(font) = fonts.get(&ptr::from_ref(font)) {
        return Ok(Rc::clone(font));
    }
    let limit = budget.part();
    let read = Rc::new(Font::read(document, font, limit).map_err(told)?);
    let table = font.get_deref(b"ToUnicode", document).and_then(Object::as_stream);
    let unpacked =
        table.and_then(|table| table.get_plain_content_with_limit(limit)).map_or(0, |table| table.len());
    budget.spend(unpacked)?;
    fonts.insert(ptr::from_ref(font), Rc::clone(&read));
    Ok(read)
}

/// What stands for a character that a font has no name for.
const UNKNOWN: char = '\u{FFFD}';

/// Leaves out the few characters that have no name.
fn named(mut lines: Vec<Line>) -> Vec<Line> {
    lines.iter_mut().for_each(|line| line.text.retain(|c| c != UNKNOWN));
    lines
}

#[cfg(test)]
mod tests;
