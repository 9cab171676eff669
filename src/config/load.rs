//! Reads the configuration from its sources, and says exactly what is wrong with it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use super::{Config, check};
use crate::secret::{Secret, SecretError};

/// The prefix of the environment's variables.
const PREFIX: &str = "TERTULIA__";

/// Why the configuration cannot be used. Names the key, the value and what is allowed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that a key names cannot be read.
    #[error("{key}: cannot read '{}': {source}", path.display())]
    SecretFile {
        /// The key, dotted.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("'{}' is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A key is unknown, or its value cannot be used.
    #[error("{key}: {reason}")]
    Key {
        /// The key, dotted.
        key: String,
        /// What is wrong, and what is allowed.
        reason: String,
    },
}

impl ConfigError {
    pub(super) fn key(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Key { key: key.into(), reason: reason.into() }
    }
}

/// Where the configuration comes from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file; without one, `config.toml` is read if it is there.
    pub file: Option<PathBuf>,
    /// The environment, as names and values. Of other programs' variables nothing is asked, not even that they be text.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags, as dotted keys and values.
    pub flags: Vec<(String, String)>,
}

/// Reads and checks the configuration.
///
/// # Errors
/// When a source cannot be read, a key is unknown, or a value cannot be used.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut table = read_file(sources.file.as_deref())?;
    let hints = Table::try_from(Config::default()).unwrap_or_default();
    for (name, value) in &sources.environment {
        if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            let (key, value) = variable(name, value)?;
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            set(&mut table, &path, value, &hints)?;
        }
    }
    for (key, value) in &sources.flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        set(&mut table, &path, value, &hints)?;
    }
    let secrets = Config::default().secrets().map(|(key, _)| key);
    let mut files = vec![];
    for key in secrets {
        files.extend(read_secret(&mut table, key)?.map(|file| (key, file)));
    }
    let config: Config = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        // The message quotes the value.
        let reason = match secrets.contains(&key.as_str()) {
            true => "must be a text in quotes".to_owned(),
            false => error.into_inner().message().trim().to_owned(),
        };
        ConfigError::key(key, reason)
    })?;
    for (key, file) in files {
        if let Some((_, secret)) = config.secrets().into_iter().find(|(name, _)| *name == key) {
            secret.follow(file);
        }
    }
    check::check(&config)?;
    Ok(config)
}

/// The key and the value of one of our variables.
fn variable<'a>(name: &'a OsStr, value: &'a OsStr) -> Result<(&'a str, &'a str), ConfigError> {
    let key = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    match (key, value.to_str()) {
        (Some(key), Some(value)) => Ok((key, value)),
        (None, _) => Err(ConfigError::key(name.to_string_lossy(), "the variable's name is not UTF-8")),
        // Without the value, which may be a secret.
        (_, None) => Err(ConfigError::key(name.to_string_lossy(), "the value is not UTF-8, and must be")),
    }
}

fn read_file(file: Option<&Path>) -> Result<Table, ConfigError> {
    let path = file.unwrap_or_else(|| Path::new("config.toml"));
    if file.is_none() && !path.exists() {
        return Ok(Table::new());
    }
    let text =
        fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    text.parse().map_err(|error: toml::de::Error| {
        // Without the line itself, which may hold a secret.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (line, column) =
            (before.split('\n').count(), before.chars().rev().take_while(|c| *c != '\n').count());
        let message = format!("line {line}, column {}: {}", column + 1, error.message());
        ConfigError::Syntax { path: path.to_owned(), message }
    })
}

/// Sets one key, making the tables on the way. The value is text where the default is text, else TOML.
fn set(table: &mut Table, path: &[String], value: &str, hints: &Table) -> Result<(), ConfigError> {
    let Some((last, sections)) = path.split_last().filter(|(_, sections)| !sections.is_empty()) else {
        return Err(ConfigError::key(path.join("."), "a key has a section, as in server.bind"));
    };
    let mut place = table;
    let mut hint = Some(hints);
    for section in sections {
        let next = place.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else {
            return Err(ConfigError::key(path.join("."), format!("{section} is not a section")));
        };
        place = next;
        hint = hint.and_then(|hint| hint.get(section)).and_then(Value::as_table);
    }
    let is_text = hint.and_then(|hint| hint.get(last)).is_some_and(Value::is_str);
    let value = if is_text { Value::String(value.to_owned()) } else { guess(value) };
    place.insert(last.clone(), value);
    Ok(())
}

/// Reads a value as TOML, or as text where it is none.
fn guess(value: &str) -> Value {
    #[derive(Deserialize)]
    struct Line {
        value: Value,
    }
    let line = toml::from_str::<Line>(&format!("value = {value}"));
    line.map_or_else(|_| Value::String(value.to_owned()), |line| line.value)
}

/// Replaces `…_file`, which may stand in the place of a secret, by the content of the file; answers the file.
fn read_secret(table: &mut Table, key: &str) -> Result<Option<PathBuf>, ConfigError> {
    let Some((section, name)) = key.rsplit_once('.') else { return Ok(None) };
    let place = section.split('.').try_fold(table, |table, section| table.get_mut(section)?.as_table_mut());
    let Some(place) = place else { return Ok(None) };
    let file_key = format!("{name}_file");
    let Some(path) = place.remove(&file_key) else { return Ok(None) };
    let Some(path) = path.as_str().map(PathBuf::from) else {
        return Err(ConfigError::key(
            format!("{section}.{file_key}"),
            "must be the path of a file, in quotes",
        ));
    };
    if place.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
        return Err(ConfigError::key(key, format!("is given twice: here and by {file_key}")));
    }
    let key = format!("{section}.{file_key}");
    let secret = Secret::read(&path).map_err(|error| match error {
        SecretError::File { path, source } => ConfigError::SecretFile { key, path, source },
        SecretError::Empty { .. } => {
            ConfigError::key(key, "the file is empty: write the secret into it, or remove the key")
        }
    })?;
    place.insert(name.to_owned(), Value::String(secret));
    Ok(Some(path))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
