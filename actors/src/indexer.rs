//! Embeds the entries of the knowledge base that a model has not embedded yet: new ones, changed ones, and all of them after the
//! model changed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use serde_json::json;

use crate::ports::store::StoreError;
use crate::ports::{Embeddable, Embedded, EntryVectors, Unembedded};
use crate::services::EmbeddingService;
use crate::supervision::FrontHandle;
use crate::supervision::snapshot::{Act, Action, Inspect, Kind, Snapshot};
use crate::supervision::supervised::{Keeper, unwind_for_restart};

/// Entries that are embedded at a time, and texts: as many calls as one asker may have at a front, and few enough that those of
/// turns never wait long.
const PAGE: usize = 16;

/// How long it waits before it looks whether entries have changed.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it waits after something failed; twice as long each further time in a row.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The longest such wait.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Characters of a page at the most, but for one entry alone, so that it is done well within a front's deadline.
const CHARS_MAX: usize = 4_096;

/// A page of entries was looked at.
#[derive(Message)]
#[rtype(result = "()")]
struct Looked {
    life: u32,
    page: Result<Page, String>,
}

/// What came of a page.
struct Page {
    /// The state of the entries before it was read.
    generation: i64,
    /// Its last row, behind which the next one begins, if there may be more.
    next: Option<i64>,
    /// Entries that were looked at, and those of them that are embedded now.
    count: usize,
    kept: usize,
    /// Entries that could not be embedded.
    failed: usize,
}

/// Owns its place in the entries.
///
/// Sent to by nobody but its own tasks. One page is under way at a time; a full page is followed by the next one at once, else by a
/// pause, after which it begins anew if entries have changed, or some could not be embedded. Only looks at the database's
/// generation number while nothing changes.
pub struct Indexer {
    parts: Rc<IndexerParts>,
    /// The state of the entries all of which are embedded.
    done: Option<i64>,
    /// Their state when this walk began: what changed since then may lie behind it.
    began: i64,
    behind: i64,
    pause: Duration,
    kept: u64,
    failed: u64,
    /// Entries of this walk that could not be embedded.
    left: usize,
    /// Which of the values that this actor had over time: the tasks of a former one do not count.
    life: u32,
}

/// What an indexer works with.
pub struct IndexerParts {
    /// The entries.
    pub knowledge: Arc<dyn EntryVectors>,
    /// What embeds.
    pub embedding: FrontHandle<EmbeddingService>,
    /// The name of the model, as vectors are kept by.
    pub model: String,
    /// What keeps the indexer alive.
    pub keeper: Rc<Keeper>,
}

impl Indexer {
    /// An indexer of all entries.
    #[must_use]
    pub const fn new(parts: Rc<IndexerParts>) -> Self {
        Self {
            parts,
            done: None,
            began: 0,
            behind: 0,
            pause: PAUSE_AFTER_FAILURE,
            kept: 0,
            failed: 0,
            left: 0,
            life: 0,
        }
    }

    fn look(&self, ctx: &Context<Self>) {
        let (parts, done, behind) = (Rc::clone(&self.parts), self.done, self.behind);
        let (life, indexer) = (self.life, ctx.address());
        self.parts.keeper.spawn(async move {
            let page = page(&parts, done, behind).await.map_err(|error| error.to_string());
            indexer.do_send(Looked { life, page });
        });
    }

    /// What follows a page: how long to wait.
    fn after(&mut self, page: &Page) -> Duration {
        self.kept += page.kept as u64;
        self.failed += page.failed as u64;
        self.left += page.failed;
        if self.behind == 0 {
            self.began = page.generation;
        }
        let is_away = page.failed > 0 && page.failed == page.count;
        if let Some(next) = page.next
            && !is_away
        {
            self.behind = next;
            return Duration::from_millis(1);
        }
        self.behind = 0;
        let left = std::mem::take(&mut self.left);
        if left > 0 {
            tracing::warn!(
                entries = left,
                "entries could not be embedded; they are found by their words alone until then"
            );
            return self.after_failure();
        }
        self.done = Some(self.began);
        self.pause = PAUSE_AFTER_FAILURE;
        PAUSE
    }

