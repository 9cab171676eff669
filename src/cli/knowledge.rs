//! `tertulia knowledge`. Commands that read want a database that exists; those that write ask the running server, or take the
//! lock where there is none.

mod dedupe;
mod history;
mod import;
mod vectors;

use clap::Subcommand;
use reqwest::Method;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use tertulia_actors::domain::{Entry, Filter, Language, Tick, Timestamp};
use tertulia_actors::ports::{Clock, Search};

use super::acts::{Outcome, Server, done};
use super::output::say;
use super::{Failure, chroma};
use crate::config::Config;
use crate::knowledge::documents::to_csv;
use crate::knowledge::entries;
use crate::lock_file::{LockError, LockFile};
use crate::store::{OpenError, db};
use crate::system::SystemClock;

pub(super) const HELP: &str = "\
Examples:
  tertulia knowledge import faq.csv                     columns question, answer, and id, language if there are any
  tertulia knowledge import guide.md manual.pdf         cut into questions and passages; again after a change
  tertulia knowledge import guide.md --dry-run          show what that would change
  tertulia knowledge export --format csv > entries.csv
  tertulia knowledge dedupe
  tertulia knowledge search 'do you deliver on Friday'

Exit codes:
  0  fine
  1  failed; standard error says what is wrong, and with which file and line
  2  wrong usage or configuration";

