//! Ids, times and numbers on their way into rows and out of them.

use std::error::Error;
use std::str::FromStr;

use rusqlite::types::{FromSqlError, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, RowIndex};
use tertulia_actors::domain::{
    ConversationId, Language, PartId, PendingMessage, Receipt, Tick, Timestamp, TurnId,
};
use uuid::Uuid;

/// An id as text, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct IdText([u8; 36]);

impl IdText {
    fn of(uuid: Uuid) -> Self {
        let mut text = [0; 36];
        uuid.hyphenated().encode_lower(&mut text);
        Self(text)
    }
}

impl ToSql for IdText {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

/// What has a stored form of its own.
pub(super) trait AsText {
    /// The id as it is stored.
    fn text(self) -> IdText;
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl AsText for $name {
            fn text(self) -> IdText {
                IdText::of(self.uuid())
            }
        }
    )*};
}

as_text!(ConversationId TurnId PartId);

/// A count as SQLite stores it. None gets near the limit: it would take 2^63 messages.
pub(super) fn int(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// A count from a column that is never negative.
pub(super) fn count<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0).unsigned_abs())
}

/// A small count from a column that is never negative.
pub(super) fn small<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<u32> {
    Ok(u32::try_from(count(row, column)?).unwrap_or(u32::MAX))
}

/// Reads a value from its stored name: an id, a state, a channel.
pub(super) fn parsed<T, I>(row: &Row<'_>, column: I) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
    I: RowIndex,
{
    parse(row.get_ref(column)?.as_str()?)
}

/// Reads a value from its stored name, where there is one.
pub(super) fn parsed_or_none<T, I>(row: &Row<'_>, column: I) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
    I: RowIndex,
{
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        value => parse(value.as_str()?).map(Some),
    }
}

fn parse<T>(text: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| FromSqlError::Other(Box::new(error)).into())
}

/// A person's language; none where it is not known, or its column holds something else: it is found out anew.
pub(super) fn language<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<Option<Language>> {
    Ok(row.get_ref(column)?.as_str().ok().and_then(|name| name.parse().ok()))
}

/// A name of a person; one that cannot be read is somebody's all the same, and nobody else's: nobody is told by such a name.
pub(super) fn name_or_none<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(_) | ValueRef::Real(_) => Some(String::new()),
    })
}

/// Rows that contradict each other: the error of rows that cannot be read.
pub(super) fn contradiction(reason: String) -> rusqlite::Error {
    FromSqlError::Other(reason.into()).into()
}

/// A tick from a column.
pub(super) fn tick<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<Tick> {
    row.get(column).map(Tick)
}

/// A time from a column.
pub(super) fn at<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp)
}

/// Reads the columns seq, kind, text, provider_at, received_at, received_tick, receipt_seq, alone.
pub(super) fn pending_message(row: &Row<'_>) -> rusqlite::Result<PendingMessage> {
    Ok(PendingMessage {
        seq: count(row, 0)?,
        kind: row.get(1)?,
        text: row.get(2)?,
        provider_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        receipt: Receipt { at: at(row, 4)?, tick: tick(row, 5)?, seq: row.get(6)? },
        alone: row.get(7)?,
    })
}
