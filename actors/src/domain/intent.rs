//! What a person wants, in which language, and which way that class takes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A name that this program does not know.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("unknown {what} '{name}'")]
pub struct UnknownName {
    what: &'static str,
    name: String,
}

impl UnknownName {
    pub(super) fn new(what: &'static str, name: &str) -> Self {
        Self { what, name: name.to_owned() }
    }
}

/// The class of a turn: what the person wants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A greeting: "hello", "السلام عليكم"
    Greeting,
    /// Thanks: "thank you", "شكرا"
    Thanks,
    /// Something went wrong and the person says so.
    Complaint,
    /// An idea for the business.
    Suggestion,
    /// A question.
    Inquiry,
    /// Asks for something to be done.
    ServiceRequest,
    /// The pressed button of a template message that the business had sent.
    TemplateReply,
    /// None of these.
    Other,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 8] = [
        Self::Greeting,
        Self::Thanks,
        Self::Complaint,
        Self::Suggestion,
        Self::Inquiry,
        Self::ServiceRequest,
        Self::TemplateReply,
        Self::Other,
    ];

    /// The name in configuration, database and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Thanks => "thanks",
            Self::Complaint => "complaint",
            Self::Suggestion => "suggestion",
            Self::Inquiry => "inquiry",
            Self::ServiceRequest => "service_request",
            Self::TemplateReply => "template_reply",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == name)
            .ok_or_else(|| UnknownName::new(KNOWN_CLASSES, name))
    }
}

/// What is told of a name that is none.
const KNOWN_CLASSES: &str =
    "class (one of greeting, thanks, complaint, suggestion, inquiry, service_request, template_reply, other)";

/// The way a class takes to its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The class's stored phrase.
    Phrase,
    /// The query service.
    Query,
    /// Record the text for people to read, and acknowledge it with the class's phrase.
    Record,
    /// Hand over to a person.
    Human,
    /// No answer.
    Silent,
}

/// A language by its ISO 639-1 code of two letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language([u8; 2]);

impl Language {
    /// English.
    pub const ENGLISH: Self = Self(*b"en");
    /// Arabic.
    pub const ARABIC: Self = Self(*b"ar");

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("en")
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.as_bytes() {
            [a @ b'a'..=b'z', b @ b'a'..=b'z'] => Ok(Self([*a, *b])),
            _ => Err(UnknownName::new("language (two lower-case letters, as in ISO 639-1)", name)),
        }
    }
}

impl Serialize for Language {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for Language {
    fn schema_name() -> Cow<'static, str> {
        "Language".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z]{2}$",
            "description": "A language by its ISO 639-1 code of two lower-case letters.",
            "examples": ["en", "ar"],
        })
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_read_back_from_its_name() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
        }
    }

    #[test]
    fn an_unknown_class_is_told_with_all_that_there_are() {
        let told = "complain".parse::<Class>().unwrap_err().to_string();
        assert!(told.contains("'complain'"), "{told}");
        for class in Class::ALL {
            assert!(told.contains(class.as_str()), "{told}");
        }
    }

    #[test]
    fn a_language_has_two_lower_case_letters() {
        assert_eq!("ar".parse(), Ok(Language::ARABIC));
        for wrong in ["", "e", "EN", "eng", "é"] {
            assert!(wrong.parse::<Language>().is_err(), "{wrong}");
        }
    }
}
