//! What the commands of the knowledge base do. Those that read want a database that exists; those that write ask the
//! running server, or take the lock where there is none.

use std::path::Path;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::Value;
use tertulia_actors::domain::{Entry, Filter, Tick, Timestamp};
use tertulia_actors::ports::{Clock, Search};

use super::Failure;
use super::acts::{Outcome, Server, done};
use super::output::say;
use crate::config::Config;
use crate::eval::Meaning;
use crate::knowledge::entries;
use crate::lock_file::{LockError, LockFile};
use crate::store::{OpenError, db};
use crate::system::SystemClock;

/// Where the server serves the knowledge base.
const PATH: &str = "/v1/knowledge";

/// Entries that the server is sent at a time; far below its limit, so that messages do not wait for a long commit.
const ENTRIES_PER_CALL: usize = 50;

pub(super) fn search(config: &Config, question: String, limit: usize, filter: Filter) -> Outcome {
    let conn = open_to_search(config)?;
    let mut meaning = Meaning::by(super::model(config)?);
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

pub(super) fn list(config: &Config) -> Outcome {
    for entry in entries::list(&db::open_to_read(&config.storage.path)?, None, usize::MAX)? {
        say(format_args!("{}\t{}\t{}", entry.id, entry.language, entry.question))?;
    }
    done()
}

pub(super) fn export(config: &Config) -> Outcome {
    for line in entries::export(&db::open_to_read(&config.storage.path)?)?.lines() {
        say(line)?;
    }
    done()
}

pub(super) fn import(config: &Config, file: &Path) -> Outcome {
    let lines = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
    let entries = entries::parse(&lines)?;
    let imported = change(
        config,
        |conn| Ok(entries::import(conn, &entries, now())?),
        |server| import_there(server, &entries),
    )?;
    say(format_args!("{imported} entries were imported"))?;
    done()
}

fn now() -> Timestamp {
    SystemClock::anchored_behind(Tick(0)).now()
}

/// Sends entries in small calls; each is one commit, so that a failure leaves those before it imported.
fn import_there(server: &Server, entries: &[Entry]) -> Result<usize, Failure> {
    let mut imported = 0;
    for some in entries.chunks(ENTRIES_PER_CALL) {
        let call = server.call(Method::POST, PATH, &[], Some(&serde_json::to_value(some)?));
        imported +=
            count(&call.map_err(|error| format!("{error} ({imported} entries are imported)"))?, "imported");
    }
    Ok(imported)
}

pub(super) fn remove(config: &Config, ids: &[String]) -> Outcome {
    must_exist(config)?;
    let removed = change(
        config,
        |conn| Ok(ids.iter().map(|id| entries::remove(conn, id, None)).sum::<Result<usize, _>>()?),
        |server| {
            let calls = ids.iter().map(|id| server.call(Method::DELETE, PATH, &[("id", id)], None));
            calls.map(|answer| Ok(count(&answer?, "removed"))).sum()
        },
    )?;
    say(format_args!("{removed} entries were removed"))?;
    if removed == 0 { Err("there are no such entries".into()) } else { done() }
}

pub(super) fn reindex(config: &Config) -> Outcome {
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
pub(super) fn change(
    config: &Config,
    here: impl FnOnce(&Connection) -> Result<usize, Failure>,
    there: impl FnOnce(&Server) -> Result<usize, Failure>,
) -> Result<usize, Failure> {
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
