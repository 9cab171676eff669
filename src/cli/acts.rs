//! What the commands do. One that changes state asks the running server, or takes the lock where there is none.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use actix_rt::SystemRunner;
use reqwest::{Method, RequestBuilder};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use tertulia_actors::domain::ConversationId;
use tertulia_actors::ports::store::Views;
use tertulia_actors::ports::{Admitted, Clock, Tells};

use super::Failure;
use super::output::say;
use crate::app::token_path;
use crate::config::Config;
use crate::knowledge::entries::reindex_if_outdated;
use crate::lock_file::{Holder, LockError, LockFile};
use crate::store::{SqliteStore, StoreDeps, db};
use crate::system::{SystemClock, SystemEntropy};

pub(super) type Outcome = Result<ExitCode, Failure>;

pub(super) const fn done() -> Outcome {
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
    let body = if all { json!({ "all": true }) } else { json!({ "ids": ids }) };
    let answer =
        Server::of(config, holder)?.call(Method::POST, "/v1/dead-letters/replay", &[], Some(&body))?;
    Ok(answer.get("replayed").and_then(Value::as_u64).unwrap_or_default())
}

/// The running server, as a command asks it.
pub(super) struct Server {
    address: SocketAddr,
    token: String,
    client: reqwest::Client,
    /// One for all calls: a kept connection belongs to it.
    system: SystemRunner,
}

impl Server {
    /// The server that holds the database.
    pub(super) fn of(config: &Config, holder: &Holder) -> Result<Self, Failure> {
        let address =
            holder.address.ok_or("the server that has the database does not listen yet; try again")?;
        let token = match &*config.console.token.expose() {
            "" => std::fs::read_to_string(token_path(&config.storage.path))?,
            token => token.to_owned(),
        };
        let client = crate::channels::client(std::time::Duration::from_secs(5))?;
        Ok(Self { address, token: token.trim().to_owned(), client, system: actix_rt::System::new() })
    }

    /// Calls a path of the server and reads the answer.
    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.ask(method, path, query, |call| match body {
            Some(body) => call.json(body),
            None => call,
        })
    }

    /// Sends what is written as it is: numbers of 32 bits in their own digits, where a [`Value`] would have those of 64.
    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        self.ask(Method::POST, path, &[], |call| call.json(body))
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        with_body: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Failure> {
        let url = reqwest::Url::parse_with_params(&format!("http://{}{path}", self.address), query)?;
        let call = with_body(self.client.request(method, url).bearer_auth(&self.token));
        self.system.block_on(async move {
            let answer = call.send().await?;
            let status = answer.status();
            let answer: Value = answer.json().await?;
            if !status.is_success() {
                let detail = answer.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
                return Err(format!("the server refused ({status}): {detail}").into());
            }
            Ok(answer)
        })
    }
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
    let indexed = reindex_if_outdated(&Connection::open(&config.storage.path)?)?;
    if indexed > 0 {
        say(format_args!("{indexed} entries of the knowledge base were indexed anew"))?;
    }
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
