//! Parts that have not ended.

use rusqlite::{Connection, Row, params};
use tertulia_actors::domain::{Account, Channel, ConversationId, OutboxPart, Recipient, Tick};

use super::super::row::{AsText, parsed, small, tick};
use super::{limit as rows_max, readable};

/// See [`Outbox::load_lane`](tertulia_actors::ports::store::Outbox::load_lane). A conversation that is set aside has no lane.
pub(in crate::store) fn load_lane(
    conn: &Connection,
    conversation: ConversationId,
    now: Tick,
    limit: usize,
) -> rusqlite::Result<Vec<OutboxPart>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, position, conversation_id, turn_id, channel, account, phone, user_id, text, state, attempt, \
         not_before, COALESCE(resent_tick, created_tick) FROM outbox WHERE conversation_id = ?1 AND state IN ('pending', 'sending', 'ambiguous') \
         AND (state <> 'ambiguous' OR not_before > ?2) AND NOT EXISTS (SELECT 1 FROM conversations \
         WHERE id = ?1 AND set_aside IS NOT NULL) ORDER BY position LIMIT ?3",
    )?;
    let rows = statement.query_map(params![conversation.text(), now.0, rows_max(limit)], part)?;
    rows.collect()
}

fn part(row: &Row<'_>) -> rusqlite::Result<OutboxPart> {
    Ok(OutboxPart {
        id: parsed(row, 0)?,
        position: row.get(1)?,
        conversation: parsed(row, 2)?,
        turn: parsed(row, 3)?,
        account: Account::new(parsed::<Channel, _>(row, 4)?, row.get::<_, String>(5)?),
        recipient: Recipient { phone: row.get(6)?, user_id: row.get(7)? },
        text: row.get(8)?,
        state: parsed(row, 9)?,
        attempt: small(row, 10)?,
        not_before: tick(row, 11)?,
        created: tick(row, 12)?,
    })
}

/// See [`Outbox::due_lanes`](tertulia_actors::ports::store::Outbox::due_lanes). A lane whose earlier part must wait
/// is not due, nor is one whose conversation is set aside.
pub(in crate::store) fn due_lanes(
    conn: &Connection,
    until: Tick,
    after: Option<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationId>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT conversation_id FROM outbox o \
         WHERE state IN ('pending', 'sending', 'ambiguous') AND state = 'pending' AND not_before <= ?1 \
         AND conversation_id > COALESCE(?2, '') AND NOT EXISTS (SELECT 1 FROM outbox e \
         WHERE e.conversation_id = o.conversation_id AND e.position < o.position \
         AND e.state IN ('pending', 'sending', 'ambiguous') AND e.state <> 'sending' AND e.not_before > ?1) \
         AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = o.conversation_id AND c.set_aside IS NOT NULL) \
         ORDER BY conversation_id LIMIT ?3",
    )?;
    let rows = statement
        .query_map(params![until.0, after.map(AsText::text), rows_max(limit)], |row| parsed(row, 0))?;
    readable(rows)
}

/// See [`Outbox::sending_lanes`](tertulia_actors::ports::store::Outbox::sending_lanes).
pub(in crate::store) fn sending_lanes(
    conn: &Connection,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationId>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT conversation_id FROM outbox \
         WHERE state IN ('pending', 'sending', 'ambiguous') AND state = 'sending' LIMIT ?1",
    )?;
    let rows = statement.query_map(params![rows_max(limit)], |row| parsed(row, 0))?;
    rows.collect()
}
