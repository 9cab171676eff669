//! The index of the knowledge base behind its front.

use serde_json::{Map, Value};

use super::Engine;
use crate::domain::{ConversationId, Entry, Hit, Language};
use crate::failpoint;
use crate::ports::{EntryPage, Search, Vectored, VectorsError, VectorsRequest, VectorsResponse};
use crate::supervision::service::{Blame, Work};
use crate::supervision::{CallError, FrontHandle, Service};

/// What answers for an index.
pub type VectorsEngine = Engine<VectorsRequest, VectorsResponse, VectorsError>;

/// Search in the knowledge base, and its changes where the index holds the entries itself.
pub struct VectorsService(pub VectorsEngine);

impl Service for VectorsService {
    type Request = VectorsRequest;
    type Response = VectorsResponse;
    type Error = VectorsError;
    const NAME: &'static str = "vectors";

    fn call(&self, request: VectorsRequest) -> Work<VectorsResponse, VectorsError> {
        failpoint!("services.vectors");
        self.0.call(request)
    }

    fn blame(error: &VectorsError) -> Blame {
        match error {
            VectorsError::Failed(_) | VectorsError::Unavailable(_) => Blame::Service,
            VectorsError::Throttled { retry_after, .. } => Blame::NotBefore(*retry_after),
            VectorsError::Refused(_) | VectorsError::TooLong(_) => Blame::Request,
        }
    }

    fn refresh(&self) {
        self.0.refresh();
    }

    fn detail(&self) -> Map<String, Value> {
        self.0.detail()
    }
}

type Answered<T> = Result<T, CallError<VectorsError>>;

impl FrontHandle<VectorsService> {
    /// The best hits for a question, best first; for a turn of this conversation or for nobody's.
    ///
    /// # Errors
    /// As [`FrontHandle::call`].
    pub async fn search(&self, whose: Option<ConversationId>, search: Search) -> Answered<Vec<Hit>> {
        match self.call(whose, VectorsRequest::Search(search)).await? {
            VectorsResponse::Hits(hits) => Ok(hits),
            VectorsResponse::Page(_) | VectorsResponse::Count(_) => Err(confused()),
        }
    }

    /// The entries among `limit` records behind the first `skip`, in the index's own order.
    ///
    /// # Errors
    /// As [`FrontHandle::call`].
    pub async fn page(&self, skip: usize, limit: usize) -> Answered<EntryPage> {
        self.paged(VectorsRequest::Page { skip, limit }).await
    }

    /// What an entry says, in one language or in all.
    ///
    /// # Errors
    /// As [`FrontHandle::call`].
    pub async fn get(&self, id: String, language: Option<Language>) -> Answered<Vec<Entry>> {
        Ok(self.paged(VectorsRequest::Get { id, language }).await?.entries)
    }

    /// Adds entries, or replaces those of the same id and language; all or none. Tells how many.
    ///
    /// # Errors
    /// As [`FrontHandle::call`].
    pub async fn upsert(&self, entries: Vec<Vectored>) -> Answered<usize> {
        self.counted(VectorsRequest::Upsert(entries)).await
    }

    /// Removes an entry in one language or in all; tells how many versions that were.
    ///
    /// # Errors
    /// As [`FrontHandle::call`].
    pub async fn delete(&self, id: String, language: Option<Language>) -> Answered<usize> {
        self.counted(VectorsRequest::Delete { id, language }).await
    }

    /// How many entries there are, as far as the index can tell.
    ///
    /// # Errors
    /// As [`FrontHandle::call`].
    pub async fn count(&self) -> Answered<usize> {
        self.counted(VectorsRequest::Count).await
    }

    async fn paged(&self, request: VectorsRequest) -> Answered<EntryPage> {
        match self.call(None, request).await? {
            VectorsResponse::Page(page) => Ok(page),
            VectorsResponse::Hits(_) | VectorsResponse::Count(_) => Err(confused()),
        }
    }

    async fn counted(&self, request: VectorsRequest) -> Answered<usize> {
        match self.call(None, request).await? {
            VectorsResponse::Count(count) => Ok(count),
            VectorsResponse::Hits(_) | VectorsResponse::Page(_) => Err(confused()),
        }
    }
}

/// An index that answers another question than it was asked.
fn confused() -> CallError<VectorsError> {
    CallError::Failed(VectorsError::Failed("the answer is to another request".into()))
}
