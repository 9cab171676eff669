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
        for key in [VALID_FROM, VALID_UNTIL] {
            entry[key] = text(&record.metadata, key).into();
        }
        // Read as any other entry, so that a time may be written as it may be there.
        serde_json::from_value(entry).map_err(|error| Unusable::Metadata(error.to_string()))
    }

    /// The record that an entry is, under an id of the collection. What it does not say any more is removed.
    pub(super) fn record(&self, entry: &Entry, id: String) -> Record {
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
        ]);
        Record { id, document: Some(document.clone()), metadata }
    }

    /// The metadata of all records of these entries.
    pub(super) fn named(&self, ids: &[String]) -> Value {
        json!({ &*self.id: { "$in": ids } })
    }

    /// The metadata of the versions of these entries in a language.
    pub(super) fn versions(&self, ids: &[String], language: Language) -> Value {
        json!({ "$and": [self.named(ids), { &*self.language: language.as_str() }] })
    }

    /// The metadata of what a search looks at, as far as the server can tell; the entries that it finds are looked at again. Source of
    /// the operators: <https://docs.trychroma.com/docs/querying-collections/metadata-filtering>; that those which deny admit
    /// records without the key was seen at a server of version 1.5.
    pub(super) fn admitted(&self, filter: &Filter) -> Option<Value> {
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
        match clauses.len() {
            0 | 1 => clauses.pop(),
            _ => Some(json!({ "$and": clauses })),
        }
    }
}

impl Document {
    /// The text of an entry that is its document, to be embedded.
    #[must_use]
    pub fn embeddable(self, entry: &Entry) -> Embeddable {
        match self {
            Self::Question => Embeddable::query(&entry.question),
            Self::Answer => Embeddable::passage(&entry.answer),
        }
    }
}

/// The id of a record of ours: a collection has one record an id, and an entry one version a language.
pub(super) fn record_id(id: &str, language: Language) -> String {
    format!("{id}@{language}")
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

/// A list of names in the metadata, or in one text, separated by commas.
fn names(metadata: &Metadata, key: &str) -> Vec<String> {
    let names: Vec<&str> = match metadata.get(key) {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(names)) => names.split(',').collect(),
        _ => vec![],
    };
    names.into_iter().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The language that a name begins with, as in "en", "EN" and "en-US".
fn language(name: &str) -> Option<Language> {
    name.split(['-', '_']).next()?.trim().to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
