//! How well a stored question fits what was asked, 0 to 1. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tertulia_actors::domain::{Entry, Language};

use super::vocabulary::{StemId, Vocabulary};
use crate::knowledge::text::stems::{Stems, Term, is_piece, pieces, sentences};
use crate::knowledge::text::words::TEXT_CHARS_MAX;

/// What a query is worth at the most whose words are all in the answer and not in the question: enough to be shown to the
/// query service as a passage, less than any threshold for a reply, since an answer mentions much that it does not
/// answer.
const ANSWER_SCORE_MAX: f32 = 0.4;

/// How sure a guessed subject must be to make a question of what else is asked alike.
const SURE_MIN: f32 = 0.5;

/// How much a stem of the answer counts that the question does not have, where question and query have something else in
/// common.
const ANSWER_SHARE: f32 = 0.5;

/// How fast a term that is repeated, and an entry that is long, count less: the constants of BM25 as SQLite and Lucene have
/// them (<https://www.sqlite.org/fts5.html#the_bm25_function>).
const BM25_K1: f32 = 1.2;
const BM25_B: f32 = 0.75;

/// How much BM25 counts where the nearest ways of asking are not the same. Measured on the development data: 0.4 to 0.8 find
/// the same share of paraphrases, and each more than BM25 or nearness alone of passages.
const BM25_SHARE: f32 = 0.6;

/// Sentences of a question, or of a passage, that are compared one by one, the first ones.
const WAYS_MAX: usize = 64;

/// A term of a query.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Meant {
    /// The stems that it may mean.
    pub(super) ids: Vec<StemId>,
    /// How telling it is.
    pub(super) weight: f32,
    /// How sure that is, 0 to 1: less where it was guessed.
    pub(super) certainty: f32,
    /// Whether it says what is asked about.
    pub(super) is_subject: bool,
}

impl Meant {
    fn is_in(&self, stems: &[StemId]) -> bool {
        self.ids.iter().any(|id| stems.binary_search(id).is_ok())
    }
}

/// What was asked, in each of its sentences that has a subject and in all: a greeting or a story around a question does
/// not make it another one.
pub(super) struct Asked {
    ways: Vec<Vec<Meant>>,
    /// Its terms and their pieces, without repetition.
    terms: Vec<Meant>,
    /// The weight of all terms and pieces.
    weight: f32,
    /// How much its subjects tell, 0 to 1.
    evidence: f32,
}

impl Asked {
    /// Of the terms of each sentence and of the whole, and the pieces of all terms.
    pub(super) fn new(vocabulary: &Vocabulary, ways: Vec<Vec<Meant>>, pieces: Vec<Meant>) -> Self {
        let mut terms = ways.last().cloned().unwrap_or_default();
        let subjects = terms.iter().filter(|term| term.is_subject);
        let evidence = evidence(vocabulary, subjects.map(|term| term.weight.powi(2)).sum());
        terms.extend(pieces);
        let weight = terms.iter().map(|term| term.weight).sum();
        Self { ways, terms, weight, evidence }
    }

    /// Whether nothing is asked in words.
    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// What an entry that has some of the stems, in question or answer, is worth at the most.
    ///
    /// The cosine of a way is no higher than the root of the share that it has in common with the entry; BM25 no higher than if what
    /// they have in common was said again and again; and a passage is worth what they have in common of the whole.
    pub(super) fn promise(&self, has: impl Fn(StemId) -> bool) -> f32 {
        let has = |term: &&Meant| term.ids.iter().any(|id| has(*id));
        let share = |terms: &[Meant], of: fn(&Meant) -> f32| {
            let all: f32 = terms.iter().map(of).sum();
            let common: f32 = terms.iter().filter(has).map(of).sum();
            if all > f32::EPSILON { common / all } else { 0.0 }
        };
        let near = self.ways.iter().map(|way| share(way, |term| term.weight.powi(2)).sqrt());
        let bm25 = (BM25_K1 + 1.0) * share(&self.terms, |term| term.weight);
        let whole = self.ways.last().map_or(0.0, |way| share(way, |term| term.weight));
        near.fold(bm25.max(ANSWER_SCORE_MAX * whole), f32::max).min(1.0)
    }
}

