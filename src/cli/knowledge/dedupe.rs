//! `tertulia knowledge dedupe`.

use clap::Args;
use tertulia_actors::domain::{Entry, Language};

use super::super::acts::{Outcome, done};
use super::super::output::say;
use super::{change, remove_there};
use crate::config::Config;
use crate::knowledge::duplicates::{Group, groups};
use crate::knowledge::entries;
use crate::store::db;

#[derive(Debug, Args)]
pub(in super::super) struct Dedupe {
    /// Of entries that say just the same, keep the first and remove the others. Near ones are never removed.
    #[arg(long)]
    remove: bool,
    /// From which cosine on entries are near, 0 to 1, where the configured model has embedded them.
    #[arg(long, value_name = "COSINE", default_value_t = 0.95, value_parser = cosine)]
    near: f32,
}

fn cosine(given: &str) -> Result<f32, String> {
    let cosine = given.parse().ok().filter(|cosine| (0.0..=1.0).contains(cosine));
    cosine.ok_or_else(|| "give a number from 0 to 1".to_owned())
}

pub(super) fn dedupe(config: &Config, asked: &Dedupe) -> Outcome {
    let model = super::vectors::model_name(config)?;
    let found = groups(&db::open_to_read(&config.storage.path)?, model.as_deref(), asked.near)?;
    for group in &found {
        say(if group.is_same { "the same:" } else { "near:" })?;
        for entry in &group.entries {
            let said = if entry.is_passage() { &entry.answer } else { &entry.question };
            say(format_args!("  {}\t{}\t{}", entry.id, entry.language, said.replace(['\n', '\t'], " ")))?;
        }
    }
    let same = found.iter().filter(|group| group.is_same).count();
    say(format_args!("{same} groups say the same, {} nearly", found.len() - same))?;
    if asked.remove { remove(config, &found) } else { done() }
}

/// Removes all but the first entry of each group that says the same.
fn remove(config: &Config, found: &[Group]) -> Outcome {
    let same = found.iter().filter(|group| group.is_same);
    let others: Vec<(String, Language)> = same
        .flat_map(|group| &group.entries[1..])
        .map(|entry: &Entry| (entry.id.clone(), entry.language))
        .collect();
    change(
        config,
        |conn| Ok(entries::replace(conn, &[], &others, super::now(), |_| {})?),
        |server| {
            others
                .iter()
                .try_for_each(|(id, language)| remove_there(server, id, Some(*language)).map(drop))?;
            Ok(0)
        },
    )?;
    say(format_args!("{} entries were removed", others.len()))?;
    done()
}
