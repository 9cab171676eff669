//! `tertulia knowledge` and a collection of a Chroma server: what the commands do where it is the knowledge base, which only the
//! running server asks; and `import-chroma`, which reads it into a knowledge base in the database.

use std::collections::HashSet;
use std::process::ExitCode;

use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::Value;
use tertulia_actors::domain::{Entry, Filter};

use super::Failure;
use super::acts::{Outcome, Server, done};
use super::knowledge::{self, Knowledge};
use super::output::{self, say};
use crate::config::{Config, VectorsBackend, check_chroma};
use crate::knowledge::chroma::ChromaVectors;
use crate::knowledge::documents::to_csv;
use crate::knowledge::entries;
use crate::lock_file::{LockError, LockFile};
use crate::store::db;

/// Records that are read at a time.
const PAGE: usize = 200;

/// Entries that the server is asked for at a time.
const ENTRIES_PER_PAGE: &str = "200";

/// Records that cannot be used and are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// Whether a collection is the knowledge base.
pub(super) fn is_live(config: &Config) -> bool {
    config.vectors.backend == VectorsBackend::Chroma
}

/// Does what is asked of a collection that is the knowledge base.
pub(super) fn carry_out(asked: &Knowledge, config: &Config) -> Outcome {
    match asked {
        Knowledge::Search { question, n, language, tags, account } => {
            let (tags, account) = (tags.clone(), account.clone());
            search(config, question, *n, &Filter { language: *language, tags, account, at: None })
        }
        Knowledge::List => list(config),
        Knowledge::Export { format } => export(config, format),
        // With a server there, these ask it.
        Knowledge::Import(_) | Knowledge::Remove { .. } => {
            server(config).and_then(|_| knowledge::run(asked, config))
        }
        Knowledge::ImportChroma => import(config),
        Knowledge::Status => {
            say(server(config)?.call(Method::GET, "/v1/knowledge/status", &[], None)?)?;
            done()
        }
        Knowledge::Reindex | Knowledge::Embed | Knowledge::Vacuum { .. } => Err(
            "chroma keeps its own index and vectors: there is nothing to be made anew while vectors.backend is chroma"
                .into(),
        ),
        Knowledge::Dedupe(_) | Knowledge::History(_) | Knowledge::Restore { .. } => {
            Err("this is of entries in the database, and there are none while vectors.backend is chroma".into())
        }
    }
}

/// The server that is running, which alone asks the collection.
fn server(config: &Config) -> Result<Server, Failure> {
    // Makes no database where the path is mistyped.
    db::open_to_read(&config.storage.path)?;
    match LockFile::acquire(&config.storage.path) {
        Ok(_) => {
            Err("the knowledge base is a collection of chroma, which the server asks: start the server first"
                .into())
        }
        Err(LockError::Held { holder }) => Server::of(config, &holder),
        Err(error) => Err(error.into()),
    }
}

fn search(config: &Config, question: &str, limit: usize, filter: &Filter) -> Outcome {
    // A list of JSON: a tag may hold the comma that separates others.
    let (limit, tags) = (limit.to_string(), serde_json::to_string(&filter.tags)?);
    let mut query = vec![("q", question), ("n", &limit), ("tags", &tags)];
    query.extend(filter.language.as_ref().map(|language| ("language", language.as_str())));
    query.extend(filter.account.as_ref().map(|account| ("account", account.as_str())));
    let found = server(config)?.call(Method::GET, "/v1/knowledge/search", &query, None)?;
    if let Some(why) = found.get("degraded").and_then(Value::as_str) {
        output::complain(why);
    }
    for hit in found.get("hits").and_then(Value::as_array).into_iter().flatten() {
        say(hit)?;
    }
    done()
}

fn list(config: &Config) -> Outcome {
    each(config, |entry| Ok(say(format_args!("{}\t{}\t{}", entry.id, entry.language, entry.question))?))
}

fn export(config: &Config, format: &str) -> Outcome {
    if format == "csv" {
        say(to_csv(&all(config)?).trim_end())?;
        return done();
    }
    each(config, |entry| Ok(say(serde_json::to_string(entry)?)?))
}

