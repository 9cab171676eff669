//! Finds conversations by what somebody knows of a person.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use tertulia_actors::domain::ConversationId;
use tertulia_actors::ports::store::ConversationView;

use super::super::error::unreadable;
use super::limit as rows_max;
use super::views::conversation;

/// See [`Views::find_conversations`](tertulia_actors::ports::store::Views::find_conversations). The ranges of ids and of each kind of
/// alias are read by their index.
pub(in crate::store) fn find_conversations(
    conn: &Connection,
    text: &str,
    after: Option<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationView>> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut ids = ids_of(conn, &text.to_ascii_lowercase(), &after, limit)?;
    for scope in scopes(conn)? {
        let name = if scope.2 == "phone" { phone(text) } else { text.to_owned() };
        if !name.is_empty() {
            ids.extend(named(conn, &scope, &name, &after, limit)?);
        }
    }
    let mut found = vec![];
    for id in ids.into_iter().take(limit) {
        // One that cannot be read hides no other.
        match id.parse().map(|id| conversation(conn, id)) {
            Ok(Err(error)) if unreadable(&error).is_none() => return Err(error),
            Ok(Ok(view)) => found.extend(view),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Ok(found)
}

/// A phone number as it is stored: digits alone. Empty where it is something else.
fn phone(text: &str) -> String {
    let is_phone = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.'));
    if is_phone { text.chars().filter(char::is_ascii_digit).collect() } else { String::new() }
}

/// Names of one kind that are looked at: of a beginning that more share, the first are found.
const NAMES_MAX: i64 = 5_000;

/// What lies behind every text that begins with this one.
fn behind(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

fn ids_of(conn: &Connection, prefix: &str, after: &str, limit: usize) -> rusqlite::Result<BTreeSet<String>> {
    conn.prepare_cached(
        "SELECT id FROM conversations WHERE id >= ?1 AND id < ?2 AND id > ?3 ORDER BY id LIMIT ?4",
    )?
    .query_map(params![prefix, behind(prefix), after, rows_max(limit)], |row| row.get(0))?
    .collect()
}

type Scope = (String, String, String);

/// What stands behind all names of a scope. SQLite begins at the first row that is not less than a row of values, and reads on until
/// one is greater: without a value behind every text, which a blob is, those would be all names of the scope.
const NEXT_SCOPE: &str = "SELECT channel, account, kind FROM aliases WHERE (channel, account, kind, value) > (?1, ?2, ?3, x'') \
     ORDER BY channel, account, kind, value LIMIT 1";

/// Every channel, account and kind of alias that there is: one step of the index for each.
fn scopes(conn: &Connection) -> rusqlite::Result<Vec<Scope>> {
    let mut next = conn.prepare_cached(NEXT_SCOPE)?;
    let mut found: Vec<Scope> = vec![];
    loop {
        let (channel, account, kind) = found.last().cloned().unwrap_or_default();
        let scope = next
            .query_row([channel, account, kind], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        match scope {
            Some(scope) => found.push(scope),
            None => return Ok(found),
        }
    }
}

fn named(
    conn: &Connection,
    (channel, account, kind): &Scope,
    prefix: &str,
    after: &str,
    limit: usize,
) -> rusqlite::Result<BTreeSet<String>> {
    conn.prepare_cached(
        "SELECT DISTINCT conversation_id FROM (SELECT conversation_id FROM aliases WHERE channel = ?1 \
         AND account = ?2 AND kind = ?3 AND value >= ?4 AND value < ?5 ORDER BY value LIMIT ?8) \
         WHERE conversation_id > ?6 ORDER BY conversation_id LIMIT ?7",
    )?
    .query_map(
        params![channel, account, kind, prefix, behind(prefix), after, rows_max(limit), NAMES_MAX],
        |row| row.get(0),
    )?
    .collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn the_scopes_are_found_without_reading_their_names() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../migrations/0001_conversations.sql")).unwrap();
        // The last name sorts behind what any prefix can name.
        conn.execute_batch(
            "INSERT INTO aliases WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000) \
             SELECT 'whatsapp', 'a', kind, n, n FROM n, (SELECT 'phone' AS kind UNION SELECT 'user_id'); \
             INSERT INTO aliases VALUES ('api', '', 'handle', char(1114111, 1114111), 'x')",
        )
        .unwrap();
        let scope = |channel: &str, account: &str, kind: &str| (channel.into(), account.into(), kind.into());
        let expected =
            [scope("api", "", "handle"), scope("whatsapp", "a", "phone"), scope("whatsapp", "a", "user_id")];
        assert_eq!(scopes(&conn).unwrap(), expected);
        let steps = conn.prepare_cached(NEXT_SCOPE).unwrap().get_status(StatementStatus::VmStep);
        assert!((1..200).contains(&steps), "{steps} steps for {} scopes", expected.len());
    }

    #[test]
    fn a_phone_number_is_found_however_it_is_written() {
        for (written, expected) in [
            ("+966 50 123-4567", "966501234567"),
            ("(966) 50.1", "966501"),
            ("SA.abc", ""),
            ("", ""),
            ("ana", ""),
        ] {
            assert_eq!(phone(written), expected, "{written}");
        }
    }
}
