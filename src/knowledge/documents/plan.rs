//! What an import changes: pure, so that it can be shown before it is done.

use std::collections::{BTreeMap, HashMap};

use tertulia_actors::domain::{Entry, Language};
use thiserror::Error;

use super::Draft;
use super::ids::belongs;

/// Two entries of an import are the same one.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the entry '{id}' ({language}) is in '{first}' and again in '{second}': one would replace the other")]
pub struct Double {
    /// Its id.
    pub id: String,
    /// Its language.
    pub language: Language,
    /// The documents that have it.
    pub first: String,
    /// The same one where it has it twice.
    pub second: String,
}

/// What becomes of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is new.
    Added,
    /// It says something else by now.
    Changed,
    /// It is there, and says the same.
    Same,
    /// It is not in its document any more.
    Gone,
}

/// What an import changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The entries that are written, in the order of their documents.
    pub written: Vec<Entry>,
    /// Those that are removed.
    pub gone: Vec<(String, Language)>,
    /// Every entry of the documents, and every one that is removed, with what becomes of it.
    pub fates: Vec<(Fate, Entry)>,
}

impl Plan {
    /// How many entries have a fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.fates.iter().filter(|(of_this, _)| *of_this == fate).count()
    }
}

/// What changes where documents, each with its name, come to entries that are there. A document that gave its entries their ids
/// replaces all that it brought before.
///
/// # Errors
/// Two entries have the same id and language.
pub fn plan(documents: &[(String, Draft)], there: &[Entry]) -> Result<Plan, Double> {
    let known: BTreeMap<_, _> =
        there.iter().map(|entry| ((entry.id.as_str(), entry.language), entry)).collect();
    let mut seen: HashMap<(&str, Language), &str> = HashMap::new();
    let mut plan = Plan::default();
    for (name, draft) in documents {
        for entry in &draft.entries {
            let key = (entry.id.as_str(), entry.language);
            if let Some(first) = seen.insert(key, name) {
                let (id, language) = (entry.id.clone(), entry.language);
                return Err(Double { id, language, first: first.to_owned(), second: name.clone() });
            }
            let fate = match known.get(&key) {
                None => Fate::Added,
                Some(before) if *before == entry => Fate::Same,
                Some(_) => Fate::Changed,
            };
            if fate != Fate::Same {
                plan.written.push(entry.clone());
            }
            plan.fates.push((fate, entry.clone()));
        }
    }
    let sources: Vec<&str> =
        documents.iter().filter(|(_, draft)| draft.is_source).map(|(name, _)| name.as_str()).collect();
    let is_gone = |entry: &&&Entry| {
        let is_ours = sources.iter().any(|name| belongs(&entry.id, name));
        is_ours && !seen.contains_key(&(entry.id.as_str(), entry.language))
    };
    for entry in known.values().filter(is_gone) {
        plan.gone.push((entry.id.clone(), entry.language));
        plan.fates.push((Fate::Gone, (*entry).clone()));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, answer: &str) -> Entry {
        Entry::new(id, Language::ENGLISH, "q", answer)
    }

    fn draft(name: &str, is_source: bool, entries: Vec<Entry>) -> (String, Draft) {
        (name.to_owned(), Draft { entries, is_source, missing: vec![] })
    }

    #[test]
    fn a_document_replaces_what_it_brought_and_nothing_else() {
        let arabic = Entry { language: Language::ARABIC, ..entry("a.md#same", "1") };
        let there = [
            entry("a.md#same", "1"),
            entry("a.md#changed", "1"),
            entry("a.md#gone", "1"),
            arabic,
            entry("b.md#text", "1"),
            entry("own", "1"),
        ];
        let new = vec![entry("a.md#same", "1"), entry("a.md#changed", "2"), entry("a.md#new", "1")];
        let planned = plan(&[draft("a.md", true, new)], &there).unwrap();
        assert_eq!(planned.written, [entry("a.md#changed", "2"), entry("a.md#new", "1")]);
        assert_eq!(
            planned.gone,
            [("a.md#gone".to_owned(), Language::ENGLISH), ("a.md#same".to_owned(), Language::ARABIC)]
        );
        let counts = [Fate::Added, Fate::Changed, Fate::Same, Fate::Gone].map(|fate| planned.count(fate));
        assert_eq!(counts, [1, 1, 1, 2]);
    }

    #[test]
    fn a_table_with_ids_of_its_own_removes_nothing() {
        let there = [entry("t.csv#x", "1"), entry("own", "1")];
        let planned = plan(&[draft("t.csv", false, vec![entry("own", "2")])], &there).unwrap();
        assert_eq!((planned.written, planned.gone), (vec![entry("own", "2")], vec![]));
    }

    #[test]
    fn an_entry_that_comes_twice_is_refused() {
        let twice = [draft("a", false, vec![entry("x", "1")]), draft("b", false, vec![entry("x", "1")])];
        let error = plan(&twice, &[]).unwrap_err().to_string();
        assert_eq!(error, "the entry 'x' (en) is in 'a' and again in 'b': one would replace the other");
        assert!(plan(&[draft("a", false, vec![entry("x", "1"), entry("x", "2")])], &[]).is_err());
    }
}
