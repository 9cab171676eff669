//! What people did who supervise.

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

/// The audit log. Nothing in it is ever changed but the outcome, once.
pub trait Audit: Send + Sync + 'static {
    /// Writes down what somebody is about to do; answers its number.
    fn begin_audit(&self, entry: AuditEntry) -> StoreFuture<i64>;

    /// Writes down what came of it.
    fn end_audit(&self, id: i64, outcome: String) -> StoreFuture<()>;

    /// Entries before the number `before`, the newest first.
    fn audit_entries(&self, before: Option<i64>, limit: usize) -> StoreFuture<Vec<AuditView>>;
}
