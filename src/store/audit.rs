//! The audit log, and the sessions that were signed out of.

use rusqlite::{Connection, params};
use tertulia_actors::domain::Timestamp;
use tertulia_actors::ports::store::{Audit, AuditEntry, AuditView, SignedOut, StoreFuture};

use super::SqliteStore;
use super::error::WriteError;
use super::row::at;

/// Entries that are kept: years of what people do. The oldest go.
const ENTRIES_MAX: i64 = 1_000_000;

/// Sessions that were signed out of and have not ended by themselves; beyond, the ones that end first are forgotten.
const SIGNED_OUT_MAX: i64 = 10_000;

impl Audit for SqliteStore {
    fn begin_audit(&self, entry: AuditEntry) -> StoreFuture<i64> {
        self.write_with(move |conn, now| begin(conn, &entry, now))
    }

    fn end_audit(&self, id: i64, outcome: String) -> StoreFuture<()> {
        self.write_with(move |conn, _| end(conn, id, &outcome))
    }

    fn audit_entries(&self, before: Option<i64>, limit: usize) -> StoreFuture<Vec<AuditView>> {
        self.read_with(move |conn| Ok(entries(conn, before, limit)?))
    }

    fn sign_out(&self, ended: SignedOut) -> StoreFuture<()> {
        self.write_with(move |conn, now| sign_out(conn, &ended, now))
    }

    fn signed_out(&self) -> StoreFuture<Vec<SignedOut>> {
        self.read_with(move |conn| Ok(signed_out(conn)?))
    }
}

fn begin(conn: &Connection, entry: &AuditEntry, now: Timestamp) -> Result<i64, WriteError> {
    let AuditEntry { who, role, action, target, reason } = entry;
    conn.prepare_cached(
        "INSERT INTO audit (at, who, role, action, target, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![now.0, who, role, action, target, reason])?;
    let id = conn.last_insert_rowid();
    conn.prepare_cached("DELETE FROM audit WHERE id <= ?1")?.execute([id - ENTRIES_MAX])?;
    Ok(id)
}

fn end(conn: &Connection, id: i64, outcome: &str) -> Result<(), WriteError> {
    conn.prepare_cached("UPDATE audit SET outcome = ?2 WHERE id = ?1 AND outcome IS NULL")?
        .execute(params![id, outcome])?;
    Ok(())
}

fn entries(conn: &Connection, before: Option<i64>, limit: usize) -> rusqlite::Result<Vec<AuditView>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(
        "SELECT id, at, who, role, action, target, reason, outcome FROM audit \
         WHERE id < COALESCE(?1, 9223372036854775807) ORDER BY id DESC LIMIT ?2",
    )?
    .query_map(params![before, limit], |row| {
        Ok(AuditView {
            id: row.get(0)?,
            at: at(row, 1)?,
            who: row.get(2)?,
            role: row.get(3)?,
            action: row.get(4)?,
            target: row.get(5)?,
            reason: row.get(6)?,
            outcome: row.get(7)?,
        })
    })?
    .collect()
}

fn sign_out(conn: &Connection, ended: &SignedOut, now: Timestamp) -> Result<(), WriteError> {
    conn.prepare_cached("DELETE FROM signed_out WHERE ends_at <= ?1")?.execute([now.0])?;
    conn.prepare_cached("INSERT OR IGNORE INTO signed_out (session, ends_at) VALUES (?1, ?2)")?
        .execute(params![ended.session, ended.ends_at.0])?;
    conn.prepare_cached(
        "DELETE FROM signed_out WHERE session IN \
         (SELECT session FROM signed_out ORDER BY ends_at DESC LIMIT -1 OFFSET ?1)",
    )?
    .execute([SIGNED_OUT_MAX])?;
    Ok(())
}

fn signed_out(conn: &Connection) -> rusqlite::Result<Vec<SignedOut>> {
    conn.prepare_cached("SELECT session, ends_at FROM signed_out")?
        .query_map([], |row| Ok(SignedOut { session: row.get(0)?, ends_at: at(row, 1)? }))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_those_who_signed_out_is_bounded() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("migrations/0020_signed_out.sql")).unwrap();
        conn.execute(
            "INSERT INTO signed_out WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
             SELECT n, n + 1000 FROM n",
            [SIGNED_OUT_MAX],
        )
        .unwrap();
        let last = SignedOut { session: "last".into(), ends_at: Timestamp(i64::MAX) };
        sign_out(&conn, &last, Timestamp(1_000)).unwrap();
        let kept = signed_out(&conn).unwrap();
        assert_eq!(kept.len(), usize::try_from(SIGNED_OUT_MAX).unwrap());
        assert!(kept.contains(&last) && !kept.iter().any(|ended| ended.session == "1"));
    }
}
