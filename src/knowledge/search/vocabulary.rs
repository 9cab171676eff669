//! What the entries are written with: every stem that the index holds, how telling it is, and which one is meant by a word that
//! it does not hold.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;
use tertulia_actors::domain::Language;

use crate::knowledge::text::stems::{Stems, Term};

/// Letters of a word below which no typing error is looked for.
const TYPO_CHARS_MIN: usize = 4;

/// Stems that a misspelt word may mean, at the most.
const MEANINGS_MAX: usize = 4;

/// A stem by its place in the vocabulary. Places that it does not have are of stems that only a query has.
pub(super) type StemId = u32;

/// Words, in characters, with their stems, by their length.
type Words = HashMap<usize, HashSet<(Vec<char>, StemId)>>;

/// In how many entries a stem occurs.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    /// In their questions.
    pub(super) questions: u64,
    /// In their questions and in their answers, together.
    pub(super) all: u64,
}

/// A stem of the index.
struct Stem {
    text: Arc<str>,
    count: Count,
    /// How telling it is.
    weight: f32,
    /// Whether it says what is asked about.
    is_subject: bool,
}

/// The stems of the index. One that no entry has any more is not known, but keeps its place.
#[derive(Default)]
pub(super) struct Vocabulary {
    ids: HashMap<Arc<str>, StemId>,
    stems: Vec<Stem>,
    /// Words that entries have; read when one is first looked for.
    words: Option<Words>,
    /// The languages of the entries, and how many are in each.
    languages: BTreeMap<Language, usize>,
    /// How many entries there are.
    total: u64,
    /// In how many ways their questions are put.
    ways: u64,
    /// Terms of all questions, without their pieces.
    length: u64,
    /// How many stems entries have.
    used: usize,
    /// The same of one question, on average.
    pub(super) average_length: f32,
}

impl Vocabulary {
    /// The place of a stem, which it is given if it has none yet.
    pub(super) fn add(&mut self, stems: &Stems, stem: &str) -> StemId {
        if let Some(id) = self.ids.get(stem) {
            return *id;
        }
        let id = StemId::try_from(self.stems.len()).unwrap_or(StemId::MAX);
        let text: Arc<str> = stem.into();
        self.ids.insert(Arc::clone(&text), id);
        self.stems.push(Stem {
            text,
            count: Count::default(),
            weight: 0.0,
            is_subject: stems.is_subject(stem),
        });
        id
    }

    /// An entry has a stem, or has it no more.
    pub(super) fn occurs(&mut self, id: StemId, is_in_question: bool, is_in_answer: bool, has: bool) {
        let Some(stem) = usize::try_from(id).ok().and_then(|id| self.stems.get_mut(id)) else { return };
        let (question, answer) = (u64::from(is_in_question), u64::from(is_in_answer));
        let Count { questions, all } = stem.count;
        stem.count = if has {
            Count { questions: questions + question, all: all + question + answer }
        } else {
            Count {
                questions: questions.saturating_sub(question),
                all: all.saturating_sub(question + answer),
            }
        };
    }

    /// There is an entry in a language, if it is one, whose question is put in so many ways.
    pub(super) fn know_entry(&mut self, language: Option<Language>, ways: u64) {
        self.total += 1;
        self.ways += ways;
        if let Some(language) = language {
            *self.languages.entry(language).or_default() += 1;
        }
    }

    /// There is one less, with so many terms in its questions.
    pub(super) fn forget_entry(&mut self, language: Option<Language>, ways: u64, terms: u64) {
        self.total = self.total.saturating_sub(1);
        self.ways = self.ways.saturating_sub(ways);
        self.length = self.length.saturating_sub(terms);
        let left = language.and_then(|language| self.languages.get_mut(&language));
        left.into_iter().for_each(|left| *left = left.saturating_sub(1));
        self.languages.retain(|_, left| *left > 0);
    }

    /// Questions have so many terms more.
    pub(super) fn lengthen(&mut self, terms: u64) {
        self.length += terms;
    }

