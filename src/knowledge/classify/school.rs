//! What the classifier learns: from all examples that there are, by what is known of their meaning.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tertulia_actors::domain::Language;
use tertulia_actors::failpoint;
use tertulia_actors::ports::{ClassExample, UnreadableExample};
use tokio::sync::watch;

use super::classifier::{ExampleClassifier, Examples, examples};
use super::labels::Example;
use super::trainer::{EmbedBy, TrainerParts};
use super::vectors::{ExampleVectors, PAGE};
use crate::knowledge::examples::{ExampleError, REMEDY, all, generation};

/// How long a connection waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// A classifier, and of which generation of the examples it has learnt, by their words at least; none where they could not be read.
pub(super) struct Trained {
    pub(super) generation: Option<i64>,
    pub(super) classifier: ExampleClassifier,
}

/// Opens a database to read only.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    // Not read-only: a reader of a database in WAL mode may have to create its shared memory file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(LOCK_WAIT)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// The examples in the database, and their generation, of the same moment.
struct Stored {
    generation: i64,
    kept: Vec<ClassExample>,
    unreadable: Vec<UnreadableExample>,
}

fn read(path: &Path) -> Result<Stored, ExampleError> {
    let conn = open(path)?;
    let transaction = conn.unchecked_transaction()?;
    let generation = generation(&conn)?;
    let (kept, unreadable) = all(&conn)?;
    transaction.commit()?;
    Ok(Stored { generation, kept, unreadable })
}

/// What the trainer's thread has.
pub(super) struct School {
    path: PathBuf,
    languages: Vec<Language>,
    extra: Examples,
    vectors: ExampleVectors,
    /// Whether all examples that were read last have been learnt, with all that can be known of their meaning.
    is_done: bool,
    /// Whether it was said that the model is away.
    is_away: bool,
    /// Examples that cannot be read, of which that was said.
    unreadable: HashSet<i64>,
}

impl School {
    /// The school, and its first classifier: of all examples, of those in the database the words alone. To be called on the thread
    /// that will learn.
    pub(super) fn open(parts: TrainerParts) -> (Self, Trained) {
        let TrainerParts { path, languages, extra, embed } = parts;
        let (embedder, waits) = match embed {
            EmbedBy::Nothing => (None, false),
            EmbedBy::Here(make) => (Some(make()), true),
            EmbedBy::Elsewhere(make) => (Some(make()), false),
        };
        let (vectors, unreadable) = (ExampleVectors::by(embedder), HashSet::new());
        let mut school = Self { path, languages, extra, vectors, is_done: false, is_away: false, unreadable };
        let first = school.first(waits);
        (school, first)
    }

    fn first(&mut self, waits: bool) -> Trained {
        let (generation, kept) = self.read().map_or((None, vec![]), |(known, kept)| (Some(known), kept));
        if waits {
            self.embed(&examples(&self.extra, &[]), || true);
        }
        let examples = examples(&self.extra, &kept);
        self.is_done = generation.is_some() && self.vectors.unknown(&examples).is_empty();
        Trained { generation, classifier: self.teach(&examples) }
    }

    /// Whether nothing is left to be learnt, as far as is known.
    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// The examples in the database that can be read. Of each other one it is said once that it is left out.
    fn read(&mut self) -> Result<(i64, Vec<ClassExample>), ExampleError> {
        let Stored { generation, kept, unreadable } = read(&self.path)?;
        for UnreadableExample { id, reason } in &unreadable {
            if !self.unreadable.contains(id) {
                tracing::error!(
                    example.id = id,
                    reason,
                    "an example of a class cannot be read, and is left out: {REMEDY}"
                );
            }
        }
        self.unreadable = unreadable.into_iter().map(|one| one.id).collect();
        Ok((generation, kept))
    }

    /// Learns from all examples that there are, unless they are known or nobody is left who wants it, and says what it has learnt: by
    /// words first, where it takes a while to find out what they mean.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub(super) fn learn(&mut self, says: &watch::Sender<Arc<Trained>>) -> Result<(), ExampleError> {
        failpoint!("classifier.train");
        let (generation, kept) = self.read()?;
        let is_new = || says.borrow().generation != Some(generation);
        if self.is_done && !is_new() {
            return Ok(());
        }
        self.is_done = false;
        let (begun, wants) = (Instant::now(), || says.receiver_count() > 0);
        let examples = examples(&self.extra, &kept);
        let say = |school: &Self| {
            let classifier = school.teach(&examples);
            says.send_replace(Arc::new(Trained { generation: Some(generation), classifier }));
        };
        if is_new() && self.vectors.unknown(&examples).len() > PAGE {
            say(self);
        }
        let has_changed = self.embed(&examples, wants);
        if !wants() {
            return Ok(());
        }
        let unknown = self.vectors.unknown(&examples).len();
        if has_changed || is_new() {
            say(self);
            let (all, took_ms) = (examples.len(), begun.elapsed().as_millis());
            tracing::info!(examples = all, kept = kept.len(), unknown, took_ms, "the classifier has learnt");
        }
        self.is_done = unknown == 0;
        Ok(())
    }

    /// Embeds examples that are new; tells whether that changes what is known of their meaning.
    fn embed(&mut self, examples: &[Example], wants: impl Fn() -> bool) -> bool {
        let embedded = self.vectors.embed(examples, wants);
        let was_away = std::mem::replace(&mut self.is_away, embedded.is_err());
        match embedded {
            Ok(has_changed) => return has_changed,
            Err(error) if !was_away => tracing::warn!(
                %error,
                "examples of the classes cannot be embedded now, and tell by what is known; it is tried again"
            ),
            Err(_) => {}
        }
        false
    }

    /// A classifier of these examples, by what is known of their meaning.
    fn teach(&self, examples: &[Example]) -> ExampleClassifier {
        ExampleClassifier::of(&self.languages, examples, &self.vectors.of(examples))
    }
}
