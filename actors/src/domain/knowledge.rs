//! What the business knows: questions with stored answers.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{Language, Timestamp};

/// A vector of unit length that stands for a text.
pub type Embedding = Arc<[f32]>;

/// One stored question with its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id within the knowledge base; the same for a question's versions in several languages.
    pub id: String,
    /// The language of question and answer.
    pub language: Language,
    /// The question, as a person might put it; empty in a passage.
    pub question: String,
    /// Other ways in which people put it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phrasings: Vec<String>,
    /// The answer that is given, or what the passage says.
    pub answer: String,
    /// What it is about, for searches among some entries only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Names of the business's accounts whose conversations it is for; for all where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    /// From when on it holds; from ever where there is none. A time of RFC 3339, or a day, which is one of UTC.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "from")]
    #[schemars(schema_with = "moment_schema")]
    pub valid_from: Option<Timestamp>,
    /// Until when it holds; for ever where there is none. A time of RFC 3339, or the last day, which is one of UTC.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "until")]
    #[schemars(schema_with = "moment_schema")]
    pub valid_until: Option<Timestamp>,
}

impl Entry {
    /// An entry that holds always and for everybody.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        language: Language,
        question: impl Into<String>,
        answer: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            language,
            question: question.into(),
            phrasings: vec![],
            answer: answer.into(),
            tags: vec![],
            accounts: vec![],
            valid_from: None,
            valid_until: None,
        }
    }

    /// All ways in which its question is put, the first one first; none for a passage.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        let questions = std::iter::once(&self.question).chain(&self.phrasings);
        questions.map(String::as_str).filter(|question| !question.is_empty())
    }

    /// Whether it is a passage: a piece of a text to which nobody has put a question, found by what it says. It is something to
    /// answer from, and no answer itself.
    #[must_use]
    pub fn is_passage(&self) -> bool {
        self.questions().next().is_none()
    }
}

/// What an entry said before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "EntryVersion")]
pub struct Version {
    /// Its number, which grows.
    pub version: i64,
    /// What it said.
    pub entry: Entry,
    /// When it began to say so.
    pub written_at: Timestamp,
    /// When something else took its place; none where it was removed.
    pub replaced_at: Option<Timestamp>,
    /// When it was removed; none where something else took its place, and where that was before its time was kept.
    pub removed_at: Option<Timestamp>,
}

/// For which searches something is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Audience<'a> {
    /// What it is about.
    pub tags: &'a [String],
    /// Accounts that it is for; all where there is none.
    pub accounts: &'a [String],
    /// From when on it holds.
    pub valid_from: Option<Timestamp>,
    /// Until when it holds.
    pub valid_until: Option<Timestamp>,
}

impl<'a> From<&'a Entry> for Audience<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { tags, accounts, valid_from, valid_until, .. } = entry;
        Self { tags, accounts, valid_from: *valid_from, valid_until: *valid_until }
    }
}

/// Among which entries a search looks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Those in this language only.
    pub language: Option<Language>,
    /// Those that have all of these tags.
    pub tags: Vec<String>,
    /// Those that are for this account; without one, for whomever.
    pub account: Option<String>,
    /// Those that hold at this time; without one, whenever.
    pub at: Option<Timestamp>,
}

impl Filter {
    /// Whether what is meant for an audience is looked at.
    #[must_use]
    pub fn admits(&self, audience: Audience<'_>) -> bool {
        let Audience { tags, accounts, valid_from, valid_until } = audience;
        let holds = |at: Timestamp| {
            valid_from.is_none_or(|from| from <= at) && valid_until.is_none_or(|end| at < end)
        };
        self.tags.iter().all(|tag| tags.contains(tag))
            && self.account.as_ref().is_none_or(|account| accounts.is_empty() || accounts.contains(account))
            && self.at.is_none_or(holds)
    }

    /// Whether an entry is looked at.
    #[must_use]
    pub fn admits_entry(&self, entry: &Entry) -> bool {
        self.language.is_none_or(|language| language == entry.language) && self.admits(entry.into())
    }
}

/// One entry that a search found.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Hit {
    /// What was found. Shared with those that remember it.
    pub entry: Arc<Entry>,
    /// How well its question matches, 0 (not at all) to 1 (the same words).
    pub score: f32,
}

impl Hit {
    /// A hit with its score.
    #[must_use]
    pub fn new(entry: impl Into<Arc<Entry>>, score: f32) -> Self {
        Self { entry: entry.into(), score }
    }
}

fn from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    moment(deserializer, 0)
}

fn until<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    moment(deserializer, 1)
}

