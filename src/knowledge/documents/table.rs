//! Tables of entries: CSV with a head, and JSON Lines.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tertulia_actors::domain::Entry;

use super::ids::Ids;
use super::quotes::unclosed;
use super::{DocumentError, Draft, Reading, Tongue};
use crate::knowledge::entries;

/// The columns of a table, where they are not called as usual: `question`, `answer`, `id`, `language`.
#[derive(Clone, Default, Debug)]
pub struct Columns {
    /// Of the question.
    pub question: Option<String>,
    /// Of the answer.
    pub answer: Option<String>,
    /// Of the id; where a table has none, ids are made of the questions.
    pub id: Option<String>,
    /// Of the language; where a table has none, it is found out.
    pub language: Option<String>,
}

/// All columns of an entry, as they are written. Only question and answer are needed.
const HEAD: [&str; 9] =
    ["id", "language", "question", "phrasings", "answer", "tags", "accounts", "valid_from", "valid_until"];

/// The columns whose cells hold several texts, and what parts them: a line each, or commas as well. A cell that begins like a list of
/// JSON is one, for texts that hold such a mark themselves.
const LISTS: [(&str, &[char]); 3] =
    [("phrasings", &['\n']), ("tags", &['\n', ',']), ("accounts", &['\n', ','])];

/// What is told of a quotation mark that swallows other cells.
const UNCLOSED: &str = "a quotation mark opens a cell and nothing closes it: close it behind the cell's last character; within a cell \
                        in quotation marks, write each mark of the text twice";

