//! Who wrote: from the aliases of a message's sender to one conversation.

use rusqlite::{OptionalExtension, params};
use tertulia_actors::domain::{Account, ConversationId, Sender};

use super::super::error::WriteError;
use super::super::row::{AsText, name_or_none, parsed};
use super::handoff::carry_over;
use super::set_aside::set_aside;
use super::unit::Unit;

/// A conversation that an alias of the sender leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) id: ConversationId,
    pub(super) phone: Option<String>,
    pub(super) user_id: Option<String>,
}

/// Where a message goes, and what becomes of the aliases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Plan {
    /// The conversation; none for a new one.
    pub(super) conversation: Option<ConversationId>,
    /// The sender's phone number leads here from now on.
    pub(super) take_phone: bool,
    /// The sender's BSUID leads here from now on.
    pub(super) take_user_id: bool,
    /// This conversation loses the phone number: it belongs to somebody else, who has another BSUID.
    pub(super) lose_phone: Option<ConversationId>,
    /// This conversation proves to be the same person's, and is merged into the message's.
    pub(super) merge: Option<ConversationId>,
}

/// Decides from what the sender's BSUID and phone number lead to.
///
/// A BSUID outranks a phone number: people change numbers, and numbers are given to other people.
pub(super) fn resolve(sender: &Sender, by_user: Option<&Found>, by_phone: Option<&Found>) -> Plan {
    let Some(user_id) = &sender.user_id else {
        // The phone number, or a handle, is all there is.
        let conversation = by_phone.map(|found| found.id);
        return Plan { conversation, take_phone: conversation.is_none(), ..Plan::default() };
    };
    match (by_user, by_phone) {
        (None, None) => Plan { take_phone: true, take_user_id: true, ..Plan::default() },
        (None, Some(phone)) => match &phone.user_id {
            // A number that stood alone so far gets its BSUID.
            None => Plan { conversation: Some(phone.id), take_user_id: true, ..Plan::default() },
            Some(theirs) if theirs == user_id => Plan { conversation: Some(phone.id), ..Plan::default() },
            // The number was given to somebody else, who begins anew, without its history.
            Some(_) => {
                Plan { take_phone: true, take_user_id: true, lose_phone: Some(phone.id), ..Plan::default() }
            }
        },
        (Some(user), None) => {
            let take_phone = sender.phone.is_some() && sender.phone != user.phone;
            Plan { conversation: Some(user.id), take_phone, ..Plan::default() }
        }
        (Some(user), Some(phone)) if user.id == phone.id => {
            Plan { conversation: Some(user.id), ..Plan::default() }
        }
        (Some(user), Some(phone)) => {
            let one_person = phone.user_id.is_none();
            Plan {
                conversation: Some(user.id),
                take_phone: true,
                take_user_id: false,
                lose_phone: (!one_person).then_some(phone.id),
                merge: one_person.then_some(phone.id),
            }
        }
    }
}

/// Looks the sender's aliases up; by handle only where nothing else identifies the person.
pub(super) fn look_up(
    unit: &Unit<'_>,
    account: &Account,
    sender: &Sender,
) -> Result<(Option<Found>, Option<Found>), WriteError> {
    if sender.is_anonymous() {
        return Err(WriteError::Refused("a message without a sender".into()));
    }
    let find = |kind: &str, value: Option<&String>| match value {
        Some(value) => find(unit, account, kind, value),
        None => Ok(None),
    };
    let by_user = find("user_id", sender.user_id.as_ref())?;
    let by_phone = find("phone", sender.phone.as_ref())?;
    if sender.user_id.is_none() && sender.phone.is_none() {
        return Ok((None, find("handle", sender.handle.as_ref())?));
    }
    Ok((by_user, by_phone))
}

/// A conversation whose id cannot be read is none: its person begins a new one.
fn find(unit: &Unit<'_>, account: &Account, kind: &str, value: &str) -> Result<Option<Found>, WriteError> {
    let found = unit
        .conn
        .prepare_cached(
            "SELECT c.id, c.phone, c.user_id FROM aliases a JOIN conversations c ON c.id = a.conversation_id \
             WHERE a.channel = ?1 AND a.account = ?2 AND a.kind = ?3 AND a.value = ?4",
        )?
        .query_row(params![account.channel.as_str(), account.name, kind, value], |row| {
            let Ok(id) = parsed(row, 0) else { return Ok(None) };
            Ok(Some(Found { id, phone: name_or_none(row, 1)?, user_id: name_or_none(row, 2)? }))
        })
        .optional()?;
    Ok(found.flatten())
}