/// Reads a time, or a day, for which so many days after its beginning stand.
fn moment<'de, D: Deserializer<'de>>(deserializer: D, days: u64) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    read_moment(&text, days).map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "'{text}' is neither a day (2026-12-31) nor a time (2026-12-31T18:00:00+04:00)"
        ))
    })
}

/// A time or a day is read, and a time is written.
fn moment_schema(generator: &mut SchemaGenerator) -> Schema {
    if generator.contract().is_serialize() {
        return generator.subschema_for::<Timestamp>();
    }
    json_schema!({
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date"},
            {"type": "null"},
        ],
    })
}

fn read_moment(text: &str, days: u64) -> Option<Timestamp> {
    let day = |text: &str| {
        let day = text.parse::<NaiveDate>().ok()?.checked_add_days(Days::new(days))?;
        Some(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
    };
    let time = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis());
    time(text).or_else(|| day(text)).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_as_it_was_written_and_the_least_of_it_is_short() {
        let plain = Entry::new("a", Language::ENGLISH, "q", "a");
        let written = serde_json::to_string(&plain).unwrap();
        assert_eq!(written, r#"{"id":"a","language":"en","question":"q","answer":"a"}"#);
        let text = r#"{"id":"a","language":"en","question":"q","phrasings":["p"],"answer":"a","tags":["t"],"accounts":["1"],
                       "valid_from":"2026-12-01","valid_until":"2026-12-31"}"#;
        let full: Entry = serde_json::from_str(text).unwrap();
        assert_eq!(full.valid_from.map(Timestamp::rfc3339).unwrap(), "2026-12-01T00:00:00.000Z");
        assert_eq!(
            full.valid_until.map(Timestamp::rfc3339).unwrap(),
            "2027-01-01T00:00:00.000Z",
            "the whole day"
        );
        for entry in [plain, full] {
            let written = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&written).unwrap(), entry, "{written}");
        }
    }

    #[test]
    fn a_time_has_an_offset_and_what_is_neither_time_nor_day_is_named() {
        for (text, until) in [
            ("2026-12-31T18:00:00+04:00", Some("2026-12-31T14:00:00.000Z")),
            ("2026-02-28", Some("2026-03-01T00:00:00.000Z")),
            ("2026-02-30", None),
            ("tomorrow", None),
        ] {
            assert_eq!(read_moment(text, 1).map(Timestamp::rfc3339).as_deref(), until, "{text}");
        }
        let text = r#"{"id":"a","language":"en","question":"q","answer":"a","valid_from":"soon"}"#;
        let error = serde_json::from_str::<Entry>(text).unwrap_err().to_string();
        assert!(error.contains("'soon' is neither a day"), "{error}");
    }

    #[test]
    fn a_filter_admits_what_has_its_tags_is_for_its_account_and_holds_at_its_time() {
        let entry = Entry {
            tags: vec!["prices".into(), "summer".into()],
            accounts: vec!["100".into()],
            valid_from: Some(Timestamp(10)),
            valid_until: Some(Timestamp(20)),
            ..Entry::new("a", Language::ENGLISH, "q", "a")
        };
        let tagged = |tags: &[&str]| Filter {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Filter::default()
        };
        let of = |account: &str| Filter { account: Some(account.into()), ..Filter::default() };
        let at = |at| Filter { at: Some(Timestamp(at)), ..Filter::default() };
        let speaking = |language| Filter { language: Some(language), ..Filter::default() };
        let plain = Entry::new("b", Language::ENGLISH, "q", "a");
        for (filter, admits, admits_plain) in [
            (Filter::default(), true, true),
            (tagged(&["prices"]), true, false),
            (tagged(&["summer", "prices"]), true, false),
            (tagged(&["prices", "winter"]), false, false),
            (of("100"), true, true),
            (of("200"), false, true),
            (at(9), false, true),
            (at(10), true, true),
            (at(19), true, true),
            (at(20), false, true),
            (speaking(Language::ENGLISH), true, true),
            (speaking(Language::ARABIC), false, false),
        ] {
            assert_eq!(
                (filter.admits_entry(&entry), filter.admits_entry(&plain)),
                (admits, admits_plain),
                "{filter:?}"
            );
        }
    }

    #[test]
    fn a_passage_has_no_questions_and_others_have_all_their_phrasings() {
        let entry = Entry { phrasings: vec!["r".into()], ..Entry::new("a", Language::ENGLISH, "q", "a") };
        assert_eq!(entry.questions().collect::<Vec<_>>(), ["q", "r"]);
        let passage = Entry::new("a", Language::ENGLISH, "", "a");
        assert_eq!(passage.questions().count(), 0);
        assert!(passage.is_passage() && !entry.is_passage());
    }
}
