//! What a query asks for: its words read into stems that the index has, and what the index is asked with.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::Connection;
use tertulia_actors::ports::Search;

use super::score::{Asked, Meant};
use super::vocabulary::{StemId, Vocabulary, may_be_misspelt};
use crate::knowledge::text::stems::{Stems, Term, pieces, sentences};
use crate::knowledge::text::words::TEXT_CHARS_MAX;

/// Terms of a query, or of one of its sentences, that are compared with an entry, and that the index is asked for.
const TERMS_MAX: usize = 64;

/// How sure it is that a known word is meant by one that is a typing error away. A short word, and one that begins
/// otherwise, is as likely another word: "border" is not "order", and "silk" not "milk".
const LIKELY: f32 = 0.9;
const DOUBTFUL: f32 = 0.4;

/// Letters from which on a word that begins alike is likely to be the one that is meant.
const LIKELY_CHARS_MIN: usize = 6;

/// Entries that the index ranks, about, if they can be told from others by the most telling terms.
const RANKED_MAX: u64 = 1_000;

/// Terms that are always among the telling ones.
const TELLING_MIN: usize = 2;

/// Sentences of a query that are compared one by one, the first ones: a batch has at most some twenty messages.
const SENTENCES_MAX: usize = 32;

/// Words of a query that typing errors are looked for in, at the most: each is compared with all words of its length.
const MISSPELT_MAX: usize = 64;

/// What entries are ranked by: any of these stems, the most telling first.
pub(super) struct Ranked {
    pub(super) stems: Vec<StemId>,
    /// How many of them, from the first one on, an entry must have any of.
    pub(super) telling: usize,
}

/// A query that was read.
pub(super) struct Query {
    pub(super) asked: Asked,
    /// What entries are ranked by: the stems that occur at all.
    pub(super) ranked: Ranked,
}

/// Reads a query.
pub(super) fn read(
    conn: &Connection,
    stems: &Stems,
    vocabulary: &mut Vocabulary,
    search: &Search,
) -> rusqlite::Result<Query> {
    let mut reader = Reader { conn, stems, vocabulary, meant: HashMap::new(), strangers: 0, misspelt: 0 };
    let start = search.text.char_indices().nth(TEXT_CHARS_MAX);
    let text = start.map_or(search.text.as_str(), |(end, _)| &search.text[..end]);
    let terms = stems.terms(text, search.language);
    // The whole comes first: what it means must be known of every term that the index is asked for.
    let whole = reader.way(&terms)?;
    let mut ways = Vec::new();
    for sentence in sentences(text).take(SENTENCES_MAX) {
        let way = reader.way(&stems.terms(sentence, search.language))?;
        if way.iter().any(|term| term.is_subject) {
            ways.push(way);
        }
    }
    ways.push(whole);
    let pieces = reader.pieces(&terms);
    let ranked = reader.ranked(&terms);
    Ok(Query { asked: Asked::new(vocabulary, ways, pieces), ranked })
}

struct Reader<'a> {
    conn: &'a Connection,
    stems: &'a Stems,
    vocabulary: &'a mut Vocabulary,
    /// What each stem was found to mean.
    meant: HashMap<String, Meant>,
    /// How many stems and pieces the index does not have; they are numbered behind those that it has.
    strangers: StemId,
    /// In how many words typing errors were looked for.
    misspelt: usize,
}

