//! How well questions find their documents, by the search that the server runs.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Serialize;
use tertulia_actors::domain::{Entry, Filter, Language, Timestamp};
use tertulia_actors::ports::Search;

use super::measures::{Ranks, Recall, recall};
use super::table;
use super::{EvalError, Meaning};
use crate::knowledge::entries::{KNOWLEDGE_MIGRATION, import_unchecked};

/// Hits of one question that are looked at.
const HITS: usize = 10;

/// How the language of what names none is called.
const NO_LANGUAGE: &str = "not named";

/// A text that can be found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// What names it; once.
    pub id: String,
    /// What it says.
    pub text: String,
    /// What it is written in; English rules hold where it is not said.
    pub language: Option<Language>,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// As a person puts it.
    pub text: String,
    /// The documents that answer it.
    pub relevant: Vec<String>,
    /// What it is written in; as for a message whose language was not detected where it is not said.
    pub language: Option<Language>,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// How many documents there are.
    pub documents: usize,
    /// Seconds that indexing took.
    pub index_s: f64,
    /// Microseconds that a question takes, on average.
    pub search_us: f64,
    /// Of all questions.
    pub all: Recall,
    /// By the language of the question.
    pub languages: BTreeMap<String, Recall>,
}

/// Indexes the documents in memory, by their meaning, too, where there is a model, and asks the questions; `done` is told of each.
///
/// # Errors
/// The index or the model failed.
pub fn run(
    documents: &[Document],
    questions: &[Question],
    meaning: &mut Meaning,
    mut done: impl FnMut(),
) -> Result<Report, EvalError> {
    let began = std::time::Instant::now();
    let conn = Connection::open_in_memory()?;
    conn.execute_batch(KNOWLEDGE_MIGRATION)?;
    let entries: Vec<Entry> = documents.iter().map(passage).collect();
    import_unchecked(&conn, &entries, Timestamp(0))?;
    meaning.embed_entries(&conn)?;
    let mut searcher = meaning.searcher();
    let index_s = began.elapsed().as_secs_f64();
    let (mut ranks, mut by_language) = (vec![], BTreeMap::<String, Vec<_>>::new());
    let began = std::time::Instant::now();
    for question in questions {
        let embedding = meaning.of(&question.text)?;
        let search = Search {
            text: question.text.clone(),
            embedding,
            language: question.language,
            filter: Filter::default(),
            limit: HITS,
        };
        let hits = searcher.find(&conn, &search)?;
        let relevant = (1..).zip(&hits).filter(|(_, hit)| question.relevant.contains(&hit.entry.id));
        let found =
            Ranks { found: relevant.map(|(rank, _)| rank).collect(), relevant: question.relevant.len() };
        ranks.push(found.clone());
        let language =
            question.language.map_or_else(|| NO_LANGUAGE.to_owned(), |language| language.to_string());
        by_language.entry(language).or_default().push(found);
        done();
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousand questions")]
    let search_us = began.elapsed().as_secs_f64() * 1e6 / questions.len().max(1) as f64;
    Ok(Report {
        documents: documents.len(),
        index_s,
        search_us,
        all: recall(&ranks),
        languages: by_language.into_iter().map(|(language, ranks)| (language, recall(&ranks))).collect(),
    })
}

/// A document as the knowledge base holds it: an entry that nobody has put a question to.
fn passage(document: &Document) -> Entry {
    Entry::new(&document.id, document.language.unwrap_or(Language::ENGLISH), "", &document.text)
}

impl Report {
    /// As tables for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let facts = [
            ("documents", self.documents.to_string()),
            ("questions", self.all.questions.to_string()),
            ("indexing", format!("{:.2} s", self.index_s)),
            ("one question", format!("{:.0} us", self.search_us)),
        ];
        let row = |name: &str, found: &Recall| {
            let figures = [found.recall_at_1, found.recall_at_3, found.recall_at_10, found.mrr_at_3];
            let mut row = vec![name.to_owned(), found.questions.to_string()];
            row.extend(figures.map(|figure| table::percent(Some(figure))));
            row
        };
        let languages = self.languages.iter().map(|(language, found)| row(language, found));
        let head = ["language", "questions", "recall@1", "recall@3", "recall@10", "MRR@3"];
        table::facts(&facts) + &table::rows(&head, languages.chain([row("all", &self.all)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_find_their_documents() {
        let document = |id: &str, text: &str| Document { id: id.into(), text: text.into(), language: None };
        let documents = [
            document("a", "The spring lies in the hills behind the town."),
            document("b", "Bottles are cleaned with steam before they are filled."),
        ];
        let question = |text: &str, relevant: &str| Question {
            text: text.into(),
            relevant: vec![relevant.into()],
            language: None,
        };
        let questions = [
            question("how are bottles cleaned", "b"),
            question("where is the spring", "a"),
            question("who owns the town", "b"),
        ];
        let mut told = 0;
        let report = run(&documents, &questions, &mut Meaning::default(), || told += 1).unwrap();
        assert_eq!((report.documents, report.all.questions, told), (2, 3, 3));
        assert!((report.all.recall_at_1 - 2.0 / 3.0).abs() < 1e-9, "{report:?}");
        assert_eq!(report.languages["not named"], report.all);
        assert!(report.table().contains("recall@10"));
    }
}
