//! What the commands do. One that changes state asks the running server, or takes the lock where there is none.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::{Value, json};
use tertulia_actors::domain::{ConversationId, Tick};
use tertulia_actors::ports::store::Views;
use tertulia_actors::ports::{Admitted, Clock, Search, Tells};

use super::Failure;
use super::output::say;
use crate::app::token_path;
use crate::config::Config;
use crate::knowledge::entries;
use crate::knowledge::index::find;
use crate::knowledge::normalise::Stems;
use crate::lock_file::{Holder, LockError, LockFile};
use crate::store::{SqliteStore, StoreDeps, db};
use crate::system::{SystemClock, SystemEntropy};

type Outcome = Result<ExitCode, Failure>;

const fn done() -> Outcome {
    Ok(ExitCode::SUCCESS)
}

pub(super) fn list_dead_letters(config: &Config, limit: usize) -> Outcome {
    let letters = db::dead_letters(&config.storage.path, 0, limit)?;
    for letter in &letters {
        say(serde_json::to_string(letter)?)?;
    }
    done()
}

pub(super) fn replay(config: &Config, ids: Vec<i64>, all: bool) -> Outcome {
    let replayed = match LockFile::acquire(&config.storage.path) {
        Ok(_lock) => replay_here(config, ids, all)?,
        Err(LockError::Held { holder }) => replay_there(config, &holder, &ids, all)?,
        Err(error) => return Err(error.into()),
    };
    say(format_args!("{replayed} messages are pending again"))?;
    done()
}

/// Asks the server that has the database.
fn replay_there(config: &Config, holder: &Holder, ids: &[i64], all: bool) -> Result<u64, Failure> {
    let address = holder.address.ok_or("the server that has the database does not listen yet; try again")?;
    let token = match config.console.token.expose() {
        "" => std::fs::read_to_string(token_path(&config.storage.path))?,
        token => token.to_owned(),
    };
    let body = if all { json!({ "all": true }) } else { json!({ "ids": ids }) };
    let client = crate::channels::client(std::time::Duration::from_secs(5))?;
    actix_rt::System::new().block_on(async move {
        let call = client.post(format!("http://{address}/v1/dead-letters/replay"));
        let answer = call.bearer_auth(token.trim()).json(&body).send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        if !status.is_success() {
            let detail = answer.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
            return Err(format!("the server refused ({status}): {detail}").into());
        }
        Ok(answer.get("replayed").and_then(Value::as_u64).unwrap_or_default())
    })
}

/// Nobody is told by a command that works alone: the next server finds the work in the store.
struct NoTells;

impl Tells for NoTells {
    fn admitted(&self, _: Admitted) {}
    fn changed(&self, _: ConversationId) {}
}

/// Replays with the lock held, through the store's own writer.
fn replay_here(config: &Config, ids: Vec<i64>, all: bool) -> Result<u64, Failure> {
    let ids = if all {
        db::dead_letters(&config.storage.path, 0, usize::MAX >> 1)?.iter().map(|letter| letter.id).collect()
    } else {
        ids
    };
    let prepared = SqliteStore::open(&config.storage)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::anchored_behind(prepared.last_tick()));
    let deps = StoreDeps { clock, entropy: Arc::new(SystemEntropy), quiet: config.conversation.quiet() };
    let store = prepared.start(deps, Box::new(NoTells))?;
    let replayed = actix_rt::System::new().block_on(store.handle().replay(ids));
    store.shutdown();
    Ok(u64::try_from(replayed?)?)
}

pub(super) fn migrate(config: &Config) -> Outcome {
    let _lock = LockFile::acquire(&config.storage.path)?;
    let migrated = db::migrate(&config.storage)?;
    say(format_args!("{}: schema {} (was {})", config.storage.path.display(), migrated.to, migrated.from))?;
    done()
}

pub(super) fn check(config: &Config) -> Outcome {
    let findings = db::check(&config.storage.path)?;
    for finding in &findings {
        say(finding)?;
    }
    if findings.is_empty() {
        say("the database is sound and its books balance")?;
        return done();
    }
    Ok(ExitCode::FAILURE)
}

pub(super) fn back_up(config: &Config, destination: &Path) -> Outcome {
    db::backup(&config.storage.path, destination)?;
    say(format_args!("copied to {}", destination.display()))?;
    done()
}

/// A connection to a database that exists and has this program's schema.
fn connect(config: &Config) -> Result<Connection, Failure> {
    db::migrate(&config.storage)?;
    let conn = Connection::open(&config.storage.path)?;
    conn.busy_timeout(config.storage.busy_timeout())?;
    Ok(conn)
}

pub(super) fn search(config: &Config, question: String, limit: usize) -> Outcome {
    let search = Search { text: question, embedding: None, language: None, limit };
    for hit in find(&connect(config)?, &Stems::new(), &search)? {
        say(serde_json::to_string(&hit)?)?;
    }
    done()
}

pub(super) fn list_knowledge(config: &Config) -> Outcome {
    for line in entries::export(&connect(config)?)?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        say(format_args!("{}\t{}\t{}", text("id"), text("language"), text("question")))?;
    }
    done()
}

pub(super) fn export_knowledge(config: &Config) -> Outcome {
    for line in entries::export(&connect(config)?)?.lines() {
        say(line)?;
    }
    done()
}

pub(super) fn import_knowledge(config: &Config, file: &Path) -> Outcome {
    let lines = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
    let entries = entries::parse(&lines)?;
    let now = SystemClock::anchored_behind(Tick(0)).now();
    let imported = entries::import(&connect(config)?, &entries, now)?;
    say(format_args!("{imported} entries are in the knowledge base"))?;
    done()
}
