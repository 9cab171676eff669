//! How well it is decided between a stored answer, no answer and going on.

use rusqlite::Connection;
use serde::Serialize;
use tertulia_actors::domain::{Class, Entry, Filter, Hit, Timestamp};
use tertulia_actors::pipeline::decide::{self, Ask, Lookup, ask_texts, lookup};
use tertulia_actors::ports::{Classification, Search};
use tertulia_actors::settings::PipelineSettings;

use super::measures::{Confusion, OfLabel, share};
use super::table;
use super::{EvalError, Meaning};
use crate::knowledge::ExampleClassifier;
use crate::knowledge::classify::labels::Example;
use crate::knowledge::entries::{KNOWLEDGE_MIGRATION, import};

/// The decisions, as labels name them.
pub const DECISIONS: [&str; 3] = ["reply", "skip", "continue"];

/// Thresholds that are tried.
const STEPS: u8 = 20;

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Texts.
    pub tested: usize,
    /// The threshold that was used: `pipeline.reply_score_min`.
    pub reply_score_min: f32,
    /// The share of texts of which it was decided as their label says.
    pub accuracy: Option<f64>,
    /// How well each decision was found.
    pub decisions: Vec<OfLabel>,
    /// How often each was taken for each other.
    pub confusion: Confusion,
    /// What other thresholds would have given, lowest first.
    pub thresholds: Vec<AtThreshold>,
}

/// What a threshold would give.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct AtThreshold {
    /// A value of `pipeline.reply_score_min`.
    pub reply_score_min: f32,
    /// The share of right decisions.
    pub accuracy: Option<f64>,
    /// The share of replies that should have been ones.
    pub reply_precision: Option<f64>,
    /// The share of texts that should have been replied to that were.
    pub reply_recall: Option<f64>,
}

/// The class that the server takes a text for of which this was found.
#[must_use]
pub fn class(found: &Classification, settings: &PipelineSettings) -> Class {
    decide::class(&[], Some(found), settings)
}

/// A knowledge base to decide with.
pub enum Base<'a> {
    /// One that exists.
    Database(Connection),
    /// These entries, in memory.
    Entries(&'a [Entry]),
}

/// Decides about each text as the server does at the time `now`, a line of it a message; `done` is told of each.
///
/// # Errors
/// A label is no decision, an entry is not acceptable, or the knowledge base cannot be read.
pub fn run(
    base: Base<'_>,
    texts: &[Example],
    settings: &PipelineSettings,
    (classifier, meaning): (&ExampleClassifier, &mut Meaning),
    now: Timestamp,
    mut done: impl FnMut(),
) -> Result<Report, EvalError> {
    if let Some(stranger) = texts.iter().find(|text| !DECISIONS.contains(&text.label.as_str())) {
        let known = DECISIONS.join(", ");
        return Err(EvalError::Asked(format!("'{}' is no decision; there are {known}", stranger.label)));
    }
    let conn = match base {
        Base::Database(conn) => conn,
        Base::Entries(entries) => {
            let conn = Connection::open_in_memory()?;
            conn.execute_batch(KNOWLEDGE_MIGRATION)?;
            import(&conn, entries, Timestamp(0))?;
            meaning.embed_entries(&conn)?;
            conn
        }
    };
    let mut searcher = meaning.searcher();
    let mut judged = Vec::with_capacity(texts.len());
    for text in texts {
        let hits = match ask_texts(&text.text.lines().collect::<Vec<_>>(), settings) {
            Ask::Nothing(_) | Ask::Unreadable => None,
            Ask::Text(asked) => {
                let language = classifier.classify_now(&asked, None).language;
                let limit = settings.knowledge_hits;
                let embedding = meaning.of(&asked)?;
                let filter = Filter { at: Some(now), ..Filter::default() };
                Some(searcher.find(&conn, &Search { text: asked, embedding, language, filter, limit })?)
            }
        };
        judged.push((text.label.as_str(), hits));
        done();
    }
    let confusion = confusion(&judged, settings);
    let thresholds = (0..=STEPS).map(|step| {
        let reply_score_min = f32::from(step) / f32::from(STEPS);
        let found = self::confusion(&judged, &PipelineSettings { reply_score_min, ..settings.clone() });
        let reply = found.by_label().into_iter().find(|decision| decision.label == "reply");
        AtThreshold {
            reply_score_min,
            accuracy: found.accuracy(),
            reply_precision: reply.as_ref().and_then(|reply| reply.precision),
            reply_recall: reply.as_ref().and_then(|reply| reply.recall),
        }
    });
    Ok(Report {
        tested: texts.len(),
        reply_score_min: settings.reply_score_min,
        accuracy: confusion.accuracy(),
        decisions: confusion.by_label(),
        thresholds: thresholds.collect(),
        confusion,
    })
}

