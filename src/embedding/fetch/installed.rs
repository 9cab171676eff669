//! The models that are in a folder of models.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Deserialize;

use super::{Manifest, ManifestError};

/// A model that is in a folder of models.
#[derive(Debug)]
pub struct Installed {
    /// Its name, which is its folder's.
    pub name: String,
    /// The length of its vectors, as its config.json says.
    pub dimensions: Option<u64>,
    /// Its architecture, as its config.json says: `bert`, `xlm-roberta`.
    pub family: Option<String>,
    /// What its files take.
    pub bytes: u64,
    /// Where it is from, and the hashes of its files.
    pub manifest: Result<Manifest, ManifestError>,
}

/// What matters here of a model's config.json, as the library transformers writes it.
#[derive(Default, Deserialize)]
struct ModelConfig {
    hidden_size: Option<u64>,
    model_type: Option<String>,
}

/// The models in a folder, in the order of their names: each folder with a config.json is one. No folder is no models.
///
/// # Errors
/// When the folder cannot be read.
pub fn installed(models: &Path) -> io::Result<Vec<Installed>> {
    let entries = match fs::read_dir(models) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut found = vec![];
    for entry in entries {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy().into_owned();
        // Folders with a dot before their names are unfinished.
        if !name.starts_with('.')
            && let Ok(config) = fs::read(path.join("config.json"))
        {
            let config: ModelConfig = serde_json::from_slice(&config).unwrap_or_default();
            found.push(Installed {
                name,
                dimensions: config.hidden_size,
                family: config.model_type,
                bytes: super::pip::size(&path),
                manifest: Manifest::read(&path),
            });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_with_a_configuration_is_a_model() {
        let models = tempfile::tempdir().unwrap();
        assert!(installed(&models.path().join("nowhere")).unwrap().is_empty());
        for (name, config) in [
            ("b", Some(r#"{"hidden_size": 384, "model_type": "bert"}"#)),
            ("a", Some("{")),
            (".fetch-x", Some("{}")),
            ("empty", None),
        ] {
            let folder = models.path().join(name);
            fs::create_dir(&folder).unwrap();
            if let Some(config) = config {
                fs::write(folder.join("config.json"), config).unwrap();
            }
        }
        fs::write(models.path().join("file"), "").unwrap();
        let found: Vec<_> = installed(models.path())
            .unwrap()
            .into_iter()
            .map(|model| (model.name, model.dimensions, model.family, model.bytes))
            .collect();
        let expected = [("a".into(), None, None, 1), ("b".into(), Some(384), Some("bert".into()), 42)];
        assert_eq!(found, expected);
    }
}