/// The knowledge base.
#[derive(Debug, Subcommand)]
pub(super) enum Knowledge {
    /// Show the best hits for a question, with their scores.
    Search {
        /// The question.
        question: String,
        /// At most this many.
        #[arg(short, default_value_t = 3)]
        n: usize,
        /// Among entries in this language only.
        #[arg(long)]
        language: Option<Language>,
        /// Among entries that have this tag; several: that have all of them.
        #[arg(long = "tag")]
        tags: Vec<String>,
        /// Among entries that are for this account of the business.
        #[arg(long)]
        account: Option<String>,
    },
    /// List the entries.
    List,
    /// Print all entries, so that `import` reads them back.
    Export {
        /// As lines of JSON, or as a table.
        #[arg(long, default_value = "jsonl", value_parser = ["jsonl", "csv"])]
        format: String,
    },
    /// Add or replace entries from files: tables (csv, tsv, jsonl), or documents (md, txt, html, pdf).
    Import(import::Import),
    /// Read a collection of a Chroma server (vectors.chroma) into the knowledge base; entries of the same id and language are
    /// replaced.
    ImportChroma,
    /// List entries that say the same, or nearly.
    Dedupe(dedupe::Dedupe),
    /// Remove entries, in all their languages.
    Remove {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Say how many entries there are, and how many of them each model has embedded, as JSON.
    Status,
    /// Embed all entries that the configured model has not embedded yet. A running server does so by itself with its own model; give
    /// another one (`--set embedding.model=NAME`) to have it ready before the server changes to it.
    Embed,
    /// Remove the vectors of all models but the configured one.
    Vacuum {
        /// Remove all vectors where no model is configured.
        #[arg(long)]
        all: bool,
    },
    /// Show what an entry said before, newest first, as lines of JSON; as much of it as is kept.
    History(history::History),
    /// Let an entry say again what it said in a version, also after it was removed.
    Restore {
        /// Its number, as `history` shows it.
        version: i64,
    },
    /// Make the search index anew, after an update whose notes ask for it. Not while a server runs.
    Reindex,
}

/// Where the server serves the knowledge base.
const PATH: &str = "/v1/knowledge";

/// Entries that the server is sent at a time; far below its limit, so that messages do not wait for a long commit.
const ENTRIES_PER_CALL: usize = 50;

/// Bytes of the entries that the server is sent at a time; far below `server.body_limit_bytes`.
const BYTES_PER_CALL: usize = 1024 * 1024;

pub(super) fn run(asked: &Knowledge, config: &Config) -> Outcome {
    match asked {
        Knowledge::Search { question, n, language, tags, account } => {
            let filter =
                Filter { language: *language, tags: tags.clone(), account: account.clone(), at: None };
            search(config, question.clone(), *n, filter)
        }
        Knowledge::List => list(config),
        Knowledge::Export { format } => export(config, format),
        Knowledge::Import(asked) => import::import(config, asked),
        Knowledge::ImportChroma => chroma::import(config),
        Knowledge::Dedupe(asked) => dedupe::dedupe(config, asked),
        Knowledge::Remove { ids } => remove(config, ids),
        Knowledge::Status => vectors::status(config),
        Knowledge::Embed => vectors::embed(config),
        Knowledge::Vacuum { all } => vectors::vacuum(config, *all),
        Knowledge::History(asked) => history::show(config, asked),
        Knowledge::Restore { version } => history::restore(config, *version),
        Knowledge::Reindex => reindex(config),
    }
}

pub(super) fn now() -> Timestamp {
    SystemClock::anchored_behind(Tick(0)).now()
}

fn search(config: &Config, question: String, limit: usize, filter: Filter) -> Outcome {
    let conn = open_to_search(config)?;
    let mut meaning = super::meaning::meaning(config)?;
    let embedding = meaning.of(&question)?;
    let filter = Filter { at: Some(now()), ..filter };
    let search = Search { text: question, embedding, language: None, filter, limit };
    for hit in meaning.searcher().find(&conn, &search)? {
        say(serde_json::to_string(&hit)?)?;
    }
    done()
}

/// Opens a database whose knowledge base a search finds.
pub(super) fn open_to_search(config: &Config) -> Result<Connection, Failure> {
    let conn = db::open_to_read(&config.storage.path)?;
    if entries::is_outdated(&conn)? {
        return Err("the search index was made by the rules of another version: run `tertulia knowledge reindex`, or \
                    start the server, which does so"
            .into());
    }
    Ok(conn)
}

fn list(config: &Config) -> Outcome {
    for entry in entries::list(&db::open_to_read(&config.storage.path)?, None, usize::MAX)? {
        say(format_args!("{}\t{}\t{}", entry.id, entry.language, entry.question))?;
    }
    done()
}

fn export(config: &Config, format: &str) -> Outcome {
    let conn = db::open_to_read(&config.storage.path)?;
    match format {
        "csv" => say(to_csv(&entries::list(&conn, None, usize::MAX)?).trim_end())?,
        _ => entries::export(&conn)?.lines().try_for_each(say)?,
    }
    done()
}

pub(super) fn remove(config: &Config, ids: &[String]) -> Outcome {
    must_exist(config)?;
    let removed = change(
        config,
        |conn| Ok(ids.iter().map(|id| entries::remove(conn, id, None, now())).sum::<Result<usize, _>>()?),
        |server| ids.iter().map(|id| remove_there(server, id, None)).sum(),
    )?;
    say(format_args!("{removed} entries were removed"))?;
    if removed == 0 { Err("there are no such entries".into()) } else { done() }
}

/// What is sent of entries: so many at a time, and of no more bytes than the server reads at a time, but for one alone.
fn calls<T: Serialize>(entries: &[T]) -> Result<Vec<&[T]>, Failure> {
    let (mut calls, mut start, mut bytes) = (vec![], 0, 0);
    for (at, entry) in entries.iter().enumerate() {
        let own = serde_json::to_vec(entry)?.len();
        if at > start && (at - start >= ENTRIES_PER_CALL || bytes + own > BYTES_PER_CALL) {
            calls.push(&entries[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += own;
    }
    calls.extend(Some(&entries[start..]).filter(|rest| !rest.is_empty()));
    Ok(calls)
}

/// Sends entries in small calls; each is one commit, so that a failure leaves those before it imported. Tells how many there were,
/// and `done` of each call.
pub(super) fn put_there(
    server: &Server,
    entries: &[Entry],
    mut done: impl FnMut(usize),
) -> Result<usize, Failure> {
    let mut imported = 0;
    for some in calls(entries)? {
        let call = server.call(Method::POST, PATH, &[], Some(&serde_json::to_value(some)?));
        let call =
            call.map_err(|error| format!("{error} ({imported} entries are imported; try again to go on)"))?;
        imported += count(&call, "imported");
        done(some.len());
    }
    Ok(imported)
}

/// Asks the server to remove an entry, in one language or in all.
fn remove_there(server: &Server, id: &str, language: Option<Language>) -> Result<usize, Failure> {
    let language = language.map(|language| language.to_string());
    let query: Vec<_> =
        [("id", id)].into_iter().chain(language.iter().map(|code| ("language", code.as_str()))).collect();
    Ok(count(&server.call(Method::DELETE, PATH, &query, None)?, "removed"))
}

fn reindex(config: &Config) -> Outcome {
    must_exist(config)?;
    let indexed = change(
        config,
        |conn| Ok(entries::reindex(conn)?),
        |_| {
            Err("the index is made anew in one piece, for which messages would wait: stop the server first"
                .into())
        },
    )?;
    say(format_args!("{indexed} entries were indexed"))?;
    done()
}

/// Changes the database: with the lock held where no server runs, else by asking the server.
pub(super) fn change<T>(
    config: &Config,
    here: impl FnOnce(&Connection) -> Result<T, Failure>,
    there: impl FnOnce(&Server) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match LockFile::acquire(&config.storage.path) {
        Ok(_lock) => {
            db::migrate(&config.storage)?;
            let conn = Connection::open(&config.storage.path)?;
            conn.busy_timeout(config.storage.busy_timeout())?;
            entries::reindex_if_outdated(&conn)?;
            here(&conn)
        }
        Err(LockError::Held { holder }) => there(&Server::of(config, &holder)?),
        Err(error) => Err(error.into()),
    }
}

/// Refuses to make a database just to find nothing in it.
pub(super) fn must_exist(config: &Config) -> Result<(), OpenError> {
    db::open_to_read(&config.storage.path).map(drop)
}

pub(super) fn count(answer: &Value, key: &str) -> usize {
    answer.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_sent_in_calls_that_are_not_too_large_and_none_is_left_out() {
        let entry = |length: usize| Entry::new("e", Language::ENGLISH, "q", "x".repeat(length));
        for (lengths, expected) in [
            (vec![], vec![]),
            (vec![1; 50], vec![50]),
            (vec![1; 101], vec![50, 50, 1]),
            (vec![600_000, 600_000, 1, 1], vec![1, 3]),
            (vec![2_000_000, 1, 2_000_000], vec![1, 1, 1]),
        ] {
            let entries: Vec<_> = lengths.into_iter().map(entry).collect();
            let sizes: Vec<_> = calls(&entries).unwrap().into_iter().map(<[Entry]>::len).collect();
            assert_eq!(sizes, expected);
        }
    }
}
