//! The classifier on the command line: its examples, corrections, and what it says of texts. What changes the database asks the
//! running server, or takes the lock where there is none.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tertulia_actors::domain::{Class, ConversationId, Language, Tick, TurnId};
use tertulia_actors::ports::{ClassExample, Clock, UnreadableExample};

use super::Failure;
use super::acts::{Outcome, Server, done};
use super::knowledge::{change, count, must_exist};
use super::output::{complain, say};
use crate::config::Config;
use crate::eval::decide;
use crate::knowledge::ExampleClassifier;
use crate::knowledge::classify::classifier::examples;
use crate::knowledge::examples as kept;
use crate::store::{OpenError, db};
use crate::system::SystemClock;

/// Where the server serves the examples.
const PATH: &str = "/v1/classifier/examples";

/// Examples that the server is sent at a time, so that messages do not wait for a long commit.
const EXAMPLES_PER_CALL: usize = 100;

pub(super) const CLASSIFY_HELP: &str = "\
Examples:
  tertulia classify 'where is my order?' 'شكرا'
  tertulia classify 'where is my order?' --set embedding.backend=model

Each text gives a line of JSON: text, class (what the server would make of it), found, confidence, scope, language. found is the
likeliest class; it is other that counts where confidence is below pipeline.class_confidence_min, or scope below
pipeline.class_scope_min.

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration";

pub(super) const HELP: &str = "\
Examples:
  tertulia classifier examples add complaint 'my cooler is noisy' 'the pump squeaks'
  tertulia classifier examples import examples.csv          columns text, class and language (may be left out)
  tertulia classifier examples export --format csv > examples.csv
  tertulia classifier examples remove 17 23
  tertulia classifier correct CONVERSATION TURN complaint

Of texts with the same words the latest is right. A running server learns from a change by itself, within seconds.

Exit codes: 0 fine, 1 failed; standard error says why, 2 wrong usage or configuration";

