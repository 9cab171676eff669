//! What a run does: who writes, how much and for how long, what goes wrong, and what must hold. Read from TOML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::bursts::{Identity, Writing};
use super::faults::Faults;
use super::texts::Texts;

/// The profiles that the program brings along.
const BUILT_IN: [(&str, &str); 12] = [
    ("concurrent-users", include_str!("profiles/concurrent-users.toml")),
    ("crash", include_str!("profiles/crash.toml")),
    ("db-stress", include_str!("profiles/db-stress.toml")),
    ("hot-user", include_str!("profiles/hot-user.toml")),
    ("idle-100k", include_str!("profiles/idle-100k.toml")),
    ("max", include_str!("profiles/max.toml")),
    ("memory", include_str!("profiles/memory.toml")),
    ("open-1000", include_str!("profiles/open-1000.toml")),
    ("quick", include_str!("profiles/quick.toml")),
    ("soak", include_str!("profiles/soak.toml")),
    ("spike", include_str!("profiles/spike.toml")),
    ("steady", include_str!("profiles/steady.toml")),
];

/// Why there is no such profile.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// Neither built in nor a file.
    #[error("there is no profile '{name}': name one of {known}, or a file that ends in .toml")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What is built in.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It says what no profile can say.
    #[error("profile '{name}': {reason}")]
    Wrong {
        /// The profile.
        name: String,
        /// The key, and what is allowed.
        reason: String,
    },
}

/// A profile. Times are in the unit that the key names.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Its name, or its file's.
    #[serde(skip)]
    pub name: String,
    /// What it is for, in a sentence.
    pub purpose: String,
    /// Who writes.
    pub people: People,
    /// The model that answers.
    pub model: Model,
    /// Keys of the server under test beside those that every run sets.
    pub server: BTreeMap<String, toml::Value>,
    /// The parts of the run, one after the other.
    #[serde(rename = "stage")]
    pub stages: Vec<StagePlan>,
    /// What must hold beside the promises: the name of a figure and its limit.
    pub objectives: BTreeMap<String, f64>,
    /// What goes wrong.
    pub faults: Faults,
    /// Looks for the highest rate that meets the objectives, after the stages.
    pub search: Option<Search>,
    /// The limits of the run itself.
    pub limits: Limits,
}

/// Who writes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct People {
    /// How many there are, for stages with a rate.
    pub roster: usize,
    /// How uneven they are: the activity of the n-th is 1/n to this power. 0: all alike.
    pub zipf: f64,
    /// The least time between two bursts of one person, for stages with a rate.
    pub rest_ms: u64,
    /// How long somebody thinks after an answer, from the least to the most, for stages with users.
    pub think_ms: [u64; 2],
    /// Messages in a burst, from the least to the most.
    pub messages: [u64; 2],
    /// Pauses within a burst.
    pub gap_ms: [u64; 2],
    /// What they write.
    pub texts: Texts,
    /// How the provider names them.
    pub identity: Identity,
}

impl Default for People {
    fn default() -> Self {
        let writing = Writing::default();
        Self {
            roster: 10_000,
            zipf: 0.9,
            rest_ms: 5_000,
            think_ms: [0, 0],
            messages: writing.messages,
            gap_ms: writing.gap_ms,
            texts: Texts::Mixed,
            identity: writing.identity,
        }
    }
}

impl People {
    /// How they write.
    #[must_use]
    pub const fn writing(&self) -> Writing {
        Writing { messages: self.messages, gap_ms: self.gap_ms, texts: self.texts, identity: self.identity }
    }
}

/// The model that answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// How long half of its answers take at the most.
    pub latency_ms: u64,
    /// How long 99 of a hundred take at the most; 0: all take `latency_ms`.
    pub latency_p99_ms: u64,
}

/// A part of a run: either so many users who wait for their answers, or a rate of bursts whatever comes back.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StagePlan {
    /// Its name.
    pub name: String,
    /// How long it lasts.
    pub seconds: f64,
    /// Users who write, wait for the answer, think, and write again (closed loop).
    pub users: usize,
    /// Over how long the users begin; then over how long their first bursts are spread.
    pub ramp_ms: u64,
    /// Bursts a second (open loop).
    pub bursts_per_s: f64,
    /// Bursts a second at its end, where the rate changes over the stage.
    pub to_bursts_per_s: Option<f64>,
    /// How bursts follow each other.
    pub arrivals: Arrivals,
    /// Whether everybody of the roster writes once in turn instead of by activity.
    pub in_turn: bool,
    /// Bursts that one person, who is not of the roster, writes evenly over the stage.
    pub hot_bursts: usize,
    /// Whether its figures are left out of the run's.
    pub warm_up: bool,
}

/// How bursts of an open loop follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// As people do who know nothing of each other.
    #[default]
    Poisson,
    /// At equal distances.
    Constant,
}

/// A search for the highest rate.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The first rate, in bursts a second.
    pub from: f64,
    /// The highest rate that is tried.
    pub to: f64,
    /// How long each rate is held.
    pub seconds: f64,
    /// When the distance between the best rate that held and the first that did not is small enough: 0.1 for a tenth.
    pub precision: f64,
}

