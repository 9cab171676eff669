//! What the entries are written with: every stem that the index holds, how telling it is, and which one is meant by a word that
//! it does not hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::Connection;
use tertulia_actors::domain::Language;

use crate::knowledge::text::stems::{Stems, Term, is_piece};

/// Letters of a word below which no typing error is looked for.
const TYPO_CHARS_MIN: usize = 4;

/// Stems that a misspelt word may mean, at the most.
const MEANINGS_MAX: usize = 4;

/// A stem by its place in the vocabulary. Places that it does not have are of stems that only a query has.
pub(super) type StemId = u32;

/// Words, in characters, with their stems, by their length.
type Words = HashMap<usize, Vec<(Vec<char>, StemId)>>;

/// In how many entries a stem occurs.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    /// In their questions.
    pub(super) questions: u64,
    /// In their questions and in their answers, together.
    pub(super) all: u64,
}

/// The stems of the index.
#[derive(Default)]
pub(super) struct Vocabulary {
    ids: HashMap<Arc<str>, StemId>,
    stems: Vec<Arc<str>>,
    /// By stem: how telling it is.
    weights: Vec<f32>,
    /// By stem: in how many questions and answers it occurs.
    occurrences: Vec<u64>,
    /// By stem: whether it says what is asked about.
    subjects: Vec<bool>,
    /// Words that entries have; read when one is first looked for.
    words: Option<Words>,
    /// The languages of the entries.
    languages: Vec<Language>,
    /// How many entries there are.
    total: u64,
    /// Terms of a question, on average, without their pieces.
    pub(super) average_length: f32,
}

impl Vocabulary {
    /// Reads all stems at once: SQLite prepares statements anew each time this table is looked into.
    pub(super) fn read(conn: &Connection, stems: &Stems) -> rusqlite::Result<Self> {
        let mut select = conn.prepare("SELECT term, doc, cnt, col = 'question' FROM knowledge_stems")?;
        let mut rows = select.query([])?;
        let (mut counts, mut length) = (BTreeMap::<String, Count>::new(), 0.0_f64);
        while let Some(row) = rows.next()? {
            let is_in_questions: bool = row.get(3)?;
            let count = counts.entry(row.get(0)?).or_default();
            let entries = row.get::<_, i64>(1)?.unsigned_abs();
            count.all += entries;
            if is_in_questions {
                count.questions += entries;
                length += if is_piece(row.get_ref(0)?.as_str()?) { 0.0 } else { row.get::<_, f64>(2)? };
            }
        }
        let (entries, questions) = totals(conn)?;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an average")]
        let average_length = (length / questions.max(1) as f64) as f32;
        Ok(Self { languages: languages(conn)?, ..Self::new(counts, entries, average_length, stems) })
    }

    /// Of stems and the number of entries in which each occurs. Sorted, so that the same entries give the same vocabulary
    /// and scores, to the last bit, in every process.
    pub(super) fn new(
        counts: BTreeMap<String, Count>,
        total: u64,
        average_length: f32,
        stems: &Stems,
    ) -> Self {
        let mut vocabulary = Self { total, average_length: average_length.max(1.0), ..Self::default() };
        for (id, (stem, count)) in (0..).zip(counts) {
            vocabulary.weights.push(weight(count.questions, total));
            vocabulary.occurrences.push(count.all);
            vocabulary.subjects.push(stems.is_subject(&stem));
            let stem: Arc<str> = stem.into();
            vocabulary.stems.push(Arc::clone(&stem));
            vocabulary.ids.insert(stem, id);
        }
        vocabulary
    }

    /// The place of a stem, if the index has it.
    pub(super) fn id(&self, stem: &str) -> Option<StemId> {
        self.ids.get(stem).copied()
    }

    /// The stem at a place, if it is one of the index.
    pub(super) fn stem(&self, id: StemId) -> Option<&str> {
        at(&self.stems, id).map(|stem| &**stem)
    }

    /// How telling a stem is; one that only a query has is the most telling: it says that something else is asked.
    pub(super) fn weight(&self, id: StemId) -> f32 {
        at(&self.weights, id).copied().unwrap_or_else(|| weight(0, self.total))
    }

    /// In how many questions and answers a stem occurs.
    pub(super) fn occurrences(&self, id: StemId) -> u64 {
        at(&self.occurrences, id).copied().unwrap_or(0)
    }

    /// The weight of a stem that one question has.
    pub(super) fn weight_of_one(&self) -> f32 {
        weight(1, self.total)
    }

    /// Whether a stem of the index says what is asked about.
    pub(super) fn is_subject(&self, id: StemId) -> bool {
        at(&self.subjects, id).copied().unwrap_or(false)
    }

    /// The stem of the index that a term means by the rules of its own language, or else those that it means by the rules of
    /// other languages that entries have.
    pub(super) fn as_written(&self, stems: &Stems, term: &Term) -> Vec<StemId> {
        if let Some(id) = self.id(&term.stem) {
            return vec![id];
        }
        let others = self.languages.iter().map(|language| stems.stem(&term.word, Some(*language)));
        let mut found: Vec<_> = others.filter_map(|stem| self.id(&stem)).collect();
        found.sort_unstable();
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
        found.sort_by(|one, other| self.weight(*one).total_cmp(&self.weight(*other)).then(one.cmp(other)));
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
        Ok(near.map(|(known, id)| (*id, known.first() == word.first())).collect())
    }
}

/// Whether typing errors are looked for in a word: most short words are one edit from others, and a number with a wrong
/// digit is another number.
pub(super) fn may_be_misspelt(word: &str) -> bool {
    word.chars().nth(TYPO_CHARS_MIN - 1).is_some() && !word.chars().any(|c| c.is_ascii_digit())
}

fn at<T>(all: &[T], id: StemId) -> Option<&T> {
    all.get(usize::try_from(id).ok()?)
}

/// Words of the entries whose stems the index has, by length.
fn words(conn: &Connection, ids: &HashMap<Arc<str>, StemId>) -> rusqlite::Result<Words> {
    let mut select = conn.prepare("SELECT word, stem FROM knowledge_words")?;
    let mut rows = select.query([])?;
    let mut words = Words::new();
    while let Some(row) = rows.next()? {
        if let Some(id) = ids.get(row.get_ref(1)?.as_str()?) {
            let word: Vec<char> = row.get_ref(0)?.as_str()?.chars().collect();
            words.entry(word.len()).or_default().push((word, *id));
        }
    }
    Ok(words)
}

/// The languages of the entries, in order.
fn languages(conn: &Connection) -> rusqlite::Result<Vec<Language>> {
    let mut select = conn.prepare("SELECT DISTINCT language FROM knowledge ORDER BY language")?;
    let mut rows = select.query([])?;
    let mut languages = Vec::new();
    while let Some(row) = rows.next()? {
        // One that is none has no rules, and is told of when its entry is read.
        languages.extend(row.get_ref(0)?.as_str()?.parse::<Language>());
    }
    Ok(languages)
}

/// How many entries there are, and in how many ways their questions are put.
fn totals(conn: &Connection) -> rusqlite::Result<(u64, u64)> {
    let (entries, more): (i64, i64) = conn.query_row(
        "SELECT count(*), coalesce(sum(json_array_length(phrasings)), 0) FROM knowledge",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((entries.unsigned_abs(), (entries + more).unsigned_abs()))
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