/// All entries.
pub(super) fn all(config: &Config) -> Result<Vec<Entry>, Failure> {
    let mut entries = vec![];
    each(config, |entry| {
        entries.push(entry.clone());
        Ok(())
    })?;
    Ok(entries)
}

/// Asks for all entries, page by page.
fn each(config: &Config, mut tell: impl FnMut(&Entry) -> Result<(), Failure>) -> Outcome {
    let server = server(config)?;
    let mut after: Option<(String, String)> = None;
    loop {
        let mut query = vec![("limit", ENTRIES_PER_PAGE)];
        if let Some((id, language)) = &after {
            query.extend([("after", id.as_str()), ("after_language", language.as_str())]);
        }
        let mut page = server.call(Method::GET, "/v1/knowledge", &query, None)?;
        let entries: Vec<Entry> = serde_json::from_value(page["entries"].take())?;
        entries.iter().try_for_each(&mut tell)?;
        let next = |key| page["next"].get(key).and_then(Value::as_str).map(str::to_owned);
        match next("after").zip(next("after_language")) {
            Some(next) => after = Some(next),
            None => return done(),
        }
    }
}

/// Reads the configured collection into the knowledge base of the database: entries of the same id and language are replaced.
pub(super) fn import(config: &Config) -> Outcome {
    if is_live(config) {
        return Err("the collection is the knowledge base already: to import it into the database, set vectors.backend to \
                    embedded"
            .into());
    }
    if let Err(error) = check_chroma(&config.vectors.chroma) {
        output::complain(format_args!("tertulia: configuration: {error}"));
        return Ok(ExitCode::from(2));
    }
    let imported = knowledge::change(
        config,
        |conn| walk(config, |entries| Ok(entries::import(conn, entries, knowledge::now())?)),
        |server| walk(config, |entries| knowledge::put_there(server, entries, |_| {})),
    )?;
    say(format_args!("{imported} entries were imported"))?;
    done()
}

/// Reads all records, and puts those that are entries, a page at a time; tells how many, and of those that are none why.
fn walk(config: &Config, mut put: impl FnMut(&[Entry]) -> Result<usize, Failure>) -> Result<usize, Failure> {
    let chroma = &config.vectors.chroma;
    let client = crate::channels::client(chroma.connect_timeout())?;
    let collection = ChromaVectors::new(client, chroma.clone(), &config.pipeline.languages, 0.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = runtime.block_on(collection.records())?;
    let bar = output::bar(u64::try_from(all)?, "{bar:40} {pos} of {len} records, {eta} left");
    let (mut read, mut imported, mut unusable) = (0, 0, 0);
    let mut seen = HashSet::new();
    loop {
        let page = runtime.block_on(collection.read(read, PAGE))?;
        let records = page.records;
        let mut entries = Vec::with_capacity(records);
        for record in page.entries {
            let fit = |entry: Entry| match entries::check(&entry) {
                Ok(()) => Ok(entry),
                Err(error) => Err((entry.id, error.to_string())),
            };
            match record.map_err(|(id, why)| (id, why.to_string())).and_then(fit) {
                Ok(entry) if seen.insert((entry.id.clone(), entry.language)) => entries.push(entry),
                Ok(entry) => {
                    unusable += 1;
                    tell(&bar, unusable, &entry.id, "another record of this id and language came before");
                }
                Err((id, why)) => {
                    unusable += 1;
                    tell(&bar, unusable, &id, &why);
                }
            }
        }
        imported += put(&entries)?;
        read += records;
        bar.inc(u64::try_from(records)?);
        if records < PAGE {
            break;
        }
    }
    bar.finish_and_clear();
    if unusable > 0 {
        output::complain(format_args!("{unusable} of {read} records could not be used"));
    }
    Ok(imported)
}

/// Names a record that cannot be used, above the bar.
fn tell(bar: &ProgressBar, unusable: usize, id: &str, why: &str) {
    bar.suspend(|| match unusable {
        0..=NAMED_MAX => output::complain(format_args!("record '{id}' was left out: {why}")),
        n if n == NAMED_MAX + 1 => output::complain("and others"),
        _ => {}
    });
}