    fn after_failure(&mut self) -> Duration {
        (self.behind, self.done, self.left) = (0, None, 0);
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

/// Embeds one page of entries, if there is any that needs it.
async fn page(parts: &IndexerParts, done: Option<i64>, behind: i64) -> Result<Page, StoreError> {
    let generation = parts.knowledge.generation().await?;
    if behind == 0 && done == Some(generation) {
        return Ok(Page { generation, next: None, count: 0, kept: 0, failed: 0 });
    }
    let mut entries = parts.knowledge.unembedded(parts.model.clone(), behind, PAGE).await?;
    let (found, mut texts, mut chars) = (entries.len(), 0, 0);
    let fits = |entry: &&Unembedded| {
        texts += entry.texts.len();
        chars += entry.texts.iter().map(|text| text.text.chars().count()).sum::<usize>();
        texts <= PAGE && chars <= CHARS_MAX
    };
    let count = entries.iter().take_while(fits).count().max(1).min(found);
    entries.truncate(count);
    let next = entries.last().filter(|_| count < found || found == PAGE).map(|last| last.row);
    let embedded = embed(&parts.embedding, entries).await;
    let failed = count - embedded.len();
    let kept = if embedded.is_empty() {
        0
    } else {
        parts.knowledge.put_embedded(parts.model.clone(), embedded).await?
    };
    Ok(Page { generation, next, count, kept, failed })
}

/// Embeds entries, and leaves out those of which a text could not be embedded.
async fn embed(embedding: &FrontHandle<EmbeddingService>, entries: Vec<Unembedded>) -> Vec<Embedded> {
    let texts: Vec<&Embeddable> = entries.iter().flat_map(|entry| &entry.texts).collect();
    let mut vectors = Vec::with_capacity(texts.len());
    for some in texts.chunks(PAGE) {
        vectors.extend(join_all(some.iter().map(|text| embedding.call(None, (*text).clone()))).await);
    }
    let mut vectors = vectors.into_iter();
    let with_vectors = entries.into_iter().filter_map(|Unembedded { row, texts }| {
        let own: Vec<_> = vectors.by_ref().take(texts.len()).collect();
        let vectors = own.into_iter().collect::<Result<_, _>>().ok()?;
        Some(Embedded { row, texts, vectors })
    });
    with_vectors.collect()
}

impl Actor for Indexer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (inspect, act) = (ctx.address().recipient(), ctx.address().recipient());
        self.parts.keeper.reporter.register(Kind::Actor, inspect, Some(act), &[Action::Restart]);
        self.look(ctx);
    }
}

impl Supervised for Indexer {
    fn restarting(&mut self, _: &mut Self::Context) {
        let (life, kept, failed) = (self.life.wrapping_add(1), self.kept, self.failed);
        *self = Self { life, kept, failed, ..Self::new(Rc::clone(&self.parts)) };
    }
}

impl Handler<Looked> for Indexer {
    type Result = ();

    fn handle(&mut self, Looked { life, page }: Looked, ctx: &mut Self::Context) {
        if life != self.life {
            return;
        }
        let pause = match page {
            Ok(page) => self.after(&page),
            Err(error) => {
                tracing::warn!(error, "entries cannot be read or kept to be embedded");
                self.after_failure()
            }
        };
        ctx.run_later(pause, |indexer, ctx| indexer.look(ctx));
    }
}

impl Handler<Inspect> for Indexer {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        let detail = json!({ "model": self.parts.model });
        let (handled, failed) = (Some(self.kept), Some(self.failed));
        MessageResult(Snapshot { handled, failed, detail, ..Snapshot::default() })
    }
}

impl Handler<Act> for Indexer {
    type Result = ();

    /// The monitor passes on restarts only.
    fn handle(&mut self, _: Act, _: &mut Self::Context) {
        unwind_for_restart()
    }
}

#[cfg(test)]
mod tests;