/// An entry, read into stems.
pub(super) struct Stored {
    phrasings: Vec<Phrasing>,
    /// The subjects of the answer, sorted.
    answer: Vec<StemId>,
}

/// One way in which an entry's question is put.
struct Phrasing {
    /// Each of its sentences that has a subject, and the whole. Each sorted.
    ways: Vec<Vec<StemId>>,
    /// How often it has each term and piece; sorted.
    frequencies: Vec<(StemId, f32)>,
    /// Its terms.
    length: f32,
}

impl Stored {
    /// Reads an entry. One without a question is a passage: what it says is compared like a question.
    pub(super) fn new(stems: &Stems, vocabulary: &Vocabulary, entry: &Entry) -> Self {
        let (questions, answer) = sides(entry);
        let mut answer = ids(stems, vocabulary, answer, entry.language);
        answer.retain(|id| vocabulary.is_subject(*id));
        let read = |question: &str| Phrasing::new(stems, vocabulary, question, entry.language);
        Self { phrasings: questions.into_iter().map(read).collect(), answer }
    }
}

impl Phrasing {
    fn new(stems: &Stems, vocabulary: &Vocabulary, question: &str, language: Language) -> Self {
        // What lies behind is not in the index either.
        let end = question.char_indices().nth(TEXT_CHARS_MAX).map_or(question.len(), |(end, _)| end);
        let question = &question[..end];
        let ids = |text: &str| ids(stems, vocabulary, text, language);
        let has_subject = |way: &Vec<StemId>| way.iter().any(|id| vocabulary.is_subject(*id));
        let whole = ids(question);
        // A courtesy may reach over two sentences: what the whole leaves out is not in the index.
        let within = |mut way: Vec<StemId>| {
            way.retain(|id| whole.binary_search(id).is_ok());
            way
        };
        let sentences = sentences(question).map(ids).map(within).filter(has_subject).take(WAYS_MAX);
        let ways = sentences.chain([whole.clone()]).collect();
        let (mut frequencies, mut length) = (BTreeMap::<StemId, f32>::new(), 0.0);
        for held in indexed(&stems.terms(question, Some(language))) {
            length += if is_piece(&held) { 0.0 } else { 1.0 };
            if let Some(id) = vocabulary.id(&held) {
                *frequencies.entry(id).or_default() += 1.0;
            }
        }
        Self { ways, frequencies: frequencies.into_iter().collect(), length }
    }
}

/// The known stems of a text, sorted.
fn ids(stems: &Stems, vocabulary: &Vocabulary, text: &str, language: Language) -> Vec<StemId> {
    let terms = stems.terms(text, Some(language));
    let known: BTreeSet<_> = terms.iter().filter_map(|term| vocabulary.id(&term.stem)).collect();
    known.into_iter().collect()
}

/// The two sides of an entry as they are indexed: the ways in which it is asked by, and what it answers beside that.
pub(in crate::knowledge) fn sides(entry: &Entry) -> (Vec<&str>, &str) {
    match entry.questions().collect::<Vec<_>>() {
        none if none.is_empty() => (vec![&entry.answer], ""),
        questions => (questions, &entry.answer),
    }
}

/// What the index holds of terms: their stems, and the pieces of these.
pub(in crate::knowledge) fn indexed(terms: &[Term]) -> impl Iterator<Item = String> {
    terms.iter().flat_map(|term| pieces(&term.stem).into_iter().chain([term.stem.clone()]))
}

/// Scores an entry by the way of putting its question that fits best, 0 (nothing in common) to 1 (one of its sentences has just
/// the stems of a sentence of the query).
///
/// How near the nearest ways of asking are, drawn up towards BM25 of the question the less they are the same, and as far as
/// the query tells something: "water" alone is in half of the questions. What has no way of asking in common with the query
/// is a passage at the best, by what question and answer have of it.
pub(super) fn score(vocabulary: &Vocabulary, asked: &Asked, stored: &Stored) -> f32 {
    let of = |phrasing| score_of(vocabulary, asked, phrasing, &stored.answer);
    stored.phrasings.iter().map(of).fold(0.0, f32::max)
}

