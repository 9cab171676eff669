//! `tertulia eval`: measures what the server understands, on the files of whoever asks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Serialize;

use super::{Failure, knowledge, output};
use crate::config::Config;
use crate::eval::{classify, decide, documents, entries, labelled, questions, read::Columns, retrieve};
use crate::knowledge::ExampleClassifier;

pub(super) const HELP: &str = "\
Examples:
  tertulia eval classify --train train.csv --test test.csv
  tertulia eval classify --train train.csv --test test.csv --shots 10 --seed 1 --oos-label oos
  tertulia eval retrieve --docs docs.jsonl --queries queries.jsonl --json
  tertulia eval decide --data decisions.csv --entries entries.jsonl
  tertulia eval retrieve --docs docs.jsonl --queries queries.jsonl --set embedding.backend=model

Files of labelled texts are CSV or TSV with a head, or JSON Lines; documents and queries are JSON Lines.

Exit codes:
  0  measured
  1  a file is not what it should be; standard error names it, the line and what is wrong
  2  wrong usage or configuration";

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum Eval {
    /// Train on labelled texts, and say how well others get their label.
    Classify(Classify),
    /// Index documents, and say how well questions find them.
    Retrieve(Retrieve),
    /// Say how well it is decided between a stored answer (reply), no answer (skip) and going on (continue).
    Decide(Decide),
}

/// Where the figures go.
#[derive(Debug, Args)]
struct Figures {
    /// Print the figures as JSON instead of tables; with a path, write them there beside the tables.
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// The columns of files of labelled texts.
#[derive(Debug, Args)]
struct Named {
    /// The column of the text; by default text.
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// The column of the label; by default label, category, intent or class.
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
}

impl Named {
    fn columns(&self) -> Columns {
        Columns { text: self.text_column.clone(), label: self.label_column.clone() }
    }
}

#[derive(Debug, Args)]
pub(super) struct Classify {
    /// Texts to train on.
    #[arg(long, value_name = "FILE")]
    train: PathBuf,
    /// Texts to test on.
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// Train on this many texts of each label only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    /// What draws them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The label of texts that belong to no other one; they are never trained on.
    #[arg(long, value_name = "LABEL")]
    oos_label: Option<String>,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    figures: Figures,
}

#[derive(Debug, Args)]
pub(super) struct Retrieve {
    /// Documents: {"id", "text", "language"?} a line.
    #[arg(long, value_name = "FILE")]
    docs: PathBuf,
    /// Questions: {"text", "relevant": [ids], "language"?} a line.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    #[command(flatten)]
    figures: Figures,
}

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// Texts with the labels reply, skip and continue; a line of a text is a message of a burst.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Entries to decide with, as `tertulia knowledge export` writes them; by default those of the database.
    #[arg(long, value_name = "FILE")]
    entries: Option<PathBuf>,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    figures: Figures,
}

pub(super) fn run(asked: &Eval, config: &Config) -> Result<ExitCode, Failure> {
    match asked {
        Eval::Classify(asked) => classify(asked, config),
        Eval::Retrieve(asked) => retrieve(asked, config),
        Eval::Decide(asked) => decide(asked, config),
    }
}

fn classify(asked: &Classify, config: &Config) -> Result<ExitCode, Failure> {
    let columns = asked.named.columns();
    let (train, test) = (labelled(&asked.train, &columns)?, labelled(&asked.test, &columns)?);
    let order = classify::Order {
        shots: asked.shots.map(usize::try_from).transpose()?,
        seed: asked.seed,
        oos_label: asked.oos_label.clone(),
    };
    let mut meaning = super::meaning::meaning(config)?;
    let bar = bar(test.len(), "texts");
    let report = classify::run(&train, &test, &order, &mut meaning, || bar.inc(1))?;
    bar.finish_and_clear();
    show(&asked.figures, &report, &report.table())
}

fn retrieve(asked: &Retrieve, config: &Config) -> Result<ExitCode, Failure> {
    let documents = documents(&asked.docs)?;
    let questions = questions(&asked.queries, &documents)?;
    let mut meaning = super::meaning::meaning(config)?;
    let bar = bar(questions.len(), "questions");
    let report = retrieve::run(&documents, &questions, &mut meaning, || bar.inc(1))?;
    bar.finish_and_clear();
    show(&asked.figures, &report, &report.table())
}

fn decide(asked: &Decide, config: &Config) -> Result<ExitCode, Failure> {
    let texts = labelled(&asked.data, &asked.named.columns())?;
    let given = asked.entries.as_deref().map(entries).transpose()?;
    let base = match &given {
        Some(entries) => decide::Base::Entries(entries),
        None => decide::Base::Database(knowledge::open_to_search(config)?),
    };
    let mut meaning = super::meaning::meaning(config)?;
    let classifier = ExampleClassifier::new(&config.pipeline.languages, &config.classifier.examples);
    let bar = bar(texts.len(), "texts");
    let by = (&classifier, &mut meaning);
    let report = decide::run(base, &texts, &config.pipeline, by, knowledge::now(), || bar.inc(1))?;
    bar.finish_and_clear();
    show(&asked.figures, &report, &report.table())
}

/// Tells how far it is, on a terminal only.
fn bar(all: usize, what: &'static str) -> ProgressBar {
    output::bar(all as u64, "{bar:40} {human_pos} of {human_len} {msg}, {eta} left").with_message(what)
}

fn show(figures: &Figures, report: &impl Serialize, table: &str) -> Result<ExitCode, Failure> {
    match figures.json.as_deref() {
        Some(path) if path == Path::new("-") => {
            output::say(serde_json::to_string_pretty(report)?)?;
        }
        file => {
            if let Some(path) = file {
                let text = serde_json::to_string_pretty(report)? + "\n";
                std::fs::write(path, text)
                    .map_err(|error| format!("cannot write '{}': {error}", path.display()))?;
            }
            output::say(table.trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
