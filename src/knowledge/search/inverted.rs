//! Which entries have which stems, in memory: SQLite's full-text index as a search needs it. It is read once, and follows the entries
//! one by one from then on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tertulia_actors::domain::{Entry, Language};

use super::score::{indexed, sides};
use super::vocabulary::{StemId, Vocabulary};
use crate::knowledge::text::stems::{Stems, Term, is_piece};

/// How often a stem of the question counts beside one of the answer.
const QUESTION_WEIGHT: f32 = 4.0;

/// The constants of BM25 as SQLite's full-text index has them (<https://www.sqlite.org/fts5.html#the_bm25_function>).
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// The least that a stem tells which more than half of the entries have, as there.
const INVERSE_FREQUENCY_MIN: f32 = 1e-6;

/// Stems that no entry has any more, of which so many may be kept in any case.
const UNUSED_MAX: usize = 10_000;

/// That an entry has a stem, and how often.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Posting {
    place: u32,
    question: u16,
    answer: u16,
}

/// What must be known of an entry to remove it again, and to rank it.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Indexed {
    row: i64,
    /// None where it is none, which is told of when the entry is read.
    language: Option<Language>,
    /// In how many ways its question is put.
    ways: u64,
    /// Terms of its questions, without their pieces.
    question_terms: u64,
    /// Stems and pieces of question and answer.
    length: u32,
    /// Each once, in order.
    stems: Vec<StemId>,
}

impl Indexed {
    /// An entry whose stems are not known yet.
    pub(super) fn new(row: i64, language: Option<Language>, ways: u64) -> Self {
        Self { row, language, ways, ..Self::default() }
    }
}

/// The inverted index of one generation of the entries.
#[derive(Default)]
pub(super) struct Inverted {
    pub(super) vocabulary: Vocabulary,
    /// By stem.
    lists: Vec<Vec<Posting>>,
    /// By place; a place without stems may be free.
    entries: Vec<Indexed>,
    places: HashMap<i64, u32>,
    free: Vec<u32>,
    /// Stems and pieces of all entries.
    length: u64,
    /// By place: how much less a stem counts in an entry of its length.
    dampers: Vec<f32>,
}

impl Inverted {
    /// Adds an entry, or takes what it says now for what it said before.
    pub(super) fn put(&mut self, stems: &Stems, row: i64, entry: &Entry) {
        self.remove(row);
        let (questions, answer) = sides(entry);
        let read = |text: &str| stems.terms(text, Some(entry.language));
        let ways = count(questions.len());
        let question: Vec<Term> = questions.into_iter().flat_map(read).collect();
        let answer = read(answer);
        let place = self.place(Indexed::new(row, Some(entry.language), ways));
        let mut times = BTreeMap::<String, (u16, u16)>::new();
        for stem in indexed(&question) {
            let times = &mut times.entry(stem).or_default().0;
            *times = times.saturating_add(1);
        }
        for stem in indexed(&answer) {
            let times = &mut times.entry(stem).or_default().1;
            *times = times.saturating_add(1);
        }
        for (stem, (question, answer)) in times {
            self.add(stems, &stem, Posting { place, question, answer });
        }
        self.entries[at(place)].stems.sort_unstable();
        let words: BTreeSet<_> =
            question.iter().chain(&answer).map(|term| (&term.word, &term.stem)).collect();
        words.into_iter().for_each(|(word, stem)| self.vocabulary.learn(word, stem));
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, row: i64) {
        let Some(place) = self.places.remove(&row) else { return };
        let known = std::mem::take(&mut self.entries[at(place)]);
        self.vocabulary.forget_entry(known.language, known.ways, known.question_terms);
        self.length -= u64::from(known.length);
        for id in known.stems {
            let list = &mut self.lists[at(id)];
            if let Some(found) = list.iter().position(|posting| posting.place == place) {
                let posting = list.swap_remove(found);
                self.vocabulary.occurs(id, posting.question > 0, posting.answer > 0, false);
            }
        }
        self.free.push(place);
    }

    /// Makes room for an entry whose stems are not known yet, and tells where.
    fn place(&mut self, known: Indexed) -> u32 {
        self.vocabulary.know_entry(known.language, known.ways);
        let row = known.row;
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[at(place)] = known;
                place
            }
            None => {
                self.entries.push(known);
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.places.insert(row, place);
        place
    }

    /// Adds what an entry has of a stem, which it has not had before.
    fn add(&mut self, stems: &Stems, stem: &str, posting: Posting) {
        let id = self.vocabulary.add(stems, stem);
        self.vocabulary.occurs(id, posting.question > 0, posting.answer > 0, true);
        if self.lists.len() <= at(id) {
            self.lists.resize_with(at(id) + 1, Vec::new);
        }
        self.lists[at(id)].push(posting);
        let known = &mut self.entries[at(posting.place)];
        known.stems.push(id);
        let (question, answer) = (u32::from(posting.question), u32::from(posting.answer));
        known.length += question + answer;
        self.length += u64::from(question + answer);
        if !is_piece(stem) {
            known.question_terms += u64::from(question);
            self.vocabulary.lengthen(u64::from(question));
        }
    }