impl Reader<'_> {
    /// What terms mean, each stem once, the first ones of many.
    fn way(&mut self, terms: &[Term]) -> rusqlite::Result<Vec<Meant>> {
        let mut way: Vec<Meant> = Vec::new();
        for term in distinct(terms).take(TERMS_MAX) {
            let meant = self.meant(term)?;
            if !way.iter().any(|known| known.ids.iter().any(|id| meant.ids.contains(id))) {
                way.push(meant);
            }
        }
        Ok(way)
    }

    fn meant(&mut self, term: &Term) -> rusqlite::Result<Meant> {
        if let Some(meant) = self.meant.get(&term.stem) {
            return Ok(meant.clone());
        }
        let (mut ids, mut certainty) = (self.vocabulary.as_written(self.stems, term), 1.0);
        if ids.is_empty() && self.misspelt < MISSPELT_MAX && may_be_misspelt(&term.word) {
            self.misspelt += 1;
            let (guessed, begins_alike) = self.vocabulary.misspelt(self.conn, &term.word)?;
            let is_long = term.word.chars().nth(LIKELY_CHARS_MIN - 1).is_some();
            (ids, certainty) = (guessed, if begins_alike && is_long { LIKELY } else { DOUBTFUL });
        }
        let is_subject = match ids[..] {
            [] => self.stems.is_subject(&term.stem),
            _ => ids.iter().any(|id| self.vocabulary.is_subject(*id)),
        };
        if ids.is_empty() {
            ids.push(self.stranger());
        }
        let weight = ids.iter().map(|id| self.vocabulary.weight(*id)).fold(f32::INFINITY, f32::min);
        let meant = Meant { ids, weight, certainty, is_subject };
        self.meant.insert(term.stem.clone(), meant.clone());
        Ok(meant)
    }

    /// A number that no stem of the index has.
    fn stranger(&mut self) -> StemId {
        self.strangers += 1;
        StemId::MAX - self.strangers
    }

    /// The pieces of terms, each once.
    fn pieces(&mut self, terms: &[Term]) -> Vec<Meant> {
        let all: BTreeSet<_> = distinct(terms).take(TERMS_MAX).flat_map(|term| pieces(&term.stem)).collect();
        let mut meant = Vec::new();
        for piece in all {
            let id = self.vocabulary.id(&piece).unwrap_or_else(|| self.stranger());
            let weight = self.vocabulary.weight(id);
            meant.push(Meant { ids: vec![id], weight, certainty: 1.0, is_subject: false });
        }
        meant
    }

    /// What the terms mean, the most telling ones of many, wherever in the query they stand; where the index has none of a term, its
    /// pieces.
    fn ranked(&self, terms: &[Term]) -> Ranked {
        let mut asked = BTreeSet::new();
        for term in distinct(terms) {
            let meant = self.meant.get(&term.stem).map_or(&[][..], |meant| &meant.ids);
            let known = meant.iter().copied().filter(|id| self.vocabulary.has(*id));
            let known: Vec<_> = known.chain(self.vocabulary.id(&term.stem)).collect();
            if known.is_empty() {
                asked.extend(pieces(&term.stem).iter().filter_map(|piece| self.vocabulary.id(piece)));
            }
            asked.extend(known);
        }
        let mut stems: Vec<_> = asked.into_iter().collect();
        stems.sort_by(|one, other| {
            let weights = self.vocabulary.weight(*other).total_cmp(&self.vocabulary.weight(*one));
            weights.then_with(|| self.vocabulary.in_order(*one, *other))
        });
        stems.truncate(TERMS_MAX);
        let telling = telling(&stems, |id| self.vocabulary.occurrences(id));
        Ranked { stems, telling }
    }
}

/// How many of the terms, the most telling ones first, an entry must have any of: as many as few entries have, at least two. What has
/// none of them, but only words that half of a large base has, is not worth being ranked.
fn telling(asked: &[StemId], occurrences: impl Fn(StemId) -> u64) -> usize {
    let mut sum = 0;
    let few = asked.iter().take_while(|id| {
        sum += occurrences(**id);
        sum <= RANKED_MAX
    });
    few.count().max(TELLING_MIN).min(asked.len())
}

/// Terms with different stems, in order.
fn distinct(terms: &[Term]) -> impl Iterator<Item = &Term> {
    let mut seen = HashSet::new();
    terms.iter().filter(move |term| seen.insert(term.stem.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_few_entries_have_must_be_in_what_is_ranked_and_all_of_a_small_base_is() {
        for (occurrences, expected) in [
            (&[][..], 0),
            (&[5_000], 1),
            (&[400, 400, 200], 3),
            (&[1, 900, 100, 5_000], 2),
            (&[700, 5_000], 2),
            (&[5_000, 5_000, 5_000], 2),
            (&[1, 2, 3, 5_000, 4], 3),
        ] {
            let ids: Vec<StemId> = (0..).take(occurrences.len()).collect();
            let found = telling(&ids, |id| occurrences[usize::try_from(id).unwrap()]);
            assert_eq!(found, expected, "{occurrences:?}");
        }
    }
}
