//! What a query asks for: its words read into stems that the index has, and what the index is asked with.

use std::collections::{BTreeSet, HashMap};

use rusqlite::Connection;
use tertulia_actors::ports::Search;

use super::score::{Asked, Meant};
use super::vocabulary::{StemId, Vocabulary};
use crate::knowledge::text::stems::{Stems, Term, pieces, sentences};
use crate::knowledge::text::words::TEXT_CHARS_MAX;

/// Terms of a query that are looked up; what a person asks is said by then.
pub(super) const TERMS_MAX: usize = 64;

/// Sentences of a query that are compared one by one, the first ones: a batch has at most some twenty messages.
pub(super) const SENTENCES_MAX: usize = 32;

/// Words of a query that typing errors are looked for in, at the most: each is compared with all words of its length.
const MISSPELT_MAX: usize = 64;

/// A query that was read.
pub(super) struct Query {
    pub(super) asked: Asked,
    /// The full-text query: any of the stems that occur at all. Each is quoted, so that nothing in it is an operator.
    pub(super) full_text: String,
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
    let full_text = reader.full_text(&terms);
    Ok(Query { asked: Asked::new(vocabulary, ways, pieces), full_text })
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
    /// What terms mean, each once, the first ones of many.
    fn way(&mut self, terms: &[Term]) -> rusqlite::Result<Vec<Meant>> {
        let mut way: Vec<Meant> = Vec::new();
        for term in first(terms) {
            let meant = self.meant(term)?;
            if !way.contains(&meant) {
                way.push(meant);
            }
        }
        Ok(way)
    }

    fn meant(&mut self, term: &Term) -> rusqlite::Result<Meant> {
        if let Some(meant) = self.meant.get(&term.stem) {
            return Ok(meant.clone());
        }
        let mut ids = self.vocabulary.as_written(self.stems, term);
        if ids.is_empty() && self.misspelt < MISSPELT_MAX {
            self.misspelt += 1;
            ids = self.vocabulary.misspelt(self.conn, &term.word)?;
        }
        let is_subject = match ids[..] {
            [] => self.stems.is_subject(&term.stem),
            _ => ids.iter().any(|id| self.vocabulary.is_subject(*id)),
        };
        if ids.is_empty() {
            ids.push(self.stranger());
        }
        let weight = ids.iter().map(|id| self.vocabulary.weight(*id)).fold(f32::INFINITY, f32::min);
        let meant = Meant { ids, weight, is_subject };
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
        let all: BTreeSet<_> = first(terms).iter().flat_map(|term| pieces(&term.stem)).collect();
        let mut meant = Vec::new();
        for piece in all {
            let id = self.vocabulary.id(&piece).unwrap_or_else(|| self.stranger());
            meant.push(Meant { ids: vec![id], weight: self.vocabulary.weight(id), is_subject: false });
        }
        meant
    }

    /// Asks for what the terms mean, and for the pieces of those that the index does not have.
    fn full_text(&self, terms: &[Term]) -> String {
        let mut asked = BTreeSet::new();
        for term in first(terms) {
            let ids = self.meant.get(&term.stem).map_or(&[][..], |meant| &meant.ids);
            let known: Vec<_> = ids.iter().filter_map(|id| self.vocabulary.stem(*id)).collect();
            if known.is_empty() {
                let pieces = pieces(&term.stem).into_iter().filter_map(|piece| self.vocabulary.id(&piece));
                asked.extend(pieces.filter_map(|id| self.vocabulary.stem(id)));
            }
            asked.extend(known);
        }
        asked.iter().map(|stem| format!("\"{}\"", stem.replace('"', ""))).collect::<Vec<_>>().join(" OR ")
    }
}

fn first(terms: &[Term]) -> &[Term] {
    &terms[..terms.len().min(TERMS_MAX)]
}