    /// A word of an entry and its stem, for what is misspelt. They stay when the entry is gone: its stem is not known then.
    pub(super) fn learn(&mut self, word: &str, stem: &str) {
        let (Some(words), Some(id)) = (&mut self.words, self.ids.get(stem)) else { return };
        let word: Vec<char> = word.chars().collect();
        words.entry(word.len()).or_default().insert((word, *id));
    }

    /// Computes what follows from the numbers of entries and stems.
    pub(super) fn settle(&mut self) {
        self.used = self.stems.iter().filter(|stem| stem.count.all > 0).count();
        for stem in &mut self.stems {
            stem.weight = weight(stem.count.questions, self.total);
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an average")]
        let average_length = (self.length as f64 / self.ways.max(1) as f64) as f32;
        self.average_length = average_length.max(1.0);
    }

    /// The place of a stem, if the index has it.
    pub(super) fn id(&self, stem: &str) -> Option<StemId> {
        self.ids.get(stem).copied().filter(|id| self.has(*id))
    }

    /// Whether the index has the stem at a place.
    pub(super) fn has(&self, id: StemId) -> bool {
        self.occurrences(id) > 0
    }

    /// The stem at a place; an empty one where there is none.
    pub(super) fn stem(&self, id: StemId) -> &str {
        self.at(id).map_or("", |stem| &stem.text)
    }

    /// How telling a stem is; one that only a query has is the most telling: it says that something else is asked.
    pub(super) fn weight(&self, id: StemId) -> f32 {
        self.at(id).map_or_else(|| weight(0, self.total), |stem| stem.weight)
    }

    /// In how many questions and answers a stem occurs.
    pub(super) fn occurrences(&self, id: StemId) -> u64 {
        self.at(id).map_or(0, |stem| stem.count.all)
    }

    /// The weight of a stem that one question has.
    pub(super) fn weight_of_one(&self) -> f32 {
        weight(1, self.total)
    }

    /// Whether a stem of the index says what is asked about.
    pub(super) fn is_subject(&self, id: StemId) -> bool {
        self.at(id).is_some_and(|stem| stem.is_subject)
    }

    /// How many stems entries have.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// How many stems no entry has any more.
    pub(super) fn unused(&self) -> usize {
        self.stems.len() - self.used
    }

    /// How many languages the entries are in.
    pub(super) fn languages(&self) -> usize {
        self.languages.len()
    }

    /// The stem of the index that a term means by the rules of its own language, or else those that it means by the rules of
    /// other languages that entries have.
    pub(super) fn as_written(&self, stems: &Stems, term: &Term) -> Vec<StemId> {
        if let Some(id) = self.id(&term.stem) {
            return vec![id];
        }
        let others = self.languages.keys().map(|language| stems.stem(&term.word, Some(*language)));
        let mut found: Vec<_> = others.filter_map(|stem| self.id(&stem)).collect();
        found.sort_unstable_by(|one, other| self.in_order(*one, *other));
        found.dedup();
        found
    }

    /// The stems of the words of entries that are one typing error away from a word, the most common first, and whether they
    /// begin alike, which few errors change: where some do, only those are meant.
    pub(super) fn misspelt(
        &mut self,
        conn: &Connection,
        word: &str,
    ) -> rusqlite::Result<(Vec<StemId>, bool)> {
        let near = self.nearest(conn, word)?;
        let begins_alike = near.iter().any(|(_, alike)| *alike);
        let meant = near.into_iter().filter(|(_, alike)| *alike == begins_alike);
        let mut found: Vec<_> = meant.map(|(id, _)| id).collect();
        found.sort_by(|one, other| {
            self.weight(*one).total_cmp(&self.weight(*other)).then_with(|| self.in_order(*one, *other))
        });
        found.dedup();
        found.truncate(MEANINGS_MAX);
        Ok((found, begins_alike))
    }

    /// The stems of the words that one edit makes of `word`, each with whether it begins alike.
    fn nearest(&mut self, conn: &Connection, word: &str) -> rusqlite::Result<Vec<(StemId, bool)>> {
        let words = match &mut self.words {
            Some(words) => words,
            none => none.insert(words(conn, &self.ids)?),
        };
        let word: Vec<char> = word.chars().collect();
        let lengths = word.len().saturating_sub(1)..=word.len() + 1;
        let candidates = lengths.filter_map(|length| words.get(&length)).flatten();
        let near = candidates.filter(|(known, _)| is_one_edit(&word, known));
        let near = near.map(|(known, id)| (*id, known.first() == word.first()));
        let near: Vec<_> = near.collect();
        Ok(near.into_iter().filter(|(id, _)| self.has(*id)).collect())
    }

    fn at(&self, id: StemId) -> Option<&Stem> {
        self.stems.get(usize::try_from(id).ok()?)
    }

    /// The order of stems, which does not depend on when they became known.
    pub(super) fn in_order(&self, one: StemId, other: StemId) -> Ordering {
        self.stem(one).cmp(self.stem(other))
    }
}

/// Whether typing errors are looked for in a word: most short words are one edit from others, and a number with a wrong
/// digit is another number.
pub(super) fn may_be_misspelt(word: &str) -> bool {
    word.chars().nth(TYPO_CHARS_MIN - 1).is_some() && !word.chars().any(|c| c.is_ascii_digit())
}

/// Words of the entries whose stems the index has, by length.
fn words(conn: &Connection, ids: &HashMap<Arc<str>, StemId>) -> rusqlite::Result<Words> {
    let mut select = conn.prepare("SELECT word, stem FROM knowledge_words")?;
    let mut rows = select.query([])?;
    let mut words = Words::new();
    while let Some(row) = rows.next()? {
        if let Some(id) = ids.get(row.get_ref(1)?.as_str()?) {
            let word: Vec<char> = row.get_ref(0)?.as_str()?.chars().collect();
            words.entry(word.len()).or_default().insert((word, *id));
        }
    }
    Ok(words)
}

/// The inverse document frequency of BM25, of a stem that `count` of `total` questions have.
fn weight(count: u64, total: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "only the logarithm matters")]
    let (count, total) = (count.min(total) as f32, total as f32);
    (1.0 + (total - count + 0.5) / (count + 0.5)).ln()
}

