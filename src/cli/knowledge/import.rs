//! `tertulia knowledge import`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use tertulia_actors::domain::{Entry, Language};

use super::super::Failure;
use super::super::acts::{Outcome, Server, done};
use super::super::output::{self, say};
use super::{change, chroma, now, put_there, remove_there};
use crate::config::Config;
use crate::knowledge::documents::plan::{Fate, Plan, plan};
use crate::knowledge::documents::{
    CHUNK_CHARS, CHUNK_CHARS_MAX, CHUNK_CHARS_MIN, Columns, Draft, Format, Reading, clean_name, read,
};
use crate::knowledge::entries;
use crate::store::db;

/// A file, in bytes at the most: all of it is in memory, several times over while it is read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Characters of an entry that a dry run shows.
const SHOWN_CHARS: usize = 70;

#[derive(Debug, Args)]
pub(in super::super) struct Import {
    /// The files. A document replaces what it brought before: its entries' ids begin with its name.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the files are: csv, tsv, jsonl, md, txt, html or pdf; by default what their endings say.
    #[arg(long)]
    format: Option<Format>,
    /// The language of the file, as in ISO 639-1; by default it is found out.
    #[arg(long)]
    language: Option<Language>,
    /// What the document is called; by default its file's name.
    #[arg(long)]
    name: Option<String>,
    /// What a passage is cut to, between sentences.
    #[arg(long, value_name = "CHARACTERS", default_value_t = CHUNK_CHARS, value_parser = chunk_chars)]
    chunk_chars: usize,
    /// The column of the question; by default question.
    #[arg(long, value_name = "NAME")]
    question_column: Option<String>,
    /// The column of the answer; by default answer.
    #[arg(long, value_name = "NAME")]
    answer_column: Option<String>,
    /// The column of the id; by default id, and without one ids are made of the questions.
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// The column of the language; by default language.
    #[arg(long, value_name = "NAME")]
    language_column: Option<String>,
    /// Show what would change, and change nothing: + new, ~ changed, = as it is, - gone from its document.
    #[arg(long)]
    dry_run: bool,
}

fn chunk_chars(given: &str) -> Result<usize, String> {
    let range = CHUNK_CHARS_MIN..=CHUNK_CHARS_MAX;
    let chars = given.parse().ok().filter(|chars| range.contains(chars));
    chars.ok_or_else(|| format!("give a number from {CHUNK_CHARS_MIN} to {CHUNK_CHARS_MAX}"))
}

pub(super) fn import(config: &Config, asked: &Import) -> Outcome {
    let documents = read_all(config, asked)?;
    if asked.dry_run {
        let there = if config.storage.path.exists() { there(config)? } else { vec![] };
        show(&plan(&documents, &there)?)?;
        tell_missing(&documents);
        return done();
    }
    let done_so = change(
        config,
        |conn| {
            let planned = plan(&documents, &entries::list(conn, None, usize::MAX)?)?;
            let bar = bar(planned.written.len(), "entries");
            entries::replace(conn, &planned.written, &planned.gone, now(), |count| bar.inc(count as u64))?;
            Ok(planned)
        },
        |server| {
            let planned = plan(&documents, &there(config)?)?;
            import_there(server, &planned)?;
            Ok(planned)
        },
    )?;
    say(told(&done_so))?;
    tell_missing(&documents);
    done()
}

/// Says what of the documents could not be read.
fn tell_missing(documents: &[(String, Draft)]) {
    for (name, draft) in documents {
        draft.missing.iter().for_each(|missing| output::complain(format_args!("'{name}': {missing}")));
    }
}

/// The entries that are there, as they are committed now.
fn there(config: &Config) -> Result<Vec<Entry>, Failure> {
    if chroma::is_live(config) {
        return chroma::all(config);
    }
    Ok(entries::list(&db::open_to_read(&config.storage.path)?, None, usize::MAX)?)
}

fn read_all(config: &Config, asked: &Import) -> Result<Vec<(String, Draft)>, Failure> {
    if asked.name.is_some() && asked.files.len() > 1 {
        return Err("--name is of one file; import the others on their own".into());
    }
    let bar = bar(asked.files.len(), "files");
    let mut documents: Vec<(String, Draft)> = vec![];
    for file in &asked.files {
        let (name, draft) =
            read_one(config, asked, file).map_err(|error| format!("'{}': {error}", file.display()))?;
        if draft.is_source && documents.iter().any(|(other, draft)| draft.is_source && *other == name) {
            return Err(
                format!("two documents are called '{name}': import them one by one, with --name").into()
            );
        }
        documents.push((name, draft));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(documents)
}

fn read_one(config: &Config, asked: &Import, file: &Path) -> Result<(String, Draft), Failure> {
    let format = asked.format.map_or_else(|| Format::of(file), Ok)?;
    let unreadable = |error| format!("cannot read it: {error}");
    let mut bytes = vec![];
    let read_from = std::fs::File::open(file).map_err(unreadable)?;
    read_from.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes: divide it").into());
    }
    let name = asked.name.clone().or_else(|| Some(file.file_name()?.to_string_lossy().into_owned()));
    let name = clean_name(&name.unwrap_or_default());
    if name.is_empty() {
        return Err("the document has no name: give it one with --name".into());
    }
    let reading = Reading {
        name: name.clone(),
        language: asked.language,
        expected: config.pipeline.languages.clone(),
        columns: Columns {
            question: asked.question_column.clone(),
            answer: asked.answer_column.clone(),
            id: asked.id_column.clone(),
            language: asked.language_column.clone(),
        },
        chunk_chars: asked.chunk_chars,
    };
    let draft = read(&bytes, format, &reading)?;
    draft.entries.iter().try_for_each(entries::check)?;
    Ok((name, draft))
}

/// Sends entries in small calls, and removes what is gone only then; each call is one commit. What fails leaves what was
/// done before it, and doing all of it again does the rest.
fn import_there(server: &Server, planned: &Plan) -> Result<(), Failure> {
    let bar = bar(planned.written.len() + planned.gone.len(), "entries");
    put_there(server, &planned.written, |count| bar.inc(count as u64))?;
    for (id, language) in &planned.gone {
        remove_there(server, id, Some(*language))?;
        bar.inc(1);
    }
    Ok(())
}

fn told(planned: &Plan) -> String {
    let [added, changed, same, gone] =
        [Fate::Added, Fate::Changed, Fate::Same, Fate::Gone].map(|fate| planned.count(fate));
    let all = added + changed + same;
    format!("{all} entries were imported: {added} new, {changed} changed, {same} as before; {gone} removed")
}

/// What would become of every entry.
fn show(planned: &Plan) -> Result<(), Failure> {
    for (fate, entry) in &planned.fates {
        let sign = match fate {
            Fate::Added => '+',
            Fate::Changed => '~',
            Fate::Same => '=',
            Fate::Gone => '-',
        };
        let says = if entry.is_passage() { &entry.answer } else { &entry.question };
        let says: String =
            says.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        say(format_args!("{sign}\t{}\t{}\t{says}", entry.id, entry.language))?;
    }
    say(told(planned).replace("were imported", "would be imported"))?;
    Ok(())
}

fn bar(all: usize, what: &'static str) -> ProgressBar {
    output::bar(all as u64, "{bar:40} {human_pos} of {human_len} {msg}, {eta} left").with_message(what)
}
