//! Plain text: paragraphs between blank lines; a short line without a full stop above a paragraph is its heading.

use super::blocks::{Block, Blocks};
use super::question::question;

/// A heading, in characters at the most.
const HEADING_CHARS_MAX: usize = 80;

/// What a line of a text ends with that goes on, or is a sentence.
const SENTENCE_ENDS: [char; 12] = ['.', '!', ',', ';', '…', '。', '！', '，', '؛', '،', '۔', '-'];

/// Its headings and paragraphs.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let paragraphs = paragraphs(text);
    let mut blocks = Blocks::default();
    for (n, lines) in paragraphs.iter().enumerate() {
        match lines[..] {
            [line] if is_heading(line) && paragraphs.get(n + 1).is_some_and(|next| !is_title(next)) => {
                blocks.heading(1, line.trim_end_matches(':'));
            }
            // "How do I order?" and its answer in the lines below, without a blank one between.
            [first, ..] if lines.len() > 1 && is_heading(first) && question(first).is_some() => {
                blocks.heading(1, first);
                push_lines(&mut blocks, &lines[1..]);
            }
            _ => push_lines(&mut blocks, lines),
        }
    }
    blocks.into_inner()
}

/// Lines with something in them, as they stand together.
fn paragraphs(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let groups = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    groups.map(<[&str]>::to_vec).collect()
}

fn is_title(lines: &[&str]) -> bool {
    matches!(lines, [line] if is_heading(line))
}

fn is_heading(line: &str) -> bool {
    let is_short = line.chars().count() <= HEADING_CHARS_MAX;
    is_short && !line.ends_with(SENTENCE_ENDS) && !is_item(line) && line.chars().any(char::is_alphabetic)
}

/// Pushes lines as one paragraph, and each item of a list among them as one of its own.
fn push_lines(blocks: &mut Blocks, lines: &[&str]) {
    let mut paragraph = String::new();
    for line in lines {
        if is_item(line) {
            blocks.text(&std::mem::take(&mut paragraph));
        }
        paragraph.push_str(line);
        paragraph.push('\n');
    }
    blocks.text(&paragraph);
}

fn is_item(line: &str) -> bool {
    ["- ", "* ", "• ", "– "].iter().any(|mark| line.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a text, a heading as "# …".
    fn of(text: &str) -> Vec<String> {
        let said = |block| match block {
            Block::Heading { text, .. } => format!("# {text}"),
            Block::Text(text) => text,
            Block::End(_) => String::new(),
        };
        blocks(text).into_iter().map(said).collect()
    }

    #[test]
    fn headings_and_paragraphs() {
        for (name, text, expected) in [
            ("a line above a paragraph", "Hours\n\nWe open\nat nine.", &["# Hours", "We open at nine."][..]),
            ("with a colon", "Hours:\r\n\r\nNine.", &["# Hours", "Nine."]),
            (
                "a question above its answer",
                "Do you deliver?\nYes.\nDaily.",
                &["# Do you deliver?", "Yes. Daily."],
            ),
            ("an Arabic one", "كم السعر؟\nعشرة دراهم.", &["# كم السعر؟", "عشرة دراهم."]),
            ("a Chinese one", "价格是多少？\n十元。\n送水\n免费。", &["# 价格是多少？", "十元。送水免费。"]),
            ("an address is no question", "Main Street 5\nSpringfield", &["Main Street 5 Springfield"]),
            ("a sentence", "We open at nine.\n\nCome in.", &["We open at nine.", "Come in."]),
            ("the last line", "Come in.\n\nThe team", &["Come in.", "The team"]),
            ("lines alone", "milk\n\nbread\n\nButter is out.", &["milk", "# bread", "Butter is out."]),
            ("a list", "We have:\n- milk\n  and more\n- bread", &["We have:", "- milk and more", "- bread"]),
            ("a number", "12\n\nPages.", &["12", "Pages."]),
            ("nothing", " \n\n", &[]),
        ] {
            assert_eq!(of(text), expected, "{name}");
        }
    }
}