/// How well one way of putting the question fits.
fn score_of(vocabulary: &Vocabulary, asked: &Asked, stored: &Phrasing, answer: &[StemId]) -> f32 {
    let pairs = asked.ways.iter().flat_map(|asked| stored.ways.iter().map(move |way| (asked, way)));
    let near = pairs.map(|(asked, way)| nearness(vocabulary, asked, way, answer)).fold(0.0, f32::max);
    let bm25 = bm25(vocabulary, asked, stored);
    let passage = ANSWER_SCORE_MAX * bm25.max(coverage(asked, stored, answer));
    if near <= f32::EPSILON {
        return passage;
    }
    let drawn = BM25_SHARE * (1.0 - near) * (bm25 * asked.evidence - near).max(0.0);
    (near + drawn).max(passage).clamp(0.0, 1.0)
}

/// The cosine of a sentence and a way of asking, as sets of weighted stems.
///
/// What only the answer mentions belongs to the way in part: who asks for the Marina is answered by a list of areas. The
/// cosine is lowered where what both have in common tells little: a word that many questions have does not choose one of
/// them. Nothing but stems without a subject, or of the answer, in common is not enough unless they are all.
fn nearness(vocabulary: &Vocabulary, asked: &[Meant], way: &[StemId], answer: &[StemId]) -> f32 {
    let (mut common, mut mentioned, mut all, mut shared) = (0.0, 0.0, 0.0, 0);
    let mut has_subject = false;
    for term in asked {
        let square = term.weight.powi(2);
        all += square;
        if term.is_in(way) {
            common += square * term.certainty;
            shared += usize::from(term.certainty >= SURE_MIN);
            has_subject |= term.is_subject && term.certainty >= SURE_MIN;
        } else if term.is_subject && term.is_in(answer) {
            mentioned += ANSWER_SHARE * square * term.certainty;
        }
    }
    let is_same = shared == asked.len() && shared == way.len();
    if !is_same && !has_subject {
        return 0.0;
    }
    let stored: f32 = way.iter().map(|id| vocabulary.weight(*id).powi(2)).sum();
    let lengths = (all * (stored + mentioned)).sqrt();
    if lengths <= f32::EPSILON {
        return 0.0;
    }
    let cosine = ((common + mentioned) / lengths).min(1.0);
    let evidence = evidence(vocabulary, common);
    cosine * (evidence + (1.0 - evidence) * cosine)
}

/// How much some stems tell, by the sum of their squared weights: 1 from a stem on that only one question has.
fn evidence(vocabulary: &Vocabulary, squares: f32) -> f32 {
    (squares.sqrt() / vocabulary.weight_of_one()).min(1.0)
}

/// The share of the query's weight that question and answer cover together.
fn coverage(asked: &Asked, stored: &Phrasing, answer: &[StemId]) -> f32 {
    let (Some(asked), Some(question)) = (asked.ways.last(), stored.ways.last()) else { return 0.0 };
    let all: f32 = asked.iter().map(|term| term.weight).sum();
    let covered = asked.iter().filter(|term| term.is_in(question) || term.is_in(answer));
    let covered: f32 = covered.map(|term| term.weight * term.certainty).sum();
    if all > f32::EPSILON { covered / all } else { 0.0 }
}

/// BM25 of the question as a share of what an entry of average length would have that has each term once; at most 1.
fn bm25(vocabulary: &Vocabulary, asked: &Asked, stored: &Phrasing) -> f32 {
    let long = BM25_K1 * (1.0 - BM25_B + BM25_B * stored.length / vocabulary.average_length);
    let of_term = |term: &Meant| {
        let found = term.ids.iter().filter_map(|id| {
            let at = stored.frequencies.binary_search_by_key(id, |(stem, _)| *stem).ok()?;
            Some(stored.frequencies[at].1)
        });
        let times = found.fold(0.0, f32::max);
        term.weight * term.certainty * times * (BM25_K1 + 1.0) / (times + long)
    };
    let sum: f32 = asked.terms.iter().map(of_term).sum();
    if asked.weight > f32::EPSILON { (sum / asked.weight).min(1.0) } else { 0.0 }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