/// Reads a table of entries.
///
/// # Errors
/// Names the line and what is wrong with it.
pub(super) fn read(text: &str, delimiter: u8, reading: &Reading) -> Result<Draft, DocumentError> {
    // Where tabs part columns, quotation marks are part of the text.
    let quotes = delimiter != b'\t';
    if let Some(line) = unclosed(text, delimiter).filter(|_| quotes) {
        return Err(wrong(line, UNCLOSED.into()));
    }
    let mut reader =
        csv::ReaderBuilder::new().quoting(quotes).delimiter(delimiter).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    let places = places(&names, &reading.columns)?;
    let mut rows = vec![];
    for row in reader.records() {
        let row =
            row.map_err(|error| wrong(error.position().map_or(0, csv::Position::line), error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        rows.push(Row { line, cells: cells(&row, &places).map_err(|what| wrong(line, what))? });
    }
    if rows.is_empty() {
        return Err(DocumentError::Empty("line of entries"));
    }
    let is_source = !places.iter().any(|(column, _)| *column == "id");
    let mut missing = strangers(&names, &places);
    let passages = rows.iter().filter(|row| row.text("question").is_empty()).count();
    if is_source && passages > 0 {
        missing.push(format!(
            "{passages} of its lines have no question: they are passages, which are never sent as a reply by themselves"
        ));
    }
    Ok(Draft { is_source, entries: complete(rows, reading)?, missing })
}

/// Reads entries as the export writes them.
///
/// # Errors
/// Names the first line that is no entry.
pub(super) fn lines(text: &str) -> Result<Draft, DocumentError> {
    let entries = entries::parse(text)?;
    if entries.is_empty() {
        Err(DocumentError::Empty("entry"))
    } else {
        Ok(Draft { entries, is_source: false, missing: vec![] })
    }
}

/// Entries as a table that is read back as the same entries.
#[must_use]
pub fn to_csv(entries: &[Entry]) -> String {
    let mut writer = csv::Writer::from_writer(vec![]);
    let head = std::iter::once(HEAD.map(str::to_owned));
    let rows = entries.iter().map(|entry| {
        let entry = serde_json::to_value(entry).unwrap_or_default();
        HEAD.map(|column| written(column, &entry[column]))
    });
    // Memory takes everything that is written to it.
    let done = head.chain(rows).try_for_each(|row| writer.write_record(row));
    let bytes = done.ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// What stands in a cell.
fn written(column: &str, value: &Value) -> String {
    let Value::Array(items) = value else { return value.as_str().unwrap_or_default().to_owned() };
    let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
    let cell = items.join("\n");
    if list(column, &cell).is_ok_and(|read| read == items) { cell } else { value.to_string() }
}

fn wrong(line: u64, wrong: String) -> DocumentError {
    DocumentError::Line { line, wrong }
}

/// What is told of columns that mean nothing here: one may be a slip of the pen.
fn strangers(names: &csv::StringRecord, places: &[(&'static str, usize)]) -> Vec<String> {
    let is_known = |at: usize| places.iter().any(|(_, place)| *place == at);
    let unknown: Vec<&str> =
        names.iter().enumerate().filter(|(at, _)| !is_known(*at)).map(|(_, name)| name.trim()).collect();
    if unknown.is_empty() {
        return vec![];
    }
    vec![format!("columns that are not read: {}; these are: {}", unknown.join(", "), HEAD.join(", "))]
}

/// Where the columns of a table are that are known.
fn places(names: &csv::StringRecord, columns: &Columns) -> Result<Vec<(&'static str, usize)>, DocumentError> {
    let all = || names.iter().map(str::trim).collect::<Vec<_>>().join(", ");
    let mut places = vec![];
    for column in HEAD {
        let named = columns.named(column);
        let name = named.unwrap_or(column);
        let mut found = names.iter().enumerate().filter(|(_, found)| found.trim() == name).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => return Err(wrong(1, format!("there are several columns {name}"))),
            (Some(at), None) => places.push((column, at)),
            (None, _) if named.is_some() => {
                return Err(wrong(1, format!("there is no column {name} among: {}", all())));
            }
            (None, _) if matches!(column, "question" | "answer") => {
                if names.len() == 1 && names.iter().any(|name| name.contains(';')) {
                    let parted =
                        "its columns are parted by semicolons: save it with commas, or with tabs as .tsv";
                    return Err(wrong(1, parted.into()));
                }
                let option = format!("--{column}-column names another");
                return Err(wrong(1, format!("there is no column {column} among: {} ({option})", all())));
            }
            (None, _) => {}
        }
    }
    Ok(places)
}

impl Columns {
    fn named(&self, column: &str) -> Option<&str> {
        let named = match column {
            "question" => &self.question,
            "answer" => &self.answer,
            "id" => &self.id,
            "language" => &self.language,
            _ => &None,
        };
        named.as_deref()
    }
}

/// A line of a table.
struct Row {
    line: u64,
    /// What is in it, by the names of an entry's fields; what is blank is left out.
    cells: Map<String, Value>,
}

impl Row {
    fn text(&self, column: &str) -> &str {
        self.cells.get(column).and_then(Value::as_str).unwrap_or_default()
    }
}

fn cells(row: &csv::StringRecord, places: &[(&'static str, usize)]) -> Result<Map<String, Value>, String> {
    let mut cells = Map::new();
    for (column, at) in places {
        let cell = row.get(*at).unwrap_or_default();
        let is_blank = cell.trim().is_empty();
        let value = match *column {
            "id" | "answer" if is_blank => return Err(format!("the {column} is empty")),
            _ if is_blank => continue,
            "id" | "question" | "answer" => cell.into(),
            "phrasings" | "tags" | "accounts" => list(column, cell)?.into(),
            _ => cell.trim().into(),
        };
        cells.insert((*column).to_owned(), value);
    }
    Ok(cells)
}

/// The texts in a cell.
fn list(column: &str, cell: &str) -> Result<Vec<String>, String> {
    if cell.trim_start().starts_with('[') {
        return serde_json::from_str(cell)
            .map_err(|error| format!("the {column} begin like a list of JSON and are none: {error}"));
    }
    let marks = LISTS.iter().find(|(name, _)| *name == column).map_or(&[][..], |(_, marks)| marks);
    let items = cell.split(marks).map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(str::to_owned).collect())
}

/// The entries of rows, with the ids and languages that these lack.
fn complete(rows: Vec<Row>, reading: &Reading) -> Result<Vec<Entry>, DocumentError> {
    let all: Vec<&str> = rows.iter().flat_map(|row| [row.text("question"), row.text("answer")]).collect();
    let tongue = Tongue::of(&all.join("\n"), reading);
    let mut ids = Ids::new(&reading.name);
    let mut seen = HashMap::new();
    let mut entries = Vec::with_capacity(rows.len());
    for mut row in rows {
        let (question, answer) = (row.text("question").to_owned(), row.text("answer"));
        let language = tongue.of_part(&[&question, answer]);
        let given = row.cells.contains_key("id");
        row.cells.entry("language").or_insert_with(|| language.as_str().into());
        let said = if question.is_empty() { vec![] } else { vec![&question] };
        row.cells.entry("id").or_insert_with(|| ids.next(&said).into());
        row.cells.entry("question").or_insert_with(|| "".into());
        let entry = serde_json::from_value::<Entry>(row.cells.into());
        let entry = entry.map_err(|error| wrong(row.line, error.to_string()))?;
        if let Some(first) = seen.insert((entry.id.clone(), entry.language), row.line).filter(|_| given) {
            return Err(wrong(row.line, format!("the id '{}' is that of line {first} too", entry.id)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
