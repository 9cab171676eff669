//! What people did who supervise, and who of them signed out.

use schemars::JsonSchema;
use serde::Serialize;

use super::StoreFuture;
use crate::domain::Timestamp;

/// What somebody is about to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Who.
    pub who: String,
    /// The role by which they may.
    pub role: String,
    /// What: a stable name.
    pub action: String,
    /// To what: a path of the tree, a conversation, …
    pub target: String,
    /// Why.
    pub reason: Option<String>,
}

/// An entry of the audit log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AuditView {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// The role by which they could.
    pub role: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// Why.
    pub reason: Option<String>,
    /// What came of it: `done`, or why not; none where that was not written any more.
    pub outcome: Option<String>,
}

/// A session of the console that was ended before its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedOut {
    /// Which.
    pub session: String,
    /// When it would have ended by itself.
    pub ends_at: Timestamp,
}

/// The audit log. Nothing in it is ever changed but the outcome, once.
pub trait Audit: Send + Sync + 'static {
    /// Writes down what somebody is about to do; answers its number.
    fn begin_audit(&self, entry: AuditEntry) -> StoreFuture<i64>;

    /// Writes down what came of it.
    fn end_audit(&self, id: i64, outcome: String) -> StoreFuture<()>;

    /// Entries before the number `before`, the newest first.
    fn audit_entries(&self, before: Option<i64>, limit: usize) -> StoreFuture<Vec<AuditView>>;

    /// Keeps that a session was ended, until it would have ended by itself.
    fn sign_out(&self, ended: SignedOut) -> StoreFuture<()>;

    /// Sessions that were ended, and had not ended by themselves when the last one was.
    fn signed_out(&self) -> StoreFuture<Vec<SignedOut>>;
}