    /// Ends a change: what follows from the numbers of entries and stems is computed anew.
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    pub(super) fn settle(&mut self) {
        self.vocabulary.settle();
        let average = (self.length as f32 / self.places.len().max(1) as f32).max(1.0);
        let damper = |entry: &Indexed| K1 * B.mul_add(entry.length as f32 / average, 1.0 - B);
        self.dampers = self.entries.iter().map(damper).collect();
    }

    /// Whether most of what it holds is of entries that are gone or say something else by now.
    pub(super) fn is_worn(&self) -> bool {
        self.vocabulary.unused() > UNUSED_MAX.max(self.vocabulary.used())
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many entries there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.places.len()
    }

    /// The language of an entry.
    pub(super) fn language(&self, row: i64) -> Option<Language> {
        self.entries[at(*self.places.get(&row)?)].language
    }

    /// The stems of an entry's question and answer, sorted.
    pub(super) fn stems(&self, row: i64) -> &[StemId] {
        self.places.get(&row).map_or(&[], |place| &self.entries[at(*place)].stems)
    }

    /// The admitted entries that BM25 finds the best by some stems, of which they have one of the first, telling ones; their question
    /// is weighted above their answer. In no order. `scores` is room that holds nothing but zeros before and after.
    pub(super) fn best(
        &self,
        stems: &[StemId],
        (telling, count): (usize, usize),
        scores: &mut Vec<f32>,
        admits: impl Fn(i64) -> bool,
    ) -> Vec<i64> {
        scores.resize(self.entries.len(), 0.0);
        let mut touched: Vec<u32> = vec![];
        for (n, id) in stems.iter().enumerate() {
            let Some(list) = self.lists.get(at(*id)) else { continue };
            let inverse = inverse_frequency(list.len(), self.places.len());
            for posting in list {
                let place = at(posting.place);
                if scores[place] == 0.0 {
                    if n >= telling {
                        continue;
                    }
                    touched.push(posting.place);
                }
                scores[place] += inverse * share(posting, self.dampers[place]);
            }
        }
        let taken = touched
            .into_iter()
            .map(|place| (std::mem::take(&mut scores[at(place)]), self.entries[at(place)].row));
        let mut found: Vec<(f32, i64)> = taken.filter(|(_, row)| admits(*row)).collect();
        if found.len() > count {
            found.select_nth_unstable_by(count, |(one, row), (other, other_row)| {
                other.total_cmp(one).then(row.cmp(other_row))
            });
            found.truncate(count);
        }
        found.into_iter().map(|(_, row)| row).collect()
    }
}

/// The index as SQLite has it, read stem by stem.
pub(super) struct Loading<'a> {
    inverted: Inverted,
    stems: &'a Stems,
    stem: String,
    /// Of that stem.
    postings: Vec<Posting>,
}

impl<'a> Loading<'a> {
    /// Of these entries.
    pub(super) fn new(stems: &'a Stems, entries: Vec<Indexed>) -> Self {
        let mut inverted = Inverted::default();
        for known in entries {
            inverted.place(known);
        }
        Self { inverted, stems, stem: String::new(), postings: vec![] }
    }

    /// A stem stands once in the question of an entry, or in its answer. Those of one stem come one behind the other, and of these
    /// those of one entry.
    pub(super) fn add(&mut self, stem: &str, row: i64, is_in_question: bool) {
        if self.stem != stem {
            self.flush();
            stem.clone_into(&mut self.stem);
        }
        let Some(place) = self.inverted.places.get(&row).copied() else { return };
        if self.postings.last().is_none_or(|last| last.place != place) {
            self.postings.push(Posting { place, ..Posting::default() });
        }
        if let Some(last) = self.postings.last_mut() {
            let times = if is_in_question { &mut last.question } else { &mut last.answer };
            *times = times.saturating_add(1);
        }
    }

    fn flush(&mut self) {
        for posting in std::mem::take(&mut self.postings) {
            self.inverted.add(self.stems, &self.stem, posting);
        }
    }

    /// All of it.
    pub(super) fn done(mut self) -> Inverted {
        self.flush();
        self.inverted.settle();
        self.inverted
    }
}

/// How much an entry has of a stem, of what it would have that is nothing but this stem.
fn share(posting: &Posting, damper: f32) -> f32 {
    let times = QUESTION_WEIGHT.mul_add(f32::from(posting.question), f32::from(posting.answer));
    times * (K1 + 1.0) / (times + damper)
}

/// How telling a stem is that so many of all entries have.
#[expect(clippy::cast_precision_loss, reason = "only the logarithm matters")]
fn inverse_frequency(having: usize, all: usize) -> f32 {
    let (having, all) = (having as f32, all as f32);
    ((all - having + 0.5) / (having + 0.5)).ln().max(INVERSE_FREQUENCY_MIN)
}

fn at(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "inverted_tests.rs"]
mod tests;
