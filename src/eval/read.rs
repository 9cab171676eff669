//! Files of labelled texts, documents and questions.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use tertulia_actors::domain::{Entry, Language};
use tertulia_actors::ports::EmbedderError;
use thiserror::Error;

use super::retrieve::{Document, Question};
use crate::knowledge::classify::labels::Example;
use crate::knowledge::{KnowledgeError, entries::parse};

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum EvalError {
    /// A file cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a file is not what it should be.
    #[error("'{}', line {line}: {wrong}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it, and what is expected.
        wrong: String,
    },
    /// A file is of no kind that is read.
    #[error("'{}' is neither .csv nor .tsv nor .jsonl", path.display())]
    Kind {
        /// Which.
        path: PathBuf,
    },
    /// The model that embeds failed.
    #[error(transparent)]
    Model(#[from] EmbedderError),
    /// A file has no usable line.
    #[error("'{}' has no {what}", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
    },
    /// What was asked for cannot be measured.
    #[error("{0}")]
    Asked(String),
    /// The knowledge base failed.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// The database in memory failed.
    #[error("the index cannot be made: {0}")]
    Database(#[from] rusqlite::Error),
}

/// The columns of labelled texts. Without names, `text` and `label`, `category`, `intent` or `class` are looked for.
#[derive(Clone, Default, Debug)]
pub struct Columns {
    /// Of the text.
    pub text: Option<String>,
    /// Of the label.
    pub label: Option<String>,
}

/// What the column of the label is called where nobody names it; Banking77 has `category`.
const LABELS: &[&str] = &["label", "category", "intent", "class"];

/// Reads labelled texts from CSV, TSV or JSON Lines, by the file's ending.
///
/// # Errors
/// Names the file, the line and what is wrong.
pub fn labelled(path: &Path, columns: &Columns) -> Result<Vec<Example>, EvalError> {
    let examples = match ending(path).as_str() {
        "csv" => from_csv(path, b',', columns)?,
        "tsv" => from_csv(path, b'\t', columns)?,
        "jsonl" | "ndjson" => from_json(path, columns)?,
        _ => return Err(EvalError::Kind { path: path.to_owned() }),
    };
    if examples.is_empty() {
        Err(EvalError::Empty { path: path.to_owned(), what: "labelled text" })
    } else {
        Ok(examples)
    }
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn text_of(path: &Path) -> Result<String, EvalError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| EvalError::File { path: path.to_owned(), source })?;
    // Spreadsheets put a byte order mark before the first column's name.
    Ok(text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text))
}

fn from_csv(path: &Path, delimiter: u8, columns: &Columns) -> Result<Vec<Example>, EvalError> {
    let text = text_of(path)?;
    let wrong = |line, wrong| EvalError::Line { path: path.to_owned(), line, wrong };
    // Where tabs part columns, quotation marks are part of the text.
    let quotes = delimiter == b',';
    let mut reader =
        csv::ReaderBuilder::new().quoting(quotes).delimiter(delimiter).from_reader(text.as_bytes());
    let names: Vec<String> = match reader.headers() {
        Ok(names) => names.iter().map(|name| name.trim().to_owned()).collect(),
        Err(error) => return Err(wrong(1, error.to_string())),
    };
    let at = |name: &Option<String>, usual: &[&str]| {
        let wanted: Vec<&str> = name.as_deref().map_or_else(|| usual.to_vec(), |name| vec![name]);
        let place = wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        if let Some(twice) = place.filter(|at| names.iter().filter(|name| **name == names[*at]).count() > 1) {
            return Err(wrong(1, format!("there are several columns {}", names[twice])));
        }
        place.ok_or_else(|| {
            wrong(1, format!("there is no column {} among: {}", wanted.join(" or "), names.join(", ")))
        })
    };
    let (text_at, label_at) = (at(&columns.text, &["text"])?, at(&columns.label, LABELS)?);
    let mut examples = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(line, error.to_string())
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: usize| row.get(at).unwrap_or_default().trim().to_owned();
        examples.push(example(cell(text_at), cell(label_at)).map_err(|what| wrong(line, what))?);
    }
    Ok(examples)
}