/// Carries a plan out: the conversation exists and its aliases lead to it.
pub(super) fn carry_out(
    unit: &mut Unit<'_>,
    account: &Account,
    sender: &Sender,
    plan: &Plan,
    id: ConversationId,
    by_user: Option<&Found>,
) -> Result<(), WriteError> {
    if plan.conversation.is_none() {
        create(unit, account, sender, id)?;
    }
    if let Some(loser) = plan.lose_phone.or(plan.merge) {
        unit.conn
            .prepare_cached("UPDATE conversations SET phone = NULL, merged_into = COALESCE(?2, merged_into) WHERE id = ?1")?
            .execute(params![loser.text(), plan.merge.map(|_| id.text())])?;
    }
    if let Some(loser) = plan.merge {
        carry_over(unit, loser, id)?;
    }
    if let (true, Some(phone)) = (plan.take_phone, &sender.phone) {
        if let Some(old) = by_user.and_then(|found| found.phone.as_deref()).filter(|old| old != phone) {
            unit.conn
                .prepare_cached(
                    "DELETE FROM aliases WHERE channel = ?1 AND account = ?2 AND kind = 'phone' AND value = ?3",
                )?
                .execute(params![account.channel.as_str(), account.name, old])?;
        }
        lead(unit, account, "phone", phone, id)?;
    }
    if let (true, Some(user_id)) = (plan.take_user_id, &sender.user_id) {
        lead(unit, account, "user_id", user_id, id)?;
    }
    if plan.conversation.is_none() {
        if let Some(handle) = &sender.handle {
            lead(unit, account, "handle", handle, id)?;
        }
    } else if plan.take_phone || plan.take_user_id {
        unit.conn
            .prepare_cached(
                "UPDATE conversations SET phone = COALESCE(?2, phone), user_id = COALESCE(?3, user_id) WHERE id = ?1",
            )?
            .execute(params![id.text(), sender.phone, sender.user_id])?;
        readdress(unit, id)?;
        readdress_merged(unit, id)?;
    }
    // Last, since the replies of a conversation that was merged go to where the other one's do now.
    plan.lose_phone.or(plan.merge).map_or(Ok(()), |loser| readdress(unit, loser))
}

/// Readdresses the conversations that were merged into one that got other aliases, as far as their ids can be read.
fn readdress_merged(unit: &mut Unit<'_>, id: ConversationId) -> Result<(), WriteError> {
    let merged: Vec<Option<ConversationId>> = unit
        .conn
        .prepare_cached("SELECT id FROM conversations WHERE merged_into = ?1")?
        .query_map([id.text()], |row| Ok(parsed(row, 0).ok()))?
        .collect::<Result<_, _>>()?;
    merged.into_iter().flatten().try_for_each(|merged| readdress(unit, merged))
}

fn create(unit: &Unit<'_>, account: &Account, sender: &Sender, id: ConversationId) -> Result<(), WriteError> {
    unit.conn
        .prepare_cached(
            "INSERT INTO conversations (id, partition, channel, account, phone, user_id, handle, name, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            id.text(),
            id.partition().number(),
            account.channel.as_str(),
            account.name,
            sender.phone,
            sender.user_id,
            sender.handle,
            sender.name,
            unit.now.0,
        ])?;
    Ok(())
}

fn lead(
    unit: &Unit<'_>,
    account: &Account,
    kind: &str,
    value: &str,
    id: ConversationId,
) -> Result<(), WriteError> {
    unit.conn
        .prepare_cached(
            "INSERT INTO aliases (channel, account, kind, value, conversation_id) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO UPDATE SET conversation_id = excluded.conversation_id",
        )?
        .execute(params![account.channel.as_str(), account.name, kind, value, id.text()])?;
    Ok(())
}

/// Addresses the unsent parts of a conversation to where its aliases lead now, so that the next owner of a phone number
/// does not get the last one's replies. A part that is being sent may have to be sent again, and goes there then.
///
/// One whose own addresses cannot be read is set aside: whoever writes meanwhile is not to blame. Its parts go to no number
/// that it has lost, also once it is mended.
fn readdress(unit: &mut Unit<'_>, id: ConversationId) -> Result<(), WriteError> {
    let recipient = match recipient(unit, id) {
        Ok(recipient) => recipient,
        Err(WriteError::Corrupt(reason)) => {
            forget_lost_phone(unit, id)?;
            return Ok(set_aside(unit, &id.to_string(), &reason)?);
        }
        Err(error) => return Err(error),
    };
    let moved = unit
        .conn
        .prepare_cached(
            "UPDATE outbox SET phone = ?2, user_id = ?3 WHERE conversation_id = ?1 \
             AND state IN ('pending', 'sending', 'ambiguous') AND state <> 'ambiguous'",
        )?
        .execute(params![id.text(), recipient.phone, recipient.user_id])?;
    if moved > 0 {
        unit.effects.changed.push(id);
    }
    Ok(())
}

/// Takes the number that a conversation has lost to somebody else out of its unsent parts.
fn forget_lost_phone(unit: &Unit<'_>, id: ConversationId) -> rusqlite::Result<()> {
    unit.conn
        .prepare_cached(
            "UPDATE outbox SET phone = NULL WHERE conversation_id = ?1 \
             AND state IN ('pending', 'sending', 'ambiguous') AND state <> 'ambiguous' \
             AND EXISTS (SELECT 1 FROM conversations WHERE id = ?1 AND phone IS NULL AND merged_into IS NULL)",
        )?
        .execute([id.text()])?;
    Ok(())
}

/// Conversations that a merged one may have been merged into, one after the other.
const MERGES_MAX: usize = 8;

/// Where replies of a conversation go: to its own aliases, or to those of the conversation it was merged into.
pub(super) fn recipient(
    unit: &Unit<'_>,
    id: ConversationId,
) -> Result<tertulia_actors::domain::Recipient, WriteError> {
    let mut statement =
        unit.conn.prepare_cached("SELECT phone, user_id, merged_into FROM conversations WHERE id = ?1")?;
    let mut at = id;
    for _ in 0..MERGES_MAX {
        let (recipient, next) = statement.query_row([at.text()], |row| {
            let recipient = tertulia_actors::domain::Recipient { phone: row.get(0)?, user_id: row.get(1)? };
            Ok((recipient, super::super::row::parsed_or_none(row, 2)?))
        })?;
        match next {
            Some(next) => at = next,
            None => return Ok(recipient),
        }
    }
    Err(WriteError::Refused("a conversation was merged in a circle".into()))
}