/// What to do with the classifier.
#[derive(Debug, Subcommand)]
pub(super) enum Classifier {
    /// Examples beside the built-in ones and those of the configuration.
    #[command(subcommand)]
    Examples(Examples),
    /// Say what a turn really was: its text becomes an example of that class.
    Correct {
        /// The conversation.
        conversation: ConversationId,
        /// The turn, as GET /v1/conversations/{id}/turns shows it.
        turn: TurnId,
        /// What it was.
        class: Class,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Examples {
    /// List them, each as a line of JSON: number, text, class, language, origin, time; or, of one that cannot be read, number and
    /// why.
    List,
    /// Add texts as examples of a class.
    Add {
        /// The class.
        class: Class,
        /// The texts.
        #[arg(required = true)]
        texts: Vec<String>,
        /// The language of the texts.
        #[arg(long)]
        language: Option<Language>,
    },
    /// Remove examples.
    Remove {
        /// Their numbers, as `list` shows them.
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Add those of a file: CSV with a head, or JSON Lines (text, class, language).
    Import {
        /// The file; CSV if its name ends in .csv, else JSON Lines.
        file: PathBuf,
    },
    /// Print all of them; `import` reads them back.
    Export {
        /// How.
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Format {
    /// JSON Lines.
    Jsonl,
    /// Comma-separated values with a head.
    Csv,
}

pub(super) fn run(asked: &Classifier, config: &Config) -> Outcome {
    match asked {
        Classifier::Examples(Examples::List) => list(config),
        Classifier::Examples(Examples::Add { class, texts, language }) => {
            let example =
                |text: &String| ClassExample { text: text.clone(), class: *class, language: *language };
            add(config, &texts.iter().map(example).collect::<Vec<_>>())
        }
        Classifier::Examples(Examples::Remove { ids }) => remove(config, ids),
        Classifier::Examples(Examples::Import { file }) => add(config, &read(file)?),
        Classifier::Examples(Examples::Export { format }) => export(config, *format),
        Classifier::Correct { conversation, turn, class } => correct(config, (*conversation, *turn), *class),
    }
}

/// What `classify` says of a text.
#[derive(Serialize)]
struct Classified<'a> {
    text: &'a str,
    class: Class,
    found: Class,
    confidence: f32,
    scope: f32,
    language: Option<Language>,
}

pub(super) fn classify(config: &Config, texts: &[String]) -> Outcome {
    let examples = examples(&config.classifier.examples, &stored(config)?);
    let mut meaning = super::meaning::meaning(config)?;
    let vectors = meaning.of_all(&examples)?;
    let classifier = ExampleClassifier::of(&config.pipeline.languages, &examples, &vectors);
    for text in texts {
        let found = classifier.classify_now(text, meaning.of(text)?.as_deref());
        let class = decide::class(&found, &config.pipeline);
        let (found, confidence, scope, language) =
            (found.class, found.confidence, found.scope, found.language);
        say(serde_json::to_string(&Classified { text, class, found, confidence, scope, language })?)?;
    }
    done()
}

/// The examples in the database; none where there is no database.
fn stored(config: &Config) -> Result<Vec<ClassExample>, Failure> {
    let path = &config.storage.path;
    let conn = match db::open_to_read(path) {
        Err(OpenError::Missing { .. }) => return Ok(vec![]),
        opened => opened.map_err(|error| unread(path, &error))?,
    };
    Ok(readable(kept::all(&conn).map_err(|error| unread(path, &error))?))
}

fn unread(path: &Path, error: &dyn std::error::Error) -> String {
    format!("the examples of the classes in '{}' cannot be read: {error}", path.display())
}

/// Leaves out those that cannot be read, and complains of each.
fn readable((examples, unreadable): (Vec<ClassExample>, Vec<UnreadableExample>)) -> Vec<ClassExample> {
    for UnreadableExample { id, reason } in unreadable {
        complain(format_args!("example {id} cannot be read, and is left out: {reason}; {}", kept::REMEDY));
    }
    examples
}

fn list(config: &Config) -> Outcome {
    for row in kept::list(&db::open_to_read(&config.storage.path)?, 0, usize::MAX)? {
        say(serde_json::to_string(&row)?)?;
    }
    done()
}

fn export(config: &Config, format: Format) -> Outcome {
    let examples = readable(kept::all(&db::open_to_read(&config.storage.path)?)?).into_iter();
    match format {
        Format::Jsonl => {
            for example in examples {
                say(serde_json::to_string(&example)?)?;
            }
        }
        Format::Csv => say(to_csv(examples)?.trim_end())?,
    }
    done()
}

fn to_csv(examples: impl Iterator<Item = ClassExample>) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(["text", "class", "language"])?;
    for ClassExample { text, class, language } in examples {
        let language = language.map(|language| language.to_string()).unwrap_or_default();
        writer.write_record([text.as_str(), class.as_str(), &language])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The examples of a file. A line that is none is named, and nothing is added.
fn read(file: &Path) -> Result<Vec<ClassExample>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
    let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let read = if is_csv { from_csv(&text) } else { from_lines(&text) };
    let examples = read.map_err(|error| format!("'{}', {error}", file.display()))?;
    if examples.is_empty() {
        Err(format!("'{}' has no examples", file.display()).into())
    } else {
        Ok(examples)
    }
}

fn from_csv(text: &str) -> Result<Vec<ClassExample>, Failure> {
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let read = |row: csv::Result<ClassExample>| row.map_err(|error| format!("{error}").into());
    reader.deserialize().map(read).collect()
}

fn from_lines(text: &str) -> Result<Vec<ClassExample>, Failure> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {number} is no example: {error}").into())
    };
    lines.map(read).collect()
}

fn add(config: &Config, examples: &[ClassExample]) -> Outcome {
    let now = SystemClock::anchored_behind(Tick(0)).now();
    let added =
        change(config, |conn| Ok(kept::put(conn, examples, now)?), |server| add_there(server, examples))?;
    say(format_args!("{added} examples were added"))?;
    done()
}

/// Sends examples in small calls; each is one commit, so that a failure leaves those before it added.
fn add_there(server: &Server, examples: &[ClassExample]) -> Result<usize, Failure> {
    kept::check(examples)?;
    let mut added = 0;
    for some in examples.chunks(EXAMPLES_PER_CALL) {
        let call = server.call(Method::POST, PATH, &[], Some(&serde_json::to_value(some)?));
        added += count(&call.map_err(|error| format!("{error} ({added} examples are added)"))?, "added");
    }
    Ok(added)
}

fn remove(config: &Config, ids: &[i64]) -> Outcome {
    must_exist(config)?;
    let removed = change(
        config,
        |conn| Ok(kept::remove(conn, ids)?),
        |server| {
            let call = |id: &i64| server.call(Method::DELETE, PATH, &[("id", &id.to_string())], None);
            ids.iter().map(|id| Ok(count(&call(id)?, "removed"))).sum()
        },
    )?;
    say(format_args!("{removed} examples were removed"))?;
    if removed == 0 { Err("there are no such examples".into()) } else { done() }
}

fn correct(config: &Config, of: (ConversationId, TurnId), class: Class) -> Outcome {
    must_exist(config)?;
    let now = SystemClock::anchored_behind(Tick(0)).now();
    let corrected = change(
        config,
        |conn| Ok(usize::from(kept::correct(conn, of, class, now)?.is_some())),
        |server| {
            let path = format!("/v1/conversations/{}/turns/{}/class", of.0, of.1);
            let answer: Value = server.call(Method::POST, &path, &[], Some(&json!({ "class": class })))?;
            Ok(usize::from(answer.get("example").is_some()))
        },
    )?;
    if corrected == 0 {
        return Err("the conversation has no such turn".into());
    }
    say(format_args!("turn {} is an example of {class} now", of.1))?;
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_is_read_back() {
        let example =
            |text: &str, language| ClassExample { text: text.into(), class: Class::Complaint, language };
        let all = [
            example("a, \"b\"\nc", None),
            example("مكسور", Some(Language::ARABIC)),
            example("plain", Some(Language::ENGLISH)),
        ];
        assert_eq!(from_csv(&to_csv(all.iter().cloned()).unwrap()).unwrap(), all);
        let lines: Vec<_> = all.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
        assert_eq!(from_lines(&lines.join("\n\n")).unwrap(), all);
        assert_eq!(from_csv("\u{feff}text,label\nhi,greeting\n").unwrap()[0].class, Class::Greeting);
    }

    #[test]
    fn a_line_that_is_no_example_is_named() {
        for (error, expected) in [
            (
                from_lines("{\"text\":\"x\",\"class\":\"other\"}\n{}").unwrap_err(),
                "line 2 is no example: missing field `text`",
            ),
            (from_lines("{\"text\":\"x\",\"class\":\"rage\"}").unwrap_err(), "unknown variant `rage`"),
            (from_csv("text,class\nx,other\ny,rage\n").unwrap_err(), "line: 3"),
            (from_csv("text\nx\n").unwrap_err(), "missing field `class`"),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
