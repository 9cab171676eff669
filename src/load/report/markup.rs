//! Text as it may stand in a page: what people wrote is shown, never interpreted.

use std::fmt::{self, Display, Formatter, Write as _};

/// A text that stands in an element or in an attribute in double quotes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: AsRef<str>> Display for Escaped<T> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.as_ref().chars() {
            match c {
                '&' => to.write_str("&amp;")?,
                '<' => to.write_str("&lt;")?,
                '>' => to.write_str("&gt;")?,
                '"' => to.write_str("&quot;")?,
                '\'' => to.write_str("&#39;")?,
                '\n' | '\t' => to.write_char(c)?,
                // No page may hold the ones, and the others turn what follows; the mark says that something stood there.
                c if c.is_control() || turns(c) => to.write_char(char::REPLACEMENT_CHARACTER)?,
                c => to.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Whether a character turns the direction of what follows it, beyond its own place too.
pub(super) fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table with a caption that only a screen reader needs, since a heading stands above it. The cells are markup; the first
/// of a row is its heading, and the rest are figures, right-aligned, unless their column's title starts with `<`.
pub(super) fn table(caption: &str, titles: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption class=\"hidden\">{0}</caption><thead><tr>",
        Escaped(caption)
    );
    let kinds: Vec<_> = titles
        .iter()
        .enumerate()
        .map(|(n, title)| if n == 0 || title.starts_with('<') { "" } else { " class=\"figure\"" })
        .collect();
    for (title, kind) in titles.iter().zip(&kinds) {
        let _ = write!(text, "<th scope=\"col\"{kind}>{}</th>", Escaped(title.trim_start_matches('<')));
    }
    text.push_str("</tr></thead><tbody>");
    for row in rows {
        text.push_str("<tr>");
        for (n, (cell, kind)) in row.iter().zip(&kinds).enumerate() {
            let _ = match n {
                0 => write!(text, "<th scope=\"row\">{cell}</th>"),
                _ => write!(text, "<td{kind}>{cell}</td>"),
            };
        }
        text.push_str("</tr>");
    }
    text.push_str("</tbody></table></div>");
    text
}

/// What an icon says; always beside words, so that it is hidden from a screen reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Icon {
    /// A tick.
    Good,
    /// A cross.
    Bad,
    /// An exclamation mark.
    Unsure,
}

impl Icon {
    /// The icon, drawn.
    pub(super) fn svg(self) -> String {
        let (class, path) = match self {
            Self::Good => ("good", "M6 12.5l4 4 8-9"),
            Self::Bad => ("bad", "M7 7l10 10M17 7L7 17"),
            Self::Unsure => ("unsure", "M12 6v7.5M12 17.4v.2"),
        };
        format!(
            "<svg class=\"icon {class}\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"11\"/>\
             <path d=\"{path}\"/></svg>"
        )
    }

    /// An icon and its word.
    pub(super) fn word(self, word: &str) -> String {
        let class = match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unsure => "unsure",
        };
        format!("<span class=\"word {class}\">{}{}</span>", self.svg(), Escaped(word))
    }
}

/// What every page begins with. It may ask no host for anything, and runs no script.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/><meta name=\"referrer\" content=\"no-referrer\"/>\
         <title>{}</title>\n<style>\n{}</style></head>\n<body>\n{body}\n</body></html>\n",
        Escaped(title),
        include_str!("style.css"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_cannot_leave_its_place() {
        let cases = [
            ("plain", "plain"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload='x' &amp;", "&quot; onload=&#39;x&#39; &amp;amp;"),
            ("شكرا\n\tok", "شكرا\n\tok"),
            ("\u{0}\u{1b}[31m", "\u{fffd}\u{fffd}[31m"),
            ("\u{202e}abc", "\u{fffd}abc"),
        ];
        for (text, expected) in cases {
            assert_eq!(Escaped(text).to_string(), expected);
        }
    }

    #[test]
    fn a_table_has_headings_for_its_rows_and_columns() {
        let text =
            table("Ti<tle", &["name", "figure", "<words"], &[vec!["a".into(), "1".into(), "b".into()]]);
        assert!(text.contains("<caption class=\"hidden\">Ti&lt;tle</caption>"), "{text}");
        assert!(text.contains("<th scope=\"row\">a</th><td class=\"figure\">1</td><td>b</td>"), "{text}");
        assert!(text.contains("<th scope=\"col\">words</th>"), "{text}");
    }
}
