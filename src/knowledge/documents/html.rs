//! HTML, by the tokenizer of the HTML standard.

use html5gum::{DefaultEmitter, EndTag, StartTag, Token, Tokenizer};

use super::blocks::{Block, Blocks};

/// Elements whose text is not the document's: programs, styles, drawings, and the way to other pages.
const LEFT_OUT: &[&str] = &["script", "style", "noscript", "template", "svg", "nav", "iframe"];

/// Elements that begin and end a paragraph.
const PARAGRAPHS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "caption",
];

/// The levels of what is a heading until its list or details end, below all others.
const SUMMARY: u8 = 7;
const TERM: u8 = 8;

/// Its headings and paragraphs.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut emitter = DefaultEmitter::default();
    // Without it the text of a program would be read as elements.
    emitter.naively_switch_states(true);
    let mut reader = Reader::default();
    for Ok(token) in Tokenizer::new_with_emitter(text, emitter) {
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&tag),
            Token::String(said) => reader.text(&String::from_utf8_lossy(&said)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    reader.finish()
}

/// Whether people should be told where a link leads: not where its words say so, or into the same page.
pub(super) fn is_worth_telling(address: &str, words: &str) -> bool {
    let is_address =
        ["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| address.starts_with(scheme));
    let bare = address.split_once(':').map_or(address, |(_, rest)| rest).trim_matches('/');
    is_address && !words.contains(bare)
}

#[derive(Default)]
struct Reader {
    blocks: Blocks,
    text: String,
    /// The title of the page, which heads it where nothing else does.
    title: String,
    is_title: bool,
    has_main_heading: bool,
    /// How deep it is within what is left out, by its element.
    left_out: Option<(String, usize)>,
    /// The level of the heading that is being read.
    heading: Option<u8>,
    /// Where the links around lead, and where their words begin.
    links: Vec<(String, usize)>,
}

impl Reader {
    fn start(&mut self, tag: &StartTag<()>) {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        if let Some((element, depth)) = &mut self.left_out {
            *depth += usize::from(*element == name && !tag.self_closing);
            return;
        }
        if LEFT_OUT.contains(&name.as_str()) {
            self.left_out = (!tag.self_closing).then_some((name, 1));
            return;
        }
        match name.as_str() {
            "title" => self.is_title = true,
            "br" => self.text.push('\n'),
            "a" => {
                let address = tag.attributes.get(&b"href"[..]).map(|href| String::from_utf8_lossy(href));
                self.links.push((address.unwrap_or_default().into_owned(), self.text.len()));
            }
            "img" => {
                let alt = tag.attributes.get(&b"alt"[..]).map(|alt| String::from_utf8_lossy(alt));
                self.text.push_str(&alt.unwrap_or_default());
            }
            "td" | "th" if !self.text.trim().is_empty() => self.text.push_str(" | "),
            "td" | "th" => {}
            "li" => {
                self.flush();
                self.text.push_str("- ");
            }
            "p" if self.text.trim() == "-" => {}
            name => self.open(name),
        }
    }

    /// Begins what has a level, or a paragraph.
    fn open(&mut self, name: &str) {
        if let Some(level) = level(name) {
            self.flush();
            self.heading = Some(level);
            self.has_main_heading |= level == 1;
        } else if PARAGRAPHS.contains(&name) {
            self.flush();
        }
    }

    fn end(&mut self, tag: &EndTag<()>) {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        if let Some((element, depth)) = &mut self.left_out {
            *depth -= usize::from(*element == name);
            if *depth == 0 {
                self.left_out = None;
            }
            return;
        }
        match name.as_str() {
            "title" => self.is_title = false,
            "a" => self.link(),
            "td" | "th" => {}
            "details" => self.close(SUMMARY),
            "dl" => self.close(TERM),
            name if level(name).is_some() => {
                self.flush();
                self.heading = None;
            }
            name if PARAGRAPHS.contains(&name) => self.flush(),
            _ => {}
        }
    }

    fn text(&mut self, said: &str) {
        if self.is_title {
            self.title.push_str(said);
        } else if self.left_out.is_none() {
            self.text.push_str(said);
        }
    }

    fn link(&mut self) {
        let Some((address, start)) = self.links.pop() else { return };
        if is_worth_telling(&address, self.text.get(start..).unwrap_or_default()) {
            self.text.push_str(&format!(" ({address})"));
        }
    }

    fn close(&mut self, level: u8) {
        self.flush();
        self.blocks.end(level);
    }

    fn flush(&mut self) {
        self.links.clear();
        let text = std::mem::take(&mut self.text);
        // The mark of an item that has nothing before what it holds.
        if matches!(text.trim(), "" | "-") {
            // A heading may hold other elements, before its words.
            return;
        }
        match self.heading.take() {
            Some(level) => self.blocks.heading(level, &text),
            None => self.blocks.text(&text),
        }
    }

    fn finish(mut self) -> Vec<Block> {
        self.flush();
        let mut all = Blocks::default();
        if !self.has_main_heading {
            all.heading(1, &self.title);
        }
        all.extend(self.blocks.into_inner());
        all.into_inner()
    }
}

/// The level of a heading.
fn level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        b"summary" => Some(SUMMARY),
        b"dt" => Some(TERM),
        _ => None,
    }
}
