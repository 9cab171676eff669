//! Damage to the file itself, looked for at each start: a server on broken pages would lose what it cannot read.
//!
//! `PRAGMA quick_check` reads every page once and leaves out what makes `integrity_check` slow, the comparison of indexes with
//! their tables. Source: <https://www.sqlite.org/pragma.html#pragma_quick_check>. Measured on 300,000 messages, 204 MB: 0.25 to
//! 0.34 s against 1.15 s, and 0.52 s with the constraints. These are left out as well: they speak of single rows, for which one
//! conversation is set aside and not the whole server refused.

use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use super::error::OpenError;
use super::settings::StoreSettings;

/// Refuses a damaged file. One that is larger than `storage.start_check_bytes` is not looked at, and that is said.
///
/// # Errors
/// [`OpenError::Corrupt`], which names the remedy.
pub(super) fn refuse(conn: &Connection, settings: &StoreSettings) -> Result<(), OpenError> {
    let fail = |error| OpenError::of(&settings.path, error);
    let bytes = size(conn).map_err(fail)?;
    let limit = settings.start_check_bytes;
    if bytes > limit {
        if limit > 0 {
            tracing::warn!(
                bytes,
                limit,
                "the database is too large to be looked through at a start: run `tertulia db check`"
            );
        }
        return Ok(());
    }
    let began = Instant::now();
    let found = first(conn).map_err(fail)?;
    let took_ms = began.elapsed().as_millis();
    tracing::debug!(bytes, took_ms, "looked through the database for damage");
    match found {
        Some(reason) => Err(OpenError::Corrupt { path: settings.path.clone(), reason }),
        None => Ok(()),
    }
}

fn size(conn: &Connection) -> rusqlite::Result<u64> {
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (pages, page) = (number("PRAGMA page_count")?, number("PRAGMA page_size")?);
    Ok(pages.saturating_mul(page).unsigned_abs())
}

/// The first finding.
///
/// # Errors
/// When the file cannot be read for another reason than damage.
pub(super) fn first(conn: &Connection) -> rusqlite::Result<Option<String>> {
    conn.pragma_update(None, "ignore_check_constraints", true)?;
    let found = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    conn.pragma_update(None, "ignore_check_constraints", false)?;
    match found {
        Ok(line) if line == "ok" => Ok(None),
        // SQLite begins with the name of the database in a line of its own, which says nothing here.
        Ok(lines) => Ok(Some(lines.replace("*** in database main ***\n", "").replace('\n', "; "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
