//! Names of models and revisions. They become parts of paths and addresses, and so must not be anything else.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::FetchError;

/// The longest name: the hub allows 96 characters for the owner and the name together
/// (`huggingface_hub`, `validate_repo_id`).
const LENGTH_MAX: usize = 96;

/// The longest revision: that of a reference of Git is not limited; this is room for any in use.
const REVISION_LENGTH_MAX: usize = 200;

/// The name of a model: a short one, or `owner/name`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelName {
    owner: Option<String>,
    name: String,
}

impl ModelName {
    /// The name of its folder: the name without its owner.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.name
    }

    /// Whether it is `owner/name`.
    pub(super) const fn has_owner(&self) -> bool {
        self.owner.is_some()
    }
}

impl FromStr for ModelName {
    type Err = FetchError;

    fn from_str(given: &str) -> Result<Self, FetchError> {
        let wrong = |why| FetchError::Name { given: given.to_owned(), why };
        if given.len() > LENGTH_MAX {
            return Err(wrong("it is longer than 96 characters"));
        }
        let (owner, name) = match given.split_once('/') {
            Some((owner, name)) => (Some(owner), name),
            None => (None, given),
        };
        for part in owner.iter().chain([&name]) {
            check(part).map_err(wrong)?;
        }
        Ok(Self { owner: owner.map(str::to_owned), name: name.to_owned() })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Says what is wrong with one part of a name. One that began with a dot would be hidden, and is how unfinished folders
/// are named; one that began with a hyphen would be an option of a command.
fn check(part: &str) -> Result<(), &'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if part.is_empty() {
        Err("it has an empty part; write a short name, or owner/name")
    } else if !part.chars().all(is_allowed) {
        Err("a name has letters, digits, '.', '_' and '-' only, and at most one '/'")
    } else if part.starts_with(['.', '-']) || part.contains("..") {
        Err("no part begins with '.' or '-', or has '..' in it")
    } else {
        Ok(())
    }
}

/// A revision as it was given, if it can be one. Some have slashes in them, as `refs/pr/1`.
pub(super) fn revision(given: &str) -> Result<Cow<'static, str>, FetchError> {
    let is_fine = given.len() <= REVISION_LENGTH_MAX && given.split('/').all(|part| check(part).is_ok());
    if is_fine { Ok(given.to_owned().into()) } else { Err(FetchError::Revision { given: given.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_or_has_an_owner_and_never_leaves_its_folder() {
        let long = "a".repeat(97);
        for (given, folder) in [
            ("all-MiniLM-L6-v2", Some("all-MiniLM-L6-v2")),
            ("intfloat/multilingual-e5-small", Some("multilingual-e5-small")),
            ("BAAI/bge-small-en-v1.5", Some("bge-small-en-v1.5")),
            ("a_b/C.d-9", Some("C.d-9")),
            ("", None),
            ("/", None),
            ("a/", None),
            ("/a", None),
            ("a/b/c", None),
            ("..", None),
            (".", None),
            ("a/..", None),
            ("../a", None),
            ("a..b", None),
            (".hidden", None),
            ("-option", None),
            ("a/-b", None),
            ("a b", None),
            ("a\\b", None),
            ("a%2Fb", None),
            ("a?b", None),
            ("نموذج", None),
            (long.as_str(), None),
        ] {
            let name = given.parse::<ModelName>();
            assert_eq!(name.as_ref().ok().map(ModelName::folder), folder, "{given}");
            if let Ok(name) = name {
                assert_eq!(name.to_string(), given);
            }
        }
    }

    #[test]
    fn a_revision_is_a_branch_a_tag_or_a_commit() {
        let long = "a".repeat(201);
        for (given, is_fine) in [
            ("main", true),
            ("v1.0", true),
            ("refs/pr/1", true),
            ("1110a243fdf4706b3f48f1d95db1a4f5529b4d41", true),
            ("", false),
            ("a//b", false),
            ("../main", false),
            ("a/../b", false),
            ("-f", false),
            ("a?b", false),
            ("a#b", false),
            ("a b", false),
            (long.as_str(), false),
        ] {
            assert_eq!(revision(given).is_ok(), is_fine, "{given}");
        }
    }
}
