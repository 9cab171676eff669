//! Delivery statuses: they move a part forward, and may come before the answer to its send.

use rusqlite::{OptionalExtension, params};
use tertulia_actors::domain::{Account, ConversationId, DeliveryStatus, PartState, StatusUpdate, Timestamp};

use super::super::error::WriteError;
use super::super::ledger::move_parts;
use super::super::row::{AsText, int, parsed};
use super::outbox::fail_reply;
use super::unit::Unit;

/// A part that a status is about.
pub(super) struct Told {
    pub(super) position: i64,
    pub(super) conversation: ConversationId,
    pub(super) turn: String,
    pub(super) state: PartState,
}

/// Applies one status, or keeps it for a part that is not known by its provider's id yet.
pub(super) fn apply(unit: &mut Unit<'_>, update: &StatusUpdate) -> Result<(), WriteError> {
    match find(unit, update)? {
        Some(told) => advance(unit, &told, update),
        // Our own id without a part: of another installation on the same account.
        None if update.part.is_some() => Ok(()),
        None => keep(unit, update),
    }
}

/// By our own id where the provider gives it back, else by the provider's.
fn find(unit: &Unit<'_>, update: &StatusUpdate) -> Result<Option<Told>, WriteError> {
    const BY_PART: &str = "SELECT position, conversation_id, turn_id, state FROM outbox \
                           WHERE id = ?1 AND channel = ?2 AND account = ?3";
    const BY_PROVIDER: &str = "SELECT position, conversation_id, turn_id, state FROM outbox \
                               WHERE provider_id = ?1 AND channel = ?2 AND account = ?3";
    let account = &update.account;
    let channel = account.channel.as_str();
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Told {
            position: row.get(0)?,
            conversation: parsed(row, 1)?,
            turn: row.get(2)?,
            state: parsed(row, 3)?,
        })
    };
    let told = match update.part {
        Some(part) => {
            unit.conn.prepare_cached(BY_PART)?.query_row(params![part.text(), channel, account.name], read)
        }
        None => unit
            .conn
            .prepare_cached(BY_PROVIDER)?
            .query_row(params![update.provider_id, channel, account.name], read),
    };
    Ok(told.optional()?)
}

/// Moves a part to where the status says it is, and what follows from that.
pub(super) fn advance(unit: &mut Unit<'_>, told: &Told, update: &StatusUpdate) -> Result<(), WriteError> {
    let next = told.state.after(update.status);
    let at = update.at.unwrap_or(unit.now);
    record(unit, told.position, next, at, update)?;
    if next == told.state {
        return Ok(());
    }
    move_parts(&mut unit.effects.entry.books, told.state, next, 1);
    if next == PartState::Failed {
        fail_reply(unit, told.conversation, &told.turn, told.position)?;
    }
    // Whoever holds the lane did not do this itself: a part that it waits for, or would send, has ended.
    let held_the_lane = matches!(told.state, PartState::Pending | PartState::Sending | PartState::Ambiguous);
    if held_the_lane || next == PartState::Failed {
        unit.effects.changed.push(told.conversation);
    }
    Ok(())
}

fn record(
    unit: &Unit<'_>,
    position: i64,
    state: PartState,
    at: Timestamp,
    update: &StatusUpdate,
) -> Result<(), WriteError> {
    let reached = |from: DeliveryStatus| (update.status == from).then_some(at.0);
    let accepted = (update.status != DeliveryStatus::Failed).then_some(at.0);
    let error = (update.status == DeliveryStatus::Failed && state == PartState::Failed)
        .then(|| update.error.as_deref().unwrap_or("the channel could not deliver it"));
    unit.conn
        .prepare_cached(
            "UPDATE outbox SET state = ?2, provider_id = COALESCE(provider_id, ?3), sent_at = COALESCE(sent_at, ?4), \
             delivered_at = COALESCE(delivered_at, ?5), read_at = COALESCE(read_at, ?6), error = COALESCE(?7, error) \
             WHERE position = ?1",
        )?
        .execute(params![
            position,
            state.as_str(),
            update.provider_id,
            accepted,
            reached(DeliveryStatus::Delivered),
            reached(DeliveryStatus::Read),
            error,
        ])?;
    Ok(())
}

/// Keeps a status until [`catch_up`] finds its part; the oldest goes when there are too many.
fn keep(unit: &mut Unit<'_>, update: &StatusUpdate) -> Result<(), WriteError> {
    unit.conn
        .prepare_cached(
            "INSERT INTO early_statuses (channel, account, provider_id, status, at, error) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            update.account.channel.as_str(),
            update.account.name,
            update.provider_id,
            name(update.status),
            update.at.map(|at| at.0),
            update.error,
        ])?;
    let oldest = unit.conn.last_insert_rowid() - i64::from(unit.bounds.early_statuses);
    let lost = unit.conn.prepare_cached("DELETE FROM early_statuses WHERE id <= ?1")?.execute([oldest])?;
    unit.effects.entry.statuses_lost += int(lost);
    Ok(())
}

/// Applies the statuses that came before the provider's id of a part was known.
pub(super) fn catch_up(
    unit: &mut Unit<'_>,
    mut told: Told,
    account: &Account,
    provider_id: &str,
) -> Result<(), WriteError> {
    let early = early(unit, account, provider_id)?;
    if early.is_empty() {
        return Ok(());
    }
    unit.conn
        .prepare_cached(
            "DELETE FROM early_statuses WHERE provider_id = ?1 AND channel = ?2 AND account = ?3",
        )?
        .execute(params![provider_id, account.channel.as_str(), account.name])?;
    for update in early {
        advance(unit, &told, &update)?;
        told.state = told.state.after(update.status);
    }
    Ok(())
}

fn early(unit: &Unit<'_>, account: &Account, provider_id: &str) -> Result<Vec<StatusUpdate>, WriteError> {
    let mut statement = unit.conn.prepare_cached(
        "SELECT status, at, error FROM early_statuses \
         WHERE provider_id = ?1 AND channel = ?2 AND account = ?3 ORDER BY id",
    )?;
    let rows = statement.query_map(params![provider_id, account.channel.as_str(), account.name], |row| {
        Ok(StatusUpdate {
            account: account.clone(),
            provider_id: provider_id.to_owned(),
            part: None,
            status: named(row.get_ref(0)?.as_str()?),
            at: row.get::<_, Option<i64>>(1)?.map(Timestamp),
            error: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const fn name(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Sent => "sent",
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Read => "read",
        DeliveryStatus::Failed => "failed",
    }
}

/// The reverse of [`name`]; the table's own check lets no other name in.
fn named(name: &str) -> DeliveryStatus {
    match name {
        "delivered" => DeliveryStatus::Delivered,
        "read" => DeliveryStatus::Read,
        "failed" => DeliveryStatus::Failed,
        _ => DeliveryStatus::Sent,
    }
}
