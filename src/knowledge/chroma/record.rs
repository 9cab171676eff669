//! What an entry is as a record of a collection, and a record as an entry. Pure.

use serde_json::{Map, Value, json};
use tertulia_actors::domain::{Entry, Filter, Language, Timestamp};
use tertulia_actors::ports::Embeddable;
use thiserror::Error;

use super::wire::{Metadata, Record};
use super::{ChromaSettings, Document};
use crate::knowledge::text::language::Languages;

/// What an entry says of those whom it is for: the keys of the metadata are named as the fields of the entry.
const TAGS: &str = "tags";
const ACCOUNTS: &str = "accounts";
const VALID_FROM: &str = "valid_from";
const VALID_UNTIL: &str = "valid_until";
/// The other ways in which its question is put, in the record that is the entry.
const PHRASINGS: &str = "phrasings";
/// In a record that is another way of asking for an entry: the id of the record that is the entry.
const WAY_OF: &str = "way_of";
/// Whether it is such a record; the server cannot ask whether a text is there.
const IS_WAY: &str = "is_way";
/// Whether it is for some accounts only. The server's conditions know what a key is not, also where it is missing, but not that it
/// is missing.
const FOR_SOME: &str = "for_some";

/// Why a record is no entry.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unusable {
    /// There is nothing that could be searched.
    #[error("it has no document")]
    NoDocument,
    /// There is nothing that could be answered.
    #[error("its metadata has no text under the key '{0}', which is the answer")]
    NoAnswer(String),
    /// A key that says whom it is for says nothing that can be understood.
    #[error("its metadata cannot be read: {0}")]
    Metadata(String),
}

/// Reads and writes records of a collection whose keys mean what the settings say.
#[derive(Clone, Debug)]
pub(super) struct Records {
    document: Document,
    question: String,
    answer: String,
    language: String,
    id: String,
    /// The languages in which texts may be.
    spoken: Vec<Language>,
    languages: Languages,
}

impl Records {
    /// Of texts in these languages.
    pub(super) fn new(settings: &ChromaSettings, languages: &[Language]) -> Self {
        let ChromaSettings { document, question_key, answer_key, language_key, id_key, .. } =
            settings.clone();
        Self {
            document,
            question: question_key,
            answer: answer_key,
            language: language_key,
            id: id_key,
            spoken: languages.to_vec(),
            languages: Languages::new(languages),
        }
    }

    /// What a record is of: an entry's id and the language of the version.
    pub(super) fn key(&self, record: &Record) -> (String, Language) {
        let id = text(&record.metadata, &self.id).unwrap_or_else(|| record.id.clone());
        let given = text(&record.metadata, &self.language).and_then(|name| language(&name));
        let detected = || self.languages.detect(record.document.as_deref()?);
        // A text that does not tell is taken to be in the first language.
        let first = || self.spoken.first().copied().unwrap_or(Language::ENGLISH);
        (id, given.or_else(detected).unwrap_or_else(first))
    }

    /// The entry that a record is.
    pub(super) fn entry(&self, record: &Record) -> Result<Entry, Unusable> {
        let document = record.document.clone().filter(|document| !document.trim().is_empty());
        let document = document.ok_or(Unusable::NoDocument)?;
        let (question, answer) = match self.document {
            Document::Question => {
                let answer = text(&record.metadata, &self.answer);
                (document, answer.ok_or_else(|| Unusable::NoAnswer(self.answer.clone()))?)
            }
            Document::Answer => (text(&record.metadata, &self.question).unwrap_or_default(), document),
        };
        let (id, language) = self.key(record);
        let mut entry = json!({"id": id, "language": language, "question": question, "answer": answer});
        for key in [TAGS, ACCOUNTS] {
            entry[key] = names(&record.metadata, key).into();
        }
        entry[PHRASINGS] = record.metadata.get(PHRASINGS).and_then(list).unwrap_or_default().into();
        for key in [VALID_FROM, VALID_UNTIL] {
            entry[key] = text(&record.metadata, key).into();
        }
        // Read as any other entry, so that a time may be written as it may be there.
        serde_json::from_value(entry).map_err(|error| Unusable::Metadata(error.to_string()))
    }