fn from_json(path: &Path, columns: &Columns) -> Result<Vec<Example>, EvalError> {
    lines(path, |row: Map<String, Value>| {
        let value = |name: &Option<String>, usual: &[&str]| {
            let wanted: Vec<&str> = name.as_deref().map_or_else(|| usual.to_vec(), |name| vec![name]);
            let found = wanted.iter().find_map(|wanted| row.get(*wanted));
            said(found.ok_or_else(|| format!("there is no key {}", wanted.join(" or ")))?)
        };
        example(value(&columns.text, &["text"])?, value(&columns.label, LABELS)?)
    })
}

fn example(text: String, label: String) -> Result<Example, String> {
    for (what, value) in [("text", &text), ("label", &label)] {
        if value.is_empty() {
            return Err(format!("the {what} is empty"));
        }
    }
    Ok(Example { text, label })
}

/// A value as text: numbers and truth values serve as labels and ids, too.
fn said(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("{value} is neither a text nor a number"))
        }
    }
}

/// Reads JSON Lines; blank lines are skipped.
fn lines<T: for<'de> Deserialize<'de>, R>(
    path: &Path,
    mut read: impl FnMut(T) -> Result<R, String>,
) -> Result<Vec<R>, EvalError> {
    let text = text_of(path)?;
    let mut all = Vec::new();
    for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
        let read = serde_json::from_str(row).map_err(|error| error.to_string()).and_then(&mut read);
        all.push(read.map_err(|wrong| EvalError::Line { path: path.to_owned(), line, wrong })?);
    }
    Ok(all)
}

#[derive(Deserialize)]
struct DocumentRow {
    id: Value,
    text: String,
    language: Option<Language>,
}

/// Reads documents: `{"id", "text", "language"?}` a line.
///
/// # Errors
/// Names the file, the line and what is wrong; an id may occur once.
pub fn documents(path: &Path) -> Result<Vec<Document>, EvalError> {
    let mut seen = HashSet::new();
    let documents = lines(path, |row: DocumentRow| {
        let id = said(&row.id)?;
        if id.is_empty() || row.text.trim().is_empty() {
            return Err("id or text is empty".to_owned());
        }
        if !seen.insert(id.clone()) {
            return Err(format!("the id '{id}' occurs twice"));
        }
        Ok(Document { id, text: row.text, language: row.language })
    })?;
    if documents.is_empty() {
        Err(EvalError::Empty { path: path.to_owned(), what: "document" })
    } else {
        Ok(documents)
    }
}

#[derive(Deserialize)]
struct QuestionRow {
    text: String,
    relevant: Vec<Value>,
    language: Option<Language>,
}

/// Reads questions: `{"text", "relevant": [ids], "language"?}` a line.
///
/// # Errors
/// Names the file, the line and what is wrong; each must name documents that there are.
pub fn questions(path: &Path, documents: &[Document]) -> Result<Vec<Question>, EvalError> {
    let known: HashSet<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let questions = lines(path, |row: QuestionRow| {
        let mut relevant = row.relevant.iter().map(said).collect::<Result<Vec<String>, _>>()?;
        relevant.sort_unstable();
        relevant.dedup();
        if let Some(stranger) = relevant.iter().find(|id| !known.contains(id.as_str())) {
            return Err(format!("there is no document '{stranger}'"));
        }
        if relevant.is_empty() || row.text.trim().is_empty() {
            return Err("text or relevant is empty".to_owned());
        }
        Ok(Question { text: row.text, relevant, language: row.language })
    })?;
    if questions.is_empty() {
        Err(EvalError::Empty { path: path.to_owned(), what: "question" })
    } else {
        Ok(questions)
    }
}

