//! `tertulia knowledge history` and `restore`.

use clap::Args;
use reqwest::Method;
use serde_json::json;
use tertulia_actors::domain::{Entry, Language};

use super::super::acts::{Outcome, done};
use super::super::output::say;
use super::{PATH, change, must_exist, now};
use crate::config::Config;
use crate::knowledge::history;
use crate::store::db;

#[derive(Debug, Args)]
pub(in super::super) struct History {
    /// The entry's id.
    id: String,
    /// What it said in this language only.
    #[arg(long)]
    language: Option<Language>,
}

pub(super) fn show(config: &Config, asked: &History) -> Outcome {
    let conn = db::open_to_read(&config.storage.path)?;
    for version in history::versions(&conn, &asked.id, asked.language)? {
        say(serde_json::to_string(&version)?)?;
    }
    done()
}

pub(super) fn restore(config: &Config, version: i64) -> Outcome {
    must_exist(config)?;
    let entry: Entry = change(
        config,
        |conn| {
            let unknown = || format!("there is no version {version}; `knowledge history ID` lists them");
            history::restore(conn, version, now())?.ok_or_else(|| unknown().into())
        },
        |server| {
            let asked = json!({ "version": version });
            let answer = server.call(Method::POST, &format!("{PATH}/restore"), &[], Some(&asked))?;
            Ok(serde_json::from_value(answer.get("entry").cloned().unwrap_or_default())?)
        },
    )?;
    say(serde_json::to_string(&entry)?)?;
    done()
}