    /// Of a record that is another way of asking for an entry: the id of the one that is the entry.
    pub(super) fn way_of(record: &Record) -> Option<&str> {
        record.metadata.get(WAY_OF).and_then(Value::as_str).filter(|id| !id.is_empty())
    }

    /// Whether a record, which is an entry, is put in these words too.
    pub(super) fn is_put(record: &Record, words: &str) -> bool {
        let phrasings = record.metadata.get(PHRASINGS).and_then(list).unwrap_or_default();
        phrasings.iter().any(|phrasing| phrasing == words)
    }

    /// The records of an entry, one for each text by which it is found: the one that is the entry under an id of the collection, and
    /// behind it those of the other ways of asking, which say of which entry they are.
    pub(super) fn records(&self, entry: &Entry, id: String) -> Vec<Record> {
        let first = self.record(entry, id);
        let phrasings = match self.document {
            Document::Question => entry.phrasings.as_slice(),
            Document::Answer => &[],
        };
        let way = |(n, phrasing): (usize, &String)| {
            let mut way =
                Record { id: way_id(&first.id, n), document: Some(phrasing.clone()), ..first.clone() };
            way.metadata.extend([
                // It is read from the entry's own record, and may be long.
                (self.answer.clone(), Value::Null),
                (PHRASINGS.to_owned(), Value::Null),
                (WAY_OF.to_owned(), first.id.as_str().into()),
                (IS_WAY.to_owned(), true.into()),
            ]);
            way
        };
        let ways: Vec<Record> = phrasings.iter().enumerate().map(way).collect();
        std::iter::once(first).chain(ways).collect()
    }

    /// The record that an entry is, under an id of the collection. What it does not say any more is removed.
    fn record(&self, entry: &Entry, id: String) -> Record {
        let (document, key, other) = match self.document {
            Document::Question => (&entry.question, &self.answer, &entry.answer),
            Document::Answer => (&entry.answer, &self.question, &entry.question),
        };
        let list = |names: &[String]| if names.is_empty() { Value::Null } else { names.into() };
        let time = |time: Option<Timestamp>| time.map_or(Value::Null, |time| time.rfc3339().into());
        let for_some = if entry.accounts.is_empty() { Value::Null } else { true.into() };
        let metadata = Map::from_iter([
            (self.id.clone(), entry.id.as_str().into()),
            (self.language.clone(), entry.language.as_str().into()),
            (key.clone(), other.as_str().into()),
            (TAGS.into(), list(&entry.tags)),
            (ACCOUNTS.into(), list(&entry.accounts)),
            (FOR_SOME.into(), for_some),
            (VALID_FROM.into(), time(entry.valid_from)),
            (VALID_UNTIL.into(), time(entry.valid_until)),
            (PHRASINGS.into(), list(&entry.phrasings)),
            (WAY_OF.into(), Value::Null),
            (IS_WAY.into(), Value::Null),
        ]);
        Record { id, document: Some(document.clone()), metadata }
    }

    /// The metadata of all records of these entries. Where somebody else wrote an id as a number or a truth value, it is found as that:
    /// the server compares values of one kind only.
    pub(super) fn named(&self, ids: &[String]) -> Value {
        let clause = |ids: &[Value]| json!({ &*self.id: { "$in": ids } });
        let texts: Vec<Value> = ids.iter().map(|id| id.as_str().into()).collect();
        let others: Vec<Value> = ids.iter().filter_map(|id| other_kind(id)).collect();
        let kinds: [fn(&Value) -> bool; 3] = [Value::is_i64, Value::is_f64, Value::is_boolean];
        let others =
            kinds.map(|is_of| others.iter().filter(|other| is_of(other)).cloned().collect::<Vec<_>>());
        let mut clauses = vec![clause(&texts)];
        clauses.extend(others.iter().filter(|ids| !ids.is_empty()).map(|ids| clause(ids)));
        match clauses.len() {
            1 => clauses.remove(0),
            _ => json!({ "$or": clauses }),
        }
    }