/// Reads entries of a knowledge base: JSON Lines as `tertulia knowledge export` writes them.
///
/// # Errors
/// Names the file and the line that is not an entry.
pub fn entries(path: &Path) -> Result<Vec<Entry>, EvalError> {
    let entries = parse(&text_of(path)?).map_err(|error| match error {
        KnowledgeError::Line { line, source } => {
            EvalError::Line { path: path.to_owned(), line: line as u64, wrong: source.to_string() }
        }
        other => other.into(),
    })?;
    if entries.is_empty() {
        Err(EvalError::Empty { path: path.to_owned(), what: "entry" })
    } else {
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file of this name and text is read as.
    fn read(name: &str, text: &str, columns: &Columns) -> Result<Vec<(String, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let found =
            labelled(&path, columns).map_err(|error| error.to_string().replace(path.to_str().unwrap(), name));
        Ok(found?.into_iter().map(|example| (example.text, example.label)).collect())
    }

    #[test]
    fn labelled_texts_are_read_from_every_kind_of_file() {
        let (none, named) =
            (Columns::default(), Columns { text: Some("says".into()), label: Some("is".into()) });
        for (name, text, columns) in [
            ("a.csv", "text,category\n\"hi, you\",x\nok,y\n", &none),
            ("a.csv", "\u{FEFF}label,text\nx,\"hi, you\"\ny,ok\n", &none),
            ("a.tsv", "text\tintent\nhi, you\tx\nok\ty\n", &none),
            (
                "a.jsonl",
                "{\"text\":\"hi, you\",\"label\":\"x\"}\n\n{\"text\":\"ok\",\"label\":\"y\"}\n",
                &none,
            ),
            ("a.CSV", "n,says,is\n1,\"hi, you\",x\n2,ok,y\n", &named),
            ("a.ndjson", "{\"says\":\"hi, you\",\"is\":\"x\"}\n{\"says\":\"ok\",\"is\":\"y\"}", &named),
        ] {
            let expected = [("hi, you".to_owned(), "x".to_owned()), ("ok".into(), "y".into())];
            assert_eq!(read(name, text, columns).as_deref(), Ok(&expected[..]), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let none = Columns::default();
        for (name, text, expected) in [
            ("a.csv", "text,label,text\nhi,x,y\n", "'a.csv', line 1: there are several columns text"),
            (
                "a.jsonl",
                "{\"text\":null,\"label\":\"x\"}\n",
                "'a.jsonl', line 1: null is neither a text nor a number",
            ),
            ("a.csv", "text,thing\nhi,x\n", "'a.csv', line 1: there is no column label or category"),
            ("a.csv", "text,label\nhi,x\n\"\",y\n", "'a.csv', line 3: the text is empty"),
            ("a.csv", "text,label\nhi,x\nonly\n", "'a.csv', line 3: CSV error"),
            ("a.jsonl", "{\"text\":\"hi\"}\n", "'a.jsonl', line 1: there is no key label or category"),
            ("a.jsonl", "\n{text}\n", "'a.jsonl', line 2: key must be a string"),
            ("a.csv", "text,label\n", "'a.csv' has no labelled text"),
            ("a.xlsx", "", "'a.xlsx' is neither .csv nor .tsv nor .jsonl"),
        ] {
            let error = read(name, text, &none).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(
            labelled(Path::new("absent.csv"), &none)
                .unwrap_err()
                .to_string()
                .starts_with("cannot read 'absent.csv'")
        );
    }

    #[test]
    fn questions_name_documents_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let docs = documents(&file(
            "d.jsonl",
            "{\"id\":1,\"text\":\"a\"}\n{\"id\":\"b\",\"text\":\"b\",\"language\":\"ar\"}",
        ))
        .unwrap();
        assert_eq!((docs[0].id.as_str(), docs[1].language), ("1", Some(Language::ARABIC)));
        let asked = questions(&file("q.jsonl", "{\"text\":\"?\",\"relevant\":[1,\"b\"]}"), &docs).unwrap();
        assert_eq!(asked[0].relevant, ["1", "b"]);
        for (text, expected) in [
            ("{\"text\":\"?\",\"relevant\":[\"c\"]}", "line 1: there is no document 'c'"),
            ("{\"text\":\"?\",\"relevant\":[]}", "line 1: text or relevant is empty"),
            ("{\"text\":\"?\"}", "line 1: missing field `relevant`"),
        ] {
            let error = questions(&file("q.jsonl", text), &docs).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let twice =
            documents(&file("d.jsonl", "{\"id\":1,\"text\":\"a\"}\n{\"id\":1,\"text\":\"b\"}")).unwrap_err();
        assert!(twice.to_string().contains("line 2: the id '1' occurs twice"), "{twice}");
    }
}
