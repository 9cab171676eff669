//! The audit log: who did what, why, and what came of it.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tertulia_actors::ports::store::{AuditEntry, AuditView};

use super::role::{Operator, Role};
use crate::http::answer::Json;
use crate::http::auth::operator;
use crate::http::conversations::{LIMIT_MAX, limit};
use crate::http::parameters::Query;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// The longest reason, in Unicode scalar values.
pub(in crate::http) const REASON_MAX_CHARS: usize = 500;

/// How long an urgent deed waits for its entry in the log.
const ENTRY_WAIT: Duration = Duration::from_secs(1);

/// A page of the log.
#[derive(Deserialize, JsonSchema)]
pub(in crate::http) struct Page {
    /// The number before which it begins: that of the last row of the page before.
    before: Option<i64>,
    /// The most rows of the answer; 100 unless it is given.
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: Option<usize>,
}

/// A page of the log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditLog")]
pub(in crate::http) struct Log {
    /// The newest first.
    entries: Vec<AuditView>,
}

/// The log, the newest first.
pub(in crate::http) async fn list(
    request: HttpRequest,
    query: Query<Page>,
    state: web::Data<HttpState>,
) -> Result<Json<Log>, Problem> {
    operator(&request, &state, Role::Operator)?;
    let page = query.read()?;
    let entries = state.stored(state.store.audit_entries(page.before, limit(page.limit)?)).await?;
    Ok(Json(Log { entries }))
}

/// Why an operator does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::http) struct Reason(Option<String>);

impl Reason {
    /// Takes `reason` out of the fields of a request. Who has signed in gives one; a program need not.
    pub(in crate::http) fn take(
        operator: &Operator,
        fields: &mut Map<String, Value>,
    ) -> Result<Self, Problem> {
        let given = match fields.remove("reason") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.trim().is_empty() => None,
            Some(Value::String(text)) if text.chars().count() <= REASON_MAX_CHARS => {
                Some(text.trim().to_owned())
            }
            Some(_) => {
                return Err(Problem::invalid(
                    "reason",
                    format!("expects a text of at most {REASON_MAX_CHARS} characters"),
                ));
            }
        };
        if given.is_none() && operator.session.is_some() {
            return Err(Problem::invalid("reason", "say why; it is kept in the audit log"));
        }
        Ok(Self(given))
    }

    /// The reason as it is kept beside what it is about, with who gave it.
    pub(in crate::http) fn text(&self, operator: &Operator) -> String {
        format!("{}: {}", operator.name, self.0.as_deref().unwrap_or("no reason given"))
    }

    /// No reason, where none is asked for.
    pub(in crate::http) const fn none() -> Self {
        Self(None)
    }
}

/// What an operator does.
pub(in crate::http) struct Deed<'a> {
    /// What: stable names, such as `restart`.
    pub(in crate::http) action: &'a str,
    /// To what.
    pub(in crate::http) target: &'a str,
    /// Why.
    pub(in crate::http) reason: Reason,
    /// Whether it must be possible while the database cannot be written, too; then the log of the process has the entry.
    pub(in crate::http) is_urgent: bool,
}

/// Does what an operator asks for. Who asked for it, and why, is written down before, since a client that goes away may never hear
/// what came of it; that is written behind it. `act` begins only then: what is asked of the store is queued at once.
pub(in crate::http) async fn audited<T, F>(
    state: &HttpState,
    operator: &Operator,
    deed: Deed<'_>,
    act: impl FnOnce() -> F,
) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let Deed { action, target, reason: Reason(reason), is_urgent } = deed;
    let (who, role) = (operator.name.as_str(), operator.role.as_str());
    tracing::warn!(who, role, path = target, action, reason, "an operator asks");
    let entry = AuditEntry {
        who: who.to_owned(),
        role: role.to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        reason,
    };
    let written = state.stored(state.store.begin_audit(entry));
    let id = if is_urgent {
        tokio::time::timeout(ENTRY_WAIT, written).await.ok().and_then(Result::ok)
    } else {
        Some(written.await?)
    };
    let done = act().await;
    let outcome = match &done {
        Ok(_) => "done".to_owned(),
        Err(problem) => {
            tracing::warn!(who, path = target, action, %problem, "an operator is refused");
            problem.to_string()
        }
    };
    match id {
        // What was done is done: that its outcome cannot be written does not undo it.
        Some(id) => {
            if let Err(error) = state.store.end_audit(id, outcome).await {
                tracing::error!(who, path = target, action, %error, "the outcome of this is not in the audit log");
            }
        }
        None => tracing::error!(
            who,
            path = target,
            action,
            outcome,
            "this is not in the audit log: the database cannot be written"
        ),
    }
    done
}

/// Does what an operator asks for; written down where it is somebody who has signed in. Programs that show the token change the
/// knowledge base in many small calls, and what an entry said before is kept.
pub(in crate::http) async fn by_people<T, F>(
    state: &HttpState,
    operator: &Operator,
    action: &str,
    target: &str,
    act: impl FnOnce() -> F,
) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    if operator.session.is_none() {
        return act().await;
    }
    let deed = Deed { action, target, reason: Reason::none(), is_urgent: false };
    audited(state, operator, deed, act).await
}

/// Writes down that somebody who has signed in reads what people wrote; once a minute for the same. Whoever asks while it cannot be
/// written down reads nothing.
pub(in crate::http) async fn note_reading(
    state: &HttpState,
    operator: &Operator,
    target: &str,
) -> Result<(), Problem> {
    let Some(session) = &operator.session else { return Ok(()) };
    let key = format!("{} {target}", session.id);
    if state.readings.is_spent(&key, Instant::now()) {
        return Ok(());
    }
    let entry = AuditEntry {
        who: operator.name.clone(),
        role: operator.role.as_str().to_owned(),
        action: "read_texts".to_owned(),
        target: target.to_owned(),
        reason: None,
    };
    tracing::info!(who = operator.name, path = target, "an operator reads what people wrote");
    let id = state.stored(state.store.begin_audit(entry)).await?;
    state.stored(state.store.end_audit(id, "done".to_owned())).await?;
    // Two requests at the same time are two entries at the worst.
    let _ = state.readings.take(&key, Instant::now());
    Ok(())
}
