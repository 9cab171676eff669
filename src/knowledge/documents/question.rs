//! Whether a heading asks something.

/// Marks at the end of a question; the Greek one is a semicolon in other languages.
const MARKS: [char; 4] = ['?', '؟', '？', '⸮'];

/// Words that begin a question which has no mark, in languages whose headings often leave it out. Not those that begin other
/// sentences as well, as "do", "can" and the Arabic "من" and "ما" do.
const WORDS: &[&str] = &[
    "how",
    "what",
    "what's",
    "when",
    "where",
    "where's",
    "why",
    "who",
    "which",
    "whose",
    "كيف",
    "متى",
    "متي",
    "أين",
    "اين",
    "وين",
    "لماذا",
    "كم",
    "بكم",
    "هل",
    "ماذا",
];

/// What begins such a question in Chinese, which has no spaces.
const BEGINNINGS: &[&str] =
    &["如何", "怎么", "怎樣", "怎样", "为什么", "為什麼", "什么", "什麼", "哪", "多少", "谁", "誰", "何时"];

/// What stands before a question in lists of them.
const LABELS: &[&str] = &["q:", "q.", "question:", "س:", "سؤال:", "السؤال:", "问:", "问："];

/// The question that a heading asks, without its number; none where it asks nothing.
pub(super) fn question(heading: &str) -> Option<String> {
    let (bare, is_labelled) = without_label(without_number(heading.trim()));
    let bare = without_number(bare);
    (!bare.is_empty() && (is_labelled || asks(bare))).then(|| bare.to_owned())
}

fn asks(text: &str) -> bool {
    if text.ends_with(MARKS) {
        return true;
    }
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let has_more = text.contains(char::is_whitespace);
    (has_more && WORDS.contains(&first.as_str())) || BEGINNINGS.iter().any(|start| text.starts_with(start))
}

/// Without "3.", "2.1" or "4)" before it. A bare number is a part of what is asked: "20 litre bottle: how much?"
fn without_number(text: &str) -> &str {
    let is_part = |c: char| c.is_numeric() || matches!(c, '.' | ')' | '-');
    let rest = text.trim_start_matches(is_part);
    let number = &text[..text.len() - rest.len()];
    let is_marked = number.contains(['.', ')']);
    let is_number =
        is_marked && number.starts_with(char::is_numeric) && rest.starts_with(char::is_whitespace);
    if is_number { rest.trim_start() } else { text }
}

fn without_label(text: &str) -> (&str, bool) {
    let label = LABELS.iter().find(|label| {
        let start = text.get(..label.len());
        start.is_some_and(|start| start.to_lowercase() == **label)
    });
    label.map_or((text, false), |label| (text[label.len()..].trim_start(), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_that_ask_something() {
        for (heading, expected) in [
            ("Do you deliver on Friday?", Some("Do you deliver on Friday?")),
            ("How do I return bottles", Some("How do I return bottles")),
            ("3. What does it cost?", Some("What does it cost?")),
            ("2.1 Where are you", Some("Where are you")),
            ("Q: Refunds", Some("Refunds")),
            ("Q: 4) Refunds?", Some("Refunds?")),
            ("كيف أطلب الماء", Some("كيف أطلب الماء")),
            ("ما هو السعر؟", Some("ما هو السعر؟")),
            ("سؤال: السعر", Some("السعر")),
            ("如何退款", Some("如何退款")),
            ("价格是多少？", Some("价格是多少？")),
            ("Can I pay by card", None),
            ("Do not open", None),
            ("What", None),
            ("Opening hours", None),
            ("2024", None),
            ("24 hours a day", None),
            ("20 litre bottle: how much?", Some("20 litre bottle: how much?")),
            ("5 لتر بكم؟", Some("5 لتر بكم؟")),
            ("价格", None),
            ("من نحن", None),
            ("?", Some("?")),
            ("", None),
            ("Q:", None),
        ] {
            assert_eq!(question(heading).as_deref(), expected, "{heading}");
        }
    }
}