/// Whether one letter more, less, other, or changed places with its neighbour makes one word of the other.
fn is_one_edit(one: &[char], other: &[char]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        0 => {
            let (a, b) = (&short[same..], &long[same..]);
            a.is_empty()
                || a[1..] == b[1..]
                || (a.len() > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..])
        }
        1 => short[same..] == long[same + 1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_stems_weigh_more() {
        let weights: Vec<_> = [0, 1, 10, 50, 100, 200].map(|count| weight(count, 100)).to_vec();
        assert!(weights.windows(2).all(|two| two[0] >= two[1]), "{weights:?}");
        assert!(weights.iter().all(|weight| *weight > 0.0));
        assert!(weight(0, 0) > 0.0);
    }

    #[test]
    fn one_edit_is_one_letter_or_two_that_changed_places() {
        for (one, other, expected) in [
            ("delivery", "delivery", true),
            ("delivery", "delivry", true),
            ("delivery", "deliverry", true),
            ("delivery", "delibery", true),
            ("delivery", "delviery", true),
            ("delivery", "elivery", true),
            ("delivery", "deliver", true),
            ("delivery", "devilery", false),
            ("delivery", "delive", false),
            ("delivery", "xelivexy", false),
            ("القارورة", "القاروره", true),
            ("", "a", true),
            ("ab", "ba", true),
            ("ab", "cd", false),
        ] {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(is_one_edit(&chars(one), &chars(other)), expected, "{one} {other}");
            assert_eq!(is_one_edit(&chars(other), &chars(one)), expected, "{other} {one}");
        }
    }
}
