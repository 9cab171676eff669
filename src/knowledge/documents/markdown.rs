//! Markdown (CommonMark with tables), by `pulldown-cmark`.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::blocks::{Block, Blocks};
use super::html;

/// What stands between the cells of a row.
const BETWEEN_CELLS: &str = " | ";

/// Its headings and paragraphs; each item of a list and each row of a table is a paragraph.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::default();
    Parser::new_ext(text, options).for_each(|event| reader.take(event));
    reader.flush();
    reader.blocks.into_inner()
}

#[derive(Default)]
struct Reader {
    blocks: Blocks,
    /// The paragraph so far.
    text: String,
    /// The numbers of the next items of the lists around, none where they have dots.
    lists: Vec<Option<u64>>,
    /// Where the links around lead, and where their words begin.
    links: Vec<(String, usize)>,
    /// A block of HTML so far.
    html: String,
    /// Whether the author's notes before the text are being read.
    is_metadata: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(_) if self.is_metadata => {}
            Event::Text(text) | Event::Code(text) => self.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Html(html) => self.html.push_str(&html),
            Event::InlineHtml(html) if html.to_lowercase().starts_with("<br") => self.text.push('\n'),
            Event::TaskListMarker(is_done) => self.text.push_str(if is_done { "[x] " } else { "[ ] " }),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::Table(_) => self.flush(),
            // The paragraph of an item follows its dot.
            Tag::Paragraph if !self.text.trim().is_empty() && self.lists.is_empty() => self.flush(),
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Link { dest_url, .. } => self.links.push((dest_url.into_string(), self.text.len())),
            Tag::MetadataBlock(_) => self.is_metadata = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let text = std::mem::take(&mut self.text);
                self.blocks.heading(number(level), &text);
            }
            TagEnd::Paragraph | TagEnd::Item | TagEnd::TableRow | TagEnd::TableHead => self.flush(),
            TagEnd::CodeBlock => self.code(),
            TagEnd::TableCell => self.text.push_str(BETWEEN_CELLS),
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::Link => self.link(),
            TagEnd::HtmlBlock => {
                self.flush();
                self.blocks.extend(html::blocks(&std::mem::take(&mut self.html)));
            }
            TagEnd::MetadataBlock(_) => self.is_metadata = false,
            _ => {}
        }
    }

    fn item(&mut self) {
        self.flush();
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!("{number}. "));
                *number += 1;
            }
            _ => self.text.push_str("- "),
        }
    }

    /// Each line of code stands for itself.
    fn code(&mut self) {
        let code = std::mem::take(&mut self.text);
        code.lines().for_each(|line| self.blocks.text(line));
    }

    /// Where a link leads is worth telling, unless its words do.
    fn link(&mut self) {
        let Some((address, start)) = self.links.pop() else { return };
        if html::is_worth_telling(&address, self.text.get(start..).unwrap_or_default()) {
            self.text.push_str(&format!(" ({address})"));
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim().trim_end_matches(BETWEEN_CELLS.trim_end());
        // An item that begins with a list of its own has nothing but its dot.
        if text != "-" {
            self.blocks.text(text);
        }
    }
}

const fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