/// What is decided with some settings, by the hits of each text; none of a text that asks for nothing.
fn confusion(judged: &[(&str, Option<Vec<Hit>>)], settings: &PipelineSettings) -> Confusion {
    let mut confusion = Confusion::default();
    for (label, hits) in judged {
        let decision = match hits.clone().map(|hits| lookup(hits, settings)) {
            None => "skip",
            Some(Lookup::Reply(_)) => "reply",
            Some(Lookup::Continue(_)) => "continue",
        };
        confusion.add(label, decision);
    }
    confusion
}

impl Report {
    /// As tables for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let facts = [
            ("tested", self.tested.to_string()),
            ("accuracy", table::percent(self.accuracy)),
            ("pipeline.reply_score_min", format!("{:.2}", self.reply_score_min)),
        ];
        let decisions = self.decisions.iter().map(|decision| {
            let figures = [decision.precision, decision.recall, decision.f1].map(table::percent);
            [vec![decision.label.clone(), decision.texts.to_string()], figures.to_vec()].concat()
        });
        let thresholds = self.thresholds.iter().map(|at| {
            let figures = [at.accuracy, at.reply_precision, at.reply_recall].map(table::percent);
            [vec![format!("{:.2}", at.reply_score_min)], figures.to_vec()].concat()
        });
        let taken = self.confusion.mistakes(usize::MAX).into_iter().map(|(label, other, count)| {
            let of = self.confusion.counts.get(label).map_or(0, |row| row.values().sum());
            vec![label.into(), other.into(), count.to_string(), table::percent(share(count, of))]
        });
        let tables = [
            table::facts(&facts),
            table::rows(&["decision", "texts", "precision", "recall", "F1"], decisions),
            table::rows(&["it is", "taken for", "times", "share"], taken),
            table::rows(&["reply_score_min", "accuracy", "reply precision", "reply recall"], thresholds),
        ];
        tables.concat()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tertulia_actors::domain::Language;

    use super::*;

    fn texts(pairs: &[(&str, &str)]) -> Vec<Example> {
        pairs.iter().map(|(text, label)| Example { text: (*text).into(), label: (*label).into() }).collect()
    }

    fn decide(texts: &[Example]) -> Result<Report, EvalError> {
        let entry = |id: &str, question: &str| Entry::new(id, Language::ENGLISH, question, "Yes.");
        let entries = [entry("a", "Do you deliver on Fridays?"), entry("b", "Can I pay by card?")];
        let classifier = ExampleClassifier::new(&[Language::ENGLISH], &BTreeMap::new());
        run(
            Base::Entries(&entries),
            texts,
            &PipelineSettings::default(),
            (&classifier, &mut Meaning::default()),
            Timestamp(0),
            || {},
        )
    }

    #[test]
    fn decisions_are_compared_with_their_labels() {
        let report = decide(&texts(&[
            ("do you deliver on Friday", "reply"),
            ("ok", "skip"),
            ("thanks\nok", "continue"),
            ("who won the match", "continue"),
            ("my cat is black", "reply"),
        ]))
        .unwrap();
        assert_eq!(report.accuracy, Some(0.8), "{report:?}");
        assert_eq!(report.thresholds.len(), 21);
        assert_eq!(report.thresholds[0].reply_recall, Some(0.5), "nothing is found for the cat");
        assert_eq!(report.thresholds[20].reply_recall, Some(0.5), "the same words");
        assert!(report.table().contains("reply precision"));
    }

    #[test]
    fn a_label_that_is_no_decision_is_named() {
        let error = decide(&texts(&[("x", "ignore")])).unwrap_err();
        assert_eq!(error.to_string(), "'ignore' is no decision; there are reply, skip, continue");
    }
}