    /// The metadata of all records that are another way of asking.
    pub(super) fn ways() -> Value {
        json!({ IS_WAY: true })
    }

    /// The metadata of the versions of these entries in a language.
    pub(super) fn versions(&self, ids: &[String], language: Language) -> Value {
        json!({ "$and": [self.named(ids), { &*self.language: language.as_str() }] })
    }

    /// The metadata of what a search looks at, as far as the server can tell; the entries that it finds are looked at again. Those of
    /// the ids `but` are left out. Source of
    /// the operators: <https://docs.trychroma.com/docs/querying-collections/metadata-filtering>; that those which deny admit
    /// records without the key was seen at a server of version 1.5.
    pub(super) fn admitted(&self, filter: &Filter, but: &[String]) -> Option<Value> {
        let mut clauses: Vec<Value> =
            filter.tags.iter().map(|tag| json!({ TAGS: { "$contains": tag } })).collect();
        if let Some(account) = &filter.account {
            let for_all = json!({ FOR_SOME: { "$ne": true } });
            clauses.push(json!({ "$or": [{ ACCOUNTS: { "$contains": account } }, for_all] }));
        }
        if let Some(wanted) = filter.language {
            let others: Vec<&str> =
                self.spoken.iter().filter(|spoken| **spoken != wanted).map(Language::as_str).collect();
            if !others.is_empty() {
                clauses.push(json!({ &*self.language: { "$nin": others } }));
            }
        }
        if !but.is_empty() {
            clauses.push(json!({ &*self.id: { "$nin": but } }));
        }
        match clauses.len() {
            0 | 1 => clauses.pop(),
            _ => Some(json!({ "$and": clauses })),
        }
    }
}

impl Document {
    /// The texts of an entry that are documents of its records, to be embedded; that of the record that is the entry is the first.
    #[must_use]
    pub fn embeddables(self, entry: &Entry) -> Vec<Embeddable> {
        match self {
            Self::Question => {
                let questions = std::iter::once(&entry.question).chain(&entry.phrasings);
                questions.map(Embeddable::query).collect()
            }
            Self::Answer => vec![Embeddable::passage(&entry.answer)],
        }
    }
}

/// The id of a record of ours: a collection has one record an id, and an entry one version a language.
pub(super) fn record_id(id: &str, language: Language) -> String {
    format!("{id}@{language}")
}

/// The id of the record of another way of asking, of which `n` come before: the question itself is the first way.
fn way_id(first: &str, n: usize) -> String {
    format!("{first}#{}", n + 2)
}

/// What an id is that is written as a number or a truth value is.
fn other_kind(id: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(id).ok()?;
    let is_other = value.is_i64() || value.is_f64() || value.is_boolean();
    let written = value.to_string();
    Some(value).filter(|_| is_other && written == id)
}

/// A text of the metadata; a number or a truth value as it is written. None where it is blank.
fn text(metadata: &Metadata, key: &str) -> Option<String> {
    let text = match metadata.get(key)? {
        Value::String(text) => text.clone(),
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Names in the metadata: a list, or one text, in which they are separated by commas.
fn names(metadata: &Metadata, key: &str) -> Vec<String> {
    match metadata.get(key) {
        Some(value) if list(value).is_some() => list(value).unwrap_or_default(),
        Some(Value::String(names)) => {
            let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        }
        _ => vec![],
    }
}

/// The texts of a list, as they are, or of a text that is a list of JSON; none where it is neither.
fn list(value: &Value) -> Option<Vec<String>> {
    let items = match value {
        Value::Array(items) => items.clone(),
        Value::String(text) if text.trim_start().starts_with('[') => serde_json::from_str(text).ok()?,
        _ => return None,
    };
    let items = items.iter().filter_map(Value::as_str).filter(|item| !item.trim().is_empty());
    Some(items.map(str::to_owned).collect())
}

/// The language that a name begins with, as in "en", "EN" and "en-US".
fn language(name: &str) -> Option<Language> {
    name.split(['-', '_']).next()?.trim().to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
