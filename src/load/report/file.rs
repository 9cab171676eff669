//! A run as a file: JSON, one version of the format, and a clear word about every other file.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::run::Run;

/// What marks a file as a run; the number grows when an older reader would misread a newer file.
const FORMAT: &str = "tertulia-load-run/1";

/// Why a run could not be read or written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The file could not be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file could not be written.
    #[error("{path} cannot be written: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is something else.
    #[error("{path} is no run of `tertulia load` as `--json` writes it: {why}")]
    NoRun {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        why: String,
    },
    /// The file was written by a version that says more than this one understands.
    #[error("{path} has the format {found:?}, this version reads {FORMAT:?}: use the version that wrote it")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The run cannot be put into JSON.
    #[error("the run cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A run and its format, which stands first.
#[derive(Serialize)]
struct File<'a> {
    format: &'static str,
    #[serde(flatten)]
    run: &'a Run,
}

/// A run as JSON, its keys always in the same order, with a line break at the end.
///
/// # Errors
/// When the run cannot be put into JSON, which no run of the harness does.
pub fn json(run: &Run) -> Result<String, ReportError> {
    Ok(serde_json::to_string_pretty(&File { format: FORMAT, run })? + "\n")
}

/// Writes a run as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write(run: &Run, path: &Path) -> Result<(), ReportError> {
    fs::write(path, json(run)?).map_err(|error| ReportError::Write { path: path.to_owned(), error })
}

/// Reads a run that [`write()`] wrote, by this version or another one of the same format.
///
/// # Errors
/// When the file cannot be read, is something else, or has another format.
pub fn read(path: &Path) -> Result<Run, ReportError> {
    let text =
        fs::read_to_string(path).map_err(|error| ReportError::Read { path: path.to_owned(), error })?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Run, ReportError> {
    let no_run = |why: String| ReportError::NoRun { path: path.to_owned(), why };
    let mut value: Value = serde_json::from_str(text).map_err(|error| no_run(error.to_string()))?;
    match value.get("format").and_then(Value::as_str) {
        Some(FORMAT) => {}
        Some(found) if found.starts_with("tertulia-load-run/") => {
            return Err(ReportError::Format { path: path.to_owned(), found: found.to_owned() });
        }
        Some(other) => return Err(no_run(format!("its format is {other:?}"))),
        None => return Err(no_run("it does not say its format".to_owned())),
    }
    drop_nulls(&mut value);
    serde_json::from_value(value).map_err(|error| no_run(error.to_string()))
}

/// JSON has no way to write a number that is none, such as 0/0: it becomes null, which is read like a field left out.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            *fields = std::mem::take(fields)
                .into_iter()
                .filter(|(_, field)| !field.is_null())
                .collect::<Map<_, _>>();
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn a_run_that_was_written_is_read_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        for run in [sample::run(), sample::broken(), Run::default()] {
            write(&run, &path).unwrap();
            assert_eq!(read(&path).unwrap(), run);
        }
    }

    #[test]
    fn the_same_run_is_always_the_same_text_and_says_its_format_first() {
        let text = json(&sample::run()).unwrap();
        assert_eq!(text, json(&sample::run()).unwrap());
        assert!(text.starts_with("{\n  \"format\": \"tertulia-load-run/1\",\n  \"about\": {"), "{text:.80}");
        let keys =
            ["\"about\"", "\"traffic\"", "\"times\"", "\"resources\"", "\"generator\"", "\"promises\""];
        let places: Vec<_> = keys.iter().map(|key| text.find(key).expect("a key")).collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn another_file_is_refused_with_a_word_on_what_it_is() {
        let cases = [
            ("", "EOF while parsing"),
            ("{", "EOF while parsing"),
            ("[]", "it does not say its format"),
            ("{}", "it does not say its format"),
            ("{\"format\": 1}", "it does not say its format"),
            ("{\"format\": \"png\"}", "its format is \"png\""),
            ("{\"format\": \"tertulia-load-run/2\"}", "use the version that wrote it"),
            ("{\"format\": \"tertulia-load-run/1\", \"stages\": 7}", "invalid type"),
        ];
        for (text, expected) in cases {
            let error = parse(text, Path::new("x.json")).expect_err(text).to_string();
            assert!(error.contains(expected) && error.starts_with("x.json "), "{text}: {error}");
        }
    }

    #[test]
    fn a_field_of_a_later_version_is_passed_over_and_a_missing_one_has_its_default() {
        let text =
            "{\"format\": \"tertulia-load-run/1\", \"novelty\": [1], \"about\": {\"profile\": \"steady\"}}";
        let run = parse(text, Path::new("x.json")).unwrap();
        assert_eq!(run.about.profile, "steady");
        assert_eq!(run.series, []);
    }

    #[test]
    fn a_figure_that_is_no_number_does_not_keep_a_run_from_being_read() {
        let mut run = sample::run();
        run.traffic.messages_per_s = f64::NAN;
        let back = parse(&json(&run).unwrap(), Path::new("x.json")).unwrap();
        assert_eq!(back.traffic.messages_per_s.to_bits(), 0);
    }

    #[test]
    fn a_missing_file_and_a_missing_folder_are_named() {
        let path = Path::new("/nowhere/run.json");
        let error = read(path).expect_err("no file").to_string();
        assert!(error.contains("/nowhere/run.json cannot be read"), "{error}");
        let error = write(&Run::default(), path).expect_err("no folder").to_string();
        assert!(error.contains("/nowhere/run.json cannot be written"), "{error}");
    }
}
