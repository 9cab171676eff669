//! What of a file cannot be read: whether the rest is worth keeping, and what is said of it. Pure.

use std::collections::BTreeMap;

/// Pages and fonts that are named; the rest is counted.
const NAMED_MAX: usize = 10;

/// What to do about a file that is damaged, or whose fonts do not say what they show.
const WHAT_TO_DO: &str = "save it anew, or as text";

/// What of a file cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Gaps {
    /// Its pages.
    pub(super) pages: usize,
    /// Those that are damaged or hold what the reader does not know, of which nothing or only the beginning is read.
    pub(super) broken: Vec<u32>,
    /// Those without any text on which something is drawn.
    pub(super) drawn: Vec<u32>,
    /// Characters that are read.
    pub(super) chars: usize,
    /// Those among them of which the font does not say what they are.
    pub(super) nameless: usize,
    /// Characters of fonts that cannot be read at all.
    pub(super) unread: BTreeMap<String, usize>,
}

/// How many of a hundred characters may have no name: the bullets and pictures of some fonts have none. More would be stored as texts
/// with gaps.
const NAMELESS_PERCENT_MAX: usize = 2;

impl Gaps {
    /// Why the file is refused: most of it, or too much in the midst of its texts, would be missing.
    pub(super) fn refusal(&self) -> Option<String> {
        let (broken, missed) = (self.broken.len(), self.missed());
        if broken * 2 > self.pages {
            return Some(format!("{}: {WHAT_TO_DO}", self.told_broken()));
        }
        if missed > self.chars {
            return Some(format!("{}: {WHAT_TO_DO}", self.told_unread()));
        }
        if self.chars == 0 {
            return Some(
                "it has no text: its pages may be pictures, which an OCR program makes readable".into(),
            );
        }
        let (nameless, chars) = (self.nameless, self.chars);
        (nameless * 100 > chars * NAMELESS_PERCENT_MAX)
            .then(|| format!("{nameless} of its {chars} characters have no name in its fonts: {WHAT_TO_DO}"))
    }

    /// What is left out where the rest is kept, in a few sentences.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told = vec![];
        if !self.broken.is_empty() {
            told.push(format!("{}; what comes before is kept: {WHAT_TO_DO}", self.told_broken()));
        }
        if self.missed() > 0 {
            told.push(format!("{}: {WHAT_TO_DO}", self.told_unread()));
        }
        if self.nameless > 0 {
            let (nameless, chars) = (self.nameless, self.chars);
            told.push(format!(
                "{nameless} of its {chars} characters have no name in its fonts and are left out"
            ));
        }
        if !self.drawn.is_empty() {
            let (drawn, pages) = (self.drawn.len(), self.pages);
            told.push(format!(
                "{drawn} of its {pages} pages have no text that can be read ({}): they may be pictures, which an OCR program makes \
                 readable",
                listed(&self.drawn)
            ));
        }
        told
    }

    fn missed(&self) -> usize {
        self.unread.values().sum()
    }

    fn told_broken(&self) -> String {
        let (broken, pages) = (self.broken.len(), self.pages);
        format!("{broken} of its {pages} pages cannot be read to their end ({})", listed(&self.broken))
    }

    fn told_unread(&self) -> String {
        let (missed, all) = (self.missed(), self.missed() + self.chars);
        let fonts: Vec<&str> = self.unread.keys().map(String::as_str).collect();
        let count = fonts.len();
        format!(
            "{count} of its fonts cannot be read ({}), so that {missed} of its {all} characters are left out",
            listed(&fonts)
        )
    }
}

/// The first of some things, and whether there are others.
fn listed(things: &[impl ToString]) -> String {
    let mut named: Vec<String> = things.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if things.len() > NAMED_MAX {
        named.push("…".into());
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fonts(fonts: &[(&str, usize)]) -> BTreeMap<String, usize> {
        fonts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_is_missing_is_told_and_too_much_of_it_is_refused() {
        let whole = Gaps { pages: 4, chars: 1_000, ..Gaps::default() };
        for (gaps, refusal, told) in [
            (whole.clone(), None, vec![]),
            (
                Gaps { broken: vec![2, 4], ..whole.clone() },
                None,
                vec![
                    "2 of its 4 pages cannot be read to their end (2, 4); what comes before is kept: save it anew, or as text",
                ],
            ),
            (
                Gaps { broken: vec![1, 2, 4], ..whole.clone() },
                Some("3 of its 4 pages cannot be read to their end (1, 2, 4): save it anew, or as text"),
                vec![],
            ),
            (
                Gaps { unread: fonts(&[("AB+One", 300), ("Two", 700)]), ..whole.clone() },
                None,
                vec![
                    "2 of its fonts cannot be read (AB+One, Two), so that 1000 of its 2000 characters are left out: save it anew, or as text",
                ],
            ),
            (
                Gaps { unread: fonts(&[("One", 1_001)]), ..whole.clone() },
                Some(
                    "1 of its fonts cannot be read (One), so that 1001 of its 2001 characters are left out: save it anew, or as text",
                ),
                vec![],
            ),
            (
                Gaps { nameless: 20, ..whole.clone() },
                None,
                vec!["20 of its 1000 characters have no name in its fonts and are left out"],
            ),
            (
                Gaps { nameless: 21, ..whole.clone() },
                Some("21 of its 1000 characters have no name in its fonts: save it anew, or as text"),
                vec![],
            ),
            (
                Gaps { pages: 20, drawn: (1..12).collect(), ..whole.clone() },
                None,
                vec![
                    "11 of its 20 pages have no text that can be read (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …): they may be pictures, which an OCR program makes readable",
                ],
            ),
            (
                Gaps { chars: 0, drawn: vec![1, 2, 3, 4], ..whole },
                Some("it has no text: its pages may be pictures, which an OCR program makes readable"),
                vec![],
            ),
            (
                Gaps::default(),
                Some("it has no text: its pages may be pictures, which an OCR program makes readable"),
                vec![],
            ),
        ] {
            assert_eq!(gaps.refusal().as_deref(), refusal, "{gaps:?}");
            if refusal.is_none() {
                assert_eq!(gaps.told(), told, "{gaps:?}");
            }
        }
    }
}