/// The limits of the run itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections of the generator at a time.
    pub connections_max: usize,
    /// How long the answer to a webhook may take.
    pub acknowledge_ms: u64,
    /// How long a user waits for an answer before writing again.
    pub answer_ms: u64,
    /// How long after the last stage answers may take, while any still come.
    pub settle_ms: u64,
    /// The pause before a webhook that was not acknowledged is sent again.
    pub resend_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            acknowledge_ms: 10_000,
            answer_ms: 60_000,
            settle_ms: 120_000,
            resend_ms: 200,
        }
    }
}

/// The names of all built-in profiles with what they are for.
#[must_use]
pub fn built_in() -> Vec<(&'static str, String)> {
    let purpose = |name, text| parse(name, text).map(|profile| profile.purpose).unwrap_or_default();
    BUILT_IN.iter().map(|(name, text)| (*name, purpose(name, text))).collect()
}

/// The text of a built-in profile.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Reads a profile by the name of a built-in one, or from a file.
///
/// # Errors
/// When there is none, or it cannot be run.
pub fn find(name: &str) -> Result<Profile, ProfileError> {
    if let Some(text) = text(name) {
        return parse(name, text);
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        let known = BUILT_IN.map(|(name, _)| name).join(", ");
        return Err(ProfileError::Unknown { name: name.to_owned(), known });
    }
    let text = std::fs::read_to_string(path)
        .map_err(|source| ProfileError::File { path: path.to_owned(), source })?;
    parse(name, &text)
}

fn parse(name: &str, text: &str) -> Result<Profile, ProfileError> {
    let wrong = |reason: String| ProfileError::Wrong { name: name.to_owned(), reason };
    let mut profile: Profile = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    profile.name = name.to_owned();
    profile.check().map_err(wrong)?;
    Ok(profile)
}

impl Profile {
    /// Looks for what no run can do.
    ///
    /// # Errors
    /// The key, its value and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let people = &self.people;
        for (key, [least, most]) in [
            ("people.messages", people.messages),
            ("people.gap_ms", people.gap_ms),
            ("people.think_ms", people.think_ms),
        ] {
            if least > most {
                return Err(format!("{key}: [{least}, {most}]: write the lesser number first"));
            }
        }
        if people.messages[0] == 0 || people.messages[1] > 50 {
            return Err("people.messages: a burst has 1 to 50 messages".into());
        }
        if people.roster == 0 || people.roster > 10_000_000 {
            return Err(format!("people.roster: {}: there are 1 to 10,000,000 people", people.roster));
        }
        if self.stages.is_empty() && self.search.is_none() {
            return Err("stage: give at least one [[stage]], or a [search]".into());
        }
        for (number, stage) in self.stages.iter().enumerate() {
            stage.check().map_err(|reason| format!("stage {} ({}): {reason}", number + 1, stage.name))?;
        }
        if let Some(unknown) = self.objectives.keys().find(|name| !super::objectives::is_known(name)) {
            return Err(format!("objectives.{unknown}: known are {}", super::objectives::known()));
        }
        self.faults.check()
    }

    /// How long all stages last together, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds).sum()
    }
}

impl StagePlan {
    fn check(&self) -> Result<(), String> {
        if !(self.seconds > 0.0 && self.seconds <= 7.0 * 86_400.0) {
            return Err(format!("seconds: {}: more than 0, at most a week", self.seconds));
        }
        let rates = [self.bursts_per_s, self.to_bursts_per_s.unwrap_or(0.0)];
        if rates.iter().any(|rate| !(0.0..=1_000_000.0).contains(rate)) {
            return Err("bursts_per_s: 0 to 1,000,000".into());
        }
        if self.users > 0 && rates.iter().any(|rate| *rate > 0.0) {
            return Err("users and bursts_per_s: give one of the two".into());
        }
        if self.users > 1_000_000 {
            return Err(format!("users: {}: at most 1,000,000", self.users));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_built_in_profiles_can_be_read_and_say_what_they_are_for() {
        for (name, _) in BUILT_IN {
            let profile = find(name).unwrap();
            assert!(profile.purpose.ends_with('.'), "{name} has no purpose");
        }
        assert!(built_in().iter().all(|(_, purpose)| !purpose.is_empty()));
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let stage = "[[stage]]\nname = 's'\nseconds = 1\n";
        for (text, expected) in [
            ("", "[[stage]]"),
            ("[[stage]]\nname = 's'\n", "stage 1 (s): seconds"),
            (&format!("{stage}users = 1\nbursts_per_s = 1"), "one of the two"),
            (&format!("[people]\nmessages = [3, 1]\n{stage}"), "people.messages"),
            (&format!("[people]\nage = 3\n{stage}"), "unknown field `age`"),
            (&format!("[objectives]\nbeauty = 3\n{stage}"), "objectives.beauty: known are"),
            (&format!("[faults]\nllm_errors = 2.0\n{stage}"), "faults.llm_errors"),
        ] {
            let error = parse("p", text).expect_err(text).to_string();
            assert!(error.contains(expected) && error.starts_with("profile 'p'"), "{text}: {error}");
        }
        let unknown = find("sleepy").expect_err("no such profile").to_string();
        assert!(unknown.contains("concurrent-users") && unknown.contains(".toml"), "{unknown}");
    }
}
