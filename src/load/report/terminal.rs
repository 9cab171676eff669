//! Text for a terminal: columns that line up, lines that fit, colours only where they are wanted.

use super::markup::turns;

/// How wide a line may be, in columns.
pub(super) const WIDTH: usize = 100;

/// Colours, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Paint {
    /// Whether there are any.
    pub(super) is_coloured: bool,
}

impl Paint {
    /// What is as it should be.
    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What is not.
    pub(super) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// What is to be looked at.
    pub(super) fn unsure(self, text: &str) -> String {
        self.with("33", text)
    }

    /// A heading.
    pub(super) fn heading(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A text on one line, without what would command a terminal or turn its direction: customers wrote some of it.
pub(super) fn clean(text: &str) -> String {
    let kept = text.chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c });
    kept.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A clean text that is no wider than this; what was cut is marked.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

/// A clean text in lines that fit, each with this indent; a word that is too long is cut into pieces.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    let room = WIDTH - indent;
    let mut lines: Vec<String> = vec![String::new()];
    for word in clean(text).split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        while !word.is_empty() {
            let length = lines.last().map_or(0, |line| line.chars().count());
            let gap = usize::from(length > 0);
            if length + gap + word.len() <= room {
                if let Some(line) = lines.last_mut() {
                    line.extend(std::iter::repeat_n(' ', gap).chain(word.drain(..)));
                }
            } else if length > 0 {
                lines.push(String::new());
            } else {
                let rest = word.split_off(room);
                lines.push(String::new());
                let place = lines.len() - 2;
                lines[place] = std::mem::replace(&mut word, rest).into_iter().collect();
            }
        }
    }
    let indent = " ".repeat(indent);
    lines.iter().filter(|line| !line.is_empty()).map(|line| format!("{indent}{line}\n")).collect()
}

/// A command that can be copied: it goes on in the next line where it is long, unless a quotation forbids it.
pub(super) fn command(text: &str, indent: usize) -> String {
    let text = clean(text);
    if text.chars().count() + indent <= WIDTH || text.contains(['\'', '"', '\\']) {
        return format!("{}{text}\n", " ".repeat(indent));
    }
    let mut lines: Vec<String> = vec![];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() + indent + 2 <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let indent = " ".repeat(indent);
    format!("{indent}{}\n", lines.join(&format!(" \\\n{indent}  ")))
}

/// Names and values, two of each on a line.
pub(super) fn pairs(items: &[(&str, String)]) -> String {
    let pair = |(name, value): &(&str, String)| format!("  {:<28}{:>16}", fit(name, 28), fit(value, 16));
    let mut text = String::new();
    for line in items.chunks(2) {
        let line: Vec<_> = line.iter().map(pair).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_cannot_command_a_terminal() {
        let cases = [
            ("plain", "plain"),
            ("a\u{1b}[31mb", "a [31mb"),
            ("line\nline\r\tend ", "line line end"),
            ("\u{202e}abc\u{2066}", "abc"),
            ("شكرا", "شكرا"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn a_text_is_cut_where_it_is_too_wide() {
        for (text, width, expected) in [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("ab", 0, "…"), ("", 3, "")]
        {
            assert_eq!(fit(text, width), expected);
        }
    }

    #[test]
    fn lines_are_broken_between_words_and_words_only_where_they_are_too_long() {
        let words = "word ".repeat(30);
        let lines = wrap(&words, 10);
        assert_eq!(lines.lines().count(), 2);
        assert!(
            lines.lines().all(|line| line.starts_with("          word") && line.len() <= WIDTH),
            "{lines}"
        );
        let long = wrap(&"x".repeat(250), 4);
        assert_eq!(long.lines().map(str::len).collect::<Vec<_>>(), [100, 100, 62]);
        assert_eq!(wrap("", 4), "");
    }

    #[test]
    fn a_long_command_goes_on_in_the_next_line_unless_it_is_quoted() {
        let long = format!("tertulia load steady {}", "--set key=value ".repeat(8));
        let text = command(&long, 2);
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let joined = text.replace("\\\n", " ");
        assert_eq!(
            joined.split_whitespace().collect::<Vec<_>>(),
            long.split_whitespace().collect::<Vec<_>>()
        );
        let quoted = format!("{long} --text 'a b'");
        assert_eq!(command(&quoted, 2).lines().count(), 1);
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted() {
        assert_eq!(Paint { is_coloured: false }.bad("x"), "x");
        assert_eq!(Paint { is_coloured: true }.bad("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}
